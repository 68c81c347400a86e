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


def test_running_tasks_are_told_with_their_owner(dispatcher: Dispatcher) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work(_task: TaskRef) -> None:
        begun.set()
        go_on.wait(10)

    dispatcher.start(work, lambda: None)
    dispatcher.submit([ref(7)])
    assert begun.wait(15)
    assert dispatcher.running() == [("batch-7-e1", "local")]
    go_on.set()
    assert until(lambda: dispatcher.running() == [])
    dispatcher.purge()


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
