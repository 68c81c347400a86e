"""Looking at jobs and their executions; nothing here changes anything."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tallyport.control.desk import Desk
from tallyport.control.pictures import Picture, find_execution, find_job, look, look_many
from tallyport.control.refusals import NotFound
from tallyport.domain.events import labels
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job, Standing
from tallyport.domain.states import ACTIVE, State
from tallyport.store import executions, jobs, rows, unresolved

_CHUNK = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedJobs:
    """Which jobs; absent means any."""

    states: tuple[State, ...] = ()
    standings: tuple[Standing, ...] | None = None  # in one of these ways; none at all: no job
    kind: str | None = None
    text: str | None = None
    category: int | None = None
    parent: str | None = None
    top_level: bool = False
    active: bool | None = None
    connection: str | None = None  # source
    destination: str | None = None
    transfer_type: str | None = None
    unresolved: bool | None = None  # True: only those with items that are failed now
    since: int | None = None  # made not before
    type: str | None = None
    operation: str | None = None
    environment: str | None = None
    space: str | None = None
    file: str | None = None
    workbook: str | None = None
    ascending: bool = False


def job(desk: Desk, job_id: str) -> Picture:
    """Give one job."""
    with desk.database.read() as tx:
        return look(tx, find_job(tx, job_id))


def jobs_page(desk: Desk, wanted: WantedJobs, *, offset: int, limit: int) -> tuple[list[Picture], int]:
    """Give one page of jobs, newest first, and the number of all that match."""
    with desk.database.read() as tx:
        if _is_plain(wanted):
            found, total = jobs.page(tx, offset=offset, limit=limit, **_filters(wanted))
        else:
            every = _matching(tx, wanted)
            found, total = every[offset : offset + limit], len(every)
        return look_many(tx, found), total


def newest_jobs(desk: Desk, limit: int) -> list[Job]:
    """Give the newest jobs to choose from: their rows alone, nothing is counted."""
    with desk.database.read() as tx:
        return jobs.page(tx, limit=limit)[0]


def every_job(desk: Desk, wanted: WantedJobs) -> Iterator[Picture]:
    """Give all jobs that match, newest first, looked at in chunks."""
    with desk.database.read() as tx:
        found = _matching(tx, wanted)
        for start in range(0, len(found), 200):
            yield from look_many(tx, found[start : start + 200])


def job_ids(desk: Desk, wanted: WantedJobs) -> list[str]:
    """Give the ids of all jobs that match."""
    with desk.database.read() as tx:
        return [one.id for one in _matching(tx, wanted)]


def counts(desk: Desk) -> dict[tuple[str, str | None], int]:
    """Count the executions under way by state and by why they wait."""
    with desk.database.read() as tx:
        return executions.count_open(tx)


def execution(desk: Desk, execution_id: int) -> tuple[Execution, Picture]:
    """Give an execution with its job."""
    with desk.database.read() as tx:
        run = find_execution(tx, execution_id)
        return run, look(tx, find_job(tx, run.job_id))


def history(
    desk: Desk, *, job_id: str | None, ended: bool | None, offset: int, limit: int, within: int | None = None
) -> tuple[list[Execution], int]:
    """Give one page of executions, newest first, of one job or of all; ended ones ``within`` so many seconds."""
    with desk.database.read() as tx:
        if job_id is not None:
            find_job(tx, job_id)
        since = None if within is None else rows.now() - within * 1_000_000
        return executions.page(tx, job_id=job_id, ended=ended, since=since, offset=offset, limit=limit)


def execution_of(desk: Desk, job_id: str | None, execution_id: int) -> Execution:
    """Give one execution, of the job when one is named."""
    with desk.database.read() as tx:
        run = find_execution(tx, execution_id)
        if find_job(tx, run.job_id if job_id is None else job_id).id != run.job_id:
            raise NotFound(f"execution {execution_id} is not one of job {job_id}")
        return run


def every_execution(desk: Desk, job_id: str | None) -> Iterator[Execution]:
    """Give all executions, newest first, of one job or of all, read in chunks."""
    with desk.database.read() as tx:
        if job_id is not None:
            find_job(tx, job_id)
        passed = 0
        while block := executions.page(tx, job_id=job_id, offset=passed, limit=_CHUNK)[0]:
            yield from block
            passed += len(block)


def categories(desk: Desk) -> dict[int, str]:
    """Give every category by id."""
    with desk.database.read() as tx:
        return jobs.category_names(tx)


def category_sizes(desk: Desk) -> dict[int, int]:
    """Count the jobs of each category that has any."""
    with desk.database.read() as tx:
        return jobs.count_by_category(tx)


def add_category(desk: Desk, name: str) -> int:
    """Give the id of a category, made when it is new."""
    with desk.database.begin() as tx:
        return jobs.category_named(tx, name)


def delete_category(desk: Desk, category: int) -> int:
    """Delete a category; gives how many jobs fell back to the default one, which stays."""
    with desk.database.begin() as tx:
        moved = jobs.drop_category(tx, category)
    if moved is None:
        raise NotFound(f"there is no category {category} that could be deleted")
    return moved


def _filters(wanted: WantedJobs) -> dict[str, Any]:
    states = set(wanted.states) or set(State)
    if wanted.active is not None:
        states &= ACTIVE if wanted.active else frozenset(State) - ACTIVE
    return {
        "states": None if states == set(State) else sorted(state.value for state in states),
        "standings": wanted.standings,
        "since": wanted.since,
        "kind": wanted.kind,
        "text": wanted.text,
        "category": wanted.category if wanted.category != -1 else None,
        "parent": wanted.parent,
        "top_level": wanted.top_level,
        "ascending": wanted.ascending,
    }


def _all(tx: sa.Connection, wanted: WantedJobs) -> list[Job]:
    found: list[Job] = []
    while block := jobs.page(tx, offset=len(found), limit=_CHUNK, **_filters(wanted))[0]:
        found += block
    return found


def _is_plain(wanted: WantedJobs) -> bool:
    """Tell whether the store alone can choose."""
    ends = (wanted.connection, wanted.destination, wanted.transfer_type, wanted.unresolved)
    labelled = (wanted.type, wanted.operation, wanted.environment, wanted.space, wanted.file, wanted.workbook)
    return wanted.category != -1 and not any(one is not None for one in (*ends, *labelled))


def _matching(tx: sa.Connection, wanted: WantedJobs) -> list[Job]:
    found = [one for one in _all(tx, wanted) if _fits(one, wanted)]
    if wanted.unresolved is None:
        return found
    failing = unresolved.count_each(tx, [one.number for one in found])
    return [one for one in found if (one.number in failing) is wanted.unresolved]


def _fits(one: Job, wanted: WantedJobs) -> bool:
    in_category = wanted.category != -1 or one.category_id is None
    return (
        in_category
        and wanted.connection in (None, one.source_connection)
        and wanted.destination in (None, one.destination_connection)
        and wanted.transfer_type in (None, one.transfer_type)
        and _is_labelled(one, wanted)
    )


def _is_labelled(one: Job, wanted: WantedJobs) -> bool:
    known = labels(one)
    return (
        wanted.type in (None, known.domain)
        and wanted.operation in (None, known.operation)
        and wanted.environment in (None, known.environment)
        and wanted.space in (None, known.space)
        and wanted.file in (None, one.extra.get("fileId"))
        and wanted.workbook in (None, one.extra.get("source"), one.extra.get("destination"))
    )
