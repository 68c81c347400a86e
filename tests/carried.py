"""A huge file of a ledger, carried in parts by workers of any names."""

from collections.abc import Sequence

from tallyport.store import carried_parts, frontier
from tallyport.store.database import Database

PART = 64 << 20


def carry_parts(
    database: Database, execution_id: int, item_id: int, carried: Sequence[str], under_way: Sequence[str], waiting: int
) -> None:
    """Queue parts, one for each worker named and some that wait, and carry those of ``carried``."""
    total = len(carried) + len(under_way) + waiting
    with database.begin() as tx:
        rows = [
            (item_id + n, execution_id, "part", item_id, 1, b"big", b"big", 0, 0, n * PART, PART, "t", b"", "pending")
            for n in range(total)
        ]
        frontier.add_tasks(tx, database, rows)
        for at, worker in enumerate((*carried, *under_way)):
            batch = frontier.add_batch(tx, execution_id, "parts")
            frontier.take_batch(tx, batch.id, batch.epoch, worker)
            (task,) = frontier.claim_tasks(tx, database, execution_id, batch.id, ("part",), 1, PART)
            if at < len(carried):
                carried_parts.note(tx, database, task.id, 1_700_000_000_000_000 + at)
                frontier.end_task(tx, task.id, "done", hash=b"h")
