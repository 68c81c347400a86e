"""Counts made in a thread of their own and kept: whoever asks never waits for long."""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_KEPT = 64
_PATIENCE = 0.15  # seconds to wait for a count that may be quick

_log = logging.getLogger("tallyport.control")
Count = TypeVar("Count")


class _Entry(Generic[Count]):
    def __init__(self, before: Count | None) -> None:
        self.is_ready = threading.Event()
        self.made = before  # what was counted last time, until this count is done
        self.at = time.monotonic()


class Aside(Generic[Count]):
    """Keeps counts by key, and makes one at a time. ``stale``: seconds after which one is made anew when asked for.

    Without ``gives_last`` the last count is not given while a newer one is made.
    """

    def __init__(self, what: str, stale: float, *, gives_last: bool = True) -> None:
        self._gives_last = gives_last
        self._what = what
        self._stale = stale
        self._lock = threading.Lock()
        self._one_by_one = threading.Lock()
        self._kept: OrderedDict[Hashable, _Entry[Count]] = OrderedDict()

    def of(self, key: Hashable, count: Callable[[], Count]) -> Count | None:
        """Give the count of a key, the last one while a newer is made, or None before the first: ask again then."""
        with self._lock:
            entry = self._kept.get(key)
            if entry is None or (entry.is_ready.is_set() and time.monotonic() - entry.at > self._stale):
                entry = _Entry(entry.made if entry is not None and self._gives_last else None)
                self._kept[key] = entry
                if len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
                threading.Thread(target=self._make, args=(key, entry, count), name=self._what, daemon=True).start()
        entry.is_ready.wait(_PATIENCE)
        return entry.made

    def _make(self, key: Hashable, entry: _Entry[Count], count: Callable[[], Count]) -> None:
        try:
            with self._one_by_one:
                entry.made = count()
        except Exception:
            _log.exception("counting failed: %s", self._what)
            with self._lock:
                self._kept.pop(key, None)
        finally:
            entry.is_ready.set()
