"""Folders of an SSH server, over SFTP version 3 (OpenSSH) to 6.

Names are bytes, as on the server's disk. A write goes to a temporary beside its place, is stamped and, where the
server can, synced; then it takes its name: by the protocol's plain rename, which replaces nothing, when the name
must be free, else by ``posix-rename@openssh.com`` in one step. Big files are written at offsets into such a
temporary, from any process, and survive a crash.

Traps: version 3 keeps times to the second, tells no inode (so hard links are files of their own) and says only
"failure" for most errors, after which we look what stands there. Without an exclusive replace, a file changed by
somebody else between our last look and the rename is overwritten: ``replaces_checked`` is off. No open refuses
symlinks: every container on the way is looked at before it is used, at most ``TRUSTED`` seconds ago.
See draft-ietf-secsh-filexfer-02 and -13, OpenSSH's PROTOCOL file.
"""

import asyncio
import shlex
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

import asyncssh
from asyncssh import SFTPAttrs, SFTPClient, SFTPClientFile

from tallyport.connectors import event_loop
from tallyport.connectors.hashing import ContentHash
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition
from tallyport.connectors.remote_content import CHUNK, Announced, blocks
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_new, check_path
from tallyport.connectors.sftp_entries import BROKEN, TAKEN, attributes, entry_of, error_of, kind_of
from tallyport.connectors.sftp_session import Session, Settings
from tallyport.connectors.temporaries import Temporaries, is_of, is_temporary
from tallyport.domain.capabilities import Limits, VerifyLevel
from tallyport.domain.entries import Entry, Fingerprint, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, display, from_bytes, join, segments, split, to_bytes

__all__ = ["Settings", "Sftp", "open_sftp"]

T = TypeVar("T")

TRUSTED = 5.0  # seconds that a container stays known to be no symlink
REQUESTS = 16  # of one file in flight: the library's default holds up to 512 MB
AHEAD = 4  # chunks that are read, or written, before the first is asked for
LISTED = 500  # entries handed over at once

_WRITE = asyncssh.FXF_WRITE
_NEW = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_EXCL


def open_sftp(settings: Settings, path: str = ROOT, *, make: bool = False) -> "Sftp":
    """Open a folder of an SSH server, as the registry asks for it."""
    return Sftp(settings, path, make=make)


class Sftp:
    """One folder of one server. ``token`` marks what is unfinished, so that :meth:`sweep` finds it."""

    tells = frozenset({"created_on"})  # see control/honoured.py

    def __init__(self, settings: Settings, path: str = ROOT, *, make: bool = False, token: str = "sftp") -> None:
        self.token = token
        self._settings = settings
        self._session = Session(settings)
        self._temporaries = Temporaries()
        self._trusted: dict[str, float] = {}  # container → until when
        self._can_sync = True
        try:
            self._root, base = event_loop.run(self._find_root(path, make=make))
            self.limits = self._measure()
        except BaseException:
            self._session.close()
            raise
        shown = display(from_bytes(base)).lstrip("/")
        self.location = f"sftp://{settings.username}@{self._session.where}/{shown}"
        if not self._session.client().supports_remote_copy:
            self.__class__ = _without_copy(type(self))

    # -- what every platform can do

    def stat(self, path: str) -> Entry | None:
        check_path("look at", path)
        return self._do("look at", path, self._stat(path))

    def children(self, path: str) -> Iterator[Entry]:
        check_path("list", path)
        client = self._session.client()
        names = self._do("list", path, self._open_listing(client, path))
        return self._listing(client, path, names)

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length)

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        check_new("write", path, self.limits)
        announced = Announced(content, facts, path, algorithm="sha256" if self._settings.prove_with_sha256sum else "")
        pieces = blocks(announced)
        first = next(pieces, b"")
        if len(first) == CHUNK:
            return self._write_big(path, first, pieces, announced, facts, when)
        return self._do("write", path, self._write_small(path, first, announced, facts, when))

    def make_container(self, path: str, facts: Facts) -> Entry:
        """Make it with the mode asked for, yet such that it can be filled: a later stamp sets it exactly."""
        if path != ROOT:
            check_new("make", path, self.limits)
        return self._do("make", path, self._make(path, facts))

    def delete(self, path: str, *, expect: Entry | None = None) -> None:
        check_path("delete", path)
        if path == ROOT:
            raise refusal(ErrorKind.UNSUPPORTED, "delete", path, "it is the root of the connection")
        self._do("delete", path, self._delete(path, expect))

    def close(self) -> None:
        self._session.close()

    # -- abilities

    def stamp(self, path: str, facts: Facts) -> Entry:
        check_path("stamp", path)
        return self._do("stamp", path, self._stamp(path, facts))

    def rename(self, path: str, to: str) -> Entry:
        check_path("rename", path)
        check_new("rename", to, self.limits)
        if path == ROOT or to.startswith(f"{path}/"):
            raise refusal(ErrorKind.UNSUPPORTED, "rename", path, f"it cannot become {display(to)!r}")
        return self._do("rename", path, self._rename(path, to))

    def make_symlink(self, path: str, target: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        check_new("link", path, self.limits)
        return self._do("link", path, self._make_symlink(path, target, facts, when))

    def make_hard_link(self, path: str, existing: str, *, when: Precondition = ANYTHING) -> Entry:
        """Refuse: the protocol does not tell which names are one file, so nobody could find them again."""
        check_new("link", path, self.limits)
        raise refusal(ErrorKind.UNSUPPORTED, "link", path, "SFTP does not tell which names are one file")

    def sweep(self, path: str, token: str) -> int:
        check_path("sweep", path)
        return self._do("sweep", path, self._sweep(path, token))

    def copy(self, path: str, to: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        check_path("copy", path)
        check_new("copy", to, self.limits)
        return self._do("copy", path, self._copy(path, to, facts, when))

    def begin_upload(self, path: str, facts: Facts, *, token: str) -> str:
        check_new("write", path, self.limits)
        return self._do("write", path, self._begin_upload(path, token))

    def put_part(self, path: str, handle: str, number: int, offset: int, content: Iterable[bytes], size: int) -> bytes:
        check_new("write", path, self.limits)
        running = ContentHash()
        announced = Announced(content, Facts(size=size), path)

        async def opened() -> SFTPClientFile:
            return await self._open(self._temporary(path, handle), _WRITE)

        with self._gone_handle(path):
            file = self._do("write", path, opened())
            try:
                self._pour(path, file, _hashed(blocks(announced), running), offset)
            finally:
                self._do("write", path, file.close())
        return size.to_bytes(8, "big") + running.digest()

    def finish_upload(
        self, path: str, handle: str, receipts: Sequence[bytes], facts: Facts, *, when: Precondition = ANYTHING
    ) -> Entry:
        check_new("write", path, self.limits)
        size = sum(int.from_bytes(receipt[:8], "big") for receipt in receipts)
        if facts.size is not None and facts.size != size:
            what = f"{facts.size} bytes were announced and the parts have {size}"
            raise refusal(ErrorKind.CHANGED_DURING_COPY, "write", path, what)
        with self._gone_handle(path):
            return self._do("write", path, self._finish_upload(path, handle, size, facts, when))

    def abandon_upload(self, path: str, handle: str) -> None:
        check_path("write", path)
        self._do("delete", path, self._remove_quietly(self._temporary(path, handle)))

    # -- calls

    def _do(self, operation: str, path: str, work: Coroutine[Any, Any, T]) -> T:
        """Run one piece of work on the loop; its errors become ours. A broken connection is dropped."""
        future = event_loop.submit(work)
        try:
            return future.result()
        except TallyportError:
            raise
        except (asyncssh.Error, OSError, asyncio.CancelledError, ValueError) as error:
            if isinstance(error, BROKEN):
                self._drop()
            raise error_of(error, operation, path) from error
        except BaseException:
            future.cancel()
            raise

    def _drop(self) -> None:
        self._session.drop()
        self._trusted.clear()

    async def _timed(self, work: Awaitable[T]) -> T:
        async with asyncio.timeout(self._settings.timeout):
            return await work

    async def _client(self) -> SFTPClient:
        """Give the channel. Connecting blocks, so it is not done on the loop."""
        client = self._session.standing()
        if client is None:
            return await asyncio.get_running_loop().run_in_executor(None, self._session.client)
        return client

    def _at(self, path: str) -> bytes:
        return self._root + b"/" + to_bytes(path) if path else self._root

    def _temporary(self, path: str, name: str) -> bytes:
        if not is_temporary(name):
            raise refusal(ErrorKind.NOT_FOUND, "write", path, "there is no such upload")
        return self._at(join(split(path)[0], name))

    async def _open(self, at: bytes, flags: int, attrs: SFTPAttrs | None = None) -> SFTPClientFile:
        client = await self._client()
        file = await self._timed(client.open(at, flags, attrs or SFTPAttrs(), encoding=None, max_requests=REQUESTS))
        return file

    # -- the root

    async def _find_root(self, path: str, *, make: bool) -> tuple[bytes, bytes]:
        client = await self._client()
        base = to_bytes(self._settings.path) or b"."
        try:
            root = await self._timed(client.realpath(base))
        except asyncssh.SFTPError as error:
            raise self._no_root(self._settings.path, error) from error
        root = root.rstrip(b"/")
        here = root
        for name in segments(path):
            here += b"/" + to_bytes(name)
            if make and await _lstat(client, here) is None:
                try:
                    await client.mkdir(here)
                except asyncssh.SFTPError:
                    if await _lstat(client, here) is None:
                        raise
        found = await _lstat(client, here or b"/")
        if found is None or kind_of(found) is not Kind.CONTAINER:
            raise self._no_root(from_bytes(here), None)
        # Without this rename there is no replacing in one step.
        try:
            nowhere = here + b"/" + self._temporaries.name(self.token).encode()
            await client.posix_rename(nowhere, nowhere + b"x")
        except asyncssh.SFTPOpUnsupported:
            self._replaces = False
        except asyncssh.SFTPError:
            self._replaces = True
        return here, here or b"/"

    def _no_root(self, path: str, error: Exception | None) -> TallyportError:
        message = f"there is no folder {display(path) or '/'} on {self._session.where}: make it, or correct the path"
        return TallyportError(ErrorKind.NOT_FOUND, message, path=path, operation="open")

    def _measure(self) -> Limits:
        client, settings = self._session.client(), self._settings
        owners = settings.username == "root" if settings.owners is None else settings.owners
        return Limits(
            time_precision=1 if client.version >= 4 else 1_000_000_000,
            symlinks=True,
            permissions=True,
            owners=owners,
            best_verify=VerifyLevel.READBACK,
            atomic_replace=self._replaces,
            replaces_checked=False,
            hash_types=("sha256",) if settings.prove_with_sha256sum else (),
            acknowledges=settings.prove_with_sha256sum,
        )

    # -- looking

    async def _stat(self, path: str) -> Entry | None:
        client = await self._client()
        if path == ROOT:
            return entry_of(ROOT, await self._timed(client.lstat(self._root or b"/")))
        container, name = split(path)
        try:
            await self._trust(container)
        except TallyportError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return None
            raise
        return await self._look(client, container, name)

    async def _look(self, client: SFTPClient, container: str, name: str) -> Entry | None:
        at = self._at(join(container, name))
        attrs = await self._timed(_lstat(client, at))
        if attrs is None:
            return None
        return await self._with_target(client, at, entry_of(name, attrs))

    async def _with_target(self, client: SFTPClient, at: bytes, entry: Entry) -> Entry | None:
        if entry.kind is not Kind.SYMLINK:
            return entry
        try:
            target = await self._timed(client.readlink(at))
        except asyncssh.SFTPNoSuchFile:
            return None
        assert isinstance(target, bytes)
        return entry._replace(target=from_bytes(target))

    async def _trust(self, container: str) -> None:
        """See that a container is one and that no symlink is on the way to it, or raise NOT_FOUND."""
        now = time.monotonic()
        if container == ROOT or self._trusted.get(container, 0.0) > now:
            return
        client = await self._client()
        at = self._at(container)
        try:
            if await self._timed(client.realpath(at)) != at:
                raise asyncssh.SFTPNoSuchFile("it is reached by another way")
            attrs = await self._timed(client.lstat(at))
            if kind_of(attrs) is not Kind.CONTAINER:
                raise refusal(ErrorKind.NOT_FOUND, "open the folder", container, "it is not a folder")
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPFailure):
            await self._walk(client, container)  # a server may show paths in another form: look at each
        if len(self._trusted) > 10_000:
            self._trusted.clear()
        self._trusted[container] = now + TRUSTED

    async def _walk(self, client: SFTPClient, container: str) -> None:
        here = ROOT
        for name in segments(container):
            here = join(here, name)
            attrs = await self._timed(_lstat(client, self._at(here)))
            if attrs is None:
                raise refusal(ErrorKind.NOT_FOUND, "open the folder", here, "it is not there")
            if kind_of(attrs) is not Kind.CONTAINER:
                raise refusal(ErrorKind.NOT_FOUND, "open the folder", here, "it is not a folder")

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
            if name in (".", "..") or "/" in name or is_temporary(name):
                continue
            attrs = item.attrs
            if attrs.permissions is None:
                seen = await self._timed(_lstat(client, self._at(join(path, name))))
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
        file, seen = self._do("read", path, self._open_to_read(path))
        try:
            yield self._chunks(path, file, seen, offset, length)
        finally:
            event_loop.submit(_close_quietly(file))

    async def _open_to_read(self, path: str) -> tuple[SFTPClientFile, Fingerprint]:
        client = await self._client()
        container, _ = split(path) if path else (ROOT, ROOT)
        await self._trust(container)
        entry = entry_of(ROOT, await self._timed(client.lstat(self._at(path) or b"/")))
        if entry.kind is not Kind.FILE:
            what = f"it is a {entry.kind.name.lower()}, not a file"
            raise refusal(ErrorKind.UNSUPPORTED, "read", path, what)
        file = await self._open(self._at(path), asyncssh.FXF_READ)
        return file, fingerprint(entry_of(ROOT, await self._timed(file.stat())))

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
                raise _changed(path)
            if offset >= end:
                now = self._do("read", path, self._timed(file.stat()))
                if fingerprint(entry_of(ROOT, now)) != seen:
                    raise _changed(path)
            yield chunk

    # -- writing

    async def _write_small(
        self, path: str, data: bytes, announced: Announced, facts: Facts, when: Precondition
    ) -> Entry:
        """Write what fits into one chunk with as few waits as the protocol allows."""
        container, _ = split(path)
        await self._trust(container)
        client = await self._client()
        if when.absent:  # a taken name is told before anything is written
            await self._expect_absent(client, path)
        temporary = self._at(join(container, self._temporaries.name(self.token)))
        file = await self._create(container, temporary, facts)
        try:
            try:
                await self._timed(self._fill(client, file, data, attributes(facts, client.version)))
            except asyncssh.SFTPFailure as error:
                raise await self._why(error, path) from error
            finally:
                await self._timed(file.close())
            await self._prove(path, temporary, announced)
            return await self._publish(client, temporary, path, when, Kind.FILE)
        except BaseException:
            await self._remove_quietly(temporary)
            raise

    def _write_big(
        self, path: str, first: bytes, rest: Iterator[bytes], announced: Announced, facts: Facts, when: Precondition
    ) -> Entry:
        container, _ = split(path)
        temporary = self._at(join(container, self._temporaries.name(self.token)))

        async def begin() -> SFTPClientFile:
            await self._trust(container)
            if when.absent:
                await self._expect_absent(await self._client(), path)
            return await self._create(container, temporary, facts)

        async def end() -> Entry:
            client = await self._client()
            attrs = attributes(facts, client.version)
            if attrs is not None:
                await self._timed(file.setstat(attrs))
            await self._sync(file)
            await self._timed(file.close())
            await self._prove(path, temporary, announced)
            return await self._publish(client, temporary, path, when, Kind.FILE)

        file = self._do("write", path, begin())
        try:
            self._pour(path, file, _chain(first, rest), 0)
            return self._do("write", path, end())
        except BaseException:
            event_loop.run(_close_quietly(file))
            event_loop.run(self._remove_quietly(temporary))
            raise

    async def _fill(self, client: SFTPClient, file: SFTPClientFile, data: bytes, attrs: SFTPAttrs | None) -> None:
        """Write and stamp. What fits into one packet goes out together: the server takes it in that order."""
        stamping = [] if attrs is None else [file.setstat(attrs)]
        if len(data) <= (client.limits.max_write_len or 16_384):
            file.write_len = 0  # straight to the channel, before the next request
            await _all([file.write(data, 0), *stamping] if data else stamping)
        else:
            await file.write(data, 0)
            await _all(stamping)
        await self._sync(file)

    async def _create(self, container: str, temporary: bytes, facts: Facts) -> SFTPClientFile:
        attrs = SFTPAttrs() if facts.mode is None else SFTPAttrs(permissions=0o600)
        try:
            return await self._open(temporary, _NEW, attrs)
        except asyncssh.SFTPFailure:
            self._trusted.pop(container, None)
            await self._trust(container)  # says so when the container is the reason
            raise

    def _pour(self, path: str, file: SFTPClientFile, pieces: Iterator[bytes], offset: int) -> None:
        """Write pieces one after the other, some of them on their way at once. The iterator's errors pass."""
        waiting: list[Any] = []
        try:
            for piece in pieces:
                waiting.append(event_loop.submit(self._timed(file.write(piece, offset))))
                offset += len(piece)
                if len(waiting) >= AHEAD:
                    self._settle(path, waiting.pop(0))
            while waiting:
                self._settle(path, waiting.pop(0))
        finally:
            for future in waiting:
                future.cancel()

    def _settle(self, path: str, future: Any) -> None:
        try:
            future.result()
        except asyncssh.SFTPFailure as error:
            raise self._do("write", path, self._why(error, path)) from error
        except (asyncssh.Error, OSError) as error:
            if isinstance(error, BROKEN):
                self._drop()
            raise error_of(error, "write", path) from error

    async def _why(self, error: asyncssh.SFTPError, path: str) -> TallyportError:
        """Find the reason for a bare failure of a write: most often the disk is full."""
        client = await self._client()
        try:
            room = await self._timed(client.statvfs(self._root or b"/"))
        except asyncssh.Error:
            return error_of(error, "write", path)
        if room.bavail == 0 or (room.favail == 0 and room.files > 0):
            return refusal(ErrorKind.NO_SPACE, "write", path, "no space left on the server")
        return error_of(error, "write", path)

    async def _sync(self, file: SFTPClientFile) -> None:
        """Have the content on the server's disk before it becomes visible, where the server can."""
        if self._can_sync:
            try:
                await self._timed(file.fsync())
            except asyncssh.SFTPOpUnsupported:
                self._can_sync = False

    async def _prove(self, path: str, temporary: bytes, announced: Announced) -> None:
        if not self._settings.prove_with_sha256sum:
            return
        connection = await asyncio.get_running_loop().run_in_executor(None, self._session.connection)
        command = b"sha256sum -- " + shlex.quote(from_bytes(temporary)).encode("utf-8", "surrogateescape")
        done = await self._timed(connection.run(command.decode("utf-8", "surrogateescape"), encoding=None))
        said = done.stdout or b""
        output = (said if isinstance(said, bytes) else said.encode()).lstrip(b"\\")[:64].decode("ascii", "replace")
        if done.exit_status != 0 or len(output) != 64:
            what = "the server did not run sha256sum; switch prove_with_sha256sum off"
            raise refusal(ErrorKind.CONFIG, "write", path, what)
        if output != announced.hexdigest():
            raise refusal(ErrorKind.CORRUPT, "write", path, "the server's sha256sum is another one")

    async def _expect_absent(self, client: SFTPClient, path: str) -> None:
        if await self._timed(_lstat(client, self._at(path))) is not None:
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "the name is taken")

    async def _publish(self, client: SFTPClient, temporary: bytes, path: str, when: Precondition, kind: Kind) -> Entry:
        """Give a finished temporary its name under the condition that was asked for, and say what stands there."""
        at = self._at(path)
        container, name = split(path)
        if when.entry is not None:
            now = await self._look(client, container, name)
            if now is None or now.kind is not when.entry.kind or fingerprint(now) != fingerprint(when.entry):
                raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "it changed since it was looked at")
        try:
            if when.absent:
                await self._timed(client.rename(temporary, at))
            elif self._replaces:
                await self._timed(client.posix_rename(temporary, at))
            else:
                await self._replace_in_steps(client, temporary, at)
        except (asyncssh.SFTPFailure, asyncssh.SFTPPermissionDenied, *TAKEN) as error:
            there = await self._timed(_lstat(client, at))
            if there is not None and (when.absent or kind_of(there) is Kind.CONTAINER):
                what = "the name is taken" if when.absent else "a folder has that name"
                raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, what) from error
            raise
        entry = await self._look(client, container, name)
        if entry is None:
            raise refusal(ErrorKind.NOT_FOUND, "write", path, "it vanished again")
        return entry

    async def _replace_in_steps(self, client: SFTPClient, temporary: bytes, at: bytes) -> None:
        """Replace where the server has no rename for it: the name is free for a moment."""
        attrs = await self._timed(_lstat(client, at))
        if attrs is not None and kind_of(attrs) is Kind.CONTAINER:
            raise asyncssh.SFTPFailure("a folder has that name")
        if attrs is not None:
            await self._timed(client.remove(at))
        await self._timed(client.rename(temporary, at))

    async def _remove_quietly(self, at: bytes) -> None:
        try:
            client = await self._client()
            await self._timed(client.remove(at))
        except (asyncssh.Error, OSError, TallyportError):  # gone, or swept later
            pass

    # -- uploads

    @contextmanager
    def _gone_handle(self, path: str) -> Iterator[None]:
        try:
            yield
        except TallyportError as error:
            if error.kind is ErrorKind.NOT_FOUND and error.path == path:
                what = "what was uploaded of it is gone"
                raise refusal(ErrorKind.NOT_FOUND, "write", path, what) from error
            raise

    async def _begin_upload(self, path: str, token: str) -> str:
        container, _ = split(path)
        await self._trust(container)
        name = self._temporaries.name(token)
        file = await self._create(container, self._at(join(container, name)), Facts(mode=0o600))
        await self._timed(file.close())
        return name

    async def _finish_upload(self, path: str, handle: str, size: int, facts: Facts, when: Precondition) -> Entry:
        temporary = self._temporary(path, handle)
        await self._trust(split(path)[0])
        client = await self._client()
        file = await self._open(temporary, _WRITE)
        try:
            stands = (await self._timed(file.stat())).size or 0
            if stands < size:
                what = f"the server holds {stands} of {size} bytes"
                raise refusal(ErrorKind.CORRUPT, "write", path, what)
            if stands > size:
                await self._timed(file.setstat(SFTPAttrs(size=size)))
            await self._timed(
                file.setstat(attributes(facts._replace(mode=_mode(facts)), client.version) or SFTPAttrs())
            )
            await self._sync(file)
        finally:
            await self._timed(file.close())
        return await self._publish(client, temporary, path, when, Kind.FILE)

    # -- the rest

    async def _make(self, path: str, facts: Facts) -> Entry:
        client = await self._client()
        if path == ROOT:
            return entry_of(ROOT, await self._timed(client.lstat(self._root or b"/")))
        container, name = split(path)
        await self._trust(container)
        attrs = SFTPAttrs() if facts.mode is None else SFTPAttrs(permissions=facts.mode & 0o777 | 0o700)
        try:
            await self._timed(client.mkdir(self._at(path), attrs))
        except (asyncssh.SFTPFailure, asyncssh.SFTPPermissionDenied, *TAKEN):
            entry = await self._look(client, container, name)
            if entry is None:
                raise
            if entry.kind is not Kind.CONTAINER:
                raise refusal(ErrorKind.ALREADY_EXISTS, "make", path, "something else has that name") from None
            return entry
        fillable = None if facts.mode is None else facts.mode | 0o700
        return await self._stamp(path, facts._replace(mode=fillable))

    async def _delete(self, path: str, expect: Entry | None) -> None:
        client = await self._client()
        entry = await self._stat(path)
        if entry is None:
            return
        if expect is not None and (entry.kind is not expect.kind or fingerprint(entry) != fingerprint(expect)):
            raise refusal(ErrorKind.CHANGED_DURING_COPY, "delete", path, "it changed since it was seen")
        at = self._at(path)
        try:
            if entry.kind is Kind.CONTAINER:
                self._trusted.pop(path, None)
                await self._timed(client.rmdir(at))
            else:
                await self._timed(client.remove(at))
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            return
        except (asyncssh.SFTPFailure, asyncssh.SFTPDirNotEmpty) as error:
            if entry.kind is Kind.CONTAINER:
                what = "the folder is not empty"
                raise refusal(ErrorKind.ALREADY_EXISTS, "delete", path, what) from error
            raise

    async def _stamp(self, path: str, facts: Facts) -> Entry:
        client = await self._client()
        container, name = split(path) if path else (ROOT, ROOT)
        await self._trust(container)
        at = self._at(path) or b"/"
        attrs = attributes(facts, client.version)
        if attrs is not None:
            before = await self._timed(client.lstat(at))
            is_link = kind_of(before) is Kind.SYMLINK
            if is_link:
                attrs.permissions = None  # a symlink has no mode of its own
            try:
                await self._timed(client.setstat(at, attrs, follow_symlinks=not is_link))
            except asyncssh.SFTPOpUnsupported:
                if not is_link:
                    raise
        if path == ROOT:
            return entry_of(ROOT, await self._timed(client.lstat(at)))
        entry = await self._look(client, container, name)
        if entry is None:
            raise refusal(ErrorKind.NOT_FOUND, "stamp", path, "it is not there")
        return entry

    async def _rename(self, path: str, to: str) -> Entry:
        client = await self._client()
        for one in (path, to):
            await self._trust(split(one)[0])
        attrs = await self._timed(client.lstat(self._at(path)))
        if await self._timed(_lstat(client, self._at(to))) is not None:
            raise refusal(ErrorKind.ALREADY_EXISTS, "rename", path, f"the name {display(to)!r} is taken")
        self._trusted.clear()
        await self._timed(client.rename(self._at(path), self._at(to)))
        entry = await self._look(client, *split(to))
        return entry if entry is not None else entry_of(split(to)[1], attrs)

    async def _make_symlink(self, path: str, target: str, facts: Facts, when: Precondition) -> Entry:
        container, _ = split(path)
        await self._trust(container)
        client = await self._client()
        if when.absent:
            await self._expect_absent(client, path)
        name = self._temporaries.name(self.token)
        temporary = self._at(join(container, name))
        await self._timed(client.symlink(to_bytes(target), temporary))
        try:
            if facts.modified is not None or facts.owner is not None or facts.group is not None:
                await self._stamp(join(container, name), facts._replace(mode=None))
            return await self._publish(client, temporary, path, when, Kind.SYMLINK)
        except BaseException:
            await self._remove_quietly(temporary)
            raise

    async def _sweep(self, path: str, token: str) -> int:
        client = await self._client()
        await self._trust(path)
        left: list[bytes] = []
        async for item in client.scandir(self._at(path) or b"/"):
            raw = item.filename
            assert isinstance(raw, bytes)
            if is_of(from_bytes(raw), token):
                left.append(raw)
        for raw in left:
            await self._timed(client.remove(self._at(join(path, from_bytes(raw)))))
        return len(left)

    async def _copy(self, path: str, to: str, facts: Facts, when: Precondition) -> Entry:
        client = await self._client()
        for one in (path, to):
            await self._trust(split(one)[0])
        before = await self._timed(client.lstat(self._at(path)))
        if kind_of(before) is not Kind.FILE:
            raise refusal(ErrorKind.UNSUPPORTED, "copy", path, "it is not a file")
        if when.absent:
            await self._expect_absent(client, to)
        container, _ = split(to)
        temporary = self._at(join(container, self._temporaries.name(self.token)))
        source = await self._open(self._at(path), asyncssh.FXF_READ)
        try:
            file = await self._create(container, temporary, facts)
            try:
                # Length 0 is "to the end", which a big file takes longer for than any timeout.
                await client.remote_copy(source, file)
                copied = entry_of(ROOT, await self._timed(file.stat()))
                now = entry_of(ROOT, await self._timed(source.stat()))
                if fingerprint(now) != fingerprint(entry_of(ROOT, before)) or copied.size != now.size:
                    raise _changed(path)
                kept = facts._replace(
                    modified=now.modified if facts.modified is None else facts.modified,
                    mode=now.mode if facts.mode is None else facts.mode,
                )
                await self._timed(file.setstat(attributes(kept, client.version) or SFTPAttrs()))
                await self._sync(file)
            finally:
                await self._timed(file.close())
            return await self._publish(client, temporary, to, when, Kind.FILE)
        except BaseException:
            await self._remove_quietly(temporary)
            raise
        finally:
            await _close_quietly(source)


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


async def _all(steps: Sequence[Awaitable[object]]) -> None:
    for outcome in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


async def _close_quietly(file: SFTPClientFile) -> None:
    try:
        await file.close()
    except (asyncssh.Error, OSError, ValueError):  # the connection is gone, and the handle with it
        pass


async def _lstat(client: SFTPClient, at: bytes) -> SFTPAttrs | None:
    try:
        return await client.lstat(at)
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory):
        return None


def _without_copy(cls: type[Any]) -> type[Any]:
    """Give the class whose instances cannot copy: None in a class means "not here" to isinstance."""
    return type(cls.__name__, (cls,), {"copy": None})


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _hashed(pieces: Iterator[bytes], running: ContentHash) -> Iterator[bytes]:
    for piece in pieces:
        running.update(piece)
        yield piece


def _changed(path: str) -> TallyportError:
    return refusal(ErrorKind.CHANGED_DURING_COPY, "read", path, "it changed while it was read")


def _mode(facts: Facts) -> int:
    """Give the mode of an upload, which was made readable by its owner only."""
    return 0o644 if facts.mode is None else facts.mode
