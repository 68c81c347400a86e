"""Which call is valid in which state, and the moves of one execution."""

from __future__ import annotations

import itertools

import pytest

from tallyport.domain.states import ACTIVE, EFFECTS, FINAL, MOVES, Call, State, Verdict, after, allowed, can_move

PAIRS = list(itertools.product(Call, State))
ENDS = (State.FAILED, State.FAILED_TO_START)


@pytest.mark.parametrize("managed", [True, False])
def test_every_call_has_an_answer_in_every_state(managed):
    assert all(isinstance(allowed(call, state, managed=managed), Verdict) for call, state in PAIRS)


def test_reading_editing_and_deleting_are_always_possible():
    for state in State:
        for call in (Call.READ, Call.EDIT, Call.ANNOTATE, Call.DELETE, Call.READ_PLAN):
            assert allowed(call, state) is Verdict.YES


def test_final_states_are_never_left():
    assert all(not MOVES[state] for state in FINAL)
    assert all(call not in (Call.CANCEL,) or state in FINAL for (call, state) in EFFECTS if not MOVES[state])


def test_every_state_is_reached_from_created_and_every_active_one_can_end():
    reached, front = {State.CREATED}, {State.CREATED}
    while front:
        front = {to for state in front for to in MOVES[state]} - reached
        reached |= front
    assert reached == set(State)
    for state in ACTIVE:
        ends: set[State] = set()
        front = {state}
        while front - ends:
            ends |= front
            front = {to for one in front for to in MOVES[one]}
        assert State.CANCELED in ends


def test_what_a_call_does_is_a_legal_move():
    for (call, state), to in EFFECTS.items():
        assert to is state or can_move(state, to), (call, state, to)


def test_a_call_that_does_something_is_allowed_for_managed_or_unmanaged_jobs():
    for call, state in EFFECTS:
        verdicts = {allowed(call, state, managed=managed) for managed in (True, False)}
        assert Verdict.YES in verdicts, (call, state)


@pytest.mark.parametrize(
    ("call", "state", "verdict"),
    [
        (Call.START, State.CREATED, Verdict.YES),
        (Call.START, State.EXECUTING, Verdict.SAME),
        (Call.START, State.PAUSING, Verdict.NO),
        (Call.START, State.PAUSED, Verdict.YES),
        (Call.START, State.CANCELING, Verdict.NO),
        (Call.PAUSE, State.CREATED, Verdict.NO),
        (Call.PAUSE, State.EXECUTING, Verdict.YES),
        (Call.PAUSE, State.PAUSED, Verdict.SAME),
        (Call.HOLD, State.COMPLETE, Verdict.YES),
        (Call.RESUME, State.PAUSED, Verdict.YES),
        (Call.RESUME, State.EXECUTING, Verdict.SAME),
        (Call.RESUME, State.COMPLETE, Verdict.NO),
        (Call.CANCEL, State.CANCELED, Verdict.SAME),
        (Call.CANCEL, State.COMPLETE, Verdict.NO),
        (Call.RETRY, State.EXECUTING, Verdict.DUPLICATE),
        (Call.RETRY, State.SCHEDULED, Verdict.NO),
        (Call.RETRY, State.FAILED, Verdict.YES),
        (Call.RESUBMIT, State.EXECUTING, Verdict.NO),
        (Call.ACK, State.CANCELED, Verdict.SAME),
        (Call.SPLIT, State.EXECUTING, Verdict.NO),
    ],
)
def test_managed_jobs(call, state, verdict):
    assert allowed(call, state) is verdict


@pytest.mark.parametrize(
    ("call", "state", "verdict"),
    [
        (Call.ACK, State.READY, Verdict.YES),
        (Call.ACK, State.WAITING, Verdict.NO),
        (Call.COMPLETE, State.EXECUTING, Verdict.YES),
        (Call.COMPLETE, State.COMPLETE, Verdict.SAME),
        (Call.COMPLETE, State.FAILED, Verdict.NO),
        (Call.FAIL, State.COMPLETE, Verdict.NO),
        (Call.FAIL, State.FAILED, Verdict.SAME),
        (Call.PROGRESS, State.EXECUTING, Verdict.YES),
        (Call.SPLIT, State.EXECUTING, Verdict.YES),
    ],
)
def test_jobs_that_an_outside_agent_drives(call, state, verdict):
    assert allowed(call, state, managed=False) is verdict


def test_an_administrator_may_force_the_end_of_a_managed_job_and_nothing_else():
    assert allowed(Call.COMPLETE, State.EXECUTING) is Verdict.NO
    assert allowed(Call.COMPLETE, State.EXECUTING, forced=True) is Verdict.YES
    assert allowed(Call.SPLIT, State.EXECUTING, forced=True) is Verdict.NO


def test_retry_of_a_clean_run_has_nothing_to_do():
    assert allowed(Call.RETRY, State.COMPLETE, unresolved=False) is Verdict.NO
    assert allowed(Call.RETRY, State.COMPLETE) is Verdict.YES
    assert all(allowed(Call.RETRY, state, unresolved=False) is Verdict.YES for state in ENDS)


def test_an_outcome_is_acknowledged_once_and_a_job_split_once():
    assert allowed(Call.ACK_OUTCOME, State.COMPLETE) is Verdict.YES
    assert allowed(Call.ACK_OUTCOME, State.COMPLETE, acknowledged=True) is Verdict.SAME
    assert allowed(Call.ACK_OUTCOME, State.READY, acknowledged=True) is Verdict.NO
    assert allowed(Call.SPLIT, State.CREATED, was_split=True) is Verdict.NO


def test_where_calls_lead():
    assert after(Call.PAUSE, State.EXECUTING) is State.PAUSING
    assert after(Call.PAUSE, State.READY) is State.PAUSED
    assert after(Call.CANCEL, State.EXECUTING) is State.CANCELING
    assert after(Call.CANCEL, State.CREATED) is State.CANCELED
    assert after(Call.RETRY, State.FAILED) is State.FAILED
