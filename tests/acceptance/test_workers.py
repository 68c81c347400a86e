"""Workers on one PostgreSQL give their work back when they end, and take over a ledger with a job under way."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from tallyport.testing import faults, trees
from tallyport.testing.postgres import postgres_server
from tests.acceptance.fleet import Fleet, check
from tests.acceptance.product import Server, tallyport

ITEMS, BUDGET = 3_000, 60 * trees.MIB

pytestmark = [pytest.mark.needs("pg_ctlcluster"), pytest.mark.timeout(300)]


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
    check(fleet, fleet.server.wait(job), path, destination, made)


def test_a_worker_that_begins_while_the_database_is_away_waits_for_it(fleet: Fleet) -> None:
    def said() -> str:
        with open(fleet.log, errors="replace") as stream:
            return stream.read()

    fleet.postgres.stop()
    worker = fleet.add("--workers", "1")
    assert faults.wait_until(lambda: "tallyport worker goes on trying" in said(), 60)
    assert worker.program.poll() is None
    fleet.postgres.start()
    assert faults.wait_until(lambda: fleet.sql("SELECT count(*) FROM workers") == [(1,)], 60)
    assert worker.stop() == 0
    fleet.workers.remove(worker)


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
    check(fleet, state, path, destination, made)
