"""Two local folders to carry between, a canary outside, and what tests of that ask."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tallyport.connectors import hashing, local_content
from tallyport.connectors.local_files import (
    TEMPORARY,
    Landed,
    Landing,
    copy_range,
    entry_at,
    finish,
)
from tallyport.connectors.protocol import Facts
from tallyport.domain.capabilities import Durability
from tallyport.domain.entries import Entry, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError

KIB = 1024
MIB = 1024 * 1024
MOMENT = 1_234_567_890_123_456_789
NONE, GROUP, EACH = Durability.NONE, Durability.GROUP, Durability.EACH
IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="needs root")


class Two:
    """A source and a destination folder, and a canary outside both."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.source, self.destination = f"{place}/source", f"{place}/destination"
        os.mkdir(self.source)
        os.mkdir(self.destination)
        self.s_fd = os.open(self.source, os.O_RDONLY)
        self.d_fd = os.open(self.destination, os.O_RDONLY)

    def file(self, name: str, data: bytes = b"content", *, mode: int = 0o644, modified: int = MOMENT) -> Entry:
        """Make a source file and give its entry. Long changed, so that no copy has to look twice."""
        path = f"{self.source}/{name}"
        with open(path, "wb") as stream:
            stream.write(data)
        os.chmod(path, mode)
        os.utime(path, ns=(MOMENT, modified))
        return self.seen(name)

    def seen(self, name: str) -> Entry:
        entry = entry_at(self.s_fd, name)
        assert entry is not None
        return entry

    def standing(self, name: str) -> Entry:
        entry = entry_at(self.d_fd, name)
        assert entry is not None
        return entry

    def put(self, name: str, data: bytes) -> Entry:
        """Put something at the destination, as somebody else would."""
        with open(f"{self.destination}/{name}", "wb") as stream:
            stream.write(data)
        return self.standing(name)

    def content(self, name: str) -> bytes:
        with open(f"{self.destination}/{name}", "rb") as stream:
            return stream.read()

    def everything(self) -> list[str]:
        """List the destination, temporaries included."""
        return sorted(os.listdir(self.destination))

    def close(self) -> None:
        os.close(self.s_fd)
        os.close(self.d_fd)


@pytest.fixture
def two(tmp_path: object) -> Iterator[Two]:
    two = Two(str(tmp_path))
    before = len(os.listdir("/proc/self/fd"))
    yield two
    assert len(os.listdir("/proc/self/fd")) == before, "a descriptor was left open"
    two.close()


@pytest.fixture(params=[NONE, GROUP, EACH])
def level(request: pytest.FixtureRequest) -> Durability:
    return request.param


@pytest.fixture(autouse=True)
def no_racy_files(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Files of these tests were made a moment ago; only tests marked so wait for that moment to pass."""
    if "racy" not in request.node.name:
        monkeypatch.setattr(local_content, "RACY", 0)


def facts_of(entry: Entry) -> Facts:
    return Facts(size=entry.size, modified=entry.modified, mode=entry.mode)


def copy(
    two: Two,
    entry: Entry,
    level: Durability,
    name: str | None = None,
    *,
    facts: Facts | None = None,
    replaces: Entry | None = None,
    new: bool = False,
) -> Landed | TallyportError:
    """Copy one file and give its outcome."""
    with Landing(level, "token") as landing:
        landing.copy(
            two.s_fd,
            entry,
            two.d_fd,
            entry.name if name is None else name,
            facts=facts_of(entry) if facts is None else facts,
            replaces=replaces,
            new=new,
            ticket="ticket",
        )
        ((ticket, outcome),) = landing.settle()
        assert ticket == "ticket"
        assert landing.settle() == []
        return outcome


def landed(outcome: Landed | TallyportError) -> Landed:
    assert isinstance(outcome, Landed), outcome
    return outcome


def refused(outcome: Landed | TallyportError, kind: ErrorKind) -> TallyportError:
    assert isinstance(outcome, TallyportError), outcome
    assert outcome.kind is kind, outcome.message
    return outcome


@contextmanager
def refuses(kind: ErrorKind) -> Iterator[None]:
    with pytest.raises(TallyportError) as caught:
        yield
    assert caught.value.kind is kind, caught.value.message


def failing(number: int) -> object:
    def fail(*_: object, **__: object) -> object:
        raise OSError(number, os.strerror(number))

    return fail


def frozen(fstat: object) -> object:
    """Make an fstat that gives for each descriptor what it gave first: a clock that does not tick."""
    seen: dict[int, os.stat_result] = {}

    def give(fd: int) -> os.stat_result:
        return seen.setdefault(fd, fstat(fd))  # type: ignore[operator]

    return give


@contextmanager
def in_time(seconds: int = 5) -> Iterator[None]:
    """Fail what blocks instead of waiting for it."""

    def late(*_: object) -> None:
        raise AssertionError("it blocked")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def parts(
    two: Two,
    entry: Entry,
    level: Durability,
    *,
    part: int = MIB,
    replaces: Entry | None = None,
    to: str | None = None,
) -> Entry:
    """Copy a file in parts, last part first."""
    temporary = f"{TEMPORARY}token-parts"
    digests = {}
    for offset in reversed(range(0, entry.size, part)):
        digests[offset] = copy_range(
            two.s_fd,
            entry.name,
            two.d_fd,
            temporary,
            offset=offset,
            length=min(part, entry.size - offset),
            expect=fingerprint(entry),
            durability=level,
        )
    with open(f"{two.source}/{entry.name}", "rb") as stream:
        data = stream.read()
    assert digests == {at: hashing.digest(data[at : at + part]) for at in digests}
    return finish(two.d_fd, temporary, to or entry.name, facts=facts_of(entry), replaces=replaces, durability=level)
