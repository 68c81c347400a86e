"""The run of a job that an outside agent works. It has no execution of ours: what is known of it is kept with the job.

The agent holds a lease. When it falls silent the job is ready again for another, three times at most. Times are
microseconds.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from tallyport.domain.jobs import Job
from tallyport.domain.states import State

LEASE = 15 * 60 * 1_000_000
MOST_LAPSES = 3

FIELDS: tuple[str, ...] = ("started_at", "ended_at", "acknowledged_at", "progress", "info", "outcome", "result")
FIELDS += ("wait_reason", "estimated_completion_at", "lapses", "lease_holder", "retried_by", "retried_at")


def run(job: Job) -> Mapping[str, Any]:
    """Give what is known of the present run."""
    found = job.extra.get("run")
    return found if isinstance(found, Mapping) else {}


def merged(job: Job, values: Mapping[str, object]) -> dict[str, object]:
    """Give the job's extra values with the run changed; None removes."""
    now = {key: value for key, value in {**run(job), **values}.items() if value is not None}
    return {**job.extra, "run": now}


def changed(job: Job, state: State, values: Mapping[str, object]) -> dict[str, Any]:
    """Give the columns of a job whose run changes; the lease ends where nobody works."""
    columns: dict[str, Any] = {"state": state.value, "extra": merged(job, values)}
    return columns if state is State.EXECUTING else columns | {"lease_until": None}


def fresh(job: Job, state: State, values: Mapping[str, object]) -> dict[str, Any]:
    """Give the columns of a job whose run begins anew."""
    return changed(job, state, {**dict.fromkeys(FIELDS), **values}) | {"result": None}


def ended(job: Job, state: State, at: int, values: Mapping[str, object]) -> dict[str, Any]:
    """Give the columns of a job whose run ended."""
    return changed(job, state, {**values, "ended_at": at, "lease_holder": None, "wait_reason": None})


def lapsed(job: Job, now: int) -> dict[str, Any] | None:
    """Give the columns of a job whose lease ran out; None while it lives, or there is none."""
    if job.managed or job.state != State.EXECUTING or job.lease_until is None or job.lease_until > now:
        return None
    lapses = int(run(job).get("lapses", 0)) + 1
    if lapses <= MOST_LAPSES:
        info = f"its agent fell silent ({lapses} of {MOST_LAPSES})"
        return changed(job, State.READY, {"lapses": lapses, "lease_holder": None, "info": info})
    return ended(job, State.FAILED, now, {"lapses": lapses, "info": "its agent fell silent too often"})


def current(job: Job, now: int) -> Job:
    """Give the job with a lapsed lease taken into account."""
    columns = lapsed(job, now)
    return job if columns is None else dataclasses.replace(job, **columns)
