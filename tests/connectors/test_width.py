"""Places at a connection, and waiting for what it asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tallyport.connectors.layers.faulty import Fault, Faulty
from tallyport.connectors.layers.retrying import Retrying
from tallyport.connectors.memory import Memory
from tallyport.connectors.protocol import Facts
from tallyport.connectors.width import Holding, Places, Traffic, places_of, traffic_of
from tallyport.domain.errors import ErrorKind, TallyportError
from tests.clock import Clock


def held(*faults: Fault) -> tuple[Holding, Clock]:
    clock = Clock(1000.0)
    places = Places(clock=clock, sleep=clock.sleep)
    return Holding(Faulty(Memory(), faults), places), clock


def refusing(operation: str, retry_after: float | None) -> Fault:
    return Fault(operation=operation, kind=ErrorKind.RATE_LIMITED, retry_after=retry_after)


def test_nobody_calls_before_the_time_that_the_platform_gave() -> None:
    connector, clock = held(refusing("stat", 7.0))
    with pytest.raises(TallyportError):
        connector.stat("a")
    connector.write("b", [b"x"], Facts(size=1))
    assert clock.now >= 1007.0


def test_a_time_too_long_to_wait_for_is_said_and_nothing_is_sent() -> None:
    connector, clock = held(refusing("stat", 100.0))
    with pytest.raises(TallyportError):
        connector.stat("a")
    with pytest.raises(TallyportError) as caught:
        list(connector.children(""))
    assert caught.value.kind is ErrorKind.RATE_LIMITED
    assert caught.value.retry_after == pytest.approx(100.0)
    assert clock.slept == []


def test_reads_and_listings_hear_it_too() -> None:
    connector, clock = held(refusing("children", 3.0), refusing("read", 4.0))
    connector.write("a", [b"x"], Facts(size=1))
    with pytest.raises(TallyportError):
        list(connector.children(""))
    with pytest.raises(TallyportError), connector.read("a") as chunks:
        list(chunks)
    connector.stat("a")
    assert clock.now >= 1007.0


def test_retries_wait_as_long_as_was_asked_and_no_longer() -> None:
    connector, clock = held(refusing("stat", 5.0))
    patient = Retrying(connector, sleep=clock.sleep)
    patient.stat("a")
    assert clock.now == pytest.approx(1005.0)


def test_no_more_are_let_in_than_there_are_places() -> None:
    places = Places(most=2)
    places.widen(2)
    assert places.count == 2
    assert places.enter(bool, most=8)
    assert places.enter(bool, most=8)
    stops: Iterator[bool] = iter([False, True])
    assert not places.enter(lambda: next(stops), most=8)
    places.leave(0, None)
    assert places.enter(bool, most=8)


def test_whoever_waits_is_let_in_when_another_leaves() -> None:
    places = Places(most=1)
    assert places.enter(bool, most=1)
    entered = threading.Event()
    waiting = threading.Thread(target=lambda: places.enter(bool, most=1) and entered.set())
    waiting.start()
    places.leave(0, None)
    waiting.join(10)
    assert entered.is_set()


def test_all_who_open_one_connection_share_its_places() -> None:
    assert places_of("s3", {"bucket": "a", "region": "r"}) is places_of("s3", {"region": "r", "bucket": "a"})
    assert places_of("s3", {"bucket": "a"}) is not places_of("s3", {"bucket": "b"})


def test_what_is_worked_says_how_many_places_are_taken_and_how_long_the_platform_asks_to_wait() -> None:
    settings = {"bucket": "watched"}
    assert traffic_of("s3", settings) is None
    places = places_of("s3", settings)
    before = places.traffic
    assert places.enter(bool, most=8)
    assert places.traffic == Traffic(before.places, 1, 0.0)
    places.hold(60.0)
    places.leave(0, TallyportError(ErrorKind.RATE_LIMITED, "slower"))
    after = traffic_of("s3", settings)
    assert after is not None
    assert after.places < before.places
    assert 0.0 < after.waits <= 60.0


def test_places_begin_with_what_was_found_unless_they_know_better() -> None:
    clock = Clock(1000.0)
    places = Places(clock=clock)
    places.begin_with(9)
    assert (places.count, places.found and places.found.places) == (9, 9)
    places.begin_with(3)
    assert places.count == 9
    places.widen(64)
    assert places.count == 9, "a job that asks for more does not lift what is known to suit"


def test_places_that_the_platform_halved_are_not_lifted_by_a_job_that_asks_for_more() -> None:
    clock = Clock(1000.0)
    places = Places(clock=clock)
    places.trouble(TallyportError(ErrorKind.RATE_LIMITED, "slower"))
    places.widen(64)
    assert (places.count, places.found and places.found.places) == (2, 2)
