"""What follows from an attempt to deliver an event to a webhook."""

from enum import StrEnum
from typing import NamedTuple

MINUTE, HOUR = 60.0, 3600.0
WAITS = (5.0, 30.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
"""Seconds before each further attempt: about three days in all. What is not delivered then is a dead letter."""
JITTER = 0.2  # of the wait, either way, so that many do not come back at one moment
LONGEST_WAIT = 24 * HOUR


class Fate(StrEnum):
    """What becomes of a delivery after an attempt."""

    DELIVERED = "delivered"
    AGAIN = "again"  # after a while
    DEAD = "dead"  # given up; a person may have it tried again
    GONE = "gone"  # the receiver said 410: it wants no more of them


class Verdict(NamedTuple):
    """The fate, and how long to wait."""

    fate: Fate
    wait: float = 0.0  # seconds
    rests: bool = False  # the receiver is in trouble as a whole: leave it alone for as long


def judge(status: int | None, attempts: int, *, retry_after: float | None, chance: float) -> Verdict:
    """Judge an attempt.

    ``status`` is absent when no answer came, ``attempts`` counts this one, ``chance`` is between 0 and 1.
    """
    if status is not None and 200 <= status < 300:
        return Verdict(Fate.DELIVERED)
    if status == 410:
        return Verdict(Fate.GONE)
    if attempts > len(WAITS):
        return Verdict(Fate.DEAD)
    wait = WAITS[attempts - 1] * (1 + JITTER * (2 * chance - 1))
    in_trouble = status is None or status >= 500 or status in (408, 429)
    if retry_after is not None and in_trouble:
        wait = min(max(wait, retry_after), LONGEST_WAIT)
    return Verdict(Fate.AGAIN, wait, in_trouble)
