"""What a simulation's rows say of the run that follows: the same, but for what only a run can come to.

A row stays what the ledger knows of an item. So a simulation neither says of a container that it stands, which would
be a baseline, nor gives up on an item that a person may put right before the run.
"""

from typing import NamedTuple

from tallyport.domain.actions import GONE, Reason
from tallyport.domain.entries import Kind
from tallyport.domain.items import DONE, Status

MAKING = frozenset(  # why a container would be entered that the ledger does not know yet
    {
        Reason.NEW_AT_SOURCE,
        Reason.NEW_AT_DESTINATION,
        Reason.SAME_CONTENT,
        Reason.UNCHANGED,
        Reason.DELETED_AT_SOURCE,
        Reason.DELETED_AT_DESTINATION,
    }
)

_STAYS_GONE = GONE - {Reason.DELETED_AT_DESTINATION}  # a move makes again what was deleted there


class Told(NamedTuple):
    """What a row says of its item."""

    kind: Kind
    status: Status
    reason: str


def foretells(simulated: Told, run: Told) -> bool:
    """Tell whether a simulation's row is that of the run that follows, in the words that correspond."""
    if simulated == run:
        return True
    if simulated.kind is not run.kind:
        return False
    if simulated.kind is Kind.CONTAINER and simulated.status is Status.PENDING and simulated.reason in MAKING:
        return run.status in DONE and run.reason == Reason.UNCHANGED  # it stands, and is the same on both sides
    if simulated.status is Status.RETRY and simulated.reason == run.reason:
        return run.status is Status.FLAGGED  # a person may put it right before
    return False


def leaving(status: int, reason: str) -> str:
    """Give the reason that an item has once it was carried and its source's went, as a move does at its end."""
    return Reason.MOVED.value if status in DONE and reason not in _STAYS_GONE else reason
