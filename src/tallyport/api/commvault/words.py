"""The words of this dialect for what is stored, and back."""

from tallyport.domain.executions import Execution
from tallyport.domain.states import Result, State, Wait

STATUS = {
    State.CREATED: "Waiting",
    State.PLANNING: "Running",
    State.SCHEDULED: "Waiting",
    State.READY: "Queued",
    State.WAITING: "Waiting",
    State.EXECUTING: "Running",
    State.PAUSING: "Suspend Pending",
    State.PAUSED: "Suspended",
    State.CANCELING: "Kill Pending",
    State.CANCELED: "Killed",
    State.COMPLETE: "Completed",
    State.FAILED: "Failed",
    State.FAILED_TO_START: "Failed to Start",
}
WAITING = {Wait.PARTS: "Running", Wait.BACKOFF: "Pending", Wait.BRAKE: "Pending"}
COMPLETE = {
    Result.WARNINGS: "Completed w/ one or more warnings",
    Result.ERRORS: "Completed w/ one or more errors",
}
COLORS = {"Completed": "green", "Failed": "red", "Failed to Start": "red", "Killed": "gray"}


def status(run: Execution) -> str:
    """Give the status of an execution."""
    return status_of(State(run.state), run.result, run.wait_reason)


def status_of(state: State, result: str | None, wait_reason: str | None) -> str:
    """Give the word for a state; a connection that recovers is waited for in "Pending"."""
    if state is State.WAITING and wait_reason is not None:
        return WAITING.get(Wait(wait_reason), "Waiting") if wait_reason in set(Wait) else "Pending"
    if state is State.COMPLETE and result is not None:
        return COMPLETE.get(Result(result), "Completed")
    return STATUS[state]


def color(word: str) -> str:
    """Give the colour of a status."""
    return COLORS.get(word, "yellow" if word.startswith("Completed") else "blue")
