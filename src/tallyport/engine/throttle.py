"""Bytes per second of an execution: one account that all its workers share, and rates that may change meanwhile.

The engine writes the rate of the moment (windows of the job's policies, a change of a running job); a worker
asks before bytes pass and waits for its turn. Movers are processes, so an account lives in shared memory and is
changed under a lock on that memory's file. Workers of other machines keep accounts of their own.
"""

import fcntl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tallyport.domain.policies import Bandwidth, Policies

_SLICE = 0.1  # seconds slept between two looks at the rate and the stop flag
_BURST = 0.25  # seconds of unused allowance that are kept
_DAY = 86_400
_CELL = struct.Struct("<qqddq")  # execution, bytes asked for, bytes allowed, when that was, rate (-1 none)
_CELLS = 512  # two for each execution; two executions share some only when their numbers are 256 apart
SIZE = _CELL.size * _CELLS


class Rates(NamedTuple):
    """Bytes a second that hold now; None is no limit."""

    download: int | None = None
    upload: int | None = None


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


def rates_now(policies: Policies, now: float, *, started: float) -> Rates:
    """Give the rates of both directions at a moment; both moments are seconds since 1970."""
    since = now - started
    return Rates(rate_now(policies.download, since, started=started), rate_now(policies.upload, since, started=started))


class Accounts:
    """The accounts of executions in memory that may be shared with other processes, by its file ``fd``."""

    def __init__(
        self,
        memory: memoryview | None = None,
        fd: int | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._memory = memoryview(bytearray(SIZE)) if memory is None else memory
        self._fd = fd
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()

    def limit(self, execution_id: int, rates: Rates) -> None:
        """Set what holds for an execution from now on, also for who is waiting."""
        for way, rate in enumerate(rates):
            cell = self._cell(execution_id, way)
            wanted = -1 if rate is None else rate
            with self._changing():
                owner, asked, allowed, filled, held = _CELL.unpack_from(self._memory, cell)
                if owner == execution_id and held == wanted:
                    continue
                now = self._clock()
                if owner != execution_id or held < 0:  # what passed without a limit is not paid for
                    asked, allowed = 0, 0.0
                else:
                    allowed = _filled(asked, allowed, filled, now, held)
                _CELL.pack_into(self._memory, cell, execution_id, asked, allowed, now, wanted)

    def is_limited(self, execution_id: int) -> bool:
        """Tell whether bytes of this execution have to ask."""
        return any(self._rate(execution_id, way) >= 0 for way in (0, 1))

    def take(self, execution_id: int, count: int, stopped: Callable[[], bool]) -> None:
        """Account for bytes about to pass, waiting for those before them; a stop ends the wait."""
        for cell, turn in self._turns(execution_id, count):
            self._wait(execution_id, cell, turn, stopped)

    def _turns(self, execution_id: int, count: int) -> list[tuple[int, int]]:
        """Ask both ways at once, so that waiting for one is waiting for the other as well."""
        turns = []
        for way in (0, 1):
            if self._rate(execution_id, way) < 0:
                continue
            cell = self._cell(execution_id, way)
            with self._changing():
                owner, asked, allowed, filled, rate = _CELL.unpack_from(self._memory, cell)
                now = self._clock()
                allowed = _filled(asked, allowed, filled, now, rate)
                _CELL.pack_into(self._memory, cell, owner, asked + count, allowed, now, rate)
            turns.append((cell, asked + count))
        return turns

    def _wait(self, execution_id: int, cell: int, turn: int, stopped: Callable[[], bool]) -> None:
        while not stopped():
            with self._changing():
                owner, asked, allowed, filled, rate = _CELL.unpack_from(self._memory, cell)
                if owner != execution_id or rate < 0 or turn > asked:  # another account by now, or no limit
                    return
                now = self._clock()
                allowed = _filled(asked, allowed, filled, now, rate)
                _CELL.pack_into(self._memory, cell, owner, asked, allowed, now, rate)
            if allowed >= turn:
                return
            self._sleep(min(_SLICE, max(0.001, (turn - allowed) / rate)) if rate else _SLICE)

    def _rate(self, execution_id: int, way: int) -> int:
        owner, _, _, _, rate = _CELL.unpack_from(self._memory, self._cell(execution_id, way))
        return int(rate) if owner == execution_id else -1

    def _cell(self, execution_id: int, way: int) -> int:
        return ((execution_id * 2 + way) % _CELLS) * _CELL.size

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            if self._fd is None:
                yield
                return
            fcntl.lockf(self._fd, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._fd, fcntl.LOCK_UN)


class Meter:
    """The account of one execution, as its workers see it."""

    def __init__(self, accounts: Accounts, execution_id: int) -> None:
        self._accounts = accounts
        self._execution = execution_id

    @property
    def is_limited(self) -> bool:
        return self._accounts.is_limited(self._execution)

    def take(self, count: int, stopped: Callable[[], bool]) -> None:
        """Wait until so many bytes may pass."""
        self._accounts.take(self._execution, count, stopped)


def _filled(asked: int, allowed: float, filled: float, now: float, rate: int) -> float:
    """Give the bytes allowed by now; little of what nobody asked for is kept."""
    return float(min(allowed + max(0.0, now - filled) * rate, asked + _BURST * rate))
