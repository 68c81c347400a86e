"""Content in slices that are lent memory, of which there is never more than so much."""

import threading
from collections.abc import Iterator

import pytest

from tallyport.connectors.s3_parts import Room, filled, slice_length
from tallyport.connectors.s3_settings import MIB, PART_MIN

LENGTH = 8


@pytest.mark.parametrize("content", [[], [b""], [b"12345678"], [b"1234567"], [b"", b"123", b"456789", b"0" * 40]])
def test_slices_are_the_content_whatever_came_in_which_chunks(content: list[bytes]) -> None:
    slices = [bytes(one) for one in filled(content, LENGTH, Room(LENGTH))]
    assert b"".join(slices) == b"".join(content)
    assert all(len(one) == LENGTH for one in slices[:-1])
    assert all(slices)


@pytest.mark.parametrize("size", [PART_MIN, 8 * MIB, 8 * MIB + 1, 9 * MIB, 13 * MIB, 17 * MIB - 1, 60 * MIB, 64 * MIB])
@pytest.mark.parametrize("length", [8 * MIB, 16 * MIB, 32 * MIB, 64 * MIB])
def test_no_slice_of_a_part_is_too_small_for_what_follows_it(size: int, length: int) -> None:
    found = slice_length(size, length)
    whole, rest = divmod(size, found)
    assert rest == 0 or rest >= PART_MIN
    assert whole + bool(rest) <= 64 * MIB // length  # as many as a part has numbers


def test_the_last_part_may_be_smaller_than_any_slice() -> None:
    assert slice_length(3, 8 * MIB) == 3
    assert slice_length(0, 8 * MIB) == 8 * MIB


def test_a_slice_is_in_the_memory_that_the_one_before_was_in() -> None:
    slices = filled([b"a" * 3 * LENGTH], LENGTH, Room(LENGTH))
    first = next(slices)
    owner = first.obj
    assert next(slices).obj is owner


def test_no_more_is_lent_than_there_is_however_many_ask() -> None:
    room, most, seen = Room(3 * LENGTH), 3 * LENGTH, []

    def carry() -> None:
        for _ in filled([b"x" * LENGTH] * 20, LENGTH, room):
            seen.append(room.lent)

    threads = [threading.Thread(target=carry) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8 * 20
    assert 0 < max(seen) <= most
    assert room.lent == 0


def test_what_is_more_than_the_whole_is_lent_alone() -> None:
    room = Room(LENGTH)
    with room.lend(4 * LENGTH) as buffer:
        assert len(buffer) == 4 * LENGTH
    assert room.lent == 0


def test_memory_comes_back_when_the_content_fails_and_when_nobody_wants_the_rest() -> None:
    def failing() -> Iterator[bytes]:
        yield b"x" * LENGTH
        yield b"x"
        raise OSError("gone")

    room = Room(LENGTH)
    with pytest.raises(OSError, match="gone"):
        list(filled(failing(), LENGTH, room))
    assert room.lent == 0
    slices = filled([b"x" * LENGTH * 3], LENGTH, room)
    next(slices)
    assert room.lent == LENGTH
    slices.close()
    assert room.lent == 0
