"""Holes, and big files in parts."""

from __future__ import annotations

import os
import time

import pytest

from tallyport.connectors import hashing, local_content, local_parts
from tallyport.connectors.local_content import extents
from tallyport.connectors.local_files import (
    TEMPORARY,
    copy_range,
    finish,
    hash_file,
)
from tallyport.connectors.protocol import Facts
from tallyport.domain.capabilities import Durability
from tallyport.domain.entries import Entry, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tests.connectors.local_files.conftest import (
    MIB,
    MOMENT,
    NONE,
    Two,
    copy,
    in_time,
    landed,
    parts,
    refuses,
)

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
