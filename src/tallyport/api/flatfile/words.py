"""The words of this dialect for what is stored, and back."""

from tallyport.domain.jobs import Job
from tallyport.domain.states import State

STATUS = {
    State.CREATED: "created",
    State.PLANNING: "planning",
    State.SCHEDULED: "scheduled",
    State.READY: "ready",
    State.WAITING: "waiting",
    State.EXECUTING: "executing",
    State.PAUSING: "executing",
    State.PAUSED: "waiting",
    State.CANCELING: "executing",
    State.CANCELED: "canceled",
    State.COMPLETE: "complete",
    State.FAILED: "failed",
    State.FAILED_TO_START: "failed",
}
STATUSES = tuple(dict.fromkeys(STATUS.values()))
SYNONYMS = {"cancelled": "canceled", "completed": "complete"}  # accepted on input
TYPES = ("file", "workbook", "sheet", "space", "document", "app", "agent", "autobuild", "onboarding")
MODES = ("foreground", "background", "toolbarBlocking", "hidden")
TRIGGERS = ("manual", "immediate")
PART_EXECUTIONS = ("sequential", "parallel")


def status(value: Job) -> str:
    """Give the status of a job."""
    return STATUS[State(value.state)]


def trigger(value: Job) -> str:
    """Give how the job's first run began: by its schedule at once, or by a person."""
    return "immediate" if value.schedule_mode == "auto" and not value.held else "manual"
