"""Contents of objects are counted beside a listing, in step with it, and nothing is held of either."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator, Sequence

import pytest

from tallyport.connectors.object_listing import Found
from tallyport.connectors.object_versions import numbers, with_contents
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError

FILE = Entry("", Kind.FILE, 1)


def counted(lines: Sequence[Sequence[Found]], keys: Iterable[str]) -> list[tuple[str, int | None]]:
    def listed(prefix: str, path: str, token: str) -> tuple[Sequence[Found], str]:
        page = int(token or 0)
        return lines[page], str(page + 1) if page + 1 < len(lines) else ""

    way, token, found = with_contents(listed, numbers(keys)), "", []
    while True:
        page, token = way("p/", "", token)
        found += [(one.key, None if one.entry is None else one.entry.contents) for one in page]
        if not token:
            return found


def test_each_object_has_the_number_of_its_contents_across_pages() -> None:
    lines = [
        [Found("p/a", FILE), Found("p/a/")],
        [Found("p/b", FILE)],
        [],
        [Found("p/é", FILE), Found("p/\U0001f600", FILE)],
    ]
    keys = ["p/a", "p/a", "p/b", "p/b", "p/b", "p/é", "p/\U0001f600", "p/\U0001f600"]
    assert counted(lines, keys) == [("p/a", 2), ("p/a/", None), ("p/b", 3), ("p/é", 1), ("p/\U0001f600", 2)]


def test_what_stands_no_more_is_passed_over_and_what_came_meanwhile_has_no_number() -> None:
    lines = [[Found("p/b", FILE), Found("p/c", FILE), Found("p/z", FILE)]]
    assert counted(lines, ["p/a", "p/a", "p/b", "p/d"]) == [("p/b", 1), ("p/c", 0), ("p/z", 0)]


@pytest.mark.parametrize("kind", [ErrorKind.PERMISSION_DENIED, ErrorKind.UNAVAILABLE])
def test_a_walk_that_is_refused_takes_nothing_from_the_listing_and_one_that_broke_off_is_made_again(
    kind: ErrorKind,
) -> None:
    def keys() -> Iterator[str]:
        yield from ("p/a", "p/a", "p/b")
        raise TallyportError(kind, "no more of this")

    lines = [[Found("p/a", FILE), Found("p/b", FILE), Found("p/c", FILE)]]
    if kind is ErrorKind.UNAVAILABLE:
        with pytest.raises(TallyportError):
            counted(lines, keys())
    else:
        assert counted(lines, keys()) == [("p/a", 2), ("p/b", 0), ("p/c", 0)]


def test_a_hundred_thousand_versions_are_counted_in_the_memory_of_one_page() -> None:
    files, each = 1_000, 100

    def keys() -> Iterator[str]:
        for number in range(files):
            for _ in range(each):
                yield f"p/{number:06}"

    def listed(prefix: str, path: str, token: str) -> tuple[Sequence[Found], str]:
        first = int(token or 0)
        page = [Found(f"p/{number:06}", FILE) for number in range(first, first + 100)]
        return page, str(first + 100) if first + 100 < files else ""

    way, token, seen = with_contents(listed, numbers(keys())), "", 0
    tracemalloc.start()
    try:
        while True:
            page, token = way("p/", "", token)
            assert {one.entry.contents for one in page if one.entry is not None} == {each}
            seen += len(page)
            if not token:
                break
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert seen == files
    assert peak < 1_000_000
