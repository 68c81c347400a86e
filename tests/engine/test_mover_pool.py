"""Mover processes: what they carry, how they stop, and what is left when one is killed."""

from __future__ import annotations

import json
import marshal
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tallyport.domain.capabilities import Durability
from tallyport.domain.policies import Policies, TransferType
from tallyport.engine import mover_pool
from tallyport.engine.crew import Crew
from tallyport.engine.mover import BENCHES
from tallyport.engine.mover_pool import MoverPool, _Mover
from tallyport.engine.thread_crew import ThreadCrew
from tallyport.engine.work import VisitWork
from tallyport.testing import trees
from tallyport.testing.compare import differences, leftovers, snapshot
from tests.engine.desk import Desk


@pytest.fixture
def pool() -> Iterator[MoverPool]:
    made = MoverPool(2)
    made.start()
    yield made
    made.close()


def desk(tmp_path, **policies: object) -> Desk:
    chosen = Policies(**{"transfer_type": TransferType.COPY, "max_items_per_container": None, **policies})  # type: ignore[arg-type]
    ends = [("fs", json.dumps({"path": str(tmp_path / name)}), "") for name in ("source", "destination")]
    return Desk(ends[0], ends[1], chosen, group=4)


def test_movers_carry_a_tree_and_a_second_run_writes_nothing(tmp_path, pool) -> None:
    source, destination = str(tmp_path / "source"), str(tmp_path / "destination")
    made = trees.sample_tree(source, files=240, sparse_size=4 << 20)
    one = desk(tmp_path)
    outcome = one.run(pool)
    assert (outcome.errors, outcome.lost, dict(outcome.halted)) == ({}, [], {})
    assert differences(source, destination) == []
    before = snapshot(destination)
    outcome = one.run(pool)
    assert (outcome.wrote, outcome.unchanged) == (0, made.files + made.symlinks)
    assert snapshot(destination) == before
    assert pool.load == 0


def test_what_changed_in_many_folders_is_asked_for_at_once(tmp_path, monkeypatch) -> None:
    source, destination = str(tmp_path / "source"), str(tmp_path / "destination")
    trees.bench_tree(source, files=400, folders=40)
    asked: list[int] = []
    real = _Mover._answer

    def answer(self: _Mover, group: Any, questions: Sequence[Any]) -> None:
        asked.append(len(questions))
        real(self, group, questions)

    monkeypatch.setattr(_Mover, "_answer", answer)
    alone = MoverPool(1)
    alone.start()
    try:
        one = desk(tmp_path)
        one.group = 100
        assert one.run(alone).errors == {}
        asked.clear()
        changed = sorted(os.path.join(folder, names[0]) for folder, _, names in os.walk(source) if names)
        for path in changed:
            with open(path, "ab") as stream:
                stream.write(b"more")
        os.unlink(os.path.join(os.path.dirname(changed[0]), sorted(os.listdir(os.path.dirname(changed[0])))[1]))
        outcome = one.run(alone)
    finally:
        alone.close()
    assert (sum(asked), len(asked)) == (40, 2)  # of 40 folders, at most 32 at once
    assert (outcome.errors, outcome.moved > 0, outcome.unchanged) == ({}, True, 400 - 41)
    assert snapshot(source).keys() <= snapshot(destination).keys()


def test_reports_of_many_small_folders_come_in_bunches(tmp_path, monkeypatch) -> None:
    source = str(tmp_path / "source")
    trees.bench_tree(source, files=90, folders=90)
    frames: list[int] = []
    real = marshal.loads

    def loads(body: bytes) -> Any:
        message = real(body)
        if message[0] == "reports":
            frames.append(len(message[2]))
        return message

    monkeypatch.setattr(mover_pool.marshal, "loads", loads)
    alone = MoverPool(1)
    alone.start()
    try:
        one = desk(tmp_path)
        one.group = 100
        assert one.run(alone).visits == 91
        frames.clear()
        assert one.run(alone).visits == 91
    finally:
        alone.close()
    assert sum(frames) == 91
    assert max(frames) > 1


def test_a_stop_ends_within_one_item_and_a_later_run_goes_on(tmp_path, pool) -> None:
    source, destination = str(tmp_path / "source"), str(tmp_path / "destination")
    trees.bench_tree(source, files=4_000, folders=80)
    one = desk(tmp_path)
    slot = 9

    def stop(event: tuple[object, ...]) -> None:
        if one.outcome.visits == 20:
            pool.stop(slot)

    one.on_event = stop
    outcome = one.run(pool, slot=slot)
    assert set(outcome.halted) == {"stopped"}
    assert 0 < len(outcome.items) < 4_000
    pool.clear(slot)
    one.on_event = None
    again = one.run(pool, slot=slot, resume=True)
    assert (again.errors, again.lost) == ({}, [])
    assert differences(source, destination) == []
    assert leftovers(destination) == []
    carried = [
        {path for path, item in each.items.items() if item.moved and item.kind == 1} for each in (outcome, again)
    ]
    assert carried[0] & carried[1] == set()


@pytest.mark.parametrize("durability", [Durability.NONE, Durability.GROUP])
def test_a_killed_mover_is_replaced_and_the_tree_ends_equal(tmp_path, pool, durability) -> None:
    source, destination = str(tmp_path / "source"), str(tmp_path / "destination")
    trees.crash_tree(source, items=3_000, budget=64 << 20)
    one = desk(tmp_path, durability=durability)
    kills = 0

    def kill(event: tuple[object, ...]) -> None:
        nonlocal kills
        if kills < 6 and one.outcome.events % 7 == 3:
            kills += 1
            os.kill(pool.pids[kills % len(pool.pids)], signal.SIGKILL)

    one.on_event = kill
    lost = 0
    outcome = one.run(pool)
    for _ in range(20):
        lost += len(outcome.lost)
        if not outcome.halted:
            break
        outcome = one.run(pool, resume=True)
    assert kills == 6
    assert lost >= 1
    assert outcome.errors == {}
    assert differences(source, destination, links=False) == []
    assert leftovers(destination) == []
    assert len(pool.pids) == 2
    one.on_event = None
    assert one.run(pool, full=True).moved == 0


def test_movers_end_when_the_engine_is_gone(tmp_path) -> None:
    script = (
        "import sys, time\n"
        "from tallyport.engine.mover_pool import MoverPool\n"
        "pool = MoverPool(2)\n"
        "pool.start()\n"
        "print(*pool.pids, flush=True)\n"
        "time.sleep(60)\n"
    )
    engine = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert engine.stdout is not None
    pids = [int(pid) for pid in engine.stdout.readline().split()]
    time.sleep(0.3)
    engine.kill()
    engine.wait()
    engine.stdout.close()
    deadline = time.monotonic() + 10
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_movers_that_cannot_start_are_told_and_not_started_for_ever(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    pool = MoverPool(2)
    pool.start()
    one = desk(tmp_path)
    one.execution = 1
    reports: queue.SimpleQueue[tuple[object, ...]] = queue.SimpleQueue()
    group = pool.submit(
        one.terms(),
        [VisitWork(1, 1, "", "", False, False, False, None)],
        known=lambda *_: [],
        reports=reports,
        slot=0,
    )
    event = reports.get(timeout=10)
    assert event[:2] == ("lost", group)
    pool.close()


def test_an_error_of_ours_gives_the_group_back_and_the_mover_lives(tmp_path, pool) -> None:
    one = desk(tmp_path)
    one.execution = 1
    reports: queue.SimpleQueue[tuple[object, ...]] = queue.SimpleQueue()
    bad = one.terms()._replace(policies='{"verify": 3}', source=("fs", '{"path": "/nowhere/at/all"}', ""))
    work = [VisitWork(1, 1, "", "", False, False, False, None)]
    group = pool.submit(bad, work, known=lambda *_: [], reports=reports, slot=0)
    event = reports.get(timeout=10)
    assert event[0] in ("lost", "report")
    if event[0] == "report":
        event = reports.get(timeout=10)
    assert event[1] == group
    pids = pool.pids
    trees.bench_tree(str(tmp_path / "source"), files=10, folders=1)
    assert one.run(pool).lost == []
    assert pool.pids == pids


def take_turns(crew: Crew, one: Desk, executions: int, *, rounds: int) -> list[tuple[Any, ...]]:
    """Have a crew visit the root of the source for each execution in turn; give how the groups ended."""
    reports: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
    work = [VisitWork(1, 1, "", "", False, False, False, None)]
    terms = one.terms()
    for _ in range(rounds):
        for number in range(1, executions + 1):
            its = terms._replace(execution_id=number)
            crew.submit(its, work, known=lambda *_: [], reports=reports, slot=number)
    ended: list[tuple[Any, ...]] = []
    while len(ended) < executions * rounds:
        event = reports.get(timeout=60)
        if event[0] in ("done", "lost"):
            ended.append(event)
    return ended


def test_more_executions_than_a_mover_has_benches_take_turns(tmp_path) -> None:
    trees.bench_tree(str(tmp_path / "source"), files=1, folders=1)
    for crew in (MoverPool(1), ThreadCrew(1)):
        crew.start()
        try:
            ended = take_turns(crew, desk(tmp_path), BENCHES + 4, rounds=3)
        finally:
            crew.close()
        assert [event for event in ended if event[0] == "lost"] == []


def test_rows_that_the_store_cannot_give_end_the_group(tmp_path, pool) -> None:
    trees.bench_tree(str(tmp_path / "source"), files=10, folders=1)
    one = desk(tmp_path)
    one.execution = 1
    reports: queue.SimpleQueue[tuple[object, ...]] = queue.SimpleQueue()

    def known(*_: object) -> list[tuple[object, ...]]:
        raise OSError("the ledger is away")

    work = [VisitWork(1, 1, "", "", False, False, False, None)]
    pool.submit(one.terms(), work, known=known, reports=reports, slot=0)
    event = reports.get(timeout=10)
    assert event[0] == "lost"
    assert "the ledger is away" in str(event[2])


def test_closing_ends_everything_soon(tmp_path) -> None:
    trees.bench_tree(str(tmp_path / "source"), files=2_000, folders=20)
    pool = MoverPool(1)
    pool.start()
    one = desk(tmp_path)
    closing = threading.Thread(target=lambda: (time.sleep(0.3), pool.close()))
    closing.start()
    one.run(pool)
    closing.join(15)
    assert not closing.is_alive()
    assert not any(is_running(pid) for pid in pool.pids)


def test_a_mover_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "import tallyport.engine.mover, tallyport.engine.passage_local\n"
        "heavy = {'sqlalchemy', 'pydantic', 'click', 'fastapi', 'dbos', 'ctypes', 'asyncio', 'structlog', 'inspect'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.strip() in ("[]", "['inspect']")


def test_the_crew_of_threads_stops_too(tmp_path) -> None:
    trees.bench_tree(str(tmp_path / "source"), files=300, folders=30)
    crew = ThreadCrew(2)
    crew.start()
    one = desk(tmp_path)
    crew.stop(3)
    outcome = one.run(crew, slot=3)
    assert dict(outcome.halted) == {"stopped": 1}
    crew.clear(3)
    assert one.run(crew, slot=3, resume=True).errors == {}
    crew.close()
    crew.close()
    assert differences(str(tmp_path / "source"), str(tmp_path / "destination")) == []
