"""Words and names that tables and statements share."""

JOB_STATES = (
    "created",
    "planning",
    "scheduled",
    "ready",
    "waiting",
    "executing",
    "pausing",
    "paused",
    "canceling",
    "canceled",
    "complete",
    "failed",
    "failed_to_start",
)
PRINCIPAL_TEXTS = ("id", "username", "name", "caption", "email")  # of an account or group
ENDED = ("canceled", "complete", "failed", "failed_to_start")
