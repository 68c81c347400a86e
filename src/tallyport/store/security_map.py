"""Who was met on the items of a job, and became whom."""

from collections.abc import Sequence
from typing import NamedTuple

from tallyport.store.database import Database
from tallyport.store.names import security_map
from tallyport.store.phrases import sa


class SecurityRow(NamedTuple):
    """One principal of one side and what it became."""

    side: str
    source: str  # JSON
    resolution: str
    destination: str | None  # JSON
    message: str | None
    permissions: int
    execution_id: int


def write(
    tx: sa.Connection,
    database: Database,
    job: int,
    execution_id: int,
    uses: Sequence[tuple[str, str, str, str, str, int]],
) -> None:
    """Add (side, source, resolution, destination, message, items): the latest resolution holds, items add up."""
    if uses:
        tx.exec_driver_sql(
            database.sql(
                "INSERT INTO security_map (job, side, source, resolution, destination, message, permissions,"
                " execution_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (job, side, source) DO UPDATE SET resolution = excluded.resolution,"
                " destination = excluded.destination, message = excluded.message,"
                " permissions = security_map.permissions + excluded.permissions,"
                " execution_id = excluded.execution_id"
            ),
            [
                (job, side, source, how, destination or None, message or None, count, execution_id)
                for side, source, how, destination, message, count in sorted(uses)
            ],
        )


def page(
    tx: sa.Connection, job: int, *, resolutions: Sequence[str] = (), offset: int = 0, limit: int = 100
) -> tuple[list[SecurityRow], int]:
    """Give one page, whoever was met most first, and the number of all that match."""
    columns = [security_map.c[name] for name in SecurityRow._fields]
    query = sa.select(*columns).where(security_map.c.job == job)
    if resolutions:
        query = query.where(security_map.c.resolution.in_(list(resolutions)))
    total = tx.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    ordered = query.order_by(security_map.c.permissions.desc(), security_map.c.side, security_map.c.source)
    return [SecurityRow(*row) for row in tx.execute(ordered.offset(offset).limit(limit))], int(total)


def forget(tx: sa.Connection, job: int) -> None:
    """Drop what is known of a job (hard reset)."""
    tx.execute(sa.delete(security_map).where(security_map.c.job == job))
