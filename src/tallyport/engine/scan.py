"""The scan of one container: everything that stands in it on either side or in the ledger, item by item."""

from collections.abc import Callable, Sequence

from tallyport.domain.actions import Reason
from tallyport.domain.entries import Entry, Kind, Side
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.items import DONE, Status
from tallyport.domain.naming import distinct, fit, key
from tallyport.domain.paths import from_bytes, to_bytes
from tallyport.engine import slices
from tallyport.engine.hand import Hand
from tallyport.engine.notes import Notes
from tallyport.engine.opened import Halt, Opened, Ticket
from tallyport.engine.orders import Orders
from tallyport.engine.passage import Listing
from tallyport.engine.seen import KnownRows, Listed, Nothing, Rows, Unseen, see_destination
from tallyport.engine.shortcuts import fits_all, plain_size, rests
from tallyport.engine.signature import changes_since, is_as_signed
from tallyport.engine.work import Known, Row, VisitWork

LOOKS = 1_000  # items of a container that are looked at together

_FILE, _CONTAINER = int(Kind.FILE), int(Kind.CONTAINER)
_SOURCE, _DESTINATION = Side.SOURCE, Side.DESTINATION
_SKIPPED, _FLAGGED, _IGNORED = int(Status.SKIPPED), int(Status.FLAGGED), int(Status.IGNORED)
_DONE = frozenset(int(status) for status in DONE)
_NO_NAME = str(Reason.INVALID_NAME)
_IN_THE_WAY = "the job's quarantine has this name; rename the item, or choose another name for the quarantine"


class Scan:
    """Goes through containers; ``is_due`` tells that ``settle`` must be called before the next item."""

    def __init__(
        self,
        orders: Orders,
        known: KnownRows,
        notes: Notes,
        hand: Hand,
        stopped: Callable[[], bool],
        is_due: Callable[[Opened], bool],
        settle: Callable[[], None],
    ) -> None:
        self._policies = orders.policies
        self._rules = orders.rules
        self._salt = orders.salt
        self._known = known
        self._notes = notes
        self._hand = hand
        self._stopped = stopped
        self._is_due = is_due
        self._settle = settle
        self._plain = -1 if orders.regrants else plain_size(orders.rules, orders.part_size)
        self._rests = rests(orders.rules) and not orders.regrants
        limits = orders.rules.destination
        self._key = None if fits_all(orders.rules) else lambda name: key(name, limits)

    def scan(self, visit: Opened) -> bool:
        """Go through everything that stands in the container, on either side or in the ledger.

        False when the rows of ``visit.names`` are needed first, for :meth:`scan_changes`.
        """
        work, crossing = visit.work, visit.crossing
        visit.container = None if work.gone == "source" else crossing.container(_SOURCE)
        # Others may work slices of the same container: what one of them left behind is swept when all have ended.
        if work.resumed and not self._notes.is_dry and not work.slice and work.sliced is None:
            crossing.sweep()
        if work.slice:
            self._scan_slice(visit)
            return True
        if work.only is not None:
            self._scan_only(visit, work.only)
            return True
        visit.hidden = self._policies.quarantine or "" if not work.path else ""
        is_trusted = self._rules.trusts_baseline and not (work.full or work.resumed or work.gone or visit.hidden)
        is_signed = is_trusted and work.signature is not None
        listing = visit.listing = crossing.listing(_SOURCE, counts=not is_signed)
        most = self._policies.max_items_per_container
        if most is not None and listing.count > most:
            visit.too_many = f"{listing.count} items, and a container may have {most} (max_items_per_container)"
            return True
        if is_trusted and work.signature is not None and is_as_signed(visit, listing, work.signature, self._salt):
            return True
        if is_signed:
            listing = visit.listing = crossing.recounted(listing)
        if is_trusted and work.signature is not None and self._find_changes(visit, listing, work.signature):
            if visit.names:
                return False
            self.scan_changes(visit, ())
            return True
        rows = Rows(_no_rows if work.blank else self._known, work)
        if self._is_worth_slicing(visit, listing) and (work.sliced is not None or rows.is_empty()):
            self._slice(visit, listing)
            return True
        is_new = work.d_fresh and self._plain >= 0 and not self._hand.must_pace and rows.is_empty()
        if is_new and self._fill(visit, listing):
            return True
        destination: Nothing
        if work.d_fresh and not work.resumed:
            destination = Nothing()
        elif is_trusted and not rows.is_empty():
            destination = Unseen()
        else:
            destination = see_destination(crossing, self._key)
        page: list[Entry] | None = None
        for following in listing.pages():
            if visit.hidden:
                for entry in following:
                    if entry.name == visit.hidden and not self._is_quarantine(entry):
                        self._notes.stays(visit)
                        self._notes.left(visit, entry.name, entry, None, _FLAGGED, 0, _NO_NAME, _IN_THE_WAY)
                following = [entry for entry in following if entry.name != visit.hidden]
            if page is not None and page:
                self._scan_page(visit, page, rows.through(page[-1].name), destination)
            page = following
        self._scan_page(visit, page or [], rows.through(None), destination)
        for entry in destination.rest():
            if entry.name != visit.hidden:
                self._look_at_extra(visit, entry)
        return True

    def _is_quarantine(self, entry: Entry) -> bool:
        """Tell whether an item of the quarantine's name at the source is the quarantine, and nothing of somebody's."""
        writes_there = not self._rules.one_way or self._rules.removes_source
        return writes_there and entry.kind == _CONTAINER

    def _is_worth_slicing(self, visit: Opened, listing: Listing) -> bool:
        work = visit.work
        is_plain = not (work.gone or work.left_out or visit.hidden or self._notes.is_dry) and self._key is None
        return work.may_slice and is_plain and (work.sliced is not None or listing.count > slices.ABOVE)

    def _slice(self, visit: Opened, listing: Listing) -> None:
        """Cut a huge container in slices for others to work; an earlier attempt may have begun it."""
        work = visit.work
        visit.is_clean = False
        is_empty = work.d_fresh and not work.resumed
        there = None if is_empty else visit.crossing.listing(_DESTINATION).pages()
        for one in slices.cut(listing.pages(), there, to_bytes(work.sliced or "")):
            visit.slices.append((slices.write(one), one.through, one.there is None))
            if one.through is None:
                break  # it goes with the last report, so that a container is cut to its end once
            if self._stopped():
                raise Halt("stopped")
            if self._is_due(visit):
                self._settle()

    def _scan_slice(self, visit: Opened) -> None:
        """Go through one range of a huge container, as somebody else listed it."""
        work = visit.work
        visit.is_clean = False
        one = slices.read(work.slice)
        rows: dict[str, Known] = {}
        if not work.blank:
            after, page = from_bytes(one.after), slices.SIZE + 1
            rows = Rows(self._known, work, page=page, after=after).through(slices.end_of(one))
        destination: Nothing
        if work.resumed:
            destination = slices.Again(visit.crossing, one.there or [])
        else:
            destination = Nothing() if one.there is None else Listed(one.there, None)
        self._scan_page(visit, one.here, rows, destination)
        for entry in destination.rest():
            self._look_at_extra(visit, entry)

    def _find_changes(self, visit: Opened, listing: Listing, signature: bytes) -> bool:
        """Find what changed since the last clean visit, where that is known and less than most."""
        if not self._rests or self._key is not None:
            return False
        changes = changes_since(listing, signature, self._salt)
        if changes is None or 2 * (len(changes.positions) + len(changes.gone)) > listing.count:
            return False
        entries = listing.some(changes.positions)
        changed = {entry.name for entry in entries}
        visit.changed, visit.names = entries, (*changed, *changes.gone)
        visit.children = [(name, name, False, 0) for name in listing.containers() if name not in changed]
        others, files, size = listing.totals()
        visit.s_files = files - sum(entry.kind == _FILE for entry in entries)
        visit.s_bytes = visit.unchanged_bytes = size - sum(entry.size for entry in entries if entry.kind == _FILE)
        visit.unchanged = others - sum(entry.kind != _CONTAINER for entry in entries)
        return True

    def scan_changes(self, visit: Opened, found: Sequence[Row]) -> None:
        """Look at what changed alone, with the rows of ``visit.names``."""
        entries, visit.changed, visit.names = visit.changed, [], ()
        self._scan_page(visit, entries, {row.name: row for row in map(Known._make, found)}, Unseen())

    def _fill(self, visit: Opened, listing: Listing) -> bool:
        """Carry a new container at once, where the passage has a way; False where it has none."""
        filled = visit.crossing.fill(listing, self._plain, visit, self._stopped)
        if filled is None:
            return False
        visit.waiting += 1
        rest, all_seen = filled
        if not all_seen:
            raise Halt("stopped")
        self._scan_page(visit, rest, {}, Nothing())
        _, visit.s_files, visit.s_bytes = listing.totals()
        return True

    def _scan_only(self, visit: Opened, names: Sequence[str]) -> None:
        """Look at some names alone. They count as no files seen: the engine knows which it asked for."""
        visit.is_clean = False
        wanted = set(names)
        found = Rows(self._known, visit.work).through(None)
        if self._key is not None:
            self._take_names(visit, found)
        for name in sorted(wanted):
            row = found.get(name)
            source = visit.crossing.look(_SOURCE, name)
            d_name = row.d_name if row is not None and row.d_name is not None else name
            if source is not None and self._key is not None and not _is_named(row):
                fitting = self._fit(visit, source, row)
                if fitting is None:
                    continue
                d_name = fitting
            self._look_at(visit, name, d_name, source, visit.crossing.look(_DESTINATION, d_name), True, row)

    def _scan_page(self, visit: Opened, page: list[Entry], rows: dict[str, Known], destination: Nothing) -> None:
        """Decide on the entries of one page and on the rows that have none. The loop that everything waits for."""
        stopped, is_due, settle = self._stopped, self._is_due, self._settle
        must_pace = self._hand.must_pace
        if visit.hidden:
            rows.pop(visit.hidden, None)  # carried before it was the quarantine's name: it is not gone
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
                    raise Halt("stopped")
                name, kind, size, modified, tag = entry[:5]
                if kind == _FILE:
                    s_files += 1
                    s_bytes += size
                row = pop(name, None) if rows else None
                if row is None:
                    if size <= plain and kind == _FILE and entry.links == 1:
                        if must_pace:
                            self._hand.pace(size)
                        visit.waiting += 1
                        carry(
                            _DESTINATION,
                            entry,
                            name,
                            replaces=None,
                            ticket=Ticket(visit, entry, name, None, new, name, _DESTINATION, "", 0),
                        )
                        if is_due(visit):
                            settle()
                            must_pace = self._hand.must_pace
                        continue
                    d_name = name
                    if self._key is not None:
                        fitting = self._fit(visit, entry, None)
                        if fitting is None:
                            continue
                        d_name = fitting
                else:
                    d_name = row.d_name or name
                    if self._key is not None and not _is_named(row):
                        fitting = self._fit(visit, entry, row)
                        if fitting is None:
                            continue
                        d_name = fitting
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
        self._look_closely(visit)
        for name, row in rows.items():
            if stopped():
                raise Halt("stopped")
            d_name = row.d_name or name
            there, seen = take(d_name)
            self._look_at(visit, name, d_name, None, there, seen, row)

    def _take_names(self, visit: Opened, rows: dict[str, Known]) -> None:
        """Remember the names that known items have at the destination."""
        assert self._key is not None
        if visit.taken is None:
            visit.taken = set()
        visit.taken.update(self._key(row.d_name or name) for name, row in rows.items() if _is_named(row))

    def _fit(self, visit: Opened, entry: Entry, row: Known | None) -> str | None:
        """Give an item its name at the destination; without one it is written down as failed or left out."""
        if self._key is None or visit.taken is None:
            raise AssertionError("names are looked at before")
        limits, is_container = self._rules.destination, entry.kind == _CONTAINER
        is_file = entry.kind == _FILE
        wanted = visit.originals.get(entry.name, entry.name)
        named = fit(wanted, self._policies, limits, container=visit.work.d_path, is_file=is_file)
        if named.name is None:
            if row is not None and (row.status == _FLAGGED or row.status == _IGNORED):
                self._hand.do(visit, entry.name, entry.name, entry, None, True, row, 0)  # a person decided, or is to
                return None
            self._notes.stays(visit)
            self._notes.failed(visit, entry.name, entry, row, TallyportError(ErrorKind.INVALID_NAME, named.problem))
            return None
        own = distinct(named.name, visit.taken, self._policies, limits, is_container=is_container)
        if own.name is None:
            reason = str(Reason.IGNORED_DUPLICATE_NAME)
            self._notes.stays(visit)
            self._notes.left(visit, entry.name, entry, row, _SKIPPED, 0, reason, own.problem)
            return None
        visit.taken.add(self._key(own.name))
        return own.name

    def _look_at_extra(self, visit: Opened, entry: Entry) -> None:
        """Decide on what only the destination has."""
        name = entry.name
        if not self._rules.one_way:
            named = fit(name, self._policies, self._rules.source)
            if named.name is None:
                error = TallyportError(ErrorKind.INVALID_NAME, named.problem)
                self._notes.failed(visit, name, entry, None, error)
                return
            name = named.name
        self._look_at(visit, name, entry.name, None, entry, True, None)

    def _look_at(
        self,
        visit: Opened,
        name: str,
        d_name: str,
        source: Entry | None,
        destination: Entry | None,
        seen: bool,
        row: Known | None,
    ) -> None:
        """Decide on one item and do it; settle when that is due."""
        self._hand.do(visit, name, d_name, source, destination, seen, row, 0)
        if len(visit.glimpsed) >= LOOKS:
            self._look_closely(visit)
        if self._is_due(visit):
            self._settle()

    def _look_closely(self, visit: Opened) -> None:
        """Look at the items that were only glimpsed and must be seen, and decide on each."""
        while visit.glimpsed:
            asked, visit.glimpsed = visit.glimpsed, []
            found = visit.crossing.look_many(_SOURCE, [one.name for one in asked])
            for one, source in zip(asked, found, strict=True):
                if self._stopped():
                    raise Halt("stopped")
                if source is not None:
                    source = source._replace(contents=one.contents)
                self._hand.do(visit, one.name, one.d_name, source, one.destination, one.seen, one.row, 0)
                if self._is_due(visit):
                    self._settle()


def _is_named(row: Known | None) -> bool:
    """Tell whether an item has its name at the destination: it was renamed, or stood there once."""
    return row is not None and (row.d_name is not None or row.d_size is not None)


def _no_rows(work: VisitWork, after: str, limit: int, names: Sequence[str] = ()) -> Sequence[Row]:
    return ()
