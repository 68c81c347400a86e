"""Slices of a huge container: ranges of its names, each worked as a visit of its own, by whoever has room.

Whoever visits the container lists both sides, merges the two lists in order of their names, and cuts what stands
there in slices, a page at a time. A slice holds the entries as they were listed: nobody lists the container again.
"""

import marshal
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tallyport.domain.entries import Entry, Kind, Side
from tallyport.domain.paths import from_bytes, to_bytes
from tallyport.engine.passage import PAGE, Crossing
from tallyport.engine.seen import Listed

ABOVE = PAGE  # entries of a container that is worth cutting
SIZE = 2_000  # entries of one slice, of the source


class Slice(NamedTuple):
    """The names after one and up to another, and what was listed of them."""

    after: bytes
    through: bytes | None  # None: to the end
    here: list[Entry]
    there: list[Entry] | None  # None: nothing stood there


def cut(here: Iterable[list[Entry]], there: Iterable[list[Entry]] | None, after: bytes) -> Iterator[Slice]:
    """Cut two listings, both in order of the bytes of their names, in slices of the names after one."""
    others = None if there is None else _Ahead(entry for page in there for entry in page)
    if others is not None:
        others.through(after)
    held: list[Entry] = []
    for page in here:
        held.extend(entry for entry in page if to_bytes(entry.name) > after)
        while len(held) > SIZE:  # what is left is never nothing: the last slice goes to the end
            block, held = held[:SIZE], held[SIZE:]
            through = to_bytes(block[-1].name)
            yield Slice(after, through, block, None if others is None else others.through(through))
            after = through
    yield Slice(after, None, held, None if others is None else others.through(None))


def write(one: Slice) -> bytes:
    """Write a slice as it travels and is stored."""
    there = None if one.there is None else _plain(one.there)
    return marshal.dumps((one.after, one.through, _plain(one.here), there), 2)


def read(data: bytes) -> Slice:
    """Read what :func:`write` wrote."""
    after, through, here, there = marshal.loads(data)
    return Slice(after, through, _entries(here), None if there is None else _entries(there))


def end_of(one: Slice) -> str | None:
    """Give the last name of a slice, where it has one."""
    return None if one.through is None else from_bytes(one.through)


class Again(Listed):
    """The destination of a slice that is worked again: each entry is looked at, whatever was listed."""

    def __init__(self, crossing: Crossing, entries: list[Entry]) -> None:
        super().__init__(entries, None)
        self._crossing = crossing
        self.is_empty = False

    def take(self, name: str) -> tuple[Entry | None, bool]:
        super().take(name)
        return self._crossing.look(Side.DESTINATION, name), True

    def rest(self) -> Iterator[Entry]:
        for listed in super().rest():
            entry = self._crossing.look(Side.DESTINATION, listed.name)
            if entry is not None:
                yield entry


class _Ahead:
    """Gives entries up to a name, one list after the other."""

    def __init__(self, entries: Iterator[Entry]) -> None:
        self._entries = entries
        self._next = next(entries, None)

    def through(self, name: bytes | None) -> list[Entry]:
        given = []
        while self._next is not None and (name is None or to_bytes(self._next.name) <= name):
            given.append(self._next)
            self._next = next(self._entries, None)
        return given


def _plain(entries: list[Entry]) -> list[tuple[object, ...]]:
    return [(entry[0], int(entry[1]), *entry[2:]) for entry in entries]


def _entries(rows: list[tuple[object, ...]]) -> list[Entry]:
    return [Entry(row[0], Kind(row[1]), *row[2:]) for row in rows]  # type: ignore[arg-type]
