"""What is synced before it is seen, and file systems with fewer abilities."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from tallyport.connectors import local_calls, local_files, local_folders
from tallyport.connectors.local_files import (
    Landing,
    rename_new,
)
from tallyport.connectors.protocol import Facts
from tallyport.domain.capabilities import Durability
from tallyport.domain.errors import ErrorKind
from tallyport.testing import faults
from tests.connectors.local_files.conftest import (
    EACH,
    GROUP,
    MIB,
    NONE,
    Two,
    copy,
    facts_of,
    failing,
    landed,
    parts,
    refused,
)

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
