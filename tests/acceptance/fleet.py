"""A server that carries nothing itself, and workers, on one PostgreSQL."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import sqlalchemy as sa

from tallyport.store.database import Database
from tallyport.testing import compare, trees
from tallyport.testing.postgres import PostgresServer
from tests.acceptance.product import Server, Worker

PATIENCE = 6.0  # seconds: a worker that does not beat for so long is given up


class Fleet:
    """A server that carries nothing itself, and workers, on a database of their own."""

    def __init__(self, folder: str, server: PostgresServer, *, env: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.postgres = server
        self.database = server.create()
        self.data = os.path.join(folder, "data")
        self.log = os.path.join(folder, "fleet.log")
        self.env = dict(env or {})
        os.makedirs(self.data)
        self.server = Server(self.data, self.log, database=self.database, options=("--no-worker",), env=self.env)
        self.server.start()
        self.server.sign_in()
        self.workers: list[Worker] = []

    def add(self, *options: str, prefix: Sequence[str] = ()) -> Worker:
        how = {"patience": PATIENCE, "prefix": prefix, "env": self.env}
        worker = Worker(self.data, self.log, self.database, *options, **how)
        self.workers.append(worker)
        return worker

    def kill(self, worker: Worker) -> None:
        worker.kill()
        self.workers.remove(worker)

    def job(self, name: str, source: str, **transfer: object) -> tuple[str, str]:
        destination = os.path.join(self.folder, f"destination of {name}")
        os.makedirs(destination, exist_ok=True)
        return self.server.job(source, destination, **transfer), destination

    def sql(self, statement: str) -> list[tuple]:
        database = Database(self.database)
        try:
            with database.read() as tx:
                return [tuple(row) for row in tx.execute(sa.text(statement))]
        finally:
            database.close()

    def close(self) -> None:
        for worker in self.workers:
            with contextlib.suppress(OSError):  # it ended by itself
                worker.thaw()
                worker.kill()
        self.server.kill()


class Ledger(Protocol):
    """Something whose ledger can be asked."""

    def sql(self, statement: str) -> list[tuple]: ...


def check(ledger: Ledger, state: Mapping[str, Any], source: str, destination: str, made: trees.Tree) -> None:
    """Check that the trees are equal, each item has one outcome, and nothing is left over, after the last run."""
    assert state["status"] == "complete", state
    found = compare.differences(source, destination, modes=False, owners=False)
    assert not found, f"the trees differ: {found[:5]}"
    left = compare.leftovers(destination)
    assert not left, f"left over: {left[:5]}"
    counted = ledger.sql(
        "SELECT files, transferred + unchanged, failed, pending FROM executions ORDER BY id DESC LIMIT 1"
    )
    assert counted == [(made.files, made.files + made.symlinks, 0, 0)]
    assert ledger.sql("SELECT count(*) FROM batches WHERE state <> 'done'") == [(0,)]
