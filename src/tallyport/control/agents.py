"""Jobs that an outside agent works: it says that it began, how far it is, and how it ended.

Such a job has no execution of ours; its run is kept with the job (``extra``). The agent holds a lease: when it
falls silent the job is ready again for another, three times at most.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from tallyport.control.desk import Caller, Desk
from tallyport.control.pictures import Picture, find_job, look
from tallyport.control.refusals import Conflict, Problem
from tallyport.domain.jobs import Job
from tallyport.domain.states import Call, State, Verdict, allowed
from tallyport.store import jobs, rows

LEASE = 15 * 60 * 1_000_000  # microseconds
MOST_LAPSES = 3
SAME_RETRY = 60_000_000  # microseconds

_RUN = ("started_at", "ended_at", "acknowledged_at", "progress", "info", "outcome", "result", "estimated_completion_at")


def current(job: Job, now: int) -> Job:
    """Give the job with a lapsed lease taken into account: ready again, or failed after three lapses."""
    lease = run(job).get("lease_until")
    if job.managed or job.state != State.EXECUTING or lease is None or lease > now:
        return job
    lapses = int(run(job).get("lapses", 0)) + 1
    values: dict[str, Any] = {"lapses": lapses, "lease_until": None, "lease_holder": None}
    state = State.READY
    if lapses > MOST_LAPSES:
        state = State.FAILED
        values |= {"ended_at": now, "info": "its agent fell silent too often"}
    return dataclasses.replace(job, state=state.value, extra=merged(job, values))


def run(job: Job) -> Mapping[str, Any]:
    """Give what is known of the present run."""
    found = job.extra.get("run")
    return found if isinstance(found, Mapping) else {}


def merged(job: Job, values: Mapping[str, object]) -> dict[str, object]:
    """Give the job's extra values with the run changed; None removes."""
    now = {key: value for key, value in {**run(job), **values}.items() if value is not None}
    return {**job.extra, "run": now}


def ended(job: Job, at: int, values: Mapping[str, object]) -> dict[str, object]:
    """Give the job's extra values with the run ended."""
    return merged(job, {**values, "ended_at": at, "lease_until": None, "lease_holder": None})


def begin(tx: sa.Connection, job: Job) -> None:
    """Make the job ready for an agent; from a final state as a new run."""
    fresh: dict[str, object] = dict.fromkeys((*_RUN, "lapses", "lease_until", "lease_holder", "retried_by"))
    jobs.change(tx, job.id, state=State.READY.value, extra=merged(job, fresh))


def retry(tx: sa.Connection, job: Job, by: Caller) -> None:
    """Start over: the answer is the moment of creation, the job is ready for an agent as soon as it is executed."""
    begin(tx, job)
    attempts = int(run(job).get("attempt", 1))
    values: dict[str, object] = dict.fromkeys((*_RUN, "lapses", "lease_until", "lease_holder"))
    values |= {"attempt": attempts + 1, "info": f"Retry {attempts} requested", "progress": 0}
    values |= {"retried_by": by.name, "retried_at": rows.now()}
    jobs.change(tx, job.id, state=State.CREATED.value, extra=merged(job, values))


def is_same_retry(job: Job, by: Caller) -> bool:
    """Tell whether the present run came of a retry by this caller a moment ago."""
    asked = run(job)
    return asked.get("retried_by") == by.name and rows.now() - int(asked.get("retried_at", 0)) < SAME_RETRY


def acknowledged(job: Job) -> bool:
    """Tell whether a person saw the result."""
    return run(job).get("acknowledged_at") is not None


def wants_retry(job: Job) -> bool:
    """Tell whether the agent's outcome offers another try."""
    outcome = run(job).get("outcome")
    following = outcome.get("next") if isinstance(outcome, Mapping) else None
    return isinstance(following, Mapping) and following.get("type") == "retry"


def ack(desk: Desk, job_id: str, by: Caller, notes: Mapping[str, object]) -> Picture:
    """Take the job, or say that it is still being worked; for a job that we work this changes nothing."""
    with desk.database.begin() as tx:
        job, verdict = _judge(tx, job_id, Call.ACK)
        if verdict is Verdict.YES:
            holder = run(job).get("lease_holder")
            if job.state == State.EXECUTING and holder not in (None, by.token_id):
                raise _conflict("another agent holds the job")
            now = rows.now()
            values = {"started_at": run(job).get("started_at", now), "lease_until": now + LEASE, **notes}
            values["lease_holder"] = by.token_id
            jobs.change(tx, job_id, state=State.EXECUTING.value, extra=merged(job, values))
        return look(tx, find_job(tx, job_id))


def finish(desk: Desk, job_id: str, by: Caller, call: Call, notes: Mapping[str, object]) -> Picture:
    """End the run as complete or failed. Said twice it is the same."""
    with desk.database.begin() as tx:
        job, verdict = _judge(tx, job_id, call)
        if verdict is Verdict.YES:
            state = State.COMPLETE if call is Call.COMPLETE else State.FAILED
            values = dict(notes) | ({"progress": 100} if call is Call.COMPLETE else {})
            values.setdefault("started_at", run(job).get("started_at", rows.now()))
            result = "clean" if call is Call.COMPLETE else None
            jobs.change(tx, job_id, state=state.value, result=result, extra=ended(job, rows.now(), values))
            desk.note(tx, job_id, f"job.{state.value}", f"said by {by.name}")
        return look(tx, find_job(tx, job_id))


def report_progress(desk: Desk, job_id: str, progress: int) -> Picture:
    """Keep how far the agent is."""
    with desk.database.begin() as tx:
        job, verdict = _judge(tx, job_id, Call.PROGRESS)
        if verdict is Verdict.YES:
            jobs.change(tx, job_id, extra=merged(job, {"progress": progress}))
        return look(tx, find_job(tx, job_id))


def _judge(tx: sa.Connection, job_id: str, call: Call) -> tuple[Job, Verdict]:
    job = current(find_job(tx, job_id), rows.now())
    verdict = allowed(call, State(job.state), managed=job.managed)
    if verdict is Verdict.NO:
        why = f"{call.value.replace('_', ' ')} is not valid while the job is {job.state.replace('_', ' ')}"
        raise _conflict(f"{why}: our own workers drive it" if job.managed else why)
    return job, verdict


def _conflict(message: str) -> Conflict:
    return Conflict(message, [Problem("status", "conflict", message)])


CALLS = {"complete": Call.COMPLETE, "failed": Call.FAIL}


def create(desk: Desk, name: str, state: State, extra: Mapping[str, object], by: Caller) -> Picture:
    """Store a job that an outside agent will work."""
    at = rows.now()
    new = Job(
        id=jobs.new_id(),
        kind="external",
        name=name,
        managed=False,
        state=State.CREATED.value,
        extra=extra,
        created_at=at,
        created_by=by.name,
        modified_at=at,
    )
    with desk.database.begin() as tx:
        job = jobs.add(tx, new)
        desk.note(tx, job.id, "job.created", f"job {job.name!r} made by {by.name}")
        if state is State.EXECUTING:
            begun = {"started_at": at, "lease_until": at + LEASE, "lease_holder": by.token_id}
            jobs.change(tx, job.id, state=state.value, extra=merged(job, begun))
        else:
            jobs.change(tx, job.id, state=state.value)
        return look(tx, find_job(tx, job.id))
