"""Looking at jobs and their executions; nothing here changes anything."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tallyport.control.desk import Desk
from tallyport.control.pictures import Picture, find_execution, find_job, look, look_many
from tallyport.control.refusals import NotFound
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.domain.states import ACTIVE, State
from tallyport.store import executions, failures, jobs, rows

_CHUNK = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedJobs:
    """Which jobs; absent means any."""

    states: tuple[State, ...] = ()
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


def categories(desk: Desk) -> dict[int, str]:
    """Give every category by id."""
    with desk.database.read() as tx:
        return jobs.category_names(tx)


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
    states = set(wanted.states)
    if wanted.active is not None:
        chosen = ACTIVE if wanted.active else frozenset(State) - ACTIVE
        states = (states or set(State)) & chosen
    return {
        "states": sorted(state.value for state in states),
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
    narrow = (wanted.connection, wanted.destination, wanted.transfer_type, wanted.unresolved)
    return wanted.category != -1 and narrow == (None,) * 4


def _matching(tx: sa.Connection, wanted: WantedJobs) -> list[Job]:
    found = [one for one in _all(tx, wanted) if _fits(one, wanted)]
    if wanted.unresolved is None:
        return found
    failing = failures.count_each_unresolved(tx, [one.number for one in found])
    return [one for one in found if (one.number in failing) is wanted.unresolved]


def _fits(one: Job, wanted: WantedJobs) -> bool:
    in_category = wanted.category != -1 or one.category_id is None
    return (
        in_category
        and wanted.connection in (None, one.source_connection)
        and wanted.destination in (None, one.destination_connection)
        and wanted.transfer_type in (None, one.transfer_type)
    )
