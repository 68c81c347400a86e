"""How far an execution is: by bytes once some are known, by items before; it never falls, and 100 means complete."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from tallyport.control.pictures import Picture
from tallyport.domain import parts
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.domain.states import Result, State
from tallyport.store import frontier
from tallyport.store.database import Database

_KEPT = 4_096
_FRESH = 1.0  # seconds for which a count holds
_MOST_AHEAD = 10_000  # containers that are counted; beyond it the share is of as many


def ahead_in(database: Database) -> Callable[[Execution], int]:
    """Give a way to count the containers that an execution knows and has not gone through."""

    def ahead(run: Execution) -> int:
        with database.read() as tx:
            return frontier.visits_ahead(tx, database, run.id, _MOST_AHEAD)

    return ahead


def _nothing_ahead(run: Execution) -> int:
    return 0


class Gauge:
    """Remembers the highest value shown of each execution. One per server."""

    def __init__(
        self,
        count_ahead: Callable[[Execution], int] = _nothing_ahead,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._highest: OrderedDict[int, int] = OrderedDict()
        self._ahead: OrderedDict[int, tuple[float, int]] = OrderedDict()
        self._count_ahead = count_ahead
        self._clock = clock
        self._lock = Lock()

    def percent(self, run: Execution, previous: Execution | None) -> int:
        """Give 0 to 100."""
        if run.state == State.COMPLETE:
            return 100
        return self._highest_of(run, min(_share(run, previous, self.ahead(run)), 99))

    def ahead(self, run: Execution) -> int:
        """Give how many containers a run knows and has not gone through; may ask the store, once a moment."""
        if run.has_ended:
            return 0
        now = self._clock()
        with self._lock:
            held = self._ahead.get(run.id)
        if held is not None and now - held[0] < _FRESH:
            return held[1]
        count = self._count_ahead(run)
        with self._lock:
            self._ahead[run.id] = (now, count)
            if len(self._ahead) > _KEPT:
                self._ahead.popitem(last=False)
        return count

    def _highest_of(self, run: Execution, now: int) -> int:
        with self._lock:
            now = max(now, self._highest.pop(run.id, 0))
            self._highest[run.id] = now
            if len(self._highest) > _KEPT:
                self._highest.popitem(last=False)
        return now

    def of(self, picture: Picture) -> int:
        """Give the progress of a job's present execution; of one that parts work, theirs by their weight."""
        run = picture.execution
        if run is None:
            return 0
        if not picture.parts or run.has_ended:
            return self.percent(run, picture.previous)
        return self._highest_of(run, parts.progress([self._part(job, below) for job, below in picture.parts]))

    def _part(self, job: Job, run: Execution | None) -> parts.Part:
        result = None if job.result is None else Result(job.result)
        weight = int(str(job.extra.get("part_weight", 1)))
        return parts.Part(State(job.state), result, 0 if run is None else self.percent(run, None), weight)


def _share(run: Execution, previous: Execution | None, ahead: int) -> int:
    """Estimate from what was seen so far, or in the run before when that was more; the lesser of bytes and items.

    Containers that are not gone through are taken to hold as much as those that are. A file's bytes are seen when it
    is settled and its folder's number of files before: bytes alone promise too much.
    """
    before = previous if previous is not None and run.scope is None else None
    size = max(run.bytes + _unseen(run, run.bytes, ahead), before.bytes if before else 0)
    many = max(_seen(run) + _unseen(run, _seen(run), ahead), _seen(before) if before else 0)
    shares = [100 * min(done, seen) // seen for done, seen in _parts(run, size, many) if seen]
    return min(shares, default=0)


def _seen(run: Execution) -> int:
    """Give how many items a run will account for, as far as it has looked: containers count where there is no file."""
    return max(run.files or run.folders, run.items)


def _unseen(run: Execution, seen: int, ahead: int) -> int:
    """Estimate what is in the containers ahead, by what those gone through hold."""
    return seen * ahead // max(run.folders, 1)


def _parts(run: Execution, size: int, many: int) -> tuple[tuple[int, int], ...]:
    return (run.transferred_bytes + run.unchanged_bytes, size), (run.items, many)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """How far an execution is, in parts that add up, and when it may end. Made from what is stored alone."""

    percent: int
    done: int  # items carried, known equal or deleted
    failed: int
    skipped: int
    remaining: int  # of those seen so far, or in the run before when that was more
    unseen: int = 0  # estimate of what is in containers that were not gone through
    done_bytes: int
    expected_bytes: int
    bytes_per_second: float | None
    items_per_second: float | None
    ends_in: int | None  # microseconds; absent when nothing can be said
    elapsed: int | None  # microseconds

    @property
    def expected(self) -> int:
        return self.done + self.failed + self.skipped + self.remaining

    def share(self, part: int) -> float:
        """Give a part of the items that are expected, or thought to come, in hundredths."""
        whole = self.expected + self.unseen
        return 100 * part / whole if whole else 0.0


def outlook(
    run: Execution,
    previous: Execution | None,
    now: int,
    *,
    percent: int,
    rate: tuple[float, float] | None = None,
    ahead: int = 0,
) -> Outlook:
    """Estimate.

    ``rate``: bytes and items a second of late; absent, the mean since the start. ``ahead``: containers that are known
    and not gone through.
    """
    before = previous if previous is not None and run.scope is None else None
    done = run.transferred + run.unchanged + run.deleted
    expected = max(_seen(run), _seen(before) if before and not run.has_ended else 0)
    remaining = 0 if run.has_ended else expected - run.items
    thought = 0 if run.has_ended else max(0, _seen(run) + _unseen(run, _seen(run), ahead) - expected)
    done_bytes = run.transferred_bytes + run.unchanged_bytes
    expected_bytes = max(run.bytes, done_bytes, before.bytes if before and not run.has_ended else 0)
    elapsed = None if run.started_at is None else max((run.ended_at or now) - run.started_at, 1)
    if rate is None and elapsed is not None and elapsed > 0:
        rate = (1e6 * run.transferred_bytes / elapsed, 1e6 * run.items / elapsed)
    ends_in = None
    if rate is not None and run.state == State.EXECUTING:
        left_bytes = max(expected_bytes, run.bytes + _unseen(run, run.bytes, ahead)) - done_bytes
        by_bytes = left_bytes / rate[0] if rate[0] > 0 else 0.0
        by_items = (remaining + thought) / rate[1] if rate[1] > 0 else 0.0
        longest = max(by_bytes, by_items)
        ends_in = int(longest * 1e6) if longest > 0 else None
    return Outlook(
        percent=percent,
        done=done,
        failed=run.failed,
        skipped=run.skipped,
        remaining=remaining,
        unseen=thought,
        done_bytes=done_bytes,
        expected_bytes=expected_bytes,
        bytes_per_second=None if rate is None else rate[0],
        items_per_second=None if rate is None else rate[1],
        ends_in=ends_in,
        elapsed=elapsed,
    )
