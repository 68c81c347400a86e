"""Small calls are made again when the reason passes, and nothing else is."""

from __future__ import annotations

import random
import weakref
from collections.abc import Iterator

import pytest

from tallyport.connectors.layers.faulty import Fault, Faulty
from tallyport.connectors.layers.layer import OPERATIONS
from tallyport.connectors.layers.retrying import PASSING, REPEATABLE, Retrying
from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.protocol import Connector, Counts, Moves
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.testing.connector_contract import refused
from tallyport.testing.worlds import picture, put, tree
from tests.clock import Clock
from tests.connectors.layers.whole import Whole, every_call


def patient(inner: Connector, clock: Clock, attempts: int = 3, **named) -> Retrying:
    return Retrying(inner, attempts=attempts, sleep=clock.sleep, chance=random.Random(1), **named)


@pytest.mark.parametrize("kind", sorted(PASSING))
@pytest.mark.parametrize("operation", sorted({*REPEATABLE, "children", "read"}))
def test_a_small_call_is_repeated_when_the_reason_passes(operation: str, kind: ErrorKind) -> None:
    faulty = Faulty(tree("a.txt 3b v1", Whole()), [Fault(operation=operation, kind=kind, times=2)])
    clock = Clock()
    every_call(patient(faulty, clock))[operation]()
    assert (len(faulty.fired), len(clock.slept)) == (2, 2)


@pytest.mark.parametrize("operation", sorted({*OPERATIONS} - REPEATABLE - {"children", "read"}))
def test_other_calls_are_not_repeated(operation: str) -> None:
    faulty = Faulty(tree("a.txt 3b v1\nd.txt 3b v1", Whole()), [Fault(operation=operation, kind=ErrorKind.UNAVAILABLE)])
    with refused(ErrorKind.UNAVAILABLE):
        every_call(patient(faulty, Clock()))[operation]()
    assert len(faulty.fired) == 1


@pytest.mark.parametrize("kind", sorted(set(ErrorKind) - PASSING - {ErrorKind.UNEXPECTED}))
def test_a_reason_that_does_not_pass_is_not_repeated(kind: ErrorKind) -> None:
    faulty = Faulty(Memory(), [Fault(operation="stat", kind=kind)])
    with refused(kind):
        patient(faulty, Clock()).stat("a")
    assert len(faulty.fired) == 1


def test_a_call_that_keeps_failing_says_how_often_it_was_tried() -> None:
    faulty = Faulty(Memory(), [Fault(operation="stat", kind=ErrorKind.TIMEOUT, times=None)])
    clock = Clock()
    with pytest.raises(TallyportError, match="still failing after 3 attempts: cannot stat") as caught:
        patient(faulty, clock).stat("a")
    assert (caught.value.kind, caught.value.path, caught.value.operation) == (ErrorKind.TIMEOUT, "a", "stat")
    assert isinstance(caught.value.__cause__, TallyportError)
    assert (len(faulty.fired), len(clock.slept)) == (3, 2)


def test_pauses_are_drawn_below_a_bound_that_doubles() -> None:
    clock = Clock()
    faulty = Faulty(Memory(), [Fault(operation="stat", kind=ErrorKind.TIMEOUT, times=None)])
    with refused(ErrorKind.TIMEOUT):
        patient(faulty, clock, attempts=9, first=1, longest=20).stat("a")
    bounds = [1, 2, 4, 8, 16, 20, 20, 20]
    assert all(0 <= pause <= bound for pause, bound in zip(clock.slept, bounds, strict=True))
    again = Clock()
    with refused(ErrorKind.TIMEOUT):
        patient(faulty, again, attempts=9, first=1, longest=20).stat("a")
    assert again.slept == clock.slept  # the same chance, the same pauses


def test_a_pause_is_never_shorter_than_the_platform_asked() -> None:
    clock = Clock()
    fault = Fault(operation="stat", kind=ErrorKind.RATE_LIMITED, retry_after=7)
    patient(Faulty(Memory(), [fault]), clock).stat("a")
    assert clock.slept == [7]


def test_a_pause_longer_than_the_patience_goes_to_the_caller() -> None:
    clock = Clock()
    faulty = Faulty(Memory(), [Fault(operation="stat", kind=ErrorKind.RATE_LIMITED, retry_after=3600)])
    with pytest.raises(TallyportError) as caught:
        patient(faulty, clock).stat("a")
    assert (caught.value.retry_after, clock.slept) == (3600, [])


def test_a_listing_goes_on_after_what_it_gave() -> None:
    fault = Fault(operation="children", kind=ErrorKind.UNAVAILABLE, after=2, times=2)
    faulty = Faulty(tree("a 1b v1\nb 1b v1\nc 1b v1\nd 1b v1"), [fault])
    given = [entry.name for entry in patient(faulty, Clock()).children("")]
    assert sorted(given) == ["a", "b", "c", "d"]
    assert len(faulty.fired) == 2


def test_a_listing_that_counts_contents_goes_on_so_too() -> None:
    inner = Memory(Settings(versions=True))
    for name, times in {"a": 1, "b": 2, "c": 3}.items():
        for _ in range(times):
            put(inner, name)
    faulty = Faulty(inner, [Fault(operation="children", kind=ErrorKind.UNAVAILABLE, after=1, times=2)])
    layer = patient(faulty, Clock())
    assert isinstance(layer, Counts)
    assert {entry.name: entry.contents for entry in layer.counted("")} == {"a": 1, "b": 2, "c": 3}
    assert len(faulty.fired) == 2


def test_a_listing_that_keeps_failing_gives_up() -> None:
    fault = Fault(operation="children", kind=ErrorKind.UNAVAILABLE, after=1, times=None)
    with pytest.raises(TallyportError, match="still failing after 3 attempts"):
        list(patient(Faulty(tree("a 1b v1\nb 1b v1"), [fault]), Clock()).children(""))


def test_a_very_long_listing_is_not_begun_again(monkeypatch) -> None:
    monkeypatch.setattr(Retrying, "REMEMBERED", 1)
    fault = Fault(operation="children", kind=ErrorKind.UNAVAILABLE, after=2)
    with refused(ErrorKind.UNAVAILABLE):
        list(patient(Faulty(tree("a 1b v1\nb 1b v1\nc 1b v1"), [fault]), Clock()).children(""))


class _Name(str):
    """A name that can be watched."""


class _Long(Memory):
    def __init__(self) -> None:
        super().__init__()
        self.names: weakref.WeakSet[_Name] = weakref.WeakSet()

    def children(self, path: str) -> Iterator[Entry]:
        for number in range(1_000):
            name = _Name(number)
            self.names.add(name)
            yield Entry(name, Kind.FILE)


def test_a_long_listing_is_remembered_no_further_than_it_could_be_begun_again(monkeypatch) -> None:
    monkeypatch.setattr(Retrying, "REMEMBERED", 100)
    inner = _Long()
    kept = [len(inner.names) for _ in patient(inner, Clock()).children("")]
    assert len(kept) == 1_000
    assert max(kept[:100]) >= 100
    assert max(kept[102:]) <= 2


def test_a_read_that_has_begun_is_not_repeated() -> None:
    faulty = Faulty(tree("a.txt 9b v1"), [Fault(operation="read", kind=ErrorKind.UNAVAILABLE, after=4)])
    with patient(faulty, Clock()).read("a.txt") as chunks:
        assert len(next(chunks)) == 4
        with refused(ErrorKind.UNAVAILABLE):
            next(chunks)
    assert len(faulty.fired) == 1


def test_a_fault_of_the_reader_is_not_taken_for_one_of_the_platform() -> None:
    connector = patient(tree("a.txt 9b v1"), Clock())
    with refused(ErrorKind.TIMEOUT), connector.read("a.txt"):
        raise TallyportError(ErrorKind.TIMEOUT, "the destination did not answer")


@pytest.mark.parametrize("operation", ["make_container", "delete", "stamp"])
def test_a_call_whose_answer_was_lost_is_made_again(operation: str) -> None:
    fault = Fault(operation=operation, kind=ErrorKind.TIMEOUT, effective=True)
    every_call(patient(Faulty(tree("a.txt 3b v1\nc.txt 3b v1", Whole()), [fault]), Clock()))[operation]()


def test_a_rename_whose_answer_was_lost_is_to_be_looked_at() -> None:
    faulty = Faulty(tree("a.txt 3b v1"), [Fault(operation="rename", kind=ErrorKind.TIMEOUT, effective=True)])
    connector = patient(faulty, Clock())
    assert isinstance(connector, Moves)
    with refused(ErrorKind.NOT_FOUND):
        connector.rename("a.txt", "b.txt")
    assert picture(connector) == "b.txt 3b v1"
