"""Runs one program and says what it cost: wall time, processor time and memory of the whole family of processes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

TICK = 0.05  # seconds between two looks at memory
PR_SET_CHILD_SUBREAPER = 36
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one run cost."""

    wall: float  # seconds
    cpu: float  # seconds, user and system, of all processes
    memory: int  # bytes: the highest sum of what all processes held at one moment
    shared: int  # the same with shared pages counted once; 0 where nobody looked
    status: int
    out: str = ""


def adopt_orphans() -> None:
    """Make this process the one that inherits, and so counts, processes whose parent has gone."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(
    command: Sequence[str],
    *,
    env: dict[str, str] | None = None,
    while_it_runs: Callable[[subprocess.Popen[bytes]], None] | None = None,
) -> Cost:
    """Run a program to its end and return its cost. Everything it started is waited for and counted.

    Servers that were running before go on running, and are not counted.
    """
    lasting = children(os.getpid())
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    program = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    watch = Watch(program.pid)
    watch.start()
    if while_it_runs is not None:
        while_it_runs(program)
    out, _ = program.communicate()
    wall = time.perf_counter() - begun
    watch.stop()
    reap_orphans(lasting=lasting)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(
        wall=wall,
        cpu=cpu,
        memory=watch.memory,
        shared=watch.shared,
        status=program.returncode,
        out=out.decode("utf-8", "replace"),
    )


def warm(root: str) -> None:
    """Read a whole tree, so that the next program finds it in the cache, whatever ran before."""
    for folder, _, names in os.walk(root):
        for name in names:
            with open(os.path.join(folder, name), "rb", buffering=0) as stream:
                while stream.read(1024 * 1024):
                    pass


def reap_orphans(patience: float = 10.0, *, lasting: Collection[int] = ()) -> None:
    """Wait for every child there still is, so that its cost is counted to the run that caused it."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if not (left := children(os.getpid()) - frozenset(lasting)):
            return
        for pid in left:
            with contextlib.suppress(ChildProcessError):  # it was waited for meanwhile
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.01)
    raise TimeoutError(f"processes of the last run are still there after {patience} s")


class Watch(threading.Thread):
    """Looks at the memory of a process and all below it, now and then."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid = pid
        self.memory = 0
        self.shared = 0
        self._ended = threading.Event()

    def run(self) -> None:
        looks = 0
        while not self._ended.wait(TICK):
            pids = family(self.pid)
            self.memory = max(self.memory, sum(resident(pid) for pid in pids))
            if looks % 4 == 0:
                self.shared = max(self.shared, sum(proportional(pid) for pid in pids))
            looks += 1

    def stop(self) -> None:
        self._ended.set()
        self.join()


def family(pid: int) -> list[int]:
    """List a process and all its descendants."""
    found = [pid]
    for member in found:
        found += children(member)
    return found


def children(pid: int) -> frozenset[int]:
    """Give the processes that a process has started and not waited for."""
    found: set[int] = set()
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as stream:
                found.update(int(child) for child in stream.read().split())
    except OSError:
        pass  # it has just ended
    return frozenset(found)


def resident(pid: int) -> int:
    """Give the bytes a process holds in memory, shared pages included."""
    try:
        with open(f"/proc/{pid}/statm") as stream:
            return int(stream.read().split()[1]) * PAGE
    except OSError:
        return 0


def proportional(pid: int) -> int:
    """Give the bytes a process holds in memory, each shared page divided among those who share it."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as stream:
            return next((int(line.split()[1]) * 1024 for line in stream if line.startswith("Pss:")), 0)
    except OSError:
        return 0


def processor_time(pid: int) -> float:
    """Give the seconds of processor time a process and its descendants have used so far."""
    ticks = 0
    for member in family(pid):
        try:
            with open(f"/proc/{member}/stat", "rb") as stream:
                facts = stream.read().rpartition(b")")[2].split()
        except OSError:
            continue
        ticks += sum(int(facts[place]) for place in (11, 12, 13, 14))  # of its own, and of children that ended
    return ticks / os.sysconf("SC_CLK_TCK")


def middle(costs: Sequence[Cost]) -> Cost:
    """Give the median of each figure over some runs."""
    return Cost(
        wall=statistics.median(cost.wall for cost in costs),
        cpu=statistics.median(cost.cpu for cost in costs),
        memory=int(statistics.median(cost.memory for cost in costs)),
        shared=int(statistics.median(cost.shared for cost in costs)),
        status=max(cost.status for cost in costs),
    )
