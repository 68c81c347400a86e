"""Bytes per second of one worker, by the windows of the job's policies.

Each worker keeps its own account of an even share; nothing is shared between processes. A change of the limits
of a running job reaches a worker as terms of a new revision.
"""

import time
from collections.abc import Callable

from tallyport.domain.policies import Bandwidth, Policies

_SLICE = 0.2  # seconds slept between two looks at the stop flag
_BURST = 0.5  # seconds of unused allowance that are kept
_DAY = 86_400


def rate_now(bandwidth: Bandwidth, since_start: float, *, started: float) -> int | None:
    """Give the rate that holds so many seconds after the execution's start, or None for no limit.

    A window lasts until midnight (UTC) of the day it begins on; the latest one that holds wins.
    """
    rate = bandwidth.bytes_per_second
    latest = -1.0
    for window in bandwidth.windows:
        begins = started + window.starts
        ends = (begins // _DAY + 1) * _DAY
        if latest < window.starts <= since_start < ends - started:
            rate, latest = window.bytes_per_second, window.starts
    return rate


class Throttle:
    """Makes its caller wait so that bytes pass no faster than this worker's share."""

    def __init__(
        self,
        bandwidth: Bandwidth,
        *,
        share: int,
        started: float,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bandwidth = bandwidth
        self._share = share
        self._started = started
        self._clock = clock
        self._sleep = sleep
        self._paid_until = clock()

    def take(self, count: int, stopped: Callable[[], bool]) -> None:
        """Account for bytes about to pass, waiting while earlier ones are not paid for; a stop ends the wait."""
        now = self._clock()
        rate = rate_now(self._bandwidth, now - self._started, started=self._started)
        if not rate:
            self._paid_until = now
            return
        self._paid_until = max(self._paid_until, now - _BURST) + count * self._share / rate
        while (wait := self._paid_until - self._clock()) > 0 and not stopped():
            self._sleep(min(wait, _SLICE))


def throttles(policies: Policies, *, share: int, started: int) -> list[Throttle]:
    """Give the throttles that content passes on its way: none where the job has no limit."""
    limits = [limit for limit in (policies.download, policies.upload) if limit.bytes_per_second or limit.windows]
    return [Throttle(limit, share=max(1, share), started=started / 1e9) for limit in limits]
