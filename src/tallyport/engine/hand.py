"""The hand of a visit: does with one item what was decided, or leaves it to a task of its own."""

from collections.abc import Callable

from tallyport.connectors.hashing import digest
from tallyport.domain.actions import (
    Action,
    Adopt,
    Delete,
    Enter,
    Flag,
    Forget,
    Look,
    MakeContainer,
    Reason,
    Skip,
    Stamp,
    Transfer,
)
from tallyport.domain.capabilities import VerifyLevel
from tallyport.domain.entries import Entry, Kind, Pair, Side, fingerprint
from tallyport.domain.errors import REMEDIES, ErrorKind, Scope, TallyportError, halt
from tallyport.domain.inspecting import enters, tracks_foreign
from tallyport.domain.items import DONE, Status
from tallyport.domain.naming import is_converted
from tallyport.domain.paths import display
from tallyport.domain.rules import Rules
from tallyport.domain.settle import settle
from tallyport.engine.decision import decide_on, known_hash
from tallyport.engine.notes import Notes, attempts_of
from tallyport.engine.opened import Glimpsed, Opened, Ticket
from tallyport.engine.passage import Passage
from tallyport.engine.throttle import Meter
from tallyport.engine.work import Known

TRIES = 3  # of a file that changes while it is read or is damaged on its way, or whose place is taken meanwhile

_FILE, _CONTAINER = int(Kind.FILE), int(Kind.CONTAINER)
_SOURCE, _DESTINATION = Side.SOURCE, Side.DESTINATION
_DONE = frozenset(int(status) for status in DONE)
_READBACK = int(VerifyLevel.READBACK)
_EMPTY = digest(b"")
_NOTHING_TO_DO = frozenset(
    {
        Reason.UNCHANGED,
        Reason.DELETED_AT_DESTINATION,
        Reason.DESTINATION_CHANGED,
        Reason.DELETED_AT_SOURCE,
    }
)


class Hand:
    """Decides on items and does what was decided."""

    def __init__(
        self,
        passage: Passage,
        rules: Rules,
        notes: Notes,
        part_size: int,
        meter: Meter | None,
        stopped: Callable[[], bool],
        *,
        regrants: bool = False,
    ) -> None:
        self._regrants = regrants
        self._passage = passage
        self._rules = rules
        self._notes = notes
        self._part_size = part_size
        self._meter = None if passage.paces_itself else meter
        self._stopped = stopped
        # A run sees what is left in a folder when it removes it from the source.
        self._inspection = rules.policies.item_inspection
        self._tracks_foreign = tracks_foreign(self._inspection)

    def do(
        self,
        visit: Opened,
        name: str,
        d_name: str,
        source: Entry | None,
        destination: Entry | None,
        seen: bool,
        row: Known | None,
        tries: int,
    ) -> None:
        """Decide on one item and do it, or write down why not."""
        if visit.work.purges and destination is None:
            return  # what the ledger knows of it is no matter of emptying the destination
        try:
            if self._regrants:
                if source is not None and source.glimpsed:
                    visit.glimpsed.append(Glimpsed(name, d_name, destination, seen, row, source.contents))
                    return
                self._regrant(visit, name, d_name, source, destination, row)
                return
            action, pair = decide_on(visit, name, d_name, source, destination, seen, row, self._rules)
            if type(action) is Look or (type(action) is Transfer and self._goes_apart(pair.source)):
                contents = 0 if pair.source is None else pair.source.contents
                visit.glimpsed.append(Glimpsed(name, d_name, pair.destination, pair.destination_seen, row, contents))
                return
            if visit.work.gone and type(action) is not Delete and type(action) is not Forget:
                visit.keeps = True
            elif source is not None and type(action) in (Skip, Flag):
                self._notes.stays(visit)
            self._apply(visit, action, pair, name, d_name, row, tries)
        except TallyportError as error:
            if REMEDIES[error.kind][0] is Scope.CONNECTION:
                raise
            if source is not None:
                self._notes.stays(visit)
            self._notes.failed(visit, name, source or destination, row, error)

    def _regrant(
        self, visit: Opened, name: str, d_name: str, source: Entry | None, destination: Entry | None, row: Known | None
    ) -> None:
        """Give what was carried before its owner, grants and properties again. Content is as it was, and times are."""
        visit.is_clean = False  # what changed is looked at by the next execution
        if row is None or row.status not in _DONE or source is None or destination is None:
            return
        if not (source.kind == destination.kind == row.kind):
            return
        if source.kind is Kind.CONTAINER:
            self._notes.child(visit, name, d_name, source, row, str(Reason.UNCHANGED), is_fresh=False, wrote=0)
            return
        visit.unchanged += 1
        visit.unchanged_bytes += source.size
        if self._notes.is_dry:
            return
        losses = visit.crossing.dress(_DESTINATION, source, destination.name)
        there = visit.crossing.look(_DESTINATION, destination.name) or destination
        has_changed = fingerprint(there) != fingerprint(destination)
        visit.wrote = visit.wrote or has_changed
        was_known = (row.d_size, row.d_modified, row.d_tag) == tuple(fingerprint(destination))
        if losses or (has_changed and was_known):
            source = visit.crossing.counted(_SOURCE, source)
            self._notes.regranted(visit, row, source, there if was_known else None, losses, has_changed=has_changed)
            visit.unchanged -= 1
            visit.unchanged_bytes -= source.size

    def missed(self, ticket: Ticket, error: TallyportError, *, may_retry: bool) -> None:
        """Try again what changed or was damaged meanwhile; write down what failed; halt where a connection did."""
        visit = ticket.visit
        if REMEDIES[error.kind][0] is Scope.CONNECTION:
            visit.halted, visit.why = str(error.kind), halt(error.kind, error)
            return
        again = error.kind in (ErrorKind.CHANGED_DURING_COPY, ErrorKind.ALREADY_EXISTS, ErrorKind.CORRUPT)
        if not again or ticket.tries + 1 >= TRIES or not may_retry:
            self._notes.failed(visit, ticket.name, ticket.entry, ticket.row, error)
            return
        crossing = visit.crossing
        try:
            source = crossing.look(_SOURCE, ticket.name)
            there = crossing.look(_DESTINATION, ticket.d_name)
            if source is None and ticket.to is _DESTINATION:
                gone = TallyportError(ErrorKind.NOT_FOUND, f"{display(ticket.name)} vanished while it was carried")
                self._notes.failed(visit, ticket.name, ticket.entry, ticket.row, gone)
                return
            self.do(visit, ticket.name, ticket.d_name, source, there, True, ticket.row, ticket.tries + 1)
        except TallyportError as worse:
            if REMEDIES[worse.kind][0] is Scope.CONNECTION:
                visit.halted, visit.why = str(worse.kind), halt(worse.kind, worse)
            else:
                self._notes.failed(visit, ticket.name, ticket.entry, ticket.row, worse)

    def _goes_apart(self, source: Entry | None) -> bool:
        """Tell whether what was only glimpsed is left to a task, which keeps all that is known of it."""
        return source is not None and source.glimpsed and source.size > self._part_size and not self._notes.is_dry

    def pace(self, size: int) -> None:
        """Wait until so many bytes may pass."""
        if self._meter is not None:
            self._meter.take(size, self._stopped)

    @property
    def must_pace(self) -> bool:
        """Whether the rate of this moment is limited, and not by the passage itself."""
        return self._meter is not None and self._meter.is_limited

    def _apply(
        self,
        visit: Opened,
        action: Action,
        pair: Pair,
        name: str,
        d_name: str,
        row: Known | None,
        tries: int,
    ) -> None:
        """Do what was decided, or leave it to a task of its own."""
        match action:
            case Skip(reason):
                self._skip(visit, reason, pair, name, row)
            case Transfer():
                self._transfer(visit, action, pair, name, d_name, row, tries)
            case Enter(reason):
                entry = pair.source or pair.destination
                assert entry is not None, "a container stands somewhere"
                self._notes.child(visit, name, d_name, entry, row, str(reason), is_fresh=False, wrote=0)
            case MakeContainer():
                self._make(visit, action, pair, name, d_name, row)
            case Adopt(reason):
                self._adopt(visit, reason, pair, name, d_name, row)
            case Stamp(to, reason):
                self._stamp(visit, to, reason, pair, name, d_name, row)
            case Delete(side, reason):
                content, level = None, 0
                if reason is Reason.MOVED and row is not None:
                    content, level = self._prove(visit, pair, row.level)
                self._notes.deletion(visit, side, reason, pair, name, d_name, row, content=content, level=level)
            case Forget(reason):
                if row is not None:
                    self._notes.left(visit, name, None, row, row.status, row.attempts, str(reason), "", lost=0)
            case Flag(reason, message):
                status, attempts = settle(_status(row), attempts_of(row), action)
                entry = pair.source or pair.destination
                self._notes.left(visit, name, entry, row, int(status), attempts, str(reason), message)
            case _:
                raise AssertionError(f"no way to do {action}")

    def _skip(self, visit: Opened, reason: Reason, pair: Pair, name: str, row: Known | None) -> None:
        entry = pair.source or pair.destination
        if row is not None and row.status in _DONE and reason in _NOTHING_TO_DO:
            if entry is not None and entry.kind != _CONTAINER:
                visit.unchanged += 1
                visit.unchanged_bytes += entry.size
            return
        if pair.source is None and not self._tracks_foreign and (row is None or _is_foreign(row, reason)):
            return  # only the destination has it, and this job has nothing to do with it
        status, attempts = settle(_status(row), attempts_of(row), Skip(reason))
        self._notes.left(visit, name, entry, row, int(status), attempts, str(reason), "")
        if pair.source is not None and pair.source.kind == _CONTAINER and enters(self._inspection, reason):
            visit.left_out[name] = str(reason)
            visit.children.append((name, name, False, row.item_id if row is not None else 0))

    def _transfer(
        self,
        visit: Opened,
        action: Transfer,
        pair: Pair,
        name: str,
        d_name: str,
        row: Known | None,
        tries: int,
    ) -> None:
        to = action.to
        entry, there = (pair.source, pair.destination) if to is _DESTINATION else (pair.destination, pair.source)
        assert entry is not None, "a transfer carries something"
        reason, kind = str(action.reason), int(entry.kind)
        if action.name is not None:
            d_name = action.name
        if self._notes.is_dry:
            self._notes.simulated(visit, name, d_name, entry, row, reason, moved=entry.size if kind == _FILE else 0)
            return
        taking = d_name if to is _DESTINATION else name
        if action.keep_as is not None and there is not None and not visit.crossing.holds_earlier(to, entry, there):
            visit.crossing.rename(to, there.name, action.keep_as)
            visit.wrote = True
            there = None
        replaces = there if action.replaces else None
        is_linked = entry.links > 1 and self._passage.has_links and not self._passage.has_versions
        is_apart = is_linked or entry.size > self._part_size
        if kind == _FILE and to is _DESTINATION and is_apart and not self._is_converted(entry):
            entry = visit.crossing.counted(_SOURCE, entry)
            item = self._notes.planned(name, d_name, entry, replaces, row, reason)
            task = "link" if is_linked else "big"
            temporary = "" if is_linked else visit.crossing.begin(entry, d_name)
            self._notes.defer(visit, task, item, entry, replaces=replaces is not None, temporary=temporary)
            return
        self.pace(entry.size)
        visit.waiting += 1
        processing = self._notes.processing(visit, name, d_name, kind)
        ticket = Ticket(visit, entry, name, row, reason, d_name, to, processing, tries)
        visit.crossing.carry(to, entry, taking, replaces=replaces, ticket=ticket)

    def _is_converted(self, entry: Entry) -> bool:
        return is_converted(entry.name, self._rules.policies, self._rules.destination)

    def _adopt(self, visit: Opened, reason: Reason, pair: Pair, name: str, d_name: str, row: Known | None) -> None:
        """Take what both sides hold, equal, as it is.

        Nobody knows who put it there: a run that was killed may not have set what it has besides content.
        """
        source, there, wrote = pair.source, pair.destination, 0
        carrier = self._passage.carrier
        if carrier is not None and source is not None and there is not None and not self._notes.is_dry:
            before, there = there, visit.crossing.stamp(_DESTINATION, source, there.name)
            wrote = 0 if fingerprint(before) == fingerprint(there) else 1
            visit.wrote = visit.wrote or wrote > 0
        content, level = self._prove(visit, pair, 0)
        if source is not None and not self._notes.is_dry:
            source = visit.crossing.counted(_SOURCE, source)
        self._notes.settled(
            visit,
            name,
            d_name,
            source,
            there,
            row,
            str(reason),
            content=content,
            level=level,
            wrote=wrote,
            losses=() if carrier is None else carrier.take(),
        )

    def _stamp(
        self, visit: Opened, to: Side, reason: Reason, pair: Pair, name: str, d_name: str, row: Known | None
    ) -> None:
        source, destination = pair.source, pair.destination
        if source is None or destination is None:
            raise AssertionError("a stamp is of what both sides have")
        if self._notes.is_dry:
            self._notes.settled(visit, name, d_name, source, destination, row, str(reason))
            return
        content, level = self._prove(visit, pair, 0)
        if to is _DESTINATION:
            destination, wrote = visit.crossing.stamp(to, source, destination.name), 1
            source = visit.crossing.counted(_SOURCE, source)
        else:
            source, wrote = visit.crossing.stamp(to, destination, source.name), 2
            destination = visit.crossing.counted(_DESTINATION, destination)
        visit.wrote = True
        self._notes.settled(
            visit,
            name,
            d_name,
            source,
            destination,
            row,
            str(reason),
            content=content,
            level=level,
            wrote=wrote,
            losses=() if self._passage.carrier is None else self._passage.carrier.take(),
            to=to,
        )

    def _prove(self, visit: Opened, pair: Pair, level: int) -> tuple[bytes | None, int]:
        """Give the hash of content that both sides hold, where it is known, and the level at which that is proved.

        Where the source's item is to go and ``level`` is below what the job asks for, both sides are read here.
        """
        source, destination = pair.source, pair.destination
        content = known_hash(pair)
        if source is None or destination is None or source.kind is not Kind.FILE:
            return content, level
        if source.size == destination.size == 0:
            return _EMPTY, max(_READBACK, int(self._rules.policies.verify))
        if content is not None:
            is_read = pair.facts_asked.issuperset(Side) and source.hash == destination.hash
            level = max(level, _READBACK if is_read else 0)
        wanted = self._rules.policies.verify
        if not self._rules.removes_source or self._notes.is_dry or level >= wanted:
            return content, level
        is_cold = wanted is VerifyLevel.COLD
        try:
            content = visit.crossing.content_hash(_SOURCE, source)
            there = visit.crossing.content_hash(_DESTINATION, destination, is_cold=is_cold)
        except TallyportError as error:
            if error.kind is not ErrorKind.UNSUPPORTED:
                raise
            return content, level
        if content != there:
            message = f"{display(pair.path)} is not the same on both sides, so it stays at the source"
            raise TallyportError(ErrorKind.CORRUPT, message)
        return content, max(_READBACK, self._passage.level if is_cold else 0)

    def _make(
        self, visit: Opened, action: MakeContainer, pair: Pair, name: str, d_name: str, row: Known | None
    ) -> None:
        """Make a container, to be visited."""
        to = action.to
        entry = pair.source if to is _DESTINATION else pair.destination
        assert entry is not None, "a container is made after another"
        if action.name is not None:
            d_name = action.name
        wrote = 0
        if not self._notes.is_dry and not (self._rules.skips_empty_containers and to is _DESTINATION):
            visit.crossing.make(to, entry, d_name if to is _DESTINATION else name)
            visit.wrote = True
            wrote = 1 if to is _DESTINATION else 2
        self._notes.child(visit, name, d_name, entry, row, str(action.reason), is_fresh=to is _DESTINATION, wrote=wrote)


def _is_foreign(row: Known, reason: Reason) -> bool:
    """Tell whether an item that was only ever at the destination stays as the ledger tells it: a purge left it."""
    is_settled = row.status == Status.SKIPPED or row.status in _DONE
    return reason is Reason.IGNORED_ONE_WAY_TRANSFER and row.s_size is None and is_settled


def _status(row: Known | None) -> Status:
    return Status.PENDING if row is None else Status(row.status)
