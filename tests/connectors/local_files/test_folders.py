"""Listing and making local folders by a held descriptor."""

from __future__ import annotations

import os

from tallyport.connectors.local_files import (
    TEMPORARY,
    Landed,
    Landing,
    entries,
    make_folder,
    open_below,
)
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind
from tests.connectors.local_files.conftest import (
    MIB,
    MOMENT,
    NONE,
    Two,
    facts_of,
    refuses,
)

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
