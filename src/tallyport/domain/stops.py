"""When an execution ends and how, and when a job has run often enough."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from tallyport.domain.documents import Reader, pointer
from tallyport.domain.policies import FailurePolicy, OnInitialize, Policies, TransferType
from tallyport.domain.states import Result, State


class StopPolicy(NamedTuple):
    """After how many executions of a kind a job is complete and never runs again. None = never for that."""

    on_success: int | None = None  # executions that found nothing to do and had no failure
    on_failure: int | None = None  # executions with failures
    on_execute: int | None = None  # all executions


class Counts(NamedTuple):
    """Executions of a job so far. None of them needs to be consecutive."""

    executions: int = 0
    successes: int = 0  # nothing to do, no failure
    failures: int = 0  # failed, or with failed items; failing to start is not among them


class Stop(StrEnum):
    """Which limit of a stop policy is met."""

    ON_SUCCESS = "on_success"
    ON_FAILURE = "on_failure"
    ON_EXECUTE = "on_execute"


def read_stop_policy(document: object, *, path: str = "/stop_policy") -> StopPolicy:
    """Read a job's ``stop_policy``. Raises ``BlockErrors``."""
    reader = Reader()
    members = reader.members({} if document is None else document, path, StopPolicy._fields)
    limits: Mapping[str, int | None] = {
        name: reader.whole(member, pointer(path, name), least=1) for name, member in members.items()
    }
    reader.finish()
    return StopPolicy(**limits)


def counted(counts: Counts, state: State, result: Result | None) -> Counts:
    """Count one execution that ended."""
    failed = state is State.FAILED or result is Result.ERRORS
    return Counts(
        counts.executions + 1,
        counts.successes + (result is Result.NO_CHANGES),
        counts.failures + failed,
    )


def verdict(policy: StopPolicy, counts: Counts) -> Stop | None:
    """Say which limit is met, if any. Judged when an execution has ended, never in the midst of one."""
    limits = (
        (Stop.ON_SUCCESS, policy.on_success, counts.successes),
        (Stop.ON_FAILURE, policy.on_failure, counts.failures),
        (Stop.ON_EXECUTE, policy.on_execute, counts.executions),
    )
    return next((stop for stop, limit, count in limits if limit is not None and count >= limit), None)


def halts(policies: Policies, failed: int) -> bool:
    """Tell whether so many failed items end the execution at once."""
    return failed > 0 and policies.failure_policy is FailurePolicy.HALT


def ending(
    *, transferred: int, failed: int, writes: int, warnings: int = 0, halted: bool = False
) -> tuple[State, Result | None]:
    """Give the state and result in which an execution ends that was not canceled.

    ``transferred`` counts items carried, ``writes`` every change made at either side.
    """
    if halted or (failed and not transferred and not writes):
        return State.FAILED, None
    if failed:
        return State.COMPLETE, Result.ERRORS
    if warnings:
        return State.COMPLETE, Result.WARNINGS
    return State.COMPLETE, Result.CLEAN if transferred or writes else Result.NO_CHANGES


def purges(policies: Policies, *, first_run: bool) -> bool:
    """Tell whether the destination is emptied before anything else: in the first run that is no simulation."""
    return first_run and policies.on_initialize is OnInitialize.PURGE_DESTINATION and not policies.simulation


def braked_tasks(transfer_type: str) -> tuple[str, ...]:
    """Name the tasks whose number the delete brake judges: on both sides of a sync job, else at the destination.

    What a move or migrate job takes from its source is no delete of content: it was carried and proved before.
    """
    is_sync = transfer_type == TransferType.SYNC
    return ("delete_source", "delete_destination") if is_sync else ("delete_destination",)


class Brake(NamedTuple):
    """Why the deletes of an execution wait for a person."""

    deletes: int
    known: int
    message: str


def judged(policies: Policies, *, files: int, here: int, there: int, is_purge: bool = False) -> Brake | None:
    """Say whether deletes ``here`` at the source and ``there`` at the destination go beyond what a job may do unasked.

    ``files`` were seen at the source. Where all of them are to go, the destination has lost everything.
    """
    empty = "the source" if not files and not is_purge else ""
    if not empty and here and here >= files:
        empty = "the destination"
    return brake(policies, deletes=here + there, known=max(files, here) + there, empty=empty)


def brake(policies: Policies, *, deletes: int, known: int, empty: str = "") -> Brake | None:
    """Say whether so many decided deletes go beyond what the job may do unasked.

    ``known`` counts the items of the job; a side that is ``empty`` counts as all of them. Asked before the first
    delete.
    """
    if deletes == 0:
        return None
    if deletes > policies.max_deletes:
        told = f"{deletes} deletes are more than limits.max_deletes allows ({policies.max_deletes})"
        return Brake(deletes, known, told)
    percent = 100.0 if empty or known == 0 else 100.0 * deletes / known
    if percent > policies.max_delete_percent:
        why = f"{empty} is empty" if empty else f"{deletes} of {known} items would be deleted"
        allowed = f"limits.max_delete_percent allows ({policies.max_delete_percent:g} %)"
        return Brake(deletes, known, f"{why}: more than {allowed}")
    return None
