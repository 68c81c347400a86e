"""How long an execution waits for a connection before it goes on.

What waits within a visit, a single call, is of ``connectors/layers/retrying.py`` and ``engine/pool.py``.
"""

from typing import NamedTuple


class Waits(NamedTuple):
    """Seconds, doubled from ``first`` up to ``most``."""

    first: float
    most: float


WAITS = Waits(10, 300)  # it never gives up, a person may


def before_going_on(waits: int) -> float:
    """Give the seconds that an execution waits, after so many waits in a row (0 or more) with nothing settled."""
    return min(WAITS.most, WAITS.first * 2.0 ** min(waits, 60))
