"""What a copy between two local folders lands, replaces and refuses."""

from __future__ import annotations

import errno
import os
import re
import time

import pytest

from tallyport.connectors import hashing, local_files
from tallyport.connectors.local_files import (
    Landing,
    entries,
    hash_file,
)
from tallyport.connectors.protocol import Facts
from tallyport.domain.capabilities import Durability
from tallyport.domain.errors import ErrorKind
from tests.connectors.local_files.conftest import (
    GROUP,
    KIB,
    MIB,
    MOMENT,
    NONE,
    Two,
    copy,
    facts_of,
    failing,
    landed,
    needs_root,
    refused,
)

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
