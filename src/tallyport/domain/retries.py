"""How long to wait before trying again, within one execution."""

from typing import NamedTuple

from tallyport.domain.errors import ErrorKind


class Backoff(NamedTuple):
    """Waits of one kind of error, in seconds: doubled from ``first`` up to ``most``, for so many tries."""

    first: float
    most: float
    tries: int  # failures after which it is given up


BACKOFFS: dict[ErrorKind, Backoff] = {
    # the item's own
    ErrorKind.CORRUPT: Backoff(0.1, 1, 3),
    ErrorKind.CHANGED_DURING_COPY: Backoff(0.5, 5, 3),
    ErrorKind.UNEXPECTED: Backoff(0.5, 5, 3),
    ErrorKind.ALREADY_EXISTS: Backoff(0, 0, 3),  # decide again, from fresh facts
    # the connection's
    ErrorKind.RATE_LIMITED: Backoff(1, 60, 30),
    ErrorKind.UNAVAILABLE: Backoff(1, 300, 12),  # about half an hour
    ErrorKind.TIMEOUT: Backoff(1, 60, 6),
    ErrorKind.UNAUTHENTICATED: Backoff(0, 0, 2),  # once with a fresh token, then a person is needed
    ErrorKind.NO_SPACE: Backoff(30, 300, 6),
}


WAITS = Backoff(10, 300, 0)  # of a whole execution for a connection: it never gives up, a person may


def before_going_on(waits: int) -> float:
    """Give the seconds that an execution waits, after so many waits in a row (0 or more) with nothing settled."""
    return min(WAITS.most, WAITS.first * 2.0 ** min(waits, 60))


def after_failure(failures: int, kind: ErrorKind, jitter: float, *, retry_after: float | None = None) -> float | None:
    """Give the seconds to wait after so many failures in a row (1 or more), or None to give up.

    ``jitter`` is from 0 up to 1. ``retry_after`` is what the platform asked for: never earlier, and a tenth more
    at most, so that workers who were told the same do not come back together.
    """
    backoff = BACKOFFS.get(kind)
    if backoff is None or failures >= backoff.tries:
        return None
    wait = min(backoff.most, backoff.first * 2.0 ** min(failures - 1, 60)) * (0.5 + jitter / 2)
    if retry_after is not None:
        wait = max(wait, retry_after * (1 + jitter / 10))
    return wait
