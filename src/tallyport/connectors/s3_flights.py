"""Many calls on one bucket, on one thread and with several of them on their way at once.

What is done with one object is a :class:`Journey`: a generator that gives one call after the other and is sent the
answer to each, or has its error thrown in. :func:`alone` makes one journey, :func:`together` makes many.
"""

import select
from collections.abc import Generator, Iterable, Iterator, Mapping
from time import monotonic
from typing import Any, TypeVar

from tallyport.connectors import journeys as ways
from tallyport.connectors.journeys import MOST, Flight, Journeys
from tallyport.connectors.s3_lean import Begun, Lean, NotLean
from tallyport.domain.errors import TallyportError

M = TypeVar("M")
R = TypeVar("R")

Call = tuple[str, Mapping[str, Any]]
Journey = Generator[Call, dict[str, Any], R]

_ANSWERED = select.POLLIN | select.POLLHUP | select.POLLERR


def alone(bucket: Any, journey: Journey[R]) -> R:
    """Make one journey, one call after the other."""
    return ways.alone(journey, lambda call: bucket.call(call[0], **call[1]))


def together(
    bucket: Any, lean: Lean, journeys: Iterable[tuple[M, Journey[R]] | None], *, most: int = MOST
) -> Generator[tuple[M, R | TallyportError] | None, None, None]:
    """Make journeys and give what came of each, in the order in which they end; ``Bunches`` says what None means."""
    made: _Together[M, R] = _Together(bucket, lean, most)
    return made.make(journeys)


class _Together(Journeys[Call, dict[str, Any], int, M, R]):
    """Makes journeys; a call under way is known by the descriptor of its connection."""

    def __init__(self, bucket: Any, lean: Lean, most: int) -> None:
        super().__init__(most)
        self._bucket = bucket
        self._lean = lean
        self._poll = select.poll()

    def _sent(self, flight: Flight[Call, dict[str, Any], M, R], asked: Call) -> dict[str, Any] | None:
        operation, arguments = asked
        self._bucket.pause.wait(operation)
        try:
            begun = self._lean.begin(operation, {name: value for name, value in arguments.items() if value is not None})
        except NotLean:
            return self._by_the_sdk(asked)
        flight.sent = begun
        flight.until = monotonic() + self._lean.timeout
        number = begun.line.socket.fileno()
        self._flights[number] = flight
        self._poll.register(number, select.POLLIN | (select.POLLOUT if begun.rest else 0))
        return None

    def _by_the_sdk(self, asked: Call) -> dict[str, Any]:
        """Make a call that the lean way leaves to the SDK; the others wait meanwhile."""
        answer: dict[str, Any] = self._bucket.call(asked[0], **asked[1])
        return answer

    def _come(self) -> Iterator[tuple[M, R | TallyportError]]:
        until = next(iter(self._flights.values())).until
        ready = self._poll.poll(max(0.0, until - monotonic()) * 1000)
        if not ready:
            now = monotonic()
            for number in [number for number, flight in self._flights.items() if flight.until <= now]:
                flight = self._landed(number)
                yield from self._go_on(flight, None, self._lean.late(flight.sent))
            return
        for number, what in ready:
            flight = self._flights[number]
            begun: Begun = flight.sent
            answer: dict[str, Any] | None = None
            error: Exception | None = None
            try:
                if not what & _ANSWERED:
                    self._lean.push(begun)
                    if not begun.rest:
                        self._poll.modify(number, select.POLLIN)
                    continue
                self._landed(number)
                answer = self._lean.end(begun)
            except NotLean:
                assert flight.asked is not None, "it asked"
                try:
                    answer = self._by_the_sdk(flight.asked)
                except Exception as failure:
                    error = failure
            except Exception as failure:
                if number in self._flights:
                    self._landed(number)
                self._bucket.hear(failure)
                error = failure
            yield from self._go_on(flight, answer, error)

    def _landed(self, number: int) -> Flight[Call, dict[str, Any], M, R]:
        self._poll.unregister(number)
        return self._flights.pop(number)

    def _left(self) -> None:
        for flight in self._flights.values():
            flight.sent.line.close()
            flight.journey.close()
