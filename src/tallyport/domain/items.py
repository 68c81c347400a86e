"""The lasting record of one path in one job, and how an outcome becomes its next state."""

from enum import IntEnum


class Status(IntEnum):
    """State of an item. The number is stored; the words of each dialect are in ``api/``."""

    PENDING = 0  # planned, not finished: large file under way, execution stopped
    SUCCESS = 1  # carried unmodified and verified, or known equal
    PROCESSED = 2  # carried after a change: converted, renamed, encoded, truncated, deduplicated, restored
    RETRY = 3  # failed, will be tried again in the next execution
    FLAGGED = 4  # failed, tries used up or not worth another: a person decides
    SKIPPED = 5  # left out by filter or policy
    IGNORED = 6  # left out by a person


DONE = frozenset({Status.SUCCESS, Status.PROCESSED})
FAILED = frozenset({Status.RETRY, Status.FLAGGED})
