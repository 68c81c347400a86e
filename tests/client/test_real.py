"""The client against the real API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tallyport.client import Client, Connection, Invalid, Job, NotFound, NotSignedIn, TimedOut
from tallyport.domain.paths import to_bytes
from tallyport.store import executions, failures, items, jobs, widths
from tallyport.store.database import Database
from tallyport.store.ids import Ids
from tests.carried import PART, carry_parts
from tests.client.server import Served, finish


@pytest.fixture
def client(served: Served) -> Iterator[Client]:
    served.play = finish
    with Client(served.url, served.token) as found:
        yield found


@pytest.fixture
def ends(client: Client, tmp_path: Path) -> tuple[Connection, Connection]:
    for name in ("source", "destination"):
        (tmp_path / name).mkdir()
    return (
        client.connections.create("fs", {"path": str(tmp_path / "source")}, name="the source"),
        client.connections.create("fs", {"path": str(tmp_path / "destination")}),
    )


@pytest.fixture
def job(client: Client, ends: tuple[Connection, Connection]) -> Job:
    return client.jobs.create(name="the job", source=ends[0], destination=ends[1], transfer_type="copy")


def failing(database: Database, run: int) -> None:
    """End a run with one failed item."""
    with database.begin() as tx:
        executions.move(tx, run, ("ready",), "executing")
        execution = executions.find(tx, run)
        assert execution is not None
        job = jobs.find(tx, execution.job_id)
        assert job is not None
        ids = Ids()
        root, item = ids.take(), ids.take()
        nothing = (None,) * 7
        items.upsert(
            tx,
            database,
            [(root, job.number, 0, b"", 2, 1, "unchanged", 0, *nothing, 0, None, None, None, run, 1, 0)],
        )
        items.add_containers(tx, database, [(root, job.number, 0, b"", b"", run)])
        name = to_bytes("secret")
        row = (item, job.number, root, name, 1, 4, "permission_denied", 1, 5, 6, *nothing[:5])
        items.upsert(tx, database, [(*row, 0, None, None, "cannot read secret: Permission denied", run, 1, 0)])
        failures.write(
            tx, database, [(run, item, name, 1, 4, "permission_denied", "cannot read secret: denied", 5, 6, 1, 7)]
        )
        executions.move(tx, run, ("executing",), "complete", result="errors", failed=1)


def test_health_needs_no_token(served: Served) -> None:
    with Client(served.url) as client:
        assert client.health()["status"] == "ok"


def test_a_wrong_token_is_told_apart(served: Served) -> None:
    with Client(served.url, "wrong") as client, pytest.raises(NotSignedIn):
        list(client.jobs.list())


def test_connections_come_and_go(client: Client, ends: tuple[Connection, Connection]) -> None:
    source = ends[0]
    assert (source.name, source.platform) == ("the source", "fs")
    assert client.connections.get(source.id).name == "the source"
    assert source.id in {connection.id for connection in client.connections.list(platform="fs")}
    client.connections.delete(source.id)
    with pytest.raises(NotFound):
        client.connections.get(source.id)


def test_a_connection_to_nowhere_is_invalid_and_make_makes_it(client: Client, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as caught:
        client.connections.create("fs", {"path": str(tmp_path / "nowhere")})
    assert caught.value.problems
    client.connections.create("fs", {"path": str(tmp_path / "nowhere")}, make=True)
    assert (tmp_path / "nowhere").is_dir()


def test_a_job_is_made_started_and_waited_for(client: Client, job: Job) -> None:
    assert (job.name, job.state, job.execution) == ("the job", "created", None)
    client.jobs.start(job)
    ended = client.jobs.wait(job, timeout=60)
    assert (ended.state, ended.has_ended) == ("complete", True)
    assert ended.execution is not None
    assert list(client.failed_items(ended)) == []
    (listed,) = [one for one in client.jobs.list() if one.id == job.id]
    assert (listed.state, listed.execution) == (ended.state, ended.execution)


def test_a_job_that_is_none_is_invalid_with_the_place(client: Client, ends: tuple[Connection, Connection]) -> None:
    with pytest.raises(Invalid) as caught:
        client.jobs.create(name="x", source=ends[0], destination=ends[1], policies={"conflict_resolution": "newest"})
    assert any("conflict_resolution" in problem.path for problem in caught.value.problems)
    with pytest.raises(NotFound):
        client.jobs.get("f" * 32)


def test_failed_items_are_listed_grouped_and_tried_again(served: Served, client: Client, job: Job) -> None:
    served.play = failing
    client.jobs.start(job)
    ended = client.jobs.wait(job, timeout=60)
    (failed,) = client.failed_items(ended)
    assert failed.entity.endswith("/secret")
    assert "denied" in failed.reason
    (group,) = client.jobs.failed(job)
    assert group.count == 1
    (item,) = client.items.iterate(job, status="remediation")
    assert item.path.endswith("secret")
    served.play = finish
    client.jobs.retry(job)
    again = client.jobs.wait(job, timeout=60)
    assert again.execution != ended.execution


def test_the_parts_of_a_huge_file_are_listed_with_their_workers(served: Served, client: Client, job: Job) -> None:
    served.play = failing
    client.jobs.start(job)
    client.jobs.wait(job, timeout=60)
    (item,) = client.items.iterate(job, status="remediation")
    assert list(client.items.parts(item)) == []
    carry_parts(served.database, 1, int(item.id), ["ann", "bob"], [], 1)
    parts = list(client.items.parts(item.id))
    assert [(one["start"], one["state"], one.get("worker")) for one in parts] == [
        (0, "carried", "ann"),
        (PART, "carried", "bob"),
        (2 * PART, "waiting", None),
    ]


def test_traffic_says_what_the_next_one_begins_with(served: Served, client: Client, job: Job) -> None:
    (connection, *_) = client.connections.list()
    assert client.connections.traffic(connection.id)["start"] is None
    with served.database.begin() as tx:
        widths.note(tx, served.database, connection.id, "ann", 7, 0.0)
    assert client.connections.traffic(connection.id)["start"]["places"] == 7


def test_a_run_is_paused_resumed_and_canceled(served: Served, client: Client, job: Job) -> None:
    def stops(database: Database, run: int) -> None:
        with database.begin() as tx:
            executions.move(tx, run, ("ready",), "executing")
            executions.move(tx, run, ("pausing",), "paused")
            executions.move(tx, run, ("canceling",), "canceled")

    served.play = stops
    client.jobs.start(job)
    with pytest.raises(TimedOut):
        client.jobs.wait(job, timeout=0.1)
    client.jobs.pause(job)
    assert client.jobs.wait(job, timeout=60).is_paused
    assert not client.jobs.resume(job).is_paused
    client.jobs.cancel(job)
    assert client.jobs.wait(job, timeout=60).state == "canceled"


def test_a_job_is_renamed_and_deleted(client: Client, job: Job) -> None:
    assert client.jobs.patch(job, {"name": "another"}).name == "another"
    client.jobs.delete(job)
    with pytest.raises(NotFound):
        client.jobs.get(job)


def test_a_run_is_held_against_both_ends(served: Served, client: Client, job: Job, tmp_path: Path) -> None:
    def with_a_root(database: Database, run: int) -> None:
        failing(database, run)
        with database.begin() as tx:
            execution = executions.find(tx, run)
            assert execution is not None
            found = jobs.find(tx, execution.job_id)
            assert found is not None
            root = items.at_path(tx, found.number, "")
            assert root is not None
            jobs.change(tx, found.id, root_item_id=root.id)

    served.play = with_a_root
    client.jobs.start(job)
    (tmp_path / "source" / "secret").write_text("x")
    (tmp_path / "source" / "new").write_text("x")
    run = next(iter(client.jobs.history(job)))["id"]
    found = client.jobs.reconcile(run, timeout=60)
    assert (found["failed"], found["paths"]["unknown"]) == ({"permission_denied": 1}, ["/new"])
