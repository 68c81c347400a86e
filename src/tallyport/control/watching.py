"""What those who watch are shown: events that were written, and how far runs are."""

import logging
from collections.abc import Collection
from typing import NamedTuple

from tallyport.domain.executions import Execution
from tallyport.store import events, executions, rows, users
from tallyport.store.database import Database
from tallyport.store.events import Event

log = logging.getLogger("tallyport.watching")

AT_ONCE = 1_000  # events of one look
CHUNK = 400  # jobs of one query


class Seen(NamedTuple):
    """What one look found."""

    events: list[Event]
    runs: list[Execution]  # the newest of each job asked for
    void: frozenset[str]  # tokens that do not hold any more


def look(
    database: Database, last: int, jobs: Collection[str], tokens: Collection[str], hidden: Collection[str]
) -> Seen:
    """Look once, for everybody."""
    wanted = sorted(jobs)
    with database.read() as tx:
        found = events.page(tx, after=last, hidden=hidden, limit=AT_ONCE)
        runs: list[Execution] = []
        for start in range(0, len(wanted), CHUNK):
            runs += executions.current(tx, wanted[start : start + CHUNK])
        held = users.holding(tx, tokens, rows.now()) if tokens else frozenset(tokens)
    return Seen(found, runs, frozenset(tokens) - held)


def after(
    database: Database,
    last: int,
    job_id: str | None,
    topics: Collection[str],
    hidden: Collection[str],
    limit: int,
) -> list[Event]:
    """Give events written after one, oldest first."""
    with database.read() as tx:
        return events.page(tx, after=last, job_id=job_id, topics=topics, hidden=hidden, limit=limit)


def bounds(database: Database) -> tuple[int, int]:
    """Give the ids of the oldest event that is kept and of the newest."""
    with database.read() as tx:
        return events.first_id(tx), events.last_id(tx)


def newest_run(database: Database, job_id: str) -> Execution | None:
    """Give the newest execution of a job."""
    with database.read() as tx:
        found = executions.current(tx, [job_id])
    return found[0] if found else None


def previous_run(database: Database, run: Execution) -> Execution | None:
    """Give the execution before one, which tells how much there may be."""
    with database.read() as tx:
        found, _ = executions.page(tx, job_id=run.job_id, limit=2)
    older = [one for one in found if one.id < run.id]
    return older[0] if older else None
