"""How an outcome becomes an item's next state: status, tries used, and what becomes of its baseline.

Tries are counted over executions. An item that fails is tried again in the next execution until its tries are
used up, then a person decides. What is not the item's fault costs no try.
"""

from enum import Enum
from typing import NamedTuple

from tallyport.domain.actions import (
    Action,
    Adopt,
    Delete,
    Enter,
    Flag,
    Forget,
    Inspect,
    Look,
    MakeContainer,
    Reason,
    Skip,
    Stamp,
    Transfer,
)
from tallyport.domain.categories import CategoryAction, Verdict
from tallyport.domain.errors import REMEDIES, ErrorKind, Remedy
from tallyport.domain.items import DONE, Status


class BaselineMove(Enum):
    """What becomes of an item's baseline."""

    KEEP = "keep"  # as it was; also none stays none
    TAKE = "take"  # both fingerprints as they are now
    DROP = "drop"  # the item is gone from both sides


class Settled(NamedTuple):
    """Status and failed tries of an item after an action."""

    status: Status
    attempts: int


NO_TRY = frozenset({Remedy.LOOK_AGAIN, Remedy.WAIT, Remedy.REFUSE, Remedy.STOP})
"""Remedies that cost the item no try: it stays pending and is looked at again."""

_NOTHING_TO_DO = frozenset({Reason.UNCHANGED, Reason.MOVED, Reason.DELETED_AT_SOURCE, Reason.STAYS_FLAGGED})


def settle(
    before: Status,
    attempts: int,
    action: Action,
    error: ErrorKind | None = None,
    *,
    max_attempts: int = 3,
    processed: bool = False,
    gave_up: bool = False,
) -> Settled:
    """Give the state that follows.

    ``error``: the action was tried and failed. ``processed``: the item was carried under another name or in
    another form. ``gave_up``: the connection was waited for in vain, so the error counts against the item.
    """
    if error is not None:
        return failed(attempts, error, max_attempts=max_attempts, gave_up=gave_up)
    match action:
        case Flag():
            return Settled(Status.FLAGGED, attempts)
        case Skip(reason=Reason.IGNORED_BY_USER):
            return Settled(Status.IGNORED, attempts)
        case Skip(reason=Reason.STAYS_FLAGGED):
            return Settled(Status.FLAGGED, attempts)
        case Skip(reason=reason) if reason in _NOTHING_TO_DO:
            kept = before in DONE or before is Status.SKIPPED
            return Settled(before if kept else Status.SUCCESS, 0)
        case Skip():
            return Settled(Status.SKIPPED, 0)
        case Stamp() | Adopt() | Enter() if before is Status.PROCESSED:
            return Settled(Status.PROCESSED, 0)
        case Transfer() | MakeContainer() | Stamp() | Adopt() | Enter() | Delete() | Forget():
            return Settled(Status.PROCESSED if processed else Status.SUCCESS, 0)
        case Inspect() | Look():
            raise ValueError("a question is not an outcome: fetch the fact and decide again")


def failed(attempts: int, error: ErrorKind, *, max_attempts: int = 3, gave_up: bool = False) -> Settled:
    """Give the state of an item whose action failed."""
    remedy = REMEDIES[error][1]
    if remedy in NO_TRY and not (gave_up and remedy is Remedy.WAIT):
        return Settled(Status.PENDING, attempts)
    if error is ErrorKind.LOCKED:
        return Settled(Status.RETRY, attempts)  # whoever holds it lets go one day: no try is used up by waiting
    used = attempts + 1
    return Settled(Status.FLAGGED if used >= max_attempts else Status.RETRY, used)


def settled_by(verdict: Verdict, status: Status, attempts: int) -> Status:
    """Give the status of a failed item once its error category has spoken.

    An item that was flagged without a try is no matter of tries: it stays flagged.
    """
    if verdict.action is not CategoryAction.RETRY:
        return Status.FLAGGED
    if attempts == 0:
        return status
    return Status.FLAGGED if attempts >= verdict.max_retry else Status.RETRY


def retried() -> Settled:
    """Give the state of an item that a person wants tried again: all its tries are back."""
    return Settled(Status.RETRY, 0)


def baseline_after(action: Action, error: ErrorKind | None = None) -> BaselineMove:
    """Say what becomes of the baseline. It moves on success only: a skipped item was never settled."""
    if error is not None:
        return BaselineMove.KEEP
    if isinstance(action, Transfer | MakeContainer | Stamp | Adopt | Enter):
        return BaselineMove.TAKE
    if isinstance(action, Forget) or (isinstance(action, Delete) and action.reason is not Reason.MOVED):
        return BaselineMove.DROP
    return BaselineMove.KEEP
