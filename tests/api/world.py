"""A server in process, its store, and things in it, for the tests of this folder."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any

import argon2
import pytest
from starlette.testclient import TestClient

from tallyport.api.app import create_api
from tallyport.api.attempts import Attempts
from tallyport.control import users
from tallyport.domain.connections import Connection
from tallyport.domain.executions import Execution
from tallyport.domain.items import Status
from tallyport.domain.jobs import Job
from tallyport.store import connections, executions, failures, items, jobs, rows
from tallyport.store.database import Database
from tallyport.store.ids import Ids
from tallyport.store.keys import new_key
from tallyport.store.tables import metadata
from tallyport.store.vault import Vault

ROLES = ("viewer", "operator", "manager", "admin", "auditor")


def cheap_passwords() -> argon2.PasswordHasher:
    """Make a hasher that takes no time; the real one takes a third of a second."""
    return argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@dataclass
class World:
    """What a test needs at hand."""

    database: Database
    folder: str
    client: TestClient
    nudges: list[int] = field(default_factory=list)
    ids: Ids = field(default_factory=lambda: Ids(1))
    tokens: dict[str, str] = field(default_factory=dict)
    people: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def call(self, method: str, path: str, *, role: str = "admin", **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.tokens[role]}"} | more.pop("headers", {})
        return self.client.request(method, path, headers=headers, **more)

    def get(self, path: str, **more: Any) -> Any:
        return self.call("GET", path, **more)

    def post(self, path: str, **more: Any) -> Any:
        return self.call("POST", path, **more)

    def patch(self, path: str, **more: Any) -> Any:
        return self.call("PATCH", path, **more)

    def delete(self, path: str, **more: Any) -> Any:
        return self.call("DELETE", path, **more)

    def make_folder(self, name: str) -> str:
        path = os.path.join(self.folder, name)
        os.makedirs(path, exist_ok=True)
        return path

    def connection(self, name: str = "one") -> str:
        at = rows.now()
        new = Connection(
            id=connections.new_id(),
            name=name,
            platform="fs",
            settings={"path": self.make_folder(name)},
            created_at=at,
            modified_at=at,
        )
        with self.database.begin() as tx:
            connections.add(tx, new)
        return new.id

    def body(self, **changes: Any) -> dict[str, Any]:
        """Give the body of a plain job between two new connections."""
        base = {
            "name": "a job",
            "kind": "transfer",
            "transfer": {
                "transfer_type": "copy",
                "source": {"connection": {"id": self.connection("from")}, "target": {"path": "/a"}},
                "destination": {"connection": {"id": self.connection("to")}, "target": {"path": "/b"}},
            },
            "schedule": {"mode": "manual"},
        }
        return base | changes

    def job(self, **changes: Any) -> str:
        answer = self.post("/v1/jobs", json=self.body(**changes))
        assert answer.status_code == 201, answer.text
        return str(answer.json()["job"]["id"])

    def stored(self, job_id: str) -> Job:
        with self.database.read() as tx:
            found = jobs.find(tx, job_id)
        assert found is not None
        return found

    def latest(self, job_id: str) -> Execution:
        with self.database.read() as tx:
            found = executions.page(tx, job_id=job_id, limit=1)[0]
        return found[0]

    def run(self, job_id: str, state: str, *, result: str | None = None, **totals: Any) -> int:
        """Give the job an execution in a state, as the engine would leave it."""
        with self.database.begin() as tx:
            active = executions.active(tx, job_id)
            run = active or executions.add(tx, job_id=job_id, trigger="manual", policies="{}", state="ready")
            if state != run.state or totals:
                if state not in ("created", "ready", "scheduled", "planning"):
                    executions.change(tx, run.id, started_at=rows.now())
                if totals:
                    executions.change(tx, run.id, **totals)
                if result is None and state == "complete":
                    result = "clean"
                more = {} if result is None else {"result": result}
                assert executions.move(tx, run.id, (run.state,), state, **more)
        return run.id

    def item(
        self,
        job_id: str,
        path: str,
        status: Status = Status.SUCCESS,
        *,
        kind: int = 1,
        reason: str = "new_at_source",
        message: str | None = None,
        size: int = 3,
        attempts: int = 1,
        modified: int = 5_000_000_000,
        processing: str | None = None,
        lost: int = 0,
    ) -> int:
        """Store an item, its containers as needed, and its failure in the job's newest execution."""
        job = self.stored(job_id)
        assert job.execution_id is not None
        raw = path.encode("utf-8", "surrogateescape")
        folder, _, name = raw.rpartition(b"/")
        with self.database.begin() as tx:
            parent = self._container(tx, job, folder)
            new = self.ids.take()
            at = rows.now()
            row: tuple[Any, ...] = (
                new,
                job.number,
                parent,
                name,
                kind,
                int(status),
                reason,
                attempts,
                size,
                modified,
                b"",
            )
            row += (None, None, None, None, 0, None, processing, message, job.execution_id, at, lost)
            items.upsert(tx, self.database, [row])
            if status in (Status.RETRY, Status.FLAGGED):
                gone = (job.execution_id, new, raw, kind, int(status), reason, message or reason, size)
                failures.write(tx, self.database, [(*gone, 5_000_000_000, attempts, at)])
        return new

    def _container(self, tx: Any, job: Job, path: bytes) -> int:
        found = items.at_path(tx, job.number, path.decode("utf-8", "surrogateescape"))
        if found is not None:
            return found.id
        parent, name = 0, b""
        if path:
            folder, _, name = path.rpartition(b"/")
            parent = self._container(tx, job, folder)
        new = self.ids.take()
        row = (new, job.number, parent, name, 2, 1, "new_at_source", 0, 0, 0, b"", 0, 0, b"", None, 0, None, None)
        items.upsert(tx, self.database, [(*row, None, job.execution_id, rows.now(), 0)])
        items.add_containers(tx, self.database, [(new, job.number, parent, path, path, job.execution_id)])
        return new


def make(folder: str, monkeypatch: pytest.MonkeyPatch) -> World:
    """Make a world with one user and one token for each role."""
    monkeypatch.setattr(users, "PASSWORDS", cheap_passwords())
    users._nobody.cache_clear()
    database = Database(f"sqlite:///{folder}/tallyport.db")
    with database.begin() as tx:
        metadata.create_all(tx)
    nudges: list[int] = []
    keys = [new_key()]
    api = create_api(database, nudge=lambda: nudges.append(1), vault=Vault(keys.copy))
    client = TestClient(api)
    client.__enter__()  # one event loop for all its requests
    world = World(database, folder, client, nudges)
    for role in ROLES:
        users.add_user(database, role, role, f"{role}-password", f"{role}@example.com")
        world.tokens[role] = users.create_token(database, role, "")
    world.people = _people(world)
    return world


def fresh(world: World, folder: str) -> World:
    """Empty the store of everything but its first users and tokens."""
    with world.database.begin() as tx:
        for table in reversed(metadata.sorted_tables):
            tx.execute(table.delete())
        for name, rows_ in world.people.items():
            tx.execute(metadata.tables[name].insert(), rows_)
    world.folder = folder
    world.nudges.clear()
    world.client.app.state.attempts = Attempts()  # type: ignore[attr-defined]
    world.tokens = {role: world.tokens[role] for role in ROLES}
    return world


def close(world: World) -> None:
    """End the server and its store."""
    world.client.__exit__(None, None, None)
    world.database.close()


def _people(world: World) -> dict[str, list[dict[str, Any]]]:
    with world.database.read() as tx:
        return {
            name: [dict(row) for row in tx.execute(metadata.tables[name].select()).mappings()]
            for name in ("users", "tokens")
        }


def keys(document: Any) -> Any:
    """Give the shape of a document: its keys, and the types of its values."""
    if isinstance(document, dict):
        return {key: keys(value) for key, value in document.items()}
    if isinstance(document, list):
        return [keys(document[0])] if document else []
    return type(document).__name__


def canonical(document: Any) -> str:
    """Give a document as text that compares."""
    return json.dumps(document, sort_keys=True)
