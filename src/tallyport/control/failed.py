"""Failed items: of one execution as history, of a job as what is unresolved now."""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice

import sqlalchemy as sa

from tallyport.connectors import registry
from tallyport.control.desk import Desk
from tallyport.control.pictures import find_execution, find_job
from tallyport.domain import folder_mapping, paths
from tallyport.domain.connections import Connection
from tallyport.domain.entries import Kind
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.store import below, connections, executions, failures, jobs, unresolved
from tallyport.store.failures import FailedItem, Group, ReasonCount

CHUNK = 200  # rows read ahead of each part


@dataclass(frozen=True, kw_only=True)
class FailedItems:
    """What failed, ready to be read once."""

    job: Job
    execution: Execution | None  # absent: what is unresolved now, over all
    source: Connection | None
    total: int
    desk: Desk
    parts: tuple[tuple[Job, Execution], ...] = ()  # whose items they are, of a run that parts did
    folders: Mapping[str, Sequence[str]] = field(default_factory=dict)  # of a mapping: whose they are, by source path

    @property
    def is_collaborative(self) -> bool:
        """Tell whether the source holds more than files and folders; no such platform is in this version."""
        return False

    def rows(self, *, offset: int = 0, limit: int | None = None) -> Iterator[FailedItem]:
        """Give the failed items by path, read in chunks: memory stays flat."""
        end = None if limit is None else offset + limit
        with self.desk.database.read() as tx:
            yield from islice(self._every(tx), offset, end)
            if self._is_wholly_failed and not offset:
                assert self.execution is not None
                yield _synthetic(self.execution)

    def _every(self, tx: sa.Connection) -> Iterator[FailedItem]:
        """Give what failed by path: of the run or the job, and of the parts that did its work."""
        if self.execution is not None:
            several = [failures.iterate(tx, run.id, chunk=CHUNK) for _, run in self.parts]
            own = failures.iterate(tx, self.execution.id)
        else:
            several = [failures.unresolved(tx, part.id, chunk=CHUNK) for part, _ in self.parts]
            own = failures.unresolved(tx, self.job.id)
            if self.folders:  # one after the other: each has paths of its own
                several.append(chain.from_iterable(self._of_folder(tx, path) for path in self.folders))
        if not several:
            return own
        return _by_path(own, *several)

    def _of_folder(self, tx: sa.Connection, source_path: str) -> Iterator[FailedItem]:
        """Give what failed in the child for a folder and in its parts, with paths as from the mapping."""
        folder = "/".join(paths.segments(source_path)[len(paths.segments(self.job.source_path)) :])
        each = [failures.unresolved(tx, one, chunk=CHUNK) for one in self.folders[source_path]]
        for row in _by_path(*each):
            yield row._replace(path=f"{folder}/{row.path}" if row.path else folder)

    @property
    def _is_wholly_failed(self) -> bool:
        run = self.execution
        return run is not None and self.total == 1 and run.failed == 0 and run.state in ("failed", "failed_to_start")

    @cached_property
    def _root(self) -> str:
        """Give the root of the job's source, ending with the separator; empty when its connection is not known."""
        if self.source is None:
            return f"{paths.display(self.job.source_path)}/" if self.job.source_path else ""
        below = f"{paths.display(self.job.source_path)}/" if self.job.source_path else ""
        return f"{paths.display(location(self.source)).rstrip('/')}/{below}"

    def entity(self, row: FailedItem) -> str:
        """Give an item's full native path; containers end with the separator."""
        path = self._root + (row.path if row.path.isascii() else paths.display(row.path))
        if row.kind == Kind.CONTAINER:
            return path if path.endswith("/") else f"{path}/"
        return path if row.path else path.rstrip("/") or "/"


def _by_path(*several: Iterator[FailedItem]) -> Iterator[FailedItem]:
    return heapq.merge(*several, key=lambda row: (paths.to_bytes(row.path), row.item_id))


def of_execution(desk: Desk, execution_id: int) -> FailedItems:
    """Give what failed in one execution: history, it never changes."""
    with desk.database.read() as tx:
        run = find_execution(tx, execution_id)
        job = jobs.find(tx, run.job_id, deleted=True)
        assert job is not None, "an execution has a job"
        source = connections.find(tx, job.source_connection) if job.source_connection else None
        parts = _parts(tx, run)
        total = failures.count(tx, execution_id) + sum(failures.count(tx, below.id) for _, below in parts)
        if total == 0 and run.failed == 0 and run.state in ("failed", "failed_to_start"):
            total = 1
    return FailedItems(job=job, execution=run, source=source, total=total, desk=desk, parts=parts)


def of_job(desk: Desk, job_id: str) -> FailedItems:
    """Give what is unresolved in a job now, whichever execution it failed in."""
    with desk.database.read() as tx:
        job = find_job(tx, job_id)
        source = connections.find(tx, job.source_connection) if job.source_connection else None
        total = unresolved.count(tx, job.number)
        newest = executions.find(tx, job.execution_id) if job.execution_id else None
        parts = () if newest is None else _parts(tx, newest)
        total += sum(unresolved.count(tx, part.number) for part, _ in parts)
        folders = below.failing(tx, job) if job.kind == folder_mapping.KIND else {}
        if folders:
            total = sum(unresolved.count_each(tx, below.numbers_of(tx, [job.id])).values())
    if total == 0 and newest is not None and newest.failed == 0 and newest.state in ("failed", "failed_to_start"):
        return of_execution(desk, newest.id)
    return FailedItems(job=job, execution=None, source=source, total=total, desk=desk, parts=parts, folders=folders)


def _parts(tx: sa.Connection, run: Execution) -> tuple[tuple[Job, Execution], ...]:
    """Give the parts of a run that they did, each with its newest execution of that time."""
    found = []
    for part in jobs.parts(tx, run.job_id) if run.is_split else ():
        below = executions.newest_until(tx, part.id, run.ended_at)
        if below is not None:
            found.append((part, below))
    return tuple(found)


def groups(desk: Desk, job_id: str) -> list[Group]:
    """Group what is unresolved by reason and normalised message, largest group first."""
    return failures.groups(of_job(desk, job_id).rows())


def by_reason(desk: Desk, job_id: str) -> list[ReasonCount]:
    """Count what is unresolved in a job and in all below it by reason alone, largest first."""
    with desk.database.read() as tx:
        numbers = below.numbers_of(tx, [find_job(tx, job_id).id])
        return failures.count_by_reason(tx, *unresolved.count_each(tx, sorted(numbers)))


def location(connection: Connection | None) -> str:
    """Give the native root of a connection."""
    if connection is None:
        return ""
    path = connection.settings.get("path")
    if registry.platform(connection.platform).id == "fs":
        return str(path)
    return f"{connection.platform}://{connection.name}"


def _synthetic(run: Execution) -> FailedItem:
    """Stand for a run that failed as a whole, before any item was tried: its root, with the run's error."""
    message = run.info or "the run failed before any item was tried"
    at = run.ended_at or run.created_at
    return FailedItem(0, "", Kind.CONTAINER, 4, "config", message, None, None, 1, at, run.id)
