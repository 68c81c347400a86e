"""One folder of an SSH server: calls, the way to it, and looking at what stands there.

No open refuses symlinks: every container on the way is looked at before it is used, at most ``TRUSTED`` seconds ago.
"""

import asyncio
import time
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any, TypeVar

import asyncssh
from asyncssh import SFTPAttrs, SFTPClient, SFTPClientFile

from tallyport.connectors import event_loop
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.sftp_entries import BROKEN, entry_of, error_of, kind_of
from tallyport.connectors.sftp_session import CONNECTING, Session, Settings
from tallyport.connectors.temporaries import Temporaries, is_temporary
from tallyport.domain.capabilities import Durability, Limits, VerifyLevel
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, display, from_bytes, join, segments, split, to_bytes

T = TypeVar("T")

TRUSTED = 5.0  # seconds that a container stays known to be no symlink
REQUESTS = 16  # of one file in flight: the library's default holds up to 512 MB


class Folder:
    """A folder below which everything is reached by names as bytes."""

    def __init__(self, settings: Settings, path: str = ROOT, *, make: bool = False, token: str = "sftp") -> None:
        self.token = token
        self.durability = Durability.GROUP
        self._closing: set[asyncio.Task[None]] = set()  # files that are closed without anybody waiting
        self._settings = settings
        self._session = Session(settings)
        self._temporaries = Temporaries()
        self._trusted: dict[str, float] = {}  # container → until when
        self._can_sync = True
        try:
            self._session.client()
            self._root, base = event_loop.run(self._find_root(path, make=make))
            self.limits = self._measure()
        except BaseException:
            self._session.close()
            raise
        shown = display(from_bytes(base)).lstrip("/")
        self.location = f"sftp://{settings.username}@{self._session.where}/{shown}"
        if not self._session.client().supports_remote_copy:
            self.__class__ = _without_copy(type(self))

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
            return await asyncio.get_running_loop().run_in_executor(CONNECTING, self._session.client)
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
            if make and await lstat(client, here) is None:
                try:
                    await client.mkdir(here)
                except asyncssh.SFTPError:
                    if await lstat(client, here) is None:
                        raise
        found = await lstat(client, here or b"/")
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
        attrs = await self._timed(lstat(client, at))
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

    def _is_trusted(self, container: str) -> bool:
        return container == ROOT or self._trusted.get(container, 0.0) > time.monotonic()

    async def _trust(self, container: str) -> None:
        """See that a container is one and that no symlink is on the way to it, or raise NOT_FOUND."""
        if self._is_trusted(container):
            return
        now = time.monotonic()
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
            attrs = await self._timed(lstat(client, self._at(here)))
            if attrs is None:
                raise refusal(ErrorKind.NOT_FOUND, "open the folder", here, "it is not there")
            if kind_of(attrs) is not Kind.CONTAINER:
                raise refusal(ErrorKind.NOT_FOUND, "open the folder", here, "it is not a folder")


async def at_once(steps: Sequence[Awaitable[object]]) -> list[object]:
    """Send several requests at once and wait for all; the first that failed is what is told."""
    outcomes = await asyncio.gather(*steps, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes


async def close_quietly(file: SFTPClientFile) -> None:
    try:
        await file.close()
    except (asyncssh.Error, OSError, ValueError):  # the connection is gone, and the handle with it
        pass


async def lstat(client: SFTPClient, at: bytes) -> SFTPAttrs | None:
    try:
        return await client.lstat(at)
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPNotADirectory):
        return None


def _without_copy(cls: type[Any]) -> type[Any]:
    """Give the class whose instances cannot copy: None in a class means "not here" to isinstance."""
    return type(cls.__name__, (cls,), {"copy": None})


def changed(path: str) -> TallyportError:
    return refusal(ErrorKind.CHANGED_DURING_COPY, "read", path, "it changed while it was read")
