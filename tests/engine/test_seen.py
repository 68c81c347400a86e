"""A destination of any size is seen whole, in a memory that hardly knows its size."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyport.domain.entries import Entry, Kind, Side
from tallyport.engine import seen
from tallyport.engine.listing_stream import StreamListing
from tallyport.engine.passage import Crossing
from tallyport.engine.seen import Huge, Names, see_destination

SHORT = st.text(alphabet="ab", max_size=3)


@given(st.lists(SHORT, max_size=40), st.lists(SHORT, max_size=60))
def test_names_are_taken_as_often_as_they_were_added(added: list[str], taken: list[str]) -> None:
    names, left = Names(len(added)), Counter(added)
    for name in added:
        names.add(name)
    for name in taken:
        assert names.take(name) == (left[name] > 0)
        left[name] -= left[name] > 0


class Container:
    """A destination of so many entries, each of which exists when it is looked at."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.looks = 0

    def entries(self) -> Iterator[Entry]:
        return (Entry(f"Name-of-item-{n:07}", Kind.FILE, n, n) for n in range(self.count))

    def listing(self, side: Side) -> StreamListing:
        assert side is Side.DESTINATION
        return StreamListing(self.entries())

    def look(self, side: Side, name: str) -> Entry | None:
        self.looks += 1
        return Entry(name, Kind.FILE, 1, 1)


def destination(count: int, key: Callable[[str], str] | None = None) -> tuple[Container, Any]:
    there = Container(count)
    return there, see_destination(cast(Crossing, there), key)


@pytest.mark.parametrize("key", [None, str.lower])
def test_of_a_huge_destination_each_entry_is_taken_once_or_left_for_the_rest(
    monkeypatch: pytest.MonkeyPatch, key: Callable[[str], str] | None
) -> None:
    monkeypatch.setattr(seen, "PAGE", 100)
    _, found = destination(1_000, key)
    assert isinstance(found, Huge)
    named = "name-of-item-{:07}" if key else "Name-of-item-{:07}"
    for n in range(0, 1_000, 2):
        entry, is_seen = found.take(named.format(n))
        assert is_seen
        assert entry is not None
        assert found.take(named.format(n)) == (None, True)
    assert found.take("another") == (None, True)
    assert [entry.name for entry in found.rest()] == [f"Name-of-item-{n:07}" for n in range(1, 1_000, 2)]
    assert list(found.rest()) == []


@pytest.mark.parametrize(("count", "most"), [(100_000, 24), pytest.param(1_000_000, 60, marks=pytest.mark.nightly)])
def test_memory_hardly_grows_with_a_destination(count: int, most: int) -> None:
    tracemalloc.start()
    try:
        _, found = destination(count)
        for n in range(0, count, 10):
            found.take(f"Name-of-item-{n:07}")
        assert sum(1 for _ in found.rest()) == count - len(range(0, count, 10))
        assert tracemalloc.get_traced_memory()[1] <= most * 1_000_000
    finally:
        tracemalloc.stop()
