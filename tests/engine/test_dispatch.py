"""One contract for every dispatcher: at least once, the same id once, nothing begins after stop."""

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tallyport.engine.dbos_dispatcher import DbosDispatcher
from tallyport.engine.dispatch import Dispatcher, InlineDispatcher, TaskRef


def ref(number: int, queue: str = "transfer") -> TaskRef:
    return TaskRef(f"batch-{number}-e1", queue, number, 1)


def until(holds: Callable[[], bool], seconds: float = 15.0) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture(params=["inline", "dbos"])
def dispatcher(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Dispatcher]:
    made: Dispatcher
    if request.param == "inline":
        made = InlineDispatcher(threads=3, tick_seconds=0.2)
    else:
        made = DbosDispatcher(f"sqlite:///{tmp_path / 'dispatch.db'}")
    yield made
    made.stop(2.0)


def test_every_task_is_worked_and_a_repeated_id_once(dispatcher: Dispatcher) -> None:
    worked: list[int] = []
    dispatcher.start(lambda task: worked.append(task.batch_id), lambda: None)
    dispatcher.submit([ref(1), ref(2, "enumerate"), ref(3, "enumerate")])
    dispatcher.submit([ref(1), ref(2, "enumerate")])
    assert until(lambda: sorted(worked) == [1, 2, 3])
    time.sleep(0.3)
    assert sorted(worked) == [1, 2, 3]


def test_a_task_that_was_taken_back_before_it_began_is_not_worked(dispatcher: Dispatcher) -> None:
    begun, go_on = threading.Event(), threading.Event()
    worked: list[int] = []

    def work(task: TaskRef) -> None:
        worked.append(task.batch_id)
        begun.set()
        go_on.wait(10)

    dispatcher.start(work, lambda: None)
    dispatcher.submit([ref(number) for number in range(1, 9)])  # more than there are threads
    assert begun.wait(15)
    dispatcher.cancel(["batch-8-e1"])
    go_on.set()
    assert until(lambda: sorted(worked) == [1, 2, 3, 4, 5, 6, 7])
    dispatcher.purge()


@pytest.mark.parametrize("is_purged", [False, True])
def test_a_task_that_is_taken_away_while_it_is_worked_ends_without_an_alarm(
    dispatcher: Dispatcher, caplog: pytest.LogCaptureFixture, is_purged: bool
) -> None:
    """As in a worker that was frozen and given up: another has the batch, and the ledger fenced this one."""
    begun, go_on = threading.Event(), threading.Event()
    worked: list[int] = []

    def work(task: TaskRef) -> None:
        begun.set()
        go_on.wait(10)
        worked.append(task.batch_id)

    dispatcher.start(work, lambda: None)
    dispatcher.submit([ref(1)])
    assert begun.wait(15)
    dispatcher.cancel(["batch-1-e1"])
    if is_purged:
        dispatcher.purge()
    go_on.set()
    assert until(lambda: worked == [1])
    dispatcher.stop(5.0)
    assert [one.message for one in caplog.records if one.levelname == "ERROR"] == []


def test_no_more_tasks_of_a_queue_are_worked_at_once_than_its_width(tmp_path: Path) -> None:
    dispatcher = DbosDispatcher(f"sqlite:///{tmp_path / 'dispatch.db'}", width=2)
    lock = threading.Lock()
    busy: dict[str, int] = {"enumerate": 0, "transfer": 0}
    most = dict(busy)
    both = threading.Barrier(4)  # the whole width of both queues at once
    ended: list[int] = []

    def work(task: TaskRef) -> None:
        with lock:
            busy[task.queue] += 1
            most[task.queue] = max(most[task.queue], busy[task.queue])
        if task.batch_id < 4:
            both.wait(15)
        with lock:
            busy[task.queue] -= 1
            ended.append(task.batch_id)

    dispatcher.start(work, lambda: None)
    try:
        dispatcher.submit(ref(number, ("enumerate", "transfer")[number % 2]) for number in range(12))
        assert until(lambda: len(ended) == 12)
        assert most == {"enumerate": 2, "transfer": 2}
    finally:
        dispatcher.stop(2.0)


def test_ticks_come(dispatcher: Dispatcher) -> None:
    ticked = threading.Event()
    dispatcher.start(lambda task: None, ticked.set)
    assert ticked.wait(15)


KILLED = """
    import os, sys, threading
    from tallyport.engine.dbos_dispatcher import DbosDispatcher
    from tallyport.engine.dispatch import TaskRef

    first = sys.argv[2] == "first"
    done = threading.Event()

    def work(task):
        if first:
            os.kill(os.getpid(), 9)
        print(task.task_id, flush=True)
        done.set()

    dispatcher = DbosDispatcher("sqlite:///" + sys.argv[1])
    dispatcher.start(work, lambda: None)
    if first:
        dispatcher.submit([TaskRef("batch-1-e1", "transfer", 1, 1)])
    done.wait(30)
    dispatcher.stop(1.0)
"""


def test_a_task_whose_process_was_killed_is_worked_by_the_next_process(tmp_path: Path) -> None:
    def run(turn: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path / "dispatch.db"), turn],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    assert run("first").returncode == -9
    second = run("second")
    assert second.stdout.split() == ["batch-1-e1"], second.stderr
