"""Failed items: the history of each execution, and what is still unresolved in a job."""

import heapq
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from tallyport.domain import paths
from tallyport.domain.items import FAILED, Status
from tallyport.store import bulk, rows
from tallyport.store.database import Database
from tallyport.store.names import executions, failures
from tallyport.store.names import items as item_rows
from tallyport.store.phrases import sa


class FailedItem(NamedTuple):
    """One failed item as shown."""

    item_id: int
    path: str
    kind: int
    status: int
    reason: str
    message: str
    size: int | None
    modified: int | None
    attempts: int
    failed_at: int
    execution_id: int


@dataclass(frozen=True, slots=True)
class Group:
    """Failed items with the same reason and, numbers and paths aside, the same message."""

    reason: str
    message: str
    count: int
    bytes: int
    sample: tuple[str, ...]


def write(tx: sa.Connection, database: Database, failed: list[tuple[Any, ...]]) -> None:
    """Store failures: (execution, item, path, kind, status, reason, message, size, modified, attempts, at)."""
    if failed:
        tx.exec_driver_sql(
            database.sql(
                "INSERT INTO failures (execution_id, item_id, path, kind, status, reason, message, size, modified,"
                " attempts, failed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (execution_id, item_id) DO UPDATE SET status = excluded.status,"
                " reason = excluded.reason, message = excluded.message, attempts = excluded.attempts,"
                " failed_at = excluded.failed_at"
            ),
            failed,
        )


def clear(tx: sa.Connection, database: Database, execution_id: int, ids: list[int]) -> None:
    """Drop failures of items that succeeded later in the same execution."""
    if ids:
        tx.exec_driver_sql(
            database.sql("DELETE FROM failures WHERE execution_id = ? AND item_id = ?"),
            [(execution_id, item_id) for item_id in ids],
        )


def page(
    tx: sa.Connection,
    execution_id: int,
    *,
    after: tuple[bytes, int] = (b"", -1),
    offset: int = 0,
    limit: int = 1_000,
) -> list[FailedItem]:
    """Give failures of one execution by path, after a key."""
    given = (execution_id, *after, limit, offset)
    time_out, make = rows.time_out, FailedItem._make
    if tx.dialect.name == "sqlite":  # differs because its driver gives row by row: store.bulk
        found = bulk.read(tx.exec_driver_sql(_PAGE_AT_ONCE, given).scalar_one())
        return [make((*r[:7], time_out(r[7]), r[8], r[9], execution_id)) for r in found]
    decode = paths.from_bytes
    every = tx.exec_driver_sql(_PAGE.replace("?", "%s"), given)
    return [make((r[0], decode(bytes(r[1])), *r[2:7], time_out(r[7]), r[8], r[9], execution_id)) for r in every]


# The hot path of the streams: a million rows a call.
_PAGE = (
    "SELECT item_id, path, kind, status, reason, message, size, modified, attempts, failed_at FROM failures"
    " WHERE execution_id = ? AND (path, item_id) > (?, ?) ORDER BY path, item_id LIMIT ? OFFSET ?"
)
_PAGE_AT_ONCE = (
    "SELECT CAST(json_group_array(json_array(item_id, CAST(path AS TEXT), kind, status, reason, message, size,"
    f" modified, attempts, failed_at)) AS BLOB) FROM ({_PAGE})"
)


def iterate(tx: sa.Connection, execution_id: int, *, chunk: int = 2_000) -> Iterator[FailedItem]:
    """Give every failure of one execution by path: memory stays flat."""
    after = (b"", -1)
    while block := page(tx, execution_id, after=after, limit=chunk):
        yield from block
        after = (paths.to_bytes(block[-1].path), block[-1].item_id)


def count(tx: sa.Connection, execution_id: int) -> int:
    """Count the failures of one execution."""
    query = sa.select(sa.func.count()).where(failures.c.execution_id == execution_id)
    return int(tx.execute(query).scalar_one())


def unresolved(tx: sa.Connection, job_id: str, *, chunk: int = 2_000) -> Iterator[FailedItem]:
    """Give what is failed in a job now, whichever execution it failed in, by path: memory stays flat."""
    some = sa.select(failures.c.item_id).where(failures.c.execution_id == executions.c.id).limit(1)
    runs = tx.execute(sa.select(executions.c.id).where(executions.c.job_id == job_id, some.exists())).scalars()
    each = [_still_failed(tx, run, chunk) for run in runs.all()]
    if len(each) == 1:
        return each[0]
    return heapq.merge(*each, key=lambda row: (paths.to_bytes(row.path), row.item_id))


def _still_failed(tx: sa.Connection, execution_id: int, chunk: int) -> Iterator[FailedItem]:
    """Give the failures of an execution whose items it settled last and that are still failed."""
    after: tuple[bytes, int] = (b"", -1)
    key = sa.tuple_(failures.c.path, failures.c.item_id)
    query = (
        sa.select(failures)
        .join(item_rows, sa.and_(item_rows.c.id == failures.c.item_id, item_rows.c.execution_id == execution_id))
        .where(failures.c.execution_id == execution_id, item_rows.c.status.in_([int(s) for s in FAILED]))
        .order_by(failures.c.path, failures.c.item_id)
        .limit(chunk)
    )
    while block := [
        _failed(row)
        for row in tx.execute(query.where(key > sa.tuple_(*[sa.literal(part) for part in after]))).mappings()
    ]:
        yield from block
        after = (paths.to_bytes(block[-1].path), block[-1].item_id)


def groups(found_rows: Iterator[FailedItem], *, sample: int = 20) -> list[Group]:
    """Group failures by reason and normalised message, largest group first. Memory grows with the groups."""
    found: dict[tuple[str, str], list[Any]] = {}
    for row in found_rows:
        entry = found.setdefault((row.reason, normalised(row)), [0, 0, []])
        entry[0] += 1
        entry[1] += row.size or 0
        if len(entry[2]) < sample:
            entry[2].append(row.path)
    ordered = sorted(found.items(), key=lambda pair: (-pair[1][0], pair[0]))
    return [Group(reason, text, n, size, tuple(paths_)) for (reason, text), (n, size, paths_) in ordered]


def normalised(row: FailedItem) -> str:
    """Give the message without what differs from item to item: its path, its name, numbers."""
    text = row.message
    if row.path:
        for known in (paths.display(row.path), paths.display(paths.split(row.path)[1])):
            text = re.sub(rf"(?<!\w){re.escape(known)}(?!\w)", "…", text)
    return re.sub(r"\d+", "#", text)


def _failed(row: Any) -> FailedItem:
    values = {field: row[field] for field in FailedItem._fields}
    values["path"] = paths.from_bytes(bytes(row["path"]))
    values["modified"] = rows.time_out(row["modified"])
    return FailedItem(**values)


def of_item(tx: sa.Connection, item_id: int, execution_ids: Iterable[int]) -> list[FailedItem]:
    """Give an item's failure in each of some executions, oldest first."""
    query = (
        sa.select(failures)
        .where(failures.c.execution_id.in_(list(execution_ids)), failures.c.item_id == item_id)
        .order_by(failures.c.execution_id)
    )
    return [_failed(row) for row in tx.execute(query).mappings()]


class ReasonCount(NamedTuple):
    """Items that are failed now for one reason."""

    reason: str
    number: int
    bytes: int
    flagged: int  # of them, those that no run tries again by itself


def count_by_reason(tx: sa.Connection, *jobs: int) -> list[ReasonCount]:
    """Count what is failed in some jobs now by reason, largest first. Reads the failed items, not the others."""
    sums: dict[str, ReasonCount] = {}
    for job in jobs:
        for one in _by_reason(tx, job):
            _, number, size, flagged = sums.get(one.reason, ReasonCount(one.reason, 0, 0, 0))
            sums[one.reason] = ReasonCount(one.reason, number + one.number, size + one.bytes, flagged + one.flagged)
    return sorted(sums.values(), key=lambda one: (-one.number, one.reason))


def _by_reason(tx: sa.Connection, job: int) -> Iterator[ReasonCount]:
    query = (
        sa.select(
            item_rows.c.reason,
            sa.func.count(),
            sa.func.coalesce(sa.func.sum(item_rows.c.s_size), 0),
            sa.func.sum(sa.case((item_rows.c.status == int(Status.FLAGGED), 1), else_=0)),
        )
        .where(item_rows.c.job == job, item_rows.c.status.in_([int(s) for s in FAILED]))
        .group_by(item_rows.c.reason)
    )
    for reason, number, size, flagged in tx.execute(query):
        yield ReasonCount(reason, int(number), int(size), int(flagged))


def by_reason_since(tx: sa.Connection, at: int) -> list[tuple[str, int]]:
    """Count the failures of executions that ended since a moment by reason, most first."""
    recent = sa.select(executions.c.id).where(executions.c.ended_at >= at, executions.c.simulation.is_(False))
    query = (
        sa.select(failures.c.reason, sa.func.count())
        .where(failures.c.execution_id.in_(recent))
        .group_by(failures.c.reason)
        .order_by(sa.func.count().desc(), failures.c.reason)
    )
    return [(reason, int(count)) for reason, count in tx.execute(query)]
