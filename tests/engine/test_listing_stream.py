"""A listing is sorted, and in memory only up to one page."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyport.domain.entries import Entry, Kind
from tallyport.domain.paths import to_bytes
from tallyport.engine import listing_stream
from tallyport.engine.listing_stream import StreamListing
from tallyport.testing.strategies import entries


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing_stream, "PAGE", 7)
    monkeypatch.setattr(listing_stream, "BLOCK", 3)


@given(st.lists(entries(), max_size=40, unique_by=lambda entry: entry.name))
def test_every_entry_is_given_once_in_order(found: list[Entry]) -> None:
    listing = StreamListing(iter(found))
    given_ = [entry for page in listing.pages() for entry in page]
    assert given_ == sorted(found, key=lambda entry: to_bytes(entry.name))
    assert listing.count == len(found)
    assert list(listing.names()) == [entry.name for entry in given_]
    assert listing.totals() == (
        sum(entry.kind is not Kind.CONTAINER for entry in found),
        sum(entry.kind is Kind.FILE for entry in found),
        sum(entry.size for entry in found if entry.kind is Kind.FILE),
    )
    assert listing.containers() == [entry.name for entry in given_ if entry.kind is Kind.CONTAINER]


@given(st.lists(entries(), min_size=1, max_size=30, unique_by=lambda entry: entry.name), st.randoms())
def test_the_digest_does_not_depend_on_the_order_and_sees_every_change(found: list[Entry], chance) -> None:
    before = StreamListing(found).digest()
    shuffled = list(found)
    chance.shuffle(shuffled)
    assert StreamListing(shuffled).digest() == before
    if found[0].kind is not Kind.CONTAINER:
        assert StreamListing([found[0]._replace(size=found[0].size + 1), *found[1:]]).digest() != before
    assert StreamListing(found[1:]).digest() != before


def test_memory_does_not_grow_with_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing_stream, "PAGE", 1000)
    monkeypatch.setattr(listing_stream, "BLOCK", 20)

    def peak(count: int) -> int:
        tracemalloc.start()
        listing = StreamListing(Entry(f"n{number * 7919 % count:08}", Kind.FILE, number) for number in range(count))
        assert sum(len(page) for page in listing.pages()) == count
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    small, large = peak(5_000), peak(50_000)
    assert large < small * 3


@given(st.lists(entries(), min_size=1, max_size=6, unique_by=lambda entry: entry.name))
def test_each_entry_has_a_mark_that_changes_with_it_alone(found: list[Entry]) -> None:
    listing = StreamListing(found)
    names, marks = list(listing.names()), listing.marks()
    assert len(marks) == len(names)
    changed = [found[0]._replace(kind=Kind.FILE, size=found[0].size + 1), *found[1:]]
    after = dict(zip(names, StreamListing(changed).marks(), strict=True))
    assert [name for name, mark in zip(names, marks, strict=True) if after[name] != mark] == [found[0].name]
