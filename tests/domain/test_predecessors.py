"""Jobs that must be complete before another may begin."""

from __future__ import annotations

import pytest

from tallyport.domain.predecessors import Go, OnFailure, Predecessor, cycle, verdict
from tallyport.domain.states import State

DONE = Predecessor("a", "first", State.COMPLETE)
OPEN = Predecessor("b", "second", State.EXECUTING)
LOST = Predecessor("c", "third", State.CANCELED)
GONE = Predecessor("d", "fourth", State.COMPLETE, is_deleted=True)


@pytest.mark.parametrize(
    ("several", "policy", "go"),
    [
        ([], OnFailure.HOLD, Go.YES),
        ([DONE], OnFailure.HOLD, Go.YES),
        ([DONE, OPEN], OnFailure.RUN, Go.WAIT),
        ([LOST], OnFailure.HOLD, Go.WAIT),
        ([LOST], OnFailure.FAIL, Go.FAIL),
        ([LOST, OPEN], OnFailure.FAIL, Go.FAIL),
        ([LOST], OnFailure.RUN, Go.YES),
        ([LOST, OPEN], OnFailure.RUN, Go.WAIT),
        ([GONE], OnFailure.HOLD, Go.WAIT),
        ([GONE], OnFailure.RUN, Go.YES),
    ],
)
def test_whether_a_job_may_begin(several: list[Predecessor], policy: OnFailure, go: Go) -> None:
    assert verdict(several, policy).go is go


def test_whoever_waits_is_told_for_whom() -> None:
    assert verdict([OPEN], OnFailure.HOLD).info == "waits for job second (b), executing"
    assert "third (c), canceled" in str(verdict([OPEN, LOST], OnFailure.HOLD).info)
    assert "fourth (d), deleted" in str(verdict([GONE], OnFailure.FAIL).info)
    many = [OPEN._replace(id=str(n)) for n in range(9)]
    assert str(verdict(many, OnFailure.HOLD).info).endswith(" and 4 more")
    assert verdict([DONE], OnFailure.HOLD).info is None


def test_a_cycle_is_named_and_a_diamond_is_none() -> None:
    edges = {"b": ["c"], "c": ["a"], "x": ["z"], "y": ["z"]}
    assert cycle("a", ["b"], lambda one: edges.get(one, [])) == ["a", "b", "c", "a"]
    assert cycle("a", ["a"], lambda one: edges.get(one, [])) == ["a", "a"]
    assert cycle("q", ["x", "y"], lambda one: edges.get(one, [])) is None
