"""Where an item stands now tells the name that it had: by the rows of the job that wrote it, and of all below that."""

from dataclasses import replace

from tallyport.domain import paths
from tallyport.domain.connections import Connection
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.domain.policies import Policies
from tallyport.store import connections, items, jobs
from tallyport.store.database import Database
from tallyport.store.original_names import OriginalNames, names_of, refusal
from tests.store.test_items import row


def renamed(item_id: int, job: Job, parent: int, name: str, d_name: str, *, kind: int = 1, processing: str = "renamed"):
    made = list(row(item_id, job.number, parent, name, kind=kind))
    made[16], made[17] = paths.to_bytes(d_name), processing
    return tuple(made)


def filled(database: Database, job: Job, execution: Execution) -> None:
    with database.begin() as tx:
        items.upsert(
            tx,
            database,
            [
                row(1, job.number, 0, "", kind=2),
                renamed(2, job, 1, "a:b", "a_b", kind=2),
                row(3, job.number, 1, "a_c", kind=2),
                renamed(4, job, 2, "x?", "x_"),
                renamed(5, job, 2, "run.exe", "run.zip", processing="converted"),
                row(6, job.number, 2, "plain"),
                renamed(7, job, 1, "a_b", "a_b(1)", processing="deduplicated"),
            ],
        )
        base = (job.number, 0, b"", b"", execution.id)
        items.add_containers(tx, database, [(1, *base), (2, job.number, 1, b"a:b", b"a_b", execution.id)])


def test_names_are_given_by_where_they_stand_now(database: Database, job: Job, execution: Execution) -> None:
    filled(database, job, execution)
    names = OriginalNames(database, job.id, ("x",))
    assert names.below("") == ({"a_b": "a:b", "a_b(1)": "a_b"}, None)
    assert names.below("a_b") == ({"x_": "x?"}, "a:b")  # what is in an archive keeps the name of that
    assert names.below("a_c") == ({}, None)
    assert names.below("nothing/here") == ({}, None)


def test_a_place_above_or_below_is_asked_by_its_own_paths(database: Database, job: Job, execution: Execution) -> None:
    with database.begin() as tx:
        jobs.change(tx, job.id, destination_path="kept/here")
    filled(database, job, execution)
    assert OriginalNames(database, job.id, ("x", "kept")).below("here/a_b") == ({"x_": "x?"}, "a:b")
    assert OriginalNames(database, job.id, ("x", "kept")).below("") == ({}, None)
    assert OriginalNames(database, job.id, ("x", "kept", "here", "a_b")).below("") == ({"x_": "x?"}, "a:b")
    assert OriginalNames(database, job.id, ("x", "kept", "other")).below("a_b") == ({}, None)


def test_what_the_parts_of_a_job_renamed_is_found_by_the_job(
    database: Database, job: Job, execution: Execution
) -> None:
    with database.begin() as tx:
        part = jobs.add(tx, replace(job, id=jobs.new_id(), number=0, execution_id=None, parent_id=job.id, part=0))
    filled(database, part, execution)
    assert OriginalNames(database, job.id, ("x",)).below("a_b")[0] == {"x_": "x?"}


def test_nothing_is_read_for_a_job_that_asks_for_no_names(database: Database, job: Job) -> None:
    assert names_of(database, Policies(), ("x",)) is None
    with database.read() as tx:
        assert refusal(tx, None, job.id, connections.find(tx, job.destination_connection or ""), "") is None


def test_names_are_those_of_another_job_that_wrote_this_place(database: Database, job: Job) -> None:
    with database.begin() as tx:
        jobs.change(tx, job.id, destination_path="kept")
        folder = connections.find(tx, job.destination_connection or "")
        assert folder is not None
        others = {
            name: replace(folder, id=connections.new_id(), platform=platform, settings={"path": path})
            for name, platform, path in (("above", "fs", "/"), ("local", "nfs", "/x/kept"), ("far", "sftp", "/x"))
        }
        for other in others.values():
            connections.add(tx, other)

    def said(by: str, source: Connection, path: str, *, names_from: str = job.id) -> str | None:
        with database.read() as tx:
            return refusal(tx, names_from, by, source, path)

    assert said("another", folder, "kept/deep") is None
    assert said("another", folder, "") is None
    assert said("another", others["above"], "x/kept") is None
    assert said("another", others["local"], "") is None
    assert "itself" in (said(job.id, folder, "kept") or "")
    assert "no job 'nobody'" in (said("another", folder, "kept", names_from="nobody") or "")
    for source, path in ((folder, "elsewhere"), (others["above"], "kept"), (others["far"], "kept")):
        assert "another place" in (said("another", source, path) or "")
