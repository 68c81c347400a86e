"""A folder whose files have earlier contents beside them: ``file.txt`` is the current one, ``file.txt[1]`` the oldest.

Numbers grow with time. A listing folds ``file.txt[1]``, ``file.txt[2]``, ... into ``file.txt`` where that is a file;
without it they are files of their own. Writing over a file gives what it held the next number first, as a second
name, so that the current content stands until the new one takes its place. A crash between the two leaves a number
that holds the current content: it is no version, and the next write uses it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

from tallyport.connectors.bunches import read_each, write_each
from tallyport.connectors.local import Local
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition, Read, SmallRead, SmallWrite, Written
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, display, join, split
from tallyport.domain.versions import Version

_NUMBERED = re.compile(r"(.+)\[([1-9][0-9]{0,8})\]", re.DOTALL)
_ABSENT = Precondition(absent=True)


class VersionedFolder(Local):
    """One folder as a connection that keeps earlier contents."""

    def __init__(self, path: str, below: str = ROOT, *, make: bool = False) -> None:
        super().__init__(path, below, make=make)
        self.limits = replace(self.limits, versions=True)

    def following(self) -> None:
        """What a link points to has versions of its own: they are not told apart."""
        return None

    def read_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        return read_each(self, reads)

    def write_many(self, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
        return write_each(self, writes)

    def children(self, path: str) -> Iterator[Entry]:
        return (entry._replace(contents=0) for entry in self.counted(path))

    def counted(self, path: str, *, glimpsed: bool = False) -> Iterator[Entry]:
        entries = list(super().children(path))
        files = {entry.name: entry for entry in entries if entry.kind is Kind.FILE}
        numbers = dict.fromkeys(files, 1)
        shown = []
        for entry in entries:
            of = files.get(_file_of(entry))
            if of is None:
                shown.append(entry)
            elif entry.link_id is None or entry.link_id != of.link_id:
                numbers[of.name] += 1
        return (entry._replace(contents=numbers.get(entry.name, 0)) for entry in shown)

    def stat(self, path: str) -> Entry | None:
        entry = super().stat(path)
        if entry is None or entry.kind is not Kind.FILE:
            return entry
        # A second name that only a crash left makes it no hard link.
        return entry._replace(links=1, link_id=None) if entry.links == 2 and self._left_over(path, entry) else entry

    def versions(self, path: str) -> Sequence[Version]:
        current = super().stat(path)
        if current is None or current.kind is not Kind.FILE:
            what = f"cannot list versions of {display(path)!r}: there is no file of that name"
            raise TallyportError(ErrorKind.NOT_FOUND, what, path=path, operation="versions")
        past = [
            Version(str(number), entry.size, entry.modified)
            for number, entry in self._numbered(path)
            if entry.link_id is None or entry.link_id != current.link_id
        ]
        return [*past, Version("", current.size, current.modified, is_current=True)]

    def read_version(
        self, path: str, version: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        return self.read(f"{path}[{version}]" if version else path, offset=offset, length=length)

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        here = None if when.absent else super().stat(path)
        if here is None or here.kind is not Kind.FILE:
            return super().write(path, content, facts, when=when)
        if when.entry is not None and fingerprint(here) != fingerprint(when.entry):
            what = f"cannot write {display(path)!r}: it changed since it was looked at"
            raise TallyportError(ErrorKind.ALREADY_EXISTS, what, path=path, operation="write")
        # Read everything before anything is numbered: whatever fails until then changes nothing.
        temporary = join(split(path)[0], self._temporary())
        super().write(temporary, content, facts, when=_ABSENT)
        try:
            self._number(path, here)
            now = super().stat(path)
            assert now is not None, "it stood there a moment ago"
            return super().write(path, self._whole(temporary), facts, when=Precondition(entry=now))
        finally:
            super().delete(temporary)

    def delete(self, path: str, *, expect: Entry | None = None) -> None:
        """Remove a file with its versions: newest content first, so that what is left is never taken for current."""
        numbered = self._numbered(path)
        super().delete(path, expect=expect)
        for number, _ in numbered:
            super().delete(f"{path}[{number}]")

    def rename(self, path: str, to: str) -> Entry:
        numbered = self._numbered(path)
        for number, _ in numbered:
            super().rename(f"{path}[{number}]", f"{to}[{number}]")
        return super().rename(path, to)

    def _whole(self, path: str) -> Iterator[bytes]:
        with self.read(path) as chunks:
            yield from chunks

    def _number(self, path: str, here: Entry) -> None:
        """Give the current content the next number as a second name, unless a crash left it one."""
        numbered = self._numbered(path)
        if self._left_over(path, here, numbered):
            return
        number = numbered[-1][0] + 1 if numbered else 1
        self.make_hard_link(f"{path}[{number}]", path, when=_ABSENT)

    def _left_over(self, path: str, here: Entry, numbered: Sequence[tuple[int, Entry]] | None = None) -> bool:
        found = self._numbered(path) if numbered is None else numbered
        return any(here.link_id is not None and entry.link_id == here.link_id for _, entry in found)

    def _numbered(self, path: str) -> list[tuple[int, Entry]]:
        """Give the numbered files beside a file, oldest first."""
        if path == ROOT:
            return []
        container, name = split(path)
        try:
            entries = list(super().children(container))
        except TallyportError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return []
            raise
        found = []
        for entry in entries:
            match = _NUMBERED.fullmatch(entry.name)
            if match is not None and match[1] == name and entry.kind is Kind.FILE:
                found.append((int(match[2]), entry))
        return sorted(found, key=lambda one: one[0])


def _file_of(entry: Entry) -> str:
    """Give the name of the file that a numbered one may belong to; empty for any other."""
    match = _NUMBERED.fullmatch(entry.name) if entry.name.endswith("]") else None
    return match[1] if match is not None and entry.kind is Kind.FILE else ""
