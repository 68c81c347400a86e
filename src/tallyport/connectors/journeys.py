"""Many exchanges with one server, on one thread and with several of them under way at once.

What is done with one file is a :data:`Journey`: a generator that gives what is to be sent, one after the other, and is
sent the answers to each, or has their error thrown in. :func:`alone` makes one journey, :func:`together` makes many.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Generic, TypeVar, cast

from tallyport.connectors.answers import Answer, Call
from tallyport.connectors.remote_errors import unforeseen
from tallyport.domain.errors import TallyportError

A = TypeVar("A")  # what is sent
M = TypeVar("M")  # what a caller knows a journey by
R = TypeVar("R")

Journey = Generator[A, Sequence[Answer], R]
Inbox = SimpleQueue[Call]
MOST = 64  # exchanges under way at once; the places of a connection are fewer

_END = object()


class _Flight(Generic[A, M, R]):
    """One journey that is under way."""

    __slots__ = ("asked", "journey", "mark", "until")

    def __init__(self, mark: M, journey: Journey[A, R]) -> None:
        self.mark = mark
        self.journey = journey
        self.asked: A | None = None
        self.until = 0.0


def alone(journey: Journey[A, R], ask: Callable[[A], Sequence[Answer]]) -> R:
    """Make one journey, one exchange after the other."""
    try:
        asked = next(journey)
        while True:
            try:
                answers = ask(asked)
            except Exception as error:  # the journey knows which it can go on from
                asked = journey.throw(error)
            else:
                asked = journey.send(answers)
    except StopIteration as end:
        result: R = end.value
        return result


class Together(Generic[A, M, R]):
    """Makes journeys. ``begin`` sends without waiting for answers; ``late`` gives up what is not answered in time."""

    def __init__(
        self, begin: Callable[[A, Inbox], Call], late: Callable[[A, Call], Exception], seconds: float, most: int = MOST
    ) -> None:
        self._begin = begin
        self._late = late
        self._seconds = seconds
        self._most = most
        self._inbox: Inbox = SimpleQueue()
        self._flights: dict[Call, _Flight[A, M, R]] = {}  # in the order they were sent

    def make(
        self, journeys: Iterable[tuple[M, Journey[A, R]] | None]
    ) -> Generator[tuple[M, R | TallyportError] | None, None, None]:
        """Give what came of each journey, in the order in which they end; ``Bunches`` says what None means."""
        flights, source = self._flights, iter(journeys)
        is_over = False
        try:
            while True:
                while not is_over and len(flights) < self._most:
                    wanted = next(source, _END)
                    if wanted is _END:
                        is_over = True
                    elif wanted is None:
                        if flights:
                            break
                        yield None
                    else:
                        mark, journey = cast("tuple[M, Journey[A, R]]", wanted)
                        yield from self._go_on(_Flight(mark, journey), None, None)
                if flights:
                    yield from self._come()
                elif is_over:
                    return
        finally:
            while flights:  # what is open at the server is closed there
                for _ in self._come():
                    pass

    def _come(self) -> Iterator[tuple[M, R | TallyportError]]:
        """Wait for answers, and have each journey go on that got its own."""
        oldest = next(iter(self._flights.values()))
        try:
            call = self._inbox.get(timeout=max(0.0, oldest.until - monotonic()))
        except Empty:
            now = monotonic()
            for call, flight in [one for one in self._flights.items() if one[1].until <= now]:
                del self._flights[call]
                yield from self._go_on(flight, None, self._late(cast(A, flight.asked), call))
            return
        while True:
            found = self._flights.pop(call, None)
            if found is not None:  # else it was given up before
                yield from self._go_on(found, None if call.error else call.answers, call.error)
            if self._inbox.empty():
                return
            call = self._inbox.get()

    def _go_on(
        self, flight: _Flight[A, M, R], answers: Sequence[Answer] | None, error: Exception | None
    ) -> Iterator[tuple[M, R | TallyportError]]:
        """Have a journey go on until what it asks next is on its way; gives what came of it when it ended."""
        while True:
            try:
                if error is not None:
                    asked = flight.journey.throw(error)
                elif answers is not None:
                    asked = flight.journey.send(answers)
                else:
                    asked = next(flight.journey)
            except StopIteration as end:
                yield flight.mark, end.value
                return
            except TallyportError as failure:
                yield flight.mark, failure
                return
            except Exception as failure:  # the journey fails, the others go on
                yield flight.mark, unforeseen("reach", getattr(flight.mark, "path", ""), failure)
                return
            answers = error = None
            flight.asked = asked
            try:
                call = self._begin(asked, self._inbox)
            except Exception as failure:  # the journey says what it means
                error = failure
                continue
            flight.until = monotonic() + self._seconds
            self._flights[call] = flight
            return
