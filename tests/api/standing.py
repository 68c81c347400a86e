"""Jobs in every state, as the engine or an agent would leave them, on one server for a whole file of tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tallyport.domain.jobs import Job
from tallyport.domain.states import State
from tallyport.store import executions, jobs, rows
from tests.api import world as worlds
from tests.api.world import World

BEGUN = frozenset(State) - {State.CREATED, State.PLANNING, State.SCHEDULED, State.READY, State.FAILED_TO_START}


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        made = worlds.make(str(tmp_path_factory.mktemp("world")), patch)
        ends = (made.connection("from"), made.connection("to"))
        for name in ("one.txt", "two.txt"):
            with open(os.path.join(made.make_folder("from/a"), name), "w", encoding="utf-8") as stream:
                stream.write(name)
        made.ends = ends  # type: ignore[attr-defined]
        yield made
        worlds.close(made)


def in_state(world: World, state: State, kind: str) -> str:
    """Make a job whose newest run is in a state."""
    return agents(world, state) if kind == "agent" else ours(world, state)


def ours(world: World, state: State) -> str:
    """Make a job of ours whose newest execution is in a state."""
    source, destination = world.ends  # type: ignore[attr-defined]
    transfer = {
        "transfer_type": "copy",
        "source": {"connection": {"id": source}, "target": {"path": "/a"}},
        "destination": {"connection": {"id": destination}, "target": {"path": "/b"}},
    }
    new = Job(
        id=jobs.new_id(),
        name="a job",
        source_connection=source,
        source_path="a",
        destination_connection=destination,
        destination_path="b",
        transfer_type="copy",
        transfer=transfer,
        created_at=1,
        modified_at=1,
    )
    with world.database.begin() as tx:
        jobs.add(tx, new)
        if state is State.SCHEDULED:
            schedule = {"mode": "auto", "start_date": 4_000_000_000}
            jobs.change(tx, new.id, state=state.value, schedule=schedule, schedule_mode="auto")
        elif state is not State.CREATED:
            first = state.value if state is State.PLANNING else "ready"
            run = executions.add(tx, job_id=new.id, trigger="schedule", policies="{}", state=first)
            if state in BEGUN:
                executions.change(tx, run.id, started_at=1)
            if state.value != first:
                ended = {"result": "errors"} if state is State.COMPLETE else {}
                assert executions.move(tx, run.id, ("ready",), state.value, **ended)
    return new.id


def agents(world: World, state: State) -> str:
    """Make a job of an agent in a state."""
    run: dict[str, Any] = {"outcome": {"next": {"type": "retry"}}} if state is State.COMPLETE else {}
    extra = {"type": "file", "operation": "convert", "source": "us_fl_1", "run": run}
    new = Job(id=jobs.new_id(), kind="external", name="a job", managed=False, extra=extra, created_at=1, modified_at=1)
    with world.database.begin() as tx:
        jobs.add(tx, new)
        lease = {"lease_until": rows.now() + 60_000_000} if state is State.EXECUTING else {}
        jobs.change(tx, new.id, state=state.value, **lease)
    return new.id
