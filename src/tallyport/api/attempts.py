"""How often sign-ins from one address failed: above a limit it has to wait. Kept in memory: a restart forgives."""

import contextlib
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from threading import Lock

from fastapi import Request

from tallyport.control.refusals import NotSignedIn
from tallyport.control.users import TooManyAttempts

MOST = 30  # failures
WITHIN = 300.0  # seconds
_ADDRESSES = 10_000


class Attempts:
    """A moving window for each address. One per server."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()

    @contextlib.contextmanager
    def guarded(self, address: str) -> Iterator[None]:
        """Let somebody try to sign in from an address, or raise TooManyAttempts; a refusal inside is counted."""
        now = self._clock()
        with self._lock:
            times = self._failed.get(address, deque())
            while times and times[0] <= now - WITHIN:
                times.popleft()
            if len(times) >= MOST:
                raise TooManyAttempts(locked_for=int(times[0] + WITHIN - now) + 1)
        try:
            yield
        except NotSignedIn:
            with self._lock:
                self._failed.setdefault(address, deque(maxlen=MOST)).append(now)
                self._failed.move_to_end(address)
                if len(self._failed) > _ADDRESSES:
                    self._failed.popitem(last=False)
            raise


def guarded(request: Request) -> contextlib.AbstractContextManager[None]:
    """Guard the sign-in of a request."""
    attempts: Attempts = request.app.state.attempts
    return attempts.guarded(request.client.host if request.client is not None else "")
