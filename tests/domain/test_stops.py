"""How executions end, when a job is done for good, and when deletes wait for a person."""

from __future__ import annotations

import pytest

from tallyport.domain.documents import BlockErrors
from tallyport.domain.policies import FailurePolicy, Policies
from tallyport.domain.retries import before_going_on
from tallyport.domain.states import Result, State
from tallyport.domain.stops import Counts, Stop, StopPolicy, brake, counted, ending, halts, read_stop_policy, verdict


def test_the_policy_of_the_sample():
    policy = read_stop_policy({"on_success": 5, "on_failure": 5, "on_execute": 25})
    assert policy == StopPolicy(5, 5, 25)
    assert read_stop_policy(None) == StopPolicy()
    with pytest.raises(BlockErrors):
        read_stop_policy({"on_success": 0, "max_errors": 3})


@pytest.mark.parametrize(
    ("state", "result", "counts"),
    [
        (State.COMPLETE, Result.NO_CHANGES, Counts(1, 1, 0)),
        (State.COMPLETE, Result.CLEAN, Counts(1, 0, 0)),
        (State.COMPLETE, Result.WARNINGS, Counts(1, 0, 0)),
        (State.COMPLETE, Result.ERRORS, Counts(1, 0, 1)),
        (State.FAILED, None, Counts(1, 0, 1)),
        (State.FAILED_TO_START, None, Counts(1, 0, 0)),
        (State.CANCELED, None, Counts(1, 0, 0)),
    ],
)
def test_what_an_execution_counts_as(state, result, counts):
    assert counted(Counts(), state, result) == counts


def test_limits_need_not_be_met_in_a_row():
    policy = StopPolicy(on_success=2, on_execute=9)
    assert verdict(policy, Counts(8, 1, 7)) is None
    assert verdict(policy, Counts(8, 2, 6)) is Stop.ON_SUCCESS
    assert verdict(policy, Counts(9, 0, 9)) is Stop.ON_EXECUTE
    assert verdict(StopPolicy(on_failure=1), Counts(1, 0, 1)) is Stop.ON_FAILURE
    assert verdict(StopPolicy(), Counts(10**6, 10**6, 10**6)) is None


def test_how_executions_end():
    assert ending(transferred=5, failed=0, writes=5) == (State.COMPLETE, Result.CLEAN)
    assert ending(transferred=0, failed=0, writes=0) == (State.COMPLETE, Result.NO_CHANGES)
    assert ending(transferred=0, failed=0, writes=3) == (State.COMPLETE, Result.CLEAN)
    assert ending(transferred=5, failed=0, writes=5, warnings=1) == (State.COMPLETE, Result.WARNINGS)
    assert ending(transferred=5, failed=1, writes=5) == (State.COMPLETE, Result.ERRORS)
    assert ending(transferred=0, failed=1, writes=0) == (State.FAILED, None)
    assert ending(transferred=5, failed=1, writes=5, halted=True) == (State.FAILED, None)


def test_halt_ends_at_the_first_failure():
    assert halts(Policies(failure_policy=FailurePolicy.HALT), 1)
    assert not halts(Policies(failure_policy=FailurePolicy.HALT), 0)
    assert not halts(Policies(), 10**6)


def test_the_delete_brake():
    policies = Policies(max_deletes=10, max_delete_percent=25)
    assert brake(policies, deletes=0, known=0, empty="the source") is None
    assert brake(policies, deletes=5, known=20) is None
    assert brake(policies, deletes=6, known=20) is not None
    assert brake(policies, deletes=11, known=10**6) is not None
    empty = brake(policies, deletes=1, known=10**6, empty="the source")
    assert empty is not None
    assert "source is empty" in empty.message
    assert brake(Policies(max_delete_percent=100), deletes=1, known=1, empty="the source") is None


def test_an_execution_waits_longer_each_time_in_vain_and_never_gives_up():
    assert [before_going_on(waits) for waits in range(7)] == [10, 20, 40, 80, 160, 300, 300]
    assert before_going_on(10**6) == 300
