"""What becomes of one item that an execution replaced or deleted, when that execution is undone."""

from enum import StrEnum
from typing import NamedTuple

from tallyport.domain.entries import Entry, Fingerprint, Kind, fingerprint


class Undo(StrEnum):
    """What is done with one kept item."""

    RESTORE = "restore"  # nothing stands in its place
    EXCHANGE = "exchange"  # what the execution put there stands there unchanged: it is kept instead
    REST = "rest"  # it stands there already
    REFUSE = "refuse"  # something else stands there now: somebody changed it since


class Left(NamedTuple):
    """What the ledger says of a path on one side."""

    execution_id: int
    fingerprint: Fingerprint | None


def undo(kept: Entry, here: Entry | None, left: Left | None, execution_id: int) -> Undo:
    """Say what becomes of a kept item. ``left``: how the ledger has its place; None, it knows nothing there."""
    if here is None:
        return Undo.RESTORE
    if kept.link_id is not None and kept.link_id == here.link_id:
        return Undo.REST
    if left is None or left.execution_id != execution_id or here.kind is Kind.CONTAINER:
        return Undo.REFUSE
    return Undo.EXCHANGE if left.fingerprint == fingerprint(here) else Undo.REFUSE
