"""Several engines on one PostgreSQL: the window of each job is exact, and a commit without an answer counts once."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.memory_tree import forget
from tallyport.control import executions as runs
from tallyport.control import jobs as control
from tallyport.control.desk import OWNER, Desk
from tallyport.domain import parts
from tallyport.domain.connections import Connection
from tallyport.domain.jobs import Job
from tallyport.domain.policies_json import policies_to_json
from tallyport.engine.dispatch import InlineDispatcher
from tallyport.engine.engine import Crews, Engine
from tallyport.engine.recorder import Fenced, Recorder
from tallyport.engine.roster import Roster
from tallyport.engine.thread_crew import ThreadCrew
from tallyport.store import connections, executions, frontier, jobs
from tallyport.store.database import Database, open_database
from tallyport.store.ids import Ids
from tallyport.testing.postgres import PostgresServer
from tallyport.testing.worlds import differences, tree
from tests.engine.conftest import copy

pytestmark = pytest.mark.needs("pg_ctlcluster")


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    opened = open_database(postgres.create())
    yield opened
    opened.close()


@pytest.fixture
def engines(database: Database) -> Iterator[list[Engine]]:
    made = [
        Engine(
            database,
            InlineDispatcher(8, 0.2),
            Crews(ThreadCrew(2, leased=True), ThreadCrew(2, leased=True)),
            roster=Roster(database),
        )
        for _ in range(4)
    ]
    for engine in made:
        engine.start()
    yield made
    for engine in made:
        engine.stop()


def world(database: Database, name: str) -> tuple[Job, Memory, Memory]:
    """Make a job between two memory worlds."""
    ends = []
    with database.begin() as tx:
        for side in ("source", "destination"):
            made = Connection(
                id=connections.new_id(),
                name=f"{name} {side}",
                platform="memory",
                settings={"store": f"{name}-{side}"},
                created_at=1,
                modified_at=1,
            )
            connections.add(tx, made)
            ends.append(made.id)
        job = jobs.add(
            tx,
            Job(
                id=jobs.new_id(),
                name=name,
                transfer_type="copy",
                source_connection=ends[0],
                destination_connection=ends[1],
                created_at=1,
                modified_at=1,
            ),
        )
    return job, Memory(Settings(store=f"{name}-source")), Memory(Settings(store=f"{name}-destination"))


def test_three_jobs_on_four_engines_keep_to_their_windows_and_end_equal(
    database: Database, engines: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds = [world(database, f"w{number}") for number in range(3)]
    started = []
    for job, source, _ in worlds:
        tree("\n".join(f"d{n:03}/f{k}.txt {5 + k}b v1" for n in range(60) for k in range(4)), source)
        with database.begin() as tx:
            policies = policies_to_json(copy(parallel_writes=3))
            started.append(executions.add(tx, job_id=job.id, trigger="cli", policies=policies).id)
    most = dict.fromkeys(started, 0)
    deadline = time.monotonic() + 90
    while True:
        with database.read() as tx:
            running = tx.exec_driver_sql(
                "SELECT execution_id, count(*) FROM batches WHERE state <> 'done' GROUP BY execution_id"
            ).all()
            ended = [executions.find(tx, number) for number in started]
        for execution_id, count in running:
            most[execution_id] = max(most[execution_id], count)
        if all(execution is not None and execution.has_ended for execution in ended):
            break
        assert time.monotonic() < deadline, ended
        time.sleep(0.005)
    assert all(0 < seen <= 3 for seen in most.values()), most
    for (_, source, destination), execution in zip(worlds, ended, strict=True):
        assert execution is not None
        assert (execution.state, execution.files, execution.transferred) == ("complete", 240, 240)
        assert differences(source, destination) == []
    for number in range(3):
        forget(f"w{number}-source")
        forget(f"w{number}-destination")


def test_a_heavy_job_is_split_once_whatever_the_number_of_engines_and_gives_one_report(
    database: Database, engines: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_ITEMS", 30)
    ends, source, destination = world(database, "heavy")
    tree("\n".join(f"d{n:02}/f{k}.txt {5 + k}b v1" for n in range(12) for k in range(6)), source)
    desk = Desk(database=database, nudge=lambda: None)
    sides = {"source": ends.source_connection, "destination": ends.destination_connection}
    transfer: dict[str, Any] = {side: {"connection": {"id": number}} for side, number in sides.items()}
    transfer |= {"transfer_type": "copy", "performance": {"split": "auto", "parallel_writes": {"requested": 8}}}
    job_id = control.create(desk, {"name": "heavy", "transfer": transfer}, OWNER).picture.job.id
    runs.start(desk, job_id, OWNER)
    deadline = time.monotonic() + 90
    while True:
        with database.read() as tx:
            job = jobs.find(tx, job_id)
            run = executions.find(tx, job.execution_id or 0) if job is not None else None
            made = jobs.parts(tx, job_id)
        if run is not None and run.has_ended:
            break
        assert time.monotonic() < deadline, run
        time.sleep(0.01)
    assert [part.part for part in made] == [0, 1, 2]  # 84 items
    assert (run.state, run.result, run.files, run.transferred) == ("complete", "clean", 72, 72)
    assert run.info == "3 parts: 3 complete, 0 failed, 0 canceled"
    assert differences(source, destination) == []


def test_a_batch_whose_thread_fell_over_an_outage_is_given_back_with_the_next_beat(
    database: Database, engines: list[Engine]
) -> None:
    job, source, _ = world(database, "fell")
    tree("a.txt 3b v1\nb/c.txt 4b v1", source)
    with database.begin() as tx:
        execution = executions.add(tx, job_id=job.id, trigger="cli", policies=policies_to_json(copy()), state="paused")
        batch = frontier.add_batch(tx, execution.id, "enumerate")
        frontier.take_batch(tx, batch.id, batch.epoch, engines[0].owner)
    assert engines[0]._taker is not None
    engines[0]._taker.give_back()
    with database.begin() as tx:
        assert frontier.open_batches(tx) == []
        assert not frontier.holds(tx, database, batch.id, batch.epoch)


class Lost(sa.exc.OperationalError):
    """A connection that was cut."""

    def __init__(self) -> None:
        super().__init__("COMMIT", {}, ConnectionResetError("cut"), connection_invalidated=True)


@pytest.fixture
def batch(database: Database) -> frontier.BatchRow:
    job, _, _ = world(database, "recorded")
    with database.begin() as tx:
        execution = executions.add(tx, job_id=job.id, trigger="cli", policies="{}")
        made = frontier.add_batch(tx, execution.id, "enumerate")
        frontier.take_batch(tx, made.id, made.epoch, "me")
    return made


def commits(database: Database, batch: frontier.BatchRow) -> int | None:
    with database.read() as tx:
        return frontier.commits(tx, batch.id, batch.epoch)


def recorder_of(database: Database, batch: frontier.BatchRow) -> Recorder:
    return Recorder(database, Ids(), None, batch.id, batch.epoch)  # type: ignore[arg-type]


@pytest.mark.parametrize("is_made", [True, False])
def test_a_commit_whose_answer_was_lost_is_made_exactly_once(
    database: Database, batch: frontier.BatchRow, is_made: bool
) -> None:
    recorder = recorder_of(database, batch)
    calls = 0

    def act() -> str:
        nonlocal calls
        calls += 1
        if calls == 1 and not is_made:
            raise Lost
        with database.begin() as tx:
            assert frontier.holds(tx, database, batch.id, batch.epoch)
        if calls == 1:
            raise Lost
        return "answer"

    assert recorder.surely(act, lost="lost", stopped=lambda: False) == ("lost" if is_made else "answer")
    assert commits(database, batch) == 1
    assert recorder.surely(act, lost="lost", stopped=lambda: False) == "answer"
    assert commits(database, batch) == 2


def test_whoever_was_fenced_while_the_store_was_away_stops(database: Database, batch: frontier.BatchRow) -> None:
    def act() -> None:
        with database.begin() as tx:
            frontier.fence(tx, batch.id)
        raise Lost

    with pytest.raises(Fenced):
        recorder_of(database, batch).surely(act, lost=None, stopped=lambda: False)
