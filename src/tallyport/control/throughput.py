"""How fast the server carries: samples of the totals of what runs, kept for an hour, in memory alone."""

from collections import deque
from collections.abc import Sequence
from threading import Event, Lock
from typing import NamedTuple

from tallyport.store import executions, rows
from tallyport.store.database import Database

INTERVAL = 2.0  # seconds between two samples
KEPT = 1_800  # samples: an hour
_LATELY = 12_000_000  # microseconds that a present rate looks back
_MICRO = 1_000_000


class Sample(NamedTuple):
    """What was carried in all within one interval."""

    at: int  # microseconds
    bytes_per_second: float
    items_per_second: float
    running: int  # executions


class _Seen(NamedTuple):
    at: int
    bytes: int
    items: int


class Meter:
    """Reads the totals of open executions again and again. One per server; they are right after a restart too."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._samples: deque[Sample] = deque(maxlen=KEPT)
        self._seen: dict[int, deque[_Seen]] = {}
        self._last = 0

    def samples(self, after: int = 0) -> Sequence[Sample]:
        """Give the samples after a moment, oldest first; takes one now when the last is old."""
        self.sample()
        with self._lock:
            return [one for one in self._samples if one.at > after]

    def rate(self, execution_id: int) -> tuple[float, float] | None:
        """Give an execution's bytes and items a second of late; None when it was seen too short a time."""
        self.sample()
        with self._lock:
            seen = self._seen.get(execution_id)
            if not seen or seen[-1].at - seen[0].at < _MICRO:
                return None
            first, last = seen[0], seen[-1]
            seconds = (last.at - first.at) / _MICRO
            return (last.bytes - first.bytes) / seconds, (last.items - first.items) / seconds

    def sample(self) -> None:
        """Take a sample unless one was taken just now."""
        with self._lock:
            now = rows.now()
            if now - self._last < INTERVAL * _MICRO * 0.9:
                return
            with self._database.read() as tx:
                opened = executions.opened(tx)
                gone = [one for one in self._seen if one not in {run.id for run in opened}]
                ended = [run for run in (executions.find(tx, one) for one in gone) if run is not None]
            carried, settled = 0, 0
            for run in (*opened, *ended):
                seen = self._seen.setdefault(run.id, deque())
                if seen:
                    carried += run.transferred_bytes - seen[-1].bytes
                    settled += run.items - seen[-1].items
                elif self._last and run.started_at is not None and run.started_at > self._last:
                    carried, settled = carried + run.transferred_bytes, settled + run.items
                seen.append(_Seen(now, run.transferred_bytes, run.items))
                while len(seen) > 2 and seen[0].at < now - _LATELY:
                    seen.popleft()
            for one in gone:
                del self._seen[one]
            if self._last:
                seconds = (now - self._last) / _MICRO
                running = sum(run.state == "executing" for run in opened)
                self._samples.append(Sample(now, max(carried, 0) / seconds, max(settled, 0) / seconds, running))
            self._last = now

    def run(self, stop: Event) -> None:
        """Sample until told to stop."""
        while not stop.wait(INTERVAL):
            self.sample()
