"""Small files that go together: each is proved, fenced, stopped and reported as when it goes alone."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import pytest

from tallyport.connectors.memory import Memory
from tallyport.connectors.protocol import Connector, Facts, Read, SmallRead, SmallWrite, Written
from tallyport.connectors.width import Holding, Places
from tallyport.domain.capabilities import VerifyLevel
from tallyport.domain.entries import Entry, Side
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.policies import Policies, TransferType
from tallyport.engine.bunch import BYTES, ITEMS, SMALL, Bunch, Small, is_small
from tallyport.engine.passage import UNBEGUN, Landed
from tallyport.engine.pool import Pool
from tallyport.engine.transfer import StreamPassage
from tallyport.testing.worlds import read_all

COUNT = 40
NAMES = [f"n{number:02}" for number in range(COUNT)]


class Store(Memory):
    """A platform whose bunches have several files under way: what is asked for is done only when no more may begin."""

    def __init__(self, *, most: int = 8) -> None:
        super().__init__()
        self.most = most
        self.wrong: dict[str, Exception] = {}  # what writing to a name meets
        self.breaks_after: int | None = None  # files, until the way itself breaks
        self.done = 0

    def read_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        return self._several(reads, lambda one: read_all(self, one.path))

    def write_many(self, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
        return self._several(writes, self._written)

    def _written(self, one: SmallWrite) -> Entry:
        if one.path in self.wrong:
            raise self.wrong[one.path]
        return self.write(one.path, [one.content] if one.content else [], one.facts, when=one.when)

    def _several(self, asked: Iterable[Any], act: Callable[[Any], Any]) -> Iterator[Any]:
        under_way: list[Any] = []
        for one in asked:
            if one is not None:
                try:
                    if isinstance(one, SmallWrite):
                        one.guard()
                except TallyportError as error:
                    yield one, error
                    continue
                under_way.append(one)
            elif not under_way:
                yield None
                continue
            if one is None or len(under_way) >= self.most:
                yield self._outcome(under_way.pop(), act)  # the last is the first to be answered
        while under_way:
            yield self._outcome(under_way.pop(), act)

    def _outcome(self, one: Any, act: Callable[[Any], Any]) -> Any:
        self.done += 1
        if self.breaks_after is not None and self.done > self.breaks_after:
            raise LookupError("the way broke")
        try:
            return one, act(one)
        except TallyportError as error:
            return one, error


class Way:
    """What of a passage a bunch needs, between two stores."""

    def __init__(self, source: Store, destination: Store) -> None:
        self.source, self.destination = source, destination
        self.outcomes: dict[str, Any] = {}
        self.guard: Callable[[], None] = lambda: None
        self.disproved: Exception | None = None  # what proving the file named n05 meets

    def connector(self, side: Side) -> Connector:
        return self.source if side is Side.SOURCE else self.destination

    def facts_of(self, entry: Entry, to: Connector, *, content: bytes | None = None) -> Facts:
        return Facts(entry.size, entry.modified, hash=content)

    def prove(self, taking: Connector, path: str, stored: Entry, expected: bytes, moved: int) -> int:
        if self.disproved is not None and path == "n05":
            raise self.disproved
        return 2

    def landed(self, ticket: Any, outcome: Any) -> None:
        assert ticket not in self.outcomes, "something came of one file twice"
        self.outcomes[ticket] = outcome


class Ground:
    """A bunch of forty files that waits to be carried."""

    def __init__(self, *, places: int = 6, shared: Places | None = None) -> None:
        self.way = Way(Store(), Store())
        self.places = [shared or Places(most=places), Places(most=places)]
        for one in self.places:
            one.widen(places)
        self.pool = Pool(self.places, places)
        self.bunch = Bunch(self.way, self.pool)
        self.paced: list[int] = []
        self.most_flying = 0
        for name in NAMES:
            entry = self.way.source.write(name, [name.encode()], Facts(len(name)))
            self.bunch.add(Small(Side.DESTINATION, name, entry, name, None, name))

    def carry(self, stopped: Callable[[], bool] = bool, *, seats: int = 0) -> dict[str, TallyportError | None]:
        """Carry; gives what is to go alone by its name."""

        def pace(size: int) -> None:
            self.paced.append(size)
            self.most_flying = max(self.most_flying, self.pool.flying)

        again = self.bunch.carry(stopped, pace, seats=seats)
        assert self.pool.flying == 0, "places were not given back"
        assert [len(one._since) for one in self.places] == [0, 0]
        names = [small.ticket for small, _ in again]
        assert not set(names) & set(self.way.outcomes)
        assert sorted([*names, *self.way.outcomes]) == NAMES, "each file once"
        return {small.ticket: trouble for small, trouble in again}

    def stored(self) -> dict[str, bytes]:
        found = self.way.destination
        return {entry.name: read_all(found, entry.name) for entry in found.children("")}

    def of(self, wanted: object) -> list[str]:
        """Give the names whose outcome is of a kind of error, or a class."""
        outcomes = sorted(self.way.outcomes.items())
        if isinstance(wanted, ErrorKind):
            return [name for name, one in outcomes if isinstance(one, TallyportError) and one.kind is wanted]
        return [
            name for name, one in outcomes if one is wanted or (isinstance(wanted, type) and isinstance(one, wanted))
        ]


@pytest.fixture
def ground() -> Ground:
    return Ground()


def error(kind: ErrorKind) -> TallyportError:
    return TallyportError(kind, "as the test wants it", operation="write")


def test_all_files_land_and_each_is_paced_and_proved(ground: Ground) -> None:
    assert ground.carry() == {}
    assert ground.of(Landed) == NAMES
    assert ground.stored() == {name: name.encode() for name in NAMES}
    assert ground.paced == [3] * COUNT
    assert {one.level for one in ground.way.outcomes.values()} == {2}


def test_no_more_are_under_way_than_there_are_places(ground: Ground) -> None:
    ground.carry()
    assert 1 < ground.most_flying <= 6


def test_the_next_bunch_may_begin_once_the_last_item_of_this_one_has(ground: Ground) -> None:
    seen: list[bool] = []

    def landed(ticket: Any, outcome: Any) -> None:
        is_free = ground.pool.turn.acquire(blocking=False)
        if is_free:
            ground.pool.turn.release()
        seen.append(is_free)
        Way.landed(ground.way, ticket, outcome)

    ground.way.landed = landed  # type: ignore[method-assign]
    assert ground.carry() == {}
    assert not seen[0], "while items of a bunch are to begin no other bunch begins any"
    assert seen[-2], "its last items are still under way"


def test_a_bunch_that_goes_slowly_keeps_no_other_back_that_shares_one_end_with_it(ground: Ground) -> None:
    other = Ground(shared=ground.places[0])
    theirs: list[bool] = []

    def landed(ticket: Any, outcome: Any) -> None:
        if not theirs:
            beside = threading.Thread(target=other.bunch.carry, args=(bool, lambda size: None), daemon=True)
            beside.start()
            beside.join(20)
            theirs.append(not beside.is_alive())
        Way.landed(ground.way, ticket, outcome)

    ground.way.landed = landed  # type: ignore[method-assign]
    assert ground.carry() == {}
    assert theirs == [True]
    assert other.of(Landed) == NAMES


@pytest.mark.parametrize("seats", [1, 2, 5])
def test_no_more_are_under_way_than_there_are_seats(ground: Ground, seats: int) -> None:
    assert ground.carry(seats=seats) == {}
    assert 0 < ground.most_flying <= seats
    assert ground.of(Landed) == NAMES


def test_a_bunch_waits_while_others_have_all_places() -> None:
    ground = Ground(places=2)
    others = [ground.pool.enter(bool) for _ in range(2)]
    looks = itertools.count()

    def stopped() -> bool:
        if next(looks) == 3:
            for entered in others:
                ground.pool.leave(entered, 0, None)
        return False

    assert ground.carry(stopped) == {}
    assert ground.of(Landed) == NAMES


def test_a_stop_in_the_middle_ends_what_began_and_begins_no_more(ground: Ground) -> None:
    again = ground.carry(lambda: len(ground.paced) >= 10)
    assert again == {}
    begun = ground.of(Landed)
    assert 10 <= len(begun) <= 10 + 6
    assert ground.of(UNBEGUN) == [name for name in NAMES if name not in begun]
    assert sorted(ground.stored()) == begun


def test_a_stop_before_the_first_begins_nothing(ground: Ground) -> None:
    ground.carry(lambda: True)
    assert ground.of(UNBEGUN) == NAMES
    assert ground.stored() == {}


def test_a_stop_while_others_have_all_places_ends_the_wait() -> None:
    ground = Ground(places=1)
    entered = ground.pool.enter(bool)
    looks = itertools.count()
    taken = ground.bunch.carry(lambda: next(looks) > 2, ground.paced.append)
    ground.pool.leave(entered, 0, None)
    assert taken == []
    assert ground.of(UNBEGUN) == NAMES


def test_a_lease_that_ends_in_the_middle_lets_nothing_more_become_visible(ground: Ground) -> None:
    asked = itertools.count(1)

    def guard() -> None:
        if next(asked) > 15:
            raise error(ErrorKind.UNAVAILABLE)

    ground.way.guard = guard
    again = ground.carry()
    assert len(ground.stored()) == 15
    assert sorted(ground.stored()) == ground.of(Landed)
    assert {trouble.kind for trouble in again.values() if trouble} == {ErrorKind.UNAVAILABLE}
    assert sorted([*again, *ground.stored()]) == NAMES


@pytest.mark.parametrize("kind", [ErrorKind.ALREADY_EXISTS, ErrorKind.CORRUPT, ErrorKind.PERMISSION_DENIED])
def test_a_file_that_fails_is_reported_and_the_others_land(ground: Ground, kind: ErrorKind) -> None:
    ground.way.destination.wrong["n05"] = error(kind)
    assert ground.carry() == {}
    assert ground.of(kind) == ["n05"]
    assert ground.of(Landed) == [name for name in NAMES if name != "n05"]


@pytest.mark.parametrize("kind", [ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT, ErrorKind.RATE_LIMITED])
def test_a_file_that_meets_a_passing_trouble_goes_alone_and_knows_it(ground: Ground, kind: ErrorKind) -> None:
    trouble = ground.way.destination.wrong["n05"] = error(kind)
    assert ground.carry() == {"n05": trouble}
    assert ground.of(Landed) == [name for name in NAMES if name != "n05"]


@pytest.mark.parametrize("met", [error(ErrorKind.CORRUPT), ZeroDivisionError("a mistake of ours")])
def test_a_file_that_is_not_proved_fails_alone(ground: Ground, met: Exception) -> None:
    ground.way.disproved = met
    assert ground.carry() == {}
    failed = ground.of(TallyportError)
    assert failed == ["n05"]
    kind = met.kind if isinstance(met, TallyportError) else ErrorKind.UNEXPECTED
    assert (ground.way.outcomes["n05"].kind, str(met) in ground.way.outcomes["n05"].message) == (kind, True)


def test_a_file_that_grew_or_vanished_since_it_was_listed_fails_alone(ground: Ground) -> None:
    ground.way.source.write("n05", [b"longer than it was"], Facts(18))
    ground.way.source.delete("n06")
    assert ground.carry() == {}
    assert ground.of(ErrorKind.CHANGED_DURING_COPY) == ["n05"]
    assert ground.of(ErrorKind.NOT_FOUND) == ["n06"]
    assert ground.of(Landed) == [name for name in NAMES if name not in ("n05", "n06")]


def test_a_mistake_while_a_file_is_paced_is_that_files_alone(ground: Ground) -> None:
    def pace(size: int) -> None:
        ground.paced.append(size)
        if len(ground.paced) == 7:
            raise ZeroDivisionError("a mistake of ours")

    ground.bunch.carry(bool, pace)
    assert len(ground.of(ErrorKind.UNEXPECTED)) == 1
    assert len(ground.of(Landed)) == COUNT - 1
    assert ground.pool.flying == 0


def test_a_way_that_breaks_fails_what_was_under_way_and_the_rest_goes_alone(ground: Ground) -> None:
    """Nobody stopped the visit, so none of its files may be left over as if somebody had."""
    ground.way.destination.breaks_after = 9
    again = ground.carry()
    assert len(ground.of(Landed)) == 9
    assert 0 < len(ground.of(ErrorKind.UNEXPECTED)) <= 6
    assert ground.of(UNBEGUN) == []
    assert again
    assert set(again.values()) == {None}


def test_both_directions_are_carried(ground: Ground) -> None:
    entry = ground.way.destination.write("back", [b"back"], Facts(4))
    ground.bunch.add(Small(Side.SOURCE, "back", entry, "back", None, "back"))
    ground.bunch.carry(bool, ground.paced.append)
    assert isinstance(ground.way.outcomes["back"], Landed)
    assert read_all(ground.way.source, "back") == b"back"


def test_a_bunch_is_full_by_items_and_by_bytes() -> None:
    way = Way(Store(), Store())
    entry = way.source.write("a", [b"x"], Facts(1))
    for size, count in ((1, ITEMS), (SMALL, BYTES // SMALL)):
        bunch = Bunch(way, Pool([], 1))
        for number in range(count):
            assert not bunch.full
            bunch.add(Small(Side.DESTINATION, "a", entry._replace(size=size), "a", None, number))
        assert bunch.full


def test_only_a_small_file_whose_condition_the_platform_checks_goes_in_a_bunch() -> None:
    memory = Memory()
    limits = memory.limits
    entry = memory.write("a", [b"x"], Facts(1))
    assert is_small(entry, None, limits) is limits.creates_only
    assert is_small(entry, entry, limits) is limits.replaces_checked
    assert not is_small(entry._replace(size=SMALL + 1), None, limits)
    assert not is_small(memory.make_container("box", Facts()), None, limits)


@pytest.mark.parametrize(("verify", "together"), [(VerifyLevel.HASH, True), (VerifyLevel.READBACK, False)])
def test_what_is_read_back_from_a_platform_that_is_waited_for_goes_on_many_threads(
    verify: VerifyLevel, together: bool
) -> None:
    """Reading back on the one thread of a bunch would be done file by file."""
    source, inner = Store(), Store()
    entry = source.write("a", [b"content"], Facts(7))
    threads = []
    write = inner.write

    def written(*arguments: Any, **named: Any) -> Entry:
        threads.append(threading.current_thread())
        return write(*arguments, **named)

    inner.write = written  # type: ignore[method-assign]
    destination = cast(Connector, Holding(inner, Places(most=4)))
    policies = Policies(transfer_type=TransferType.COPY, verify=verify)
    passage = StreamPassage(source, destination, policies=policies, token="t0")
    passage.send(Side.DESTINATION, "a", entry, "a", None, "ticket")
    ((_, landed),) = passage.settle()
    assert (landed.level, read_all(inner, "a")) == (int(verify), b"content")
    assert (threads == [threading.current_thread()]) is together
