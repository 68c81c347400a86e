"""Identifiers made by us: 63-bit integers that grow with time, unique among workers.

41 bits of milliseconds since 2020, 10 bits of worker, 12 bits of counter. A block of any length can be taken at
once; when the counter runs over, the generator borrows from coming milliseconds.
"""

import os
import threading
import time

_EPOCH_MS = 1_577_836_800_000


class Ids:
    """A source of identifiers. One per process; safe for threads."""

    def __init__(self, worker: int | None = None) -> None:
        self._worker = (os.getpid() if worker is None else worker) & 0x3FF
        self._lock = threading.Lock()
        self._last = 0  # milliseconds << 12 | counter

    def take(self) -> int:
        """Give one identifier, larger than any this process gave before."""
        return self.block(1)[0]

    def block(self, count: int) -> list[int]:
        """Give ``count`` identifiers in growing order."""
        with self._lock:
            now = (time.time_ns() // 1_000_000 - _EPOCH_MS) << 12
            first = max(now, self._last + 1)
            self._last = first + count - 1
        worker = self._worker << 12
        return [(n >> 12 << 22) | worker | (n & 0xFFF) for n in range(first, first + count)]


def before(at: int) -> int:
    """Give an identifier below all those of a time (microseconds since 1970) and later."""
    return min(max(0, (at // 1_000 - _EPOCH_MS) << 22), 1 << 63) - 1
