"""Totals and audit lines."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from tallyport.control.desk import Desk
from tallyport.control.pictures import find_job
from tallyport.control.refusals import NotFound, invalid
from tallyport.domain import folder_mapping as mapping
from tallyport.domain.jobs import Job
from tallyport.store import audit, executions, folder_mapping, items, jobs
from tallyport.store.audit import AuditRow
from tallyport.store.items import Totals

_CHUNK = 1_000


class JobTotals(NamedTuple):
    """Items of some jobs by status."""

    by_status: dict[int, Totals]
    jobs: int
    executions: int


def totals(desk: Desk, job_ids: Sequence[str]) -> JobTotals:
    """Count the items of some jobs and of their children, or of all; reads them all."""
    counted: dict[int, Totals] = {}
    runs = 0
    with desk.database.read() as tx:
        chosen = [find_job(tx, one) for one in job_ids]
        if not job_ids:
            while block := jobs.page(tx, offset=len(chosen), limit=_CHUNK)[0]:
                chosen += block
        seen: set[int] = set()
        for job in _with_children(tx, chosen):
            if job.number in seen:
                continue
            seen.add(job.number)
            runs += executions.page(tx, job_id=job.id, limit=1)[1]
            for status, found in items.totals(tx, job.number).items():
                before = counted.get(status, Totals(0, 0))
                counted[status] = Totals(before.count + found.count, before.bytes + found.bytes)
    return JobTotals(counted, len(seen), runs)


def _with_children(tx: sa.Connection, several: Sequence[Job]) -> Iterator[Job]:
    for job in several:
        yield job
        after = ""
        while job.kind == mapping.KIND and (found := folder_mapping.page(tx, job.id, after=after, limit=_CHUNK)):
            yield from found
            after = found[-1].id


def audit_page(
    desk: Desk,
    *,
    job_id: str | None,
    which: str | None,
    execution_id: int | None,
    item_id: int | None,
    levels: Sequence[int],
    since: int | None = None,
    until: int | None = None,
    after: int,
    limit: int,
) -> list[AuditRow]:
    """Give a page of audit lines, oldest first."""
    with desk.database.read() as tx:
        execution = execution_id if which is None else _named(tx, job_id, which)
        if job_id is not None:
            find_job(tx, job_id)
        if execution == 0:
            return []
        return audit.page(
            tx,
            job_id=job_id,
            execution_id=execution,
            item_id=item_id,
            levels=levels,
            since=since,
            until=until,
            after=after,
            limit=limit,
        )


def audit_line(desk: Desk, line_id: int) -> AuditRow:
    """Give one audit line."""
    with desk.database.read() as tx:
        found = audit.find(tx, line_id) if line_id < 1 << 63 else None
    if found is None:
        raise NotFound(f"there is no event {line_id}")
    return found


def every_audit_line(
    desk: Desk,
    *,
    job_id: str | None,
    which: str | None,
    execution_id: int | None,
    item_id: int | None,
    levels: Sequence[int],
) -> Iterator[AuditRow]:
    """Give all audit lines that match, read in chunks."""
    after = 0
    while block := audit_page(
        desk,
        job_id=job_id,
        which=which,
        execution_id=execution_id,
        item_id=item_id,
        levels=levels,
        after=after,
        limit=_CHUNK,
    ):
        yield from block
        after = block[-1].id


def _named(tx: sa.Connection, job_id: str | None, which: str) -> int:
    """Give the id of a job's last ended or current execution, 0 when there is none."""
    if job_id is None:
        raise invalid("execution", f"{which!r} needs a job", code="not_together")
    found, _ = executions.page(tx, job_id=job_id, ended=which == "last", limit=1)
    return found[0].id if found else 0
