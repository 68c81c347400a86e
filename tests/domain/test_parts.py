"""A job split into parts: who gets what, how far the whole is, how it ended."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyport.domain import parts
from tallyport.domain.parts import Child, Part, balance, ending, fitting, limits, overlap, progress
from tallyport.domain.states import Result, State

CLEAN = Part(State.COMPLETE, Result.CLEAN, 100, 1)
ERRORS = Part(State.COMPLETE, Result.ERRORS, 100, 1)
FAILED = Part(State.FAILED, None, 30, 1)
CANCELED = Part(State.CANCELED, None, 0, 1)
OPEN = Part(State.EXECUTING, None, 50, 1)

children = st.lists(
    st.builds(Child, st.text("abcdef", min_size=1, max_size=4), st.integers(1, 50), st.integers(0, 10**9)),
    unique_by=lambda child: child.name,
    max_size=40,
)


def names(groups: list[list[Child]]) -> list[list[str]]:
    return [[child.name for child in group] for group in groups]


@given(children)
def test_the_weight_asks_for_no_more_parts_than_there_are_children_nor_for_fewer_than_it_fills(found) -> None:
    wanted = fitting(found)
    assert 1 <= wanted <= max(1, len(found))
    size = sum(child.bytes for child in found)
    assert wanted == len(found) or wanted * parts.PART_BYTES >= size


def test_a_source_of_three_parts_of_items_is_three_parts() -> None:
    third = parts.PART_ITEMS - 1
    assert fitting([Child(name, third, 0) for name in "abc"]) == 3
    assert fitting([Child("a", 1, 2 * parts.PART_BYTES), Child("b", 1, 1), Child("c", 1, 0)]) == 3
    assert fitting([Child("a", 10 * third, 0)]) == 1  # nothing can be taken out of it
    assert fitting([]) == 1


def test_children_are_dealt_by_their_bytes() -> None:
    found = balance([Child("a", 1, 10), Child("b", 1, 90), Child("c", 1, 50), Child("d", 1, 40)], 2)
    assert names(found) == [["b", "a"], ["c", "d"]]


def test_without_bytes_children_are_dealt_by_their_items_and_fewer_children_make_fewer_parts() -> None:
    assert names(balance([Child("a", 5, 0), Child("b", 1, 0), Child("c", 4, 0)], 2)) == [["a"], ["c", "b"]]
    assert names(balance([Child("a", 1, 0)], 7)) == [["a"]]
    assert balance([], 3) == []


@given(children, st.integers(2, 9))
def test_each_child_is_dealt_once_and_no_group_is_far_above_the_mean(several: list[Child], wanted: int) -> None:
    groups = balance(several, wanted)
    assert sorted(name for group in names(groups) for name in group) == sorted(child.name for child in several)
    assert len(groups) == min(wanted, len(several))
    if several and any(child.bytes for child in several):
        loads = [sum(child.bytes for child in group) for group in groups]
        assert max(loads) <= sum(loads) / len(loads) + max(child.bytes for child in several)
    assert balance(reversed(several), wanted) == groups


def test_limits_name_what_lies_on_the_way_and_nothing_beside_it() -> None:
    assert limits(["a/b", "a/c/d", "e"]) == {"": ("a", "e"), "a": ("b", "c"), "a/c": ("d",)}
    assert limits([""]) == {}


@pytest.mark.parametrize(
    ("several", "found"),
    [
        ([["a"], ["a/b"]], ("a", "a/b")),
        ([["a", "b"], ["b"]], ("b", "b")),
        ([[""], ["x"]], ("", "x")),
        ([["a/b"], ["a/bc", "a"]], ("a", "a/b")),
        ([["a/b"], ["a/bc"]], None),
        ([["a", "b"], ["c"]], None),
    ],
)
def test_paths_that_lie_in_one_another_are_found(several: list[list[str]], found: tuple[str, str] | None) -> None:
    assert overlap(several) == found


def test_progress_is_weighted_and_100_means_that_every_part_is_complete() -> None:
    assert progress([Part(State.EXECUTING, None, 50, 900), Part(State.READY, None, 0, 100)]) == 45
    assert progress([CLEAN, ERRORS]) == 100
    assert progress([CLEAN._replace(weight=1_000), FAILED._replace(progress=100)]) == 99
    assert progress([]) == 0


@pytest.mark.parametrize(
    ("several", "halts", "state", "result"),
    [
        ([CLEAN, CLEAN], False, State.COMPLETE, Result.CLEAN),
        ([CLEAN._replace(result=Result.NO_CHANGES)] * 2, False, State.COMPLETE, Result.NO_CHANGES),
        ([CLEAN, CLEAN._replace(result=Result.WARNINGS)], False, State.COMPLETE, Result.WARNINGS),
        ([CLEAN, ERRORS], False, State.COMPLETE, Result.ERRORS),
        ([CLEAN, FAILED], False, State.COMPLETE, Result.ERRORS),
        ([CLEAN, CANCELED], False, State.COMPLETE, Result.ERRORS),
        ([FAILED, CANCELED], False, State.FAILED, None),
        ([CLEAN, FAILED], True, State.FAILED, None),
        ([OPEN, ERRORS], True, State.FAILED, None),
    ],
)
def test_how_the_whole_ends(several: list[Part], halts: bool, state: State, result: Result | None) -> None:
    end = ending(several, halts=halts)
    assert end is not None
    assert (end.state, end.result) == (state, result)


def test_the_whole_is_open_while_a_part_is() -> None:
    assert ending([CLEAN, OPEN], halts=False) is None
    assert ending([FAILED, OPEN], halts=False) is None
    assert ending([CLEAN, OPEN], halts=True) is None
