"""What came of each item of a visit, written down as the row that the ledger will hold."""

from collections.abc import Mapping, Sequence
from typing import Any

from tallyport.domain import paths
from tallyport.domain.actions import Reason
from tallyport.domain.capabilities import VerifyLevel
from tallyport.domain.entries import Entry, Kind, Pair, Side
from tallyport.domain.errors import TallyportError
from tallyport.domain.items import DONE, Status
from tallyport.domain.losses import BITS, Fact, Loss, bits_of, told
from tallyport.domain.naming import RESTORED, fit
from tallyport.domain.policies import Policies
from tallyport.domain.rules import Rules
from tallyport.domain.settle import failed
from tallyport.domain.shortfall import Shortfall
from tallyport.engine.opened import Opened, Ticket
from tallyport.engine.passage import Landed, kept_as
from tallyport.engine.work import Known, Row

_FILE, _CONTAINER = int(Kind.FILE), int(Kind.CONTAINER)
_SOURCE, _DESTINATION = Side.SOURCE, Side.DESTINATION
_PENDING, _SUCCESS, _PROCESSED, _RETRY, _FLAGGED, _SKIPPED, _IGNORED = (int(status) for status in Status)
_NAMES = BITS[Fact.NAMES]
_DONE = frozenset(int(status) for status in DONE)
_NONE = (None, None, None)  # facts of a side that has nothing
_NOTHING_KNOWN = (None,) * 7
MADE_BACK = (Reason.NEW_AT_DESTINATION, Reason.DELETED_AT_SOURCE)  # why a container would be made at the source


class Notes:
    """Writes down what came of items, under the rules of one execution."""

    def __init__(self, policies: Policies, rules: Rules, shortfalls: Mapping[Side, Shortfall]) -> None:
        self._policies = policies
        self._rules = rules
        self._shortfalls = shortfalls
        self._lacks = {side: shortfall.of for side, shortfall in shortfalls.items()}
        self.is_dry = policies.simulation

    def stays(self, visit: Opened) -> None:
        """Have a simulated move know that something stays at the source: its container would not be emptied."""
        if self.is_dry and self._rules.removes_source:
            visit.keeps = True

    def left(
        self,
        visit: Opened,
        name: str,
        entry: Entry | None,
        row: Known | None,
        status: int,
        attempts: int,
        reason: str,
        message: str,
        *,
        lost: int | None = None,
    ) -> None:
        """Write down an item that was not carried; its baseline stays as it was.

        Where it cannot stand at all at the destination, that is what it lost.
        """
        if entry is not None and (status in (_RETRY, _FLAGGED) or reason == Reason.IGNORED_ITEM_TYPE):
            lost = self._shortfalls[_DESTINATION].whole(entry) or None
        kind = int(entry.kind) if entry is not None else row.kind if row is not None else _FILE
        if kind == _CONTAINER or (status not in _DONE and status not in (_SKIPPED, _IGNORED)):
            visit.is_clean = False  # a signature stands for containers that are entered, all of them
        if status in (_SKIPPED, _IGNORED):
            visit.left.add(name)
        if entry is not None and visit.work.gone:
            visit.keeps = True
        if self.is_dry and status == _FLAGGED and (row is None or row.status != _FLAGGED):
            status, attempts = _RETRY, attempts_of(row)  # a person may put it right before the real run
        facts = row[5:12] if row is not None else _NOTHING_KNOWN
        item_id, d_name = (row.item_id, row.d_name) if row is not None else (0, None)
        visit.items.append((name, kind, status, reason, item_id, attempts, *facts, 0, 0, d_name, "", message, 0, lost))

    def failed(self, visit: Opened, name: str, entry: Entry | None, row: Known | None, error: TallyportError) -> None:
        """Write down an item that could not be carried."""
        status, attempts = failed(attempts_of(row), error.kind, max_attempts=self._rules.max_attempts)
        self.left(visit, name, entry, row, int(status), attempts, str(error.kind), error.message)

    def settled(
        self,
        visit: Opened,
        name: str,
        d_name: str,
        source: Entry | None,
        destination: Entry | None,
        row: Known | None,
        reason: str,
        *,
        content: bytes | None = None,
        level: int = 0,
        wrote: int = 0,
        losses: Sequence[Loss] = (),
        to: Side = _DESTINATION,
    ) -> None:
        """Write down an item that both sides hold, equal now."""
        entry = source or destination
        assert entry is not None, "something is there"
        processing = row is not None and row.status == _PROCESSED
        if self.is_dry:
            self.simulated(visit, name, d_name, entry, row, reason)
            return
        item = (
            name,
            int(entry.kind),
            _PROCESSED if processing else _SUCCESS,
            reason,
            row.item_id if row is not None else 0,
            0,
            *entry_facts(source),
            *entry_facts(destination),
            content if content is not None else row.hash if row is not None else None,
            level,
            0,
            None if d_name == name else d_name,
            "",
            told(losses),
            wrote,
            self.lacks(
                to,
                (source if to is _DESTINATION else destination) or entry,
                losses,
                renamed=_is_renamed(self.processing(visit, name, d_name, int(entry.kind))),
            ),
        )
        if losses:
            lost(visit, name, losses)
        self.done(visit, item, source)

    def lacks(self, to: Side, entry: Entry, losses: Sequence[Loss], *, renamed: bool) -> int:
        """Give the bits of what an item lacks at the side it was carried to."""
        return self._lacks[to](entry) | (_NAMES if renamed else 0) | (bits_of(losses) if losses else 0)

    def regranted(
        self,
        visit: Opened,
        row: Known,
        source: Entry,
        there: Entry | None,
        losses: Sequence[Loss],
        *,
        has_changed: bool,
    ) -> None:
        """Write down an item whose grants were applied again; what is known of its content stays as it was."""
        d_side = entry_facts(there) if there is not None else (row.d_size, row.d_modified, row.d_tag)
        if losses:
            lost(visit, row.name, losses)
        visit.items.append(
            (
                row.name,
                row.kind,
                row.status,
                str(Reason.UNCHANGED),
                row.item_id,
                0,
                *(row.s_size, row.s_modified, row.s_tag),
                *d_side,
                row.hash,
                row.level,
                0,
                row.d_name,
                "",
                told(losses),
                1 if has_changed else 0,
                self.lacks(
                    _DESTINATION,
                    source,
                    losses,
                    renamed=_is_renamed(self.processing(visit, row.name, row.d_name or row.name, row.kind)),
                ),
            )
        )

    def planned(
        self,
        name: str,
        d_name: str,
        entry: Entry,
        destination: Entry | None,
        row: Known | None,
        reason: str,
        *,
        processing: str = "",
        wrote: int = 0,
    ) -> Row:
        """Give the row of an item that is planned and not finished.

        It holds the source as seen now and, where something is replaced, what stands there.
        """
        return (
            name,
            int(entry.kind),
            _PENDING,
            reason,
            row.item_id if row is not None else 0,
            attempts_of(row),
            *entry_facts(entry),
            *entry_facts(destination),
            None,
            0,
            0,
            None if d_name == name else d_name,
            processing,
            "",
            wrote,
            self.lacks(_DESTINATION, entry, (), renamed=_is_renamed(processing)),
        )

    def simulated(
        self,
        visit: Opened,
        name: str,
        d_name: str,
        entry: Entry,
        row: Known | None,
        reason: str,
        *,
        moved: int = 0,
        goes: bool = False,
    ) -> None:
        """Write down what would be done. What the ledger knows of both sides stays as it is."""
        visit.items.append(
            (
                name,
                int(entry.kind),
                _PENDING if entry.kind == _CONTAINER and not goes else _SUCCESS,
                reason,
                row.item_id if row is not None else 0,
                attempts_of(row),
                *(row[5:12] if row is not None else _NOTHING_KNOWN),
                0,
                moved,
                None if d_name == name else d_name,
                self.processing(visit, name, d_name, int(entry.kind)),
                "",
                0,
                None,
            )
        )

    def defer(
        self,
        visit: Opened,
        task: str,
        item: Row,
        entry: Entry,
        *,
        replaces: bool = False,
        reason: str | None = None,
        temporary: str = "",
    ) -> None:
        """Leave work for a task of its own. The item's row comes with it, not among the items."""
        device, inode = entry.link_id if task == "link" and entry.link_id else (0, 0)
        visit.is_clean = False
        why = reason or item[3]
        visit.deferred.append((task, item[0], item[1], entry.size, device, inode, item, replaces, why, temporary))

    def done(self, visit: Opened, item: Row, source: Entry | None) -> None:
        """Write down a settled item; where the job empties the source, have the source's go as well."""
        if not self._rules.removes_source or source is None:
            visit.items.append(item)
        elif item[1] != _FILE or item[13] >= self._policies.verify:
            self.defer(visit, "delete_source", _as_one_of_several(item, source), source, reason=str(Reason.MOVED))
        else:  # not proved at the level asked for: it stays at the source, and is looked at again
            visit.is_clean = False
            wanted, reached = self._policies.verify.name.lower(), VerifyLevel(item[13]).name.lower()
            why = f"it stays at the source: its copy is proved at level {reached}, and the job asks for {wanted}"
            visit.items.append((*item[:6], *_NONE, *item[9:17], why, *item[18:]))

    def processing(self, visit: Opened, name: str, d_name: str, kind: int) -> str:
        """Say in what a name at the destination differs from the item's own."""
        if name == d_name:
            return ""
        return self._words(visit.work.d_path, name, visit.originals.get(name), d_name, kind)

    def _words(self, container: str, name: str, original: str | None, d_name: str, kind: int) -> str:
        """``original``: the name that it had before an earlier job renamed it."""
        wanted, words = (name, ()) if original is None else (original, (RESTORED,))
        named = fit(wanted, self._policies, self._rules.destination, container=container, is_file=kind == _FILE)
        if named.name == d_name:
            return ",".join((*words, *named.processing))
        return ",".join((*words, *named.processing, "deduplicated"))

    def landed(self, ticket: Ticket, landed: Landed, level: int) -> None:
        """Write down what was carried, visible and as durable as asked; ``level`` is what the passage proves."""
        visit, entry, row = ticket.visit, ticket.entry, ticket.row
        there, content, moved = landed[:3]
        name, processing, message = ticket.name, ticket.processing, ""
        lacks = self._lacks[ticket.to](entry)
        if len(landed) > 3:  # a passage that says more than the lean one
            if landed.losses:
                message = told(landed.losses)
                lost(visit, name, landed.losses)
                lacks |= bits_of(landed.losses)
            if landed.level is not None:
                level = landed.level
            processing = ",".join(filter(None, (processing, landed.processing)))
        if ticket.to is _DESTINATION:
            sides = (entry.size, entry.modified, entry.tag, there.size, there.modified, there.tag)
            wrote = 1
        else:
            sides = (there.size, there.modified, there.tag, entry.size, entry.modified, entry.tag)
            wrote = 2
        visit.wrote = True
        item = (
            name,
            int(entry.kind),
            _PROCESSED if ticket.processing else _SUCCESS,
            ticket.reason,
            0 if row is None else row.item_id,
            0,
            *sides,
            content or None,
            level,
            moved,
            None if ticket.d_name == name else ticket.d_name,
            processing,
            "; ".join(filter(None, (message, kept_as(ticket.kept)))),
            wrote,
            lacks | _NAMES if _is_renamed(ticket.processing) else lacks,
        )
        self.done(visit, item, entry)

    def child(
        self,
        visit: Opened,
        name: str,
        d_name: str,
        entry: Entry,
        row: Known | None,
        reason: str,
        *,
        is_fresh: bool,
        wrote: int,
    ) -> None:
        """Have a container visited. Its row stays pending until its own visit ends."""
        if d_name != name:
            visit.is_clean = False
        if self.is_dry:
            is_new = row is None or row.status not in _DONE or row.s_size is row.s_modified is None
            if is_new or reason in MADE_BACK:
                self.simulated(visit, name, d_name, entry, row, reason)
        elif row is None or row.status not in _DONE or wrote:
            processing = self.processing(visit, name, d_name, _CONTAINER)
            planned = self.planned(name, d_name, entry, None, row, reason, processing=processing, wrote=wrote)
            visit.items.append(planned)
        visit.children.append((name, d_name, is_fresh, row.item_id if row is not None else 0))

    def deletion(
        self,
        visit: Opened,
        side: Side,
        reason: Reason,
        pair: Pair,
        name: str,
        d_name: str,
        row: Known | None,
        *,
        content: bytes | None = None,
        level: int = 0,
    ) -> None:
        """Leave a delete for later: after everything else, within the brake.

        Until then the row is pending, keeps the baseline of the side where the item is gone, and says what is
        expected at the other. A moved item's row is as settled as before.
        """
        entry = pair.source if side is _SOURCE else pair.destination
        assert entry is not None, "what is deleted is there"
        known = row[5:12] if row is not None else _NOTHING_KNOWN
        is_moved = reason is Reason.MOVED and row is not None
        item = (
            name,
            int(entry.kind),
            row.status if is_moved and row is not None else _PENDING,
            str(Reason.UNCHANGED if is_moved else reason),
            row.item_id if row is not None else 0,
            attempts_of(row),
            *(entry_facts(entry) if side is _SOURCE else known[0:3]),
            *(entry_facts(entry) if side is _DESTINATION else known[3:6]),
            known[6] if content is None else content,
            level,
            0,
            None if d_name == name else d_name,
            "",
            "",
            0,
            None,
        )
        if is_moved:
            if entry.kind == _FILE and level < self._policies.verify and not self.is_dry:
                self.done(visit, item, entry)
                return
            item = _as_one_of_several(item, entry)
        visit.is_clean = False
        if self.is_dry:
            self.simulated(visit, name, d_name, entry, row, str(reason), goes=True)
        else:
            self.defer(visit, f"delete_{side}", item, entry, reason=str(reason))
        if entry.kind == _CONTAINER:
            visit.children.append((name, d_name, False, row.item_id if row is not None else 0))

    def container_row(self, visit: Opened, container: Entry | None, losses: Sequence[Loss] = ()) -> Row | None:
        """Give the row of the container itself, where the visit went through it."""
        work, source = visit.work, visit.container
        if source is None or work.only is not None or work.left_out:
            return None
        name = work.path.rpartition("/")[2]
        d_name = work.d_path.rpartition("/")[2]
        status, reason, message = _SUCCESS, str(Reason.UNCHANGED), ""
        d_side: tuple[Any, ...] = _NONE
        lacks: int | None = None
        processing = ""
        if name != d_name:
            processing = self._words(paths.split(work.d_path)[0], name, work.original, d_name, _CONTAINER)
        if visit.too_many is not None:
            status, reason, message = _FLAGGED, str(Reason.TOO_MANY_ITEMS), visit.too_many
        elif container is not None:
            d_side = (container.size, container.modified, container.tag)
            message = told(losses)
            lost(visit, "", losses)
            if not work.carried:  # else nothing was set anew, and it lacks what it lacked
                lacks = self.lacks(_DESTINATION, source, losses, renamed=_is_renamed(processing))
        elif self.is_dry:
            return None
        elif self._rules.skips_empty_containers:
            status, reason = _SKIPPED, str(Reason.IGNORED_EMPTY_CONTAINER_POLICY)
        elif not work.s_only:
            return None
        if processing and status == _SUCCESS:
            status = _PROCESSED
        return (
            name,
            _CONTAINER,
            status,
            reason,
            work.item_id,
            0,
            source.size,
            source.modified,
            source.tag,
            *d_side,
            None,
            0,
            0,
            None if d_name == name else d_name,
            processing,
            message,
            1 if visit.wrote else 0,
            lacks,
        )


def _is_renamed(processing: str) -> bool:
    """Tell whether an item did not get the name that it is to have: what was restored has it."""
    return processing not in ("", RESTORED)


def lost(visit: Opened, name: str, losses: Sequence[Loss]) -> None:
    """Have the next report of a visit say what one of its items lost."""
    visit.losses.extend((name, one.what, one.detail) for one in losses)


def entry_facts(entry: Entry | None) -> tuple[int | None, int | None, bytes | None]:
    """Give what a row remembers of one side."""
    return _NONE if entry is None else (entry.size, entry.modified, entry.tag)


def _as_one_of_several(item: Row, source: Entry) -> Row:
    """Take the tag from the row of a source's item with several names: each removal changes it for the others.

    Whoever removes such a name reads it again, as its tag can tell nothing.
    """
    return item if source.links == 1 or source.kind != _FILE else (*item[:8], b"", *item[9:])


def attempts_of(row: Known | None) -> int:
    return 0 if row is None else row.attempts
