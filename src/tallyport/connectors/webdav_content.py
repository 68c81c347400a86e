"""Reading and writing over WebDAV: a write goes to a temporary beside its place and is moved there."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from tallyport.connectors.protocol import Facts, Precondition
from tallyport.connectors.remote_content import CHUNK, Announced, blocks, chained
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.webdav_folder import SECOND, changed, differs
from tallyport.connectors.webdav_locks import Locking
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind

T = TypeVar("T")


class Content(Locking):
    """A folder whose files can be read and written."""

    # -- reading

    @contextmanager
    def _reading(self, url: str, path: str, offset: int, length: int | None) -> Iterator[Iterator[bytes]]:
        entry = self._standing(path)
        if entry.kind is not Kind.FILE:
            raise refusal(ErrorKind.UNSUPPORTED, "read", path, "it is a container, not a file")
        yield from self._ranged(url, path, entry.size, offset, length, entry)

    def _ranged(
        self, url: str, path: str, size: int, offset: int, length: int | None, entry: Entry | None
    ) -> Iterator[Iterator[bytes]]:
        """Give a range of what has a size; with an entry, what changed meanwhile raises instead of ending."""
        end = size if length is None else min(size, offset + length)
        if offset >= end:
            yield iter(())
            return
        headers = {"Accept-Encoding": "identity"}
        is_part = offset > 0 or end < size
        if is_part:
            headers["Range"] = f"bytes={offset}-{end - 1}"
        with self._server.call("GET", url, "read", path, headers=headers, allowed=(416,)) as reply:
            if reply.status == 416:
                raise changed(path)
            skip = offset if is_part and reply.status == 200 else 0  # a server without ranges
            yield self._checked(reply.chunks(), path, skip, end - offset, entry)

    def _checked(
        self, chunks: Iterator[bytes], path: str, skip: int, wanted: int, entry: Entry | None
    ) -> Iterator[bytes]:
        for chunk in chunks:
            if skip:
                skip, chunk = max(0, skip - len(chunk)), chunk[skip:]
            chunk = chunk[:wanted]
            if not chunk:
                continue
            wanted -= len(chunk)
            if not wanted and entry is not None:
                now = self._stat(path)
                if now is None or fingerprint(now) != fingerprint(entry):
                    raise changed(path)
            yield chunk
            if not wanted:
                return
        if wanted:
            raise changed(path)

    # -- writing

    def _put(self, path: str, temporary: str, content: Iterable[bytes], facts: Facts) -> int:
        announced = Announced(content, facts, path)
        pieces = blocks(announced)
        first = next(pieces, b"")
        headers = {"Content-Type": "application/octet-stream"}
        body: bytes | Iterable[bytes]
        if len(first) < CHUNK:
            body = first
        else:
            body = chained(first, pieces)
            if facts.size is not None:  # some servers take no upload of unknown length
                headers["Content-Length"] = str(facts.size)
        if facts.modified is not None and self._way == "header":
            headers["X-OC-Mtime"] = str(max(0, facts.modified // SECOND))
        headers.update(self.put_headers(first, is_whole=isinstance(body, bytes)))
        with self._call("PUT", temporary, "write", headers=headers, body=body):
            return announced.size

    def put_headers(self, first: bytes, *, is_whole: bool) -> Mapping[str, str]:
        """Give what else goes along with an upload."""
        return {}

    def _settle(self, temporary: str, path: str, facts: Facts) -> None:
        """Give a finished temporary its time, where the upload did not."""
        if facts.modified is not None and self._way == "property":
            self._set_time(temporary, facts.modified, is_container=False)

    def _publish(self, temporary: str, path: str, when: Precondition, size: int) -> Entry:
        standing = self._standing(temporary)
        if standing.size != size:
            what = f"the server holds {standing.size} of {size} bytes"
            raise refusal(ErrorKind.CORRUPT, "write", path, what)
        self.move_into_place(self._url(temporary), path, when)
        return self._standing(path)

    def move_into_place(
        self, url: str, path: str, when: Precondition, headers: Mapping[str, str] | None = None
    ) -> None:
        """Move what is finished onto its name under the condition that was asked for."""
        if not when.absent:
            now = self._stat(path)
            wanted = when.entry
            if wanted is not None and (now is None or now.kind is not wanted.kind or differs(now, wanted)):
                raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "it changed since it was looked at")
            if now is not None and now.kind is Kind.CONTAINER:
                raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "a folder has that name")
        sent = {
            "Destination": self._server.origin + self._url(path),
            "Overwrite": "F" if when.absent else "T",
            **(headers or {}),
        }
        token = self._locks.get(path)
        if token is not None:
            sent["If"] = f"<{sent['Destination']}> (<{token}>)"
        with self._server.call("MOVE", url, "write", path, headers=sent):
            pass
        if token is not None and all(lock.token != token for lock in self._locks_on(path)):
            self._locks.pop(path, None)  # some servers take the lock of what was replaced away with it
