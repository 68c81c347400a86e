"""Locks that a job made again at the other side: each is taken away once its source has none any more."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tallyport.domain import paths
from tallyport.store.database import Database
from tallyport.store.names import locks
from tallyport.store.phrases import sa

_PAGE = 1_000

LockChange = tuple[str, bytes, bytes, bytes, str]
"""Side it is at, hash of the path at the source, both paths, token (empty: it is held no more)."""


class LockRow(NamedTuple):
    """One lock that is held."""

    side: str
    key: bytes
    path: str
    d_path: str
    token: str


def write(tx: sa.Connection, database: Database, job: int, execution_id: int, changes: Sequence[LockChange]) -> None:
    """Remember what is held, and forget what is not; of several changes of one lock the last counts."""
    latest = {change[:2]: change for change in changes}
    gone = [(job, *key) for key, change in sorted(latest.items()) if not change[4]]
    held = [(job, *change, execution_id) for _, change in sorted(latest.items()) if change[4]]
    if gone:
        tx.exec_driver_sql(database.sql("DELETE FROM locks WHERE job = ? AND side = ? AND key = ?"), gone)
    if held:
        tx.exec_driver_sql(
            database.sql(
                "INSERT INTO locks (job, side, key, path, d_path, token, execution_id) VALUES (?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (job, side, key) DO UPDATE SET d_path = excluded.d_path, token = excluded.token,"
                " execution_id = excluded.execution_id"
            ),
            held,
        )


def pages(tx: sa.Connection, job: int) -> Iterator[list[LockRow]]:
    """Give every lock that a job holds, in pages."""
    after: tuple[str, bytes] = ("", b"")
    while True:
        query = sa.select(locks.c.side, locks.c.key, locks.c.path, locks.c.d_path, locks.c.token)
        query = query.where(locks.c.job == job, sa.tuple_(locks.c.side, locks.c.key) > after)
        found = [
            LockRow(r.side, bytes(r.key), paths.from_bytes(bytes(r.path)), paths.from_bytes(bytes(r.d_path)), r.token)
            for r in tx.execute(query.order_by(locks.c.side, locks.c.key).limit(_PAGE))
        ]
        if not found:
            return
        yield found
        after = found[-1][:2]
