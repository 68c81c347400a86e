"""How much of what is not carried is tracked, so that both sides can be reconciled."""

from collections.abc import Mapping

from tallyport.domain.actions import Action, Delete, Reason, Skip
from tallyport.domain.entries import Entry, Kind, Side
from tallyport.domain.policies import ItemInspection

FILTER_REASONS = frozenset(
    {
        Reason.IGNORED_EXTENSION,
        Reason.IGNORED_PATTERN,
        Reason.IGNORED_SIZE,
        Reason.IGNORED_DATE,
        Reason.IGNORED_SHARED,
        Reason.IGNORED_HIDDEN,
        Reason.IGNORED_PREDEFINED,
        Reason.IGNORED_PATH,
        Reason.IGNORED_MATCH_FAIL,
    }
)
_ENTERED: Mapping[ItemInspection, frozenset[Reason]] = {
    ItemInspection.NONE: frozenset(),
    ItemInspection.FILTERED: FILTER_REASONS,
    ItemInspection.SHARED: frozenset({Reason.IGNORED_SHARED}),
    ItemInspection.ALL: FILTER_REASONS,
}


def enters(inspection: ItemInspection, reason: Reason) -> bool:
    """Tell whether a container that is left out is gone through, each item in it left out for the same reason."""
    return reason in _ENTERED[inspection]


def tracks_foreign(inspection: ItemInspection) -> bool:
    """Tell whether items that only the destination of a one-way job has get a row."""
    return inspection is ItemInspection.ALL


def left_out(reason: Reason, source: Entry | None) -> Action:
    """Decide on an item in a container that is left out. What only the destination has is not touched either."""
    return Skip(reason if source is not None else Reason.IGNORED_ONE_WAY_TRANSFER)


def purged(destination: Entry | None) -> Action:
    """Decide on an item while the destination is emptied before the first run: everything goes."""
    if destination is None or destination.kind is Kind.SPECIAL:
        return Skip(Reason.IGNORED_ITEM_TYPE)
    return Delete(Side.DESTINATION, Reason.PURGED)
