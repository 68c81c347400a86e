"""Listing and reading over SFTP, with requests on their way before the answer to the last one came."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import asyncssh
from asyncssh import SFTPAttrs, SFTPClient, SFTPClientFile

from tallyport.connectors import event_loop
from tallyport.connectors.remote_content import CHUNK
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_path, is_listed
from tallyport.connectors.sftp_entries import BROKEN, entry_of, error_of
from tallyport.connectors.sftp_folder import Folder, at_once, changed, close_quietly, lstat
from tallyport.connectors.temporaries import is_temporary
from tallyport.domain.entries import Entry, Fingerprint, Kind, fingerprint
from tallyport.domain.errors import ErrorKind
from tallyport.domain.paths import ROOT, from_bytes, join, split

T = TypeVar("T")

AHEAD = 4  # chunks that are read, or written, before the first is asked for
LISTED = 500  # entries handed over at once


class Reading(Folder):
    """A folder that can be listed and read."""

    # -- listing

    async def _open_listing(self, client: SFTPClient, path: str) -> AsyncIterator[asyncssh.SFTPName]:
        await self._trust(path)
        names = client.scandir(self._at(path) or b"/")
        return _Ahead(names, await self._timed(_next(names)))

    def _listing(self, client: SFTPClient, path: str, names: AsyncIterator[asyncssh.SFTPName]) -> Iterator[Entry]:
        try:
            is_over = False
            while not is_over:
                batch, is_over = self._do("list", path, self._batch(client, path, names))
                yield from batch
        finally:
            closing = getattr(names, "aclose", None)
            if closing is not None:
                self._do("list", path, closing())

    async def _batch(
        self, client: SFTPClient, path: str, names: AsyncIterator[asyncssh.SFTPName]
    ) -> tuple[list[Entry], bool]:
        found: list[Entry] = []
        links: list[int] = []
        is_over = True
        async for item in names:
            raw = item.filename
            assert isinstance(raw, bytes)
            name = from_bytes(raw)
            if not is_listed(path, name) or is_temporary(name):
                continue
            attrs = item.attrs
            if attrs.permissions is None:
                seen = await self._timed(lstat(client, self._at(join(path, name))))
                if seen is None:
                    continue
                attrs = seen
            entry = entry_of(name, attrs)
            if entry.kind is Kind.SYMLINK:
                links.append(len(found))
            found.append(entry)
            if len(found) >= LISTED:
                is_over = False
                break
        if links:
            targets = (self._with_target(client, self._at(join(path, found[i].name)), found[i]) for i in links)
            for i, entry_of_link in zip(links, await asyncio.gather(*targets), strict=True):
                found[i] = entry_of_link if entry_of_link is not None else found[i]._replace(name="")
            found = [entry for entry in found if entry.name]
        return found, is_over

    # -- reading

    @contextmanager
    def _reading(self, path: str, offset: int, length: int | None) -> Iterator[Iterator[bytes]]:
        check_path("read", path)
        file, seen, whole = self._do("read", path, self._open_to_read(path, is_whole=offset == 0 and length is None))
        if whole is not None:
            yield iter((whole,) if whole else ())
            return
        try:
            yield self._chunks(path, file, seen, offset, length)
        finally:
            event_loop.submit(close_quietly(file))

    async def _open_to_read(self, path: str, *, is_whole: bool) -> tuple[SFTPClientFile, Fingerprint, bytes | None]:
        """Open a file, and where the whole of a small one is wanted read it with one wait."""
        client = await self._client()
        container, _ = split(path) if path else (ROOT, ROOT)
        await self._trust(container)
        entry = entry_of(ROOT, await self._timed(client.lstat(self._at(path) or b"/")))
        if entry.kind is not Kind.FILE:
            what = f"it is a {entry.kind.name.lower()}, not a file"
            raise refusal(ErrorKind.UNSUPPORTED, "read", path, what)
        file = await self._open(self._at(path), asyncssh.FXF_READ)
        if not is_whole or entry.size > min(CHUNK, client.limits.max_read_len or 16_384):
            return file, fingerprint(entry_of(ROOT, await self._timed(file.stat()))), None
        usual, file.read_len = file.read_len, 0  # straight to the channel, in one request
        steps = (file.stat(), file.read(entry.size, 0), file.stat()) if entry.size else (file.stat(),)
        before, *more = await self._timed(at_once(steps))
        seen = fingerprint(entry_of(ROOT, cast(SFTPAttrs, before)))
        content, after = more or (b"", before)
        if len(cast(bytes, content)) != seen.size or fingerprint(entry_of(ROOT, cast(SFTPAttrs, after))) != seen:
            file.read_len = usual  # a server may give less than was asked for: then it is read like a big one
            return file, seen, None
        task = asyncio.ensure_future(close_quietly(file))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return file, seen, cast(bytes, content)

    def _chunks(
        self, path: str, file: SFTPClientFile, seen: Fingerprint, offset: int, length: int | None
    ) -> Iterator[bytes]:
        """Give a range; chunks are asked for ahead. A file that changes meanwhile raises instead of ending."""
        end = seen.size if length is None else min(seen.size, offset + length)
        asked = offset
        waiting: list[tuple[int, Any]] = []
        while offset < end:
            while asked < end and len(waiting) < AHEAD:
                size = min(CHUNK, end - asked)
                waiting.append((size, event_loop.submit(self._timed(file.read(size, asked)))))
                asked += size
            size, future = waiting.pop(0)
            try:
                chunk = future.result()
            except (asyncssh.Error, OSError) as error:
                if isinstance(error, BROKEN):
                    self._drop()
                raise error_of(error, "read", path) from error
            offset += len(chunk)
            if len(chunk) != size:
                raise changed(path)
            if offset >= end:
                now = self._do("read", path, self._timed(file.stat()))
                if fingerprint(entry_of(ROOT, now)) != seen:
                    raise changed(path)
            yield chunk


class _Ahead:
    """An iterator of names of which the first was taken already."""

    def __init__(self, names: AsyncIterator[asyncssh.SFTPName], first: "asyncssh.SFTPName | None") -> None:
        self._names = names
        self._first = first
        self._is_over = first is None

    def __aiter__(self) -> "_Ahead":
        return self

    async def __anext__(self) -> asyncssh.SFTPName:
        if self._is_over:
            raise StopAsyncIteration
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return await anext(self._names)

    async def aclose(self) -> None:
        closing: Callable[[], Awaitable[None]] | None = getattr(self._names, "aclose", None)
        if closing is not None:
            await closing()


async def _next(names: AsyncIterator[asyncssh.SFTPName]) -> "asyncssh.SFTPName | None":
    return await anext(names, None)
