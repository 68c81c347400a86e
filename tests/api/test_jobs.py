"""Jobs: lists and their two envelopes, changes, clones, deletion, history, idempotency, versions."""

from __future__ import annotations

import pytest

from tallyport.store import executions
from tests.api.world import World


def test_a_job_is_answered_in_both_dialects_unless_one_is_asked_for(world: World) -> None:
    job_id = world.job()
    assert list(world.get(f"/v1/jobs/{job_id}").json()) == ["status", "type", "job", "data", "warnings"]
    assert list(world.get(f"/v1/jobs/{job_id}?profile=dryviq").json()) == ["status", "type", "job", "warnings"]
    assert list(world.get(f"/v1/jobs/{job_id}?profile=flatfile").json()) == ["data"]
    assert list(world.get(f"/v1/jobs/{job_id}", headers={"X-Disable-Hooks": "true"}).json()) == ["data"]


def test_a_list_has_the_keys_of_both_dialects(world: World) -> None:
    world.job()
    found = world.get("/v1/jobs").json()
    assert list(found) == ["status", "type", "jobs", "meta", "pagination", "data"]
    assert found["meta"]["total_count"] == found["pagination"]["totalCount"] == 1
    assert list(world.get("/v1/jobs?pageSize=5").json()) == ["pagination", "data"]


def test_pages_follow_each_other_without_gap_or_overlap(world: World) -> None:
    made = [world.job(name=f"job {n}") for n in range(5)]
    seen: list[str] = []
    href = "/v1/jobs?limit=2"
    while href:
        page = world.get(href).json()
        seen += [job["id"] for job in page["jobs"]]
        href = page["meta"]["links"].get("next", {}).get("href")
        assert page["meta"]["has_more"] == bool(href)
    assert seen == made[::-1]
    numbered = [job["id"] for n in (1, 2, 3) for job in world.get(f"/v1/jobs?pageSize=2&pageNumber={n}").json()["data"]]
    assert numbered == seen
    ascending = world.get("/v1/jobs?pageSize=9&sortDirection=asc").json()["data"]
    assert [job["id"] for job in ascending] == made


def test_lists_are_filtered_by_state_text_category_and_source(world: World) -> None:
    idle = world.job(name="First Job", category={"name": "Some"})
    running = world.job(name="second")
    world.run(running, "executing")

    def ids(query: str) -> list[str]:
        return [job["id"] for job in world.get(f"/v1/jobs?{query}").json()["jobs"]]

    assert ids("status=running") == ids("status=executing") == ids("active=1") == [running]
    assert ids("status=idle") == ids("active=0") == [idle]
    assert ids("q=first") == [idle]
    assert ids("category=1") == [idle]
    assert ids("category=-1") == [running]
    assert ids(f"source={world.stored(idle).source_connection}&profile=both") == [idle]
    assert ids("kind=transfer&status=idle,running") == [running, idle]
    assert ids("kind=other") == []


def test_fields_trim_the_answer(world: World) -> None:
    job_id = world.job()
    job = world.get(f"/v1/jobs/{job_id}?fields=name,transfer.audit_level,schedule.mode").json()["job"]
    assert set(job) == {"id", "kind", "type", "name", "transfer", "schedule"}
    assert job["schedule"] == {"mode": "manual"}
    everything = world.get(f"/v1/jobs/{job_id}?fields=all").json()["job"]
    assert everything["policies"]["set_by"]["transfer_type"] == "job"


def test_a_patch_is_merged_and_the_rest_stays(world: World) -> None:
    job_id = world.job(stop_policy={"on_success": 2, "on_execute": 9}, category={"name": "Some"})
    changes = {"name": "new", "stop_policy": {"on_success": None, "on_failure": 3}, "transfer": {"timestamps": False}}
    answer = world.patch(f"/v1/jobs/{job_id}", json=changes, headers={"Content-Type": "application/merge-patch+json"})
    assert answer.status_code == 200, answer.text
    job = answer.json()["job"]
    assert job["name"] == "new"
    assert job["stop_policy"] == {"on_execute": 9, "on_failure": 3}
    assert job["transfer"]["timestamps"] is False
    assert job["transfer"]["transfer_type"] == "copy"
    assert job["category"]["name"] == "Some"
    moved = world.patch(f"/v1/jobs/{job_id}", json={"category": {"id": -1}}).json()["job"]
    assert moved["category"] == {"id": -1, "name": "Default"}


def test_a_running_execution_keeps_its_frozen_policies(world: World) -> None:
    job_id = world.job(status="start")
    before = world.latest(job_id).policies
    world.patch(f"/v1/jobs/{job_id}", json={"transfer": {"timestamps": False}})
    assert world.latest(job_id).policies == before
    world.run(job_id, "complete")
    world.patch(f"/v1/jobs/{job_id}?start=1")
    assert world.latest(job_id).policies != before


def test_a_version_that_is_not_the_present_one_is_refused(world: World) -> None:
    job_id = world.job()
    first = world.get(f"/v1/jobs/{job_id}").headers["etag"]
    path = f"/v1/jobs/{job_id}"
    assert world.get(path, headers={"If-None-Match": first}).status_code == 304
    assert world.patch(path, json={"name": "one"}, headers={"If-Match": first}).status_code == 200
    assert world.patch(path, json={"name": "two"}, headers={"If-Match": first}).status_code == 412
    assert world.patch(f"{path}?start=1", headers={"If-Match": first}).status_code == 412
    assert world.delete(path, headers={"If-Match": first}).status_code == 412
    assert world.patch(path, json={"name": "x"}, headers={"If-Match": "rubbish"}).status_code == 400
    assert world.get(path, headers={"If-None-Match": first}).status_code == 200
    assert world.stored(job_id).name == "one"
    assert world.patch(path, json={"name": "two"}, headers={"If-Match": "*"}).status_code == 200


def test_a_post_with_a_key_is_carried_out_once(world: World) -> None:
    body = world.body(status="start")
    headers = {"Idempotency-Key": "k1"}
    first = world.post("/v1/jobs", json=body, headers=headers)
    again = world.post("/v1/jobs", json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert world.get("/v1/jobs").json()["meta"]["total_count"] == 1
    other = world.post("/v1/jobs", json=body | {"name": "other"}, headers=headers)
    assert other.status_code == 422
    assert world.post("/v1/jobs", json=body, headers=headers, role="manager").status_code == 201
    assert world.get("/v1/jobs").json()["meta"]["total_count"] == 2


def test_a_refused_post_with_a_key_gives_the_same_refusal(world: World) -> None:
    headers = {"Idempotency-Key": "k2"}
    first = world.post("/v1/jobs", json={"kind": "transfer"}, headers=headers)
    again = world.post("/v1/jobs", json={"kind": "transfer"}, headers=headers)
    assert first.status_code == again.status_code == 400
    assert again.headers["content-type"] == "application/problem+json"
    assert world.post("/v1/jobs", json={}, headers={"Idempotency-Key": "k" * 300}).status_code == 400


def test_a_retry_with_a_key_sent_twice_is_one_retry(world: World) -> None:
    job_id = world.job()
    world.run(job_id, "executing")
    world.run(job_id, "failed")
    headers = {"Idempotency-Key": "r"}
    first = world.post(f"/v1/jobs/{job_id}/retry", headers=headers).json()
    assert world.post(f"/v1/jobs/{job_id}/retry", headers=headers).json() == first
    with world.database.read() as tx:
        assert executions.page(tx, job_id=job_id)[1] == 2


def test_a_clone_takes_over_all_but_what_is_overridden(world: World) -> None:
    job_id = world.job(stop_policy={"on_success": 2}, category={"name": "Some"})
    overrides = {"transfer": {"source": {"target": {"path": "/elsewhere"}}}}
    answer = world.post(f"/v1/jobs/{job_id}/clone", json=overrides)
    assert answer.status_code == 201, answer.text
    job = answer.json()["job"]
    assert job["id"] != job_id
    assert job["name"] == "a job (copy)"
    assert job["transfer"]["source"]["target"]["path"] == "/elsewhere"
    assert job["stop_policy"] == {"on_success": 2}
    assert job["category"]["name"] == "Some"
    assert job["status"] == "idle"


def test_a_deleted_job_is_gone_and_its_run_is_canceled(world: World) -> None:
    job_id = world.job()
    run = world.run(job_id, "executing")
    answer = world.delete(f"/v1/jobs/{job_id}")
    assert answer.status_code == 200
    assert answer.json()["data"] == {"success": True}
    assert world.get(f"/v1/jobs/{job_id}").status_code == 404
    assert world.delete(f"/v1/jobs/{job_id}").status_code == 404
    with world.database.read() as tx:
        found = executions.find(tx, run)
    assert found is not None
    assert found.state == "canceling"
    assert world.get(f"/Job/{run}/FailedItems").status_code == 200


def test_commands_for_many_jobs_need_a_filter_and_tell_what_was_refused(world: World) -> None:
    one, other = world.job(name="x one"), world.job(name="x two")
    world.run(other, "canceling")
    assert world.patch("/v1/jobs?start=1").status_code == 400
    answer = world.patch("/v1/jobs?start=1&q=x").json()
    assert (answer["meta"]["total_count"], answer["meta"]["changed"]) == (2, 1)
    assert answer["meta"]["refused"][0]["id"] == other
    assert world.latest(one).state == "ready"
    assert world.patch("/v1/jobs?q=x").status_code == 400
    assert world.patch("/v1/jobs?q=x&start=1", json={"name": "y"}).status_code == 400
    assert world.patch("/v1/jobs?q=x", json={"stop_policy": {"on_execute": 9}}, role="operator").status_code == 403
    both = world.patch("/v1/jobs?q=x", json={"stop_policy": {"on_execute": 9}}).json()["meta"]
    assert (both["changed"], both["refused"]) == (2, [])
    assert world.stored(one).stop_policy == world.stored(other).stop_policy == {"on_execute": 9}
    assert world.patch("/v1/jobs?q=x", json={"hat": 1}).status_code == 400
    assert world.patch("/v1/jobs?pause=1&all=1").status_code == 200


@pytest.mark.parametrize(("asked", "stored"), [("soft", "soft"), ("hard", "hard"), ("1", "full"), ("", "full")])
def test_a_reset_waits_for_the_next_execution(world: World, asked: str, stored: str) -> None:
    job_id = world.job()
    assert world.patch(f"/v1/jobs/{job_id}?reset={asked}").status_code == 200
    assert world.stored(job_id).reset == stored
    assert world.stored(job_id).execution_id is None


def test_a_reset_of_links_says_which_links_it_means(world: World) -> None:
    job_id = world.job()
    answer = world.patch(f"/v1/jobs/{job_id}?reset=link_remediation")
    assert (answer.status_code, world.stored(job_id).reset) == (200, "link_remediation")
    assert "inside documents" in answer.json()["warnings"][0]


def test_a_reset_and_a_start_go_together(world: World) -> None:
    job_id = world.job()
    assert world.patch(f"/v1/jobs/{job_id}?reset=hard&start").status_code == 200
    assert world.stored(job_id).reset == "hard"
    assert world.latest(job_id).state == "ready"


def test_an_automatic_job_is_queued_at_once_and_a_dated_one_is_not(world: World) -> None:
    now = world.job(schedule={"mode": "auto"})
    assert (world.latest(now).state, world.latest(now).trigger) == ("ready", "schedule")
    later = world.job(schedule={"mode": "auto", "start_date": 4_000_000_000})
    job = world.stored(later)
    assert (job.state, job.execution_id, job.next_run_at) == ("scheduled", None, 4_000_000_000_000_000)
    shown = world.get(f"/v1/jobs/{later}").json()
    assert shown["job"]["execute_on"] == 4_000_000_000
    assert shown["data"]["metadata"]["nextRunAt"].startswith("2096-10-02")


def test_history_shows_each_execution_newest_first(world: World) -> None:
    job_id = world.job()
    first = world.run(job_id, "executing", files=3)
    world.run(job_id, "complete", result="no_changes")
    second = world.run(job_id, "executing")
    found = world.get(f"/v1/jobs/{job_id}/history").json()
    assert [run["id"] for run in found["job_executions"]] == [second, first]
    assert [run["status"] for run in found["job_executions"]] == ["running", "no_changes"]
    assert found["job_executions"][1]["stats"]["files"] == 3

    def one(which: str) -> list[int]:
        answer = world.get(f"/v1/jobs/history?job={job_id}&execution={which}").json()
        return [run["id"] for run in answer["job_executions"]]

    assert (one("last"), one("current")) == ([first], [second])
    lines = world.get(f"/v1/jobs/{job_id}/history.csv").text.splitlines()
    assert lines[0].startswith("id,job_id,attempt")
    assert len(lines) == 3
    assert world.get("/v1/jobs/history?execution=sideways").status_code == 400


def test_progress_never_falls_and_is_100_only_when_complete(world: World) -> None:
    job_id = world.job()
    shown = []
    world.run(job_id, "executing")
    for totals in (
        {"bytes": 100, "transferred_bytes": 50},
        {"bytes": 1_000, "transferred_bytes": 60},
        {"bytes": 1_000, "transferred_bytes": 1_000},
    ):
        with world.database.begin() as tx:
            executions.change(tx, world.latest(job_id).id, **totals)
        shown.append(world.get(f"/v1/jobs/{job_id}").json()["data"]["progress"])
    assert shown == [50, 50, 99]
    world.run(job_id, "complete")
    document = world.get(f"/v1/jobs/{job_id}").json()
    assert document["data"]["progress"] == 100
    assert document["job"]["previous_execution"]["progress"] == 1.0


def test_target_states_of_a_patch_lead_where_a_call_leads(world: World) -> None:
    job_id = world.job()
    assert world.patch(f"/v1/jobs/{job_id}", json={"status": "ready"}).json()["data"]["status"] == "ready"
    assert world.patch(f"/v1/jobs/{job_id}", json={"status": "complete"}).status_code == 409
    assert world.patch(f"/v1/jobs/{job_id}", json={"status": "cancelled"}).json()["data"]["status"] == "canceled"
    assert world.patch(f"/v1/jobs/{job_id}", json={"status": "canceled"}).status_code == 200


def test_notes_are_kept_with_a_job(world: World) -> None:
    job_id = world.job()
    world.patch(f"/v1/jobs/{job_id}", json={"info": "see ticket 7", "metadata": {"ticket": 7}})
    data = world.get(f"/v1/jobs/{job_id}").json()["data"]
    assert data["info"] == "see ticket 7"
    assert data["metadata"]["ticket"] == 7


def test_every_change_leaves_an_audit_line(world: World) -> None:
    job_id = world.job()
    world.patch(f"/v1/jobs/{job_id}?start=1", role="operator")
    found = world.get(f"/v1/transfers/auditing?job={job_id}").json()["item"]
    assert [line["type"] for line in found] == ["job.created", "job.started"]
    assert "operator" in found[1]["message"]


def test_the_engine_is_woken_after_each_command(world: World) -> None:
    job_id = world.job()
    for call in ("start", "pause", "resume", "cancel"):
        world.nudges.clear()
        assert world.patch(f"/v1/jobs/{job_id}?{call}=1").status_code == 200
        assert world.nudges, call


def test_the_plan_names_what_is_carried_and_what_is_not(world: World) -> None:
    found = world.get(f"/v1/jobs/{world.job()}/plan").json()["data"]
    assert set(found) == {"job", "plan"}
    assert set(found["plan"]) >= {"fieldMapping", "unmappedSourceFields", "unmappedDestinationFields"}
    carried = [edge["sourceField"]["key"] for edge in found["plan"]["fieldMapping"]]
    assert carried == ["name", "path", "content", "modified"]


def test_a_request_has_an_id_that_the_answer_repeats(world: World) -> None:
    assert world.get("/healthz", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert world.get("/healthz", headers={"X-Request-Id": "bad id"}).headers["x-request-id"] != "bad id"


def test_health_and_counts(world: World) -> None:
    assert world.client.get("/healthz").json() == {"status": "ok"}
    assert world.get("/readyz").json()["status"] == "ok"
    world.job()
    assert 'tallyport_jobs{state="created"} 1' in world.get("/metrics").text


def test_resuming_a_run_that_waits_before_many_deletes_approves_them(world: World) -> None:
    job_id = world.job()
    world.run(job_id, "waiting", wait_reason="brake", info="would delete 5000 of 6000 items")
    assert world.get(f"/v1/jobs/{job_id}").json()["job"]["status"] == "awaiting-user"
    assert world.patch(f"/v1/jobs/{job_id}?resume=1").status_code == 200
    assert world.latest(job_id).state == "ready"
    lines = [line["type"] for line in world.get(f"/v1/transfers/auditing?job={job_id}").json()["item"]]
    assert "job.deletes_approved" in lines


def test_the_audit_says_what_a_change_of_a_job_changed(world: World) -> None:
    job_id = world.job(name="before", stop_policy={"on_success": 2})
    patch = {"name": "after", "stop_policy": {"on_success": None, "on_failure": 3}, "transfer": {"timestamps": False}}
    world.patch(f"/v1/jobs/{job_id}", json=patch)
    lines = [
        one for one in world.get(f"/v1/transfers/auditing?job={job_id}").json()["item"] if one["type"] == "job.changed"
    ]
    [told] = [line["message"] for line in lines]
    for piece in (
        'name: "before" → "after"',
        "stop_policy.on_success: 2 → nothing",
        "stop_policy.on_failure: nothing → 3",
        "transfer.timestamps: nothing → false",
    ):
        assert piece in told
    [record] = [one for one in world.get("/v1/audit").json()["audit"] if one["action"] == "job.changed"]
    assert record["changes"]["name"] == ["before", "after"]
    assert record["changes"]["stop_policy.on_failure"] == [None, 3]


def test_the_audit_of_notes_hides_what_may_be_a_secret(world: World) -> None:
    job_id = world.job()
    world.patch(f"/v1/jobs/{job_id}", json={"metadata": {"ticket": "A-1", "api_token": "Sup3r$ecret"}})
    told = world.get(f"/v1/transfers/auditing?job={job_id}").text + world.get("/v1/audit").text
    assert "metadata.ticket" in told
    assert "Sup3r$ecret" not in told
