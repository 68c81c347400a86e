"""When a platform may be asked again: it told somebody, and everybody waits, also in the middle of a call."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from tallyport.domain.errors import ErrorKind, TallyportError

LONGEST = 30.0  # seconds that a request waits; longer, and the caller hears how long
LOOK = 0.25  # seconds between two looks at whether to stop


class _Heeded(threading.local):
    """What each thread asks while it waits."""

    stopped: Callable[[], bool] | None = None


_heeded = _Heeded()


@contextmanager
def heeding(stopped: Callable[[], bool]) -> Iterator[None]:
    """Have every wait of this thread for a platform end early once it is to stop."""
    before, _heeded.stopped = _heeded.stopped, stopped
    try:
        yield
    finally:
        _heeded.stopped = before


def rest(seconds: float, sleep: Callable[[float], None]) -> bool:
    """Sleep in this thread; False when it is to stop, and time is left."""
    stopped = _heeded.stopped
    if stopped is None:
        sleep(seconds)
        return True
    while seconds > 0:
        if stopped():
            return False
        sleep(min(seconds, LOOK))
        seconds -= LOOK
    return True


class Pause:
    """One platform's pause, shared by all who ask it."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._until = 0.0

    def hold(self, seconds: float | None) -> None:
        """Let nobody ask for a time."""
        if seconds:
            with self._lock:
                self._until = max(self._until, self._clock() + seconds)

    @property
    def left(self) -> float:
        """Seconds until the platform may be asked."""
        return max(0.0, self._until - self._clock())

    def wait(self, operation: str, path: str = "") -> None:
        """Wait until the platform may be asked; raise how long that is when it is too long to wait here.

        Likewise where this thread is to stop meanwhile.
        """
        while (left := self._until - self._clock()) > 0:
            if left > LONGEST or not rest(left, self._sleep):
                left = self._until - self._clock()
                message = f"the platform asks to wait for {left:.0f} more seconds"
                raise TallyportError(ErrorKind.RATE_LIMITED, message, path=path, operation=operation, retry_after=left)


@runtime_checkable
class Pausing(Protocol):
    """A connector whose one call may be several requests: each of them waits."""

    def pause_with(self, pause: Pause) -> None:
        """Share a pause from now on."""
