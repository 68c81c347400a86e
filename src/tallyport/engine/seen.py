"""What a visit sees besides the source's listing: the rows it knows and the destination, in step with the pages."""

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import xxhash

from tallyport.domain.entries import Entry, Side
from tallyport.domain.paths import to_bytes
from tallyport.engine.passage import PAGE, Crossing, Listing
from tallyport.engine.work import Known, VisitWork


class KnownRows(Protocol):
    """Asks for the rows of a container."""

    def __call__(
        self, work: VisitWork, after: str, limit: int, names: Sequence[str] = (), /
    ) -> Sequence[tuple[Any, ...]]:
        """Give at most so many rows whose names come after a name, in order of the names' bytes.

        With ``names``, the rows of these alone, in any order.
        """


KnownOfSeveral = Callable[[Sequence[tuple[VisitWork, Sequence[str]]]], Sequence[Sequence[tuple[Any, ...]]]]
"""Asks for the rows of some names in each of several containers at once: each question makes both sides wait."""


class Rows:
    """The rows of one container, fetched in pages and given out up to a name."""

    def __init__(self, known: KnownRows, work: VisitWork, *, page: int = PAGE, after: str = "") -> None:
        self._known = known
        self._work = work
        self._page = page
        self._after = after
        self._held: list[Known] = []
        self._ended = False

    def is_empty(self) -> bool:
        """Tell whether there is no row at all; asked before any are given."""
        if not self._held and not self._ended:
            self._fetch()
        return not self._held

    def through(self, name: str | None) -> dict[str, Known]:
        """Give the rows not given yet with names up to this one; None means all that are left."""
        limit = None if name is None else to_bytes(name)
        while not self._ended and (limit is None or not self._held or to_bytes(self._held[-1].name) <= limit):
            self._fetch()
        if limit is None or not self._held or to_bytes(self._held[-1].name) <= limit:
            given, self._held = self._held, []
        else:
            position = next(at for at, row in enumerate(self._held) if to_bytes(row.name) > limit)
            given, self._held = self._held[:position], self._held[position:]
        return {row.name: row for row in given}

    def _fetch(self) -> None:
        found = self._known(self._work, self._after, self._page)
        self._ended = len(found) < self._page
        if found:
            make = Known._make
            self._held.extend([make(row) for row in found])
            self._after = self._held[-1].name


class Nothing:
    """A destination that is known to be empty."""

    is_empty = True
    is_listed = True

    def take(self, name: str) -> tuple[Entry | None, bool]:
        """Give the entry of that name, if any, and whether that was looked at."""
        return None, True

    def rest(self) -> Iterator[Entry]:
        """Give the entries that nobody took."""
        return iter(())


class Unseen(Nothing):
    """A destination that is trusted to be as it was left, and looked at only where a decision asks."""

    is_empty = False
    is_listed = False

    def take(self, name: str) -> tuple[Entry | None, bool]:
        return None, False


class Listed(Nothing):
    """A destination that was listed and is held whole."""

    is_empty = False

    def __init__(self, entries: list[Entry], key: Callable[[str], str] | None) -> None:
        self._key = key
        if key is None:
            self._entries = {entry.name: entry for entry in entries}
        else:
            self._entries = {key(entry.name): entry for entry in entries}
        self.is_empty = not entries

    def take(self, name: str) -> tuple[Entry | None, bool]:
        return self._entries.pop(name if self._key is None else self._key(name), None), True

    def rest(self) -> Iterator[Entry]:
        left, self._entries = self._entries, {}
        return iter(left.values())


class Huge(Nothing):
    """A destination of which only hashes of names are held; an entry is looked at when it is taken."""

    is_empty = False

    def __init__(self, crossing: Crossing, listing: Listing, key: Callable[[str], str] | None) -> None:
        self._crossing = crossing
        self._listing = listing
        self._key = key
        self._names = Names(listing.count)
        for name in listing.names():
            self._names.add(name if key is None else key(name))

    def take(self, name: str) -> tuple[Entry | None, bool]:
        if not self._names.take(name if self._key is None else self._key(name)):
            return None, True
        return self._crossing.look(Side.DESTINATION, name), True

    def rest(self) -> Iterator[Entry]:
        for name in self._listing.names():
            if self._names.take(name if self._key is None else self._key(name)):
                entry = self._crossing.look(Side.DESTINATION, name)
                if entry is not None:
                    yield entry


class Names:
    """Names as hashes of 64 bits in a table of open places: a million take 17 MB, whatever their length.

    Two names with one hash would be taken for one another; whoever takes a name looks at what stands there.
    """

    def __init__(self, most: int) -> None:
        bits = max(most * 2, 16).bit_length()
        self._mask = (1 << bits) - 1
        self._places = array("Q", [0]) * (1 << bits)  # 0 is an open place, 1 one that was taken

    def add(self, name: str) -> None:
        """Hold a name, once more if it is held already."""
        mark, places = _mark(name), self._places
        at = mark & self._mask
        while places[at] > 1:
            at = (at + 1) & self._mask
        places[at] = mark

    def take(self, name: str) -> bool:
        """Let go of a name once, and tell whether it was held."""
        mark, places = _mark(name), self._places
        at = mark & self._mask
        while places[at]:
            if places[at] == mark:
                places[at] = 1
                return True
            at = (at + 1) & self._mask
        return False


def _mark(name: str) -> int:
    return xxhash.xxh3_64_intdigest(to_bytes(name)) | 2


def see_destination(crossing: Crossing, key: Callable[[str], str] | None) -> Nothing:
    """List the destination, whole where it has one page. ``key`` folds names that the destination takes for one."""
    listing = crossing.listing(Side.DESTINATION)
    if listing.count <= PAGE:
        return Listed([entry for page in listing.pages() for entry in page], key)
    return Huge(crossing, listing, key)
