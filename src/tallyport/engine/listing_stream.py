"""The children of a container as any platform lists them: sorted, and held in memory only up to one page.

More than that goes to a temporary file in sorted runs, which are merged when the listing is gone through. So a
container of a million entries takes the memory of a few pages.
"""

import heapq
import marshal
import os
import tempfile
from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import xxhash

from tallyport.connectors.hashing import digest
from tallyport.connectors.temporaries import is_temporary
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.paths import to_bytes
from tallyport.engine.passage import PAGE

BLOCK = 500  # entries of a run that are in memory while runs are merged


class StreamListing:
    """A listing of one moment."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.count = 0
        self._others = self._files = self._bytes = 0
        self._held: list[Entry] = []
        self._runs: list[tuple[int, int]] = []  # start and end in the file
        self._file: int | None = None
        self._digest: bytes | None = None
        source = (entry for entry in entries if not is_temporary(entry.name))  # not every connector leaves them out
        while page := list(islice(source, PAGE)):
            self._count(page)
            page.sort(key=_order)
            if self._held:
                self._write(self._held)
                self._held = []
            if self._runs:
                self._write(page)
            else:
                self._held = page

    def __del__(self) -> None:
        if self._file is not None:
            os.close(self._file)

    def digest(self) -> bytes:
        """Give a hash of all that a decision could see of the entries; equal listings give equal digests."""
        if self._digest is None:
            if not self._runs:
                self._digest = digest(_seen(self._held))
            else:
                running = xxhash.xxh3_128()
                for page in self.pages():
                    running.update(_seen(page))
                self._digest = running.digest()
        return self._digest

    def marks(self) -> "array[int]":
        """Give a hash for each of ``names``; of a listing of one page."""
        hashes = [xxhash.xxh3_64_digest(marshal.dumps(row, 2)) for row in _rows(self._held)]
        return array("q", b"".join(hashes))

    def some(self, positions: list[int]) -> list[Entry]:
        """Give the entries at these positions of ``names``; of a listing of one page."""
        return [self._held[position] for position in positions]

    def pages(self) -> Iterator[list[Entry]]:
        """Give the entries in order of the bytes of their names."""
        if not self._runs:
            if self._held:
                yield self._held
            return
        merged = heapq.merge(*(self._read(run) for run in self._runs), key=_order)
        while page := list(islice(merged, PAGE)):
            yield page

    def names(self) -> Iterator[str]:
        return (entry.name for page in self.pages() for entry in page)

    def containers(self) -> list[str]:
        return [entry.name for page in self.pages() for entry in page if entry.kind is Kind.CONTAINER]

    def totals(self) -> tuple[int, int, int]:
        return self._others, self._files, self._bytes

    # -- private

    def _count(self, page: list[Entry]) -> None:
        self.count += len(page)
        for entry in page:
            if entry.kind is Kind.FILE:
                self._files += 1
                self._bytes += entry.size
            self._others += entry.kind is not Kind.CONTAINER

    def _write(self, run: list[Entry]) -> None:
        """Put a sorted run at the end of the file, in blocks that say how long they are."""
        if self._file is None:
            # No name from the start where the system can do that: nothing is left of it, whatever happens.
            with tempfile.TemporaryFile(prefix="tallyport-listing-") as file:
                self._file = os.dup(file.fileno())
        start = at = self._runs[-1][1] if self._runs else 0
        for first in range(0, len(run), BLOCK):
            rows = [(entry[0], int(entry[1]), *entry[2:]) for entry in run[first : first + BLOCK]]
            body = marshal.dumps(rows, 2)
            data = len(body).to_bytes(4, "little") + body
            while data:
                written = os.pwrite(self._file, data, at)
                data, at = data[written:], at + written
        self._runs.append((start, at))

    def _read(self, run: tuple[int, int]) -> Iterator[Entry]:
        at, end = run
        assert self._file is not None, "runs are in the file"
        while at < end:
            length = int.from_bytes(os.pread(self._file, 4, at), "little")
            rows = marshal.loads(os.pread(self._file, length, at + 4))
            at += 4 + length
            for row in rows:
                yield Entry(row[0], Kind(row[1]), *row[2:])


def _order(entry: Entry) -> bytes:
    return to_bytes(entry.name)


def _seen(entries: list[Entry]) -> bytes:
    return marshal.dumps(_rows(entries), 2)


def _rows(entries: list[Entry]) -> list[tuple[Any, ...]]:
    """Write down what a decision looks at; of a container only that it is there."""
    return [
        (entry.name, int(entry.kind), entry.size, entry.modified, entry.tag, entry.mode, entry.target)
        if entry.kind is not Kind.CONTAINER
        else (entry.name, int(entry.kind))
        for entry in entries
    ]
