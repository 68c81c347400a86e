"""The database itself counts what is failed in each job, whoever changes the items and in whatever order."""

import random
import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from tallyport.domain.executions import Execution
from tallyport.domain.items import FAILED, Status
from tallyport.domain.jobs import Job
from tallyport.store import items, jobs, unresolved
from tallyport.store.database import Database
from tallyport.store.tables import unresolved as table
from tests.store.test_items import row

STATUSES = [int(status) for status in Status]


def counted(tx: sa.Connection, job: int) -> int:
    """Count the items of a job that are failed, one by one."""
    found = items.totals(tx, job)
    return sum(found[int(status)].count for status in FAILED if int(status) in found)


@pytest.fixture
def other(database: Database, job: Job) -> Job:
    with database.begin() as tx:
        return jobs.add(tx, Job(id=jobs.new_id(), name="other", created_at=1, modified_at=1))


@pytest.mark.parametrize("seed", range(4))
def test_the_number_is_that_of_the_items_after_anything_that_changes_them(
    database: Database, job: Job, other: Job, execution: Execution, seed: int
) -> None:
    chance = random.Random(seed)
    fresh = iter(range(1, 100_000))

    def commit(tx: sa.Connection, number: int) -> None:
        names = [f"f{chance.randrange(60)}" for _ in range(chance.choice((1, 30, 150)))]
        values = [row(next(fresh), number, number, name, status=chance.choice(STATUSES)) for name in names]
        items.upsert(tx, database, values)

    def fill(tx: sa.Connection, number: int) -> None:
        names = {f"f{chance.randrange(60)}".encode() for _ in range(20)}
        filled = [(next(fresh), number, name, 3, *(None,) * 6) for name in names]
        items.add_filled(tx, database, filled, number, 3, execution.id, 1)

    def ignore(tx: sa.Connection, number: int) -> None:
        items.set_status(tx, number, Status.IGNORED, "ignored", statuses=(Status.RETRY, Status.FLAGGED))

    def ignore_some(tx: sa.Connection, number: int) -> None:
        ids = [one.id for one in items.page(tx, number, limit=7)]
        items.set_status(tx, number, Status.IGNORED, "ignored", statuses=STATUSES, ids=ids)

    def retry(tx: sa.Connection, number: int) -> None:
        items.set_status(tx, number, Status.RETRY, "again", statuses=(Status.FLAGGED, Status.IGNORED), text="f1")

    def leave(tx: sa.Connection, number: int) -> None:
        items.delete(tx, [one.id for one in items.page(tx, number, limit=9, after=chance.randrange(9_999))])

    def reset(tx: sa.Connection, number: int) -> None:
        if chance.random() < 0.2:
            items.forget(tx, number)

    changes: list[Callable[[sa.Connection, int], None]]
    changes = [commit, commit, commit, fill, ignore, ignore_some, retry, leave, reset]
    for _ in range(40):
        undone = chance.random() < 0.2
        try:
            with database.begin() as tx:
                for change in chance.choices(changes, k=chance.randrange(1, 4)):
                    change(tx, chance.choice((job.number, other.number)))
                for number in (job.number, other.number):
                    assert unresolved.count(tx, number) == counted(tx, number)
                if undone:
                    raise RuntimeError
        except RuntimeError:
            assert undone
        with database.read() as tx:
            found = {number: counted(tx, number) for number in (job.number, other.number)}
            assert unresolved.count_each(tx, found) == {number: n for number, n in found.items() if n}
    with database.begin() as tx:
        assert unresolved.recount(tx, database) == []


def test_what_several_change_at_once_is_all_counted(database: Database, job: Job) -> None:
    def work(place: int) -> None:
        for turn in range(12):
            status = Status.RETRY if turn % 3 else Status.SUCCESS
            values = [row(place * 1_000 + n, job.number, place, f"f{n}", status=status) for n in range(place * 5)]
            with database.begin() as tx:
                items.upsert(tx, database, values)

    threads = [threading.Thread(target=work, args=(place,)) for place in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.begin() as tx:
        assert unresolved.count(tx, job.number) == counted(tx, job.number) == 50
        assert unresolved.recount(tx, database) == []


def test_a_number_that_went_wrong_is_set_right(database: Database, job: Job, other: Job) -> None:
    with database.begin() as tx:
        items.upsert(tx, database, [row(n, job.number, 1, f"f{n}", status=3) for n in range(1, 4)])
        tx.execute(sa.update(table).values(number=9))
        tx.execute(sa.insert(table).values(job=other.number, number=-2))
    with database.begin() as tx:
        found = unresolved.recount(tx, database)
        assert found == [unresolved.Differing(job.number, 9, 3), unresolved.Differing(other.number, -2, 0)]
        assert unresolved.recount(tx, database) == []
        assert unresolved.count_each(tx, [job.number, other.number]) == {job.number: 3}
