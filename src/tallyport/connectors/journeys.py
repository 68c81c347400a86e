"""Many exchanges with one server, on one thread and with several of them under way at once.

What is done with one file is a :data:`Journey`: a generator that gives what is to be sent, one after the other, and is
sent the answers to each, or has their error thrown in. :func:`alone` makes one journey, :class:`Journeys` many,
:class:`Together` those of a connection whose answers come to an inbox.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Generic, TypeVar, cast

from tallyport.connectors.answers import Answer, Call
from tallyport.connectors.remote_errors import unforeseen
from tallyport.domain.errors import TallyportError

A = TypeVar("A")  # what is sent
N = TypeVar("N")  # what is answered
K = TypeVar("K")  # what an exchange under way is known by
M = TypeVar("M")  # what a caller knows a journey by
R = TypeVar("R")

Journey = Generator[A, Sequence[Answer], R]
Inbox = SimpleQueue[Call]
MOST = 64  # exchanges under way at once; the places of a connection are fewer

_END = object()


class Flight(Generic[A, N, M, R]):
    """One journey that is under way."""

    __slots__ = ("asked", "journey", "mark", "sent", "until")

    def __init__(self, mark: M, journey: Generator[A, N, R]) -> None:
        self.mark = mark
        self.journey = journey
        self.asked: A | None = None
        self.sent: Any = None  # what the connection knows of it
        self.until = 0.0


def alone(journey: Generator[A, N, R], ask: Callable[[A], N]) -> R:
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


class Journeys(ABC, Generic[A, N, K, M, R]):
    """Makes journeys; a connection adds how an exchange begins and how its answer comes."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._flights: dict[K, Flight[A, N, M, R]] = {}  # in the order they were sent

    @abstractmethod
    def _sent(self, flight: Flight[A, N, M, R], asked: A) -> N | None:
        """Send what is asked without waiting, and add it to the flights; or give the answer that came at once."""

    @abstractmethod
    def _come(self) -> Iterator[tuple[M, R | TallyportError]]:
        """Wait for answers, and have each journey go on that got its own."""

    @abstractmethod
    def _left(self) -> None:
        """End what is under way when nobody asks any more."""

    def make(
        self, journeys: Iterable[tuple[M, Generator[A, N, R]] | None]
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
                        mark, journey = cast("tuple[M, Generator[A, N, R]]", wanted)
                        yield from self._go_on(Flight(mark, journey), None, None)
                if flights:
                    yield from self._come()
                elif is_over:
                    return
        finally:
            self._left()

    def _go_on(
        self, flight: Flight[A, N, M, R], answer: N | None, error: Exception | None
    ) -> Iterator[tuple[M, R | TallyportError]]:
        """Have a journey go on until what it asks next is on its way; gives what came of it when it ended."""
        while True:
            try:
                if error is not None:
                    asked = flight.journey.throw(error)
                elif answer is not None:
                    asked = flight.journey.send(answer)
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
            error = None
            flight.asked = asked
            try:
                answer = self._sent(flight, asked)
            except Exception as failure:  # the journey says what it means
                answer, error = None, failure
                continue
            if answer is None:
                return


class Together(Journeys[A, Sequence[Answer], Call, M, R]):
    """Makes journeys. ``begin`` sends without waiting for answers; ``late`` gives up what is not answered in time."""

    def __init__(
        self, begin: Callable[[A, Inbox], Call], late: Callable[[A, Call], Exception], seconds: float, most: int = MOST
    ) -> None:
        super().__init__(most)
        self._begin = begin
        self._late = late
        self._seconds = seconds
        self._inbox: Inbox = SimpleQueue()

    def _sent(self, flight: Flight[A, Sequence[Answer], M, R], asked: A) -> None:
        call = self._begin(asked, self._inbox)
        flight.until = monotonic() + self._seconds
        self._flights[call] = flight

    def _come(self) -> Iterator[tuple[M, R | TallyportError]]:
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

    def _left(self) -> None:
        while self._flights:  # what is open at the server is closed there
            for _ in self._come():
                pass
