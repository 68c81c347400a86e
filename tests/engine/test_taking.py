"""Each worker holds its own width, whatever the others hold, and lets go of what is in nobody's hand."""

from collections.abc import Iterator

import pytest

from tallyport.engine.dispatch import TaskRef
from tallyport.engine.roster import Roster
from tallyport.engine.taking import BEGINS, Taker, take_seconds
from tallyport.store import executions, frontier
from tallyport.store.database import Database, open_database
from tallyport.testing.postgres import PostgresServer
from tests.engine.test_many_engines import world

pytestmark = pytest.mark.needs("pg_ctlcluster")


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    opened = open_database(postgres.create())
    yield opened
    opened.close()


@pytest.fixture
def execution(database: Database) -> int:
    job, _, _ = world(database, "taken")
    with database.begin() as tx:
        return executions.add(tx, job_id=job.id, trigger="cli", policies="{}").id


class Desk:
    """One worker's end: what it was handed is in its hand until it is told to put it down."""

    def __init__(self, database: Database, width: int, *labels: str) -> None:
        self.handed: list[TaskRef] = []
        self.may_take = True
        self.now = 0.0
        roster = Roster(database, labels=labels)
        self.owner = roster.owner
        self.taker = Taker(database, roster, width, self.handed.extend, lambda: self.may_take, clock=lambda: self.now)

    def put_down(self) -> None:
        """End the oldest batch in hand, as a worker's thread does."""
        with self.taker.holding(self.handed.pop(0)):
            pass


def ready(database: Database, execution: int, count: int, queue: str = "transfer", **how: str) -> list[int]:
    with database.begin() as tx:
        return [frontier.add_batch(tx, execution, queue, **how).id for _ in range(count)]


def owners(database: Database) -> list[str | None]:
    with database.read() as tx:
        return [batch.owner for batch in frontier.open_batches(tx)]


def test_workers_of_different_width_each_hold_their_own(database: Database, execution: int) -> None:
    narrow, wide = Desk(database, 1), Desk(database, 5)
    ready(database, execution, 9)
    for _ in range(3):
        narrow.taker.take()
        wide.taker.take()
    assert (len(narrow.handed), len(wide.handed)) == (1, 5)
    assert owners(database) == [narrow.owner, *[wide.owner] * 5, None, None, None]
    narrow.put_down()
    for _ in range(3):
        wide.taker.take()
        narrow.taker.take()
    assert (len(narrow.handed), len(wide.handed)) == (1, 5)


def test_each_queue_has_the_whole_width(database: Database, execution: int) -> None:
    desk = Desk(database, 2)
    ready(database, execution, 4, "enumerate")
    ready(database, execution, 4, "transfer")
    desk.taker.take()
    assert sorted(task.queue for task in desk.handed) == ["enumerate", "enumerate", "transfer", "transfer"]


def test_a_worker_takes_nothing_that_it_cannot_reach_and_nothing_without_a_lease(
    database: Database, execution: int
) -> None:
    plain, nas = Desk(database, 4), Desk(database, 4, "nas")
    ready(database, execution, 1, labels="nas")
    nas.may_take = False
    assert plain.taker.take() == nas.taker.take() == []
    nas.may_take = True
    assert len(nas.taker.take()) == 1


def test_what_is_in_hand_is_kept_and_the_rest_given_back(database: Database, execution: int) -> None:
    desk = Desk(database, 4)
    kept, fell = ready(database, execution, 2)
    desk.taker.take()
    desk.taker.give_back()
    assert owners(database) == [desk.owner] * 2
    with desk.taker.holding(next(task for task in desk.handed if task.batch_id == fell)):
        pass  # its thread fell: the store still says that it is ours
    desk.taker.give_back()
    with database.read() as tx:
        assert [batch.id for batch in frontier.open_batches(tx)] == [kept]
    desk.taker.let_go()
    assert owners(database) == []


def test_what_the_dispatcher_never_begins_is_given_back_and_leaves_room(database: Database, execution: int) -> None:
    desk = Desk(database, 2)
    ready(database, execution, 3)
    desk.taker.take()
    begun, dropped = desk.handed
    desk.now = BEGINS - 1
    with desk.taker.holding(begun):
        desk.taker.give_back()
        assert owners(database) == [desk.owner, desk.owner, None]
        desk.now = BEGINS + 1
        desk.taker.give_back()
        with database.read() as tx:
            assert dropped.batch_id not in [batch.id for batch in frontier.open_batches(tx)]
        assert len(desk.taker.take()) == 1
    with desk.taker.holding(dropped), database.begin() as tx:  # begun after all: it is nobody's any more
        assert frontier.take_batch(tx, dropped.batch_id, dropped.epoch, desk.owner) is None


def test_a_large_fleet_looks_less_often_each() -> None:
    assert take_seconds(1) == take_seconds(10)
    assert take_seconds(1_000) == 10.0
