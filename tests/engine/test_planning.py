"""Plans that cannot be made: what nobody expected ends them, and an outage of the database does not."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from tallyport.control.plans import show
from tallyport.domain.jobs import Job
from tallyport.engine import background, planning
from tallyport.store import connections, plans
from tallyport.store.phrases import sa
from tallyport.testing.worlds import tree
from tests.engine.conftest import Port
from tests.engine.test_split import OWNER, Board


@pytest.fixture
def board(port: Port) -> Board:
    tree("a.txt 5b v1", port.source)
    return Board(port)


def test_a_plan_that_fails_in_a_way_nobody_expected_ends_and_says_so(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []

    def broken(*_: Any, **__: Any) -> Any:
        tries.append(1)
        raise RuntimeError("no such luck")

    monkeypatch.setattr(planning, "survey", broken)
    job = board.make(plan=True)
    board.port.start()
    assert board.end(job).state == "failed_to_start"
    assert board.run_of(job).info == "the plan could not be made: RuntimeError: no such luck"
    assert len(tries) == 1


def test_a_plan_that_the_database_refuses_ends_and_says_so(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def refused(*_: Any, **__: Any) -> Any:
        tries.append(1)
        raise sa.exc.IntegrityError("INSERT", {}, sqlite3.IntegrityError("CHECK constraint failed: plans"))

    monkeypatch.setattr(planning, "survey", refused)
    job = board.make(plan=True)
    board.port.start()
    assert board.end(job).state == "failed_to_start"
    assert "CHECK constraint failed" in board.run_of(job).info
    assert len(tries) == 1


def test_a_plan_that_an_outage_of_the_database_cut_short_is_made_later(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, tries = planning.survey, []

    def cut_short(*given: Any, **more: Any) -> Any:
        tries.append(1)
        if len(tries) < 3:
            raise sa.exc.OperationalError("SELECT", {}, sqlite3.OperationalError("unable to open database file"))
        return whole(*given, **more)

    monkeypatch.setattr(planning, "survey", cut_short)
    monkeypatch.setattr(background, "LATER_SECONDS", 0.0)
    job = board.make(plan=True)
    board.port.start()

    def is_planned(_: Job) -> bool:
        with board.port.database.read() as tx:
            return plans.find(tx, job).manifest is not None

    board.until(job, is_planned)
    assert board.job(job).state == "planning"
    assert len(tries) == 3


def test_a_plan_knows_what_was_measured_at_the_destination(board: Board) -> None:
    tree("A.txt 5b v1 @1\nq?.txt 5b v1 @1", board.port.source)
    measured = {"case_sensitive": False, "forbidden_characters": "/\0?", "time_precision": 2_000_000_000}
    with board.port.database.begin() as tx:
        connections.measured(tx, board.port.job.destination_connection or "", measured)
    job = board.make(plan=True)
    board.port.start()
    manifest: list[Any] = []

    def is_planned(_: Job) -> bool:
        with board.port.database.read() as tx:
            manifest.append(plans.find(tx, job).manifest)
        return manifest[-1] is not None

    board.until(job, is_planned)
    found = manifest[-1]
    looked = show(board.desk, board.make("another"), OWNER, anew=True).manifest
    assert looked is not None
    assert looked["names"] == found["names"], "one that is looked at while somebody waits says the same"
    assert (found["names"]["collision"]["count"], found["names"]["characters"]["count"]) == (1, 1)
    assert "time_precision" in {loss["what"] for loss in found["losses"]}
    assert found["measured"] == looked["measured"] == {}, (
        "a world of this process shows what it keeps when it is opened"
    )
