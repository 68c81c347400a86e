"""Who carried which part of a huge file: what is left of its tasks once they are done and dropped."""

from collections.abc import Sequence
from typing import NamedTuple

from tallyport.store.database import Database
from tallyport.store.phrases import sa

_NOTE = """
INSERT INTO carried_parts (item_id, start, execution_id, size, worker, carried_at)
SELECT tasks.item_id, tasks.start, tasks.execution_id, tasks.size, coalesce(batches.owner, ''), ?
FROM tasks JOIN batches ON batches.id = tasks.batch_id WHERE tasks.id = ?
ON CONFLICT (item_id, start) DO UPDATE SET execution_id = excluded.execution_id, size = excluded.size,
    worker = excluded.worker, carried_at = excluded.carried_at
"""
_KNOWN = """
SELECT start, size, 'done' AS state, worker, carried_at, execution_id FROM carried_parts WHERE item_id = ?
UNION ALL
SELECT tasks.start, tasks.size, tasks.state, coalesce(batches.owner, ''), NULL, tasks.execution_id
FROM tasks LEFT JOIN batches ON batches.id = tasks.batch_id
WHERE tasks.item_id = ? AND tasks.task = 'part' AND tasks.state <> 'done'
"""
_PAGE = f"SELECT * FROM ({_KNOWN}) AS known WHERE start > ? ORDER BY start LIMIT ?"
_SHARES = f"""
SELECT worker, state, count(*), coalesce(sum(size), 0), max(carried_at), max(execution_id) FROM ({_KNOWN}) AS known
GROUP BY worker, state ORDER BY worker = '', worker, state DESC
"""


STATES = {"pending": "waiting", "claimed": "under_way", "done": "carried", "failed": "failed"}  # of a task, of a part


class PartRow(NamedTuple):
    """One part of a huge file."""

    start: int  # offset in bytes
    size: int
    state: str  # a word of STATES
    worker: str  # that carried it or is at it; empty while nobody is
    carried_at: int | None
    execution_id: int


class Share(NamedTuple):
    """What one worker has of a huge file in one state."""

    worker: str
    state: str
    parts: int
    size: int
    last_at: int | None
    execution_id: int


def note(tx: sa.Connection, database: Database, task_id: int, at: int) -> None:
    """Write down who carried a part, while its task still says who holds it."""
    tx.exec_driver_sql(database.sql(_NOTE), (at, task_id))


def forget(tx: sa.Connection, database: Database, item_id: int) -> None:
    """Forget the parts of a file that is carried anew."""
    tx.exec_driver_sql(database.sql("DELETE FROM carried_parts WHERE item_id = ?"), (item_id,))


def page(tx: sa.Connection, database: Database, item_id: int, *, after: int = -1, limit: int) -> Sequence[PartRow]:
    """Give parts of a file in the order of their ranges: those that were carried, and those that are to be."""
    found = tx.exec_driver_sql(database.sql(_PAGE), (item_id, item_id, after, limit))
    return [PartRow(*row)._replace(state=STATES[row[2]]) for row in found]


def shares(tx: sa.Connection, database: Database, item_id: int) -> Sequence[Share]:
    """Sum up who carried how much of a file; nothing for one that went whole."""
    found = tx.exec_driver_sql(database.sql(_SHARES), (item_id, item_id))
    return [Share(row[0], STATES[row[1]], int(row[2]), int(row[3]), row[4], int(row[5])) for row in found]
