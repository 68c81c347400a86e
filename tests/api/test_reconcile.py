"""Both ends of a run's job are held against its ledger over the API, through connections whose secrets are sealed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tallyport.domain.items import Status
from tallyport.store import executions, items, jobs
from tallyport.testing.share_servers import DavServer, wsgidav
from tests.api.world import World


@pytest.fixture(scope="module")
def share() -> Iterator[DavServer]:
    with wsgidav() as server:
        yield server


@pytest.fixture
def run(world: World, share: DavServer) -> int:
    """Give a run of a job from a folder to a share with a password, which carried all but two items."""
    source = world.make_folder("from")
    there = os.path.join(share.folder, os.path.basename(world.folder))
    for name in ("a.txt", "d/b.txt", "left.tmp", "failed.txt"):
        for folder in (source, there) if name in ("a.txt", "d/b.txt") else (source,):
            place = os.path.join(folder, name)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "w", encoding="utf-8") as stream:
                stream.write(name)
    with open(os.path.join(there, "theirs"), "w", encoding="utf-8") as stream:
        stream.write("theirs")
    ends = {
        "source": {"name": "here", "platform": {"id": "fs"}, "auth": {"path": source}},
        "destination": {"name": "there", "platform": {"id": "webdav"}, "auth": dict(share.settings)},
    }
    body = world.body()
    for side, end in ends.items():
        made = world.post("/v1/connections", json=end)
        assert made.status_code == 201, made.text
        assert "password" not in made.text or share.settings["password"] not in made.json()
        place = "/" if side == "source" else f"/{os.path.basename(there)}"
        body["transfer"][side] = {"connection": {"id": made.json()["connection"]["id"]}, "target": {"path": place}}
    job_id = world.job(**body)
    number = world.run(job_id, "complete")
    world.item(job_id, "a.txt")
    world.item(job_id, "d/b.txt")
    world.item(job_id, "left.tmp", Status.SKIPPED, reason="ignored_extension")
    world.item(job_id, "failed.txt", Status.FLAGGED, reason="permission_denied")
    with world.database.begin() as tx:
        root = items.at_path(tx, world.stored(job_id).number, "")
        assert root is not None
        jobs.change(tx, job_id, root_item_id=root.id)
    return number


def reconciled(world: World, run: int, **more: Any) -> Any:
    """Ask until it is counted."""
    for _ in range(600):
        answer = world.post(f"/v1/transfers/executions/{run}/reconcile", **more)
        if answer.status_code != 202:
            return answer
        assert answer.headers["Retry-After"] == "1"
        assert answer.json()["data"] == {"is_ready": False}
        time.sleep(0.05)
    raise AssertionError("never counted")


def test_every_item_of_both_ends_is_counted(world: World, run: int) -> None:
    answer = reconciled(world, run)
    assert answer.status_code == 200, answer.text
    found = answer.json()["reconciliation"]
    assert answer.json()["data"] == found
    assert found["source"] == {"items": 5, "files": 4, "folders": 1}
    assert found["at_the_destination"] == 3
    assert (found["left_out"], found["failed"]) == ({"ignored_extension": 1}, {"permission_denied": 1})
    assert found["only_at_the_destination"] == 1
    assert found["adds_up"] is True
    assert found["paths"] == {"missing": [], "unknown": [], "unread": []}


def test_what_is_missing_and_what_is_newer_than_the_run_are_named(world: World, run: int, share: DavServer) -> None:
    os.remove(os.path.join(share.folder, os.path.basename(world.folder), "d", "b.txt"))
    with open(os.path.join(world.folder, "from", "new.txt"), "w", encoding="utf-8") as stream:
        stream.write("new")
    found = reconciled(world, run).json()["reconciliation"]
    assert found["adds_up"] is False
    assert found["paths"] == {"missing": ["/d/b.txt"], "unknown": ["/new.txt"], "unread": []}


def test_a_connection_that_cannot_be_opened_is_told_to_whoever_asks(world: World, run: int) -> None:
    os.rename(os.path.join(world.folder, "from"), os.path.join(world.folder, "away"))
    answer = reconciled(world, run)
    assert 400 <= answer.status_code < 600
    assert "from" in answer.text


def test_a_job_that_never_ran_and_a_run_that_is_not_there_are_refused(world: World) -> None:
    number = world.run(world.job(), "executing")
    assert world.post(f"/v1/transfers/executions/{number}/reconcile").status_code == 409
    for wrong in (str(number + 1), "x", "-1", "9" * 30):
        assert world.post(f"/v1/transfers/executions/{wrong}/reconcile").status_code == 404


def test_nothing_is_written_by_counting(world: World, run: int) -> None:
    with world.database.read() as tx:
        before = executions.find(tx, run)
    reconciled(world, run)
    with world.database.read() as tx:
        assert executions.find(tx, run) == before
