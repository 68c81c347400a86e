"""Status and tries after an action, and what becomes of the baseline."""

from __future__ import annotations

import pytest

from tallyport.domain.actions import (
    Adopt,
    Delete,
    Enter,
    Flag,
    Forget,
    Inspect,
    Look,
    MakeContainer,
    Reason,
    Skip,
    Stamp,
    Transfer,
)
from tallyport.domain.entries import Side
from tallyport.domain.errors import REMEDIES, ErrorKind, Remedy
from tallyport.domain.items import Status
from tallyport.domain.settle import BaselineMove, baseline_after, failed, retried, settle

SEND = Transfer(Side.DESTINATION, Reason.NEW_AT_SOURCE)


def test_three_tries_over_executions_then_a_person():
    status, attempts = settle(Status.PENDING, 0, SEND, ErrorKind.PERMISSION_DENIED)
    assert (status, attempts) == (Status.RETRY, 1)
    status, attempts = settle(status, attempts, SEND, ErrorKind.IO_ERROR)
    assert (status, attempts) == (Status.RETRY, 2)
    status, attempts = settle(status, attempts, SEND, ErrorKind.CORRUPT)
    assert (status, attempts) == (Status.FLAGGED, 3)
    assert settle(status, attempts, Skip(Reason.STAYS_FLAGGED)) == (Status.FLAGGED, 3)
    assert retried() == (Status.RETRY, 0)


def test_success_gives_all_tries_back():
    assert settle(Status.RETRY, 2, SEND) == (Status.SUCCESS, 0)
    assert settle(Status.RETRY, 2, SEND, processed=True) == (Status.PROCESSED, 0)


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_what_is_not_the_items_fault_costs_no_try(kind):
    remedy = REMEDIES[kind][1]
    status, attempts = failed(1, kind)
    if remedy in (Remedy.LOOK_AGAIN, Remedy.WAIT, Remedy.REFUSE, Remedy.STOP):
        assert (status, attempts) == (Status.PENDING, 1)
    elif kind is ErrorKind.LOCKED:  # tried until whoever holds it lets go
        assert (status, attempts) == (Status.RETRY, 1)
    else:
        assert (status, attempts) == (Status.RETRY, 2)


def test_a_connection_that_was_waited_for_in_vain_costs_a_try():
    assert failed(0, ErrorKind.TIMEOUT, gave_up=True) == (Status.RETRY, 1)
    assert failed(0, ErrorKind.CANCELLED, gave_up=True) == (Status.PENDING, 0)


def test_the_number_of_tries_is_a_policy():
    assert failed(0, ErrorKind.IO_ERROR, max_attempts=1) == (Status.FLAGGED, 1)


def test_a_decision_that_asks_a_person_flags_at_once():
    assert settle(Status.PENDING, 0, Flag(Reason.TOO_LARGE)) == (Status.FLAGGED, 0)


@pytest.mark.parametrize(
    ("before", "action", "status"),
    [
        (Status.PENDING, Skip(Reason.IGNORED_PATTERN), Status.SKIPPED),
        (Status.SUCCESS, Skip(Reason.DESTINATION_CHANGED), Status.SKIPPED),
        (Status.SUCCESS, Skip(Reason.IGNORED_BY_USER), Status.IGNORED),
        (Status.SUCCESS, Skip(Reason.UNCHANGED), Status.SUCCESS),
        (Status.PROCESSED, Skip(Reason.UNCHANGED), Status.PROCESSED),
        (Status.RETRY, Skip(Reason.UNCHANGED), Status.SUCCESS),
        (Status.SKIPPED, Skip(Reason.UNCHANGED), Status.SKIPPED),
        (Status.SUCCESS, Skip(Reason.DELETED_AT_SOURCE), Status.SUCCESS),
        (Status.PROCESSED, Adopt(Reason.SAME_CONTENT), Status.PROCESSED),
        (Status.PROCESSED, SEND, Status.SUCCESS),
        (Status.PENDING, MakeContainer(Side.DESTINATION, Reason.NEW_AT_SOURCE), Status.SUCCESS),
        (Status.PENDING, Enter(Reason.UNCHANGED), Status.SUCCESS),
        (Status.SUCCESS, Delete(Side.SOURCE, Reason.MOVED), Status.SUCCESS),
    ],
)
def test_outcomes(before, action, status):
    assert settle(before, 0, action).status is status


@pytest.mark.parametrize("question", [Look(), Inspect(frozenset({Side.SOURCE}))])
def test_a_question_is_no_outcome(question):
    with pytest.raises(ValueError, match="question"):
        settle(Status.PENDING, 0, question)


def test_a_baseline_moves_on_success_only():
    assert baseline_after(SEND) is BaselineMove.TAKE
    assert baseline_after(SEND, ErrorKind.IO_ERROR) is BaselineMove.KEEP
    assert baseline_after(Skip(Reason.DESTINATION_NEWER)) is BaselineMove.KEEP
    assert baseline_after(Flag(Reason.CONFLICT)) is BaselineMove.KEEP
    assert baseline_after(Stamp(Side.SOURCE, Reason.METADATA_CHANGED)) is BaselineMove.TAKE
    assert baseline_after(Delete(Side.DESTINATION, Reason.DELETED_AT_SOURCE)) is BaselineMove.DROP
    assert baseline_after(Delete(Side.SOURCE, Reason.MOVED)) is BaselineMove.KEEP
    assert baseline_after(Forget(Reason.DELETED_BOTH)) is BaselineMove.DROP
