"""Every change of a job is told, once and in order, in the vendor's shape, page by page."""

from __future__ import annotations

import pytest

from tallyport.domain.events import EXTENSIONS, Topic
from tallyport.store import executions, jobs, rows
from tests.api.world import World


def topics(world: World, job_id: str) -> list[str]:
    found = world.get(f"/v1/events?after=0&jobId={job_id}&limit=1000&includeAcknowledged=1").json()["data"]
    assert [int(one["id"]) for one in found] == sorted({int(one["id"]) for one in found})
    return [one["topic"].removeprefix("job:") for one in found if one["topic"] != "job:updated"]


def test_the_life_of_a_job_is_told_in_order(world: World) -> None:
    job_id = world.job()
    world.patch(f"/v1/jobs/{job_id}?start=1")
    world.run(job_id, "executing")
    world.patch(f"/v1/jobs/{job_id}?pause=1")
    world.run(job_id, "paused")
    world.patch(f"/v1/jobs/{job_id}?resume=1")
    world.run(job_id, "executing")
    world.run(job_id, "complete", result="errors", failed=1)
    world.post(f"/v1/jobs/{job_id}/outcome/ack")
    world.post(f"/v1/jobs/{job_id}/retry")
    world.patch(f"/v1/jobs/{job_id}?cancel=1")
    world.delete(f"/v1/jobs/{job_id}")
    told = ["created", "ready", "paused", "resumed", "ready", "completed", "outcome-acknowledged", "retried"]
    assert topics(world, job_id) == [*told, "canceled", "deleted"]


def test_a_job_of_an_agent_is_told_too(world: World) -> None:
    body = {"type": "sheet", "operation": "tidy", "source": "s1", "environmentId": "development", "spaceId": "sp"}
    job_id = world.post("/v1/jobs", json=body).json()["data"]["id"]
    for call in ("execute", "ack", "complete", "outcome/ack"):
        assert world.post(f"/v1/jobs/{job_id}/{call}").status_code == 200
    assert topics(world, job_id) == ["created", "ready", "completed", "outcome-acknowledged"]
    for query in ("domain=sheet", "environmentId=development", "spaceId=sp", "domain=job"):
        assert world.get(f"/v1/events?{query}&topic=job:completed").json()["pagination"]["totalCount"] == 1
    for query in ("domain=file", "environmentId=production", "spaceId=other"):
        assert world.get(f"/v1/events?{query}").json()["data"] == []


def test_a_schedule_and_a_failure_are_told(world: World) -> None:
    later = world.job(schedule={"mode": "auto", "start_date": 4_000_000_000})
    assert "scheduled" in topics(world, later)
    job_id = world.job()
    world.patch(f"/v1/jobs/{job_id}?start=1")
    world.run(job_id, "failed_to_start")
    assert topics(world, job_id) == ["created", "ready", "failed"]


def test_an_event_has_the_vendors_shape(world: World) -> None:
    job_id = world.job()
    shown = world.get(f"/v1/events?jobId={job_id}&topic=job:created").json()["data"][0]
    assert set(shown) >= {"id", "topic", "domain", "context", "payload", "attributes", "callbackUrl", "createdAt"}
    assert shown["domain"] == "job"
    assert shown["context"] == {
        "accountId": "local",
        "environmentId": "production",
        "jobId": job_id,
        "actorId": "admin",
    }
    assert shown["payload"]["job"] == "file:transfer"
    assert shown["payload"]["status"] == "created"
    assert shown["payload"]["isPart"] is False
    assert world.get(f"/v1/events/{shown['id']}").json()["data"] == shown


def test_an_event_is_acknowledged_and_then_hidden_unless_asked_for(world: World) -> None:
    world.job()
    first = world.get("/v1/events").json()["data"][0]
    assert world.post(first["callbackUrl"]).json() == {"data": {"success": True}}
    assert world.post(first["callbackUrl"]).status_code == 200
    assert first["id"] not in [one["id"] for one in world.get("/v1/events").json()["data"]]
    again = world.get("/v1/events?includeAcknowledged=true").json()["data"][0]
    assert (again["id"], again["acknowledgedBy"]) == (first["id"], "admin")
    assert world.post("/v1/events/999999/ack").status_code == 404


def test_pages_follow_each_other_by_key_and_by_number(world: World) -> None:
    for _ in range(5):
        world.job()
    every = [one["id"] for one in world.get("/v1/events?pageSize=1000").json()["data"]]
    assert len(every) == 5
    for first in ("/v1/events?pageSize=2", "/v1/events?limit=2&after=0", "/v1/events?pageSize=2&cursor=999999999"):
        seen, url = [], first
        while url:
            answer = world.get(url)
            seen += [one["id"] for one in answer.json()["data"]]
            url = answer.json()["meta"]["links"].get("next", {}).get("href")
            assert ("link" in answer.headers) == bool(url)
        assert seen == (every[::-1] if "after" in first else every)
    second = world.get("/v1/events?pageSize=2&pageNumber=2").json()
    assert [one["id"] for one in second["data"]] == every[2:4]
    assert second["pagination"]["totalCount"] == len(every)


@pytest.mark.parametrize(
    "query",
    ["topic=job:started", "after=x", "cursor=-1", "pageSize=0", "pageSize=1001", "since=soon", "since=99999999999999",
     "pageNumber=2&after=1", "includeAcknowledged=maybe"],
)  # fmt: skip
def test_a_wrong_filter_is_named(world: World, query: str) -> None:
    answer = world.get(f"/v1/events?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["path"] in query


def test_since_takes_both_forms(world: World) -> None:
    world.job()
    for since in ("2020-01-01T00:00:00Z", "2020-01-01", "1577836800"):
        assert world.get("/v1/events", params={"since": since}).json()["data"]
    assert world.get("/v1/events?since=2100-01-01").json()["data"] == []


def test_a_change_that_is_rolled_back_is_not_told(world: World) -> None:
    job_id = world.job()
    before = len(topics(world, job_id))
    with pytest.raises(RuntimeError), world.database.begin() as tx:
        executions.add(tx, job_id=job_id, trigger="manual", policies="{}")
        jobs.change(tx, job_id, name="other")
        raise RuntimeError
    assert len(topics(world, job_id)) == before


def test_what_the_engine_keeps_for_itself_is_not_told(world: World) -> None:
    job_id = world.job()
    before = world.get("/v1/events").json()["pagination"]["totalCount"]
    with world.database.begin() as tx:
        jobs.change(tx, job_id, executions=3, successes=1, reset=None)
    assert world.get("/v1/events").json()["pagination"]["totalCount"] == before


def test_the_strict_mode_leaves_out_what_the_vendor_does_not_know(new_world: World) -> None:
    world = new_world
    job_id = world.job()
    world.patch(f"/v1/jobs/{job_id}?start=1")
    world.patch(f"/v1/jobs/{job_id}?cancel=1")
    assert "canceled" in topics(world, job_id)
    world.client.app.state.hidden_topics = EXTENSIONS
    assert "canceled" not in topics(world, job_id)
    assert {Topic.CANCELED, Topic.RETRIED} <= EXTENSIONS


def test_the_page_of_one_job_answers_json_when_asked_for(world: World) -> None:
    one, other = world.job(), world.job()
    found = world.get(f"/v1/jobs/{one}/events", headers={"Accept": "application/json"}).json()["data"]
    assert found
    assert {event["context"]["jobId"] for event in found} == {one}
    assert world.get(f"/v1/jobs/{'0a' * 16}/events").status_code == 404
    assert world.get(f"/v1/jobs/{one}/events", headers={"Accept": "application/xml"}).status_code == 406
    assert rows.now() > 0
    assert other
