"""How an execution comes to be, and where it goes first: to ready, or to wait for predecessors or parts.

Asked by the API for a person and by the engine for a schedule; both get the same.
"""

import json
from typing import Any

from tallyport.domain import agent_runs, transfer_block
from tallyport.domain.executions import SPLIT, Execution
from tallyport.domain.jobs import Job
from tallyport.domain.policies_json import policies_from_json
from tallyport.domain.predecessors import Go
from tallyport.domain.states import FINAL, Result, State, Wait
from tallyport.store import endings, executions, jobs, predecessors, rows
from tallyport.store.phrases import sa

UNRESOLVED = json.dumps({"unresolved": True})


def queue(tx: sa.Connection, job: Job, *, trigger: str, by: str | None = None, **values: Any) -> Execution:
    """Store a new execution with its policies frozen. The job must have no active one.

    A job that was split while it was scheduled begins with its parts; a part reopens what it is a part of.
    """
    policies = transfer_block.read_transfer_block(dict(job.transfer)).policies
    values.setdefault("state", State.READY.value)
    if job.extra.get("split_pending") and values.get("scope") is None:
        values["scope"] = SPLIT
        jobs.change(tx, job.id, extra={key: kept for key, kept in job.extra.items() if key != "split_pending"})
    if values["state"] == State.READY and (verdict := predecessors.judge(tx, job)).go is not Go.YES:
        values |= {"state": State.WAITING.value, "wait_reason": Wait.PREDECESSORS.value, "info": verdict.info}
    new = executions.add(
        tx,
        job_id=job.id,
        trigger=trigger,
        policies=transfer_block.policies_to_json(policies),
        simulation=policies.simulation,
        created_by=by,
        **values,
    )
    if job.part is not None and job.parent_id is not None:
        _reopen(tx, job.parent_id, trigger=trigger, by=by)
    return new


def schedule(tx: sa.Connection, job: Job, *, by: str | None = None) -> None:
    """Queue the next run of an automatic job without an active one, or set when it is due; disabled, it waits."""
    now = rows.now()
    due = endings.next_due(tx, job, now)
    if due is not None and due <= now and job.disabled is None:
        queue(tx, job, trigger="schedule", by=by)
    else:
        state = job.state if job.execution_id else State.SCHEDULED.value
        jobs.change(tx, job.id, next_run_at=due, state=state)


def dispatch(tx: sa.Connection, execution: Execution, job: Job) -> bool:
    """Take an execution that did not begin yet to where it belongs; False when it may begin now.

    One that its parts work is executing, then waits for them: parts that never ran, failed or were canceled begin,
    those with failed items try these again, paused ones go on.
    """
    verdict = predecessors.judge(tx, job) if execution.started_at is None else None
    if verdict is not None and verdict.go is not Go.YES:
        expected = (State.CREATED.value, State.READY.value)
        waiting = {"wait_reason": Wait.PREDECESSORS.value, "info": verdict.info}
        executions.move(tx, execution.id, expected, State.WAITING.value, **waiting)
        endings.release(tx, job.id)
        return True
    if job.part is not None and execution.started_at is None and not _has_room(tx, execution, job):
        return True
    if not execution.is_split:
        if execution.state == State.CREATED:
            executions.move(tx, execution.id, (State.CREATED.value,), State.READY.value)
        return False
    if await_parts(tx, execution):
        for part in jobs.parts(tx, job.id):
            _begin_part(tx, part, retried=execution.retry_of is not None)
        endings.look_at_whole(tx, job.id)
    return True


def await_parts(tx: sa.Connection, execution: Execution) -> bool:
    """Let an execution wait for its parts; False when its state is another than the caller knew."""
    open_states = (State.CREATED.value, State.READY.value, State.PLANNING.value)
    if not executions.move(tx, execution.id, open_states, State.EXECUTING.value, phase="executing", scope=SPLIT):
        return False
    info = "its parts are under way"
    waiting = {"wait_reason": Wait.PARTS.value, "wait_until": None, "info": info}
    return executions.move(tx, execution.id, (State.EXECUTING.value,), State.WAITING.value, **waiting)


def _has_room(tx: sa.Connection, execution: Execution, part: Job) -> bool:
    """Tell whether one more part may begin: the parts together write no more at once than the job may."""
    several = jobs.parts(tx, part.parent_id or "")
    working = sum(one.state in (State.EXECUTING, State.PAUSING, State.CANCELING) for one in several)
    return working < max(1, policies_from_json(execution.policies).parallel_writes)


def _begin_part(tx: sa.Connection, part: Job, *, retried: bool) -> None:
    active = executions.active(tx, part.id)
    if active is not None:
        if active.state in (State.PAUSED, State.PAUSING):
            executions.move(tx, active.id, (active.state,), State.READY.value)
        return
    if part.execution_id is None:
        queue(tx, part, trigger="manual", by=part.created_by)
    elif retried and State(part.state) in FINAL and (part.state != State.COMPLETE or part.result == Result.ERRORS):
        last = executions.find(tx, part.execution_id)
        began = last is not None and last.started_at is not None
        scope = UNRESOLVED if began else None
        queue(tx, part, trigger="retry", by=part.created_by, retry_of=part.execution_id, scope=scope)


def _reopen(tx: sa.Connection, parent_id: str, *, trigger: str, by: str | None) -> None:
    """Let a job whose part runs again wait for it."""
    parent = jobs.find(tx, parent_id)
    if parent is None or State(parent.state) not in FINAL:
        return
    if not parent.managed:
        jobs.change(tx, parent.id, **agent_runs.fresh(parent, State.WAITING, {"wait_reason": Wait.PARTS.value}))
        return
    again = {"scope": SPLIT, "retry_of": parent.execution_id}
    await_parts(tx, queue(tx, parent, trigger=trigger, by=by, **again))
