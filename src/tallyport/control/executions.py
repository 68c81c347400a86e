"""Runs of a job: start, pause, resume, cancel, retry; which of them is valid when is ``domain.states``."""

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from tallyport.control import access, agents, parts
from tallyport.control.desk import Caller, Desk
from tallyport.control.pictures import Picture, find_execution, find_job, look
from tallyport.control.refusals import Conflict, Invalid, Problem, invalid
from tallyport.domain import agent_runs, stops, transfer_block
from tallyport.domain import folder_mapping as mapping
from tallyport.domain.actions import Reason
from tallyport.domain.executions import SPLIT, Execution
from tallyport.domain.jobs import Job
from tallyport.domain.policies import Policies
from tallyport.domain.revising import revised
from tallyport.domain.states import FINAL, Call, State, Verdict, Wait, after, allowed
from tallyport.store import beginnings, endings, executions, failures, frontier, items, jobs, plans, rows, unresolved

RETRY_SCOPES = ("unresolved", "all", "failed", "pending")  # failed: not what was never tried; pending: only that
SAME_RETRY = 60_000_000  # microseconds: a retry by the same caller within this time is the same retry
MOST_ITEMS = 10_000  # named in one retry
MOST_LISTED = 200_000  # of one list, or with one message


def judge(job: Job, call: Call, **facts: bool) -> Verdict:
    """Say whether a call is valid for a job now, or refuse with its state."""
    verdict = allowed(call, State(agent_runs.current(job, rows.now()).state), managed=job.managed, **facts)
    if verdict is Verdict.NO:
        raise conflict(job, call)
    return verdict


def conflict(job: Job, call: Call) -> Conflict:
    """Make the refusal of a call that does not fit the state."""
    message = f"{call.value.replace('_', ' ')} is not valid while the job is {job.state.replace('_', ' ')}"
    return Conflict(message, [Problem("status", "conflict", message)])


def queue(tx: sa.Connection, job: Job, by: Caller | None, *, trigger: str, **values: Any) -> Execution:
    """Store a new execution with its policies frozen. The job must have no active one."""
    if executions.active(tx, job.id) is not None:
        raise Conflict("the job has an execution that has not ended", [Problem("status", "conflict", job.state)])
    if job.disabled is not None:
        raise Conflict(f"the job is disabled: {job.disabled}; set disabled to false to let it run")
    return beginnings.queue(tx, job, trigger=trigger, by=None if by is None else by.name, **values)


def find_active(tx: sa.Connection, job: Job) -> Execution | None:
    """Give the execution of a job that has not ended."""
    return executions.active(tx, job.id)


def freeze_anew(desk: Desk, job_id: str, execution_id: int) -> None:
    """Give an execution that did not begin yet the job's policies as they are now."""
    with desk.database.begin() as tx:
        job, run = find_job(tx, job_id), find_execution(tx, execution_id)
        if run.started_at is None and not run.has_ended:
            policies = transfer_block.read_transfer_block(dict(job.transfer)).policies
            executions.change(tx, run.id, policies=transfer_block.policies_to_json(policies))


def start(desk: Desk, job_id: str, by: Caller) -> Picture:
    """Queue a run. From a final state it is a full new one; from paused it is the old one, resumed."""
    with desk.database.begin() as tx:
        begin(desk, tx, find_job(tx, job_id), by)
        picture = look(tx, find_job(tx, job_id))
    desk.nudge()
    return picture


def begin(desk: Desk, tx: sa.Connection, job: Job, by: Caller) -> None:
    """Start inside a transaction of the caller's; nothing happens when it runs already."""
    if judge(job, Call.START) is not Verdict.YES:
        return
    access.require_job(tx, job, by)
    if job.closed:
        last = None if job.execution_id is None else executions.find(tx, job.execution_id)
        if last is not None and last.halted_by is not None:
            raise Conflict(f"the error category {last.halted_by!r} halted the job; reset it to let it run again")
        raise Conflict("the job met its stop policy and never runs again; change stop_policy to reopen it")
    if job.managed:
        _go(tx, job, by)
    else:
        agents.make_ready(tx, job)
    jobs.change(tx, job.id, held=False)
    desk.note(tx, job.id, "job.started", f"started by {by.name}")


def resume(desk: Desk, job_id: str, by: Caller) -> Picture:
    """Let a paused job go on; what is done is not sent again."""
    with desk.database.begin() as tx:
        job = find_job(tx, job_id)
        access.require_job(tx, job, by)
        if judge(job, Call.RESUME) is Verdict.YES:
            if not job.managed:
                jobs.change(tx, job_id, state=State.READY.value)
            elif executions.active(tx, job_id) is None:
                queue(tx, job, by, trigger="manual")
            else:
                _move(tx, job, Call.RESUME)
            parts.resume(tx, job)
            jobs.change(tx, job_id, held=False)
            desk.note(tx, job_id, "job.resumed", f"resumed by {by.name}")
        else:
            _approve_deletes(desk, tx, job, by)
        picture = look(tx, find_job(tx, job_id))
    desk.nudge()
    return picture


def pause(desk: Desk, job_id: str, by: Caller, *, seconds: int | None = None) -> Picture:
    """Stop at the next safe point; what is done stays done. After ``seconds`` it goes on by itself."""
    with desk.database.begin() as tx:
        job = find_job(tx, job_id)
        if judge(job, Call.PAUSE) is Verdict.YES:
            if executions.active(tx, job_id) is not None:
                _move(tx, job, Call.PAUSE)
            else:
                jobs.change(tx, job_id, state=State.PAUSED.value, held=job.managed, lease_until=None)
            parts.pause(tx, job)
            if seconds is not None and (active := executions.active(tx, job_id)) is not None:
                executions.change(tx, active.id, wait_until=rows.now() + seconds * 1_000_000)
            desk.note(tx, job_id, "job.paused", f"paused by {by.name}")
        picture = look(tx, find_job(tx, job_id))
    desk.nudge()
    return picture


def cancel(desk: Desk, job_id: str, by: Caller, *, info: str | None = None) -> Picture:
    """Stop at a safe point and end. What is done stays done."""
    with desk.database.begin() as tx:
        job = find_job(tx, job_id)
        if judge(job, Call.CANCEL) is Verdict.YES:
            active = executions.active(tx, job_id)
            if not job.managed:
                agents.stop(tx, job, info)
            elif active is None:
                jobs.change(tx, job_id, state=State.CANCELED.value, next_run_at=None)
                endings.job_ended(tx, job)
            else:
                stop(tx, active, info=info or f"canceled by {by.name}")
            parts.cancel(tx, job)
            desk.note(tx, job_id, "job.canceled", f"canceled by {by.name}")
        picture = look(tx, find_job(tx, job_id))
    desk.nudge()
    return picture


def stop(tx: sa.Connection, active: Execution, *, info: str = "canceled") -> None:
    """Cancel an execution that has not ended: at once when it never began, else the engine ends it."""
    if not endings.stop(tx, active, info=info):
        raise Conflict("the execution changed meanwhile: ask again")


def retry(
    desk: Desk,
    job_id: str,
    by: Caller,
    *,
    scope: str = "unresolved",
    reasons: Sequence[str] = (),
    item_ids: Sequence[int] | None = None,
) -> Picture:
    """Make a new attempt over what is unresolved, over some reasons or items, or over everything.

    The answer is the moment of creation. Asked twice in a row by the same caller, it is the same retry.
    """
    _check_scope(scope, reasons, item_ids)
    with desk.database.begin() as tx:
        job = find_job(tx, job_id)
        access.require_job(tx, job, by)
        verdict = judge(job, Call.RETRY, unresolved=_has_unresolved(tx, job))
        active = executions.active(tx, job_id)
        if verdict is Verdict.DUPLICATE:
            if not _is_same_retry(active, by) and not agents.is_same_retry(job, by):
                raise conflict(job, Call.RETRY)
            return look(tx, job)
        if job.managed:
            last = None if job.execution_id is None else find_execution(tx, job.execution_id)
            attempt = 1 if last is None else last.attempt
            new = queue(
                tx,
                job,
                by,
                trigger="retry",
                state=State.CREATED.value,
                retry_of=None if last is None else last.id,
                scope=_scope(tx, job, scope, reasons, item_ids, was_split=last is not None and last.is_split),
                info=f"Retry {attempt} requested",
            )
            desk.note(tx, job_id, "job.retried", f"retry asked by {by.name}", execution_id=new.id)
            picture = look(tx, find_job(tx, job_id))
        else:
            desk.note(tx, job_id, "job.retried", f"retry asked by {by.name}")
            picture = agents.retry(desk, tx, job, by)
    desk.nudge()
    return picture


def resubmit(desk: Desk, execution_id: int, by: Caller, *, suspended: bool = False, failed_only: bool = False) -> int:
    """Make a full new run of the job an ended execution belongs to; gives the new execution's id."""
    with desk.database.begin() as tx:
        job = find_job(tx, find_execution(tx, execution_id).job_id)
        access.require_job(tx, job, by)
        judge(job, Call.RESUBMIT)
        if failed_only:
            new = queue(tx, job, by, trigger="retry", retry_of=execution_id, scope=json.dumps({"unresolved": True}))
        else:
            new = queue(tx, job, by, trigger="manual", state=(State.PAUSED if suspended else State.READY).value)
        desk.note(tx, job.id, "job.resubmitted", f"resubmitted by {by.name}", execution_id=new.id)
    desk.nudge()
    return new.id


def undo(desk: Desk, execution_id: int, by: Caller, *, verb: str = "undo") -> Picture:
    """Put back what an ended execution replaced and deleted, or (``purge``) empty its quarantine for good."""
    with desk.database.begin() as tx:
        run = find_execution(tx, execution_id)
        job = find_job(tx, run.job_id)
        access.require_job(tx, job, by)
        new = queue_undo(tx, job, run, by.name, verb=verb)
        desk.note(tx, job.id, f"job.{verb}", f"{verb} of execution {run.id} asked by {by.name}", execution_id=new.id)
        picture = look(tx, find_job(tx, job.id))
    desk.nudge()
    return picture


def queue_undo(tx: sa.Connection, job: Job, run: Execution, by: str, *, verb: str) -> Execution:
    """Store an execution that works the quarantine of another, or refuse with the reason."""
    policies = transfer_block.policies_from_json(run.policies)
    if not run.has_ended:
        raise Conflict(f"execution {run.id} has not ended: cancel it, or wait for its end")
    if policies.quarantine is None or run.simulation or run.trigger in ("undo", "purge") or job.kind == mapping.KIND:
        raise Conflict(f"execution {run.id} kept nothing: its job had no quarantine when it ran")
    if executions.active(tx, job.id) is not None:
        raise Conflict("the job has an execution that has not ended", [Problem("status", "conflict", job.state)])
    return executions.add(
        tx,
        job_id=job.id,
        trigger=verb,
        retry_of=run.id,
        scope=json.dumps({"quarantine_of": run.id}),
        policies=run.policies,
        created_by=by,
        state=State.READY.value,
    )


def hold(desk: Desk, tx: sa.Connection, job: Job, by: Caller) -> None:
    """Hold an automatic job's next run until somebody starts it; an active run pauses."""
    if judge(job, Call.HOLD) is not Verdict.YES:
        return
    active = executions.active(tx, job.id)
    if active is None:
        jobs.change(tx, job.id, held=True, state=job.state if job.execution_id else State.SCHEDULED.value)
    else:
        jobs.change(tx, job.id, held=True)
        if active.state != State.CREATED:
            _move(tx, job, Call.PAUSE)
        else:
            executions.move(tx, active.id, (State.CREATED.value,), State.PAUSED.value)
    desk.note(tx, job.id, "job.held", f"held by {by.name}")


def acknowledge_outcome(desk: Desk, job_id: str, by: Caller) -> Picture:
    """Note that a person saw the result; the first time counts."""
    with desk.database.begin() as tx:
        job = find_job(tx, job_id)
        run = None if job.execution_id is None else find_execution(tx, job.execution_id)
        seen = agents.acknowledged(job) if run is None else run.acknowledged_at is not None
        if judge(job, Call.ACK_OUTCOME, acknowledged=seen) is Verdict.YES:
            if run is None:
                jobs.change(tx, job_id, extra=agent_runs.merged(job, {"acknowledged_at": rows.now()}))
            else:
                executions.change(tx, run.id, acknowledged_at=rows.now())
        return look(tx, find_job(tx, job_id))


def _approve_deletes(desk: Desk, tx: sa.Connection, job: Job, by: Caller) -> None:
    """Let an execution go on that waits because it would delete more than its limits allow."""
    active = executions.active(tx, job.id)
    if active is None or active.wait_reason != Wait.BRAKE:
        return
    if executions.move(tx, active.id, (State.WAITING.value,), State.READY.value):
        desk.note(tx, job.id, "job.deletes_approved", f"deletes approved by {by.name}: {active.info}")


def revise(desk: Desk, tx: sa.Connection, job: Job, wanted: Policies, by: Caller) -> None:
    """Have the execution under way take up changed limits; one that the delete brake holds goes on if they allow it."""
    active = executions.active(tx, job.id)
    if active is None or not job.managed:
        return
    running = transfer_block.policies_from_json(active.policies)
    policies = revised(running, wanted)
    if policies == running:
        return
    executions.change(tx, active.id, policies=transfer_block.policies_to_json(policies), revision=active.revision + 1)
    desk.note(tx, job.id, "job.limits_changed", f"limits of the running execution changed by {by.name}")
    if active.wait_reason == Wait.BRAKE:
        deletes = frontier.count_tasks(tx, active.id, stops.braked_tasks(policies.transfer_type))
        there = frontier.count_tasks(tx, active.id, ("delete_destination",))
        if stops.judged(policies, files=active.files, here=deletes - there, there=there) is None:
            executions.move(tx, active.id, (State.WAITING.value,), State.READY.value)


def _go(tx: sa.Connection, job: Job, by: Caller) -> None:
    active = executions.active(tx, job.id)
    if active is None:
        queue(tx, job, by, trigger="manual")
    elif active.state == State.PLANNING:
        plans.keep(tx, job.id, approved=True)  # goes on as soon as the plan stands
    elif after(Call.START, State(active.state)) is not State(active.state):
        _move(tx, job, Call.START)


def _move(tx: sa.Connection, job: Job, call: Call) -> None:
    assert job.execution_id is not None, "an active execution is the newest"
    state = State(job.state)
    to = after(call, state)
    if state in FINAL or not executions.move(tx, job.execution_id, (state.value,), to.value):
        raise Conflict("the execution changed meanwhile: ask again", [Problem("status", "conflict", job.state)])


def _has_unresolved(tx: sa.Connection, job: Job) -> bool:
    if not job.managed:
        return agents.wants_retry(tx, job)
    last = None if job.execution_id is None else executions.find(tx, job.execution_id)
    unfinished = last is not None and (last.pending > 0 or last.result == "errors")
    return unfinished or unresolved.count(tx, job.number) > 0


def _is_same_retry(active: Execution | None, by: Caller) -> bool:
    return (
        active is not None
        and active.trigger == "retry"
        and active.created_by == by.name
        and rows.now() - active.created_at < SAME_RETRY
    )


def _check_scope(scope: str, reasons: Sequence[str], item_ids: Sequence[int] | None) -> None:
    problems = []
    if scope not in RETRY_SCOPES:
        problems.append(Problem("scope", "unknown_value", f"{scope!r} is not a scope", RETRY_SCOPES))
    if item_ids is not None and not 1 <= len(item_ids) <= MOST_LISTED:
        problems.append(Problem("/items", "unknown_value", f"name between 1 and {MOST_ITEMS} items"))
    if sum((scope != "unresolved", bool(reasons), item_ids is not None)) > 1:
        problems.append(Problem("scope", "conflict", "give one of scope, reason and items"))
    if problems:
        raise Invalid(problems)


def _scope(
    tx: sa.Connection,
    job: Job,
    scope: str,
    reasons: Sequence[str],
    item_ids: Sequence[int] | None,
    *,
    was_split: bool,
) -> str | None:
    """Write what the engine visits; absent is everything."""
    if was_split and scope != "all":
        if reasons or item_ids is not None:
            raise invalid("reason" if reasons else "/items", "the items belong to the parts of this job: retry a part")
        return SPLIT  # parts that are not well do it again
    if item_ids is not None:
        known_ids = items.of_job(tx, job.number, item_ids)
        strangers = [str(one) for one in item_ids if one not in known_ids]
        if strangers:
            raise Invalid([Problem("/items", "not_found", f"no items of this job: {', '.join(strangers[:20])}")])
        return json.dumps({"items": list(item_ids)})
    if scope == "all":
        return None
    known = {reason.value for reason in Reason}
    told = [reason for reason in reasons if reason not in known]
    if told:
        return json.dumps({"items": _with_messages(tx, job, reasons)})
    wanted: dict[str, object] = {"unresolved": True} | ({"reasons": list(reasons)} if reasons else {})
    if scope in ("failed", "pending"):
        wanted["only"] = scope
    return json.dumps(wanted)


def _with_messages(tx: sa.Connection, job: Job, reasons: Sequence[str]) -> list[int]:
    """Give the failed items of some groups: named by their code, or by their message as groups show it."""
    wanted, seen, ids = set(reasons), set(), []
    for row in failures.unresolved(tx, job.id):
        fitting = {row.reason, failures.normalised(row)} & wanted
        if fitting:
            seen |= fitting
            ids.append(row.item_id)
        if len(ids) > MOST_LISTED:
            raise invalid("reason", f"more than {MOST_LISTED} items: name the code of the group instead")
    if strangers := sorted(wanted - seen):
        groups = tuple(sorted(reason.value for reason in Reason))
        raise Invalid([Problem("reason", "unknown_value", f"{one!r} is no reason here", groups) for one in strangers])
    return ids
