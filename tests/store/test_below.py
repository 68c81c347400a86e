"""What stands below a job is found with it: children, parts, and the parts of children; not what was deleted."""

from dataclasses import replace

from tallyport.domain.jobs import Job
from tallyport.store import below, executions, jobs
from tallyport.store.database import Database


def made(database: Database, like: Job, **values: object) -> Job:
    with database.begin() as tx:
        given = {"id": jobs.new_id(), "number": 0, "execution_id": None, **values}
        return jobs.add(tx, replace(like, **given))  # type: ignore[arg-type]


def test_a_family_is_told_with_how_deep_each_of_it_is(database: Database, job: Job) -> None:
    parent = made(database, job, kind="folder_mapping", source_path="homes")
    child = made(database, job, parent_id=parent.id, source_path="homes/ann/files")
    gone = made(database, job, parent_id=parent.id, source_path="homes/ben", deleted_at=5)
    part = made(database, job, parent_id=child.id, part=0, source_path="homes/ann/files")
    made(database, job, parent_id=gone.id, part=0, source_path="homes/ben")
    with database.read() as tx:
        assert below.family(tx, parent) == {parent.number: 0, child.number: 2, part.number: 2}
        assert below.family(tx, job) == {job.number: 0}
        assert below.numbers_of(tx, [child.id, part.id, job.id]) == {child.number, part.number, job.number}


def test_what_parts_carried_is_counted_in_the_run_they_did_and_not_again(database: Database, job: Job) -> None:
    parent = made(database, job, kind="folder_mapping")
    child = made(database, job, parent_id=parent.id, source_path="ann")
    parts = [made(database, job, parent_id=child.id, part=number, source_path="ann") for number in (0, 1)]
    for one, carried in ((parent, 0), (parts[0], 3), (parts[1], 4), (child, 7), (job, 20)):
        with database.begin() as tx:
            run = executions.add(tx, job_id=one.id, trigger="cli", policies="{}", state="executing")
            executions.change(tx, run.id, transferred=carried)
            executions.move(tx, run.id, ("executing",), "complete", result="clean")

    def carried_by(*several: Job) -> int:
        ids = [one.id for one in several] if several else None
        with database.read() as tx:
            return sum(day.transferred for day in executions.carried_per_day(tx, 0, ids))

    assert (
        carried_by(child) == carried_by(child, *parts) == carried_by(parent) == carried_by(parent, child, *parts) == 7
    )
    assert carried_by(parts[1]) == 4
    assert carried_by() == carried_by(job, parent) == 27
    with database.read() as tx:
        assert executions.carried_since(tx, 0).transferred == 27
