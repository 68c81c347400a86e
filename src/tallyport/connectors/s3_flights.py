"""Many calls on one bucket, on one thread and with several of them on their way at once.

What is done with one object is a :class:`Journey`: a generator that gives one call after the other and is sent the
answer to each, or has its error thrown in. :func:`alone` makes one journey, :func:`together` makes many.
"""

import select
from collections.abc import Generator, Iterable, Iterator, Mapping
from time import monotonic
from typing import Any, Generic, TypeVar, cast

from tallyport.connectors.remote_errors import unforeseen
from tallyport.connectors.s3_lean import Begun, Lean, NotLean
from tallyport.domain.errors import TallyportError

M = TypeVar("M")
R = TypeVar("R")

Call = tuple[str, Mapping[str, Any]]
Journey = Generator[Call, dict[str, Any], R]
MOST = 64  # calls on their way at once; the places of a connection are fewer

_ANSWERED = select.POLLIN | select.POLLHUP | select.POLLERR
_END = object()


class _Flight(Generic[M, R]):
    """One journey that is under way."""

    __slots__ = ("begun", "call", "journey", "mark", "until")

    def __init__(self, mark: M, journey: Journey[R]) -> None:
        self.mark = mark
        self.journey = journey
        self.call: Call | None = None
        self.begun: Begun | None = None
        self.until = 0.0


def alone(bucket: Any, journey: Journey[R]) -> R:
    """Make one journey, one call after the other."""
    try:
        operation, arguments = next(journey)
        while True:
            try:
                answer = bucket.call(operation, **arguments)
            except Exception as error:  # the journey knows which it can go on from
                operation, arguments = journey.throw(error)
            else:
                operation, arguments = journey.send(answer)
    except StopIteration as end:
        result: R = end.value
        return result


def together(
    bucket: Any, lean: Lean, journeys: Iterable[tuple[M, Journey[R]] | None], *, most: int = MOST
) -> Generator[tuple[M, R | TallyportError] | None, None, None]:
    """Make journeys and give what came of each, in the order in which they end; ``Bunches`` says what None means."""
    flights: dict[int, _Flight[M, R]] = {}  # by the descriptor of its connection, in the order they were sent
    poll = select.poll()
    source = iter(journeys)
    is_over = False
    try:
        while True:
            while not is_over and len(flights) < most:
                wanted = next(source, _END)
                if wanted is _END:
                    is_over = True
                elif wanted is None:
                    if flights:
                        break
                    yield None
                else:
                    flight = _Flight(*cast("tuple[M, Journey[R]]", wanted))
                    yield from _sent(bucket, lean, flight, None, None, flights, poll)
            if flights:
                yield from _come(bucket, lean, flights, poll)
            elif is_over:
                return
    finally:
        for flight in flights.values():
            if flight.begun is not None:
                flight.begun.line.close()
            flight.journey.close()


def _come(
    bucket: Any, lean: Lean, flights: dict[int, _Flight[M, R]], poll: select.poll
) -> Iterator[tuple[M, R | TallyportError]]:
    """Wait for answers, and have each journey go on that got one."""
    until = next(iter(flights.values())).until
    ready = poll.poll(max(0.0, until - monotonic()) * 1000)
    if not ready:
        now = monotonic()
        for number in [number for number, flight in flights.items() if flight.until <= now]:
            flight = _landed(flights, number, poll)
            assert flight.begun is not None, "it was sent"
            yield from _sent(bucket, lean, flight, None, lean.late(flight.begun), flights, poll)
        return
    for number, what in ready:
        flight = flights[number]
        begun = flight.begun
        assert begun is not None, "it was sent"
        answer: dict[str, Any] | None = None
        error: Exception | None = None
        try:
            if not what & _ANSWERED:
                lean.push(begun)
                if not begun.rest:
                    poll.modify(number, select.POLLIN)
                continue
            _landed(flights, number, poll)
            answer = lean.end(begun)
        except NotLean:
            answer, error = _by_the_sdk(bucket, flight)
        except Exception as failure:
            if number in flights:
                _landed(flights, number, poll)
            bucket.hear(failure)
            error = failure
        yield from _sent(bucket, lean, flight, answer, error, flights, poll)


def _landed(flights: dict[int, _Flight[M, R]], number: int, poll: select.poll) -> _Flight[M, R]:
    poll.unregister(number)
    return flights.pop(number)


def _sent(
    bucket: Any,
    lean: Lean,
    flight: _Flight[M, R],
    answer: dict[str, Any] | None,
    error: Exception | None,
    flights: dict[int, _Flight[M, R]],
    poll: select.poll,
) -> Iterator[tuple[M, R | TallyportError]]:
    """Have a journey go on until its next call is on its way; gives what came of it when it ended."""
    while True:
        try:
            if error is not None:
                flight.call = flight.journey.throw(error)
            elif answer is not None:
                flight.call = flight.journey.send(answer)
            else:
                flight.call = next(flight.journey)
        except StopIteration as end:
            yield flight.mark, end.value
            return
        except TallyportError as failure:
            yield flight.mark, failure
            return
        except Exception as failure:  # the journey fails, the others go on
            yield flight.mark, unforeseen("reach", getattr(flight.mark, "path", ""), failure)
            return
        answer = error = None
        operation, arguments = flight.call
        try:
            bucket.pause.wait(operation)
            begun = lean.begin(operation, {name: value for name, value in arguments.items() if value is not None})
        except NotLean:
            answer, error = _by_the_sdk(bucket, flight)
            continue
        except Exception as failure:  # the journey says what it means
            error = failure
            continue
        flight.begun = begun
        flight.until = monotonic() + lean.timeout
        number = begun.line.socket.fileno()
        flights[number] = flight
        poll.register(number, select.POLLIN | (select.POLLOUT if begun.rest else 0))
        return


def _by_the_sdk(bucket: Any, flight: _Flight[M, R]) -> tuple[dict[str, Any] | None, Exception | None]:
    """Make a call that the lean way leaves to the SDK; the others wait meanwhile."""
    assert flight.call is not None, "it has one"
    try:
        return bucket.call(flight.call[0], **flight.call[1]), None
    except Exception as error:
        return None, error
