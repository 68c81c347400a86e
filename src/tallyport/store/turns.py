"""Whose turn it is to write: a person who waits goes before work that goes on by itself.

A lock alone is taken again by the thread that just gave it back, before who waits for it is awake. So the engine, which
writes all the time, looks here first; it waits for people a little, never for ever.
"""

import contextlib
import threading
import time
from collections.abc import Iterator

from tallyport.store.acting import SYSTEM, actor

LONGEST = 1.0  # seconds that work gives way at a time: many people who write do not stop it
REMEMBERED = 30.0  # seconds for which somebody who wrote is expected again


class Turns:
    """One writer at a time. Enter it with ``with``; a thread that is in may enter again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder = 0  # the thread that has its turn
        self._waiting = 0  # people
        self._nobody = threading.Condition(threading.Lock())
        self._came = -REMEMBERED  # when a person came last

    @property
    def is_awaited(self) -> bool:
        """Tell whether a person waits now."""
        return self._waiting > 0

    @property
    def is_shared(self) -> bool:
        """Tell whether people write beside: then it is better to be brief."""
        return time.monotonic() - self._came < REMEMBERED

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the turn, and have it until the end."""
        if self._holder == threading.get_ident():
            yield
            return
        if actor() is SYSTEM:
            if self._waiting:
                with self._nobody:
                    self._nobody.wait_for(lambda: not self._waiting, LONGEST)
            self._lock.acquire()
        else:
            self._enter()
        self._holder = threading.get_ident()
        try:
            yield
        finally:
            self._holder = 0
            self._lock.release()

    def _enter(self) -> None:
        with self._nobody:
            self._waiting += 1
            self._came = time.monotonic()
        try:
            self._lock.acquire()
        finally:
            with self._nobody:
                self._waiting -= 1
                if not self._waiting:
                    self._nobody.notify_all()
