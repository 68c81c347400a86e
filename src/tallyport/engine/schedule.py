"""What time brings: jobs that are due, runs that lasted too long, agents that fell silent.

Idempotent: a double tick starts nothing twice. Bounded: a tick takes as many rows as it finds, in small transactions,
on the thread of the tick alone.
"""

import logging

from tallyport.domain import agent_runs, schedules
from tallyport.domain.jobs import Job
from tallyport.domain.states import FINAL, State
from tallyport.store import beginnings, endings, executions, jobs, rows
from tallyport.store.database import Database
from tallyport.store.phrases import sa

log = logging.getLogger("tallyport.schedule")

CHUNK = 50  # jobs of one transaction
TICK = 0x7A12  # of the lock around what time brings
MOST = 2_000  # jobs that one tick begins; the next one goes on


def keep_time(database: Database) -> int:
    """Do what is due; gives how many executions began."""
    begun = 0
    while begun < MOST:
        with database.begin() as tx:
            database.alone(tx, TICK)  # of several workers one begins what is due
            found = start_due(tx)
        begun += found
        if not found:
            break
    with database.begin() as tx:
        database.alone(tx, TICK)
        stop_overdue(tx)
        go_on(tx)
        lapse(tx)
    return begun


def start_due(tx: sa.Connection) -> int:
    """Start jobs that are due and not running, at most ``CHUNK``; gives how many were looked at."""
    now = rows.now()
    found = jobs.due(tx, now, CHUNK)
    for job in found:
        try:
            _start(tx, job, now)
        except Exception:  # one job that cannot be read must not keep the others from beginning
            log.exception("schedule.failed: job %s", job.id)
            jobs.change(tx, job.id, next_run_at=None)
    return len(found)


def stop_overdue(tx: sa.Connection) -> None:
    """Bring runs that lasted as long as they may to a safe point, with the reason."""
    for run in executions.overdue(tx, rows.now()):
        job = jobs.find(tx, run.job_id, deleted=True)
        seconds = None if job is None else schedules.read_schedule(dict(job.schedule)).max_execution
        info = "stopped by schedule.max_execution" + (f" after {seconds:g} s" if seconds else "")
        if endings.stop(tx, run, info=f"{info}; what is done stays done, the next run goes on"):
            executions.change(tx, run.id, deadline=None)
            for part in jobs.parts(tx, run.job_id) if run.is_split else ():
                if (active := executions.active(tx, part.id)) is not None:
                    endings.stop(tx, active, info=info)


def go_on(tx: sa.Connection) -> None:
    """Let runs go on that were paused for a time."""
    for run in executions.to_resume(tx, rows.now()):
        if executions.move(tx, run.id, (State.PAUSED.value,), State.READY.value, wait_until=None):
            jobs.change(tx, run.job_id, held=False)


def lapse(tx: sa.Connection) -> None:
    """Give jobs whose agent fell silent to another, or up."""
    now = rows.now()
    for job in jobs.lapsed(tx, now, CHUNK):
        columns = agent_runs.lapsed(job, now)
        jobs.change(tx, job.id, **(columns or {"lease_until": None}))
        if columns is not None and State(columns["state"]) in FINAL:
            endings.job_ended(tx, job)


def _start(tx: sa.Connection, job: Job, now: int) -> None:
    if executions.active(tx, job.id) is not None:
        jobs.change(tx, job.id, next_run_at=None)  # planned anew when it ends
        return
    schedule = schedules.read_schedule(dict(job.schedule))
    at = schedules.begins(schedule, job.next_run_at or now, now)
    jobs.change(tx, job.id, next_run_at=None if at is not None and at <= now else at)
    if at is not None and at <= now:
        beginnings.queue(tx, job, trigger="schedule")
