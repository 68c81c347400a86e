"""Events that clients tell."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.world import World

BODY: dict[str, Any] = {
    "topic": "workbook:updated",
    "domain": "workbook",
    "payload": {"recordsAdded": 100},
    "context": {"environmentId": "us_env_1", "spaceId": "us_sp_1", "workbookId": "us_wb_1"},
    "namespaces": ["space:blue"],
}


def test_an_event_is_told_as_it_was_sent(world: World) -> None:
    told = world.post("/v1/events", json=BODY)
    assert told.status_code == 200, told.text
    data = told.json()["data"]
    assert (data["topic"], data["domain"], data["payload"]) == ("workbook:updated", "workbook", {"recordsAdded": 100})
    assert data["context"] == {
        "accountId": "local",
        "actorId": "admin",
        "environmentId": "us_env_1",
        "spaceId": "us_sp_1",
        "workbookId": "us_wb_1",
    }
    assert data["namespaces"] == ["space:blue"]
    assert world.get(f"/v1/events/{data['id']}").json()["data"] == data


def test_told_events_are_found_beside_those_of_jobs(world: World) -> None:
    job_id = world.job()
    world.post("/v1/events", json=BODY)
    world.post("/v1/events", json=BODY | {"topic": "job-tool:done", "context": {"jobId": job_id}})

    def topics(query: str) -> list[str]:
        return [one["topic"] for one in world.get(f"/v1/events?{query}").json()["data"]]

    assert topics("topic=workbook:updated") == ["workbook:updated"]
    assert topics("domain=workbook") == ["job-tool:done", "workbook:updated"]
    assert topics("spaceId=us_sp_1") == ["workbook:updated"]
    assert topics(f"jobId={job_id}") == ["job-tool:done", "job:created"]
    assert topics("domain=job") == ["job:created"]
    assert len(topics("")) == 3


def test_an_event_is_acknowledged(world: World) -> None:
    number = world.post("/v1/events", json=BODY).json()["data"]["id"]
    assert world.post(f"/v1/events/{number}/ack").status_code == 200
    assert world.get("/v1/events").json()["data"] == []


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"topic": "job:completed"}, "/topic"),
        ({"topic": "job:anything"}, "/topic"),
        ({"topic": "updated"}, "/topic"),
        ({"topic": "a:" + "b" * 200}, "/topic"),
        ({"topic": "a:b\nid: 1"}, "/topic"),
        ({"topic": 5}, "/topic"),
        ({"domain": None}, "/domain"),
        ({"payload": [1]}, "/payload"),
        ({"context": "x"}, "/context"),
        ({"context": {"jobId": 7}}, "/context/jobId"),
        ({"payload": {"x": "y" * 70_000}}, ""),
        ({"paylod": {}}, "/paylod"),
    ],
)
def test_an_event_that_is_not_one_is_refused_with_the_place(world: World, changes: dict[str, Any], place: str) -> None:
    answer = world.post("/v1/events", json=BODY | changes)
    assert answer.status_code == 400
    assert [error["path"] for error in answer.json()["errors"]] == [place]
    assert world.get("/v1/events").json()["data"] == []


def test_an_event_of_a_job_that_is_not_there_is_not_told(world: World) -> None:
    assert world.post("/v1/events", json=BODY | {"context": {"jobId": "nothing"}}).status_code == 404


def test_a_webhook_may_wait_for_told_events(new_world: World) -> None:
    body = {"url": "https://example.org/hook", "topics": ["workbook:updated", "job:completed"]}
    answer = new_world.post("/v1/webhooks", json=body)
    if answer.status_code == 201:
        assert answer.json()["webhook"]["topics"] == ["workbook:updated", "job:completed"]
    refused = new_world.post("/v1/webhooks", json=body | {"topics": ["job:complete"]})
    assert refused.json()["errors"][0]["path"] == "/topics/0"
