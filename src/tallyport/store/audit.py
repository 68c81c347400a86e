"""The audit: facts for the customer, append-only."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from tallyport.domain import paths
from tallyport.store import rows
from tallyport.store.database import Database
from tallyport.store.ids import Ids, before
from tallyport.store.names import audit
from tallyport.store.phrases import sa

_AHEAD = 3_600_000_000  # microseconds

LEVELS = {"trace": 1, "debug": 2, "info": 3, "warn": 4, "error": 5, "none": 9}


class AuditRow(NamedTuple):
    """One audit line as shown."""

    id: int
    job_id: str
    execution_id: int | None
    item_id: int | None
    level: int
    event: str
    path: str | None
    message: str
    recorded_at: int


def write(
    tx: sa.Connection,
    database: Database,
    ids: Ids,
    job_id: str,
    execution_id: int | None,
    lines: Sequence[tuple[int, str, bytes | None, str, int | None]],
) -> None:
    """Append lines of (level, event, path, message, item id)."""
    if not lines:
        return
    at = rows.now()
    block = ids.block(len(lines))
    tx.exec_driver_sql(
        database.sql(
            "INSERT INTO audit (id, job_id, execution_id, item_id, level, event, path, message, recorded_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        ),
        [
            (new, job_id, execution_id, item_id, level, event, path, message, at)
            for new, (level, event, path, message, item_id) in zip(block, lines, strict=True)
        ],
    )


def page(
    tx: sa.Connection,
    *,
    job_id: str | None = None,
    execution_id: int | None = None,
    item_id: int | None = None,
    levels: Iterable[int] = (),
    since: int | None = None,
    until: int | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[AuditRow]:
    """Give up to ``limit`` lines after an id, oldest first."""
    query = sa.select(audit).where(audit.c.id > after)
    if job_id is not None:
        query = query.where(audit.c.job_id == job_id)
    if execution_id is not None:
        query = query.where(audit.c.execution_id == execution_id)
    if item_id is not None:
        query = query.where(audit.c.item_id == item_id)
    if wanted := list(levels):
        query = query.where(audit.c.level.in_(wanted))
    if since is not None:  # ids grow with time, but those of another process may be a little ahead of it
        query = query.where(audit.c.recorded_at >= since, audit.c.id > before(since - _AHEAD))
    if until is not None:
        query = query.where(audit.c.recorded_at < until)
    found = tx.execute(query.order_by(audit.c.id).limit(limit)).mappings()
    return [_line(row) for row in found]


def find(tx: sa.Connection, line_id: int) -> AuditRow | None:
    """Give one line, or None."""
    row = tx.execute(sa.select(audit).where(audit.c.id == line_id)).mappings().first()
    return None if row is None else _line(row)


def _line(row: Any) -> AuditRow:
    values = {name: row[name] for name in AuditRow._fields}
    values["path"] = None if row["path"] is None else paths.from_bytes(bytes(row["path"]))
    return AuditRow(**values)
