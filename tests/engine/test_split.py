"""Jobs of parts, jobs that wait for others, plans, and what time brings: with the engine at work."""

from __future__ import annotations

import dataclasses
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tallyport.control import agents, executions, jobs, parts, plans
from tallyport.control.desk import OWNER, Desk
from tallyport.control.pictures import Picture
from tallyport.domain import parts as rules
from tallyport.domain.jobs import Job
from tallyport.domain.states import Call, State
from tallyport.engine import background, schedule, splitting
from tallyport.engine.engine import Engine
from tallyport.store import endings, events, rows
from tallyport.store import executions as runs
from tallyport.store import jobs as store
from tallyport.store.phrases import sa
from tallyport.store.tables import jobs as table
from tallyport.store.tables import predecessors
from tallyport.testing.worlds import differences, tree
from tests.engine.conftest import Port

WORLD = """
    big.bin 900b v1
    one/
    one/a.txt 300b v1
    one/deep/b.txt 200b v1
    two/
    two/c.txt 100b v1
    three.txt 50b v1
"""


class Board:
    """A desk beside an engine, over the worlds of a port."""

    def __init__(self, port: Port) -> None:
        self.port = port
        self.desk = Desk(database=port.database, nudge=self._nudge)

    def _nudge(self) -> None:
        if self.port.engine is not None:
            self.port.engine.nudge()

    def make(self, name: str = "a job", **more: Any) -> str:
        """Store a job between the two worlds."""
        block = more.pop("transfer", {})
        ends = {
            "source": {"connection": {"id": self.port.job.source_connection}},
            "destination": {"connection": {"id": self.port.job.destination_connection}},
        }
        document = {"name": name, "transfer": {"transfer_type": "copy", **ends, **block}, **more}
        return jobs.create(self.desk, document, OWNER, plan=bool(document.pop("plan", False))).picture.job.id

    def job(self, job_id: str) -> Job:
        with self.port.database.read() as tx:
            found = store.find(tx, job_id)
        assert found is not None
        return found

    def parts(self, job_id: str) -> list[Job]:
        with self.port.database.read() as tx:
            return store.parts(tx, job_id)

    def until(self, job_id: str, holds: Callable[[Job], bool]) -> Job:
        deadline = time.monotonic() + 30
        while not holds(found := self.job(job_id)):
            assert time.monotonic() < deadline, found
            time.sleep(0.01)
        return found

    def end(self, job_id: str) -> Job:
        """Wait until the newest run of a job has ended."""
        return self.until(job_id, lambda job: job.execution_id is not None and job.state in runs.ENDED)

    def run_of(self, job_id: str) -> Any:
        number = self.job(job_id).execution_id
        assert number is not None
        return self.port.find(number)

    def split(self, job_id: str, wanted: Any, *, parallel: bool = True) -> Picture:
        return parts.split(self.desk, job_id, OWNER, wanted=wanted, parallel=parallel)


@pytest.fixture
def board(port: Port) -> Board:
    return Board(port)


def paths_of(part: Job) -> list[str]:
    data = part.extra["part_data"]
    assert isinstance(data, dict)
    return list(data["paths"])


def topics(port: Port, job_id: str) -> list[str]:
    with port.database.read() as tx:
        return [event.topic for event in events.page(tx, job_id=job_id, limit=100)]


@pytest.mark.parametrize("parallel", [True, False])
def test_a_split_job_carries_everything_once(board: Board, parallel: bool) -> None:
    tree(WORLD, board.port.source)
    board.port.start()
    job_id = board.make()
    picture = board.split(job_id, 2, parallel=parallel)
    assert (picture.job.state, len(picture.parts)) == ("waiting", 2)
    assert [paths_of(part) for part in board.parts(job_id)] == [["/big.bin"], ["/one", "/two", "/three.txt"]]
    assert board.end(job_id).result == "clean"
    assert differences(board.port.source, board.port.destination) == []
    run = board.run_of(job_id)
    assert (run.files, run.transferred, run.bytes) == (5, 5, 1550)
    assert run.info == "2 parts: 2 complete, 0 failed, 0 canceled"
    assert "job:parts-completed" in topics(board.port, job_id)
    ends = [board.run_of(part.id) for part in board.parts(job_id)]
    if not parallel:
        assert ends[0].ended_at <= ends[1].started_at


def test_a_full_new_run_of_a_job_that_was_split_finds_everything_done(board: Board) -> None:
    tree(WORLD, board.port.source)
    board.port.start()
    job_id = board.make()
    board.split(job_id, 3)
    board.end(job_id)
    executions.start(board.desk, job_id, OWNER)
    board.until(job_id, lambda job: job.executions == 2)
    again = board.run_of(job_id)
    assert (again.scope, again.result, again.unchanged, again.files) == (None, "no_changes", 5, 5)


AUTO = {"performance": {"split": "auto"}}


def test_a_heavy_job_that_asks_for_it_is_split_at_its_start_and_gives_one_report(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "PART_BYTES", 800)
    tree(WORLD, board.port.source)
    board.port.start()
    job_id = board.make(transfer=AUTO)
    executions.start(board.desk, job_id, OWNER)
    assert board.end(job_id).result == "clean"
    assert sorted(paths_of(part) for part in board.parts(job_id)) == [
        ["/big.bin"],
        ["/one", "/two", "/three.txt"],
    ]
    assert differences(board.port.source, board.port.destination) == []
    run = board.run_of(job_id)
    assert (run.files, run.transferred, run.bytes, run.failed) == (5, 5, 1550, 0)
    assert run.info == "2 parts: 2 complete, 0 failed, 0 canceled"
    tree("late.txt 7b v1", board.port.source)
    executions.start(board.desk, job_id, OWNER)
    board.until(job_id, lambda job: job.executions == 2)
    again = board.run_of(job_id)
    assert (again.scope, again.files, again.transferred, again.unchanged) == (None, 6, 1, 5)
    assert board.port.destination.stat("late.txt") is not None


@pytest.mark.parametrize(
    ("block", "bytes_of_a_part"),
    [
        (AUTO, 10_000),  # light
        ({}, 700),  # not asked for
        ({**AUTO, "transfer_type": "publish"}, 700),  # looks at both sides
        ({**AUTO, "simulation_mode": True}, 700),
    ],
)
def test_every_other_job_begins_whole(
    board: Board, monkeypatch: pytest.MonkeyPatch, block: dict[str, Any], bytes_of_a_part: int
) -> None:
    monkeypatch.setattr(rules, "PART_BYTES", bytes_of_a_part)
    tree(WORLD, board.port.source)
    board.port.start()
    job_id = board.make(transfer=block)
    executions.start(board.desk, job_id, OWNER)
    board.end(job_id)
    assert board.parts(job_id) == []
    assert (board.run_of(job_id).scope, board.run_of(job_id).files) == (None, 5)


def test_a_source_that_cannot_be_weighed_is_told_by_the_run_that_begins_whole(board: Board) -> None:
    board.port.start()
    job_id = board.make(transfer=AUTO)
    with board.port.database.begin() as tx:
        store.change(tx, job_id, source_path="/not there")
    executions.start(board.desk, job_id, OWNER)
    assert board.end(job_id).state == "failed_to_start"
    assert "not there" in board.run_of(job_id).info


def test_a_source_that_was_weighed_during_an_outage_of_the_database_is_weighed_again_and_split(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, tries = splitting.weigh, []

    def cut_short(*given: Any, **more: Any) -> Any:
        tries.append(1)
        if len(tries) < 3:
            raise sa.exc.OperationalError("SELECT", {}, sqlite3.OperationalError("unable to open database file"))
        return whole(*given, **more)

    monkeypatch.setattr(splitting, "weigh", cut_short)
    monkeypatch.setattr(background, "LATER_SECONDS", 0.0)
    monkeypatch.setattr(rules, "PART_BYTES", 800)
    tree(WORLD, board.port.source)
    board.port.start()
    job_id = board.make(transfer=AUTO)
    executions.start(board.desk, job_id, OWNER)
    assert board.end(job_id).result == "clean"
    assert (len(board.parts(job_id)), len(tries)) == (2, 3)


def test_a_job_that_is_canceled_while_it_is_weighed_makes_no_parts(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighs, go_on = threading.Event(), threading.Event()
    weigh = splitting.weigh

    def slowly(*given: Any, **how: Any) -> Any:
        weighs.set()
        go_on.wait(20)
        return weigh(*given, **how)

    monkeypatch.setattr(rules, "PART_BYTES", 700)
    monkeypatch.setattr(splitting, "weigh", slowly)
    tree(WORLD, board.port.source)
    board.port.start()
    job_id = board.make(transfer=AUTO)
    executions.start(board.desk, job_id, OWNER)
    assert weighs.wait(20)
    executions.cancel(board.desk, job_id, OWNER)
    go_on.set()
    assert board.end(job_id).state == "canceled"
    assert board.port.engine is not None
    board.port.stop()
    assert board.parts(job_id) == []
    assert board.port.destination.stat("big.bin") is None


def test_parts_named_by_path_and_filter_look_at_nothing_else(board: Board) -> None:
    tree(WORLD, board.port.source)
    board.port.start()
    job_id = board.make()
    only = {"action": "include", "type": "filter_rule", "rules": [{"type": "filter_extension", "extensions": ["bin"]}]}
    board.split(job_id, [{"path": "/one/deep"}, {"paths": ["/two", "three.txt"]}, {"filter": only, "path": "/big.bin"}])
    board.end(job_id)
    totals = [board.run_of(part.id).transferred for part in board.parts(job_id)]
    assert totals == [1, 2, 1]
    assert board.port.destination.stat("one/a.txt") is None
    assert board.port.destination.stat("one/deep/b.txt") is not None


def test_only_parts_that_failed_are_tried_again(board: Board) -> None:
    tree(WORLD, board.port.source)
    board.port.start()
    tree("one 3b v1", board.port.destination)
    job_id = board.make(transfer={"item_overwrite": "fail"})
    board.split(job_id, [{"path": "/one"}, {"path": "/two"}])
    ended = board.end(job_id)
    assert (ended.state, ended.result) == ("complete", "errors")
    board.port.destination.delete("one")
    executions.retry(board.desk, job_id, OWNER)
    first = board.parts(job_id)
    board.until(job_id, lambda job: job.executions == 2)
    assert board.job(job_id).result == "clean"
    attempts = [board.run_of(part.id).attempt for part in board.parts(job_id)]
    assert attempts == [2, 1]
    assert [part.id for part in first] == [part.id for part in board.parts(job_id)]
    assert board.port.destination.stat("one/deep/b.txt") is not None


def test_a_retried_part_reopens_what_it_is_a_part_of(board: Board) -> None:
    tree(WORLD, board.port.source)
    board.port.start()
    job_id = board.make()
    board.split(job_id, 2)
    board.end(job_id)
    part = board.parts(job_id)[0]
    executions.start(board.desk, part.id, OWNER)
    assert board.job(job_id).state == "waiting" or board.job(job_id).executions == 2
    board.until(job_id, lambda job: job.executions == 2)
    assert board.job(job_id).state == "complete"


def test_canceling_the_whole_cancels_its_open_parts(board: Board) -> None:
    tree(WORLD, board.port.source)
    job_id = board.make()
    board.split(job_id, 2, parallel=False)
    assert [part.state for part in board.parts(job_id)] == ["ready", "waiting"]
    executions.cancel(board.desk, job_id, OWNER, info="no more")
    board.port.start()
    assert board.end(job_id).state == "canceled"
    assert [part.state for part in board.parts(job_id)] == ["canceled", "canceled"]


def test_a_paused_whole_goes_on_with_its_parts(board: Board) -> None:
    tree(WORLD, board.port.source)
    job_id = board.make()
    board.split(job_id, 2)
    executions.pause(board.desk, job_id, OWNER)
    assert [part.state for part in board.parts(job_id)] == ["paused", "paused"]
    board.port.start()
    board.until(job_id, lambda job: job.state == "paused")
    executions.resume(board.desk, job_id, OWNER)
    assert board.end(job_id).result == "clean"
    assert differences(board.port.source, board.port.destination) == []


def test_a_job_split_while_it_is_scheduled_runs_in_parts_when_its_time_comes(board: Board) -> None:
    tree(WORLD, board.port.source)
    board.port.start()
    job_id = board.make(schedule={"mode": "auto", "start_date": 4_000_000_000})
    assert board.split(job_id, 2).job.state == "scheduled"
    assert [part.state for part in board.parts(job_id)] == ["created", "created"]
    with board.port.database.begin() as tx:
        store.change(tx, job_id, next_run_at=1, schedule={"mode": "auto"})
    assert board.end(job_id).result == "clean"
    assert board.run_of(job_id).is_split


def test_the_first_failed_part_stops_the_whole_when_the_policy_halts(board: Board) -> None:
    tree(WORLD, board.port.source)
    tree("one 3b v1", board.port.destination)
    board.port.start()
    job_id = board.make(transfer={"item_overwrite": "fail", "failure_policy": "halt"})
    board.split(job_id, [{"path": "/one"}, {"path": "/two"}], parallel=False)
    ended = board.end(job_id)
    assert ended.state == "failed"
    board.until(board.parts(job_id)[1].id, lambda job: job.state in runs.ENDED)
    assert board.port.destination.stat("two") is None


# -- predecessors --------------------------------------------------------------------------------------------------


def test_a_job_waits_until_its_predecessors_are_complete(board: Board) -> None:
    tree(WORLD, board.port.source)
    first = board.make("first")
    second = board.make("second", status="start", predecessor_ids=[first], transfer={"timestamps": False})
    job = board.job(second)
    assert job.state == "waiting"
    assert "first" in board.run_of(second).info
    board.port.start()
    executions.start(board.desk, first, OWNER)
    assert board.end(second).state == "complete"
    assert board.run_of(first).ended_at <= board.run_of(second).started_at


@pytest.mark.parametrize(
    ("policy", "state"), [("hold", "waiting"), ("fail", "failed"), ("run", "complete")], ids=["hold", "fail", "run"]
)
def test_what_becomes_of_a_job_whose_predecessor_was_canceled(board: Board, policy: str, state: str) -> None:
    tree(WORLD, board.port.source)
    first = board.make("first", status="start")
    second = board.make("second", status="start", predecessor_ids=[first], on_predecessor_failure=policy)
    executions.cancel(board.desk, first, OWNER)
    board.port.start()
    board.until(second, lambda job: job.state == state)
    assert board.job(second).state == state
    if policy == "hold":
        assert "canceled" in board.run_of(second).info
        executions.start(board.desk, first, OWNER)
        assert board.end(second).state == "complete"


def test_a_chain_of_any_length_fails_with_its_first_link(board: Board) -> None:
    waits = {"state": "waiting", "on_predecessor_failure": "fail", "extra": {"run": {"wait_reason": "predecessors"}}}
    plain = Job(id="", kind="external", name="link", managed=False, created_at=1, modified_at=1)
    ids = [store.new_id() for _ in range(500)]
    links = [dataclasses.replace(plain, id=one, number=100 + n, **waits) for n, one in enumerate(ids)]
    links[0] = dataclasses.replace(links[0], state="ready", extra={})
    pairs = [{"job_id": after, "predecessor_id": one, "place": 0} for one, after in pairwise(ids)]
    with board.port.database.begin() as tx:
        tx.execute(table.insert(), [rows.to_row(one) for one in links])
        tx.execute(predecessors.insert(), pairs)
    agents.finish(board.desk, ids[0], OWNER, Call.FAIL, {})
    assert {board.job(one).state for one in (ids[0], ids[1], ids[-1])} == {"failed"}


# -- plans ---------------------------------------------------------------------------------------------------------


def test_a_planned_job_looks_first_and_runs_when_it_is_approved(board: Board) -> None:
    tree(WORLD, board.port.source)
    board.port.start()
    job_id = board.make(plan=True)
    assert board.job(job_id).state == "planning"
    deadline = time.monotonic() + 30
    while (plan := plans.show(board.desk, job_id, OWNER)).manifest is None or board.run_of(job_id).phase != "finalize":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert (plan.manifest["items"], plan.manifest["bytes"], plan.manifest["complete"]) == (5, 1550, True)
    assert board.port.destination.stat("big.bin") is None
    assert board.job(job_id).state == "planning"
    executions.start(board.desk, job_id, OWNER)
    assert board.end(job_id).result == "clean"


def test_a_plan_that_is_approved_before_it_stands_runs_by_itself(board: Board) -> None:
    tree(WORLD, board.port.source)
    job_id = board.make(plan=True, status="start")
    board.port.start()
    assert board.end(job_id).result == "clean"
    assert plans.show(board.desk, job_id, OWNER).manifest is not None


def test_a_plan_of_a_source_that_is_not_there_fails_to_start(board: Board) -> None:
    tree(WORLD, board.port.source)
    job_id = board.make(plan=True)
    with board.port.database.begin() as tx:
        store.change(tx, job_id, source_path="nowhere")
    board.port.start()
    assert board.until(job_id, lambda job: job.state == "failed_to_start")
    assert "nowhere" in board.run_of(job_id).info


# -- time ----------------------------------------------------------------------------------------------------------


def test_a_run_that_lasts_too_long_is_stopped_with_the_reason_and_the_next_one_goes_on(board: Board) -> None:
    tree("\n".join(f"d{n}/f.txt 5b v1" for n in range(80)), board.port.source)
    board.port.slow(0, delay=0.05)
    board.port.start()
    limit = {"mode": "auto", "max_execution": {"value": 1, "unit": "h"}, "repeat_interval": {"value": 1, "unit": "h"}}
    job_id = board.make(schedule=limit)
    run = board.run_of(job_id)
    board.port.wait(run.id, lambda found: found.transferred > 0)
    begun = board.port.find(run.id)
    assert begun.started_at is not None
    assert begun.deadline == pytest.approx(begun.started_at + 3_600_000_000, abs=60_000_000)
    with board.port.database.begin() as tx:
        runs.change(tx, run.id, deadline=1)  # the hour is over
    ended = board.end(job_id)
    run = board.run_of(job_id)
    assert (ended.state, run.transferred < 80) == ("canceled", True)
    assert "max_execution" in run.info
    assert ended.next_run_at is not None
    assert ended.next_run_at > rows.now()


def test_ten_thousand_due_jobs_begin_without_a_thread_more(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begins are rows; how many are worked at once is bounded by the engine, not by how many are due."""
    template = board.job(board.make(schedule={"mode": "auto", "start_date": 4_000_000_000}))
    at = rows.now()
    with board.port.database.begin() as tx:
        same = dataclasses.replace(template, next_run_at=1, schedule={"mode": "auto"}, created_at=at)
        every = [rows.to_row(dataclasses.replace(same, id=f"{n:031x}a", number=n + 100)) for n in range(10_000)]
        tx.execute(table.insert(), every)
    monkeypatch.setattr(schedule, "MOST", 400)
    before = threading.active_count()
    assert [schedule.keep_time(board.port.database) for _ in range(2)] == [400, 400]  # the next tick goes on
    assert threading.active_count() == before
    with board.port.database.read() as tx:
        assert len(runs.states_of_open(tx)) == 800
    seen: list[int] = []
    engine = Engine.__new__(Engine)
    monkeypatch.setattr(Engine, "_step", lambda _self, number: seen.append(number))
    engine._database, engine._stumbles = board.port.database, Counter()
    engine._look()
    assert len(seen) == 64


def test_a_run_missed_while_nobody_was_there_is_made_up_once(board: Board) -> None:
    job_id = board.make(schedule={"mode": "auto", "start_date": 4_000_000_000})
    for policy, begins in (("once", True), ("skip", False)):
        with board.port.database.begin() as tx:
            missed = {"mode": "auto", "missed_runs": policy, "repeat_interval": {"value": 1, "unit": "h"}}
            store.change(tx, job_id, next_run_at=rows.now() - 7_200_000_000, schedule=missed)
        assert schedule.keep_time(board.port.database) == 1
        job = board.job(job_id)
        assert (job.state == "ready") is begins
        if begins:
            assert job.next_run_at is None
            executions.cancel(board.desk, job_id, OWNER)
        else:
            assert job.next_run_at is not None
            assert job.next_run_at > rows.now()


def test_a_job_that_reached_its_runs_of_the_day_waits_for_the_next(board: Board) -> None:
    job_id = board.make(schedule={"mode": "auto", "repeat_count": 1, "repeat_interval": {"value": 1, "unit": "s"}})
    run = board.run_of(job_id)
    with board.port.database.begin() as tx:
        runs.move(tx, run.id, ("ready",), "executing")
        runs.move(tx, run.id, ("executing",), "complete", result="clean")
    due = board.job(job_id).next_run_at
    assert due is not None
    assert due % 86_400_000_000 == 0


def test_an_agent_that_falls_silent_loses_its_job_by_the_clock(board: Board) -> None:
    made = agents.create(
        board.desk, "file:convert", State.READY, {"operation": "convert"}, OWNER, belongs=agents.Belongs()
    )
    job_id = made.job.id
    for lapse in range(1, 5):
        agents.ack(board.desk, job_id, OWNER, {})
        with board.port.database.begin() as tx:
            store.change(tx, job_id, lease_until=1)
        schedule.keep_time(board.port.database)
        job = board.job(job_id)
        assert job.state == ("ready" if lapse < 4 else "failed"), lapse
        assert job.lease_until is None
    assert "job:failed" in topics(board.port, job_id)


def test_an_agents_job_releases_what_waits_for_it(board: Board) -> None:
    first = agents.create(board.desk, "file:one", State.READY, {"operation": "one"}, OWNER, belongs=agents.Belongs())
    waits = agents.Belongs(waits_for=[first.job.id])
    second = agents.create(board.desk, "file:two", State.READY, {"operation": "two"}, OWNER, belongs=waits)
    assert second.job.state == "waiting"
    agents.finish(board.desk, first.job.id, OWNER, Call.COMPLETE, {})
    assert board.job(second.job.id).state == "ready"


def test_what_an_end_means_happens_once(board: Board) -> None:
    job_id = board.make(stop_policy={"on_execute": 2})
    for number in (1, 2):
        executions.start(board.desk, job_id, OWNER)
        run = board.run_of(job_id)
        with board.port.database.begin() as tx:
            runs.move(tx, run.id, ("ready",), "executing")
            assert runs.move(tx, run.id, ("executing",), "complete", result="no_changes")
            assert not runs.move(tx, run.id, ("executing",), "complete", result="no_changes")
            endings.release(tx, job_id)
        job = board.job(job_id)
        assert (job.executions, job.successes, job.closed) == (number, number, number == 2)
