"""An engine over memory worlds: the real store, crews and dispatcher, no disk but the ledger's."""

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.memory_tree import forget
from tallyport.domain.connections import Connection
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.domain.policies import Policies, TransferType
from tallyport.domain.policies_json import policies_to_json
from tallyport.engine.dispatch import InlineDispatcher
from tallyport.engine.engine import Crews, Engine
from tallyport.engine.thread_crew import ThreadCrew
from tallyport.store import connections, executions, jobs
from tallyport.store.database import Database, open_database
from tests.engine.pairs import ledger
from tests.engine.places import Places

_numbers = itertools.count()


class Port:
    """A ledger, two memory worlds, and an engine that can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.database = open_database(f"sqlite:///{folder / 'ledger.db'}")
        number = next(_numbers)
        self.stores = (f"source-{number}", f"destination-{number}")
        self.source = Memory(Settings(store=self.stores[0]))
        self.destination = Memory(Settings(store=self.stores[1]))
        self.engine: Engine | None = None
        with self.database.begin() as tx:
            ends = [self._connection(tx, store) for store in self.stores]
            self.job = jobs.add(
                tx,
                Job(
                    id=jobs.new_id(),
                    name="world",
                    transfer_type="copy",
                    source_connection=ends[0],
                    destination_connection=ends[1],
                    created_at=1,
                    modified_at=1,
                ),
            )

    def _connection(self, tx: Any, store: str, **settings: Any) -> str:
        made = Connection(
            id=connections.new_id(),
            name=store,
            platform="memory",
            settings={"store": store} | settings,
            created_at=1,
            modified_at=1,
        )
        connections.add(tx, made)
        return made.id

    def slow(self, side: int, **settings: Any) -> None:
        """Give one side awkward settings."""
        connection = (self.job.source_connection, self.job.destination_connection)[side]
        assert connection is not None
        with self.database.begin() as tx:
            connections.change(tx, connection, settings={"store": self.stores[side]} | settings)

    def start(self, threads: int = 2) -> Engine:
        local = ThreadCrew(1)
        self.engine = Engine(self.database, InlineDispatcher(4, 0.2), Crews(local, ThreadCrew(threads)))
        self.engine.start()
        return self.engine

    def stop(self) -> None:
        if self.engine is not None:
            self.engine.stop(5.0)
            self.engine = None

    def begin(self, policies: Policies | None = None, **values: Any) -> int:
        chosen = policies or Policies(transfer_type=TransferType.COPY)
        with self.database.begin() as tx:
            given = {"trigger": "cli", "policies": policies_to_json(chosen)} | values
            made = executions.add(tx, job_id=self.job.id, **given)
        if self.engine is not None:
            self.engine.nudge()
        return made.id

    def find(self, execution_id: int) -> Execution:
        with self.database.read() as tx:
            found = executions.find(tx, execution_id)
        assert found is not None
        return found

    def find_last(self) -> Execution:
        """Give the newest execution of the job."""
        with self.database.read() as tx:
            return executions.page(tx, job_id=self.job.id, limit=1)[0][0]

    def wait(self, execution_id: int, holds: Callable[[Execution], bool] | None = None) -> Execution:
        """Wait until the execution has ended, or something else holds."""
        deadline = time.monotonic() + 120
        while True:
            found = self.find(execution_id)
            if holds(found) if holds is not None else found.has_ended:
                return found
            assert time.monotonic() < deadline, f"still {found}"
            time.sleep(0.01)

    def run(self, policies: Policies | None = None, **values: Any) -> Execution:
        """Begin and wait for the end."""
        return self.wait(self.begin(policies, **values))

    def ask(self, execution_id: int, expected: tuple[str, ...], to: str) -> None:
        with self.database.begin() as tx:
            assert executions.move(tx, execution_id, expected, to)
        if self.engine is not None:
            self.engine.nudge()


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Port]:
    made = Port(tmp_path)
    yield made
    made.stop()
    made.database.close()
    for store in made.stores:
        forget(store)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A ledger alone, for ways between connections."""
    (tmp_path / "data").mkdir()
    with closing(ledger(tmp_path / "data")) as database:
        yield database


@pytest.fixture(scope="session")
def places() -> Iterator[Places]:
    with ExitStack() as stack:
        yield Places(stack)


def copy(**changes: Any) -> Policies:
    """The plain copy policies with some choices."""
    return dataclasses.replace(Policies(transfer_type=TransferType.COPY), **changes)


__all__ = ["Database", "Port", "copy"]
