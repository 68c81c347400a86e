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

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar, cast

import asyncssh
from asyncssh import SFTPAttrs, SFTPClientFile

from tallyport.connectors.hashing import ContentHash
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition
from tallyport.connectors.remote_content import CHUNK, Announced, blocks, hashed
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_new, check_path
from tallyport.connectors.sftp_entries import TAKEN, attributes, entry_of, kind_of
from tallyport.connectors.sftp_folder import changed, close_quietly, lstat
from tallyport.connectors.sftp_session import Settings
from tallyport.connectors.sftp_small import Small
from tallyport.connectors.temporaries import is_of
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind
from tallyport.domain.paths import ROOT, display, from_bytes, join, split, to_bytes

__all__ = ["Settings", "Sftp", "open_sftp"]

T = TypeVar("T")

TRUSTED = 5.0  # seconds that a container stays known to be no symlink

_WRITE = asyncssh.FXF_WRITE


def open_sftp(settings: Settings, path: str = ROOT, *, make: bool = False) -> "Sftp":
    """Open a folder of an SSH server, as the registry asks for it."""
    connector = Sftp(settings, path, make=make)
    if connector._lane(0) is None:  # the library's calls are waited for one by one: many threads are faster
        connector.__class__ = cast("type[Sftp]", _ALONE)
    return connector


def _free() -> None:
    """Let everything be written."""


class Sftp(Small):
    """One folder of one server. ``token`` marks what is unfinished, so that :meth:`sweep` finds it."""

    tells = frozenset({"created_on"})  # see control/honoured.py

    # -- what every platform can do

    def children(self, path: str) -> Iterator[Entry]:
        check_path("list", path)
        client = self._session.client()
        names = self._do("list", path, self._open_listing(client, path))
        return self._listing(client, path, names)

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        check_new("write", path, self.limits)
        announced = Announced(content, facts, path, algorithm="sha256" if self._settings.prove_with_sha256sum else "")
        pieces = blocks(announced)
        first = next(pieces, b"")
        if len(first) == CHUNK:
            return self._write_big(path, first, pieces, announced, facts, when)
        lane = self._lane(len(first))
        if lane is not None:
            return self._alone(self._putting(lane, path, first, facts, when, _free))
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
                self._pour(path, file, hashed(blocks(announced), running), offset)
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
        if await self._timed(lstat(client, self._at(to))) is not None:
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
                    raise changed(path)
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
            await close_quietly(source)


_ALONE = type("Sftp", (Sftp,), {"read_many": None, "write_many": None})  # None in a class: "not here" to isinstance
