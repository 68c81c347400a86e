"""Breakdowns of jobs, counted aside and kept: whoever asks never waits for a large job to be read."""

import logging
import threading
from collections import OrderedDict
from typing import NamedTuple

from tallyport.control.desk import Desk
from tallyport.control.pictures import find_job
from tallyport.store import breakdowns, rows
from tallyport.store.breakdowns import Breakdown

_KEPT = 64
_PATIENCE = 0.15  # seconds to wait for a count that may be quick
_STALE = 20_000_000  # microseconds after which a count is made anew when somebody asks

_log = logging.getLogger("tallyport.control")


class _Key(NamedTuple):
    """What a count was made of: another execution, or another state of the job, is another key."""

    job: int
    execution: int | None
    version: int


class _Entry:
    def __init__(self, before: Breakdown | None) -> None:
        self.is_ready = threading.Event()
        self.made = before  # what was counted last time, until this count is done
        self.at = rows.now()


class Breakdowns:
    """Counts in one thread at a time. One per server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._one_by_one = threading.Lock()
        self._kept: OrderedDict[_Key, _Entry] = OrderedDict()

    def of_job(self, desk: Desk, job_id: str) -> Breakdown | None:
        """Give the breakdown of a job, or None while it is being counted: ask again in a second."""
        with desk.database.read() as tx:
            job = find_job(tx, job_id)
        key = _Key(job.number, job.execution_id, job.version)
        with self._lock:
            entry = self._kept.get(key)
            is_old = entry is not None and entry.is_ready.is_set() and rows.now() - entry.at > _STALE
            if entry is None or is_old:
                entry = _Entry(None if entry is None else entry.made)
                self._kept[key] = entry
                if len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
                threading.Thread(target=self._count, args=(desk, key, entry), name="breakdown", daemon=True).start()
        entry.is_ready.wait(_PATIENCE)
        return entry.made

    def _count(self, desk: Desk, key: _Key, entry: _Entry) -> None:
        try:
            with self._one_by_one, desk.database.read() as tx:
                entry.made = breakdowns.of_job(tx, key.job, rows.now())
        except Exception:
            _log.exception("a breakdown could not be counted")
            with self._lock:
                self._kept.pop(key, None)
        finally:
            entry.is_ready.set()
