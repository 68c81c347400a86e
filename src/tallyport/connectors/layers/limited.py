"""Keeps the number of threads in one connection."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

from tallyport.connectors.layers.layer import Layer, Listed, P, T
from tallyport.connectors.protocol import Bunches, Connector, Read, SmallRead, SmallWrite, Written
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind, TallyportError

R = TypeVar("R")


class Limited(Layer):
    """Lets at most ``at_once`` threads into the platform.

    A thread holds one place however deep it calls: reading and writing on one connection at the same time
    cannot lock itself out. A read holds its place until it is left, a bunch of small files as long as any of
    them is under way, a listing only while it fetches the next entry. Whoever waits longer than ``patience``
    seconds gets TIMEOUT.
    """

    def __init__(self, inner: Connector, at_once: int, *, patience: float = 600.0) -> None:
        super().__init__(inner)
        self._places = threading.Semaphore(at_once)
        self._patience = patience
        self._lock = threading.Lock()
        self._depths: dict[int, int] = {}  # by thread; a read may be left in another than it was entered in

    def _enter(self, operation: str) -> int:
        """Take a place for this thread, or go deeper in the one it has. Gives what :meth:`_leave` needs."""
        me = threading.get_ident()
        with self._lock:
            if me in self._depths:
                self._depths[me] += 1
                return me
        if not self._places.acquire(timeout=self._patience):
            message = f"waited {self._patience:g} seconds for {self.location}, which is busy with other calls"
            raise TallyportError(ErrorKind.TIMEOUT, message, operation=operation)
        with self._lock:
            self._depths[me] = 1
        return me

    def _leave(self, thread: int) -> None:
        with self._lock:
            self._depths[thread] -= 1
            is_out = self._depths[thread] == 0
            if is_out:
                del self._depths[thread]
        if is_out:
            self._places.release()

    def _call(self, operation: str, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        thread = self._enter(operation)
        try:
            return act(*arguments, **named)
        finally:
            self._leave(thread)

    def _listing(self, path: str, listed: Listed) -> Iterator[Entry]:
        entries = self._call("children", listed, path)
        while True:
            entry = self._call("children", next, entries, None)
            if entry is None:
                return
            yield entry

    @contextmanager
    def _reading(
        self, path: str, offset: int, length: int | None, entry: Entry | None = None
    ) -> Iterator[Iterator[bytes]]:
        thread = self._enter("read")
        try:
            with self._opening(path, offset, length, entry) as chunks:
                yield chunks
        finally:
            self._leave(thread)

    def _reading_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        return self._together("read", cast(Bunches, self.inner).read_many(reads))

    def _writing_many(self, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
        return self._together("write", cast(Bunches, self.inner).write_many(writes))

    def _together(self, operation: str, outcomes: Iterator[R | None]) -> Iterator[R | None]:
        """Hold one place for what is under way; who waits for others to leave holds none meanwhile."""
        thread: int | None = None
        try:
            while True:
                if thread is None:
                    thread = self._enter(operation)
                try:
                    found = next(outcomes)
                except StopIteration:
                    return
                if found is None:
                    self._leave(thread)
                    thread = None
                yield found
        finally:
            if thread is not None:
                self._leave(thread)
