"""Starts executions of jobs whose schedule is due. Idempotent: a double tick starts nothing twice."""

import logging

import sqlalchemy as sa

from tallyport.domain.schedules import next_due, read_schedule
from tallyport.domain.transfer_block import policies_to_json, read_transfer_block
from tallyport.store import executions, jobs, rows

log = logging.getLogger("tallyport.schedule")


def start_due(tx: sa.Connection) -> int:
    """Start every job that is due and not running; gives how many."""
    now = rows.now()
    started = 0
    for job in jobs.due(tx, now):
        if executions.active(tx, job.id) is None:
            block = read_transfer_block(dict(job.transfer))
            executions.add(
                tx,
                job_id=job.id,
                trigger="schedule",
                policies=policies_to_json(block.policies),
                simulation=block.policies.simulation,
            )
            started += 1
        jobs.change(tx, job.id, next_run_at=None)
    return started


def plan_next(tx: sa.Connection, job_id: str) -> None:
    """Set when a job runs next, after an execution of it ended."""
    job = jobs.find(tx, job_id)
    if job is None or job.closed or job.schedule_mode != "auto":
        return
    now = rows.now()
    due = next_due(read_schedule(dict(job.schedule)), now, now)
    jobs.change(tx, job_id, next_run_at=due)
