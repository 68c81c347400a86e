"""What is shown of a job: its row with its newest executions and the names around it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import sqlalchemy as sa

from tallyport.control.refusals import NotFound
from tallyport.domain import folder_mapping as mapping
from tallyport.domain.connections import Connection
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.domain.states import State
from tallyport.store import connections, executions, folder_mapping, jobs, predecessors, unresolved
from tallyport.store.database import trouble
from tallyport.store.folder_mapping import Children


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One job as of one moment."""

    job: Job
    category: str
    source: Connection | None
    destination: Connection | None
    execution: Execution | None  # the active one, else the last that ended
    previous: Execution | None  # the one before it
    unresolved: int  # items that are failed now
    waits_for: tuple[str, ...] = ()  # ids of the jobs that must be complete first
    parts: tuple[tuple[Job, Execution | None], ...] = ()  # of a run whose work they do

    children: Children | None = None  # of a folder mapping that is looked at alone, or for a report

    def total(self, name: str) -> int:
        """Give one total of what was done: by the newest run, or by the newest runs of the children."""
        if self.children is not None:
            return self.children.totals[name]
        return 0 if self.execution is None else int(getattr(self.execution, name))

    @property
    def failed_now(self) -> int:
        """Items that are failed now, of the job and of its children."""
        return self.unresolved + (0 if self.children is None else self.children.unresolved)

    @property
    def active(self) -> Execution | None:
        return None if self.execution is None or self.execution.has_ended else self.execution


def find_job(tx: sa.Connection, job_id: str) -> Job:
    """Give a job or refuse."""
    job = jobs.find(tx, job_id)
    if job is None:
        raise NotFound(f"there is no job {job_id!r}")
    return job


def find_execution(tx: sa.Connection, execution_id: int) -> Execution:
    """Give an execution or refuse."""
    found = executions.find(tx, execution_id) if execution_id < 1 << 63 else None
    if found is None:
        raise NotFound(f"there is no execution {execution_id}")
    return found


def look(tx: sa.Connection, job: Job) -> Picture:
    """Take the picture of one job."""
    return look_below(tx, look_many(tx, [job]))[0]


def look_below(tx: sa.Connection, pictures: Iterable[Picture]) -> list[Picture]:
    """Count the children of the folder mappings among some jobs."""
    return [
        replace(one, children=folder_mapping.count(tx, one.job.id)) if one.job.kind == mapping.KIND else one
        for one in pictures
    ]


def look_many(tx: sa.Connection, several: Iterable[Job]) -> list[Picture]:
    """Take pictures of several jobs; each connection is read once."""
    categories = jobs.category_names(tx)
    known: dict[str, Connection | None] = {}

    def connection(connection_id: str | None) -> Connection | None:
        if connection_id is None:
            return None
        if connection_id not in known:
            known[connection_id] = connections.find(tx, connection_id)
        return known[connection_id]

    chosen = list(several)
    runs = executions.newest(tx, [job.id for job in chosen if job.execution_id is not None])
    failed = unresolved.count_each(tx, [job.number for job in chosen if job.execution_id is not None])
    waits_for = predecessors.ids_of_each(tx, [job.id for job in chosen])
    parts = _parts(tx, chosen, runs)
    hindrance = trouble(tx)
    pictures = []
    for job in chosen:
        now, previous = (*runs.get(job.id, ()), None, None)[:2]
        if hindrance is not None and now is not None and now.state == State.EXECUTING:
            now = replace(now, info=hindrance)
        pictures.append(
            Picture(
                job=job,
                category=categories.get(job.category_id if job.category_id is not None else -1, "Default"),
                source=connection(job.source_connection),
                destination=connection(job.destination_connection),
                execution=now,
                previous=previous,
                unresolved=failed.get(job.number, 0),
                waits_for=tuple(waits_for.get(job.id, ())),
                parts=parts.get(job.id, ()),
            )
        )
    return pictures


def _parts(
    tx: sa.Connection, several: Iterable[Job], runs: Mapping[str, Sequence[Execution]]
) -> dict[str, tuple[tuple[Job, Execution | None], ...]]:
    """Give the parts, with their newest runs, of each job whose newest run they do the work of."""
    split = [job.id for job in several if job.id in runs and runs[job.id][0].is_split]
    found = jobs.parts_of_each(tx, split)
    below = executions.newest(tx, [part.id for parts in found.values() for part in parts], each=1)
    return {
        job_id: tuple((part, next(iter(below.get(part.id, ())), None)) for part in parts)
        for job_id, parts in found.items()
    }
