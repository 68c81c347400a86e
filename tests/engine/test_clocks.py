"""T1, T3, I9: clocks that are wrong by two days, jump while a run goes on, or count coarsely, decide nothing."""

from __future__ import annotations

import os
import random
import time

import pytest

from tallyport.connectors.memory import Memory
from tallyport.domain.policies import Policies, TransferType
from tallyport.engine.lease import Lease, clock
from tallyport.testing.worlds import differences, picture, tree
from tests.engine.conftest import Port
from tests.engine.test_awkward_destinations import write

SEED = int(os.environ.get("TALLYPORT_SEED") or random.randrange(1_000_000))
HOUR = 3_600_000_000_000
SKEW = 48 * HOUR
WORLD = "\n".join(f"d{folder}/{number}.txt {1 + number}b v1" for folder in range(10) for number in range(5))


@pytest.fixture
def jumping(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the clock of this machine jump by up to 48 hours, back or forth, every few readings; gives the jumps."""
    print(f"TALLYPORT_SEED={SEED}")
    chance, jumps, true = random.Random(SEED), [0], time.time_ns

    def time_ns() -> int:
        if chance.random() < 0.2:
            jumps.append(chance.randint(-SKEW, SKEW))
        return true() + jumps[-1]

    monkeypatch.setattr(time, "time_ns", time_ns)
    monkeypatch.setattr(time, "time", lambda: time_ns() / 1e9)
    return jumps


@pytest.mark.parametrize("kind", [TransferType.COPY, TransferType.SYNC, TransferType.MOVE])
def test_a_clock_that_jumps_during_a_run_changes_nothing_of_what_is_done(
    port: Port, jumping: list[int], kind: TransferType
) -> None:
    policies = Policies(transfer_type=kind)
    tree(WORLD, port.source)
    whole = picture(port.source)
    port.start()
    assert (first := port.run(policies)).result == "clean", first
    assert (first.transferred, first.failed) == (50, 0)
    assert picture(port.destination) == whole
    again = port.run(policies)
    assert (again.result, again.transferred, again.deleted) == ("no_changes", 0, 0)
    assert picture(port.destination) == whole
    assert len(jumping) > 10


def test_a_lease_does_not_see_a_clock_that_jumps(jumping: list[int]) -> None:
    over, holds = Lease(), Lease()
    over.renew(clock() - 1)
    holds.renew(clock() + HOUR)
    for _ in range(200):
        time.time_ns()
        assert over.is_over
        assert not holds.is_over
    assert len(jumping) > 10


@pytest.mark.parametrize("skew", [-SKEW, SKEW], ids=["two days behind", "two days ahead"])
@pytest.mark.parametrize("kind", [TransferType.COPY, TransferType.SYNC, TransferType.PUBLISH])
def test_a_destination_whose_clock_is_wrong_settles_and_gets_what_changed(
    port: Port, monkeypatch: pytest.MonkeyPatch, kind: TransferType, skew: int
) -> None:
    defaults = Memory.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "clock", lambda: time.time_ns() + skew)
    port.slow(1, stamps=False)  # it says of everything when it got it, by its own clock
    policies = Policies(transfer_type=kind)
    tree(WORLD, port.source)
    port.start()
    assert port.run(policies).transferred == 50
    assert port.run(policies).result == "no_changes"
    write(port.source, "d0/0.txt", b"changed", modified=time.time_ns())
    changed = port.run(policies)
    assert (changed.result, changed.transferred) == ("clean", 1)
    assert port.run(policies).result == "no_changes"
    assert differences(port.source, port.destination, times=False) == []


MOMENTS = (-315_619_200, 0, 2_147_483_648, 4_294_967_295, 1_600_000_001)  # 1960, 1970, 2038, 2106, an odd second


@pytest.mark.parametrize("here", [1, 1_000_000_000, 2_000_000_000])
@pytest.mark.parametrize("there", [1, 1_000_000_000, 2_000_000_000])
@pytest.mark.parametrize("kind", [TransferType.COPY, TransferType.SYNC])
def test_between_any_two_precisions_of_times_a_second_run_carries_nothing(
    port: Port, kind: TransferType, here: int, there: int
) -> None:
    """T3."""
    for side, precision in enumerate((here, there)):
        port.slow(side, time_precision=precision)
    for number, moment in enumerate(MOMENTS):
        write(port.source, f"{number}.txt", b"timed", modified=moment * 1_000_000_000 + 123_456_789)
    policies = Policies(transfer_type=kind)
    port.start()
    assert port.run(policies).transferred == len(MOMENTS)
    for _ in range(2):
        assert port.run(policies).result == "no_changes"
