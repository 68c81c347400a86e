"""Writing over SFTP: a temporary beside its place, stamped and synced, takes its name when it is complete.

With a condition that the name be free by the protocol's plain rename, which replaces nothing, else by
``posix-rename@openssh.com`` in one step.
"""

import asyncio
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import asyncssh
from asyncssh import SFTPAttrs, SFTPClient, SFTPClientFile

from tallyport.connectors import event_loop
from tallyport.connectors.protocol import Facts, Precondition
from tallyport.connectors.remote_content import Announced, chained
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.sftp_entries import BROKEN, TAKEN, attributes, error_of, kind_of
from tallyport.connectors.sftp_folder import Folder, at_once, close_quietly, lstat
from tallyport.connectors.sftp_session import CONNECTING
from tallyport.domain.capabilities import Durability
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import from_bytes, join, split

T = TypeVar("T")

AHEAD = 4  # chunks that are read, or written, before the first is asked for

_WRITE = asyncssh.FXF_WRITE
_NEW = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_EXCL


class Writing(Folder):
    """A folder that can be written to."""

    # -- writing

    async def _write_small(
        self, path: str, data: bytes, announced: Announced, facts: Facts, when: Precondition
    ) -> Entry:
        """Write what fits into one chunk with as few waits as the protocol allows."""
        container, _ = split(path)
        await self._trust(container)
        client = await self._client()
        temporary = self._at(join(container, self._temporaries.name(self.token)))
        # Both are asked at once; a taken name is told before any content goes out.
        looking = asyncio.ensure_future(self._expect_absent(client, path)) if when.absent else None
        try:
            file = await self._create(container, temporary, facts)
        except BaseException:
            if looking is not None:
                await asyncio.wait([looking])
                looking.exception()
            raise
        try:
            try:
                if looking is not None:
                    await looking
                await self._timed(self._fill(client, file, data, attributes(facts, client.version)))
            except asyncssh.SFTPFailure as error:
                raise await self._why(error, path) from error
            finally:
                await self._timed(file.close())  # is closed already unless something failed
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
            self._pour(path, file, chained(first, rest), 0)
            return self._do("write", path, end())
        except BaseException:
            event_loop.run(close_quietly(file))
            event_loop.run(self._remove_quietly(temporary))
            raise

    async def _fill(self, client: SFTPClient, file: SFTPClientFile, data: bytes, attrs: SFTPAttrs | None) -> None:
        """Write, stamp and close. What fits into one packet goes out together: the server takes it in that order."""
        steps = [] if attrs is None else [file.setstat(attrs)]
        steps += [self._sync(file), file.close()]
        if len(data) <= (client.limits.max_write_len or 16_384):
            file.write_len = 0  # straight to the channel, before the next request
            await at_once([file.write(data, 0), *steps] if data else steps)
        else:
            await file.write(data, 0)
            await at_once(steps)

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
        """Have the content on the server's disk before it becomes visible, where the server can and the job asks."""
        if self._can_sync and self.durability is not Durability.NONE:
            try:
                await self._timed(file.fsync())
            except asyncssh.SFTPOpUnsupported:
                self._can_sync = False

    async def _prove(self, path: str, temporary: bytes, announced: Announced) -> None:
        if not self._settings.prove_with_sha256sum:
            return
        connection = await asyncio.get_running_loop().run_in_executor(CONNECTING, self._session.connection)
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
        if await self._timed(lstat(client, self._at(path))) is not None:
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "the name is taken")

    async def _publish(self, client: SFTPClient, temporary: bytes, path: str, when: Precondition, kind: Kind) -> Entry:
        """Give a finished temporary its name under the condition that was asked for, and say what stands there."""
        at = self._at(path)
        container, name = split(path)
        if when.entry is not None:
            now = await self._look(client, container, name)
            if now is None or now.kind is not when.entry.kind or fingerprint(now) != fingerprint(when.entry):
                raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "it changed since it was looked at")
        if when.absent and not self.limits.creates_only:
            await self._expect_absent(client, path)  # a rename there replaces what stands
        entry = None
        try:
            if when.absent:
                # A look that overtakes the rename sees nothing, and is made again.
                steps = (client.rename(temporary, at), self._look(client, container, name))
                entry = cast(Entry | None, (await self._timed(at_once(steps)))[1])
            elif self._replaces:
                await self._timed(client.posix_rename(temporary, at))
            else:
                await self._replace_in_steps(client, temporary, at)
        except (asyncssh.SFTPFailure, asyncssh.SFTPPermissionDenied, *TAKEN) as error:
            there = await self._timed(lstat(client, at))
            if there is not None and (when.absent or kind_of(there) is Kind.CONTAINER):
                what = "the name is taken" if when.absent else "a folder has that name"
                raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, what) from error
            raise
        entry = entry or await self._look(client, container, name)
        if entry is None:
            raise refusal(ErrorKind.NOT_FOUND, "write", path, "it vanished again")
        return entry

    async def _replace_in_steps(self, client: SFTPClient, temporary: bytes, at: bytes) -> None:
        """Replace where the server has no rename for it: the name is free for a moment."""
        attrs = await self._timed(lstat(client, at))
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


def _mode(facts: Facts) -> int:
    """Give the mode of an upload, which was made readable by its owner only."""
    return 0o644 if facts.mode is None else facts.mode
