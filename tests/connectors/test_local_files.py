"""The hot path between local folders: what lands, what is refused, in which order, and never outside the root."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallyport.connectors import hashing, local_calls, local_content, local_files, local_folders, local_parts
from tallyport.connectors.local_content import extents
from tallyport.connectors.local_errors import ADVICE, ERRNO_KINDS, error_of, translate
from tallyport.connectors.local_files import (
    TEMPORARY,
    Landed,
    Landing,
    copy_range,
    entries,
    entry_at,
    finish,
    hard_link,
    hash_file,
    make_folder,
    open_below,
    remove,
    rename_new,
    stamp,
    stamp_fd,
    sweep,
)
from tallyport.connectors.protocol import Facts
from tallyport.domain.capabilities import Durability
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import REMEDIES, ErrorKind, Scope, TallyportError
from tallyport.testing import faults

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


# -- listing


def test_entries_have_every_fact(two: Two) -> None:
    two.file("file", b"x" * 10, mode=0o640)
    os.mkdir(f"{two.source}/folder")
    os.symlink("../far away", f"{two.source}/link")
    os.mkfifo(f"{two.source}/pipe")
    os.link(f"{two.source}/file", f"{two.source}/.other")
    found = {entry.name: entry for entry in entries(two.s_fd)}
    st = os.stat(f"{two.source}/file")
    assert found["file"] == Entry(
        name="file",
        kind=Kind.FILE,
        size=10,
        modified=MOMENT,
        tag=st.st_ino.to_bytes(8, "little") + st.st_ctime_ns.to_bytes(8, "little"),
        mode=0o640,
        owner=os.geteuid(),
        group=st.st_gid,
        links=2,
        link_id=(st.st_dev, st.st_ino),
        accessed=MOMENT,
    )
    assert found[".other"] == found["file"]._replace(name=".other", hidden=True)
    assert (found["folder"].kind, found["folder"].size, found["folder"].links) == (Kind.CONTAINER, 0, 1)
    assert (found["link"].kind, found["link"].target) == (Kind.SYMLINK, "../far away")
    assert found["pipe"].kind is Kind.SPECIAL
    for name, entry in found.items():
        assert two.seen(name)._replace(accessed=None) == entry._replace(accessed=None)


def test_entries_hide_what_is_unfinished(two: Two) -> None:
    two.file(f"{TEMPORARY}token-1")
    two.file(".tallyport")
    assert [entry.name for entry in entries(two.s_fd)] == [".tallyport"]


def test_an_entry_that_vanishes_while_listing_is_left_out(two: Two) -> None:
    for number in range(50):
        two.file(str(number))
    listing = entries(two.s_fd)
    first = next(listing).name
    for name in os.listdir(two.source):
        if name != first:
            os.unlink(f"{two.source}/{name}")
    assert list(listing) == []


def test_names_that_are_not_text_round_trip(two: Two) -> None:
    raw = [b"caf\xe9", b"\x80\xff", b"a\xe2\x82", b"n" * 255, "é".encode() * 127, b"new\nline", b"\xed\xa0\x80"]
    for name in raw:
        two.file(os.fsdecode(name), name)
    with Landing(NONE, "token") as landing:
        for entry in entries(two.s_fd):
            landing.copy(
                two.s_fd,
                entry,
                two.d_fd,
                entry.name,
                facts=facts_of(entry),
                replaces=None,
                new=True,
                ticket=None,
            )
        assert all(isinstance(outcome, Landed) for _, outcome in landing.settle())
    assert sorted(os.listdir(os.fsencode(two.destination))) == sorted(raw)
    for name in raw:
        assert two.content(os.fsdecode(name)) == name


def test_a_sparse_file_is_told_from_a_full_one(two: Two) -> None:
    two.file("full", b"x" * 100_000)
    two.file("hole", b"")
    os.truncate(f"{two.source}/hole", MIB)
    assert (two.seen("full").sparse, two.seen("hole").sparse) == (False, True)


def test_a_fingerprint_tells_a_rewrite_that_puts_size_and_time_back(two: Two) -> None:
    before = two.file("file", b"old")
    assert fingerprint(two.file("file", b"new")) != fingerprint(before)


# -- folders


def test_open_below_walks_through_folders_alone(two: Two) -> None:
    os.makedirs(f"{two.place}/root/a/b")
    os.symlink("a", f"{two.place}/root/alias")
    root_fd = os.open(f"{two.place}/root", os.O_RDONLY)
    for path in ("", "a", "a/b"):
        fd = open_below(root_fd, path)
        assert os.path.samestat(os.fstat(fd), os.stat(f"{two.place}/root/{path}"))
        os.close(fd)
    for path in ("alias", "alias/b", "none", "a/none/b"):
        with refuses(ErrorKind.NOT_FOUND):
            open_below(root_fd, path)
    for path in ("..", "a/../..", ".", "a//b", "/", "/a", "a/", "a\0"):
        with refuses(ErrorKind.INVALID_NAME):
            open_below(root_fd, path)
    os.close(root_fd)


def test_open_below_makes_what_is_missing_when_asked(two: Two) -> None:
    os.close(open_below(two.d_fd, "x/y/z", make=True))
    os.close(open_below(two.d_fd, "x/y/z", make=True))
    assert os.path.isdir(f"{two.destination}/x/y/z")
    os.symlink("x", f"{two.destination}/way")
    with refuses(ErrorKind.NOT_FOUND):
        open_below(two.d_fd, "way/new", make=True)


def test_a_listing_of_the_same_folder_by_two_threads_is_whole(two: Two) -> None:
    """Each opens it for itself: descriptors made by open_below share no position."""
    for number in range(300):
        two.file(str(number))
    one_fd, other_fd = open_below(two.s_fd, ""), open_below(two.s_fd, "")
    pairs = list(zip(entries(one_fd), entries(other_fd), strict=True))
    assert len(pairs) == 300
    os.close(one_fd)
    os.close(other_fd)


def test_a_folder_is_made_so_that_it_can_be_filled(two: Two) -> None:
    assert make_folder(two.d_fd, "a", 0o555).mode == 0o755
    assert make_folder(two.d_fd, "b").mode == 0o700
    assert make_folder(two.d_fd, "b", 0o777).mode == 0o700  # there already
    two.put("c", b"")
    with refuses(ErrorKind.ALREADY_EXISTS):
        make_folder(two.d_fd, "c")
    os.symlink("a", f"{two.destination}/d")
    with refuses(ErrorKind.ALREADY_EXISTS):
        make_folder(two.d_fd, "d")


# -- copying


@pytest.mark.parametrize("size", [0, 1, 4096, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, MIB, MIB + 1, 3 * MIB + 17])
def test_content_time_mode_and_hash_arrive(two: Two, level: Durability, size: int) -> None:
    data = os.urandom(size)
    entry = two.file("a", data, mode=0o640)
    result = landed(copy(two, entry, level, "b", new=True))
    assert two.content("b") == data
    assert result.hash == hashing.digest(data)
    assert result.moved == size
    assert result.entry == two.standing("b")._replace(accessed=result.entry.accessed)
    assert (result.entry.modified, result.entry.mode) == (MOMENT, 0o640)
    assert two.everything() == ["b"]


def test_a_file_of_several_hash_parts_has_the_hash_of_its_parts(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashing, "PART", MIB)
    data = os.urandom(2 * MIB + 5)
    whole = hashing.of_parts([hashing.digest(data[at : at + MIB]) for at in (0, MIB, 2 * MIB)])
    assert landed(copy(two, two.file("a", data), NONE)).hash == whole
    assert hash_file(two.d_fd, "a") == whole


def test_facts_that_are_not_asked_for_stay_as_the_system_sets_them(two: Two, level: Durability) -> None:
    before = os.umask(0o027)
    try:
        entry = landed(copy(two, two.file("a", mode=0o600), level, facts=Facts())).entry
    finally:
        os.umask(before)
    assert entry.mode == 0o640
    assert abs(entry.modified - time.time_ns()) < 60 * 10**9


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_a_mode_arrives_whatever_the_umask(two: Two, level: Durability, umask: int) -> None:
    before = os.umask(umask)
    try:
        with Landing(level, "token") as landing:
            for mode in (0o666, 0o777, 0o400, 0o000, 0o644):
                entry = two.file(f"{mode:o}", mode=mode)
                landing.copy(
                    two.s_fd,
                    entry,
                    two.d_fd,
                    entry.name,
                    facts=facts_of(entry),
                    replaces=None,
                    new=True,
                    ticket=mode,
                )
            for ticket, outcome in landing.settle():
                assert landed(outcome).entry.mode == ticket
    finally:
        os.umask(before)
    for mode in (0o666, 0o777, 0o400, 0o000, 0o644):
        assert two.standing(f"{mode:o}").mode == mode


def test_setuid_setgid_and_sticky_do_not_travel(two: Two, level: Durability) -> None:
    assert landed(copy(two, two.file("a", mode=0o7755), level)).entry.mode == 0o755


@needs_root
def test_owners_arrive_when_asked(two: Two, level: Durability) -> None:
    facts = Facts(modified=MOMENT, mode=0o4751, owner=1234, group=2345)
    entry = landed(copy(two, two.file("a"), level, facts=facts)).entry
    assert (entry.owner, entry.group, entry.mode, entry.modified) == (1234, 2345, 0o751, MOMENT)
    entry = landed(copy(two, two.file("b"), level, facts=Facts(owner=1234))).entry
    assert entry.owner == 1234
    assert landed(copy(two, two.file("c"), level, facts=Facts(owner="root"))).entry.owner == 0
    refused(copy(two, two.file("d"), level, facts=Facts(owner="no such account")), ErrorKind.UNSUPPORTED)
    assert two.everything() == ["a", "b", "c"]


def test_what_is_replaced_must_still_be_what_was_seen(two: Two, level: Durability) -> None:
    entry = two.file("a", b"new content")
    seen = two.put("a", b"old")
    assert two.content("a") == b"old"
    landed(copy(two, entry, level, replaces=seen))
    assert two.content("a") == b"new content"

    for change in (lambda: two.put("a", b"theirs"), lambda: os.unlink(f"{two.destination}/a")):
        seen = two.standing("a")
        change()
        now = two.everything()
        refused(copy(two, entry, level, replaces=seen), ErrorKind.ALREADY_EXISTS)
        assert two.everything() == now
        assert now == [] or two.content("a") == b"theirs"


def test_what_must_be_new_replaces_nothing(two: Two, level: Durability) -> None:
    two.put("a", b"theirs")
    os.mkdir(f"{two.destination}/b")
    os.symlink("nowhere", f"{two.destination}/c")
    entry = two.file("x", b"ours")
    for name in "abc":
        for new in (True, False):
            refused(copy(two, entry, level, name, new=new), ErrorKind.ALREADY_EXISTS)
    assert two.content("a") == b"theirs"
    assert two.everything() == ["a", "b", "c"]


def test_a_folder_is_never_replaced_by_a_file(two: Two, level: Durability) -> None:
    os.mkdir(f"{two.destination}/a")
    seen = two.standing("a")
    refused(copy(two, two.file("x"), level, "a", replaces=seen), ErrorKind.ALREADY_EXISTS)
    assert two.everything() == ["a"]


def test_a_name_that_appears_before_settling_is_not_replaced(two: Two) -> None:
    entry = two.file("a", b"ours")
    with Landing(GROUP, "token") as landing:
        landing.copy(two.s_fd, entry, two.d_fd, "a", facts=Facts(), replaces=None, new=True, ticket=1)
        assert two.content(two.everything()[0]) == b"ours"
        two.put("a", b"theirs")
        refused(landing.settle()[0][1], ErrorKind.ALREADY_EXISTS)
    assert two.content("a") == b"theirs"
    assert two.everything() == ["a"]


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/b", "/etc/x", "a\0b", "\ud800"])
def test_a_name_that_leads_away_is_refused(two: Two, level: Durability, name: str) -> None:
    refused(copy(two, two.file("a"), level, name), ErrorKind.INVALID_NAME)
    assert two.everything() == []
    assert sorted(os.listdir(two.place)) == ["destination", "source"]


def test_a_name_too_long_is_invalid(two: Two, level: Durability) -> None:
    refused(copy(two, two.file("a"), level, "n" * 256), ErrorKind.INVALID_NAME)
    assert two.everything() == []


def test_a_hard_link_to_a_victim_outside_is_replaced_and_not_written_into(two: Two, level: Durability) -> None:
    with open(f"{two.place}/victim", "w") as stream:
        stream.write("victim")
    os.link(f"{two.place}/victim", f"{two.destination}/a")
    landed(copy(two, two.file("a", b"new"), level, replaces=two.standing("a")))
    with open(f"{two.place}/victim") as stream:
        assert stream.read() == "victim"
    os.unlink(f"{two.place}/victim")


def test_nothing_is_visible_before_it_is_settled(two: Two) -> None:
    with Landing(GROUP, "token") as landing:
        for name in "ab":
            entry = two.file(name)
            landing.copy(two.s_fd, entry, two.d_fd, name, facts=Facts(), replaces=None, new=True, ticket=name)
        assert list(entries(two.d_fd)) == []
        assert all(re.fullmatch(r"\.tallyport-token-[0-9a-f]{8}-[0-9a-f]+", one) for one in two.everything())
        assert [ticket for ticket, _ in landing.settle()] == ["a", "b"]
        assert two.everything() == ["a", "b"]


def test_what_is_not_settled_is_removed(two: Two) -> None:
    with Landing(GROUP, "token") as landing:
        entry = two.file("a")
        landing.copy(two.s_fd, entry, two.d_fd, "a", facts=Facts(), replaces=None, new=True, ticket=1)
        landing.symlink(entry._replace(target="x"), two.d_fd, "b", facts=Facts(), replaces=None, new=True, ticket=2)
        assert len(two.everything()) == 2
    assert two.everything() == []


def test_a_landing_is_full_by_number_by_bytes_and_by_a_full_disk(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    def add(landing: Landing) -> bool:
        landing.copy(two.s_fd, entry, two.d_fd, "a", facts=Facts(), replaces=None, new=True, ticket=1)
        return landing.full

    entry = two.file("a", bytes(2 * MIB))
    with Landing(GROUP, "token") as landing:
        assert [add(landing) for _ in range(32)].index(True) == 31
        landing.discard()
    monkeypatch.setattr(local_files, "FULL_FILES", 3)
    with Landing(GROUP, "token") as landing:
        assert [add(landing) for _ in range(3)] == [False, False, True]
        landing.settle()
        assert not landing.full
    monkeypatch.setattr(local_files, "carry", failing(errno.ENOSPC))
    with Landing(NONE, "token") as landing:
        assert add(landing)
        refused(landing.settle()[0][1], ErrorKind.NO_SPACE)
        assert not landing.full


# -- a source that moves under us


@pytest.mark.parametrize("size", [10, 200 * KIB])
def test_a_source_changed_since_listing_is_not_copied(two: Two, level: Durability, size: int) -> None:
    entry = two.file("a", b"x" * size)
    two.file("a", b"y" * size)  # same size, same time
    refused(copy(two, entry, level), ErrorKind.CHANGED_DURING_COPY)
    two.file("a", b"y" * (size + 1))
    refused(copy(two, entry, level), ErrorKind.CHANGED_DURING_COPY)
    two.file("a", b"y" * (size - 1))
    refused(copy(two, entry, level), ErrorKind.CHANGED_DURING_COPY)
    os.unlink(f"{two.source}/a")
    refused(copy(two, entry, level), ErrorKind.NOT_FOUND)
    assert two.everything() == []


@pytest.mark.parametrize("size", [10, 3 * MIB])
@pytest.mark.parametrize("change", ["rewrite", "append", "cut", "replace"])
def test_a_source_that_changes_midway_leaves_the_old_content(
    two: Two, level: Durability, size: int, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = two.file("a", b"x" * size)
    seen = two.put("a", b"old")
    path = f"{two.source}/a"

    def strike() -> None:
        if change == "replace":
            two.file("b", b"y" * size)
            os.rename(f"{two.source}/b", path)
        elif change == "cut":
            os.truncate(path, size // 2)
        else:
            with open(path, "r+b") as stream:
                stream.seek(0, os.SEEK_END if change == "append" else os.SEEK_SET)
                stream.write(b"y")
        os.utime(path, ns=(MOMENT, MOMENT))

    read, preadv = os.pread, os.preadv
    strikes = [strike]

    def pread_then(fd: int, *arguments: object) -> bytes:
        data = read(fd, *arguments)  # type: ignore[arg-type]
        if strikes:
            strikes.pop()()
        return data

    def preadv_then(fd: int, *arguments: object) -> int:
        length = preadv(fd, *arguments)  # type: ignore[arg-type]
        if strikes:
            strikes.pop()()
        return length

    monkeypatch.setattr(os, "pread", pread_then)
    monkeypatch.setattr(os, "preadv", preadv_then)
    refused(copy(two, entry, level, replaces=seen), ErrorKind.CHANGED_DURING_COPY)
    assert strikes == []
    monkeypatch.undo()
    assert two.content("a") == b"old"
    assert two.everything() == ["a"]


@pytest.mark.parametrize("size", [10, 200 * KIB])
def test_a_racy_file_is_read_twice(two: Two, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changed within one tick of the kernel's clock: the ctime says nothing, the second reading does."""
    entry = two.file("a", b"x" * size)
    slept = []

    def meanwhile(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            with open(f"{two.source}/a", "r+b") as stream:
                stream.write(b"y")

    for module in (local_content, local_files):
        monkeypatch.setattr(module, "RACY", 60 * 10**9)
    monkeypatch.setattr(time, "sleep", meanwhile)
    landed(copy(two, entry, NONE, "b"))
    monkeypatch.setattr(os, "fstat", frozen(os.fstat))
    refused(copy(two, entry, NONE, "c"), ErrorKind.CHANGED_DURING_COPY)
    monkeypatch.undo()
    assert slept == [60, 60]
    assert two.everything() == ["b"]


@pytest.mark.parametrize("what", ["symlink", "fifo", "folder", "socket"])
@pytest.mark.parametrize("size", [10, 200 * KIB])
def test_something_else_in_the_place_of_a_source_file_is_not_read(
    two: Two, level: Durability, what: str, size: int
) -> None:
    entry = two.file("a", b"x" * size)
    path = f"{two.source}/a"
    with open(f"{two.place}/secret", "wb") as stream:
        stream.write(b"s" * size)
    os.unlink(path)
    if what == "symlink":
        os.symlink("../secret", path)
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        os.mkdir(path)
    else:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
    with in_time():
        outcome = copy(two, entry, level)
    refused(outcome, ErrorKind.CHANGED_DURING_COPY)
    assert two.everything() == []
    os.unlink(f"{two.place}/secret")


def test_a_fifo_swapped_in_keeps_what_is_in_it(two: Two) -> None:
    entry = two.file("a", b"x" * 10)
    os.unlink(f"{two.source}/a")
    os.mkfifo(f"{two.source}/a")
    reader_fd = os.open(f"{two.source}/a", os.O_RDONLY | os.O_NONBLOCK)
    writer_fd = os.open(f"{two.source}/a", os.O_WRONLY)
    os.write(writer_fd, b"in the pipe")
    with in_time():
        refused(copy(two, entry, NONE), ErrorKind.CHANGED_DURING_COPY)
    assert os.read(reader_fd, 100) == b"in the pipe"
    os.close(reader_fd)
    os.close(writer_fd)


def test_reading_leaves_no_trace_at_the_source(two: Two) -> None:
    entry = two.file("a", modified=MOMENT + 10**9)  # read before it was changed: relatime would note a reading
    landed(copy(two, entry, NONE))
    hash_file(two.s_fd, "a")
    assert two.seen("a") == entry


# -- errors of the system


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


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, ErrorKind.NO_SPACE),
        (errno.EDQUOT, ErrorKind.NO_SPACE),
        (errno.EROFS, ErrorKind.READ_ONLY),
        (errno.EIO, ErrorKind.IO_ERROR),
        (errno.EACCES, ErrorKind.PERMISSION_DENIED),
        (errno.EPERM, ErrorKind.PERMISSION_DENIED),
        (errno.ENOENT, ErrorKind.NOT_FOUND),
        (errno.ENAMETOOLONG, ErrorKind.INVALID_NAME),
        (errno.EINVAL, ErrorKind.INVALID_NAME),
        (errno.EILSEQ, ErrorKind.INVALID_NAME),
        (errno.EFBIG, ErrorKind.TOO_LARGE),
        (errno.ESTALE, ErrorKind.UNAVAILABLE),
        (errno.EMFILE, ErrorKind.UNAVAILABLE),
        (errno.EBADF, ErrorKind.UNEXPECTED),
    ],
)
def test_each_errno_has_its_kind(number: int, kind: ErrorKind) -> None:
    with pytest.raises(TallyportError) as caught, translate("write", "a/b\n"):
        raise OSError(number, os.strerror(number))
    error = caught.value
    assert (error.kind, error.path, error.operation) == (kind, "a/b\n", "write")
    assert error.message.startswith("cannot write 'a/b\\n': ")
    assert error.message.endswith(ADVICE[kind])
    assert isinstance(error.__cause__, OSError)


def test_every_kind_of_an_errno_has_advice() -> None:
    assert set(ERRNO_KINDS.values()) <= set(ADVICE)


def test_an_error_of_our_own_passes_as_it_is() -> None:
    error = TallyportError(ErrorKind.CORRUPT, "words")
    with pytest.raises(TallyportError) as caught, translate("write", "a"):
        raise error
    assert caught.value is error


@given(st.text(st.characters(codec=None), max_size=20))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_message_can_always_be_shown(path: str) -> None:
    message = error_of(OSError(errno.EIO, "x"), "read", path).message
    message.encode()
    assert message.isprintable() or path == ""


# (operation that fails, the function of os or of ours that fails so)
PLACES = [
    ("write", local_files, "create"),
    ("write", os, "write"),
    ("write", os, "utime"),
    ("write", os, "fchmod"),
    ("rename", os, "rename"),
    ("sync", os, "fsync"),
]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize(("step", "module", "function"), PLACES)
def test_a_failure_at_any_step_leaves_the_old_content(
    two: Two,
    level: Durability,
    step: str,
    module: object,
    function: str,
    number: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if step == "sync" and level is NONE:
        pytest.skip("nothing is synced")
    entry = two.file("a", b"new", mode=0o606)
    seen = two.put("a", b"old")
    before = os.umask(0o077)
    try:
        with Landing(level, "token") as landing:
            landing._umask = 0o077  # as learned from a file before
            monkeypatch.setattr(module, function, failing(number))
            landing.copy(two.s_fd, entry, two.d_fd, "a", facts=facts_of(entry), replaces=seen, new=False, ticket=1)
            ((_, outcome),) = landing.settle()
            monkeypatch.undo()
    finally:
        os.umask(before)
    error = refused(outcome, ERRNO_KINDS[number])
    assert error.__cause__ is None or isinstance(error.__cause__, OSError)
    assert two.content("a") == b"old"
    assert two.everything() == ["a"]


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE])
@pytest.mark.parametrize("function", ["open", "pread", "fstat"])
def test_a_failure_to_read_leaves_nothing(
    two: Two, level: Durability, function: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = two.file("a")
    with Landing(level, "token") as landing:
        monkeypatch.setattr(os, function, failing(number))
        landing.copy(two.s_fd, entry, two.d_fd, "a", facts=Facts(), replaces=None, new=True, ticket=1)
        monkeypatch.undo()
        ((_, outcome),) = landing.settle()
    error = refused(outcome, ERRNO_KINDS[number])
    assert (error.side, error.operation) == ("source", "read")
    assert two.everything() == []


def test_an_item_whose_sync_fails_is_not_done_and_the_others_are(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync
    bad: set[int] = set()

    def fail_one(fd: int) -> None:
        if os.fstat(fd).st_size == 3:
            bad.add(fd)
            raise OSError(errno.EIO, "Input/output error")
        fsync(fd)

    with Landing(EACH, "token") as landing:
        for name, data in (("a", b"good"), ("b", b"bad"), ("c", b"good")):
            entry = two.file(name, data)
            landing.copy(two.s_fd, entry, two.d_fd, name, facts=Facts(), replaces=None, new=True, ticket=name)
        monkeypatch.setattr(os, "fsync", fail_one)
        outcomes = dict(landing.settle())
        monkeypatch.undo()
    refused(outcomes["b"], ErrorKind.IO_ERROR)
    assert len(bad) == 1
    assert two.everything() == ["a", "c"]


def test_a_syncfs_that_fails_asks_each_file(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    fsync = os.fsync
    monkeypatch.setattr(local_calls, "syncfs", lambda fd: errno.EIO)

    def ask(fd: int) -> None:
        asked.append(fd)
        fsync(fd)

    monkeypatch.setattr(os, "fsync", ask)
    with Landing(GROUP, "token") as landing:
        for number in range(20):
            entry = two.file(str(number))
            landing.copy(two.s_fd, entry, two.d_fd, entry.name, facts=Facts(), replaces=None, new=True, ticket=number)
        assert all(isinstance(outcome, Landed) for _, outcome in landing.settle())
    assert len(asked) == 21


def test_a_folder_that_cannot_be_synced_fails_its_items(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def fail_on_folders(fd: int) -> None:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        fsync(fd)

    entry = two.file("a")
    with Landing(GROUP, "token") as landing:
        monkeypatch.setattr(os, "fsync", fail_on_folders)
        landing.copy(two.s_fd, entry, two.d_fd, "a", facts=Facts(), replaces=None, new=True, ticket=1)
        refused(landing.settle()[0][1], ErrorKind.IO_ERROR)
        landing.touch(two.d_fd)
        with refuses(ErrorKind.IO_ERROR):
            landing.settle()


@needs_root
def test_a_full_disk_is_told_at_every_position(two: Two, level: Durability) -> None:
    big, small = two.file("big", bytes(3 * MIB)), two.file("small", b"s" * 8192)
    place = f"{two.place}/disk"
    with small_disk(place, MIB):
        d_fd = os.open(place, os.O_RDONLY)
        with open(f"{place}/old", "wb") as stream:
            stream.write(b"old")
        seen = entry_at(d_fd, "old")
        with Landing(level, "token") as landing:
            landing.copy(two.s_fd, big, d_fd, "old", facts=Facts(), replaces=seen, new=False, ticket="big")
            assert landing.full
            refused(landing.settle()[0][1], ErrorKind.NO_SPACE)
            assert os.listdir(place) == ["old"]
            numbers = 0
            while not landing.full and numbers < 300:  # fill it with small ones
                numbers += 1
                name = f"f{numbers}"
                landing.copy(two.s_fd, small, d_fd, name, facts=Facts(), replaces=None, new=True, ticket=name)
            outcomes = dict(landing.settle())
        kinds = {outcome.kind for outcome in outcomes.values() if isinstance(outcome, TallyportError)}
        assert kinds == {ErrorKind.NO_SPACE}
        with open(f"{place}/old", "rb") as stream:
            assert stream.read() == b"old"
        done = {name for name, outcome in outcomes.items() if isinstance(outcome, Landed)}
        assert set(os.listdir(place)) == {"old", *done}
        os.close(d_fd)


@needs_root
def test_a_read_only_mount_is_told(two: Two, level: Durability) -> None:
    entry = two.file("a")
    place = f"{two.place}/disk"
    with small_disk(place, MIB):
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        d_fd = os.open(place, os.O_RDONLY)
        with Landing(level, "token") as landing:
            landing.copy(two.s_fd, entry, d_fd, "a", facts=Facts(), replaces=None, new=True, ticket=1)
            refused(landing.settle()[0][1], ErrorKind.READ_ONLY)
        with refuses(ErrorKind.READ_ONLY):
            make_folder(d_fd, "x")
        os.close(d_fd)


@contextmanager
def small_disk(place: str, size: int) -> Iterator[None]:
    try:
        with faults.small_disk(place, size):
            yield
    except PermissionError as error:
        pytest.skip(str(error))


@contextmanager
def no_descriptors_left(*, but: int) -> Iterator[None]:
    """Use up all descriptors that this process may have, but so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    taken: list[int] = []
    try:
        while True:
            try:
                taken.append(os.dup(0))
            except OSError:
                break
        for _ in range(but):
            os.close(taken.pop())
        yield
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_running_out_of_descriptors_is_ours_to_wait_for(two: Two, level: Durability) -> None:
    entry = two.file("a")
    with Landing(level, "token") as landing:
        with no_descriptors_left(but=1):
            landing.copy(two.s_fd, entry, two.d_fd, "a", facts=Facts(), replaces=None, new=True, ticket=1)
        outcomes = landing.settle()
    error = refused(outcomes[0][1], ErrorKind.UNAVAILABLE)
    assert REMEDIES[error.kind][0] is Scope.CONNECTION
    assert two.everything() == []


AS_SOMEBODY = """
import concurrent.futures, ctypes, os, resource, sys
from tallyport.connectors.local_files import *
from tallyport.connectors.protocol import Facts
from tallyport.domain.capabilities import Durability
from tallyport.domain.errors import TallyportError
names = ("source", "destination", "locked")
s_fd, d_fd, locked_fd = (os.open(f"{sys.argv[1]}/{name}", os.O_RDONLY) for name in names)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
def kind_of(call, *arguments, **named):
    try:
        return call(*arguments, **named)
    except TallyportError as error:
        return error.kind.value
with Landing(Durability.GROUP, "token") as landing:
    for name, folder_fd, facts in (
        ("open", d_fd, Facts(mode=0o640, modified=1)),
        ("secret", d_fd, Facts()),
        ("open", locked_fd, Facts()),
        ("other", d_fd, Facts(owner=0)),
    ):
        entry, ticket = entry_at(s_fd, name), (name, folder_fd == d_fd)
        landing.copy(s_fd, entry, folder_fd, name, facts=facts, replaces=None, new=True, ticket=ticket)
    for ticket, outcome in sorted(landing.settle()):
        print(*ticket, "landed" if isinstance(outcome, Landed) else outcome.kind.value)
print(kind_of(open_below, s_fd, "closed"))
print(kind_of(open_below, s_fd, "closed/deeper"))
print(kind_of(hash_file, s_fd, "secret"))
print(kind_of(stamp, s_fd, "open", Facts(modified=1)))
print(kind_of(make_folder, locked_fd, "x"))
print(kind_of(remove, s_fd, "open", entry_at(s_fd, "open").kind, None))
make_folder(d_fd, "unreadable")
print(oct(stamp(d_fd, "unreadable", Facts(mode=0o000, modified=5)).mode))
print(stamp(d_fd, "unreadable", Facts(mode=0o300, modified=6)).modified)
"""


@needs_root
def test_permissions_are_told_to_somebody_who_lacks_them(two: Two) -> None:
    for name, mode in (("open", 0o644), ("secret", 0o000), ("other", 0o644)):
        two.file(name, mode=mode)
    os.mkdir(f"{two.source}/closed", 0o000)
    os.mkdir(f"{two.place}/locked", 0o755)
    os.chown(two.destination, 65534, 65534)
    arguments = [sys.executable, "-c", AS_SOMEBODY, two.place]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    denied = "permission_denied"
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"open False {denied}",
        "open True landed",
        f"other True {denied}",
        f"secret True {denied}",
        *[denied] * 6,
        "0o0",
        "6",
    ]
    assert two.everything() == ["open", "unreadable"]


# -- durability


ORDERED = """
import os, sys
from tallyport.connectors.local_files import *
from tallyport.connectors.protocol import Facts
from tallyport.domain.capabilities import Durability
place, level = sys.argv[1], Durability(sys.argv[2])
s_fd, d_fd = (os.open(f"{place}/{name}", os.O_RDONLY) for name in ("source", "destination"))
make_folder(d_fd, "folder")
folder_fd = open_below(d_fd, "folder")
with Landing(level, "token") as landing:
    landing.touch(d_fd)
    for number, entry in enumerate(entries(s_fd)):
        to_fd = folder_fd if number % 2 else d_fd
        replaces = entry_at(to_fd, entry.name)
        facts = Facts(modified=entry.modified, mode=0o606)
        landing.copy(s_fd, entry, to_fd, entry.name, facts=facts, replaces=replaces, new=False, ticket=entry.name)
    outcomes = landing.settle()
assert all(isinstance(outcome, Landed) for _, outcome in outcomes), outcomes
entry = entry_at(s_fd, "big-one")
expect = (entry.size, entry.modified, entry.tag)
from tallyport.domain.entries import Fingerprint
for at in range(0, entry.size, 1 << 20):
    copy_range(s_fd, "big-one", d_fd, ".tallyport-token-big", offset=at, length=min(1 << 20, entry.size - at),
        expect=Fingerprint(*expect), durability=level)
finish(d_fd, ".tallyport-token-big", "parts", facts=Facts(size=entry.size, modified=1, mode=0o644),
    replaces=None, durability=level)
with open(f"{place}/ledger-wal", "wb") as ledger:
    ledger.write(" ".join(["parts", *(ticket for ticket, _ in outcomes)]).encode())
"""


@pytest.mark.needs("strace")
@pytest.mark.parametrize("number", [3, 40])
@pytest.mark.parametrize("level", [GROUP, EACH])
def test_each_item_is_synced_before_it_is_visible_and_its_folder_after(
    two: Two, level: Durability, number: int
) -> None:
    for one in range(number):
        two.file(f"item-{one}-end", os.urandom(one * 1000))
    two.file("big-one", os.urandom(3 * MIB))
    two.put("item-1-end", b"old")
    log = f"{two.place}/log"
    os.mkdir(f"{two.place}/x")
    arguments = [sys.executable, "-c", ORDERED, two.place, level.value]
    subprocess.run([*faults.STRACE, "-o", log, *arguments], check=True)
    with open(log, encoding="utf-8", errors="surrogateescape") as stream:
        lines = stream.readlines()
    seen = faults.order_of_steps(lines, destination=two.destination, ledger=two.place)
    assert seen.violations == []
    assert len(seen.files) == number + 2
    syncs = sum("syncfs(" in line for line in lines)
    assert syncs == (1 if level is GROUP and number > 8 else 0)
    if level is EACH:
        assert sum("fsync(" in line for line in lines) >= number + 1


def test_nothing_is_synced_without_durability(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    for function in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, function, failing(errno.EIO))
    entry = two.file("a")
    landed(copy(two, entry, NONE))
    landed(copy(two, entry, NONE, replaces=two.standing("a")))
    parts(two, two.file("b", bytes(MIB)), NONE)


def test_files_of_two_file_systems_are_synced_on_both(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.stat("/dev/shm").st_dev == os.stat(two.place).st_dev:
        pytest.skip("one file system")
    synced = []

    def note(fd: int) -> int:
        synced.append(os.fstat(fd).st_dev)
        return 0

    monkeypatch.setattr(local_calls, "syncfs", note)
    other = f"/dev/shm/tallyport-test-{os.getpid()}"
    os.mkdir(other)
    other_fd = os.open(other, os.O_RDONLY)
    try:
        with Landing(GROUP, "token") as landing:
            for number in range(10):
                entry = two.file(str(number))
                for d_fd in (two.d_fd, other_fd):
                    landing.copy(two.s_fd, entry, d_fd, entry.name, facts=Facts(), replaces=None, new=True, ticket=0)
            landing.settle()
    finally:
        os.close(other_fd)
        for name in os.listdir(other):
            os.unlink(f"{other}/{name}")
        os.rmdir(other)
    assert len(synced) == len(set(synced)) == 2


# -- file systems with fewer abilities


def test_a_file_system_without_nameless_files_gets_temporaries(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    opening = os.open

    def without(path: str, flags: int, *arguments: int, **named: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return opening(path, flags, *arguments, **named)

    monkeypatch.setattr(os, "open", without)
    two.put("taken", b"theirs")
    with Landing(NONE, "token") as landing:
        for name in ("a", "b", "taken"):
            entry = two.file(name, name.encode(), mode=0o666)
            landing.copy(two.s_fd, entry, two.d_fd, name, facts=facts_of(entry), replaces=None, new=True, ticket=name)
        outcomes = dict(landing.settle())
    for name in "ab":
        result = landed(outcomes[name])
        assert result.entry == two.standing(name)
        assert (result.entry.mode, two.content(name)) == (0o666, name.encode())
    refused(outcomes["taken"], ErrorKind.ALREADY_EXISTS)
    assert two.everything() == ["a", "b", "taken"]


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("alone", [True, False])
def test_without_renameat2_a_rename_still_replaces_nothing(
    two: Two, monkeypatch: pytest.MonkeyPatch, links: bool, alone: bool
) -> None:
    monkeypatch.setattr(local_calls, "rename_noreplace", lambda *_: errno.EINVAL)
    if not links:
        monkeypatch.setattr(os, "link", failing(errno.EPERM))
    two.put("a", b"ours")
    two.put("taken", b"theirs")
    os.mkdir(f"{two.destination}/folder")
    with pytest.raises(FileExistsError):
        rename_new(two.d_fd, "a", two.d_fd, "taken", alone=alone)
    rename_new(two.d_fd, "a", two.d_fd, "b", alone=alone)
    rename_new(two.d_fd, "folder", two.d_fd, "moved", alone=alone)
    assert two.everything() == ["b", "moved", "taken"]
    assert (two.content("b"), two.content("taken")) == (b"ours", b"theirs")


def test_somebody_who_replaces_what_just_landed_is_noticed(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at by its name, what landed must be what was written; else their change would pass as ours."""
    entry = two.file("a", b"ours")
    seen = two.put("a", b"old")
    placing = local_folders.put_in_place

    def place_and_lose(*arguments: object, **named: object) -> None:
        placing(*arguments, **named)  # type: ignore[arg-type]
        os.unlink(f"{two.destination}/a")
        two.put("a", b"them")

    monkeypatch.setattr(local_files, "put_in_place", place_and_lose)
    refused(copy(two, entry, NONE, replaces=seen), ErrorKind.CHANGED_DURING_COPY)


def test_a_time_that_the_file_system_cannot_keep_is_no_error(two: Two) -> None:
    entry = two.file("a")
    facts = Facts(modified=-(10**19), mode=0o644)  # 1653: clamped by ext4
    landed(copy(two, entry, NONE, "b", facts=facts))
    landed(copy(two, entry, NONE, "b", facts=facts, replaces=two.standing("b")))


# -- holes


def sparse(two: Two, name: str, layout: list[tuple[int, bytes]], size: int) -> Entry:
    with open(f"{two.source}/{name}", "wb") as stream:
        for at, data in layout:
            stream.seek(at)
            stream.write(data)
        stream.truncate(size)
    return two.seen(name)


LAYOUTS = [
    ([], 10 * MIB),
    ([(0, b"x" * 4096)], 10 * MIB),
    ([(5 * MIB, b"x" * 5000)], 10 * MIB),
    ([(10 * MIB - 1, b"x")], 10 * MIB),
    ([(0, b"x" * 70_000), (3 * MIB, b"y" * 2 * MIB), (8 * MIB, b"z")], 9 * MIB + 3),
]


@pytest.mark.parametrize(("layout", "size"), LAYOUTS)
def test_holes_are_kept_and_hashed_as_zeros(
    two: Two, level: Durability, layout: list[tuple[int, bytes]], size: int
) -> None:
    entry = sparse(two, "a", layout, size)
    assert entry.sparse
    result = landed(copy(two, entry, level))
    with open(f"{two.source}/a", "rb") as stream:
        data = stream.read()
    assert two.content("a") == data
    assert result.hash == hashing.digest(data) == hash_file(two.d_fd, "a")
    allocated = os.stat(f"{two.destination}/a").st_blocks * 512
    assert allocated <= os.stat(f"{two.source}/a").st_blocks * 512 * 1.05 + 4096
    assert result.moved < size


def test_a_large_hole_is_hashed_fast(two: Two) -> None:
    entry = sparse(two, "a", [(0, b"x")], 2 * 1024 * MIB)
    started = time.process_time()
    landed(copy(two, entry, NONE))
    assert time.process_time() - started < 10
    assert os.stat(f"{two.destination}/a").st_blocks * 512 < MIB


def test_extents_cover_a_range_exactly(two: Two) -> None:
    sparse(two, "a", [(MIB, b"x" * MIB), (4 * MIB, b"y" * 4096)], 6 * MIB)
    fd = os.open(f"{two.source}/a", os.O_RDONLY)
    for start, end in ((0, 6 * MIB), (MIB + 5, 5 * MIB), (5 * MIB, 6 * MIB), (3, 4), (7, 7)):
        pieces = list(extents(fd, start, end))
        assert [piece[0] for piece in pieces] + [end] == [start] + [piece[1] for piece in pieces]
    os.close(fd)


# -- big files in parts


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


def test_a_file_in_parts_arrives(two: Two, level: Durability) -> None:
    data = os.urandom(3 * MIB + 77)
    entry = two.file("a", data, mode=0o604)
    result = parts(two, entry, level)
    assert two.content("a") == data
    assert result == two.standing("a")._replace(accessed=result.accessed)
    assert (result.modified, result.mode) == (MOMENT, 0o604)
    assert two.everything() == ["a"]


@pytest.mark.parametrize(("layout", "size"), LAYOUTS)
def test_a_file_in_parts_keeps_its_holes(two: Two, layout: list[tuple[int, bytes]], size: int) -> None:
    entry = sparse(two, "a", layout, size)
    result = parts(two, entry, NONE)
    assert (result.size, result.sparse) == (size, True)
    assert os.stat(f"{two.destination}/a").st_blocks <= os.stat(f"{two.source}/a").st_blocks + 16
    with open(f"{two.source}/a", "rb") as stream:
        assert two.content("a") == stream.read()


def test_a_hole_covers_what_an_earlier_try_left(two: Two) -> None:
    entry = sparse(two, "a", [(0, b"x")], 3 * MIB)
    two.put(f"{TEMPORARY}token-parts", b"left over" * MIB)
    os.chmod(f"{two.destination}/{TEMPORARY}token-parts", 0o600)
    parts(two, entry, NONE)
    assert two.content("a") == b"x" + bytes(3 * MIB - 1)


def test_a_part_of_a_changed_file_is_refused(two: Two) -> None:
    entry = two.file("a", bytes(2 * MIB))
    two.file("a", bytes(2 * MIB))
    with refuses(ErrorKind.CHANGED_DURING_COPY):
        parts(two, entry, NONE)
    os.unlink(f"{two.source}/a")
    with refuses(ErrorKind.NOT_FOUND):
        parts(two, entry, NONE)
    assert two.everything() == []


def test_a_part_of_a_file_that_changes_midway_is_refused(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = two.file("a", bytes(2 * MIB))
    carry = local_content.carry

    def carry_then_change(*arguments: object, **named: object) -> int:
        moved = carry(*arguments, **named)  # type: ignore[arg-type]
        os.utime(f"{two.source}/a", ns=(MOMENT, MOMENT))
        return moved

    monkeypatch.setattr(local_parts, "carry", carry_then_change)
    with refuses(ErrorKind.CHANGED_DURING_COPY):
        parts(two, entry, NONE)


def test_a_part_is_never_written_into_something_planted(two: Two) -> None:
    entry = two.file("a", bytes(MIB))
    temporary = f"{two.destination}/{TEMPORARY}token-parts"
    with open(f"{two.place}/victim", "wb") as stream:
        stream.write(b"victim")
    plant = (
        lambda: os.symlink("../victim", temporary),
        lambda: os.link(f"{two.place}/victim", temporary),
        lambda: os.mkfifo(temporary),
        lambda: os.mkdir(temporary),
    )
    for number, planting in enumerate(plant):
        planting()
        with in_time(), pytest.raises(TallyportError):
            parts(two, entry, NONE)
        with open(f"{two.place}/victim", "rb") as stream:
            assert stream.read() == b"victim", number
        if os.path.isdir(temporary):
            os.rmdir(temporary)
        else:
            os.unlink(temporary)
    os.unlink(f"{two.place}/victim")


def test_finishing_replaces_only_what_was_seen(two: Two, level: Durability) -> None:
    entry = two.file("a", os.urandom(MIB))
    seen = two.put("a", b"old")
    parts(two, entry, level, replaces=seen)
    with refuses(ErrorKind.ALREADY_EXISTS):
        parts(two, entry, level, replaces=seen)
    with refuses(ErrorKind.ALREADY_EXISTS):
        parts(two, entry, level)
    # the temporary stays: it is recorded, and whoever recorded it decides
    assert two.everything() == [f"{TEMPORARY}token-parts", "a"]


def test_finishing_without_a_temporary_is_not_found(two: Two) -> None:
    with refuses(ErrorKind.NOT_FOUND):
        finish(two.d_fd, f"{TEMPORARY}x", "a", facts=Facts(), replaces=None, durability=NONE)


def test_finishing_without_a_mode_gives_what_creation_gives(two: Two) -> None:
    entry = two.file("a", bytes(MIB))
    copy_range(
        two.s_fd,
        "a",
        two.d_fd,
        f"{TEMPORARY}x",
        offset=0,
        length=MIB,
        expect=fingerprint(entry),
        durability=NONE,
    )
    before = os.umask(0o027)
    try:
        result = finish(two.d_fd, f"{TEMPORARY}x", "a", facts=Facts(), replaces=None, durability=NONE)
    finally:
        os.umask(before)
    assert result.mode == 0o640
    assert two.everything() == ["a"]


# -- symlinks and hard links


def test_a_symlink_arrives_as_text(two: Two, level: Durability) -> None:
    os.symlink("../../anywhere", f"{two.source}/a")
    entry = two.seen("a")
    with Landing(level, "token") as landing:
        landing.symlink(entry, two.d_fd, "a", facts=Facts(modified=MOMENT), replaces=None, new=True, ticket=1)
        result = landed(landing.settle()[0][1])
        assert (result.entry.target, result.entry.modified) == ("../../anywhere", MOMENT)
        assert result.entry == two.standing("a")._replace(accessed=result.entry.accessed)
        assert (result.hash, result.moved) == (b"", 0)
        for replaces in (None, result.entry._replace(tag=b"other")):
            landing.symlink(entry, two.d_fd, "a", facts=Facts(), replaces=replaces, new=False, ticket=2)
            refused(landing.settle()[0][1], ErrorKind.ALREADY_EXISTS)
        landing.symlink(
            entry._replace(target="x"),
            two.d_fd,
            "a",
            facts=Facts(),
            replaces=result.entry,
            new=False,
            ticket=3,
        )
        assert landed(landing.settle()[0][1]).entry.target == "x"
        for target in ("", "a\0b", "x" * 5000):
            landing.symlink(
                entry._replace(target=target),
                two.d_fd,
                "b",
                facts=Facts(),
                replaces=None,
                new=False,
                ticket=4,
            )
            assert isinstance(landing.settle()[0][1], TallyportError)
    assert two.everything() == ["a"]


def test_a_hard_link_is_made_and_replaces_only_what_was_seen(two: Two) -> None:
    two.put("a", b"shared")
    temporary = f"{TEMPORARY}token-link"
    entry = hard_link(two.d_fd, "a", two.d_fd, "b", replaces=None, temporary=temporary)
    assert (entry.links, entry.link_id) == (2, two.standing("a").link_id)
    with refuses(ErrorKind.ALREADY_EXISTS):
        hard_link(two.d_fd, "a", two.d_fd, "b", replaces=None, temporary=temporary)
    seen = two.put("c", b"old")
    with refuses(ErrorKind.ALREADY_EXISTS):
        hard_link(two.d_fd, "a", two.d_fd, "c", replaces=seen._replace(size=1), temporary=temporary)
    hard_link(two.d_fd, "a", two.d_fd, "c", replaces=seen, temporary=temporary)
    hard_link(two.d_fd, "a", two.d_fd, "c", replaces=two.standing("c"), temporary=temporary)  # itself
    assert two.everything() == ["a", "b", "c"]
    assert two.standing("c").links == 3
    with refuses(ErrorKind.NOT_FOUND):
        hard_link(two.d_fd, "none", two.d_fd, "d", replaces=None, temporary=temporary)


# -- stamps, removal, sweeps, hashes


def test_a_stamp_sets_only_what_differs(two: Two) -> None:
    entry = two.put("a", b"x")
    assert stamp(two.d_fd, "a", facts_of(entry)) == entry
    stamped = stamp(two.d_fd, "a", Facts(mode=0o4711, modified=MOMENT))
    assert (stamped.mode, stamped.modified, stamped.accessed) == (0o711, MOMENT, entry.accessed)
    os.symlink("a", f"{two.destination}/link")
    assert stamp(two.d_fd, "link", Facts(mode=0o600, modified=5)).modified == 5
    assert two.standing("a") == stamped
    fd = open_below(two.d_fd, "")
    stamp_fd(fd, Facts(modified=MOMENT, mode=0o750))
    os.close(fd)
    assert os.stat(two.destination).st_mtime_ns == MOMENT
    with refuses(ErrorKind.NOT_FOUND):
        stamp(two.d_fd, "none", Facts())
    os.mkfifo(f"{two.destination}/pipe")
    with in_time(), refuses(ErrorKind.UNSUPPORTED):
        stamp(two.d_fd, "pipe", Facts(mode=0o600))


def test_only_what_was_decided_on_is_removed(two: Two) -> None:
    seen = two.put("a", b"x")
    with refuses(ErrorKind.CHANGED_DURING_COPY):
        remove(two.d_fd, "a", Kind.FILE, seen._replace(modified=1))
    with refuses(ErrorKind.CHANGED_DURING_COPY):
        remove(two.d_fd, "a", Kind.CONTAINER, None)
    remove(two.d_fd, "a", Kind.FILE, fingerprint(seen))
    remove(two.d_fd, "a", Kind.FILE, fingerprint(seen))  # gone already
    os.makedirs(f"{two.destination}/box/inner")
    with refuses(ErrorKind.ALREADY_EXISTS):
        remove(two.d_fd, "box", Kind.CONTAINER, None)
    os.rmdir(f"{two.destination}/box/inner")
    remove(two.d_fd, "box", Kind.CONTAINER, None)
    os.symlink("../source", f"{two.destination}/link")
    with refuses(ErrorKind.CHANGED_DURING_COPY):
        remove(two.d_fd, "link", Kind.CONTAINER, None)
    remove(two.d_fd, "link", Kind.SYMLINK, None)
    assert two.everything() == []
    for name in ("..", "a/b", ""):
        with refuses(ErrorKind.INVALID_NAME):
            remove(two.d_fd, name, Kind.FILE, None)


def test_a_sweep_removes_what_carries_its_token_alone(two: Two) -> None:
    keep = ["a", f"{TEMPORARY}other-1", f"{TEMPORARY}token", f"{TEMPORARY}token2-1", f"{TEMPORARY}token-folder"]
    for name in [*keep[:-1], f"{TEMPORARY}token-1", f"{TEMPORARY}token-ab-2"]:
        two.put(name, b"")
    os.mkdir(f"{two.destination}/{keep[-1]}")
    os.symlink("a", f"{two.destination}/{TEMPORARY}token-3")
    assert sweep(two.d_fd, "token") == 3
    assert sweep(two.d_fd, "token") == 0
    assert two.everything() == sorted(keep)


def test_what_a_killed_copy_leaves_is_swept(two: Two) -> None:
    entry = two.file("a")
    landing = Landing(GROUP, "token")
    landing.copy(two.s_fd, entry, two.d_fd, "a", facts=Facts(), replaces=None, new=True, ticket=1)
    assert len(two.everything()) == 1
    assert sweep(two.d_fd, "token") == 1
    refused(landing.settle()[0][1], ErrorKind.NOT_FOUND)
    landing.discard()
    assert two.everything() == []


def test_only_files_are_hashed(two: Two) -> None:
    data = os.urandom(2 * MIB + 1)
    two.file("a", data)
    assert hash_file(two.s_fd, "a") == hashing.digest(data)
    os.mkfifo(f"{two.source}/pipe")
    os.symlink("a", f"{two.source}/link")
    os.mkdir(f"{two.source}/box")
    for name in ("pipe", "link", "box"):
        with in_time(), refuses(ErrorKind.UNSUPPORTED):
            hash_file(two.s_fd, name)
    with refuses(ErrorKind.NOT_FOUND):
        hash_file(two.s_fd, "none")


# -- somebody swaps folders for symlinks all the time


def test_nothing_outside_is_touched_while_folders_turn_into_symlinks(tmp_path: object) -> None:
    """P1: list, copy, rename, delete, stamp, make, sweep and hash, each many times, with a canary outside."""
    place = str(tmp_path)
    os.makedirs(f"{place}/root/real/sub")
    os.makedirs(f"{place}/outside/sub")
    os.symlink(f"{place}/outside", f"{place}/root/swapped")
    files = ("victim", "sub/victim", f"{TEMPORARY}token-1")
    for name in files:
        with open(f"{place}/outside/{name}", "wb") as stream:
            stream.write(b"canary")
    facts = Facts(mode=0o777, modified=1)

    def canary() -> list[object]:
        found: list[object] = []
        for folder, folders, names in os.walk(f"{place}/outside"):
            for name in sorted([".", *folders, *names]):
                st = os.lstat(f"{folder}/{name}")
                found.append((folder, name, st.st_ino, st.st_mode, st.st_nlink, st.st_mtime_ns, st.st_ctime_ns))
        return found

    before = canary()
    done = {"inside": 0, "refused": 0}
    kinds: set[ErrorKind] = set()
    later_kinds: set[ErrorKind] = set()
    source = os.open(place, os.O_RDONLY)
    with open(f"{place}/new", "wb") as stream:
        stream.write(b"new")
    new = entry_at(source, "new")
    assert new is not None
    root_fd = os.open(f"{place}/root", os.O_RDONLY)

    def tries(folder_fd: int) -> None:
        for entry in list(entries(folder_fd)):
            if entry.kind is Kind.FILE:
                hash_file(folder_fd, entry.name)
                stamp(folder_fd, entry.name, facts)
                remove(folder_fd, entry.name, Kind.FILE, None)
        sweep(folder_fd, "token")
        make_folder(folder_fd, "made")
        remove(folder_fd, "made", Kind.CONTAINER, None)
        with Landing(NONE, "token") as landing:
            for name in ("victim", "other"):
                landing.copy(source, new, folder_fd, name, facts=facts, replaces=None, new=False, ticket=0)
            landing.settle()
        rename_new(folder_fd, "other", folder_fd, "third")

    with faults.Flipper([(f"{place}/root/real", f"{place}/root/swapped")]) as flipper:
        for turn in range(1000):
            path = ("real", "real/sub", "swapped/sub")[turn % 3]
            try:
                fd = open_below(root_fd, path)
            except TallyportError as error:
                kinds.add(error.kind)
                done["refused"] += 1
                continue
            try:
                tries(fd)
            finally:
                os.close(fd)
            done["inside"] += 1
            try:
                stamp(root_fd, "real", Facts(modified=1))
                remove(root_fd, "swapped", Kind.FILE, None)
            except TallyportError as error:
                later_kinds.add(error.kind)
    assert kinds == {ErrorKind.NOT_FOUND}
    assert later_kinds <= {ErrorKind.CHANGED_DURING_COPY, ErrorKind.NOT_FOUND}
    assert flipper.flips > 100
    assert done["inside"] > 50, done
    assert done["refused"] > 50, done
    assert canary() == before
    os.close(root_fd)
    os.close(source)


def test_a_source_file_that_turns_into_a_symlink_is_never_followed(two: Two) -> None:
    """The name flips between a file and a symlink to a secret of the same size."""
    entry = two.file("a", b"public")
    with open(f"{two.place}/secret", "wb") as stream:
        stream.write(b"SECRET")
    os.utime(f"{two.place}/secret", ns=(MOMENT, MOMENT))
    os.symlink("../secret", f"{two.source}/b")
    seen = {"copied": 0, "refused": 0}
    with faults.Flipper([(f"{two.source}/a", f"{two.source}/b")]), Landing(NONE, "token") as landing:
        for number in range(1000):
            current = entry_at(two.s_fd, "a")
            assert current is not None
            landing.copy(
                two.s_fd,
                current._replace(kind=Kind.FILE) if number % 2 else entry,
                two.d_fd,
                str(number),
                facts=Facts(),
                replaces=None,
                new=True,
                ticket=number,
            )
            ((_, outcome),) = landing.settle()
            seen["copied" if isinstance(outcome, Landed) else "refused"] += 1
    assert seen["refused"] > 0
    for name in two.everything():
        assert two.content(name) == b"public"
    os.unlink(f"{two.place}/secret")
