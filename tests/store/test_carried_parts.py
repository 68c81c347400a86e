"""Who carried which part of a huge file is known while it is under way, and after its tasks are gone."""

from tallyport.domain.executions import Execution
from tallyport.store import carried_parts, frontier
from tallyport.store.carried_parts import PartRow
from tallyport.store.database import Database

ITEM, PART = 77, 64 << 20


def queue(database: Database, execution: Execution, count: int, first: int = 1) -> None:
    with database.begin() as tx:
        frontier.add_tasks(
            tx,
            database,
            [
                (first + n, execution.id, "part", ITEM, 1, b"big", b"big", 0, 0, n * PART, PART, "t", b"", "pending")
                for n in range(count)
            ],
        )


def claim(database: Database, execution: Execution, worker: str, count: int) -> list[int]:
    with database.begin() as tx:
        batch = frontier.add_batch(tx, execution.id, "parts")
        assert frontier.take_batch(tx, batch.id, batch.epoch, worker)
        taken = frontier.claim_tasks(tx, database, execution.id, batch.id, ("part",), count, count * PART)
        return [one.id for one in taken]


def carry(database: Database, task_id: int, at: int) -> None:
    with database.begin() as tx:
        carried_parts.note(tx, database, task_id, at)
        frontier.end_task(tx, task_id, "done", hash=b"h")


def known(database: Database, *, after: int = -1, limit: int = 100) -> list[PartRow]:
    with database.read() as tx:
        return list(carried_parts.page(tx, database, ITEM, after=after, limit=limit))


def test_parts_are_told_with_their_worker_while_they_are_under_way(database: Database, execution: Execution) -> None:
    queue(database, execution, 4)
    ann = claim(database, execution, "ann", 2)
    claim(database, execution, "bob", 1)
    carry(database, ann[0], 1_000)
    assert known(database) == [
        PartRow(0, PART, "carried", "ann", 1_000, execution.id),
        PartRow(PART, PART, "under_way", "ann", None, execution.id),
        PartRow(2 * PART, PART, "under_way", "bob", None, execution.id),
        PartRow(3 * PART, PART, "waiting", "", None, execution.id),
    ]
    assert [one.start for one in known(database, after=PART, limit=1)] == [2 * PART]


def test_they_are_told_after_the_run_with_sums_for_each_worker(database: Database, execution: Execution) -> None:
    queue(database, execution, 3)
    for at, task_id in enumerate(claim(database, execution, "ann", 2) + claim(database, execution, "bob", 1), 5):
        carry(database, task_id, at)
    with database.begin() as tx:
        frontier.purge(tx, execution.id)
        shares = carried_parts.shares(tx, database, ITEM)
    assert [one.worker for one in known(database)] == ["ann", "ann", "bob"]
    assert [(one.worker, one.state, one.parts, one.size, one.last_at) for one in shares] == [
        ("ann", "carried", 2, 2 * PART, 6),
        ("bob", "carried", 1, PART, 7),
    ]


def test_a_part_that_is_carried_again_is_told_once(database: Database, execution: Execution) -> None:
    queue(database, execution, 1)
    (task_id,) = claim(database, execution, "ann", 1)
    carry(database, task_id, 1)
    with database.begin() as tx:
        frontier.end_task(tx, task_id, "pending")
    assert claim(database, execution, "bob", 1) == [task_id]
    carry(database, task_id, 2)
    assert [(one.worker, one.carried_at) for one in known(database)] == [("bob", 2)]
    with database.begin() as tx:
        carried_parts.forget(tx, database, ITEM)
    assert known(database) == []
