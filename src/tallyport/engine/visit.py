"""One container: list it, pair it up, decide, apply, settle, report. The loop for every pair of platforms.

An unchanged container costs the listing of its source, because a signature of the last clean visit stands for
all of it. A new file in a new folder costs its copy, because such files are decided on once for all of them
where the rules allow it (``shortcuts.plain_size``).
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from time import monotonic
from typing import Any, NamedTuple

from tallyport.connectors.hashing import digest
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
from tallyport.domain.capabilities import VerifyLevel
from tallyport.domain.decide import decide
from tallyport.domain.entries import Baseline, Entry, Fingerprint, Kind, Pair, Side
from tallyport.domain.errors import REMEDIES, ErrorKind, Scope, TallyportError
from tallyport.domain.items import DONE, Status
from tallyport.domain.naming import distinct, fit, key
from tallyport.domain.paths import display, join
from tallyport.domain.policies import Policies
from tallyport.domain.rules import Rules
from tallyport.domain.settle import failed, settle
from tallyport.engine.passage import Crossing, Landed, Listing, Passage
from tallyport.engine.scan import KnownRows, Nothing, Rows, Unseen, see_destination
from tallyport.engine.shortcuts import fits_all, plain_size, rests
from tallyport.engine.throttle import Throttle
from tallyport.engine.work import Known, VisitReport, VisitWork

REPORT = 1_000  # items of one report, about
DECISIONS = 6  # on one item at one time, each with a fact more
TRIES = 3  # of a file that changes while it is read, or whose place is taken meanwhile
OPEN = 64  # visits that wait for one settlement, each with its descriptors
WAITING = 256  # items of one visit that wait for their settlement
PATIENCE = 1.0  # seconds that something carried may wait for its settlement

_FILE, _CONTAINER, _SYMLINK = int(Kind.FILE), int(Kind.CONTAINER), int(Kind.SYMLINK)
_SOURCE, _DESTINATION = Side.SOURCE, Side.DESTINATION
_PENDING, _SUCCESS, _PROCESSED, _RETRY, _FLAGGED, _SKIPPED, _IGNORED = (int(status) for status in Status)
_DONE = frozenset(int(status) for status in DONE)
_UNSETTLED = Fingerprint(-1, -1, b"")  # equals no entry: the source of an item planned and not finished
_TOTALS = struct.Struct("<IIQ")  # ends a signature: items that are no containers, files, bytes of files
_NONE = (None, None, None)  # facts of a side that has nothing
_NOTHING_TO_DO = frozenset(
    {
        Reason.UNCHANGED,
        Reason.DELETED_AT_DESTINATION,
        Reason.DESTINATION_CHANGED,
        Reason.DELETED_AT_SOURCE,
    }
)

Emit = Callable[[VisitReport], None]
Row = tuple[Any, ...]


class Orders(NamedTuple):
    """What holds for every visit of an execution."""

    policies: Policies
    rules: Rules
    part_size: int
    salt: bytes = b""  # whatever else decisions depend on: another salt, another signature
    throttles: Sequence[Throttle] = ()


def work(
    visit: VisitWork,
    passage: Passage,
    orders: Orders,
    known: KnownRows,
    emit: Emit,
    stopped: Callable[[], bool],
) -> None:
    """Work one visit to its end; see :class:`Round` for several that share their settlements."""
    work_round([visit], passage, orders, known, emit, stopped)


def work_round(
    visits: Iterable[VisitWork],
    passage: Passage,
    orders: Orders,
    known: KnownRows,
    emit: Emit,
    stopped: Callable[[], bool],
) -> None:
    """Work visits one after the other; each ends with exactly one report with ``last``."""
    one = Round(passage, orders, known, emit, stopped)
    try:
        for visit in visits:
            one.visit(visit)
        one.settle()
    finally:
        one.close()


class _Ticket:
    """One item on its way."""

    __slots__ = ("d_name", "entry", "name", "processing", "reason", "row", "to", "tries", "visit")

    def __init__(
        self,
        visit: "_Open",
        entry: Entry,
        name: str,
        row: Known | None,
        reason: str,
        d_name: str,
        to: Side,
        processing: str,
        tries: int,
    ) -> None:
        self.visit = visit
        self.entry = entry  # what is carried, of the side it comes from
        self.name = name
        self.row = row
        self.reason = reason
        self.d_name = d_name
        self.to = to
        self.processing = processing
        self.tries = tries


class _Open:
    """A visit that has begun and not ended."""

    __slots__ = (
        "children",
        "container",
        "crossing",
        "deferred",
        "error",
        "halted",
        "is_clean",
        "items",
        "listing",
        "s_bytes",
        "s_files",
        "scanned",
        "signature",
        "taken",
        "too_many",
        "unchanged",
        "unchanged_bytes",
        "waiting",
        "work",
        "wrote",
    )

    def __init__(self, work: VisitWork, crossing: Crossing) -> None:
        self.work = work
        self.crossing = crossing
        self.container: Entry | None = None  # the source's own entry
        self.listing: Listing | None = None
        self.items: list[Row] = []
        self.children: list[tuple[str, str, bool, int]] = []
        self.deferred: list[Row] = []
        self.unchanged = 0
        self.unchanged_bytes = 0
        self.s_files = 0
        self.s_bytes = 0
        self.waiting = 0  # items carried and not settled
        self.scanned = False
        self.halted: str | None = None
        self.error: tuple[str, str] | None = None
        self.too_many: str | None = None
        self.signature: bytes | None = None  # of the last clean visit, found to hold still
        self.taken: set[str] | None = None  # keys of the names in use, where the destination cannot take all
        self.is_clean = True  # nothing failed, nothing is left for later
        self.wrote = False


class _Halt(Exception):
    """The visit ends here and is to be made again: "stopped", or what is wrong with a connection."""


class Round:
    """Visits that share a passage and its settlements, so that one sync serves many small containers."""

    def __init__(
        self, passage: Passage, orders: Orders, known: KnownRows, emit: Emit, stopped: Callable[[], bool]
    ) -> None:
        self._passage = passage
        self._policies = orders.policies
        self._rules = orders.rules
        self._part_size = orders.part_size
        self._salt = orders.salt
        self._throttles = orders.throttles
        self._known = known
        self._emit = emit
        self._stopped = stopped
        self._open: list[_Open] = []
        self._halted: str | None = None
        self._due = monotonic() + PATIENCE  # when what was carried is settled at the latest
        self._is_dry = orders.policies.simulation
        self._plain = plain_size(orders.rules, orders.part_size)
        self._rests = rests(orders.rules)
        limits = orders.rules.destination
        self._key = None if fits_all(orders.rules) else lambda name: key(name, limits)

    # -- one visit

    def visit(self, work: VisitWork) -> None:
        """Do all of a visit but what waits for its settlement."""
        if self._halted is None and self._stopped():
            self._halted = "stopped"
        if self._halted is not None:
            self._emit(_ended_early(work, halted=self._halted))
            return
        try:
            crossing = self._passage.cross(work)
        except TallyportError as error:
            if REMEDIES[error.kind][0] is Scope.CONNECTION:
                self._halted = str(error.kind)
                self._emit(_ended_early(work, halted=self._halted))
            else:
                self._emit(_ended_early(work, error=(str(error.kind), error.message)))
            return
        visit = _Open(work, crossing)
        self._open.append(visit)
        try:
            self._scan(visit)
        except _Halt as halt:
            visit.halted = str(halt)
            self._halted = visit.halted
        except TallyportError as error:
            self._give_up(visit, error)
        visit.scanned = True
        if not visit.waiting and not visit.wrote:
            self._open.remove(visit)
            self._end([visit])
        elif self._passage.full or len(self._open) >= OPEN or monotonic() > self._due:
            self.settle()

    def close(self) -> None:
        """Let go of the containers that an error of ours left open."""
        for visit in self._open:
            visit.crossing.close()

    def settle(self) -> None:
        """Make what was carried count, and end the visits that wait for nothing more."""
        self._take_outcomes()
        self._due = monotonic() + PATIENCE
        ended = [visit for visit in self._open if visit.scanned]
        if ended:
            self._open = [visit for visit in self._open if not visit.scanned]
            self._end(ended)
        for visit in self._open:
            if len(visit.items) + len(visit.deferred) >= REPORT:
                self._report(visit)

    def _take_outcomes(self) -> TallyportError | None:
        """Sync what waits and note what came of each item, of whichever visit; gives why that could not be done."""
        while True:
            try:
                outcomes = self._passage.settle()
            except TallyportError as error:  # what was carried may be there, but nobody can say that it stays
                for visit in self._open:
                    visit.waiting = 0
                    self._give_up(visit, error)
                return error
            if not outcomes:
                return None
            for ticket, outcome in outcomes:
                if type(ticket) is _Open:
                    self._filled(ticket, outcome)
                    continue
                ticket.visit.waiting -= 1
                if isinstance(outcome, TallyportError):
                    self._missed(ticket, outcome)
                else:
                    self._landed(ticket, outcome)

    def _give_up(self, visit: _Open, error: TallyportError) -> None:
        """End a scan at an error of the container itself, or of a connection."""
        if REMEDIES[error.kind][0] is Scope.CONNECTION:
            visit.halted = self._halted = str(error.kind)
        else:
            visit.error = (str(error.kind), error.message)

    def _end(self, ended: list[_Open]) -> None:
        """Seal the containers of visits that settled, together, then say what came of them."""
        sealed: list[tuple[_Open, Entry | None]] = []
        wrote = False
        for visit in ended:
            container = None
            if visit.error is None and visit.halted is None and visit.signature is None and not self._is_dry:
                try:
                    container, has_changed = visit.crossing.seal()
                    visit.wrote = visit.wrote or has_changed
                except TallyportError as error:
                    self._give_up(visit, error)
            wrote = wrote or visit.wrote
            sealed.append((visit, container))
        if wrote:
            # This syncs what was sealed, and may land what other visits wait for.
            unsynced = self._take_outcomes()
            if unsynced is not None:
                for visit in ended:
                    self._give_up(visit, unsynced)
        for visit, container in sealed:
            self._report(visit, container, last=True)
            visit.crossing.close()

    def _report(self, visit: _Open, container: Entry | None = None, *, last: bool = False) -> None:
        """Say what is known by now; with ``last`` also what became of the container itself."""
        row, signature = None, visit.signature
        if last and visit.error is None and visit.halted is None and signature is None:
            row = self._container_row(visit, container)
            if container is not None and self._may_sign(visit):
                signature = self._signature(visit)
        self._emit(
            VisitReport(
                visit.work.visit_id,
                tuple(visit.items),
                tuple(visit.children),
                tuple(visit.deferred),
                visit.unchanged,
                visit.unchanged_bytes,
                last,
                signature,
                visit.error if last else None,
                visit.halted if last else None,
                visit.s_bytes,
                visit.s_files,
                row,
            )
        )
        if not last:
            visit.items = []
            visit.children = []
            visit.deferred = []
            visit.unchanged = visit.unchanged_bytes = visit.s_bytes = visit.s_files = 0

    def _container_row(self, visit: _Open, container: Entry | None) -> Row | None:
        """Give the row of the container itself, where the visit went through it."""
        work, source = visit.work, visit.container
        if source is None or work.only is not None:
            return None
        name = work.path.rpartition("/")[2]
        d_name = work.d_path.rpartition("/")[2]
        status, reason, message = _SUCCESS, str(Reason.UNCHANGED), ""
        d_side: tuple[Any, ...] = _NONE
        if visit.too_many is not None:
            status, reason, message = _FLAGGED, str(Reason.TOO_MANY_ITEMS), visit.too_many
        elif container is not None:
            d_side = (container.size, container.modified, container.tag)
        elif self._is_dry:
            return None
        elif self._rules.skips_empty_containers:
            status, reason = _SKIPPED, str(Reason.IGNORED_EMPTY_CONTAINER_POLICY)
        elif not work.s_only:
            return None
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
            "",
            message,
            1 if visit.wrote else 0,
        )

    # -- signatures

    def _may_sign(self, visit: _Open) -> bool:
        work = visit.work
        return (
            visit.is_clean
            and visit.listing is not None
            and visit.too_many is None
            and self._rules.trusts_baseline
            and not (self._is_dry or work.s_only or work.gone or work.only is not None)
        )

    def _signature(self, visit: _Open) -> bytes:
        """Sign what stands on both sides now: 16 bytes, and the totals that need not be counted again."""
        listing = visit.listing
        if listing is None:
            raise AssertionError("signed after listing")
        others, files, size = listing.totals()
        return self._seen(visit, listing) + _TOTALS.pack(others & 0xFFFFFFFF, files & 0xFFFFFFFF, size)

    def _seen(self, visit: _Open, listing: Listing) -> bytes:
        own = visit.container
        if own is None:
            raise AssertionError("a container that is not there is not signed")
        facts = f"{own.modified} {own.mode} {own.owner} {own.group}".encode()
        identity = visit.crossing.identity(has_containers=bool(listing.containers()))
        return digest(b"".join((self._salt, listing.digest(), digest(facts), identity)))

    def _is_as_signed(self, visit: _Open, listing: Listing, signature: bytes) -> bool:
        """Report a container as unchanged when it is as the last clean visit left it."""
        if len(signature) != 16 + _TOTALS.size or signature[:16] != self._seen(visit, listing):
            return False
        visit.unchanged, visit.s_files, visit.s_bytes = _TOTALS.unpack_from(signature, 16)
        visit.unchanged_bytes = visit.s_bytes
        visit.children = [(name, name, False, 0) for name in listing.containers()]
        visit.signature = signature
        return True

    # -- the scan

    def _scan(self, visit: _Open) -> None:
        """Go through everything that stands in the container, on either side or in the ledger."""
        work, crossing = visit.work, visit.crossing
        visit.container = None if work.gone == "source" else crossing.container(_SOURCE)
        if work.resumed and not self._is_dry:
            crossing.sweep()
        if work.only is not None:
            self._scan_only(visit, work.only)
            return
        listing = visit.listing = crossing.listing(_SOURCE)
        most = self._policies.max_items_per_container
        if most is not None and listing.count > most:
            visit.too_many = f"{listing.count} items, and a container may have {most} (max_items_per_container)"
            return
        is_trusted = self._rules.trusts_baseline and not (work.full or work.resumed or work.gone)
        if is_trusted and work.signature is not None and self._is_as_signed(visit, listing, work.signature):
            return
        rows = Rows(_no_rows if work.blank else self._known, work)
        is_new = work.d_fresh and self._plain >= 0 and not self._throttles and rows.is_empty()
        if is_new and self._fill(visit, listing):
            return
        destination: Nothing
        if work.d_fresh and not work.resumed:
            destination = Nothing()
        elif is_trusted and not rows.is_empty():
            destination = Unseen()
        else:
            destination = see_destination(crossing, self._key)
        page: list[Entry] | None = None
        for following in listing.pages():
            if page is not None:
                self._scan_page(visit, page, rows.through(page[-1].name), destination)
            page = following
        self._scan_page(visit, page or [], rows.through(None), destination)
        for entry in destination.rest():
            self._look_at_extra(visit, entry)

    def _fill(self, visit: _Open, listing: Listing) -> bool:
        """Carry a new container at once, where the passage has a way; False where it has none."""
        filled = visit.crossing.fill(listing, self._plain, visit, self._stopped)
        if filled is None:
            return False
        visit.waiting += 1
        rest, all_seen = filled
        if not all_seen:
            raise _Halt("stopped")
        self._scan_page(visit, rest, {}, Nothing())
        _, visit.s_files, visit.s_bytes = listing.totals()
        return True

    def _filled(self, visit: _Open, outcome: list[Row] | TallyportError) -> None:
        """Write down what a container was filled with, now that it is seen."""
        visit.waiting -= 1
        visit.wrote = True
        if isinstance(outcome, TallyportError):
            self._give_up(visit, outcome)
        else:
            visit.items.extend(outcome)

    def _scan_only(self, visit: _Open, names: Sequence[str]) -> None:
        """Look at some names alone. They count as no files seen: the engine knows which it asked for."""
        visit.is_clean = False
        wanted = set(names)
        found = Rows(self._known, visit.work).through(None)
        for name in sorted(wanted):
            row = found.get(name)
            d_name = row.d_name if row is not None and row.d_name is not None else name
            source = visit.crossing.look(_SOURCE, name)
            self._look_at(visit, name, d_name, source, visit.crossing.look(_DESTINATION, d_name), True, row)

    def _scan_page(self, visit: _Open, page: list[Entry], rows: dict[str, Known], destination: Nothing) -> None:
        """Decide on the entries of one page and on the rows that have none. The loop that everything waits for."""
        stopped, passage, throttles = self._stopped, self._passage, self._throttles
        carry = visit.crossing.carry
        take, pop, no_kind = destination.take, rows.pop, _CONTAINER
        plain = self._plain if destination.is_empty else -1
        rests = self._rests and not visit.work.d_fresh
        is_seen = destination.is_listed
        new = str(Reason.NEW_AT_SOURCE)
        done = _DONE
        if self._key is not None:
            self._take_names(visit, rows)
        s_files = s_bytes = unchanged = unchanged_bytes = 0
        try:
            for entry in page:
                if stopped():
                    raise _Halt("stopped")
                name, kind, size, modified, tag = entry[:5]
                if kind == _FILE:
                    s_files += 1
                    s_bytes += size
                row = pop(name, None) if rows else None
                if row is None:
                    if size <= plain and kind == _FILE and entry.links == 1:
                        if throttles:
                            self._pace(size)
                        visit.waiting += 1
                        carry(
                            _DESTINATION,
                            entry,
                            name,
                            replaces=None,
                            ticket=_Ticket(visit, entry, name, None, new, name, _DESTINATION, "", 0),
                        )
                        if passage.full or visit.waiting >= WAITING or monotonic() > self._due:
                            self._settle_midway()
                        continue
                    d_name = name
                    if self._key is not None:
                        fitting = self._fit(visit, entry)
                        if fitting is None:
                            continue
                        d_name = fitting
                else:
                    d_name = row.d_name or name
                    if (
                        rests
                        and row.s_modified == modified
                        and row.s_size == size
                        and row.s_tag == tag
                        and row.kind == kind
                        and kind != no_kind
                        and row.status in done
                        and row.d_size is not None
                    ):
                        if not is_seen:
                            unchanged += 1
                            unchanged_bytes += size
                            continue
                        there, _ = take(d_name)
                        if (
                            there is not None
                            and row.d_modified == there.modified
                            and row.d_size == there.size
                            and row.d_tag == there.tag
                            and kind == there.kind
                        ):
                            unchanged += 1
                            unchanged_bytes += size
                            continue
                        self._look_at(visit, name, d_name, entry, there, True, row)
                        continue
                there, seen = take(d_name)
                self._look_at(visit, name, d_name, entry, there, seen, row)
        finally:
            visit.s_files += s_files
            visit.s_bytes += s_bytes
            visit.unchanged += unchanged
            visit.unchanged_bytes += unchanged_bytes
        for name, row in rows.items():
            if stopped():
                raise _Halt("stopped")
            d_name = row.d_name or name
            there, seen = take(d_name)
            self._look_at(visit, name, d_name, None, there, seen, row)

    # -- names

    def _take_names(self, visit: _Open, rows: dict[str, Known]) -> None:
        """Remember the names that known items have at the destination."""
        assert self._key is not None
        if visit.taken is None:
            visit.taken = set()
        visit.taken.update(self._key(row.d_name or name) for name, row in rows.items())

    def _fit(self, visit: _Open, entry: Entry) -> str | None:
        """Give a new item its name at the destination; without one it is written down as failed or left out."""
        if self._key is None or visit.taken is None:
            raise AssertionError("names are looked at before")
        limits, is_container = self._rules.destination, entry.kind == _CONTAINER
        named = fit(entry.name, self._policies, limits)
        if named.name is None:
            self._failed(visit, entry.name, entry, None, TallyportError(ErrorKind.INVALID_NAME, named.problem))
            return None
        own = distinct(named.name, visit.taken, self._policies, limits, is_container=is_container)
        if own.name is None:
            reason = str(Reason.IGNORED_DUPLICATE_NAME)
            self._left(visit, entry.name, entry, None, _SKIPPED, 0, reason, own.problem)
            return None
        visit.taken.add(self._key(own.name))
        return own.name

    def _look_at_extra(self, visit: _Open, entry: Entry) -> None:
        """Decide on what only the destination has."""
        name = entry.name
        if not self._rules.one_way:
            named = fit(name, self._policies, self._rules.source)
            if named.name is None:
                error = TallyportError(ErrorKind.INVALID_NAME, named.problem)
                self._failed(visit, name, entry, None, error)
                return
            name = named.name
        self._look_at(visit, name, entry.name, None, entry, True, None)

    # -- one item

    def _look_at(
        self,
        visit: _Open,
        name: str,
        d_name: str,
        source: Entry | None,
        destination: Entry | None,
        seen: bool,
        row: Known | None,
    ) -> None:
        """Decide on one item and do it; settle when that is due."""
        self._do(visit, name, d_name, source, destination, seen, row, 0)
        if (
            self._passage.full
            or visit.waiting >= WAITING
            or len(visit.items) + len(visit.deferred) >= REPORT
            or (visit.waiting and monotonic() > self._due)
        ):
            self._settle_midway()

    def _settle_midway(self) -> None:
        self.settle()
        if self._halted is not None:
            raise _Halt(self._halted)

    def _do(
        self,
        visit: _Open,
        name: str,
        d_name: str,
        source: Entry | None,
        destination: Entry | None,
        seen: bool,
        row: Known | None,
        tries: int,
    ) -> None:
        """Decide on one item and do it, or write down why not."""
        try:
            action, pair = self._decide(visit, name, d_name, source, destination, seen, row)
            self._apply(visit, action, pair, name, d_name, row, tries)
        except TallyportError as error:
            if REMEDIES[error.kind][0] is Scope.CONNECTION:
                raise
            self._failed(visit, name, source or destination, row, error)

    def _decide(
        self,
        visit: _Open,
        name: str,
        d_name: str,
        source: Entry | None,
        destination: Entry | None,
        seen: bool,
        row: Known | None,
    ) -> tuple[Action, Pair]:
        """Ask what to do, fetching the facts that are asked for."""
        crossing, rules = visit.crossing, self._rules
        pair = Pair(
            join(visit.work.path, name),
            source,
            destination,
            _baseline(row, source),
            frozenset(),
            0 if row is None else row.attempts,
            row is not None and row.status == _FLAGGED,
            row is not None and row.status == _IGNORED,
            seen,
        )
        for _ in range(DECISIONS):
            action = decide(pair, rules)
            if type(action) is Look:
                pair = pair._replace(destination=crossing.look(_DESTINATION, d_name), destination_seen=True)
            elif type(action) is Inspect:
                for side in action.sides:
                    pair = _with_hash(pair, side, crossing)
            else:
                return action, pair
        return Flag(Reason.UNEXPECTED, "no decision was reached"), pair

    def _apply(
        self,
        visit: _Open,
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
                self._child(visit, name, d_name, entry, row, str(reason), is_fresh=False, wrote=0)
            case MakeContainer():
                self._make(visit, action, pair, name, d_name, row)
            case Adopt(reason):
                content = _known_hash(pair)
                level = int(VerifyLevel.READBACK) if content is not None else 0
                source, there = pair.source, pair.destination
                self._settled(visit, name, d_name, source, there, row, str(reason), content=content, level=level)
            case Stamp(to, reason):
                self._stamp(visit, to, reason, pair, name, d_name, row)
            case Delete(side, reason):
                self._delete(visit, side, reason, pair, name, d_name, row)
            case Forget(reason):
                if row is not None:
                    self._left(visit, name, None, row, row.status, row.attempts, str(reason), "")
            case Flag(reason, message):
                status, attempts = settle(_status(row), _attempts(row), action)
                entry = pair.source or pair.destination
                self._left(visit, name, entry, row, int(status), attempts, str(reason), message)
            case _:
                raise AssertionError(f"no way to do {action}")

    def _skip(self, visit: _Open, reason: Reason, pair: Pair, name: str, row: Known | None) -> None:
        entry = pair.source or pair.destination
        if row is not None and row.status in _DONE and reason in _NOTHING_TO_DO:
            if entry is not None and entry.kind != _CONTAINER:
                visit.unchanged += 1
                visit.unchanged_bytes += entry.size
            return
        if row is None and pair.source is None:
            return  # only the destination has it, and this job has nothing to do with it
        status, attempts = settle(_status(row), _attempts(row), Skip(reason))
        self._left(visit, name, entry, row, int(status), attempts, str(reason), "")

    def _left(
        self,
        visit: _Open,
        name: str,
        entry: Entry | None,
        row: Known | None,
        status: int,
        attempts: int,
        reason: str,
        message: str,
    ) -> None:
        """Write down an item that was not carried; its baseline stays as it was."""
        kind = int(entry.kind) if entry is not None else row.kind if row is not None else _FILE
        if kind == _CONTAINER or (status not in _DONE and status not in (_SKIPPED, _IGNORED)):
            visit.is_clean = False  # a signature stands for containers that are entered, all of them
        if self._is_dry and status == _FLAGGED:
            status, attempts = _RETRY, _attempts(row)  # a person may put it right before the real run
        facts = row[5:12] if row is not None else _NOTHING_KNOWN
        item_id, d_name = (row.item_id, row.d_name) if row is not None else (0, None)
        visit.items.append((name, kind, status, reason, item_id, attempts, *facts, 0, 0, d_name, "", message, 0))

    def _failed(self, visit: _Open, name: str, entry: Entry | None, row: Known | None, error: TallyportError) -> None:
        """Write down an item that could not be carried."""
        status, attempts = failed(_attempts(row), error.kind, max_attempts=self._rules.max_attempts)
        self._left(visit, name, entry, row, int(status), attempts, str(error.kind), error.message)

    def _settled(
        self,
        visit: _Open,
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
    ) -> None:
        """Write down an item that both sides hold, equal now."""
        entry = source or destination
        assert entry is not None, "something is there"
        processing = row is not None and row.status == _PROCESSED
        if self._is_dry:
            self._simulated(visit, name, d_name, entry, row, reason)
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
            "",
            wrote,
        )
        self._done(visit, item, source)

    def _planned(
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
            _attempts(row),
            *entry_facts(entry),
            *entry_facts(destination),
            None,
            0,
            0,
            None if d_name == name else d_name,
            processing,
            "",
            wrote,
        )

    def _simulated(
        self, visit: _Open, name: str, d_name: str, entry: Entry, row: Known | None, reason: str, *, moved: int = 0
    ) -> None:
        """Write down what would be done. What the ledger knows of both sides stays as it is."""
        visit.items.append(
            (
                name,
                int(entry.kind),
                _PENDING if entry.kind == _CONTAINER else _SUCCESS,
                reason,
                row.item_id if row is not None else 0,
                _attempts(row),
                *(row[5:12] if row is not None else _NOTHING_KNOWN),
                0,
                moved,
                None if d_name == name else d_name,
                self._processing(name, d_name),
                "",
                0,
            )
        )

    def _defer(
        self,
        visit: _Open,
        task: str,
        item: Row,
        entry: Entry,
        *,
        replaces: bool = False,
        reason: str | None = None,
    ) -> None:
        """Leave work for a task of its own. The item's row comes with it, not among the items."""
        device, inode = entry.link_id if task == "link" and entry.link_id else (0, 0)
        visit.is_clean = False
        visit.deferred.append((task, item[0], item[1], entry.size, device, inode, item, replaces, reason or item[3]))

    def _done(self, visit: _Open, item: Row, source: Entry | None) -> None:
        """Write down a settled item; where the job empties the source, have the source's go as well."""
        if not self._rules.removes_source or source is None:
            visit.items.append(item)
        elif item[1] != _FILE or item[13] >= self._policies.verify:
            self._defer(visit, "delete_source", item, source)
        else:  # not proved at the level asked for: it stays at the source, and is looked at again
            visit.is_clean = False
            visit.items.append((*item[:6], *_NONE, *item[9:]))

    def _transfer(
        self,
        visit: _Open,
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
        if self._is_dry:
            self._simulated(visit, name, d_name, entry, row, reason, moved=entry.size if kind == _FILE else 0)
            return
        taking = d_name if to is _DESTINATION else name
        if action.keep_as is not None and there is not None:
            visit.crossing.rename(to, there.name, action.keep_as)
            visit.wrote = True
            there = None
        replaces = there if action.replaces else None
        is_linked = entry.links > 1 and self._passage.has_links
        if kind == _FILE and to is _DESTINATION and (is_linked or entry.size > self._part_size):
            item = self._planned(name, d_name, entry, replaces, row, reason)
            task = "link" if is_linked else "big"
            self._defer(visit, task, item, entry, replaces=replaces is not None)
            return
        if self._throttles:
            self._pace(entry.size)
        visit.waiting += 1
        ticket = _Ticket(visit, entry, name, row, reason, d_name, to, self._processing(name, d_name), tries)
        visit.crossing.carry(to, entry, taking, replaces=replaces, ticket=ticket)

    def _pace(self, size: int) -> None:
        for throttle in self._throttles:
            throttle.take(size, self._stopped)

    def _processing(self, name: str, d_name: str) -> str:
        if name == d_name:
            return ""
        named = fit(name, self._policies, self._rules.destination)
        return ",".join(named.processing) if named.name == d_name else "deduplicated"

    def _landed(self, ticket: _Ticket, landed: Landed) -> None:
        """Write down what was carried, visible and as durable as asked."""
        visit, entry, row = ticket.visit, ticket.entry, ticket.row
        there, content, moved = landed[:3]
        name, processing, level = ticket.name, ticket.processing, self._passage.level
        if len(landed) > 3:  # a passage that says more than the lean one
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
            "",
            wrote,
        )
        self._done(visit, item, entry)

    def _missed(self, ticket: _Ticket, error: TallyportError) -> None:
        """Try again what changed under our hands; write down what failed; halt where a connection did."""
        visit = ticket.visit
        if REMEDIES[error.kind][0] is Scope.CONNECTION:
            visit.halted = self._halted = str(error.kind)
            return
        again = error.kind in (ErrorKind.CHANGED_DURING_COPY, ErrorKind.ALREADY_EXISTS)
        if not again or ticket.tries + 1 >= TRIES or self._halted is not None:
            self._failed(visit, ticket.name, ticket.entry, ticket.row, error)
            return
        crossing = visit.crossing
        try:
            source = crossing.look(_SOURCE, ticket.name)
            there = crossing.look(_DESTINATION, ticket.d_name)
            if source is None and ticket.to is _DESTINATION:
                gone = TallyportError(ErrorKind.NOT_FOUND, f"{display(ticket.name)} vanished while it was carried")
                self._failed(visit, ticket.name, ticket.entry, ticket.row, gone)
                return
            self._do(visit, ticket.name, ticket.d_name, source, there, True, ticket.row, ticket.tries + 1)
        except TallyportError as worse:
            if REMEDIES[worse.kind][0] is Scope.CONNECTION:
                visit.halted = self._halted = str(worse.kind)
            else:
                self._failed(visit, ticket.name, ticket.entry, ticket.row, worse)

    def _stamp(
        self, visit: _Open, to: Side, reason: Reason, pair: Pair, name: str, d_name: str, row: Known | None
    ) -> None:
        source, destination = pair.source, pair.destination
        if source is None or destination is None:
            raise AssertionError("a stamp is of what both sides have")
        content = _known_hash(pair)
        if self._is_dry:
            self._settled(visit, name, d_name, source, destination, row, str(reason))
        elif to is _DESTINATION:
            there = visit.crossing.stamp(to, source, destination.name)
            visit.wrote = True
            self._settled(visit, name, d_name, source, there, row, str(reason), content=content, wrote=1)
        else:
            here = visit.crossing.stamp(to, destination, source.name)
            visit.wrote = True
            self._settled(visit, name, d_name, here, destination, row, str(reason), content=content, wrote=2)

    def _make(self, visit: _Open, action: MakeContainer, pair: Pair, name: str, d_name: str, row: Known | None) -> None:
        """Make a container, to be visited."""
        to = action.to
        entry = pair.source if to is _DESTINATION else pair.destination
        assert entry is not None, "a container is made after another"
        if action.name is not None:
            d_name = action.name
        wrote = 0
        if not self._is_dry and not (self._rules.skips_empty_containers and to is _DESTINATION):
            visit.crossing.make(to, entry, d_name if to is _DESTINATION else name)
            visit.wrote = True
            wrote = 1 if to is _DESTINATION else 2
        self._child(visit, name, d_name, entry, row, str(action.reason), is_fresh=to is _DESTINATION, wrote=wrote)

    def _child(
        self,
        visit: _Open,
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
        if self._is_dry:
            if row is None:
                self._simulated(visit, name, d_name, entry, row, reason)
        elif row is None or row.status not in _DONE or wrote:
            processing = self._processing(name, d_name)
            planned = self._planned(name, d_name, entry, None, row, reason, processing=processing, wrote=wrote)
            visit.items.append(planned)
        visit.children.append((name, d_name, is_fresh, row.item_id if row is not None else 0))

    def _delete(
        self, visit: _Open, side: Side, reason: Reason, pair: Pair, name: str, d_name: str, row: Known | None
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
            _attempts(row),
            *(entry_facts(entry) if side is _SOURCE else known[0:3]),
            *(entry_facts(entry) if side is _DESTINATION else known[3:6]),
            known[6],
            0,
            0,
            None if d_name == name else d_name,
            "",
            "",
            0,
        )
        visit.is_clean = False
        if self._is_dry:
            self._simulated(visit, name, d_name, entry, row, str(reason))
        else:
            self._defer(visit, f"delete_{side}", item, entry, reason=str(reason))
        if entry.kind == _CONTAINER:
            visit.children.append((name, d_name, False, row.item_id if row is not None else 0))


_NOTHING_KNOWN = (None,) * 7


def _no_rows(work: VisitWork, after: str, limit: int) -> Sequence[Row]:
    return ()


def entry_facts(entry: Entry | None) -> tuple[int | None, int | None, bytes | None]:
    """Give what a row remembers of one side."""
    return _NONE if entry is None else (entry.size, entry.modified, entry.tag)


def _status(row: Known | None) -> Status:
    return Status.PENDING if row is None else Status(row.status)


def _attempts(row: Known | None) -> int:
    return 0 if row is None else row.attempts


def _baseline(row: Known | None, source: Entry | None) -> Baseline | None:
    """Give what both sides were when the item was last settled.

    What was planned over somebody's file and never carried is no baseline: no baseline, no delete.
    """
    if row is None or row.s_size is None or row.d_size is None:
        return None
    destination = Fingerprint(row.d_size, row.d_modified or 0, row.d_tag or b"")
    if row.status == _PENDING:
        return None if source is None and row.hash is None else Baseline(_UNSETTLED, destination, None)
    return Baseline(Fingerprint(row.s_size, row.s_modified or 0, row.s_tag or b""), destination, row.hash)


def _with_hash(pair: Pair, side: Side, crossing: Crossing) -> Pair:
    """Fetch the hash of one side of a pair."""
    entry = pair.source if side is _SOURCE else pair.destination
    asked = pair.facts_asked | {side}
    if entry is None:
        return pair._replace(facts_asked=asked)
    try:
        entry = entry._replace(hash=crossing.content_hash(side, entry))
    except TallyportError as error:
        if error.kind is not ErrorKind.UNSUPPORTED:
            raise
    if side is _SOURCE:
        return pair._replace(source=entry, facts_asked=asked)
    return pair._replace(destination=entry, facts_asked=asked)


def _known_hash(pair: Pair) -> bytes | None:
    """Give the hash of equal content, where a side told it."""
    for entry in (pair.source, pair.destination):
        if entry is not None and entry.hash is not None:
            return entry.hash
    return None


def _ended_early(work: VisitWork, *, halted: str | None = None, error: tuple[str, str] | None = None) -> VisitReport:
    return VisitReport(work.visit_id, (), (), (), 0, 0, True, None, error, halted)
