"""Listing and reading over SMB."""

import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from tallyport.connectors import smb_messages as smb
from tallyport.connectors.bunches import content_of
from tallyport.connectors.protocol import Connector, Read, SmallRead
from tallyport.connectors.remote_content import chained
from tallyport.connectors.remote_names import check_path, is_listed
from tallyport.connectors.smb_entries import listed_entry
from tallyport.connectors.smb_folder import Folder, Steps, changed
from tallyport.connectors.smb_session import (
    END_OF_FILE,
    NO_MORE_FILES,
    NO_SUCH_FILE,
    SmbError,
    status_of,
)
from tallyport.connectors.temporaries import is_temporary
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import join

BEGINNING = 128 * 1024  # bytes of a file that are read as it is opened
AHEAD = 4  # chunks under way at once
LISTED = 256 * 1024  # bytes of a listing asked for at once

_LOOK = smb.READ_ATTRIBUTES
_SNAPSHOTS = 0x00144064


class Reading(Folder):
    """A folder that can be listed and read."""

    # -- listing

    def children(self, path: str) -> Iterator[Entry]:
        check_path("list", path)
        handle = self._open(path, smb.LIST | _LOOK, operation="list", options=smb.A_FOLDER).handle
        return self._listing(path, handle)

    def _listing(self, path: str, handle: bytes) -> Iterator[Entry]:
        try:
            for batch in self._batches(path, handle, "*"):
                for one in batch:
                    if not is_listed(path, one.name) or is_temporary(one.name):
                        continue
                    entry = listed_entry(one)
                    if entry.kind is Kind.SYMLINK:
                        seen = self.stat(join(path, one.name))
                        if seen is None:
                            continue
                        entry = seen
                    yield entry
        finally:
            self._close(handle)

    def _batches(self, path: str, handle: bytes, pattern: str) -> Iterator[list[smb.Listed]]:
        most = min(LISTED, self._session.chunk)
        is_first = True
        while True:
            message = smb.list_names(handle, pattern, most=most, restart=is_first)
            try:
                body = self._session.exchange("list", path, message)[0]
            except SmbError as error:
                if error.status in (NO_MORE_FILES, NO_SUCH_FILE):
                    return
                raise
            is_first = False
            yield list(smb.listed(body))

    # -- reading

    def read_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        return self._together(None if one is None else (one, self._getting(one)) for one in reads)

    def _getting(self, one: SmallRead) -> Steps[bytes]:
        """Read a file whole that is as it was seen."""
        check_path("read", one.path)
        try:
            seen, data = yield from self._beginning(one.path)
        except TallyportError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                raise changed(one.path) from error
            raise
        if not _is_that(seen, one.entry):
            raise changed(one.path)
        if len(data) == seen.standing.size:
            return data
        return content_of(cast(Connector, self), one)  # the others wait meanwhile

    @contextmanager
    def _reading(
        self, path: str, offset: int, length: int | None, snapshot: int | None, entry: Entry | None = None
    ) -> Iterator[Iterator[bytes]]:
        """Read a range: of an earlier content, of that very entry, or of what stands there."""
        try:
            opened, first = self._opened_to_read(path, offset, length, snapshot, entry)
        except TallyportError as error:
            if entry is not None and error.kind is ErrorKind.NOT_FOUND:
                raise changed(path) from error
            raise
        if opened is None:
            yield iter((first,) if first else ())
            return
        try:
            chunks = self._chunks(path, opened, offset + len(first), length, is_past=snapshot is not None)
            yield chained(first, chunks) if first else chunks
        finally:
            self._close(opened.handle)

    def _opened_to_read(
        self, path: str, offset: int, length: int | None, snapshot: int | None, entry: Entry | None
    ) -> tuple[smb.Opened | None, bytes]:
        """Open a file and give what it begins with; a small one is read whole and not open any more."""
        first, seen = b"", None
        if offset == 0 and length is None and snapshot is None:
            seen, first = self._alone(self._beginning(path))
            if entry is not None and not _is_that(seen, entry):
                raise changed(path)
            if len(first) == seen.standing.size:
                return None, first
        opened = self._open(path, smb.READ_DATA | _LOOK, operation="read", options=smb.NO_FOLDER, snapshot=snapshot)
        is_another = seen is not None and (opened.standing, opened.number) != (seen.standing, seen.number)
        if is_another or (entry is not None and not _is_that(opened, entry)):
            self._close(opened.handle)
            raise changed(path)
        return opened, first

    def _beginning(self, path: str) -> Steps[tuple[smb.Opened, bytes]]:
        """Open a file, read what it begins with and close it, all in one go: a small file is whole then."""
        create = smb.create(self._name(path), smb.READ_DATA | _LOOK, options=smb.NO_FOLDER)
        wire = self._session.connected()  # which says how much may be read
        most = min(BEGINNING, self._session.chunk)
        reading = smb.read(smb.THE_SAME, 0, most)
        begun, data, ended = yield from self._asking(wire, "read", path, create, reading, smb.close(tell=True))
        if isinstance(begun, TallyportError):
            raise self._refused_open(begun, "read", path)
        opened = smb.created(begun)
        if isinstance(ended, TallyportError):
            self._close(opened.handle)
            raise ended
        if isinstance(data, TallyportError):
            if status_of(data) != END_OF_FILE:
                raise data
            data = b""
        else:
            data = smb.data_of(data)
        now = smb.closed(ended)
        is_short = len(data) != min(most, opened.standing.size)
        if is_short or (now.size, now.modified) != (opened.standing.size, opened.standing.modified):
            raise changed(path)
        return opened, data

    def _chunks(
        self, path: str, opened: smb.Opened, offset: int, length: int | None, *, is_past: bool
    ) -> Iterator[bytes]:
        """Give a range; chunks are asked for ahead. A file that changes meanwhile raises instead of ending."""
        size = opened.standing.size
        end = size if length is None else min(size, offset + length)
        asked = offset
        waiting: list[tuple[int, Any]] = []
        while offset < end:
            while asked < end and len(waiting) < AHEAD:
                part = min(self._session.chunk, end - asked)
                waiting.append((part, self._session.send("read", path, smb.read(opened.handle, asked, part))))
                asked += part
            part, requests = waiting.pop(0)
            try:
                chunk = smb.data_of(self._session.answers("read", path, requests)[0])
            except SmbError as error:
                if error.status == END_OF_FILE:  # the end came early
                    raise changed(path) from error
                raise
            offset += len(chunk)
            if len(chunk) != part:
                raise changed(path)
            if offset >= end and not is_past and self._is_rewritten(path, opened):
                raise changed(path)
            yield chunk

    def _is_rewritten(self, path: str, opened: smb.Opened) -> bool:
        """Tell whether the open file changed since it was opened. Losing its name to a newer file is no change."""
        message = smb.query(smb.OF_FILE, 34, handle=opened.handle)  # FileNetworkOpenInformation
        raw = smb.queried(self._session.exchange("read", path, message)[0])
        _, _, written, _, _, size, _ = struct.unpack_from("<qqqqqqI", raw)
        return (size, (written - smb.EPOCH) * 100) != (opened.standing.size, opened.standing.modified)


def _is_that(opened: smb.Opened, entry: Entry) -> bool:
    standing = opened.standing
    tag = opened.number + standing.changed
    return (standing.size, standing.modified, tag) == (entry.size, entry.modified, entry.tag)
