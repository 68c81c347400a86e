"""Runs that wait for a person before they delete, and what they would delete."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tallyport.control.desk import Desk
from tallyport.control.pictures import Picture, find_job, look_many
from tallyport.domain.states import State, Wait
from tallyport.domain.stops import braked_tasks
from tallyport.store import executions, frontier, jobs, plans
from tallyport.store.frontier import PlannedDelete


class Deletes(NamedTuple):
    """One page of what a run would delete."""

    rows: list[PlannedDelete]
    cursor: int | None
    total: int


def awaits_person(picture: Picture) -> bool:
    """Tell whether a run waits because it would delete more than its limits allow."""
    run = picture.active
    return run is not None and run.state == State.WAITING and run.wait_reason == Wait.BRAKE


def awaiting(desk: Desk) -> list[Picture]:
    """Give every job whose run waits for a person."""
    with desk.database.read() as tx:
        found = jobs.page(tx, states=[State.WAITING.value], limit=1_000)[0]
        return [one for one in look_many(tx, found) if awaits_person(one)]


class PlannedJob(NamedTuple):
    """A job that waits with a plan for a person, and what the look at its source found."""

    picture: Picture
    manifest: Mapping[str, Any] | None  # absent while the plan is being made


def planned(desk: Desk) -> list[PlannedJob]:
    """Give every job whose first run begins with a plan that nobody has approved yet."""
    with desk.database.read() as tx:
        found = jobs.page(tx, states=[State.PLANNING.value], limit=200)[0]
        kept = {job.id: plans.find(tx, job.id) for job in found}
        return [
            PlannedJob(picture, kept[picture.job.id].manifest)
            for picture in look_many(tx, [job for job in found if not kept[job.id].approved])
        ]


def deletes(desk: Desk, job_id: str, *, after: int, limit: int) -> Deletes:
    """Give a page of what the job's run under way would still delete and needs to be allowed to."""
    with desk.database.read() as tx:
        job = find_job(tx, job_id)
        active = executions.active(tx, job.id)
        if active is None:
            return Deletes([], None, 0)
        tasks = braked_tasks(job.transfer_type or "")
        found = frontier.planned_deletes(tx, active.id, tasks, after=after, limit=limit + 1)
        total = frontier.count_tasks(tx, active.id, tasks)
    rows = found[:limit]
    return Deletes(rows, rows[-1].id if len(found) > limit else None, total)
