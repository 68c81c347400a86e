"""What the end of a run means: it counts towards the stop policy, the schedule goes on, and who waited is told.

Called in the transaction of the end, by whoever ended it.
"""

from collections import deque

from tallyport.domain import agent_runs, parts, schedules, stops
from tallyport.domain.events import Topic
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.domain.policies import FailurePolicy
from tallyport.domain.policies_json import policies_from_json
from tallyport.domain.predecessors import Go
from tallyport.domain.states import FINAL, Result, State, Wait
from tallyport.store import events, executions, jobs, predecessors, rows
from tallyport.store.phrases import sa

TOTALS: tuple[str, ...] = (
    "files",
    "bytes",
    "folders",
    "transferred",
    "transferred_bytes",
    "unchanged",
    "unchanged_bytes",
)
TOTALS += ("skipped", "failed", "failed_folders", "deleted", "writes", "pending")


_TELLING = "tallyport.endings"  # where a connection keeps the jobs whose end is still to be told


def ended(tx: sa.Connection, execution_id: int) -> None:
    """Do what the end of an execution asks for."""
    execution = executions.find(tx, execution_id)
    job = None if execution is None else jobs.find(tx, execution.job_id, deleted=True)
    if execution is None or job is None:
        return
    if execution.started_at is not None and execution.state != State.FAILED_TO_START:
        job = _count(tx, job, execution)
    if job.deleted_at is None and not job.closed:
        plan_next(tx, job)
    job_ended(tx, job)


def job_ended(tx: sa.Connection, job: Job) -> None:
    """Tell the jobs that wait for this one: its successors, and what it is a part of.

    What ends by that tells its own in turn: one after the other, since a chain may be of any length.
    """
    if (waiting := tx.info.get(_TELLING)) is not None:
        waiting.append(job)
        return
    tx.info[_TELLING] = waiting = deque([job])
    try:
        while waiting:
            one = waiting.popleft()
            for successor in predecessors.successors(tx, one.id):
                release(tx, successor)
            if one.part is not None and one.parent_id is not None:
                look_at_whole(tx, one.parent_id)
    finally:
        del tx.info[_TELLING]


def plan_next(tx: sa.Connection, job: Job) -> None:
    """Set when an automatic job runs next."""
    if job.schedule_mode == schedules.Mode.AUTO:
        jobs.change(tx, job.id, next_run_at=next_due(tx, job, rows.now()))


def next_due(tx: sa.Connection, job: Job, now: int) -> int | None:
    """Say when an automatic job runs next; the answer may lie in the past."""
    schedule = schedules.read_schedule(dict(job.schedule))
    newest, _ = executions.page(tx, job_id=job.id, ended=True, limit=1)
    today = 0
    if schedule.repeat_count is not None and (period := schedules.period(schedule, now)) is not None:
        today = executions.count_scheduled(tx, job.id, period[0])
    return schedules.next_due(schedule, newest[0].ended_at if newest else None, now, runs_today=today)


def release(tx: sa.Connection, job_id: str) -> None:
    """Let a job that waits for its predecessors go, or say for whom it still waits."""
    job = jobs.find(tx, job_id)
    if job is None or job.state != State.WAITING:
        return
    active = executions.active(tx, job_id) if job.managed else None
    reason = agent_runs.run(job).get("wait_reason") if active is None else active.wait_reason
    if reason != Wait.PREDECESSORS:
        return
    go, info = predecessors.judge(tx, job)
    if active is not None:
        waiting = (State.WAITING.value,)
        if go is Go.YES:
            executions.move(tx, active.id, waiting, State.READY.value, wait_reason=None, info=None)
        elif go is Go.FAIL:
            executions.move(tx, active.id, waiting, State.FAILED.value, phase="complete", info=info)
        elif info != active.info:
            executions.change(tx, active.id, info=info)
    elif go is Go.YES:
        jobs.change(tx, job_id, **agent_runs.changed(job, State.READY, {"wait_reason": None, "info": None}))
    elif go is Go.FAIL:
        jobs.change(tx, job_id, **agent_runs.ended(job, State.FAILED, rows.now(), {"info": info}))
        job_ended(tx, job)
    elif info != agent_runs.run(job).get("info"):
        jobs.change(tx, job_id, extra=agent_runs.merged(job, {"info": info}))


def look_at_whole(tx: sa.Connection, job_id: str) -> None:
    """End a job that waits for its parts when they have ended; one that an agent works is ended by the agent."""
    job = jobs.find(tx, job_id)
    if job is None or job.state != State.WAITING:
        return
    active = executions.active(tx, job_id) if job.managed else None
    reason = agent_runs.run(job).get("wait_reason") if active is None else active.wait_reason
    if reason != Wait.PARTS:
        return
    several = jobs.parts(tx, job_id)
    if several and all(State(one.state) in FINAL for one in several):
        told = [{"id": one.id, "state": one.state, "at": one.modified_at} for one in several]
        counts = dict(parts.counts(_part(one) for one in several))
        events.write(tx, [Topic.PARTS_COMPLETED], job, active, parts=counts, part_details=told)
    if active is None:
        return
    halts = policies_from_json(active.policies).failure_policy is FailurePolicy.HALT
    end = parts.ending([_part(one) for one in several], halts=halts)
    if end is None:
        return
    newest = executions.newest(tx, [one.id for one in several], each=1)
    runs = [run for found in newest.values() for run in found]
    totals = {name: sum(getattr(run, name) for run in runs) for name in TOTALS}
    result = None if end.result is None else end.result.value
    more = {"phase": "complete", "info": end.info, **totals} | ({} if result is None else {"result": result})
    executions.move(tx, active.id, (State.WAITING.value,), end.state.value, **more)
    for run in runs:
        if not run.has_ended:
            stop(tx, run)


def stop(tx: sa.Connection, run: Execution, *, info: str = "canceled") -> bool:
    """Cancel an execution that has not ended: at once when it never began, else the engine brings it to an end."""
    if run.state == State.CANCELING:
        return True
    to = State.CANCELED if run.started_at is None and run.state != State.PAUSING else State.CANCELING
    return executions.move(tx, run.id, (run.state,), to.value, info=info)


def _part(job: Job) -> parts.Part:
    return parts.Part(State(job.state), None if job.result is None else Result(job.result), 0, 1)


def _count(tx: sa.Connection, job: Job, execution: Execution) -> Job:
    """Count an ended run towards the stop policy, and close the job when a limit is met."""
    if execution.trigger in ("undo", "purge"):
        return job  # no run of the job: it works the quarantine of one
    result = None if execution.result is None else Result(execution.result)
    before = stops.Counts(job.executions, job.successes, job.failures)
    counts = stops.counted(before, State(execution.state), result)
    met = stops.verdict(stops.read_stop_policy(dict(job.stop_policy)), counts) is not None
    closed = job.closed or met or job.schedule_mode == schedules.Mode.AD_HOC
    values = {**counts._asdict(), "closed": closed} | ({"next_run_at": None} if closed else {})
    jobs.change(tx, job.id, **values)
    return jobs.find(tx, job.id, deleted=True) or job
