"""Rates: one account for all workers of an execution, and changes that reach a running one."""

from __future__ import annotations

import json
import mmap
import os
import threading
import time
from dataclasses import replace

import pytest

from tallyport.domain.policies import Bandwidth, BandwidthWindow, Policies, TransferType
from tallyport.domain.policies_json import policies_to_json
from tallyport.engine.mover_pool import MoverPool
from tallyport.engine.throttle import SIZE, Accounts, Rates, rate_now, rates_now
from tallyport.store import executions
from tests.clock import Clock
from tests.engine.conftest import Port, copy
from tests.engine.desk import Desk


def going() -> bool:
    return False


def accounts() -> tuple[Accounts, Clock]:
    clock = Clock()
    return Accounts(clock=clock, sleep=clock.sleep), clock


def test_bytes_pass_at_the_rate() -> None:
    made, clock = accounts()
    made.limit(7, Rates(upload=1_000))
    for _ in range(10):
        made.take(7, 500, going)
    assert sum(clock.slept) == pytest.approx(5.0, abs=0.01)


def test_the_slower_direction_rules() -> None:
    made, clock = accounts()
    made.limit(7, Rates(download=500, upload=1_000))
    made.take(7, 1_000, going)
    assert sum(clock.slept) == pytest.approx(2.0, abs=0.01)


def test_idle_time_is_not_saved_up() -> None:
    made, clock = accounts()
    made.limit(7, Rates(upload=1_000))
    clock.now += 3_600
    made.take(7, 1_000, going)
    assert sum(clock.slept) == pytest.approx(0.75, abs=0.01)


def test_a_stop_ends_the_wait() -> None:
    made, clock = accounts()
    made.limit(7, Rates(upload=1))
    made.take(7, 1_000_000, lambda: True)
    assert sum(clock.slept) == 0


def test_a_rate_that_is_lifted_lets_those_go_who_wait() -> None:
    made, clock = accounts()
    made.limit(7, Rates(upload=1))

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        made.limit(7, Rates())

    made._sleep = sleep  # type: ignore[method-assign]
    made.take(7, 1_000_000, going)
    assert sum(clock.slept) <= 0.1
    assert not made.is_limited(7)


def test_accounts_of_other_executions_are_others() -> None:
    made, clock = accounts()
    made.limit(7, Rates(upload=1))
    assert not made.is_limited(8)
    made.take(8, 1 << 40, going)
    made.limit(7 + 256, Rates(upload=1_000_000))  # takes the place of one that ended long ago
    made.take(7, 1 << 40, going)
    assert sum(clock.slept) == 0


def test_two_views_of_one_memory_share_an_account() -> None:
    fd = os.memfd_create("accounts")
    os.ftruncate(fd, SIZE)
    memory = mmap.mmap(fd, SIZE)
    clock = Clock()
    one, other = (Accounts(memoryview(memory), fd, clock=clock, sleep=clock.sleep) for _ in range(2))
    one.limit(7, Rates(upload=1_000))
    for _ in range(5):
        one.take(7, 500, going)
        other.take(7, 500, going)
    assert sum(clock.slept) == pytest.approx(5.0, abs=0.01)
    os.close(fd)


def test_many_threads_together_keep_the_rate() -> None:
    made = Accounts()
    made.limit(7, Rates(upload=200_000))
    began = time.monotonic()
    threads = [threading.Thread(target=lambda: [made.take(7, 5_000, going) for _ in range(5)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - began >= 0.45


def test_the_latest_window_that_holds_sets_the_rate() -> None:
    windows = (BandwidthWindow(starts=100.0, bytes_per_second=7), BandwidthWindow(starts=200.0, bytes_per_second=9))
    limit = Bandwidth(bytes_per_second=5, windows=windows)
    midnight = 86_400.0
    rates = [rate_now(limit, since, started=midnight - 1_000.0) for since in (50.0, 150.0, 250.0, 1_050.0)]
    assert rates == [5, 7, 9, 5]
    both = rates_now(Policies(download=limit), midnight - 1_000.0 + 150.0, started=midnight - 1_000.0)
    assert both == Rates(download=7, upload=None)


LIMIT = Bandwidth(bytes_per_second=100_000)


@pytest.mark.parametrize("way", ["upload", "download"])
def test_an_execution_between_any_two_platforms_keeps_to_its_rate(port: Port, way: str) -> None:
    for n in range(4):
        port.source.write(f"{n}.bin", [bytes(25_000)], _facts())
    port.start()
    began = time.monotonic()
    port.run(copy(**{way: LIMIT}))
    assert time.monotonic() - began >= 0.7


def test_movers_together_keep_to_the_rate_of_local_files(tmp_path) -> None:
    for folder in ("a", "b"):
        (tmp_path / "source" / folder).mkdir(parents=True)
        for n in range(4):
            (tmp_path / "source" / folder / f"{n}.bin").write_bytes(bytes(25_000))
    (tmp_path / "destination").mkdir()
    pool = MoverPool(2)
    pool.start()
    try:
        pool.limit(1, Rates(upload=200_000))
        policies = Policies(transfer_type=TransferType.COPY, upload=Bandwidth(bytes_per_second=200_000))
        ends = [("fs", json.dumps({"path": str(tmp_path / name)}), "") for name in ("source", "destination")]
        desk = Desk(ends[0], ends[1], policies, group=1)
        desk.run(pool)  # movers are warm now
        began = time.monotonic()
        (tmp_path / "source" / "c").mkdir()
        for n in range(4):
            (tmp_path / "source" / "c" / f"{n}.bin").write_bytes(bytes(50_000))
        pool.limit(2, Rates(upload=200_000))
        desk.run(pool)
        assert time.monotonic() - began >= 0.7
    finally:
        pool.close()


def test_a_rate_raised_in_the_middle_reaches_the_running_execution(port: Port) -> None:
    port.source.write("big.bin", [bytes(100_000) for _ in range(10)], _facts())
    port.start()
    policies = copy(upload=Bandwidth(bytes_per_second=1_000))  # a quarter of an hour
    run = port.begin(policies)
    port.wait(run, lambda one: one.state == "executing")
    time.sleep(0.1)
    with port.database.begin() as tx:
        faster = policies_to_json(replace(policies, upload=Bandwidth()))
        executions.change(tx, run, policies=faster, revision=1)
    assert port.wait(run).result == "clean"
    assert port.destination.stat("big.bin") is not None


def test_a_lower_rate_reaches_an_execution_that_had_none(port: Port) -> None:
    for n in range(50):
        port.source.write(f"{n:02}.bin", [bytes(1_000)], _facts())
    port.slow(0, delay=0.02)
    port.start()
    run = port.begin(copy())
    port.wait(run, lambda one: one.state == "executing")
    with port.database.begin() as tx:
        executions.change(
            tx, run, policies=policies_to_json(copy(upload=Bandwidth(bytes_per_second=10_000))), revision=1
        )
    began = time.monotonic()
    port.wait(run)
    assert time.monotonic() - began >= 2.0


def test_other_parallel_writes_reach_the_running_execution(port: Port) -> None:
    for folder in range(40):
        port.source.make_container(f"{folder:02}", _facts())
        port.source.write(f"{folder:02}/x", [b"x"], _facts())
    port.slow(0, delay=0.01)
    port.start(threads=4)
    run = port.begin(copy(parallel_writes=1))
    port.wait(run, lambda one: one.state == "executing")
    assert _batches(port, run) <= 1
    with port.database.begin() as tx:
        executions.change(tx, run, policies=policies_to_json(copy(parallel_writes=3)), revision=1)
    port.wait(run, lambda one: _batches(port, run) > 1 or one.has_ended)
    assert port.wait(run).transferred == 40


def test_requested_writes_keep_within_the_maximum() -> None:
    assert Policies(parallel_writes=8, parallel_writes_max=3).parallel_at_most == 3
    assert Policies(parallel_writes=2, parallel_writes_max=3).parallel_at_most == 2


def _batches(port: Port, run: int) -> int:
    from tallyport.store import frontier

    with port.database.read() as tx:
        return len(frontier.open_batches(tx, run))


def _facts():
    from tallyport.connectors.protocol import Facts

    return Facts()
