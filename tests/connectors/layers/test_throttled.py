"""A bucket gives its rate over time, however it is asked."""

from __future__ import annotations

import pytest

from tallyport.connectors.layers.throttled import Bucket, Throttled
from tallyport.connectors.memory import Memory
from tallyport.connectors.protocol import Facts
from tallyport.testing.worlds import read_all
from tests.clock import Clock


def test_a_bucket_gives_its_rate_over_time() -> None:
    clock = Clock()
    bucket = Bucket(1000, clock=clock, sleep=clock.sleep)
    for _ in range(100):
        bucket.take(100)
    assert clock.now == pytest.approx(9, abs=0.3)  # the first second's worth was there


def test_a_taker_of_much_leaves_a_debt() -> None:
    clock = Clock()
    bucket = Bucket(1000, clock=clock, sleep=clock.sleep)
    bucket.take(10_000)
    assert clock.now == 0
    bucket.take(1)
    assert clock.now == pytest.approx(9, abs=0.3)


def test_a_rate_can_be_changed_while_somebody_waits() -> None:
    clock = Clock()
    bucket = Bucket(1, clock=clock, sleep=lambda seconds: nap(seconds))

    def nap(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.now >= 1:
            bucket.rate = None

    bucket.take(1_000_000)
    bucket.take(1_000_000)
    assert clock.now == pytest.approx(1, abs=0.3)
    assert bucket.rate is None


def test_a_rate_of_nothing_holds_everybody_until_it_is_changed() -> None:
    clock = Clock()
    bucket = Bucket(0, clock=clock, sleep=lambda seconds: nap(seconds))

    def nap(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.now >= 60:
            bucket.rate = 1000

    bucket.take(1)
    assert clock.now == pytest.approx(60, abs=0.3)


def test_a_bucket_that_was_idle_gives_no_more_than_one_second() -> None:
    clock = Clock()
    bucket = Bucket(1000, clock=clock, sleep=clock.sleep)
    clock.now = 1_000_000
    for _ in range(30):
        bucket.take(100)
    assert clock.now - 1_000_000 == pytest.approx(2, abs=0.3)


def test_throttled_paces_both_ways() -> None:
    clock = Clock()
    bucket = Bucket(1000, clock=clock, sleep=clock.sleep)
    throttled = Throttled(Memory(), bucket)
    throttled.write("a", (bytes(100) for _ in range(50)), Facts())
    assert clock.now == pytest.approx(4, abs=0.3)
    read_all(throttled, "a")
    throttled.stat("a")
    assert clock.now == pytest.approx(4, abs=0.3)
    read_all(throttled, "a")  # pays for the one before
    assert clock.now == pytest.approx(9, abs=0.3)
