"""Symlinks, hard links, stamps, removal, sweeps and hashes."""

from __future__ import annotations

import os

from tallyport.connectors import hashing
from tallyport.connectors.local_files import (
    TEMPORARY,
    Landing,
    hard_link,
    hash_file,
    open_below,
    remove,
    stamp,
    stamp_fd,
    sweep,
)
from tallyport.connectors.protocol import Facts
from tallyport.domain.capabilities import Durability
from tallyport.domain.entries import Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tests.connectors.local_files.conftest import (
    GROUP,
    MIB,
    MOMENT,
    Two,
    facts_of,
    in_time,
    landed,
    refused,
    refuses,
)

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
