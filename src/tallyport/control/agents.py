"""Jobs that an outside agent works: it says that it began, how far it is, and how it ended."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from tallyport.control import predecessors as waiting
from tallyport.control.desk import Caller, Desk
from tallyport.control.pictures import Picture, find_job, look
from tallyport.control.refusals import Conflict, Invalid, Problem
from tallyport.domain import agent_runs
from tallyport.domain.agent_runs import LEASE, run
from tallyport.domain.jobs import Job
from tallyport.domain.predecessors import Go
from tallyport.domain.states import Call, State, Verdict, Wait, allowed
from tallyport.store import endings, executions, jobs, predecessors, rows

SAME_RETRY = 60_000_000  # microseconds
CALLS = {"complete": Call.COMPLETE, "failed": Call.FAIL}


class Belongs(NamedTuple):
    """What a job waits for, and what it is a part of; None is not said."""

    waits_for: Sequence[str] | None = None
    on_predecessor_failure: str | None = None
    parent: str | None = None
    part: int | None = None


def create(
    desk: Desk, name: str, state: State, extra: Mapping[str, object], by: Caller, *, belongs: Belongs
) -> Picture:
    """Store a job that an outside agent will work."""
    with desk.database.begin() as tx:
        if belongs.parent is not None:
            _check_parent(tx, belongs.parent)
        columns = {"parent_id": belongs.parent, "part": belongs.part}
        job = add(desk, tx, name, extra, by, **columns)
        _arrange(tx, job.id, belongs)
        job = find_job(tx, job.id)
        if state is State.EXECUTING:
            _take(tx, job, by, {})
        elif state is State.READY:
            make_ready(tx, job)
        else:
            jobs.change(tx, job.id, state=state.value)
        return look(tx, find_job(tx, job.id))


def rearrange(desk: Desk, job_id: str, belongs: Belongs, by: Caller) -> Picture:
    """Change what a job waits for."""
    with desk.database.begin() as tx:
        find_job(tx, job_id)
        _arrange(tx, job_id, belongs)
        desk.note(tx, job_id, "job.changed", f"job changed by {by.name}")
        return look(tx, find_job(tx, job_id))


def _arrange(tx: sa.Connection, job_id: str, belongs: Belongs) -> None:
    if belongs.on_predecessor_failure is not None:
        jobs.change(tx, job_id, on_predecessor_failure=belongs.on_predecessor_failure)
    if belongs.waits_for is not None:
        waiting.settle(tx, job_id, belongs.waits_for)


def _check_parent(tx: sa.Connection, parent_id: str) -> None:
    parent = jobs.find(tx, parent_id)
    if parent is None:
        raise Invalid([Problem("/parentId", "not_found", f"there is no job {parent_id[:80]!r}")])
    if parent.part is not None or parent.managed:
        message = "is a job that our workers drive" if parent.managed else "is a part itself"
        raise Invalid([Problem("/parentId", "unknown_value", f"job {parent_id} {message}")])


def add(
    desk: Desk,
    tx: sa.Connection,
    name: str,
    extra: Mapping[str, object],
    by: Caller,
    **columns: object,
) -> Job:
    """Store such a job, not begun."""
    at = rows.now()
    values = {"created_at": at, "created_by": by.name, "modified_at": at, **columns}
    new = Job(id=jobs.new_id(), kind="external", name=name, managed=False, extra=extra, **values)  # type: ignore[arg-type]
    job = jobs.add(tx, new)
    desk.note(tx, job.id, "job.created", f"job {job.name!r} made by {by.name}")
    return job


def make_ready(tx: sa.Connection, job: Job) -> None:
    """Make the job ready for an agent as a new run, or let it wait for its predecessors."""
    jobs.change(tx, job.id, **agent_runs.fresh(job, State.CREATED, {}))
    _go_on(tx, job.id)


def retry(desk: Desk, tx: sa.Connection, job: Job, by: Caller) -> Picture:
    """Start over; parts that failed or were canceled are ready again.

    The answer is the moment of creation: a moment later the job is ready for an agent, or waits.
    """
    attempts = int(run(job).get("attempt", 1))
    values: dict[str, object] = {"attempt": attempts + 1, "info": f"Retry {attempts} requested", "progress": 0}
    values |= {"retried_by": by.name, "retried_at": rows.now()}
    jobs.change(tx, job.id, **agent_runs.fresh(job, State.CREATED, values))
    picture = look(tx, find_job(tx, job.id))
    lost = [part for part in jobs.parts(tx, job.id) if part.state in (State.FAILED, State.CANCELED)]
    if lost:
        waiting = agent_runs.changed(find_job(tx, job.id), State.WAITING, {"wait_reason": Wait.PARTS.value})
        jobs.change(tx, job.id, **waiting)
        for part in lost:
            make_ready(tx, part)
    else:
        _go_on(tx, job.id)
    if job.part is not None and job.parent_id is not None:
        reopen(tx, job.parent_id)
    return picture


def _go_on(tx: sa.Connection, job_id: str) -> None:
    """Let a job that was created be ready, or wait for its predecessors."""
    job = find_job(tx, job_id)
    verdict = predecessors.judge(tx, job)
    if verdict.go is Go.YES:
        jobs.change(tx, job_id, **agent_runs.changed(job, State.READY, {}))
        return
    waiting = {"wait_reason": Wait.PREDECESSORS.value, "info": verdict.info}
    jobs.change(tx, job_id, **agent_runs.changed(job, State.WAITING, waiting))
    endings.release(tx, job_id)


def reopen(tx: sa.Connection, parent_id: str) -> None:
    """Let a job that an agent works wait again for a part of it that is tried again."""
    parent = jobs.find(tx, parent_id)
    if parent is not None and not parent.managed and parent.state in (State.COMPLETE, State.FAILED, State.CANCELED):
        jobs.change(tx, parent_id, **agent_runs.fresh(parent, State.WAITING, {"wait_reason": Wait.PARTS.value}))


def is_same_retry(job: Job, by: Caller) -> bool:
    """Tell whether the present run came of a retry by this caller a moment ago."""
    asked = run(job)
    return asked.get("retried_by") == by.name and rows.now() - int(asked.get("retried_at", 0)) < SAME_RETRY


def acknowledged(job: Job) -> bool:
    """Tell whether a person saw the result."""
    return run(job).get("acknowledged_at") is not None


def wants_retry(tx: sa.Connection, job: Job) -> bool:
    """Tell whether the agent's outcome offers another try, or a part did not come to a good end."""
    outcome = run(job).get("outcome")
    following = outcome.get("next") if isinstance(outcome, Mapping) else None
    offered = isinstance(following, Mapping) and following.get("type") == "retry"
    return offered or any(part.state in (State.FAILED, State.CANCELED) for part in jobs.parts(tx, job.id))


def ack(desk: Desk, job_id: str, by: Caller, notes: Mapping[str, object]) -> Picture:
    """Take the job, or say that it is still being worked; for a job that we work this changes nothing."""
    with desk.database.begin() as tx:
        job, verdict = _judge(tx, job_id, Call.ACK)
        if verdict is Verdict.YES:
            holder = run(job).get("lease_holder")
            if job.state == State.EXECUTING and holder not in (None, by.token_id):
                raise _conflict("another agent holds the job until its lease ends")
            _take(tx, job, by, notes)
        return look(tx, find_job(tx, job_id))


def finish(
    desk: Desk, job_id: str, by: Caller, call: Call, notes: Mapping[str, object], *, forced: bool = False
) -> Picture:
    """End the run as complete or failed. Said twice it is the same.

    ``forced``: an administrator ends a run that our workers drive; what they have in hand is given up.
    """
    with desk.database.begin() as tx:
        job, verdict = _judge(tx, job_id, call, forced=forced)
        if verdict is Verdict.YES:
            state = State.COMPLETE if call is Call.COMPLETE else State.FAILED
            if job.managed:
                _force(tx, job, state, notes, by)
            else:
                values = dict(notes) | ({"progress": 100} if call is Call.COMPLETE else {})
                values.setdefault("started_at", run(job).get("started_at", rows.now()))
                columns = agent_runs.ended(job, state, rows.now(), values)
                jobs.change(tx, job_id, **columns | {"result": "clean" if call is Call.COMPLETE else None})
                endings.job_ended(tx, job)
            desk.note(tx, job_id, f"job.{state.value}", f"said by {by.name}")
        picture = look(tx, find_job(tx, job_id))
    desk.nudge()
    return picture


def report_progress(desk: Desk, job_id: str, progress: int) -> Picture:
    """Keep how far the agent is."""
    with desk.database.begin() as tx:
        job, verdict = _judge(tx, job_id, Call.PROGRESS)
        if verdict is Verdict.YES:
            jobs.change(tx, job_id, extra=agent_runs.merged(job, {"progress": progress}))
        return look(tx, find_job(tx, job_id))


def stop(tx: sa.Connection, job: Job, info: str | None) -> None:
    """Cancel the run of a job that an agent works."""
    values = {} if info is None else {"info": info}
    jobs.change(tx, job.id, **agent_runs.ended(job, State.CANCELED, rows.now(), values))
    endings.job_ended(tx, job)


def _take(tx: sa.Connection, job: Job, by: Caller, notes: Mapping[str, object]) -> None:
    now = rows.now()
    values = {"started_at": run(job).get("started_at", now), "lease_holder": by.token_id, **notes}
    jobs.change(tx, job.id, **agent_runs.changed(job, State.EXECUTING, values), lease_until=now + LEASE)


def _force(tx: sa.Connection, job: Job, state: State, notes: Mapping[str, object], by: Caller) -> None:
    active = executions.active(tx, job.id)
    if active is None:
        raise _conflict("the job has no run that could be ended")
    result = {"result": "errors" if active.failed or active.pending else "clean"} if state is State.COMPLETE else {}
    info = str(notes.get("info") or f"ended as {state.value} by {by.name}")
    if not executions.move(tx, active.id, (active.state,), state.value, phase="complete", info=info, **result):
        raise _conflict("the execution changed meanwhile: ask again")
    for part in jobs.parts(tx, job.id) if active.is_split else ():
        if (below := executions.active(tx, part.id)) is not None:
            endings.stop(tx, below)


def _judge(tx: sa.Connection, job_id: str, call: Call, *, forced: bool = False) -> tuple[Job, Verdict]:
    job = agent_runs.current(find_job(tx, job_id), rows.now())
    verdict = allowed(call, State(job.state), managed=job.managed, forced=forced)
    if verdict is Verdict.NO:
        why = f"{call.value.replace('_', ' ')} is not valid while the job is {job.state.replace('_', ' ')}"
        raise _conflict(f"{why}: our own workers drive it" if job.managed and not forced else why)
    return job, verdict


def _conflict(message: str) -> Conflict:
    return Conflict(message, [Problem("status", "conflict", message)])
