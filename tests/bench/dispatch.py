"""Measures what handing out work costs: of a server that has none, and beside the work of W1.

    python -m tests.bench.dispatch idle [--on sqlite|postgres] [--seconds 60]
    python -m tests.bench.dispatch start [--on sqlite|postgres]
    python -m tests.bench.dispatch run [--on sqlite|postgres] [--folders 1000] [--files 100]

``idle`` gives the processor time of a whole server with its movers that nobody asks for anything, and of PostgreSQL.
``start`` gives how long jobs of one file took from being asked for to their end, by the ledger's own times.
``run`` copies W1 (100 000 files of 1 KiB in 1 000 folders) by a job of a server, and gives the share of dispatching:
the threads of the dispatcher and of whoever takes batches, and what a task costs around the batch that it works.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from typing import Any

import sqlalchemy as sa

from tallyport.store.database import Database
from tallyport.testing.postgres import postgres_server
from tests.acceptance import product
from tests.bench.million import TICK, cpu
from tests.bench.workers import make

TOLD = "BENCH_DISPATCH_TOLD"  # names the file in which a server tells its processor time by thread
# Threads of the dispatcher by the names that it gives them, and our taker.
DISPATCHES = re.compile(r"taker|queue|notif|sched|_loop|poller|ThreadPoolExecutor|listener|event.loop", re.IGNORECASE)


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        telling()
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("act", choices=["idle", "start", "run"])
    parser.add_argument("--on", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--seconds", type=float, default=60, help="of an idle server")
    parser.add_argument("--folders", type=int, default=1_000)
    parser.add_argument("--files", type=int, default=100, help="in each folder")
    parser.add_argument("--shared", default="/dev/shm", help="where to work")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dispatch-", dir=options.shared) as folder:
        if options.on == "sqlite":
            act(options, folder, None, None)
        else:
            with postgres_server() as postgres:
                assert postgres._process is not None
                act(options, folder, postgres.create(), postgres._process.pid)


def act(options: argparse.Namespace, folder: str, url: str | None, postgres: int | None) -> None:
    """Start a server and measure."""
    told = os.path.join(folder, "told.json")
    program = list(product.PROGRAM)
    if options.act == "run":
        product.PROGRAM[:] = [sys.executable, "-m", "tests.bench.dispatch"]  # a server that tells
        make(os.path.join(folder, "source"), options.folders, options.files)
    data = os.path.join(folder, "data")
    os.mkdir(data)
    server = product.Server(data, os.path.join(folder, "server.log"), database=url, env={TOLD: told})
    server.options = ("--workers", "2")
    server.start()
    product.PROGRAM[:] = program
    try:
        server.sign_in()
        time.sleep(5)  # what a start leaves behind
        assert server.program is not None
        pids = [server.program.pid, *([postgres] if postgres else [])]
        if options.act == "idle":
            idle(pids, options.seconds)
        elif options.act == "start":
            start(server, folder, url or f"sqlite:///{data}/ledger.db")
        else:
            run(server, folder, pids, told)
    finally:
        server.kill()


def idle(pids: list[int], seconds: float) -> None:
    """Let time pass."""
    before = [cpu(pid) for pid in pids]
    time.sleep(seconds)
    spent = [cpu(pid) - was for pid, was in zip(pids, before, strict=True)]
    print(f"idle for {seconds:.0f} s: server {_shares(spent[:1], seconds)}", end="")
    print(f", PostgreSQL {_shares(spent[1:], seconds)}" if spent[1:] else "")


def _shares(spent: list[float], seconds: float) -> str:
    return ", ".join(f"{one:.2f} s of CPU, {one / seconds:.1%} of a core" for one in spent)


def start(server: product.Server, folder: str, url: str) -> None:
    """Run small jobs one after the other, with pauses in which the server has nothing to do."""
    source = os.path.join(folder, "small")
    make(source, 1, 1)
    for number in range(9):
        destination = os.path.join(folder, f"to {number}")
        os.mkdir(destination)
        job = server.job(source, destination, permissions={"policy": "none"}, preserve_owners=False)
        time.sleep(1 + number / 7)  # at another moment of whatever looks at intervals
        server.begin(job)
        server.wait(job)
    database = Database(url)
    with database.read() as tx:
        took = sorted(row[0] / 1e6 for row in tx.execute(sa.text("SELECT ended_at - created_at FROM executions")))
    database.close()
    print(f"from asked for to ended: {took[len(took) // 2]:.3f} s in the middle, {took[-1]:.3f} s at most")


def run(server: product.Server, folder: str, pids: list[int], told: str) -> None:
    """Copy the tree and say who spent what."""
    destination = os.path.join(folder, "destination")
    os.mkdir(destination)
    job = server.job(os.path.join(folder, "source"), destination, permissions={"policy": "none"}, preserve_owners=False)
    first, before = read(told), [cpu(pid) for pid in pids]
    begun = time.monotonic()
    server.begin(job)
    state = server.wait(job, patience=200)
    took = time.monotonic() - begun
    assert state["status"] == "complete", state
    spent = [cpu(pid) - was for pid, was in zip(pids, before, strict=True)]
    time.sleep(1.5)  # the server tells once a second
    rest = (cpu(pids[0]) - before[0] - spent[0]) / 1.5
    threads = read(told)
    threads.subtract(first)
    dispatching = sum(seconds for name, seconds in threads.items() if DISPATCHES.search(name) or name == "tasks")
    print(f"{state['status']} in {took:.1f} s; CPU {sum(spent):.2f} s", end="")
    print(f" (PostgreSQL {spent[1]:.2f} s)" if spent[1:] else "", end="")
    print(f"; dispatching {dispatching:.2f} s, {dispatching / spent[0]:.1%} of the server's; idle after {rest:.1%}")
    for name, seconds in threads.most_common(14):
        print(f"  {seconds:6.2f} s  {name}")


def read(told: str) -> Counter[str]:
    """Give the processor time of a server by thread as it told last."""
    with open(told, encoding="utf-8") as stream:
        return Counter(json.load(stream))


def telling() -> None:
    """Be a server that tells its processor time by thread, and what tasks cost around their batches."""
    from tallyport.cli.main import tallyport
    from tallyport.engine.dbos_dispatcher import DbosDispatcher
    from tallyport.engine.engine import Engine

    around = Counter[str]()
    call, work = DbosDispatcher._call, Engine._work

    def called(self: DbosDispatcher, *given: Any) -> None:
        begun = time.thread_time()
        call(self, *given)
        around["tasks"] += time.thread_time() - begun  # type: ignore[assignment]  # seconds

    def worked(self: Engine, *given: Any) -> None:
        begun = time.thread_time()
        work(self, *given)
        around["tasks"] -= time.thread_time() - begun  # type: ignore[assignment]

    DbosDispatcher._call, Engine._work = called, worked  # type: ignore[method-assign,assignment]
    threading.Thread(target=_tell, args=(os.environ[TOLD], around), name="telling", daemon=True).start()
    tallyport(sys.argv[1:], prog_name="tallyport")


def _tell(told: str, around: Counter[str]) -> None:
    while True:
        threads: Counter[str] = Counter(around)
        for thread in threading.enumerate():
            try:
                with open(f"/proc/self/task/{thread.native_id}/stat", encoding="ascii", errors="replace") as stream:
                    fields = stream.read().rpartition(")")[2].split()
            except OSError:
                continue  # it ended
            threads[re.sub(r"\d+", "N", thread.name)] += sum(map(int, fields[11:13])) / TICK  # type: ignore[assignment]
        with open(f"{told}.new", "w", encoding="utf-8") as stream:
            json.dump(threads, stream)
        os.replace(f"{told}.new", told)
        time.sleep(1)


if __name__ == "__main__":
    main()
