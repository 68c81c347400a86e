"""How many calls at once suit a connection, as each worker found: what the next one begins with.

Times are the database's own, as those of workers.
"""

from typing import NamedTuple

from tallyport.domain.width import DAY
from tallyport.store import workers
from tallyport.store.database import Database
from tallyport.store.phrases import sa

HEARD = 120  # seconds since a worker's last beat in which it is shown

_NOTE = """
INSERT INTO widths (connection_id, worker, places, waits_until, found_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (connection_id, worker) DO UPDATE SET places = excluded.places, waits_until = excluded.waits_until,
    found_at = excluded.found_at
"""
_NEWEST = """
SELECT places, found_at FROM widths WHERE connection_id = ? AND places IS NOT NULL
ORDER BY found_at DESC, worker LIMIT 1
"""
_OF_WORKERS = """
SELECT workers.id, workers.host, widths.places, widths.waits_until, widths.found_at
FROM widths JOIN workers ON workers.id = widths.worker
WHERE widths.connection_id = ? AND workers.beat_at >= ? ORDER BY workers.started_at, workers.id
"""


class Noted(NamedTuple):
    """How many places somebody found."""

    places: int
    age: float  # seconds
    found_at: int


class Worked(NamedTuple):
    """How one living worker works a connection."""

    worker: str
    host: str
    places: int | None  # absent: not found yet
    waits: float  # seconds that the platform asks it to wait
    found_at: int


def note(
    tx: sa.Connection, database: Database, connection_id: str, worker: str, places: int | None, waits: float
) -> None:
    """Write down what a worker found; what is too old for anybody goes."""
    at = workers.now(tx, database)
    until = at + int(waits * 1e6) if waits > 0 else None
    tx.exec_driver_sql(database.sql(_NOTE), (connection_id, worker, places, until, at))
    old = (connection_id, at - int(DAY * 1e6))
    tx.exec_driver_sql(database.sql("DELETE FROM widths WHERE connection_id = ? AND found_at < ?"), old)


def newest(tx: sa.Connection, database: Database, connection_id: str) -> Noted | None:
    """Give what was found last by anybody."""
    row = tx.exec_driver_sql(database.sql(_NEWEST), (connection_id,)).first()
    return None if row is None else Noted(row[0], (workers.now(tx, database) - row[1]) / 1e6, row[1])


def of_workers(tx: sa.Connection, database: Database, connection_id: str) -> list[Worked]:
    """Say how each worker that lives works a connection, the oldest worker first."""
    now = workers.now(tx, database)
    found = tx.exec_driver_sql(database.sql(_OF_WORKERS), (connection_id, now - HEARD * 1_000_000))
    return [Worked(row[0], row[1], row[2], max(0.0, ((row[3] or now) - now) / 1e6), row[4]) for row in found]


def forget(tx: sa.Connection, database: Database, connection_id: str) -> None:
    """Forget what was found: the connection leads elsewhere now, or nowhere."""
    tx.exec_driver_sql(database.sql("DELETE FROM widths WHERE connection_id = ?"), (connection_id,))
