"""The requests and answers that are published, as they are printed; only ids are filled in."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tallyport.domain.items import Status
from tests.api.world import World, keys

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "seeds")


def seed(name: str) -> dict[str, Any]:
    with open(os.path.join(HERE, f"{name}.json"), encoding="utf-8") as stream:
        found: dict[str, Any] = json.load(stream)
    return found


def filled(name: str, world: World) -> dict[str, Any]:
    """Give a body with the ids of two connections filled in."""
    body = seed(name)
    for side in ("source", "destination"):
        body["transfer"][side]["connection"]["id"] = world.connection(side)
    for kind in ("account_map", "group_map"):
        if kind in body["transfer"]:
            answer = world.post(f"/v1/{kind}s", json={"name": kind, "type": kind})
            body["transfer"][kind]["id"] = answer.json()[kind]["id"]
    return body


@pytest.mark.parametrize("name", ["failure_policy", "all_features", "started", "held"])
def test_a_published_body_makes_a_job_that_holds_all_of_it(world: World, name: str) -> None:
    body = filled(name, world)
    answer = world.post("/v1/jobs", json=body)
    assert answer.status_code == 201, answer.text
    document = answer.json()
    assert (document["status"], document["type"]) == (201, "job")
    assert answer.headers["location"] == f"/v1/jobs/{document['job']['id']}"
    assert document["job"]["transfer"] == {"type": "transfer", **body["transfer"]}
    for key in ("name", "kind", "schedule"):
        assert document["job"][key] == body[key]
    assert document["data"]["config"] == body["transfer"]
    assert document["data"]["id"] == document["job"]["id"]
    again = world.get(f"/v1/jobs/{document['job']['id']}?fields=all").json()["job"]
    assert again["transfer"] == {"type": "transfer", **body["transfer"]}


def test_a_policy_that_is_not_in_force_yet_is_named(world: World) -> None:
    warnings = world.post("/v1/jobs", json=filled("all_features", world)).json()["warnings"]
    assert not any("account_map" in warning for warning in warnings)
    assert any("impersonate_as" in warning for warning in warnings)


def test_the_stop_policy_and_the_category_are_kept(world: World) -> None:
    job = world.post("/v1/jobs", json=filled("all_features", world)).json()["job"]
    assert job["stop_policy"] == {"on_success": 5, "on_failure": 5, "on_execute": 25}
    assert job["category"] == {"id": 1, "name": "Report | Category Title"}
    listed = world.get("/v1/jobs/categories").json()["job_categories"]
    assert listed == [{"id": -1, "name": "Default"}, {"id": 1, "name": "Report | Category Title"}]


def test_a_manual_job_that_is_not_started_waits(world: World) -> None:
    job = world.post("/v1/jobs", json=filled("failure_policy", world)).json()["job"]
    assert job["status"] == "idle"
    assert "execution" not in job


def test_start_runs_a_manual_job_at_once_and_keeps_it_manual(world: World) -> None:
    document = world.post("/v1/jobs", json=filled("started", world)).json()
    assert (document["job"]["status"], document["data"]["status"]) == ("start", "ready")
    assert document["job"]["schedule"] == {"mode": "manual"}
    assert world.latest(document["job"]["id"]).state == "ready"
    assert world.nudges


def test_paused_holds_an_automatic_job_until_somebody_starts_it(world: World) -> None:
    document = world.post("/v1/jobs", json=filled("held", world)).json()
    job_id = document["job"]["id"]
    assert document["job"]["status"] == "idle"
    assert document["data"]["status"] == "scheduled"
    assert document["data"]["metadata"]["holdReason"] == "paused"
    assert world.stored(job_id).held
    assert world.stored(job_id).execution_id is None
    started = world.patch(f"/v1/jobs/{job_id}?start=1").json()
    assert started["job"]["status"] == "start"
    assert not world.stored(job_id).held
    assert world.stored(job_id).schedule_mode == "auto"


def test_paused_is_not_valid_with_a_manual_schedule(world: World) -> None:
    body = filled("held", world) | {"schedule": {"mode": "manual"}}
    answer = world.post("/v1/jobs", json=body)
    assert answer.status_code == 400
    assert [error["path"] for error in answer.json()["errors"]] == ["/status", "/schedule/mode"]
    assert world.get("/v1/jobs").json()["jobs"] == []


@pytest.mark.parametrize(
    ("mode", "status", "fits"),
    [("auto", "paused", True), ("auto", "start", True), ("manual", "start", True), ("manual", "paused", False)],
)
def test_the_four_pairs_of_mode_and_status_in_a_patch(world: World, mode: str, status: str, fits: bool) -> None:
    job_id = world.job()
    before = world.stored(job_id)
    answer = world.patch(f"/v1/jobs/{job_id}", json=seed("reschedule") | {"schedule": {"mode": mode}, "status": status})
    if fits:
        assert answer.status_code == 200, answer.text
        assert world.stored(job_id).schedule_mode == mode
        assert world.stored(job_id).held == (status == "paused")
    else:
        assert answer.status_code == 400
        assert world.stored(job_id) == before


def test_the_shorthand_of_the_published_patch_is_refused_with_the_words_that_would_do(world: World) -> None:
    answer = world.patch(f"/v1/jobs/{world.job()}", json=seed("reschedule"))
    assert answer.status_code == 400
    allowed = {error["path"]: error["allowed"] for error in answer.json()["errors"]}
    assert "start" in allowed["/status"]


def test_paused_is_judged_on_the_merged_result(world: World) -> None:
    job_id = world.job(schedule={"mode": "auto"}, status="paused")
    assert world.patch(f"/v1/jobs/{job_id}", json={"status": "paused"}).status_code == 200
    manual = world.job()
    answer = world.patch(f"/v1/jobs/{manual}", json={"status": "paused"})
    assert answer.status_code == 400
    assert [error["path"] for error in answer.json()["errors"]] == ["/status", "/schedule/mode"]


def test_a_changed_schedule_without_status_clears_the_hold_and_says_so(world: World) -> None:
    job_id = world.job(schedule={"mode": "auto"}, status="paused")
    schedule = {"mode": "auto", "repeat_interval": {"value": 2, "unit": "h"}}
    answer = world.patch(f"/v1/jobs/{job_id}", json={"kind": "transfer", "schedule": schedule})
    assert answer.status_code == 200
    assert not world.stored(job_id).held
    assert any("no longer held" in warning for warning in answer.json()["warnings"])


def test_failed_items_are_shown_as_published(world: World) -> None:
    job_id = world.job()
    run = world.run(job_id, "executing")
    world.item(job_id, "Restricted", Status.FLAGGED, kind=2, reason="permission_denied", message="Access is denied.")
    world.item(job_id, "Restricted 1.txt", Status.FLAGGED, reason="permission_denied", message="Access is denied.")
    root = os.path.join(world.folder, "from", "a")
    for address in (f"/Job/{run}/FailedItems", f"/Job/{run}?FailedItems"):
        answer = world.get(address, headers={"Accept": "application/json"})
        assert keys(answer.json()) == keys(seed("failed_list"))
        assert list(answer.json()) == list(seed("failed_list"))
        assert list(answer.json()["failedItems"][0]) == list(seed("failed_list")["failedItems"][0])
        assert answer.json() == {
            "isFailedItemsCSV": False,
            "failedItems": [
                {"failureReason": "Access is denied.", "entity": f"{root}/Restricted/"},
                {"failureReason": "Access is denied.", "entity": f"{root}/Restricted 1.txt"},
            ],
        }


def test_failed_items_as_a_matrix_have_the_published_columns(world: World) -> None:
    job_id = world.job()
    run = world.run(job_id, "executing")
    world.item(job_id, "General", Status.FLAGGED, message="Forbidden", reason="permission_denied")
    found = world.get(f"/Job/{run}/FailedItems?isFailedItemsCSV=true").json()
    published = seed("failed_matrix")
    assert keys(found) == keys(published)
    assert found["failedItemsCSV"]["columns"] == published["failedItemsCSV"]["columns"]
    assert len(found["failedItemsCSV"]["rows"][0]["row"]) == len(published["failedItemsCSV"]["columns"])


KNOWN_TYPES = {
    # text in the sample, where ours is text too; None = not known of a transfer job and left out
    "fileId": None,
    "finishedAt": None,
    "outcome": None,
    "outcomeAcknowledgedAt": None,
    "parentId": None,
    "part": None,
    "partData": None,
    "partExecution": None,
    "predecessorIds": None,
    "result": None,
    "startedAt": None,
}


def test_a_retry_answers_with_the_published_fields(world: World) -> None:
    job_id = world.job(category={"name": "Some"})
    first = world.run(job_id, "executing")
    world.item(job_id, "a.txt", Status.FLAGGED, reason="permission_denied", message="denied")
    world.run(job_id, "complete", result="errors", failed=1)
    answer = world.post(f"/v1/jobs/{job_id}/retry", headers={"X-Disable-Hooks": "true"})
    assert answer.status_code == 200
    assert list(answer.json()) == ["data"]
    data, published = answer.json()["data"], seed("retried")["data"]
    assert set(data) == set(published) - {key for key, kind in KNOWN_TYPES.items() if kind is None}
    for key, value in data.items():
        assert type(value) is type(published[key]), key
    order = [key for key in published if key in data]
    assert list(data) == order
    assert (data["id"], data["status"], data["progress"], data["type"]) == (job_id, "created", 0, "file")
    assert data["info"] == "Retry 1 requested"
    assert data["managed"] is True
    assert data["metadata"] == {"executionId": first + 1, "attempt": 2, "retryOf": first}
    run = world.latest(job_id)
    assert (run.state, run.trigger, run.retry_of) == ("created", "retry", first)
    assert json.loads(run.scope or "") == {"unresolved": True}


def test_an_ended_job_shows_the_remaining_published_fields(world: World) -> None:
    job_id = world.job()
    world.run(job_id, "executing")
    world.run(job_id, "complete", result="errors", failed=1)
    world.post(f"/v1/jobs/{job_id}/outcome/ack")
    data = world.get(f"/v1/jobs/{job_id}?profile=flatfile").json()["data"]
    published = seed("retried")["data"]
    for key in ("finishedAt", "startedAt", "outcome", "outcomeAcknowledgedAt", "result"):
        assert type(data[key]) is type(published[key]), key
    assert data["outcome"]["next"]["type"] == "retry"
    assert data["result"]["failed"] == 1
    assert (data["status"], data["progress"]) == ("complete", 100)
