"""A visit that was claimed and has not ended, as the recorder sees it."""

from collections.abc import Mapping

from tallyport.store import frontier
from tallyport.store.frontier import VisitRow


class OpenVisit:
    """What the reports of a visit under way add up to."""

    __slots__ = (
        *("blank", "bytes", "deferred", "files", "folders", "keeps", "lands_later"),
        *("row", "seen", "unchanged", "unchanged_bytes"),
    )

    def __init__(self, row: VisitRow) -> None:
        self.row = row
        self.files = self.bytes = self.unchanged = self.unchanged_bytes = 0
        self.folders: dict[str, int] = {}
        self.blank: set[str] = set()  # containers the ledger had not seen
        self.seen: set[bytes] = set()  # names told, only when the visit is resumed
        self.deferred = False
        self.keeps = False  # something stays in it, although it is to go
        self.lands_later = False  # something will still land in it: its times are set again then

    def copy(self) -> "OpenVisit":
        """Give one that what comes does not change."""
        other = OpenVisit(self.row)
        for slot in self.__slots__:
            value = getattr(self, slot)
            setattr(other, slot, value.copy() if isinstance(value, (dict, set)) else value)
        return other

    def gone_below(self, name: str, deleted: str, left_out: Mapping[str, str]) -> str:
        """Say, for the visit of a sub-container, which side no longer has it, or why it is left out.

        ``deleted`` is the task that takes it away from the other side, if any.
        """
        gone = {"delete_source": "destination", "delete_destination": "source"}.get(deleted, "")
        if self.row.gone == frontier.PURGE and gone:
            return frontier.PURGE
        if self.row.gone.startswith(frontier.LEFT_OUT):
            return self.row.gone
        return f"{frontier.LEFT_OUT}{left_out[name]}" if name in left_out else gone
