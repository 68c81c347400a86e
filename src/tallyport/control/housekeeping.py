"""What is kept for a time only, dropped after it: in small steps, so that nobody waits for it."""

import logging
import threading
from collections.abc import Callable
from typing import NamedTuple

import sqlalchemy as sa

from tallyport.control.executions import queue_undo
from tallyport.domain.policies_json import policies_from_json
from tallyport.store import events, executions, jobs, replies, rows, users, webhooks
from tallyport.store.database import Database

log = logging.getLogger("tallyport.housekeeping")

EVERY = 600.0  # seconds
STEP = 500  # rows of one transaction
DAY = 24 * 60 * 60 * 1_000_000  # microseconds


class Kept(NamedTuple):
    """How long, in days."""

    events: float = 30.0
    delivered: float = 7.0
    dead: float = 30.0
    ended_tokens: float = 30.0
    replies: float = 1.0


def run(database: Database, kept: Kept, ending: threading.Event) -> None:
    """Sweep now and then, until ``ending`` is set."""
    while True:
        try:
            sweep(database, kept)
        except Exception:  # the top of a thread: the next sweep goes on
            log.exception("housekeeping.failed")
        if ending.wait(EVERY):
            return


def sweep(database: Database, kept: Kept) -> dict[str, int]:
    """Drop what is too old; gives how much of each.

    An event stays while a webhook that is sent to has no delivery of it yet.
    """
    now = rows.now()

    def before(days: float) -> int:
        return now - int(days * DAY)

    def old_events(tx: sa.Connection) -> int:
        least = webhooks.least_cursor(tx)
        up_to = events.last_id(tx) if least is None else least
        return events.purge(tx, before=before(kept.events), up_to=up_to, limit=STEP)

    steps: dict[str, Callable[[sa.Connection], int]] = {
        "events": old_events,
        "delivered": lambda tx: webhooks.purge(tx, "delivered", before(kept.delivered), STEP),
        "dead": lambda tx: webhooks.purge(tx, "dead", before(kept.dead), STEP),
        "tokens": lambda tx: users.purge(tx, before(kept.ended_tokens), STEP),
        "replies": lambda tx: replies.expire(tx, before(kept.replies)),
    }
    swept = {name: _in_steps(database, step, is_whole=name == "replies") for name, step in steps.items()}
    return {**swept, "quarantines": purge_quarantines(database, now)}


def purge_quarantines(database: Database, now: int) -> int:
    """Queue runs that empty quarantines which were kept long enough, one for each job that is idle; gives how many."""
    after, queued = 0, set[str]()
    while True:
        with database.begin() as tx:
            found = executions.with_quarantine(tx, after=after, limit=STEP)
            for run in found:
                after = run.id
                policies = policies_from_json(run.policies)
                if policies.quarantine is None or policies.quarantine_days is None or run.job_id in queued:
                    continue
                if (run.ended_at or now) > now - int(policies.quarantine_days * DAY):
                    continue
                job = jobs.find(tx, run.job_id)
                if job is not None and executions.active(tx, job.id) is None:
                    queue_undo(tx, job, run, "housekeeping", verb="purge")
                    queued.add(job.id)
        if len(found) < STEP:
            return len(queued)


def _in_steps(database: Database, step: Callable[[sa.Connection], int], *, is_whole: bool) -> int:
    dropped = 0
    while True:
        with database.begin() as tx:
            number = step(tx)
        dropped += number
        if is_whole or number < STEP:
            return dropped
