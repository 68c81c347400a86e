"""Measures a million small files, local to local, on SQLite and on PostgreSQL.

    python -m tests.bench.million make FOLDER [--items 1000000]
    python -m tests.bench.million run FOLDER --on sqlite|postgres [--movers 2]

The tree is made once, 1 KiB a file and 1 000 files a folder. A run is a job of a server with its movers in the same
process; its rate is by the ledger's own times. CPU is of the server and its movers, and of PostgreSQL by itself.
"""

from __future__ import annotations

import argparse
import os
import shutil
import threading

import sqlalchemy as sa

from tallyport.store.database import Database
from tallyport.testing.postgres import postgres_server
from tests.acceptance.product import Server, family
from tests.bench.workers import make

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("act", choices=["make", "run"])
    parser.add_argument("folder")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--on", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--movers", type=int, default=2)
    options = parser.parse_args()
    source = os.path.join(options.folder, "source")
    if options.act == "make":
        make(source, max(1, options.items // 1_000), min(1_000, options.items))
        return
    place = os.path.join(options.folder, "run")
    os.makedirs(os.path.join(place, "destination"))
    try:
        if options.on == "sqlite":
            measured(place, source, options.movers, None, None)
        else:
            with postgres_server() as postgres:
                assert postgres._process is not None
                measured(place, source, options.movers, postgres.create(), postgres._process.pid)
    finally:
        shutil.rmtree(place)


def measured(place: str, source: str, movers: int, url: str | None, postgres: int | None) -> None:
    data = os.path.join(place, "data")
    os.mkdir(data)
    server = Server(data, os.path.join(place, "server.log"), database=url, options=("--workers", str(movers)))
    server.start()
    try:
        server.sign_in()
        job = server.job(
            source, os.path.join(place, "destination"), permissions={"policy": "none"}, preserve_owners=False
        )
        assert server.program is not None
        watch = Watch(server.program.pid)
        before = (cpu(server.program.pid), 0.0 if postgres is None else cpu(postgres))
        server.begin(job)
        state = server.wait(job, patience=390, pause=1)
        watch.end()
        after = (cpu(server.program.pid), 0.0 if postgres is None else cpu(postgres))
        assert state["status"] == "complete", state
    finally:
        server.kill()
    database = Database(url or f"sqlite:///{data}/ledger.db")
    with database.read() as tx:
        took, items, failed = tx.execute(
            sa.text("SELECT ended_at - started_at, transferred, failed FROM executions")
        ).one()
        if url is None:
            size = os.stat(f"{data}/ledger.db").st_size
        else:
            size = int(tx.execute(sa.text("SELECT pg_database_size(current_database())")).scalar_one())
    database.close()
    seconds = took / 1e6
    ours, theirs = (now - then for now, then in zip(after, before, strict=True))
    print(f"{items} items, {failed} failed: {seconds:.1f} s, {items / seconds:.0f} items/s", end="; ")
    print(f"CPU {ours:.1f} s, PostgreSQL {theirs:.1f} s; memory {watch.most / 1e6:.0f} MB", end="; ")
    print(f"{size / items:.0f} bytes an item")


def cpu(pid: int) -> float:
    """Give the CPU seconds of a process, of those below it, and of those of them that ended."""
    return sum(_ticks(one, own=one != pid) for one in family(pid)) / TICK


def _ticks(pid: int, *, own: bool) -> int:
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
        fields = stream.read().rpartition(")")[2].split()
    return sum(map(int, fields[11:13] if own else fields[11:15]))


class Watch(threading.Thread):
    """The most memory that a process and those below it held at one moment, shared pages counted for each."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid = pid
        self._ending = threading.Event()
        self.most = 0
        self.start()

    def run(self) -> None:
        while not self._ending.wait(0.5):
            self.most = max(self.most, sum(map(_resident, family(self._pid))))

    def end(self) -> None:
        self._ending.set()
        self.join()


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", encoding="ascii") as stream:
            return int(stream.read().split()[1]) * PAGE
    except FileNotFoundError:
        return 0


if __name__ == "__main__":
    main()
