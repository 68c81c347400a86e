"""What the server is doing as a whole: what runs, what failed of late, what comes next, how much room is left."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tallyport.control.approvals import awaits_person
from tallyport.control.desk import Desk
from tallyport.control.pictures import Picture, look_many
from tallyport.domain.jobs import Job
from tallyport.domain.states import ACTIVE
from tallyport.store import executions, failures, jobs, rows
from tallyport.store.executions import Carried

DAY = 24 * 3600 * 1_000_000  # microseconds
MOST_RUNNING = 20
FRESH = 2.0  # seconds for which a brief overview may be shown
MOST_COUNTED = 100_000  # failures of a day that are read to be told apart by reason


class Storage(NamedTuple):
    """Room for the ledger."""

    database: str  # sqlite or postgresql
    ledger_bytes: int | None
    free_bytes: int | None
    total_bytes: int | None

    @property
    def is_low(self) -> bool:
        """Tell whether the ledger may soon have no room to grow."""
        return self.free_bytes is not None and self.free_bytes < 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The server as of one moment."""

    at: int
    by_state: Mapping[str, int]
    running: Sequence[Picture]
    waiting: Sequence[Picture]  # for a person to approve deletes
    recent: Sequence[Picture]  # ended last, newest first
    day: Carried  # what ended within a day
    failed_by_reason: Sequence[tuple[str, int]] | None  # absent when there are too many to read, or in brief
    scheduled: Sequence[Job]
    storage: Storage


def overview(desk: Desk, *, brief: bool = False) -> Overview:
    """Look at everything once. ``brief``: leave out what ended last and why items failed."""
    now = rows.now()
    with desk.database.read() as tx:
        by_state = jobs.count_by_state(tx)
        active = jobs.page(tx, states=sorted(ACTIVE), limit=MOST_RUNNING)[0] if by_state.keys() & ACTIVE else []
        running = look_many(tx, active)
        ended = [] if brief else [run.job_id for run in executions.page(tx, ended=True, limit=8)[0]]
        found = [jobs.find(tx, one) for one in dict.fromkeys(ended)]
        recent = look_many(tx, [job for job in found if job is not None])
        day = executions.carried_since(tx, now - DAY)
        reasons = None if brief or day.failed > MOST_COUNTED else failures.by_reason_since(tx, now - DAY)
        scheduled = jobs.scheduled(tx, limit=8)
    return Overview(
        at=now,
        by_state=by_state,
        running=[one for one in running if not awaits_person(one)],
        waiting=[one for one in running if awaits_person(one)],
        recent=recent,
        day=day,
        failed_by_reason=reasons,
        scheduled=scheduled,
        storage=storage(desk),
    )


def storage(desk: Desk) -> Storage:
    """Look at the room the ledger has."""
    path = desk.database.path
    if path is None:
        return Storage("postgresql", None, None, None)
    try:
        size = sum(os.stat(one).st_size for one in (path, f"{path}-wal") if os.path.exists(one))
        room = shutil.disk_usage(os.path.dirname(path) or ".")
    except OSError:
        return Storage("sqlite", None, None, None)
    return Storage("sqlite", size, room.free, room.total)
