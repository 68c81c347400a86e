"""How long a process may go on working batches without hearing from the database.

A worker that was cut off or frozen may have been given up by the others. Before whatever makes something visible
at a destination, or deletes, it looks whether it may still do so. The clock runs on while a process is stopped.
"""

import mmap
import time
from collections.abc import Callable

from tallyport.domain.errors import ErrorKind, TallyportError

LEASE_SIZE = 8  # bytes of a lease in shared memory

Guard = Callable[[], None]
"""Raises UNAVAILABLE when nothing may be made visible any more."""


def free() -> None:
    """Guard of a process that owns its store: nobody else works there."""


def is_over(guard: Guard) -> bool:
    """Tell whether a guard lets nothing pass any more."""
    try:
        guard()
    except TallyportError:
        return True
    return False


def clock() -> int:
    """Nanoseconds of a clock that does not stop."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Lease:
    """Ends at a time that :meth:`renew` moves on. Lies in shared memory when ``memory`` is given."""

    def __init__(self, memory: mmap.mmap | None = None, offset: int = 0) -> None:
        self._memory = memory if memory is not None else mmap.mmap(-1, LEASE_SIZE)
        self._place = slice(offset, offset + LEASE_SIZE)

    def renew(self, end: int) -> None:
        """Let work go on until ``end``, a time of :func:`clock`."""
        self._memory[self._place] = end.to_bytes(LEASE_SIZE, "little")

    @property
    def is_over(self) -> bool:
        return clock() > int.from_bytes(self._memory[self._place], "little")

    def guard(self) -> None:
        """Raise UNAVAILABLE when the lease is over: what is in hand is given back and looked at again."""
        if self.is_over:
            raise TallyportError(
                ErrorKind.UNAVAILABLE,
                "this worker has not reached the database for so long that others may have taken over its work",
                operation="work",
            )
