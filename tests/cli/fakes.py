"""A store in a folder of the test, and an engine that does what a test says."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tallyport import app
from tallyport.cli.main import tallyport
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.domain.paths import display
from tallyport.domain.policies import TransferType
from tallyport.domain.transfer_block import defaults_for, policies_to_json
from tallyport.store import executions, failures, items, jobs, rows
from tallyport.store.database import Database, open_database
from tallyport.store.ids import Ids

Play = Callable[[Database, Execution], None]


def complete(**totals: Any) -> Play:
    """Make an engine that ends every run at once with these totals."""

    def play(database: Database, run: Execution) -> None:
        values = {"result": "errors" if totals.get("failed") else "clean", **totals}
        with database.begin() as tx:
            executions.move(tx, run.id, ("ready", "executing"), "executing")
            executions.move(tx, run.id, ("executing",), "complete", **values)

    return play


def pausing(database: Database, run: Execution) -> None:
    """An engine that never ends by itself, and pauses when asked."""
    if run.state == "pausing":
        with database.begin() as tx:
            executions.move(tx, run.id, ("pausing",), "paused", info="paused")
    elif run.state == "canceling":
        with database.begin() as tx:
            executions.move(tx, run.id, ("canceling",), "canceled", info="canceled")
    elif run.state == "ready":
        with database.begin() as tx:
            executions.move(tx, run.id, ("ready",), "executing")


@dataclass
class Fake:
    """An engine over a real store: plays every open run at each nudge."""

    database: Database
    play: Play
    nudges: int = 0

    def nudge(self) -> None:
        self.nudges += 1
        with self.database.read() as tx:
            opened = executions.opened(tx)
        for run in opened:
            self.play(self.database, run)

    def stop(self) -> None:
        pass


@dataclass
class World:
    """A data folder, a command line, and the engine that `copy` will find."""

    folder: Path
    data: Path
    play: Play = field(default_factory=lambda: complete(transferred=3, transferred_bytes=30, files=3, bytes=30))
    engine: Fake | None = None
    ids: Ids = field(default_factory=Ids)

    def call(self, *words: str, input: str | None = None) -> Result:
        return CliRunner().invoke(tallyport, [*words], input=input, env={"TALLYPORT_DATA": str(self.data)})

    def json(self, *words: str) -> Any:
        result = self.call(*words)
        assert result.stdout, result.output
        return json.loads(result.stdout.splitlines()[-1])

    @contextlib.contextmanager
    def embedded(self, data: Path, *, movers: int | None = None) -> Iterator[Fake]:
        with app.open_store(data) as database:
            self.engine = Fake(database, self.play)
            yield self.engine

    @contextlib.contextmanager
    def store(self) -> Iterator[Database]:
        self.data.mkdir(parents=True, exist_ok=True)
        database = open_database(f"sqlite:///{self.data / 'ledger.db'}")
        try:
            yield database
        finally:
            database.close()

    def tree(self, name: str = "source") -> str:
        place = self.folder / name
        place.mkdir()
        (place / "a.txt").write_text("hello")
        return str(place)

    def run_with_failures(self, *paths: str) -> int:
        """Put a job with one ended run in the ledger, with failed items at these paths."""
        with self.store() as database, database.begin() as tx:
            at = rows.now()
            job = jobs.add(
                tx, Job(id=jobs.new_id(), name="old job", transfer_type="copy", created_at=at, modified_at=at)
            )
            run = executions.add(
                tx, job_id=job.id, trigger="cli", policies=policies_to_json(defaults_for(TransferType.COPY))
            )
            root = self.ids.take()
            nothing: tuple[Any, ...] = (None,) * 7
            items.upsert(
                tx,
                database,
                [(root, job.number, 0, b"", 2, 1, "unchanged", 0, *nothing, 0, None, None, None, run.id, at, 0)],
            )
            items.add_containers(tx, database, [(root, job.number, 0, b"", b"", run.id)])
            for path in paths:
                raw = path.encode("utf-8", "surrogateescape")
                item = self.ids.take()
                row: tuple[Any, ...] = (item, job.number, root, raw, 1, 4, "permission_denied", 1, 5, 6, *nothing[:5])
                items.upsert(tx, database, [(*row, 0, None, None, "cannot read: Permission denied", run.id, at, 0)])
                failure = (
                    run.id,
                    item,
                    raw,
                    1,
                    4,
                    "permission_denied",
                    f"cannot read {display(path)}: Permission denied",
                )
                failures.write(tx, database, [(*failure, 5, 6, 1, at)])
            executions.move(tx, run.id, ("ready",), "executing")
            result = "errors" if paths else "clean"
            executions.move(
                tx, run.id, ("executing",), "complete", result=result, failed=len(paths), transferred=2, bytes=10
            )
        return run.id


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path, tmp_path / "data")
    monkeypatch.setattr(app, "embedded", made.embedded)
    monkeypatch.setattr(app, "warm", lambda movers=None: None)
    return made


def meanwhile(world: World, call: Callable[[], object]) -> threading.Thread:
    """Call something in another thread as soon as the engine of the world has been asked to work."""

    def wait() -> None:
        until = time.monotonic() + 30
        while (world.engine is None or not world.engine.nudges) and time.monotonic() < until:
            time.sleep(0.01)
        call()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread
