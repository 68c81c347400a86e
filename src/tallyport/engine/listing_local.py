"""One folder of this machine listed: with its stats up to one page, by names alone above."""

import errno
import marshal
import os
import stat
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from time import time_ns

import xxhash

from tallyport.connectors.local_errors import translate
from tallyport.connectors.local_folders import (
    entry_at,
    entry_of,
)
from tallyport.connectors.temporaries import TEMPORARY, is_temporary
from tallyport.domain.entries import Entry
from tallyport.engine.passage import PAGE

_DIRECTORY, _SYMLINK_BITS, _FILE_BITS = stat.S_IFDIR >> 12, stat.S_IFLNK >> 12, stat.S_IFREG >> 12


class LocalListing:
    """The entries of a folder: with their stats up to one page, by names alone above."""

    def __init__(self, fd: int, path: str) -> None:
        self._fd = fd
        self._path = path
        self.listed_at = time_ns()
        self._rows: list[tuple[str, os.stat_result]] = []
        self._names: list[str] | None = None
        self._digest: bytes | None = None
        self._marks: array[int] | None = None
        self._totals: tuple[int, int, int] | None = None
        self._held: list[str] | None = None  # names of containers
        self.count = 0
        if fd >= 0:
            with translate("list", path):
                self._read()

    def _read(self) -> None:
        try:
            rows = self._read_with(_stat)
        except FileNotFoundError:  # something vanished meanwhile
            # Only now, with the first scan closed: two scans of one descriptor share its position.
            rows = self._read_with(_stat_if_there)
        rows.sort()
        first = bisect_left(rows, (TEMPORARY,))
        if first < len(rows) and rows[first][0].startswith(TEMPORARY):
            rows = [row for row in rows if not is_temporary(row[0])]
        self._rows = rows
        self.count = self.count or len(rows)

    def _read_with(
        self, stats: Callable[[Iterable[os.DirEntry[str]]], list[tuple[str, os.stat_result]]]
    ) -> list[tuple[str, os.stat_result]]:
        """Give names with their stats, of up to one page; of more, keep the names alone."""
        with os.scandir(self._fd) as found:
            items = list(islice(found, PAGE + 1))
            if len(items) <= PAGE:
                return stats(items)
            names = [item.name for item in items]
            names.extend(item.name for item in found)
        self._names = sorted((name for name in names if not is_temporary(name)), key=os.fsencode)
        self.count = len(self._names)
        return []

    def stats(self) -> list[tuple[str, os.stat_result]]:
        """Give names with their stats; of a listing of one page."""
        return self._rows

    def _stats(self) -> Iterator[list[tuple[str, os.stat_result]]]:
        """Give names with stats, in pages, and work out digest and totals of many pages on the way."""
        if self._names is None:
            yield self._rows
            return
        running = xxhash.xxh3_128()
        others = files = size = 0
        containers: list[str] = []
        for start in range(0, len(self._names), PAGE):
            page = []
            with translate("list", self._path):
                for name in self._names[start : start + PAGE]:
                    try:
                        page.append((name, os.stat(name, dir_fd=self._fd, follow_symlinks=False)))
                    except FileNotFoundError:
                        continue
            running.update(_written(page, _marks(page)))
            more = _sums(page)
            others, files, size = others + more[0], files + more[1], size + more[2]
            containers.extend(_containers(page))
            yield page
        self._digest = running.digest()
        self._totals = others, files, size
        self._held = containers

    def _go_through(self) -> None:
        if self._digest is None:
            for _ in self._stats():
                pass

    def digest(self) -> bytes:
        if self._names is not None:
            self._go_through()
        if self._digest is None:
            self._digest = xxhash.xxh3_128_digest(_written(self._rows, self.marks()))
        return self._digest

    def marks(self) -> "array[int]":
        if self._marks is None:
            self._marks = _marks(self._rows)
        return self._marks

    def some(self, positions: list[int]) -> list[Entry]:
        return self.entries([self._rows[position] for position in positions])

    def pages(self) -> Iterator[list[Entry]]:
        if self.count == 0:
            return
        for page in self._stats():
            yield self.entries(page)

    def entries(self, page: list[tuple[str, os.stat_result]]) -> list[Entry]:
        """Make entries of stats; what is no longer there is left out."""
        entries = [entry_of(name, st) for name, st in page]
        for position, (name, st) in enumerate(page):
            if st.st_mode >> 12 == _SYMLINK_BITS:
                entries[position] = self._symlink(name, entries[position])
        return [entry for entry in entries if entry.name]

    def _symlink(self, name: str, entry: Entry) -> Entry:
        """Add the target of a symlink; one that vanished or changed is seen as what it is now."""
        try:
            return entry._replace(target=os.readlink(name, dir_fd=self._fd))
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.EINVAL):
                raise
        with translate("look at", name):
            return entry_at(self._fd, name) or entry._replace(name="")

    def names(self) -> Iterator[str]:
        return iter(self._names if self._names is not None else [name for name, _ in self._rows])

    def containers(self) -> list[str]:
        if self._held is None:
            if self._names is None:
                self._held = _containers(self._rows)
            else:
                self._go_through()
        return self._held or []

    def totals(self) -> tuple[int, int, int]:
        if self._totals is None:
            if self._names is None:
                self._totals = _sums(self._rows)
            else:
                self._go_through()
        return self._totals or (0, 0, 0)


def _stat(items: Iterable[os.DirEntry[str]]) -> list[tuple[str, os.stat_result]]:
    return [(item.name, item.stat(follow_symlinks=False)) for item in items]


def _stat_if_there(items: Iterable[os.DirEntry[str]]) -> list[tuple[str, os.stat_result]]:
    found = []
    for item in items:
        try:
            found.append((item.name, item.stat(follow_symlinks=False)))
        except FileNotFoundError:
            continue
    return found


def _marks(page: list[tuple[str, os.stat_result]]) -> "array[int]":
    """Give a number for each entry that stands for all that a decision looks at; of a container, that it is there.

    Hashes of whole numbers are the same in every process of one Python. Another one takes all entries for changed,
    which costs one look at their rows.
    """
    return array(
        "q",
        [
            hash((st.st_mode, st.st_size, st.st_mtime_ns, st.st_ino, st.st_ctime_ns))
            if st.st_mode >> 12 != _DIRECTORY
            else _DIRECTORY
            for _, st in page
        ],
    )


def _written(page: list[tuple[str, os.stat_result]], marks: "array[int]") -> bytes:
    return marshal.dumps(([name for name, _ in page], marks.tobytes()), 2)


def _containers(page: list[tuple[str, os.stat_result]]) -> list[str]:
    return [name for name, st in page if st.st_mode >> 12 == _DIRECTORY]


def _sums(page: list[tuple[str, os.stat_result]]) -> tuple[int, int, int]:
    kinds = [st.st_mode >> 12 for _, st in page]
    files = kinds.count(_FILE_BITS)
    sizes = [st.st_size for _, st in page if files == len(page) or st.st_mode >> 12 == _FILE_BITS]
    return len(page) - kinds.count(_DIRECTORY), files, sum(sizes)
