"""Small files on their way together: one thread reads, hashes and writes them, with many requests under way at once.

A thread for each would spend more on waking the others than on its file. What is decided, proved and written down is
so for each item, as when it goes alone; an item that meets a passing trouble goes alone from then on.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any, NamedTuple, Protocol, cast

from tallyport.connectors.bunches import read_many, write_many
from tallyport.connectors.hashing import digest
from tallyport.connectors.layers.layer import find
from tallyport.connectors.layers.retrying import PASSING
from tallyport.connectors.protocol import Bunches, Connector, Facts, Precondition, SmallRead, SmallWrite
from tallyport.connectors.remote_errors import refusal, unforeseen
from tallyport.connectors.width import Holding, Places
from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Entry, Kind, Side
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.engine.lease import Guard
from tallyport.engine.passage import UNBEGUN, Landed
from tallyport.engine.pool import Pool

SMALL = 128 * 1024  # bytes of a file that is carried so
ITEMS = 256  # of one bunch
BYTES = 8 * 1024 * 1024  # of one bunch, in the order of what may be in memory at once


def carries_bunches(end: Connector) -> bool:
    """Tell whether a connection takes part in bunches: it has a way of its own, or nothing there is waited for."""
    return isinstance(end, Bunches) or find(end, Holding) is None


def is_small(entry: Entry, replaces: Entry | None, limits: Limits) -> bool:
    """Tell whether a file can go in a bunch to a platform with these limits."""
    if entry.kind is not Kind.FILE or entry.size > SMALL:
        return False
    return limits.creates_only if replaces is None else limits.replaces_checked  # else each name is looked at once more


class Small(NamedTuple):
    """One file to be carried."""

    to: Side
    path: str
    entry: Entry
    receiving: str
    replaces: Entry | None
    ticket: Any


class Way(Protocol):
    """What of a passage a bunch needs."""

    guard: Guard

    def connector(self, side: Side) -> Connector: ...

    def facts_of(self, entry: Entry, to: Connector, *, content: bytes | None = None) -> Facts: ...

    def pace(self, meter: Any, stopped: Callable[[], bool]) -> None: ...

    def prove(self, taking: Connector, path: str, stored: Entry, expected: bytes, moved: int) -> int: ...

    def landed(self, ticket: Any, outcome: Any) -> None: ...


class Bunch:
    """The items of one way that were handed over and not begun."""

    def __init__(self, way: Way, pool: Pool) -> None:
        self._way = way
        self._pool = pool
        self._waiting: list[Small] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def full(self) -> bool:
        return len(self._waiting) >= ITEMS or self._bytes >= BYTES

    def add(self, small: Small) -> None:
        self._waiting.append(small)
        self._bytes += small.entry.size

    def carry(
        self, stopped: Callable[[], bool], pace: Callable[[int], None], *, seats: int = 0
    ) -> Sequence[tuple[Small, TallyportError | None]]:
        """Carry what waits; gives what is to be carried alone, with the passing trouble that it met."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        again: list[tuple[Small, TallyportError | None]] = []
        for to in (Side.DESTINATION, Side.SOURCE):
            some = [small for small in waiting if small.to is to]
            if some:
                again += _Run(self._way, self._pool, to, some, stopped, pace, seats).run()
        return again


class _Run:
    """One bunch on its way to one side."""

    def __init__(
        self,
        way: Way,
        pool: Pool,
        to: Side,
        smalls: Sequence[Small],
        stopped: Callable[[], bool],
        pace: Callable[[int], None],
        seats: int,
    ) -> None:
        self._way = way
        self._pool = pool
        self._giving, self._taking = way.connector(to.other), way.connector(to)
        self._smalls = smalls
        self._stopped = stopped
        self._pace = pace
        self._seats = seats
        self._turn = ExitStack()
        self._room: list[Places] | None = None  # taken for the item that begins next
        self._entered: dict[int, list[Places]] = {}  # of each item under way, by its place among all
        self._again: list[tuple[Small, TallyportError | None]] = []
        self._begun = 0
        self._was_stopped = False

    def run(self) -> Sequence[tuple[Small, TallyportError | None]]:
        try:
            with ExitStack() as stack:
                stack.enter_context(self._turn)
                self._turn.enter_context(self._pool.turn)
                outcomes = stack.enter_context(closing(cast(Any, write_many(self._taking, self._writes()))))
                for written in outcomes:
                    if written is None:
                        self._wait()
                    else:
                        self._written(*written)
        except Exception as error:  # what is under way fails, the visit goes on
            self._fail(error)
        finally:
            if self._room is not None:
                self._pool.leave(self._room, 0, None)
        for small in self._smalls[self._begun :]:
            if self._was_stopped:
                self._way.landed(small.ticket, UNBEGUN)
            else:
                self._again.append((small, None))
        return self._again

    def _reads(self) -> Iterator[SmallRead | None]:
        """Begin one item after the other, as there are places; None where there is none now."""
        for number, small in enumerate(self._smalls):
            while True:
                if self._stopped():
                    self._was_stopped = True
                    return
                entered, self._room = self._room, None
                if entered is None:
                    entered = self._pool.enter_now(seats=self._seats)
                if entered is not None:
                    break
                yield None
            self._entered[number] = entered
            self._begun = number + 1
            yield SmallRead(small.path, small.entry, number)
        self._turn.close()  # the next bunch begins while the last items of this one are under way

    def _writes(self) -> Iterator[SmallWrite | None]:
        """Give each content that came, to be written; what did not come ends here."""
        way, taking = self._way, self._taking
        with closing(cast(Any, read_many(self._giving, self._reads()))) as found:
            for read in found:
                if read is None:
                    yield None
                    continue
                (_, entry, number), content = read
                small: Small = self._smalls[number]
                try:
                    if isinstance(content, TallyportError):
                        raise content
                    if len(content) != entry.size:
                        raise refusal(ErrorKind.CHANGED_DURING_COPY, "read", small.path, "it changed while it was read")
                    self._pace(len(content))
                except TallyportError as error:
                    self._ended(number, error)
                    continue
                except Exception as error:  # the item fails, the others go on
                    self._ended(number, unforeseen("read", small.path, error))
                    continue
                expected = digest(content)
                when = Precondition(absent=True) if small.replaces is None else Precondition(entry=small.replaces)
                if small.entry.glimpsed:
                    # As it was seen with its content; how many it had before is known of the listing alone.
                    small.ticket.entry = entry = entry._replace(contents=small.entry.contents)
                facts = way.facts_of(entry, taking, content=expected)
                yield SmallWrite(small.receiving, content, facts, when, (number, expected), way.guard)

    def _wait(self) -> None:
        """Nothing of ours is under way: others have all places."""
        if not self._stopped():
            self._room = self._pool.enter(self._stopped, seats=self._seats)

    def _written(self, write: SmallWrite, stored: Entry | TallyportError) -> None:
        number, expected = write.mark
        moved = len(write.content)
        if isinstance(stored, TallyportError):
            self._ended(number, stored)
            return
        try:
            level = self._way.prove(self._taking, write.path, stored, expected, moved)
        except TallyportError as error:
            self._ended(number, error)
            return
        except Exception as error:  # the item fails, the others go on
            self._ended(number, unforeseen("prove", write.path, error))
            return
        self._ended(number, Landed(stored, expected, moved, level))

    def _ended(self, number: int, outcome: Landed | TallyportError) -> None:
        small, entered = self._smalls[number], self._entered.pop(number)
        if isinstance(outcome, Landed):
            self._pool.leave(entered, outcome.moved, None)
            self._way.landed(small.ticket, outcome)
            return
        self._pool.leave(entered, 0, outcome)
        if outcome.kind in PASSING and not self._stopped():
            self._again.append((small, outcome))
        else:
            self._way.landed(small.ticket, outcome)

    def _fail(self, error: Exception) -> None:
        """End what is under way and never came back."""
        for number in tuple(self._entered):
            ours = error if isinstance(error, TallyportError) else None
            self._ended(number, ours or unforeseen("carry", self._smalls[number].path, error))
