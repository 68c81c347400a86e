"""Content of an object in parts is held to the ETag of its parts, where their lengths can be known."""

from __future__ import annotations

import hashlib
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyport.connectors.s3_assembled import Assembled, count_in, lengths
from tallyport.connectors.s3_parts import slice_length
from tallyport.connectors.s3_settings import MIB, PART, UPLOAD_PART


@pytest.mark.parametrize(
    ("tag", "count"),
    [(f"{'a1' * 16}-12", 12), (f"{'a1' * 16}-10001", None), ("a1" * 16, None), ("", None), (f"{'a1' * 16}-0", None)],
)
def test_an_etag_says_how_many_parts_there_are(tag: str, count: int | None) -> None:
    assert count_in(tag) == count


@given(st.integers(1, 400 * MIB), st.sampled_from([5, 8, 15, 16, 50, 64]))
def test_parts_of_one_length_are_found_by_their_number_and_the_first(size: int, mebibytes: int) -> None:
    length = mebibytes * MIB
    parts = [length] * (size // length) + [size % length] * (size % length > 0)
    assert lengths(size, len(parts), parts[0]) == parts


@given(st.integers(UPLOAD_PART + 1, 5 * UPLOAD_PART))
def test_the_parts_of_our_own_uploads_are_found(size: int) -> None:
    parts = []
    for start in range(0, size, UPLOAD_PART):
        left = min(UPLOAD_PART, size - start)
        length = slice_length(left, PART)
        while left:
            parts.append(min(length, left))
            left -= parts[-1]
    assert lengths(size, len(parts)) == parts == lengths(size, len(parts), parts[0])


@pytest.mark.parametrize(("size", "count", "first"), [(100, 7, None), (100, 3, 10), (0, 2, 0), (100, 2, 100)])
def test_what_fits_no_habit_is_not_known(size: int, count: int, first: int | None) -> None:
    assert lengths(size, count, first) is None


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 50), st.integers(0, 300))
def test_content_is_what_its_etag_says_or_it_is_not(parts: list[int], step: int, place: int) -> None:
    data = bytes(range(256))[: sum(parts)]
    starts = [sum(parts[:number]) for number in range(len(parts))]
    digests = b"".join(hashlib.md5(data[at : at + n]).digest() for at, n in zip(starts, parts, strict=True))
    tag = f"{hashlib.md5(digests).hexdigest()}-{len(parts)}"
    for spoiled in (False, True):
        came = bytearray(data)
        came[place % len(came)] ^= spoiled
        assembled = Assembled(tag, parts)
        chunks = [bytes(came[at : at + step]) for at in range(0, len(came), step)]
        with closing(assembled.passing(chunks)) as passing:  # type: ignore[type-var]
            assert list(passing) == chunks
        assert assembled.is_whole() is not spoiled
