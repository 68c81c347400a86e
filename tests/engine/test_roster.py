"""Workers know of each other by their beats, and take over what a dead one held."""

from collections.abc import Callable, Iterator

import pytest

from tallyport.domain.connections import Connection
from tallyport.domain.jobs import Job
from tallyport.engine.lease import clock
from tallyport.engine.roster import Roster, task_id
from tallyport.store import connections, executions, frontier, jobs, workers
from tallyport.store.database import Database, open_database
from tallyport.testing.postgres import PostgresServer

pytestmark = pytest.mark.needs("pg_ctlcluster")


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    opened = open_database(postgres.create())
    yield opened
    opened.close()


@pytest.fixture
def execution(database: Database) -> int:
    with database.begin() as tx:
        folder = Connection(
            id=connections.new_id(), name="folder", platform="fs", settings={"path": "/x"}, created_at=1, modified_at=1
        )
        connections.add(tx, folder)
        ends = {"source_connection": folder.id, "destination_connection": folder.id}
        job = jobs.add(tx, Job(id=jobs.new_id(), name="job", transfer_type="copy", created_at=1, modified_at=1, **ends))
        return executions.add(tx, job_id=job.id, trigger="cli", policies="{}").id


def joined(database: Database, ends: list[int] | None = None, *, width: int = 2, patience: float = 30.0) -> Roster:
    """Put a worker on the list; its own thread has nothing to do for an hour."""
    roster = Roster(database, beat=3_600.0, patience=patience)
    roster.join(width=width, renew=(ends if ends is not None else []).append, orphaned=lambda tasks: None)
    return roster


def hold(database: Database, execution: int, owner: str) -> frontier.BatchRow:
    with database.begin() as tx:
        batch = frontier.add_batch(tx, execution, "enumerate")
        assert frontier.take_batch(tx, batch.id, batch.epoch, owner) == execution
    return batch


def silence(database: Database, roster: Roster, seconds: int) -> None:
    """Let a worker have beaten last so long ago."""
    with database.begin() as tx:
        tx.exec_driver_sql(
            "UPDATE workers SET beat_at = beat_at - %s WHERE id = %s", (seconds * 1_000_000, roster.owner)
        )


def test_a_worker_is_on_the_list_before_it_takes_work_and_off_it_when_it_leaves(database: Database) -> None:
    roster = joined(database, width=3)
    with database.read() as tx:
        (row,) = workers.everyone(tx)
        assert (row.id, row.width, row.draining) == (roster.owner, 3, False)
        assert (roster.living(tx), roster.width(tx)) == ({roster.owner}, 3)
    roster.leave()
    with database.read() as tx:
        assert workers.everyone(tx) == []


def test_the_lease_ends_before_others_give_the_worker_up(database: Database) -> None:
    ends: list[int] = []
    before = clock()
    joined(database, ends, patience=30.0)
    assert before < ends[0] < before + 30_000_000_000


def test_the_batch_of_a_silent_worker_is_taken_away_and_its_holder_fenced(database: Database, execution: int) -> None:
    silent, other = joined(database), joined(database)
    batch = hold(database, execution, silent.owner)
    assert other.sweep() == []
    silence(database, silent, 31)
    assert other.sweep() == [task_id(batch)]
    with database.begin() as tx:
        assert not frontier.holds(tx, database, batch.id, batch.epoch)
        assert frontier.open_batches(tx) == []


def test_what_a_living_worker_holds_is_left_alone(database: Database, execution: int) -> None:
    one, other = joined(database), joined(database)
    batch = hold(database, execution, one.owner)
    silence(database, one, 20)
    assert other.sweep() == []
    with database.begin() as tx:
        assert frontier.holds(tx, database, batch.id, batch.epoch)


def test_a_worker_that_was_itself_stalled_judges_nobody(database: Database, execution: int) -> None:
    stalled, other = joined(database, patience=30.0), joined(database)
    hold(database, execution, other.owner)
    silence(database, other, 31)
    stalled._beaten = clock() - 31_000_000_000
    assert stalled.sweep() == []


@pytest.fixture
def shift(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have the database's clock be so many seconds ahead."""
    real = workers.now

    def ahead(seconds: int) -> None:
        monkeypatch.setattr(workers, "now", lambda tx, database: real(tx, database) + seconds * 1_000_000)

    return ahead


def test_a_dead_worker_is_found_after_the_patience_although_the_clock_of_the_database_was_set_back(
    database: Database, execution: int, shift: Callable[[int], None]
) -> None:
    shift(7_200)
    dead, other = joined(database), joined(database)
    batch = hold(database, execution, dead.owner)
    shift(0)
    other._beat()
    assert other.sweep() == [], "it may live, and has had no time to beat by the new clock"
    shift(31)  # that long later
    other._beat()
    other._doubts_until = 0
    assert other.sweep() == [task_id(batch)]


def test_nobody_is_given_up_because_the_clock_of_the_database_was_set_ahead(
    database: Database, execution: int, shift: Callable[[int], None]
) -> None:
    one, other = joined(database), joined(database)
    batch = hold(database, execution, one.owner)
    shift(7_200)
    other._beat()
    assert other.sweep() == [], "its lease goes on, and it beats within seconds"
    with database.begin() as tx:
        assert frontier.holds(tx, database, batch.id, batch.epoch)
    other._doubts_until = 0  # a patience later by its own clock, and no beat since
    assert other.sweep() == [task_id(batch)]


def test_a_draining_worker_counts_for_no_width(database: Database) -> None:
    one, other = joined(database, width=2), joined(database, width=5)
    other.drain()
    other._beat()
    with database.read() as tx:
        assert one.width(tx) == 2
        assert one.living(tx) == {one.owner, other.owner}
