"""What strikes a job under way, on both databases: kills, freezes past the lease, a database that is away."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import time
from typing import Protocol

from tests.acceptance import product
from tests.acceptance.fleet import PATIENCE, Fleet
from tests.acceptance.product import Server, Worker, family

WORKERS = 4
EVENTS = ("kill", "kill", "freeze", "outage")


class Struck(Protocol):
    """A product that is struck."""

    server: Server

    def prepare(self) -> None:
        """Bring back what the round before took."""

    def strike(self, event: str, chance: random.Random, outage: float) -> None:
        """Let one of EVENTS happen."""

    def thaw(self) -> None:
        """Let whoever was frozen go on, once the others have given it up."""

    def judge(self) -> None:
        """Fail if somebody ended whom nobody killed."""

    def job(self, name: str, source: str, **transfer: object) -> tuple[str, str]:
        """Make a job; gives its id and its destination."""

    def sql(self, statement: str) -> list[tuple]:
        """Ask the ledger."""

    def close(self) -> None:
        """End everything."""


class Workers(Fleet):
    """Four workers on one PostgreSQL, and a server that carries nothing itself."""

    frozen: Worker | None = None
    frozen_at = 0.0

    def prepare(self) -> None:
        while len(self.workers) < WORKERS:
            self.add("--workers", "1")

    def strike(self, event: str, chance: random.Random, outage: float) -> None:
        if event == "kill":
            self.kill(chance.choice([worker for worker in self.workers if worker is not self.frozen]))
            self.add("--workers", "1")
        elif event == "freeze":
            self.frozen, self.frozen_at = chance.choice(self.workers), time.monotonic()
            self.frozen.freeze()
        else:
            self.postgres.stop()
            time.sleep(outage)
            self.postgres.start()

    def thaw(self) -> None:
        if self.frozen is not None:
            time.sleep(max(0.0, self.frozen_at + PATIENCE + 1 - time.monotonic()))
            self.frozen.thaw()
            self.frozen = None

    def judge(self) -> None:
        ended = [worker.program.returncode for worker in self.workers if worker.program.poll() is not None]
        assert not ended, f"workers ended by themselves with {ended}:\n{self.server.words()}"


class Alone:
    """One server on SQLite with four movers; its outage is a ledger that somebody else keeps locked."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.data = os.path.join(folder, "data")
        os.makedirs(self.data)
        self.server = Server(self.data, os.path.join(folder, "server.log"), options=("--workers", str(WORKERS)))
        self.server.start()
        self.server.sign_in()
        self.is_frozen = False

    def prepare(self) -> None:
        """Nothing is missing."""

    def strike(self, event: str, chance: random.Random, outage: float) -> None:
        if event == "kill":
            self.thaw()
            self.server.kill(whole_group=chance.random() < 0.5)
            self.server.start()
        elif event == "freeze":
            self._signal(signal.SIGSTOP)
            self.is_frozen = True
        else:
            path = product.ledger_file(self.data)
            if self.is_frozen and self._holds_the_lock(path):
                self.thaw()  # frozen in the midst of a write it keeps the ledger from everybody else, us too
            with contextlib.closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as raw:
                raw.execute("BEGIN IMMEDIATE")
                time.sleep(outage)
                raw.execute("ROLLBACK")

    def _holds_the_lock(self, path: str) -> bool:
        with contextlib.closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as raw:
            try:
                raw.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                return True
            raw.execute("ROLLBACK")
        return False

    def thaw(self) -> None:
        if self.is_frozen:
            time.sleep(PATIENCE + 1)
            self._signal(signal.SIGCONT)
            self.is_frozen = False

    def judge(self) -> None:
        assert self.server.program is not None
        assert self.server.program.poll() is None, self.server.words()

    def job(self, name: str, source: str, **transfer: object) -> tuple[str, str]:
        destination = os.path.join(self.folder, f"destination of {name}")
        os.makedirs(destination, exist_ok=True)
        return self.server.job(source, destination, **transfer), destination

    def sql(self, statement: str) -> list[tuple]:
        return product.rows(self.data, statement)

    def close(self) -> None:
        if self.is_frozen:
            self._signal(signal.SIGCONT)
        self.server.kill()

    def _signal(self, number: int) -> None:
        assert self.server.program is not None
        for process in family(self.server.program.pid):
            os.kill(process, number)
