"""Small files over SFTP: written in three waits and read in two, on a channel that is made for them."""

import stat as modes
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NoReturn, TypeVar, cast

import asyncssh

from tallyport.connectors import sftp_lane as wire
from tallyport.connectors.answers import Answer
from tallyport.connectors.bunches import content_of
from tallyport.connectors.journeys import Journey, Together, alone
from tallyport.connectors.protocol import Connector, Facts, Precondition, Read, SmallRead, SmallWrite, Written
from tallyport.connectors.remote_content import Announced
from tallyport.connectors.remote_errors import refusal
from tallyport.connectors.remote_names import check_new, check_path
from tallyport.connectors.sftp_entries import BROKEN, entry_of_stated, error_of, packed_attributes
from tallyport.connectors.sftp_folder import changed
from tallyport.connectors.sftp_lane import Lane, Request, Stated
from tallyport.connectors.sftp_reading import Reading
from tallyport.connectors.sftp_writing import Writing
from tallyport.domain.capabilities import Durability
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import join, split

MOST = 128 * 1024  # bytes of a small file

_NEW = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_EXCL
_REFUSED = (asyncssh.SFTPFailure, asyncssh.SFTPPermissionDenied)

_UNSAID = bytes(4)  # attributes of a new file: whatever the server gives
_OURS_ALONE = wire.setting(None, 0o600, None) or _UNSAID

_USUAL = 16_384  # bytes at once, where the server tells no limit

M = TypeVar("M")
R = TypeVar("R")
Asked = tuple[Lane, Sequence[Request]]
Steps = Journey[Asked, R]


class Small(Reading, Writing):
    """A folder with a short way for small files, where the server lets us have it."""

    # -- looking and reading

    def stat(self, path: str) -> Entry | None:
        check_path("look at", path)
        lane = self._lane(0) if path else None
        if lane is not None and self._is_trusted(split(path)[0]):
            looking = Request(wire.LSTAT, wire.text(self._at(path)))
            (looked,) = self._alone(self._asking(lane, "look at", path, (looking,)))
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
        got = None if lane is None else self._alone(self._getting(lane, path, self._most_read()))
        return self._reading(path, offset, length) if got is None else _held(got[1])

    def read_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        return self._together(None if one is None else (one, self._getting_listed(one)) for one in reads)

    def _getting_listed(self, one: SmallRead) -> Steps[bytes]:
        """Read a file whole that is as it was listed."""
        path, entry = one.path, one.entry
        check_path("read", path)
        lane = self._session.lane()
        got = None if lane is None or not path else (yield from self._getting(lane, path, MOST))
        if got is None:
            return content_of(cast(Connector, self), one)  # the others wait meanwhile
        name = split(path)[1]
        if any(fingerprint(entry_of_stated(name, stated)) != fingerprint(entry) for stated in got[0]):
            raise changed(path)
        return got[1]

    def _getting(self, lane: Lane, path: str, most: int) -> Steps[tuple[tuple[Stated, Stated], bytes] | None]:
        """Read a small file whole, and how it stood before and after.

        None when it is none, or the server gave less than was asked for, as it may.
        """
        at = self._way_to(path)
        looking, opening = Request(wire.LSTAT, wire.text(at)), wire.opening(at, asyncssh.FXF_READ, bytes(4))
        looked, opened = yield from self._asking(lane, "read", path, (looking, opening))
        handle, before = wire.content_of(opened), wire.stated(looked)
        if not handle:
            return None  # the long way says why
        is_small = before is not None and modes.S_ISREG(before.mode) and before.size <= most
        size = before.size if before is not None and is_small else 0
        piece = self._most_read()
        steps = [wire.reading(handle, offset, min(piece, size - offset)) for offset in range(0, size, piece)]
        steps += [Request(wire.FSTAT, wire.text(handle)), Request(wire.CLOSE, wire.text(handle))]
        *read, looked, _ = yield from self._asking(lane, "read", path, steps)
        self._check((*read, looked) if is_small else (), "read", path)
        after = wire.stated(looked)
        if before is None or after is None or not is_small:
            return None
        if (before.size, before.modified) != (after.size, after.modified):
            raise changed(path)
        if any(len(wire.content_of(one)) != min(piece, size - place * piece) for place, one in enumerate(read)):
            return None
        return (before, after), b"".join(map(wire.content_of, read))

    # -- writing

    def write_many(self, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
        return self._together(None if one is None else (one, self._putting_one(one)) for one in writes)

    def _putting_one(self, one: SmallWrite) -> Steps[Entry]:
        """Write a file whose whole content is in memory."""
        check_new("write", one.path, self.limits)
        lane = self._session.lane()
        if lane is None:
            one.guard()
            return cast(Connector, self).write(
                one.path, (one.content,), one.facts, when=one.when
            )  # the others wait meanwhile
        data = b"".join(Announced((one.content,), one.facts, one.path))
        return (yield from self._putting(lane, one.path, data, one.facts, one.when, one.guard))

    def _putting(
        self, lane: Lane, path: str, data: bytes, facts: Facts, when: Precondition, guard: Callable[[], None]
    ) -> Steps[Entry]:
        """Write a small file; what cannot be told apart in one answer is looked at the long way."""
        container, _ = split(path)
        self._way_to(path)
        temporary = self._at(join(container, self._temporaries.name(self.token)))
        opening = wire.opening(temporary, _NEW, _UNSAID if facts.mode is None else _OURS_ALONE)
        (opened,) = yield from self._asking(lane, "write", path, (opening,))
        if isinstance(wire.refusal_of(opened), asyncssh.SFTPFailure):
            self._trusted.pop(container, None)
            self._do("write", path, self._trust(container))  # says so when the container is the reason
        self._check((opened,), "write", path)
        try:
            yield from self._filling(lane, path, wire.content_of(opened), data, facts, when)
            guard()
            if when.absent and when.entry is None and self.limits.creates_only:
                return (yield from self._naming(lane, path, temporary))
            return self._do("write", path, self._published(temporary, path, when))
        except BaseException:
            self._do("write", path, self._remove_quietly(temporary))
            raise

    def _filling(
        self, lane: Lane, path: str, handle: bytes, data: bytes, facts: Facts, when: Precondition
    ) -> Steps[None]:
        """Write, stamp and close in one go; nothing gets its name before all of that is known to have worked.

        A name that must be free is looked at along with it: a server may rename over what stands, and not say so.
        """
        stamp = packed_attributes(facts)
        piece = self._most_written()
        steps = [wire.writing(handle, at, data[at : at + piece]) for at in range(0, len(data), piece)]
        if stamp is not None:
            steps.append(Request(wire.FSETSTAT, wire.text(handle) + stamp))
        is_synced = self._can_sync and self.durability is not Durability.NONE
        if is_synced:
            steps.append(wire.syncing(handle))
        looking = [Request(wire.LSTAT, wire.text(self._at(path)))] if when.absent else []
        closing = Request(wire.CLOSE, wire.text(handle))
        every = yield from self._asking(lane, "write", path, (*looking, *steps, closing))
        looked, answers = every[: len(looking)], list(every[len(looking) :])
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

    def _naming(self, lane: Lane, path: str, temporary: bytes) -> Steps[Entry]:
        """Give a finished file a name that must be free, and say what stands there."""
        at = self._at(path)
        renaming = Request(wire.RENAME, wire.text(temporary) + wire.text(at))
        looking = Request(wire.LSTAT, wire.text(at))
        named, looked = yield from self._asking(lane, "write", path, (renaming, looking))
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
        """Give the channel for a file of a size that goes alone, where there is one."""
        if self._settings.prove_with_sha256sum or size > min(MOST, self._most_read(), self._most_written()):
            return None
        return self._session.lane()

    def _most_read(self) -> int:
        """Give the bytes that the server gives at once."""
        return self._session.client().limits.max_read_len or _USUAL

    def _most_written(self) -> int:
        return self._session.client().limits.max_write_len or _USUAL

    def _way_to(self, path: str) -> bytes:
        container, _ = split(path)
        if not self._is_trusted(container):
            self._do("open the folder", path, self._trust(container))
        return self._at(path)

    def _asking(self, lane: Lane, operation: str, path: str, requests: Sequence[Request]) -> Steps[Sequence[Answer]]:
        """Ask for several things at once."""
        try:
            return (yield lane, requests)
        except (asyncssh.Error, OSError) as error:
            if isinstance(error, BROKEN):
                self._drop()
            raise error_of(error, operation, path) from error

    def _alone(self, steps: Steps[R]) -> R:
        return alone(steps, lambda asked: asked[0].ask(asked[1], self._settings.timeout))

    def _together(
        self, journeys: Iterable[tuple[M, Steps[R]] | None]
    ) -> Generator[tuple[M, R | TallyportError] | None, None, None]:
        made: Together[Asked, M, R] = Together(
            lambda asked, inbox: asked[0].begin(asked[1], inbox),
            lambda asked, call: asked[0].late(call),
            self._settings.timeout,
        )
        return made.make(journeys)

    def _check(self, answers: Sequence[Answer], operation: str, path: str) -> None:
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
