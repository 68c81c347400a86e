"""C5, I6: killed, frozen past the lease and without a database for a while, nothing is lost and nothing done twice.

Each round begins a job, strikes it four times in an order and at moments of its own, and lets it end. In the nightly
run 500 rounds with outages of 20 s on each database, `TALLYPORT_ROUNDS` of them if that is set. Each round prints the
seed that makes it alone: `TALLYPORT_SEED=... TALLYPORT_ROUNDS=1`.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import pytest

from tallyport.testing import trees
from tallyport.testing.postgres import postgres_server
from tests.acceptance.chaos import EVENTS, Alone, Struck, Workers
from tests.acceptance.fleet import PATIENCE, check

SEED = int(os.environ.get("TALLYPORT_SEED") or time.time_ns() % 1_000_000)
ROUNDS = int(os.environ.get("TALLYPORT_ROUNDS", "500"))
ITEMS, BUDGET = 3_000, 60 * trees.MIB
OUTAGE = 20.0  # seconds
SHORT = PATIENCE + 2  # past every lease, too

on_both = pytest.mark.parametrize(
    "struck", ["sqlite", pytest.param("postgres", marks=pytest.mark.needs("pg_ctlcluster"))], indirect=True
)


@pytest.fixture
def struck(request: pytest.FixtureRequest, place: str) -> Iterator[Struck]:
    if request.param == "sqlite":
        alone = Alone(place)
        try:
            yield alone
        finally:
            alone.close()
        return
    with postgres_server() as server:
        workers = Workers(place, server)
        try:
            yield workers
        finally:
            workers.close()


@on_both
@pytest.mark.timeout(400)
def test_a_round_of_chaos_loses_nothing(struck: Struck, place: str) -> None:
    strike(struck, place, 1, SHORT)


@on_both
@pytest.mark.nightly
@pytest.mark.timeout(300 + 120 * ROUNDS)
def test_killed_frozen_and_cut_off_hundreds_of_times_nothing_is_lost(struck: Struck, place: str) -> None:
    strike(struck, place, ROUNDS, OUTAGE)


def strike(struck: Struck, place: str, rounds: int, outage: float) -> None:
    path = os.path.join(place, "source")
    made = trees.crash_tree(path, items=ITEMS, budget=BUDGET)
    under_way = 0
    for number in range(rounds):
        seed = SEED + number
        chance = random.Random(seed)
        struck.prepare()
        job, destination = struck.job(f"round {number}", path, performance={"parallel_writes": {"requested": 4}})
        begun = time.monotonic()
        struck.server.begin(job)
        told = []
        for event in chance.sample(EVENTS, len(EVENTS)):
            time.sleep(chance.uniform(0.2, 1.5))
            ((done, is_over),) = struck.sql(
                "SELECT transferred, ended_at IS NOT NULL FROM executions ORDER BY id DESC LIMIT 1"
            )
            told.append(f"{event} {'after its end' if is_over else f'at {done}'}")
            under_way += not is_over
            struck.strike(event, chance, outage)
        struck.thaw()
        state = struck.server.wait(job)
        check(struck, state, path, destination, made)
        struck.judge()
        took = time.monotonic() - begun
        print(f"round {number}, TALLYPORT_SEED={seed}: {', '.join(told)}; held in {took:.0f} s", flush=True)
        trees.remove_tree(destination)
    print(f"{rounds} rounds held; {under_way} of {rounds * len(EVENTS)} events struck a run under way", flush=True)
