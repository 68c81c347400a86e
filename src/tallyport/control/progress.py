"""How far an execution is: by bytes once some are known, by items before; it never falls, and 100 means complete."""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from tallyport.control.pictures import Picture
from tallyport.domain import parts
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.domain.states import Result, State

_KEPT = 4_096


class Gauge:
    """Remembers the highest value shown of each execution. One per server."""

    def __init__(self) -> None:
        self._highest: OrderedDict[int, int] = OrderedDict()
        self._lock = Lock()

    def percent(self, run: Execution, previous: Execution | None) -> int:
        """Give 0 to 100."""
        if run.state == State.COMPLETE:
            return 100
        return self._highest_of(run, min(_share(run, previous), 99))

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


def _share(run: Execution, previous: Execution | None) -> int:
    """Estimate from what was seen so far, or in the run before when that was more; the lesser of bytes and items.

    A file's bytes are seen when it is settled and its folder's number of files before: bytes alone promise too much.
    """
    before = previous if previous is not None and run.scope is None else None
    size = max(run.bytes, before.bytes if before else 0)
    many = max(_seen(run), _seen(before) if before else 0)
    shares = [100 * min(done, seen) // seen for done, seen in _parts(run, size, many) if seen]
    return min(shares, default=0)


def _seen(run: Execution) -> int:
    """Give how many items a run will account for, as far as it has looked: containers count where there is no file."""
    return max(run.files or run.folders, run.items)


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
        """Give a part of the expected items in hundredths."""
        return 100 * part / self.expected if self.expected else 0.0


def outlook(
    run: Execution, previous: Execution | None, now: int, *, percent: int, rate: tuple[float, float] | None = None
) -> Outlook:
    """Estimate. ``rate``: bytes and items a second of late; absent, the mean since the start."""
    before = previous if previous is not None and run.scope is None else None
    done = run.transferred + run.unchanged + run.deleted
    expected = max(_seen(run), _seen(before) if before and not run.has_ended else 0)
    remaining = 0 if run.has_ended else expected - run.items
    done_bytes = run.transferred_bytes + run.unchanged_bytes
    expected_bytes = max(run.bytes, done_bytes, before.bytes if before and not run.has_ended else 0)
    elapsed = None if run.started_at is None else max((run.ended_at or now) - run.started_at, 1)
    if rate is None and elapsed is not None and elapsed > 0:
        rate = (1e6 * run.transferred_bytes / elapsed, 1e6 * run.items / elapsed)
    ends_in = None
    if rate is not None and run.state == State.EXECUTING:
        left_bytes = expected_bytes - done_bytes
        by_bytes = left_bytes / rate[0] if rate[0] > 0 else 0.0
        by_items = remaining / rate[1] if rate[1] > 0 else 0.0
        longest = max(by_bytes, by_items)
        ends_in = int(longest * 1e6) if longest > 0 else None
    return Outlook(
        percent=percent,
        done=done,
        failed=run.failed,
        skipped=run.skipped,
        remaining=remaining,
        done_bytes=done_bytes,
        expected_bytes=expected_bytes,
        bytes_per_second=None if rate is None else rate[0],
        items_per_second=None if rate is None else rate[1],
        ends_in=ends_in,
        elapsed=elapsed,
    )
