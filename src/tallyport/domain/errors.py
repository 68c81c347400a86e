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


_ACCOUNTS = (ErrorKind.PERMISSION_DENIED, ErrorKind.UNAUTHENTICATED)
_UNUSUAL = {  # what one thinks of the other end at
    "source": ("write", "make", "delete", "remove", "rename", "stamp"),
    "destination": ("read", "look at", "list", "hash"),
}

# What a person reads when a connection, not an item, is in trouble: whose it is where nobody knows, what comes of it.
HALTS: dict[ErrorKind, tuple[str, str]] = {
    ErrorKind.NO_SPACE: ("the destination", "{} has no space left: it goes on when there is room"),
    ErrorKind.READ_ONLY: ("the destination", "{} is read-only: make it writable, then run the job again"),
    ErrorKind.UNAVAILABLE: ("a connection", "{} is not available: it is tried again"),
    ErrorKind.TIMEOUT: ("a connection", "{} does not answer in time: it is tried again"),
    ErrorKind.RATE_LIMITED: ("a connection", "{} asks for a slower pace: it goes on in a while"),
    ErrorKind.UNAUTHENTICATED: ("a connection", "{} refuses its credentials: put them right, it is tried again"),
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
        setting: str = "",
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.path = path
        self.side = side
        self.operation = operation
        self.retry_after = retry_after  # seconds
        self.setting = setting  # of a connection: what is to be put right; host stands for whatever says where it is
        self.whose = ""  # for a person: the end of a job, as in: the destination 'archive' (s3)


def claimed(error: TallyportError, side: str, name: str) -> None:
    """Write down at which end of a job an error came up, unless that was done; its message says so where it helps.

    It helps where an account may not do something, and where the other end is the one that one thinks of.
    """
    if error.whose:
        return
    error.side = error.side or side
    error.whose = f"the {side} {name}".rstrip()
    if error.kind in _ACCOUNTS or error.operation in _UNUSUAL.get(side, ()):
        error.message = f"{error.whose}: {error.message}"
        error.args = (error.message,)


def halt(kind: ErrorKind, error: TallyportError | None = None) -> str:
    """Say that a connection is in trouble: whose, what comes of it, and its last error."""
    anybody, text = HALTS.get(kind, ("a connection", f"{{}} has a trouble ({kind})"))
    if error is None:
        return text.format(anybody)
    said = text.format(error.whose or anybody)
    return f"{said}. The last error: {error.message.removeprefix(f'{error.whose}: ')}"
