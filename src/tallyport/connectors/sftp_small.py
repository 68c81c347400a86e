"""Small files over SFTP: written in three waits and read in two, on a channel that is made for them."""

import stat as modes
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NoReturn

import asyncssh
from asyncssh import SFTPAttrs

from tallyport.connectors import sftp_lane as wire
from tallyport.connectors.protocol import Facts, Precondition
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_path
from tallyport.connectors.sftp_entries import BROKEN, attributes, entry_of_stated, error_of
from tallyport.connectors.sftp_folder import changed
from tallyport.connectors.sftp_lane import Lane, Request
from tallyport.connectors.sftp_reading import Reading
from tallyport.connectors.sftp_writing import Writing
from tallyport.domain.capabilities import Durability
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import join, split

MOST = 128 * 1024  # bytes of a small file

_NEW = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_EXCL
_REFUSED = (asyncssh.SFTPFailure, asyncssh.SFTPPermissionDenied)

Answers = list[tuple[int, bytes]]


class Small(Reading, Writing):
    """A folder with a short way for small files, where the server lets us have it."""

    # -- looking and reading

    def stat(self, path: str) -> Entry | None:
        check_path("look at", path)
        lane = self._lane(0) if path else None
        if lane is not None and self._is_trusted(split(path)[0]):
            looking = Request(wire.LSTAT, wire.text(self._at(path)))
            (looked,) = self._ask(lane, "look at", path, (looking,))
            if isinstance(wire.refusal_of(looked), asyncssh.SFTPNoSuchFile):
                return None
            there = wire.stated(looked)
            entry = None if there is None else entry_of_stated(split(path)[1], there)
            if entry is not None and entry.kind is not Kind.SYMLINK:
                return entry
        return self._do("look at", path, self._stat(path))

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[Iterator[bytes]]:
        check_path("read", path)
        lane = self._lane(0) if path and not offset and length is None else None
        content = None if lane is None else self._got(lane, path)
        return self._reading(path, offset, length) if content is None else _held(content)

    def _got(self, lane: Lane, path: str) -> bytes | None:
        """Read a small file whole; None when it is none, or the server gave less than was asked for, as it may."""
        at = self._way_to(path)
        looking, opening = Request(wire.LSTAT, wire.text(at)), wire.opening(at, asyncssh.FXF_READ, bytes(4))
        looked, opened = self._ask(lane, "read", path, (looking, opening))
        handle, before = wire.content_of(opened), wire.stated(looked)
        if not handle:
            return None  # the long way says why
        is_small = before is not None and modes.S_ISREG(before.mode) and self._lane(before.size) is not None
        size = before.size if before is not None and is_small else 0
        steps = [wire.reading(handle, 0, size)] if size else []
        steps += [Request(wire.FSTAT, wire.text(handle)), Request(wire.CLOSE, wire.text(handle))]
        *read, looked, _ = self._ask(lane, "read", path, steps)
        self._check((*read, looked) if is_small else (), "read", path)
        after = wire.stated(looked)
        if before is None or after is None or not is_small:
            return None
        if (before.size, before.modified) != (after.size, after.modified):
            raise changed(path)
        content = wire.content_of(read[0]) if read else b""
        return content if len(content) == size else None

    # -- writing

    def _put(self, lane: Lane, path: str, data: bytes, facts: Facts, when: Precondition) -> Entry:
        """Write a small file; what cannot be told apart in one answer is looked at the long way."""
        container, _ = split(path)
        self._way_to(path)
        temporary = self._at(join(container, self._temporaries.name(self.token)))
        attrs = SFTPAttrs() if facts.mode is None else SFTPAttrs(permissions=0o600)
        (opened,) = self._ask(lane, "write", path, (wire.opening(temporary, _NEW, attrs.encode(wire.VERSION)),))
        if isinstance(wire.refusal_of(opened), asyncssh.SFTPFailure):
            self._trusted.pop(container, None)
            self._do("write", path, self._trust(container))  # says so when the container is the reason
        self._check((opened,), "write", path)
        try:
            self._fill_small(lane, path, wire.content_of(opened), data, facts, when)
            if when.absent and when.entry is None and self.limits.creates_only:
                return self._name_small(lane, path, temporary)
            return self._do("write", path, self._published(temporary, path, when))
        except BaseException:
            self._do("write", path, self._remove_quietly(temporary))
            raise

    def _fill_small(self, lane: Lane, path: str, handle: bytes, data: bytes, facts: Facts, when: Precondition) -> None:
        """Write, stamp and close in one go; nothing gets its name before all of that is known to have worked.

        A name that must be free is looked at along with it: a server may rename over what stands, and not say so.
        """
        stamp = attributes(facts, wire.VERSION)
        steps = [wire.writing(handle, 0, data)] if data else []
        if stamp is not None:
            steps.append(Request(wire.FSETSTAT, wire.text(handle) + stamp.encode(wire.VERSION)))
        is_synced = self._can_sync and self.durability is not Durability.NONE
        if is_synced:
            steps.append(wire.syncing(handle))
        looking = [Request(wire.LSTAT, wire.text(self._at(path)))] if when.absent else []
        closing = Request(wire.CLOSE, wire.text(handle))
        answers = self._ask(lane, "write", path, (*looking, *steps, closing))
        looked, answers = answers[: len(looking)], answers[len(looking) :]
        if is_synced and isinstance(wire.refusal_of(answers[-2]), asyncssh.SFTPOpUnsupported):
            self._can_sync = False
            del answers[-2]
        try:
            self._check(answers, "write", path)
        except TallyportError as error:
            if isinstance(error.__cause__, asyncssh.SFTPFailure):
                raise self._do("write", path, self._why(error.__cause__, path)) from error.__cause__
            raise
        if any(wire.stated(one) is not None for one in looked):
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "the name is taken")

    def _name_small(self, lane: Lane, path: str, temporary: bytes) -> Entry:
        """Give a finished file a name that must be free, and say what stands there."""
        at = self._at(path)
        renaming = Request(wire.RENAME, wire.text(temporary) + wire.text(at))
        named, looked = self._ask(lane, "write", path, (renaming, Request(wire.LSTAT, wire.text(at))))
        there = wire.stated(looked)
        if there is not None and isinstance(wire.refusal_of(named), _REFUSED):
            raise refusal(ErrorKind.ALREADY_EXISTS, "write", path, "the name is taken")
        self._check((named,), "write", path)
        name = split(path)[1]
        entry = None if there is None else entry_of_stated(name, there)
        if entry is None or entry.kind is not Kind.FILE:  # the look overtook the rename, or somebody was quick
            entry = self._do("write", path, self._stat(path))
        if entry is None:
            raise refusal(ErrorKind.NOT_FOUND, "write", path, "it vanished again")
        return entry

    async def _published(self, temporary: bytes, path: str, when: Precondition) -> Entry:
        return await self._publish(await self._client(), temporary, path, when, Kind.FILE)

    # -- both

    def _lane(self, size: int) -> Lane | None:
        """Give the channel for a file of a size, where there is one."""
        if size > MOST or self._settings.prove_with_sha256sum:
            return None
        limits = self._session.client().limits
        if size > min(limits.max_read_len or 16_384, limits.max_write_len or 16_384):
            return None
        return self._session.lane()

    def _way_to(self, path: str) -> bytes:
        container, _ = split(path)
        if not self._is_trusted(container):
            self._do("open the folder", path, self._trust(container))
        return self._at(path)

    def _ask(self, lane: Lane, operation: str, path: str, requests: Sequence[Request]) -> Answers:
        try:
            return lane.ask(requests, self._settings.timeout)
        except (asyncssh.Error, OSError) as error:
            if isinstance(error, BROKEN):
                self._drop()
            raise error_of(error, operation, path) from error

    def _check(self, answers: Sequence[tuple[int, bytes]], operation: str, path: str) -> None:
        """Raise what the first refused request was refused for."""
        for answer in answers:
            error = wire.refusal_of(answer)
            if error is not None:
                _refuse(error, operation, path)


@contextmanager
def _held(content: bytes) -> Iterator[Iterator[bytes]]:
    yield iter((content,) if content else ())


def _refuse(error: asyncssh.SFTPError, operation: str, path: str) -> NoReturn:
    raise error_of(error, operation, path) from error
