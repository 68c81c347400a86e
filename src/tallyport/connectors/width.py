"""Places at a connection: how many may be busy there at once, shared by every job of this process that uses it.

:class:`Places` lets callers in, as many as suit the platform (``domain/width.py``), and nobody while the platform
asked to wait. :class:`Holding` is the layer that hears what the platform asks and keeps every call to it.
"""

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple, TypeVar, cast

from tallyport.connectors.layers.layer import Layer, Listed, P, T, innermost
from tallyport.connectors.pausing import LOOK, Pause, Pausing
from tallyport.connectors.protocol import Bunches, Connector, Read, SmallRead, SmallWrite, Written
from tallyport.domain import width
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind, TallyportError

AUTOMATIC = 16  # places that are found by trying, unless a job asks for more
BUNCHES = 1  # that begin items at one time between the same connections: one thread keeps all places busy

A = TypeVar("A")
B = TypeVar("B")


class Traffic(NamedTuple):
    """How a connection is worked at this moment, by all jobs of this process."""

    places: int  # calls that may be under way; found by trying, fewer after the platform asked for a slower pace
    busy: int  # of these, taken
    waits: float  # seconds that the platform asks to wait


class Found(NamedTuple):
    """What is known of how many calls at once suit a platform."""

    places: int
    at: float  # by the clock of the places: when the last calls were reckoned with


class Places:
    """The places of one connection."""

    def __init__(
        self,
        *,
        most: int = AUTOMATIC,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._free = threading.Condition()
        self._width = width.begun(clock(), most=most)
        self._known: int | None = None  # that suit, as others found before us or as the platform told us itself
        self._since: deque[float] = deque()  # when each place that is taken was, about: whoever leaves came first
        self.pause = Pause(clock=clock, sleep=sleep)

    @property
    def count(self) -> int:
        """How many there are now."""
        return self._width.places

    @property
    def traffic(self) -> Traffic:
        """Say how it goes."""
        return Traffic(self._width.places, len(self._since), self.pause.left)

    @property
    def found(self) -> Found | None:
        """Say how many were found to suit; None while that is being tried for the first time."""
        at_rest = width.found(self._width)
        return None if at_rest is None else Found(at_rest, self._width.began)

    def begin_with(self, found: int) -> None:
        """Begin with as many as suited somebody before, unless we know better already."""
        with self._free:
            if width.is_untried(self._width):
                self._known = found
                self._width = width.begun(self._clock(), most=self._width.most, found=found)
                self._free.notify_all()

    def enter(self, stopped: Callable[[], bool], *, most: int) -> bool:
        """Take a place, waiting for one; ``most`` is what this caller may use at all. False when it is to stop."""
        with self._free:
            while len(self._since) >= min(most, self._width.places):
                if stopped():
                    return False
                self._free.wait(LOOK)
            self._since.append(self._clock())
            return True

    def enter_now(self, *, most: int) -> bool:
        """Take a place if one is free."""
        with self._free:
            if len(self._since) >= min(most, self._width.places):
                return False
            self._since.append(self._clock())
            return True

    def leave(self, moved: int, error: TallyportError | None) -> None:
        """Give the place back, and say how it went."""
        now = self._clock()
        with self._free:
            was_full = len(self._since) >= self._width.places
            seconds = now - self._since.popleft()
            if error is None:
                self._width = width.done(self._width, moved, now, seconds=seconds, was_full=was_full)
            elif error.kind is ErrorKind.RATE_LIMITED:
                self._throttled(now)
            self._free.notify()

    def trouble(self, error: TallyportError) -> None:
        """Hear of an answer that was not the last word on a call."""
        if error.kind is ErrorKind.RATE_LIMITED:
            with self._free:
                self._throttled(self._clock())

    def _throttled(self, at: float) -> None:
        self._width = width.throttled(self._width, at)
        self._known = self._width.places

    def widen(self, most: int) -> None:
        """Let there be as many places as a job asks for."""
        with self._free:
            self._width = width.widened(self._width, most, self._known)

    def hold(self, seconds: float) -> None:
        """Let nobody call for a time."""
        self.pause.hold(seconds)

    def wait(self, operation: str) -> None:
        """Wait until the platform may be called; raise how long that is when it is too long to wait here."""
        self.pause.wait(operation)


_all: dict[bytes, Places] = {}
_turns: dict[frozenset[Places], threading.Semaphore] = {}
_lock = threading.Lock()


def places_of(platform_id: str, settings: Mapping[str, object]) -> Places:
    """Give the places of a connection, the same for everybody in this process who opens it."""
    with _lock:
        return _all.setdefault(_key(platform_id, settings), Places())


def turn_between(places: Iterable[Places]) -> threading.Semaphore:
    """Give the turn of bunches between some connections: those that share one end alone do not wait for each other."""
    with _lock:
        return _turns.setdefault(frozenset(places), threading.Semaphore(BUNCHES))


def traffic_of(platform_id: str, settings: Mapping[str, object]) -> Traffic | None:
    """Say how a connection is worked; None where nobody in this process opened it."""
    with _lock:
        places = _all.get(_key(platform_id, settings))
    return None if places is None else places.traffic


def is_worked() -> bool:
    """Tell whether this process opened any connection that is waited for."""
    return bool(_all)


def _key(platform_id: str, settings: Mapping[str, object]) -> bytes:
    text = f"{platform_id}\0{json.dumps(dict(settings), sort_keys=True)}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class Holding(Layer):
    """Calls nothing before the time that the platform gave, whoever it gave it to."""

    def __init__(self, inner: Connector, places: Places) -> None:
        super().__init__(inner)
        self.places = places
        self._hears_itself = isinstance(innermost(inner), Pausing)

    def _call(self, operation: str, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        self.places.wait(operation)
        with self._hearing():
            return act(*arguments, **named)

    def _listing(self, path: str, listed: Listed) -> Iterator[Entry]:
        self.places.wait("children")
        with self._hearing():
            yield from listed(path)

    def _reading(
        self, path: str, offset: int, length: int | None, entry: Entry | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        return self._held(path, offset, length, entry)

    @contextmanager
    def _held(self, path: str, offset: int, length: int | None, entry: Entry | None) -> Iterator[Iterator[bytes]]:
        self.places.wait("read")
        with self._hearing(), self._opening(path, offset, length, entry) as chunks:
            yield chunks

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        try:
            yield
        except TallyportError as error:
            self._hear(error)
            raise

    def _hear(self, error: TallyportError) -> None:
        is_ours = error.kind in (ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE)
        if is_ours and error.retry_after and not self._hears_itself:
            self.places.hold(error.retry_after)

    def _reading_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        return self._in_time("read", cast(Bunches, self.inner).read_many, reads)

    def _writing_many(self, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
        return self._in_time("write", cast(Bunches, self.inner).write_many, writes)

    def _in_time(
        self,
        operation: str,
        act: Callable[[Iterator[A | None]], Iterator[tuple[A, B | TallyportError] | None]],
        asked: Iterable[A | None],
    ) -> Iterator[tuple[A, B | TallyportError] | None]:
        """Ask for nothing before its time, and hear what comes; what would wait for too long fails unasked."""
        refused: list[tuple[A, TallyportError]] = []

        def wanted() -> Iterator[A | None]:
            for one in asked:
                try:
                    self.places.wait(operation)
                except TallyportError as error:
                    if one is not None:
                        refused.append((one, error))
                    yield None
                    continue
                yield one

        for found in act(wanted()):
            while refused:
                yield refused.pop()
            if found is not None and isinstance(found[1], TallyportError):
                self._hear(found[1])
            yield found
        while refused:
            yield refused.pop()
