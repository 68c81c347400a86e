"""What can go wrong, and what we do about it by default.

``kind`` says what happened and is said where it happened; ``REMEDIES`` says what to do and stands here alone.
No HTTP status is known below ``api/``.
"""

from enum import StrEnum


class Scope(StrEnum):
    """How far an error reaches."""

    ITEM = "item"
    CONNECTION = "connection"
    JOB = "job"
    EXECUTION = "execution"


class Remedy(StrEnum):
    """What the engine does about an error when no policy says otherwise."""

    LOOK_AGAIN = "look_again"  # next execution
    DECIDE_AGAIN = "decide_again"  # now, from fresh facts, a bounded number of times
    FLAG = "flag"  # failed; counts a try; a person may retry or ignore
    RETRY = "retry"  # a few times, then flag
    WAIT = "wait"  # the connection recovers by itself: back off, then go on
    REFUSE = "refuse"  # before the execution starts
    STOP = "stop"  # no try is counted


class ErrorKind(StrEnum):
    """What happened. The value is also the :class:`~tallyport.domain.actions.Reason` stored with the item."""

    NOT_FOUND = "not_found"  # vanished since listing
    ALREADY_EXISTS = "already_exists"
    PERMISSION_DENIED = "permission_denied"
    LOCKED = "locked"
    INVALID_NAME = "invalid_name"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    CORRUPT = "corrupt"  # verification failed; what was written is removed
    CHANGED_DURING_COPY = "changed_during_copy"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    UNAUTHENTICATED = "unauthenticated"
    NO_SPACE = "no_space"
    READ_ONLY = "read_only"
    IO_ERROR = "io_error"
    CONFIG = "config"
    CANCELLED = "cancelled"
    UNEXPECTED = "unexpected"


REMEDIES: dict[ErrorKind, tuple[Scope, Remedy]] = {
    ErrorKind.NOT_FOUND: (Scope.ITEM, Remedy.LOOK_AGAIN),
    ErrorKind.ALREADY_EXISTS: (Scope.ITEM, Remedy.DECIDE_AGAIN),
    ErrorKind.PERMISSION_DENIED: (Scope.ITEM, Remedy.FLAG),
    ErrorKind.LOCKED: (Scope.ITEM, Remedy.FLAG),
    ErrorKind.INVALID_NAME: (Scope.ITEM, Remedy.FLAG),
    ErrorKind.TOO_LARGE: (Scope.ITEM, Remedy.FLAG),
    ErrorKind.UNSUPPORTED: (Scope.ITEM, Remedy.FLAG),
    ErrorKind.CORRUPT: (Scope.ITEM, Remedy.RETRY),
    ErrorKind.CHANGED_DURING_COPY: (Scope.ITEM, Remedy.RETRY),
    ErrorKind.RATE_LIMITED: (Scope.CONNECTION, Remedy.WAIT),
    ErrorKind.UNAVAILABLE: (Scope.CONNECTION, Remedy.WAIT),
    ErrorKind.TIMEOUT: (Scope.CONNECTION, Remedy.WAIT),
    ErrorKind.UNAUTHENTICATED: (Scope.CONNECTION, Remedy.WAIT),
    ErrorKind.NO_SPACE: (Scope.CONNECTION, Remedy.WAIT),
    ErrorKind.READ_ONLY: (Scope.CONNECTION, Remedy.STOP),
    ErrorKind.IO_ERROR: (Scope.ITEM, Remedy.FLAG),
    ErrorKind.CONFIG: (Scope.JOB, Remedy.REFUSE),
    ErrorKind.CANCELLED: (Scope.EXECUTION, Remedy.STOP),
    ErrorKind.UNEXPECTED: (Scope.ITEM, Remedy.RETRY),
}


# What a person reads when a connection, not an item, is in trouble.
HALTS: dict[ErrorKind, str] = {
    ErrorKind.NO_SPACE: "no space left at the destination: it goes on when there is room",
    ErrorKind.READ_ONLY: "the destination is read-only: make it writable, then run the job again",
    ErrorKind.UNAVAILABLE: "a connection is not available: it is tried again",
    ErrorKind.TIMEOUT: "a connection does not answer in time: it is tried again",
    ErrorKind.RATE_LIMITED: "a connection asks for a slower pace: it goes on in a while",
    ErrorKind.UNAUTHENTICATED: "a connection refuses its credentials: put them right, it is tried again",
}


class TallyportError(Exception):
    """One error of ours: what, where, and what the person can do, in ``message``."""

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        path: str | None = None,
        side: str | None = None,
        operation: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.path = path
        self.side = side
        self.operation = operation
        self.retry_after = retry_after  # seconds
