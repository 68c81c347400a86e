"""Threads that carry for a passage, each in a place at its connections.

A visit hands items over and goes on deciding; it waits where the connections have no place left. The threads are
shared by all passages of a process, places are shared by all that use one connection (``connectors/width.py``).
"""

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from typing import TypeVar

from tallyport.connectors.layers.retrying import PASSING
from tallyport.connectors.pausing import heeding
from tallyport.connectors.width import Places, turn_between
from tallyport.domain.errors import TallyportError

R = TypeVar("R")

THREADS = 256  # at most; they are made as they are needed
ATTEMPTS = 4  # of an item whose connection has a passing trouble
FIRST = 0.5  # seconds before the second attempt, about; twice as long before each further one
LONGEST = 30.0  # seconds that an item waits in its place


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="carry")


class Pool:
    """What one passage has in flight."""

    def __init__(self, places: Sequence[Places], most: int, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.places = sorted(places, key=id)  # in one order for everybody, so that nobody waits for another in a ring
        self.turn = turn_between(places)
        self._most = most
        self._sleep = sleep
        self._chance = random.Random()
        self._landed = threading.Condition()
        self.flying = 0

    def start(self, act: Callable[[], int], stopped: Callable[[], bool], *, seats: int = 0) -> None:
        """Have something done in a thread, when there is a place; ``act`` keeps its outcome and gives the bytes.

        With ``seats`` no more than so many are at work, the caller counted: it lists and looks meanwhile. With one
        seat it is done by the caller.
        """
        with self._landed:
            while seats > 1 and self.flying >= seats - 1:
                self._landed.wait()
            self.flying += 1
        entered = self._entered(stopped)
        if seats == 1:
            self._run(act, entered, stopped)
            return
        try:
            _threads().submit(self._run, act, entered, stopped)
        except BaseException:
            self.leave(entered, 0, None)
            raise

    def drain(self) -> None:
        """Wait until nothing is in flight."""
        with self._landed:
            while self.flying:
                self._landed.wait()

    def together(
        self, acts: Sequence[Callable[[], R]], sizes: Sequence[int], stopped: Callable[[], bool], *, seats: int = 0
    ) -> Iterator[R]:
        """Do several things at once and give what came of each as it comes; the caller only waits."""
        results = []
        for act, size in zip(acts, sizes, strict=True):
            with self._landed:
                while seats and self.flying >= seats:
                    self._landed.wait()
                self.flying += 1
            entered = self._entered(stopped)
            results.append(_threads().submit(self._one, act, size, entered, stopped))
        for result in as_completed(results):
            yield result.result()

    def enter(self, stopped: Callable[[], bool], *, seats: int = 0) -> list[Places]:
        """Wait for a place for one item that the caller carries itself."""
        with self._landed:
            while seats and self.flying >= seats:
                self._landed.wait()
            self.flying += 1
        return self._entered(stopped)

    def enter_now(self, *, seats: int = 0) -> list[Places] | None:
        """Take a place for one item that the caller carries itself; None where there is none now."""
        with self._landed:
            if seats and self.flying >= seats:
                return None
            self.flying += 1
        entered: list[Places] = []
        for place in self.places:
            if not place.enter_now(most=self._most):
                self.leave(entered, 0, None)
                return None
            entered.append(place)
        return entered

    def patiently(self, act: Callable[[], R], stopped: Callable[[], bool], *, after: TallyportError | None = None) -> R:
        """Do something again while a connection has a passing trouble, never before the time that it gave.

        ``after`` is the trouble that the first attempt met, where somebody else made it.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                if after is not None:
                    trouble, after = after, None
                    raise trouble
                return act()
            except TallyportError as error:
                pause = max(error.retry_after or 0.0, self._chance.uniform(0, FIRST * 2**attempt))
                if error.kind not in PASSING or attempt == ATTEMPTS or pause > LONGEST or stopped():
                    raise
                for place in self.places:
                    place.trouble(error)
                self._wait(pause, stopped)
        raise AssertionError("the last attempt raises")

    def _wait(self, seconds: float, stopped: Callable[[], bool]) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not stopped():
            self._sleep(min(left, 0.25))

    def _entered(self, stopped: Callable[[], bool]) -> list[Places]:
        """Take a place at each end."""
        entered = []
        for place in self.places:
            if not place.enter(stopped, most=self._most):
                break
            entered.append(place)
        return entered

    def _run(self, act: Callable[[], int], entered: list[Places], stopped: Callable[[], bool]) -> None:
        moved, trouble = 0, None
        try:
            with heeding(stopped):
                moved = act()
        except TallyportError as error:
            trouble = error
        finally:
            self.leave(entered, moved, trouble)

    def _one(self, act: Callable[[], R], size: int, entered: list[Places], stopped: Callable[[], bool]) -> R:
        with contextlib.ExitStack() as stack:
            stack.callback(self.leave, entered, size, None)
            stack.enter_context(heeding(stopped))
            return act()

    def leave(self, entered: list[Places], moved: int, error: TallyportError | None) -> None:
        """Give places back, and say how it went."""
        for place in entered:
            place.leave(moved, error)
        with self._landed:
            self.flying -= 1
            self._landed.notify_all()
