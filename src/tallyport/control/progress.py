"""How far an execution is: by bytes once some are known, by items before; it never falls, and 100 means complete."""

from collections import OrderedDict
from threading import Lock

from tallyport.control.pictures import Picture
from tallyport.domain.executions import Execution
from tallyport.domain.states import State

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
        now = min(_share(run, previous), 99)
        with self._lock:
            now = max(now, self._highest.pop(run.id, 0))
            self._highest[run.id] = now
            if len(self._highest) > _KEPT:
                self._highest.popitem(last=False)
        return now

    def of(self, picture: Picture) -> int:
        """Give the progress of a job's present execution."""
        return 0 if picture.execution is None else self.percent(picture.execution, picture.previous)


def _share(run: Execution, previous: Execution | None) -> int:
    """Estimate from what was seen so far, or in the run before when that was more."""
    seen, done = run.bytes, run.transferred_bytes + run.unchanged_bytes
    expected = max(seen, previous.bytes if previous is not None and run.scope is None else 0)
    if not expected:
        seen, done = run.files + run.folders, run.items
        expected = max(seen, previous.files + previous.folders if previous is not None and run.scope is None else 0)
    return 100 * min(done, expected) // expected if expected else 0
