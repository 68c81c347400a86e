"""What is counted for those who watch the server."""

import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from tallyport.control.desk import Desk
from tallyport.control.traffic import Worked, worked
from tallyport.domain.states import State
from tallyport.store import executions, jobs, webhooks

LEAST_ROOM = 64 * 1024 * 1024  # bytes where the ledger is; below, runs stop before they lose an outcome

UNDER_WAY = ("files", "bytes", "transferred", "transferred_bytes", "unchanged", "skipped", "failed")


class Standing(NamedTuple):
    """How things stand."""

    jobs: Mapping[str, int]  # by state
    deliveries: Mapping[str, int]  # by state
    under_way: Mapping[str, int]  # totals of open runs
    disk_free: int
    connections: Sequence[Worked] = ()


def ready(desk: Desk) -> dict[str, bool]:
    """Say what the server needs in order to work, and whether it has it."""
    try:
        with desk.database.read() as tx:
            jobs.page(tx, limit=1)
        answers = True
    except sa.exc.SQLAlchemyError:
        answers = False
    return {"database": answers, "disk": _free(desk) >= LEAST_ROOM and desk.database.trouble is None}


def standing(desk: Desk) -> Standing:
    """Look how things stand: a few queries, however many jobs there are."""
    with desk.database.read() as tx:
        by_state = jobs.count_by_state(tx)
        letters = webhooks.count_all(tx)
        opened = executions.opened(tx)
    return Standing(
        jobs={state.value: by_state.get(state.value, 0) for state in State},
        deliveries={state: letters.get(state, 0) for state in ("pending", "delivered", "dead")},
        under_way={name: sum(getattr(run, name) for run in opened) for name in UNDER_WAY} | {"runs": len(opened)},
        disk_free=_free(desk),
        connections=worked(desk),
    )


def _free(desk: Desk) -> int:
    """Give the room where the ledger is; elsewhere than on this machine it is not ours to watch."""
    if desk.database.path is None:
        return LEAST_ROOM
    found = os.statvfs(os.path.dirname(os.path.abspath(desk.database.path)))
    return found.f_bavail * found.f_frsize
