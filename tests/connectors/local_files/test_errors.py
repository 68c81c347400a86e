"""What the system refuses, at every step: the old content stays, and the reason is told."""

from __future__ import annotations

import errno
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallyport.connectors import local_calls, local_files
from tallyport.connectors.local_errors import ADVICE, ERRNO_KINDS, error_of, translate
from tallyport.connectors.local_files import (
    Landed,
    Landing,
    entry_at,
    make_folder,
)
from tallyport.connectors.protocol import Facts
from tallyport.domain.capabilities import Durability
from tallyport.domain.errors import REMEDIES, ErrorKind, Scope, TallyportError
from tallyport.testing import faults
from tests.connectors.local_files.conftest import (
    EACH,
    GROUP,
    MIB,
    NONE,
    Two,
    facts_of,
    failing,
    needs_root,
    refused,
    refuses,
)

# -- errors of the system


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
