"""Several workers on one PostgreSQL: killed, frozen, cut off; nothing is lost and nothing is done twice.

`TALLYPORT_ROUNDS=500` is the full battery; `TALLYPORT_SEED` replays a run.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import pytest

from tallyport.testing import compare, faults, trees
from tallyport.testing.postgres import postgres_server
from tests.acceptance.fleet import PATIENCE, Fleet
from tests.acceptance.product import Server, Worker, tallyport

SEED = int(os.environ.get("TALLYPORT_SEED", time.time_ns() % 1_000_000))
ROUNDS = int(os.environ.get("TALLYPORT_ROUNDS", "1"))
ITEMS, BUDGET = 3_000, 60 * trees.MIB
WORKERS = 3

pytestmark = [pytest.mark.needs("pg_ctlcluster"), pytest.mark.timeout(240 + 60 * ROUNDS)]


@pytest.fixture
def fleet(place) -> Iterator[Fleet]:
    with postgres_server() as server:
        made = Fleet(place, server)
        try:
            yield made
        finally:
            made.close()


@pytest.fixture
def source(place):
    path = os.path.join(place, "source")
    return path, trees.crash_tree(path, items=ITEMS, budget=BUDGET)


def check(fleet: Fleet, job: str, source: str, destination: str, made: trees.Tree, state: dict) -> None:
    """Check that the trees are equal, each item has one outcome, and nothing is left over."""
    assert state["status"] == "complete", state
    assert compare.differences(source, destination, modes=False, owners=False) == []
    assert compare.leftovers(destination) == []
    counted = fleet.sql(
        "SELECT files, transferred + unchanged, failed, pending FROM executions ORDER BY id DESC LIMIT 1"
    )
    assert counted == [(made.files, made.files + made.symlinks, 0, 0)]
    assert fleet.sql("SELECT count(*) FROM batches WHERE state <> 'done'") == [(0,)]


def test_workers_that_are_killed_frozen_and_cut_off_lose_nothing(fleet: Fleet, source) -> None:
    path, made = source
    seed = SEED
    print(f"TALLYPORT_SEED={seed}")
    chance = random.Random(seed)
    for number in range(ROUNDS):
        while len(fleet.workers) < WORKERS:
            fleet.add("--workers", "1")
        job, destination = fleet.job(f"round {number}", path, performance={"parallel_writes": {"requested": 4}})
        fleet.server.begin(job)
        frozen: Worker | None = None
        for event in chance.sample(["kill", "freeze", "outage", "kill"], 4):
            time.sleep(chance.uniform(0.2, 1.5))
            if event == "kill":
                victim = chance.choice([worker for worker in fleet.workers if worker is not frozen])
                fleet.kill(victim)
                fleet.add("--workers", "1")
            elif event == "freeze":
                frozen = chance.choice(fleet.workers)
                frozen.freeze()
            else:
                fleet.postgres.stop()
                time.sleep(chance.uniform(1, 4))
                fleet.postgres.start()
        if frozen is not None:
            time.sleep(PATIENCE + 1)
            frozen.thaw()
        state = fleet.server.wait(job)
        check(fleet, job, path, destination, made, state)


def test_a_worker_that_is_asked_to_end_gives_its_work_back(fleet: Fleet, source) -> None:
    path, made = source
    first = fleet.add("--workers", "1")
    job, destination = fleet.job("drain", path)
    fleet.server.begin(job)
    assert faults.wait_until(lambda: fleet.sql("SELECT count(*) FROM batches WHERE state = 'running'") != [(0,)], 60)
    assert first.stop() == 0
    fleet.workers.remove(first)
    assert fleet.sql("SELECT count(*) FROM batches WHERE state = 'running'") == [(0,)]
    assert fleet.sql("SELECT count(*) FROM workers") == [(0,)]
    fleet.add("--workers", "1")
    check(fleet, job, path, destination, made, fleet.server.wait(job))


def test_a_ledger_moves_to_postgresql_with_a_job_under_way(fleet: Fleet, source, place) -> None:
    path, made = source
    data = os.path.join(place, "old data")
    os.makedirs(data)
    old = Server(data, os.path.join(place, "old.log"))
    old.start()
    old.sign_in()
    destination = os.path.join(place, "moved destination")
    os.makedirs(destination)
    job = old.job(path, destination)
    old.begin(job)
    time.sleep(1.5)
    old.kill()
    database = fleet.postgres.create()
    moved = tallyport("db", "copy", "--to", database, data=data)
    assert moved.status == 0, moved.err
    new = Server(data, os.path.join(place, "new.log"), database=database)
    new.token = old.token
    new.start()
    try:
        state = new.wait(job)
    finally:
        new.stop()
    fleet.database = database
    check(fleet, job, path, destination, made, state)
