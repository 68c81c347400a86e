"""Counts what a connection does: calls, errors, bytes, entries and seconds by operation."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar, cast

from tallyport.connectors.layers.layer import Layer, Listed, P, T
from tallyport.connectors.protocol import Bunches, Connector, Read, SmallRead, SmallWrite, Written
from tallyport.domain.entries import Entry
from tallyport.domain.errors import TallyportError

A = TypeVar("A")
B = TypeVar("B")


@dataclass(slots=True)
class Measure:
    """What one operation has come to so far."""

    calls: int = 0
    errors: int = 0
    bytes: int = 0  # content, either way
    entries: int = 0  # given by listings
    seconds: float = 0.0  # spent in the platform; waiting for the other side of a copy is not counted


class Measured(Layer):
    """Counts calls, errors, bytes, entries and seconds by operation. A listing is counted when it ends."""

    def __init__(self, inner: Connector, *, clock: Callable[[], float] = time.perf_counter) -> None:
        super().__init__(inner)
        self._clock = clock
        self._lock = threading.Lock()
        self._measures: dict[str, Measure] = {}

    def snapshot(self) -> dict[str, Measure]:
        """Give what was counted so far, by operation; operations never called are left out."""
        with self._lock:
            return {operation: replace(measure) for operation, measure in self._measures.items()}

    def _count(
        self,
        operation: str,
        seconds: float,
        *,
        calls: int = 0,
        errors: int = 0,
        content: int = 0,
        entries: int = 0,
    ) -> None:
        with self._lock:
            measure = self._measures.setdefault(operation, Measure())
            measure.seconds += seconds
            measure.calls += calls
            measure.errors += errors
            measure.bytes += content
            measure.entries += entries

    def _call(self, operation: str, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        errors = 1
        begun = self._clock()
        try:
            result = act(*arguments, **named)
            errors = 0
            return result
        finally:
            self._count(operation, self._clock() - begun, calls=1, errors=errors)

    def _listing(self, path: str, listed: Listed) -> Iterator[Entry]:
        return self._counted_listing(self._call("children", listed, path))

    def _counted_listing(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        """Add up in local names: a container may hold a million."""
        clock = self._clock
        seconds, given, errors = 0.0, 0, 0
        begun = clock()
        try:
            for entry in entries:
                seconds += clock() - begun
                given += 1
                yield entry
                begun = clock()
            seconds += clock() - begun
        except TallyportError:
            errors = 1
            raise
        finally:
            self._count("children", seconds, errors=errors, entries=given)

    @contextmanager
    def _reading(
        self, path: str, offset: int, length: int | None, entry: Entry | None = None
    ) -> Iterator[Iterator[bytes]]:
        with ExitStack() as stack:
            opening = self._opening(path, offset, length, entry)
            yield self._counted_reading(self._call("read", stack.enter_context, opening))

    def _counted_reading(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        while True:
            begun = self._clock()
            try:
                chunk = next(chunks, None)
            except BaseException:
                self._count("read", self._clock() - begun, errors=1)
                raise
            self._count("read", self._clock() - begun, content=len(chunk or b""))
            if chunk is None:
                return
            yield chunk

    def _sent(self, path: str, content: Iterable[bytes]) -> Iterator[bytes]:
        """Count content on its way; take the wait for it off the seconds of the write around it."""
        chunks = iter(content)
        while True:
            begun = self._clock()
            try:
                chunk = next(chunks, None)
            finally:
                waited = self._clock() - begun
                self._count("write", -waited)
            if chunk is None:
                return
            self._count("write", 0.0, content=len(chunk))
            yield chunk

    def _reading_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        inner = cast(Bunches, self.inner)
        for found in self._counted_many("read", inner.read_many, reads):
            if found is not None:
                content = found[1]
                is_wrong = isinstance(content, TallyportError)
                self._count("read", 0.0, calls=1, errors=is_wrong, content=0 if is_wrong else len(cast(bytes, content)))
            yield found

    def _writing_many(self, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
        inner = cast(Bunches, self.inner)
        for found in self._counted_many("write", inner.write_many, writes):
            if found is not None:
                is_wrong = isinstance(found[1], TallyportError)
                self._count("write", 0.0, calls=1, errors=is_wrong, content=len(found[0].content))
            yield found

    def _counted_many(
        self, operation: str, act: Callable[[Iterator[A]], Iterator[B]], asked: Iterable[A]
    ) -> Iterator[B]:
        """Count the seconds that the platform takes for several; making what it is asked for is not among them."""
        clock, away = self._clock, 0.0

        def wanted() -> Iterator[A]:
            nonlocal away
            left = clock()
            for one in asked:
                away += clock() - left
                yield one
                left = clock()
            away += clock() - left

        begun = clock()
        seconds = 0.0
        try:
            for found in act(wanted()):
                seconds += clock() - begun
                yield found
                begun = clock()
            seconds += clock() - begun
        finally:
            self._count(operation, seconds - away)
