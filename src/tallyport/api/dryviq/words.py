"""The words of this dialect for what is stored, and back."""

from collections.abc import Mapping

from tallyport.domain.executions import Execution
from tallyport.domain.items import Status
from tallyport.domain.jobs import Job, Standing
from tallyport.domain.states import Result, State, Wait

JOB = {
    State.CREATED: "idle",
    State.PLANNING: "running",
    State.SCHEDULED: "idle",
    State.READY: "start",
    State.WAITING: "start",  # see waiting()
    State.EXECUTING: "running",
    State.PAUSING: "running",
    State.PAUSED: "paused",
    State.CANCELING: "cancelling",
    State.CANCELED: "idle",
    State.COMPLETE: "idle",  # see job()
    State.FAILED: "failed",
    State.FAILED_TO_START: "failed-to-start",
}
WAITING = {
    Wait.PREDECESSORS: "start",
    Wait.WINDOW: "start",
    Wait.PARTS: "running",
    Wait.BACKOFF: "running",
    Wait.BRAKE: "awaiting-user",
    Wait.WORKER: "start",
}
_WAITS: Mapping[str, frozenset[str | None]] = {
    "start": frozenset({None, Wait.PREDECESSORS.value, Wait.WINDOW.value}),
    "running": frozenset({Wait.PARTS.value, Wait.BACKOFF.value}),
    "awaiting-user": frozenset({Wait.BRAKE.value}),
}


def _in(*states: State, errors: bool | None = None, closed: bool | None = None) -> Standing:
    return Standing(frozenset(state.value for state in states), errors, closed)


def _waiting(word: str) -> Standing:
    return Standing(frozenset({State.WAITING.value}), waits=_WAITS[word])


STANDINGS: Mapping[str, tuple[Standing, ...]] = {  # for the filter of a list: which jobs are shown with a word
    "idle": (_in(State.CREATED, State.SCHEDULED, State.CANCELED), _in(State.COMPLETE, errors=False, closed=False)),
    "start": (_in(State.READY), _waiting("start")),
    "running": (_in(State.PLANNING, State.EXECUTING, State.PAUSING), _waiting("running")),
    "awaiting-user": (_waiting("awaiting-user"),),
    "paused": (_in(State.PAUSED),),
    "cancelling": (_in(State.CANCELING),),
    "complete": (_in(State.COMPLETE, errors=False, closed=True),),
    "failed": (_in(State.FAILED), _in(State.COMPLETE, errors=True)),
    "failed-to-start": (_in(State.FAILED_TO_START),),
    # Passing or hidden states of the vendor's that no job here is shown in.
    **dict.fromkeys(("resume", "cancel", "not-complete", "success", "warn", "deleted"), ()),
}
ITEM = {
    Status.PENDING: "pending",
    Status.SUCCESS: "success",
    Status.PROCESSED: "processed",
    Status.RETRY: "retry",
    Status.FLAGGED: "remediation",
    Status.SKIPPED: "skipped",
    Status.IGNORED: "ignored",
}
STATUSES = {word: (status,) for status, word in ITEM.items()} | {
    "none": (Status.PENDING,),
    "flagged": (Status.FLAGGED,),
    "failed": (Status.RETRY, Status.FLAGGED),
}
LEVELS = {1: "trace", 2: "debug", 3: "info", 4: "warn", 5: "error"}


def job(value: Job, run: Execution | None) -> str:
    """Give the status of a job."""
    state = State(value.state)
    if state is State.WAITING and run is not None and run.wait_reason in set(Wait):
        return WAITING[Wait(run.wait_reason)]
    if state is State.CREATED and run is not None and not run.has_ended:
        return "start"  # a retry that was just asked
    if state is State.COMPLETE:
        if value.result == Result.ERRORS:
            return "failed"
        return "complete" if value.closed else "idle"
    return JOB[state]


def execution(run: Execution) -> str:
    """Give the status of an execution."""
    match State(run.state):
        case State.COMPLETE:
            return {"clean": "completed", "no_changes": "no_changes", "warnings": "warn"}.get(
                run.result or "", "failed"
            )
        case State.FAILED:
            return "failed"
        case State.FAILED_TO_START:
            return "failed_to_start"
        case State.CANCELED:
            return "cancelled"
    return "failing" if run.failed else "running"


def phase(run: Execution) -> str:
    """Give the phase of an execution: one of six words."""
    if run.has_ended:
        return "complete"
    return {"pending": "pending", "initialize": "initialize", "finalize": "finalize", "complete": "complete"}.get(
        run.phase, "executing"
    )
