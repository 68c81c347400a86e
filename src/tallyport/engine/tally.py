"""What an outcome counts as, and what a recorder must know of its execution."""

from typing import Any, NamedTuple

from tallyport.domain.actions import EQUAL, GONE, Reason
from tallyport.domain.categories import Judge
from tallyport.domain.entries import Kind
from tallyport.domain.items import FAILED, Status

Result = tuple[Any, ...]  # an engine.work.ItemResult as it crosses the pipe

# Positions in it, for the loop that runs once an item.
NAME, KIND, STATUS, REASON, ID, ATTEMPTS = range(6)
S_SIZE, D_SIZE, LEVEL, MOVED, D_NAME, PROCESSING, MESSAGE, WROTE, LOST = 6, 9, 13, 14, 15, 16, 17, 18, 19

LEVELS = {"skipped": 3, "transferred": 2, "deleted": 2, "unchanged": 1, "pending": 1}  # audit level of an outcome
VISITED = 1  # audit level of a container that was gone through: a line for each, as unchanged items are too many


class Scene(NamedTuple):
    """What the recorder must know of an execution."""

    execution_id: int
    job_id: str
    job: int  # number of the job
    token: str
    part_size: int
    audit_level: int
    simulation: bool
    removes_source: bool = False
    remakes: bool = False  # what was deleted at the destination is never deleted at the source: it is made again
    judge: Judge = Judge((), max_attempts=3)  # of failures
    warned: frozenset[str] = frozenset()  # reasons of skipped items that are told as warnings
    verify: int = 0  # level at which a copy must be proved before its source goes

    def category(self, kind: int, status: int, reason: str) -> str | None:
        """Name the total that an item counts in; a container counts only when it failed or was left out.

        What a task deleted is told apart by who settles it: there the item counts as deleted whatever is said here.
        """
        if status in FAILED:
            return "failed"
        if status in (Status.SKIPPED, Status.IGNORED):
            return "skipped"
        if kind == Kind.CONTAINER:  # in a simulation, one that would be deleted is settled, and one to be made is not
            return "deleted" if self.simulation and status != Status.PENDING and reason in GONE else None
        if status == Status.PENDING:  # in a simulation nothing is carried, and what would be stays pending
            return "transferred" if self.simulation else "pending"
        if reason in EQUAL or (self.simulation and reason == Reason.MOVED):  # equal on both sides: its source's goes
            return "unchanged"
        if reason == Reason.DELETED_AT_DESTINATION and self.remakes:
            return "transferred"
        return "deleted" if reason in GONE else "transferred"


def together(uses: list[Result]) -> list[tuple[str, str, str, str, str, int]]:
    """Add up who was met by several movers: one row for each of a side."""
    found: dict[tuple[str, str], tuple[str, str, str, str, str, int]] = {}
    for side, source, how, destination, message, count in uses:
        earlier = found.get((side, source))
        met = count if earlier is None else count + earlier[5]
        found[side, source] = (side, source, how, destination, message, met)
    return list(found.values())


WOULD_GO: dict[object, str] = {
    Reason.NOT_AT_SOURCE: "delete_destination",
    Reason.DELETED_AT_SOURCE: "delete_destination",
    Reason.PURGED: "delete_destination",
    Reason.DELETED_AT_DESTINATION: "delete_source",
}


def would_go(r: Result) -> bool:
    """Tell whether a simulation would delete a container."""
    return r[KIND] == Kind.CONTAINER and r[STATUS] == Status.SUCCESS and r[REASON] in WOULD_GO
