"""Jobs that an outside agent works: create, take, report, end, retry; a silent agent loses its lease."""

from __future__ import annotations

from typing import Any

import pytest

from tallyport.domain import agent_runs as agents
from tallyport.store import jobs, rows
from tests.api.world import World

BODY = {"type": "workbook", "operation": "enrich", "source": "us_wb_1", "input": {"a": 1}, "metadata": {"m": 2}}


def make(world: World, **more: Any) -> dict[str, Any]:
    answer = world.post("/v1/jobs", json=BODY | more)
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["data"]
    found: dict[str, Any] = answer.json()["data"]
    return found


def step(world: World, job_id: str, call: str, body: Any = None, **more: Any) -> dict[str, Any]:
    answer = world.post(f"/v1/jobs/{job_id}/{call}", json=body, headers={"X-Disable-Hooks": "true"}, **more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["data"]
    return found


def test_the_whole_life_of_a_job(world: World) -> None:
    job = make(world)
    assert (job["status"], job["managed"], job["operation"]) == ("created", False, "enrich")
    assert (job["type"], job["source"], job["input"], job["metadata"]) == ("workbook", "us_wb_1", {"a": 1}, {"m": 2})
    assert step(world, job["id"], "execute") == {"success": True}
    begun = step(world, job["id"], "ack", {"info": "Accepted", "progress": 0, "estimatedCompletionAt": "2030-01-01"})
    assert (begun["status"], begun["info"], begun["progress"]) == ("executing", "Accepted", 0)
    assert begun["metadata"]["estimatedCompletionAt"] == "2030-01-01"
    assert step(world, job["id"], "ack", {"progress": 40})["progress"] == 40
    outcome = {"message": "done", "acknowledge": True, "next": {"type": "retry", "label": "again"}}
    done = step(world, job["id"], "complete", {"outcome": outcome, "info": "fine"})
    assert (done["status"], done["progress"], done["outcome"]) == ("complete", 100, outcome)
    assert done["finishedAt"] >= done["startedAt"]
    assert step(world, job["id"], "complete")["status"] == "complete"
    assert world.post(f"/v1/jobs/{job['id']}/fail").status_code == 409
    assert step(world, job["id"], "outcome/ack")["outcomeAcknowledgedAt"]
    again = step(world, job["id"], "retry")
    assert (again["status"], again["progress"], again["info"]) == ("created", 0, "Retry 1 requested")
    assert "outcome" not in again
    assert "finishedAt" not in again


def test_a_job_may_be_completed_without_being_taken(world: World) -> None:
    job = make(world, trigger="immediate")
    assert job["status"] == "ready"
    assert step(world, job["id"], "complete")["status"] == "complete"


def test_a_caller_may_be_its_own_worker(world: World) -> None:
    assert make(world, status="executing", trigger="immediate")["status"] == "executing"


def test_a_failed_job_tells_why(world: World) -> None:
    job = make(world, status="ready")
    failed = step(world, job["id"], "fail", {"info": "boom", "outcome": {"message": "it broke"}})
    assert (failed["status"], failed["info"], failed["outcome"]["message"]) == ("failed", "boom", "it broke")


def test_another_agent_cannot_take_a_job_that_is_held(world: World) -> None:
    job = make(world, status="ready")
    step(world, job["id"], "ack")
    assert world.post(f"/v1/jobs/{job['id']}/ack", role="operator").status_code == 409
    assert step(world, job["id"], "ack")["status"] == "executing"


def test_a_silent_agent_loses_the_job_three_times_and_then_it_has_failed(world: World, monkeypatch: Any) -> None:
    job = make(world, status="ready")
    now = rows.now()
    for _ in range(agents.MOST_LAPSES):
        assert step(world, job["id"], "ack")["status"] == "executing"
        now += agents.LEASE + 1_000_000
        monkeypatch.setattr(rows, "now", lambda now=now: now)
        assert world.get(f"/v1/jobs/{job['id']}").json()["data"]["status"] == "ready"
    step(world, job["id"], "ack")
    now += agents.LEASE + 1_000_000
    monkeypatch.setattr(rows, "now", lambda: now)
    data = world.get(f"/v1/jobs/{job['id']}").json()["data"]
    assert (data["status"], data["info"]) == ("failed", "its agent fell silent too often")
    assert world.post(f"/v1/jobs/{job['id']}/ack").status_code == 409


def test_cancel_keeps_the_reason(world: World) -> None:
    job = make(world, status="ready")
    assert step(world, job["id"], "cancel", {"info": "not needed"})["info"] == "not needed"


def test_a_patch_sets_progress_and_configuration(world: World) -> None:
    job = make(world, status="ready", config={"a": 1, "b": 2})
    answer = world.patch(f"/v1/jobs/{job['id']}", json={"progress": 5, "config": {"a": None, "c": 3}})
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert (data["progress"], data["config"]) == (5, {"b": 2, "c": 3})
    assert world.patch(f"/v1/jobs/{job['id']}", json={"schedule": {"mode": "auto"}}).status_code == 400


def test_a_transfer_can_be_made_from_this_dialects_body(world: World) -> None:
    source, destination = world.connection("from"), world.connection("to")
    body = {
        "type": "file",
        "operation": "transfer",
        "source": source,
        "destination": destination,
        "trigger": "immediate",
        "config": {"transfer_type": "copy", "destination": {"target": {"path": "/b"}}},
        "subject": {"type": "collection", "resource": source, "params": {"path": "/a"}},
    }
    answer = world.post("/v1/jobs", json=body)
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert (data["managed"], data["status"], data["destination"]) == (True, "ready", destination)
    assert data["config"]["source"]["target"]["path"] == "/a"
    assert world.latest(data["id"]).state == "ready"


@pytest.mark.parametrize(
    "change",
    [
        {"type": "folder"},
        {"operation": ""},
        {"status": "complete"},
        {"mode": "loud"},
        {"trigger": "later"},
        {"unknown": 1},
        {"config": 7},
        {"progress": 101},
        {"managed": True},
    ],
)
def test_a_wrong_body_makes_no_job(world: World, change: dict[str, Any]) -> None:
    assert world.post("/v1/jobs", json=BODY | change).status_code == 400
    with world.database.read() as tx:
        assert jobs.page(tx)[1] == 0
