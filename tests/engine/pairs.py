"""A real engine between any two connections, for tests of the way between platforms."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tallyport.domain.connections import Connection
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.domain.losses import facts_of
from tallyport.domain.policies import Policies, TransferType
from tallyport.domain.policies_json import policies_to_json
from tallyport.domain.transfer_block import defaults_for
from tallyport.engine.dispatch import InlineDispatcher
from tallyport.engine.engine import Crews, Engine
from tallyport.engine.thread_crew import ThreadCrew
from tallyport.store import connections, executions, items, jobs
from tallyport.store.database import Database, open_database


class End(NamedTuple):
    """One end of a job."""

    platform: str
    settings: Mapping[str, object]
    path: str = "/"


class Way:
    """A job between two ends, and a ledger that outlives engines."""

    def __init__(self, database: Database, source: End, destination: End, policies: Policies | None = None) -> None:
        self.database = database
        self.policies = policies or defaults_for(TransferType.COPY)
        with database.begin() as tx:
            self.job = jobs.add(
                tx,
                Job(
                    id=jobs.new_id(),
                    name="way",
                    transfer_type=str(self.policies.transfer_type),
                    source_connection=_connection(tx, source),
                    source_path=source.path,
                    destination_connection=_connection(tx, destination),
                    destination_path=destination.path,
                    created_at=1,
                    modified_at=1,
                ),
            )

    def begin(self) -> int:
        with self.database.begin() as tx:
            execution = executions.add(
                tx,
                job_id=self.job.id,
                trigger="test",
                policies=policies_to_json(self.policies),
                simulation=self.policies.simulation,
                created_by="test",
                state="ready",
            )
        return execution.id

    @contextmanager
    def engine(self, crew: int = 4) -> Iterator[Engine]:
        engine = Engine(self.database, InlineDispatcher(), Crews(ThreadCrew(2), ThreadCrew(crew)))
        engine.start()
        try:
            yield engine
        finally:
            engine.stop()

    def find(self, execution_id: int) -> Execution:
        with self.database.read() as tx:
            found = executions.find(tx, execution_id)
        assert found is not None
        return found

    def wait(self, engine: Engine, execution_id: int, seconds: float = 120.0) -> Execution:
        end = time.monotonic() + seconds
        while not (found := self.find(execution_id)).has_ended:
            assert time.monotonic() < end, found
            engine.nudge()
            time.sleep(0.05)
        return found

    def run(self) -> Execution:
        with self.engine() as engine:
            execution_id = self.begin()
            return self.wait(engine, execution_id)


def ledger(folder: Path) -> Database:
    return open_database(f"sqlite:///{folder / 'ledger.db'}")


def _connection(tx: Any, end: End) -> str:
    made = Connection(
        id=connections.new_id(),
        name=f"{end.platform}-{connections.new_id()}",
        platform=end.platform,
        settings=dict(end.settings),
        created_at=1,
        modified_at=1,
    )
    connections.add(tx, made)
    return made.id


def folder_of(root: Path, files: int) -> Path:
    """Make a folder with some files in it."""
    root.mkdir()
    for number in range(files):
        (root / f"file-{number}").write_bytes(b"content" * (number + 1))
    return root


def pictured(root: Path, precision: int = 1) -> dict[str, object]:
    """Give everything below a folder: content and time of files, to so many nanoseconds."""
    found: dict[str, object] = {}
    for here, folders, files in os.walk(root):
        for name in folders:
            found[os.path.relpath(os.path.join(here, name), root)] = None
        for name in files:
            path = os.path.join(here, name)
            with open(path, "rb") as stream:
                moment = os.stat(path).st_mtime_ns
                found[os.path.relpath(path, root)] = (stream.read(), moment - moment % precision)
    return found


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something to hold."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"it did not come within {seconds:g} s"
        time.sleep(0.02)


def lost(way: Way) -> dict[str, int]:
    """Give how many items of a job lack something at the destination, by what it is."""
    with way.database.read() as tx:
        found = items.lost(tx, way.job.number)
    sums: Counter[str] = Counter()
    for bits, count in found.items():
        sums.update({str(fact): count for fact in facts_of(bits)})
    return dict(sums)
