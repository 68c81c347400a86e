"""Where the three dialects contradict each other, and what is done: one test for each row of the resolutions."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tallyport.domain.items import Status
from tests.api.world import World

AGENT = {"type": "workbook", "operation": "enrich", "source": "us_wb_1"}
AUTO, MANUAL = {"mode": "auto"}, {"mode": "manual"}


def data(world: World, job: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = world.get(f"/v1/jobs/{job}?profile=flatfile", **more).json()["data"]
    return found


def shown(world: World, job: str) -> dict[str, Any]:
    found: dict[str, Any] = world.get(f"/v1/jobs/{job}?profile=dryviq").json()["job"]
    return found


def problem(answer: Any) -> dict[str, Any]:
    assert answer.status_code == 400, answer.text
    return dict(answer.json()["errors"][0])


def test_01_a_status_is_a_command_or_a_state_by_its_word(world: World) -> None:
    job = world.job()
    assert world.patch(f"/v1/jobs/{job}", json={"status": "start"}).json()["data"]["status"] == "ready"
    assert world.patch(f"/v1/jobs/{job}", json={"status": "canceled"}).json()["data"]["status"] == "canceled"
    wrong = problem(world.patch(f"/v1/jobs/{job}", json={"status": "go"}))
    assert {"start", "paused", "resume", "cancel", "ready", "canceled"} <= set(wrong["allowed"])
    assert "start" in problem(world.post("/v1/jobs", json=world.body(status="running")))["allowed"]


def test_02_each_view_answers_in_its_own_words(world: World) -> None:
    job = world.job(status="start")
    assert (shown(world, job)["status"], data(world, job)["status"]) == ("start", "ready")
    world.run(job, "paused")
    assert (shown(world, job)["status"], data(world, job)["status"]) == ("paused", "waiting")


def test_03_a_patch_may_bring_our_jobs_to_few_states_and_an_agents_to_what_its_calls_allow(world: World) -> None:
    job = world.job(status="start")
    for state in ("created", "planning", "scheduled", "waiting", "complete", "failed"):
        assert world.patch(f"/v1/jobs/{job}", json={"status": state}).status_code == 409, state
    for state in ("ready", "executing", "canceled"):
        assert world.patch(f"/v1/jobs/{job}", json={"status": state}).status_code == 200, state
    agents = world.post("/v1/jobs", json=AGENT | {"status": "ready"}).json()["data"]["id"]
    for state in ("executing", "complete"):
        assert world.patch(f"/v1/jobs/{agents}", json={"status": state}).json()["data"]["status"] == state


@pytest.mark.parametrize(
    ("status", "code"),
    [("created", 200), ("ready", 200), ("scheduled", 200), ("executing", 200), ("complete", 400), ("waiting", 400)],
)
def test_04_a_new_job_may_carry_few_states(world: World, status: str, code: int) -> None:
    answer = world.post("/v1/jobs", json=AGENT | {"status": status})
    assert answer.status_code == code
    if code == 200:
        assert answer.json()["data"]["status"] == status


def test_05_paused_and_manual_exclude_each_other_on_the_merged_result(world: World) -> None:
    answer = world.post("/v1/jobs", json=world.body(schedule=MANUAL, status="paused"))
    assert {one["path"] for one in answer.json()["errors"]} == {"/status", "/schedule/mode"}
    manual, auto = world.job(), world.job(schedule=AUTO)
    assert world.patch(f"/v1/jobs/{manual}", json={"status": "paused"}).status_code == 400
    assert world.patch(f"/v1/jobs/{auto}", json={"schedule": MANUAL, "status": "paused"}).status_code == 400
    assert world.patch(f"/v1/jobs/{manual}", json={"schedule": AUTO, "status": "paused"}).status_code == 200


def test_06_schedule_and_trigger_say_the_same(world: World) -> None:
    assert data(world, world.job(schedule=MANUAL))["trigger"] == "manual"
    assert data(world, world.job(schedule=AUTO))["trigger"] == "immediate"
    held = data(world, world.job(schedule=AUTO, status="paused"))
    assert (held["status"], held["metadata"]["holdReason"]) == ("scheduled", "paused")


def test_07_an_automatic_job_that_is_started_runs_now_and_then_by_its_schedule(world: World) -> None:
    job = world.job(schedule=AUTO, status="start")
    assert world.latest(job).state == "ready"
    world.run(job, "executing")
    world.run(job, "complete")
    assert world.stored(job).next_run_at is not None


def test_08_a_hold_ends_with_a_change_of_the_schedule_and_the_answer_says_so(world: World) -> None:
    job = world.job(schedule={**AUTO, "start_date": 4_000_000_000}, status="paused")
    changed = {"schedule": {**AUTO, "start_date": 4_000_000_001}}
    answer = world.patch(f"/v1/jobs/{job}", json=changed).json()
    assert any("no longer held" in warning for warning in answer["warnings"])
    assert not world.stored(job).held
    again = world.patch(f"/v1/jobs/{job}", json={**changed, "status": "paused"}).json()
    assert not any("no longer held" in warning for warning in again["warnings"])
    assert world.stored(job).held


def test_09_the_shorthand_of_the_sample_is_refused_and_the_four_real_pairs_are_told_apart(world: World) -> None:
    shorthand = world.patch(
        f"/v1/jobs/{world.job()}", json={"schedule": {"mode": "auto/manual"}, "status": "paused/start"}
    )
    assert shorthand.status_code == 400
    for mode, status, code in (
        ("auto", "start", 200),
        ("auto", "paused", 200),
        ("manual", "start", 200),
        ("manual", "paused", 400),
    ):
        body = {"kind": "transfer", "schedule": {"mode": mode}, "status": status}
        assert world.patch(f"/v1/jobs/{world.job()}", json=body).status_code == code, (mode, status)


def test_10_type_and_source_differ_by_view(world: World) -> None:
    document = world.get(f"/v1/jobs/{world.job()}").json()
    assert (document["job"]["type"], document["data"]["type"]) == ("job", "file")
    assert isinstance(document["job"]["transfer"]["source"], dict)
    assert isinstance(document["data"]["source"], str)


def test_11_progress_has_three_scales(world: World) -> None:
    job = world.job()
    run = world.run(job, "executing", bytes=200, transferred_bytes=100)
    assert shown(world, job)["execution"]["progress"] == 0.5
    assert data(world, job)["progress"] == 50
    assert world.get(f"/Job/{run}").json()["jobs"][0]["jobSummary"]["percentComplete"] == 50
    assert 'percentComplete="50.000000"' in world.get(f"/Job/{run}", headers={"Accept": "application/xml"}).text


def test_12_words_of_ends_are_spelt_by_view_and_both_spellings_are_taken(world: World) -> None:
    job = world.job(status="start")
    assert world.patch(f"/v1/jobs/{job}", json={"status": "cancelled"}).status_code == 200
    run = world.latest(job)
    assert (run.state, data(world, job)["status"]) == ("canceled", "canceled")
    assert shown(world, job)["previous_execution"]["status"] == "cancelled"
    assert world.get(f"/Job/{run.id}").json()["jobs"][0]["jobSummary"]["status"] == "Killed"


def test_13_a_retry_keeps_the_job_and_makes_an_execution(world: World) -> None:
    job = world.job()
    first = world.run(job, "executing")
    world.run(job, "failed")
    again = world.post(f"/v1/jobs/{job}/retry").json()["data"]
    assert again["id"] == job
    assert again["metadata"]["executionId"] > first
    assert again["metadata"]["retryOf"] == first


def test_14_a_retry_is_of_what_is_unresolved_and_a_resubmission_of_everything(world: World) -> None:
    job = world.job()
    run = world.run(job, "executing")
    world.run(job, "failed")
    world.post(f"/Job/{run}/action/Resubmit")
    assert world.latest(job).scope is None
    world.run(job, "failed")
    world.post(f"/Job/{run}/action/Resubmit?failedItemsOnly=true")
    assert world.latest(job).scope == '{"unresolved": true}'
    world.run(job, "failed")
    world.post(f"/v1/jobs/{job}/retry?scope=all")
    assert world.latest(job).scope is None


def test_15_a_conflict_is_a_409_here_and_a_200_with_a_number_there(world: World) -> None:
    job = world.job()
    run = world.run(job, "canceling")
    assert world.patch(f"/v1/jobs/{job}?pause=1").status_code == 409
    answer = world.post(f"/Job/{run}/action/pause")
    assert (answer.status_code, answer.json()["errorCode"]) == (200, 2)


def test_16_an_error_carries_the_keys_of_every_client(world: World) -> None:
    error = world.get("/v1/jobs/nothing").json()
    assert {"key", "message", "description"} <= set(error["errors"][0])
    assert error["status"] == 404
    other = world.get("/Job/1/FailedItems").json()
    assert (other["errorCode"], bool(other["errorMessage"])) == (2, True)


def test_17_pages_are_asked_for_in_three_ways_but_not_in_two_at_once(world: World) -> None:
    for number in range(3):
        world.run(world.job(name=f"job {number}"), "executing")
    assert len(world.get("/v1/jobs?limit=2").json()["jobs"]) == 2
    assert len(world.get("/v1/jobs?pageSize=2&pageNumber=2").json()["data"]) == 1
    assert len(world.get("/Job", headers={"limit": "1"}).json()["jobs"]) == 1
    assert world.get("/v1/jobs?limit=2&pageSize=2").status_code == 400
    assert world.get("/v1/jobs?limit=1001").status_code == 400


def test_18_a_token_comes_in_three_headers_and_from_three_log_ins(world: World) -> None:
    token = world.tokens["viewer"]
    for headers in (
        {"Authorization": f"Bearer {token}"},
        {"Authtoken": f"QSDK {token}"},
        {"Authtoken": f"Bearer {token}"},
        {"authtoken": token},
        {"Authtoken": f"QSDK {token[:20]} {token[20:]}"},  # as a folded header arrives
    ):
        assert world.client.get("/v1/jobs", headers=headers).status_code == 200, headers
    both = {"Authorization": f"Bearer {token}", "Authtoken": world.tokens["admin"]}
    assert world.client.get("/v1/jobs", headers=both).status_code == 401
    name, password = "viewer", "viewer-password"
    secret = base64.b64encode(password.encode()).decode()
    assert "token" in world.client.post("/Login", json={"username": name, "password": secret}).json()
    assert world.client.post("/v1/auth", json={"email": name, "password": password}).status_code == 200
    form = {"grant_type": "password", "username": name, "password": password}
    assert world.client.post("/connect/token", data=form).status_code == 200


def test_19_there_is_one_environment_and_the_space_is_the_category(world: World) -> None:
    plain, filed = data(world, world.job()), data(world, world.job(category={"name": "Some"}))
    assert plain["environmentId"] == "production"
    assert "spaceId" not in plain
    assert filed["spaceId"] == "1"


def test_20_a_category_files_jobs_and_the_other_one_is_a_filter_of_states(world: World) -> None:
    job = world.job(category={"name": "Some"})
    world.run(job, "executing")
    assert [one["id"] for one in world.get("/v1/jobs?category=1").json()["jobs"]] == [job]
    assert len(world.get("/Job?jobCategory=Active").json()["jobs"]) == 1
    assert world.get("/Job?jobCategory=Finished").json()["jobs"] == []


def test_21_parts_and_children_have_a_parent_and_lists_can_leave_them_out(world: World) -> None:
    whole = world.post("/v1/jobs", json=AGENT | {"status": "ready"}).json()["data"]["id"]
    world.post(f"/v1/jobs/{whole}/split", json={"parts": 2})
    listed = world.get(f"/v1/jobs?parentId={whole}&sortDirection=asc").json()["data"]
    assert [(part["parentId"], part["part"]) for part in listed] == [(whole, 0), (whole, 1)]
    top = world.get("/v1/jobs?excludeChildJobs=true").json()["data"]
    assert [job["id"] for job in top] == [whole]
    both = world.get(f"/v1/jobs?parentId={whole}&excludeChildJobs=true").json()["data"]
    assert len(both) == 2
    assert world.get(f"/v1/jobs?parent={whole}").json()["meta"]["total_count"] == 2


def test_22_a_deleted_job_is_told_once(world: World) -> None:
    job = world.job()
    answer = world.delete(f"/v1/jobs/{job}").json()
    assert answer["data"] == {"success": True}
    assert answer["job"]["status"] == "deleted"
    assert world.get(f"/v1/jobs/{job}").status_code == world.delete(f"/v1/jobs/{job}").status_code == 404


def test_23_execute_answers_with_success(world: World) -> None:
    assert world.post(f"/v1/jobs/{world.job()}/execute").json() == {"data": {"success": True}}


def test_24_no_code_of_a_client_is_run(world: World) -> None:
    body = {"sheetId": world.job(), "mutateRecord": "function (record) { return record }"}
    wrong = problem(world.post("/v1/jobs/preview-mutation", json=body))
    assert wrong["path"] == "/mutateRecord"
    assert "JavaScript" in wrong["message"]


@pytest.mark.parametrize(("value", "code"), [("true", 200), ("TRUE", 200), ("false", 200), ("1", 400), ("yes", 400)])
def test_25_the_header_of_hooks_is_true_or_false_or_absent(world: World, value: str, code: int) -> None:
    job = world.job()
    answer = world.get(f"/v1/jobs/{job}", headers={"X-Disable-Hooks": value})
    assert answer.status_code == code
    assert world.post(f"/v1/jobs/{job}/execute", headers={"X-Disable-Hooks": value}).status_code == code
    if code == 200:
        assert ("job" in answer.json()) is (value.lower() == "false")


def test_26_a_run_with_bad_items_has_three_words_and_an_outcome(world: World) -> None:
    job = world.job()
    run = world.run(job, "executing")
    world.item(job, "a.txt", Status.FLAGGED, reason="permission_denied", message="denied")
    world.run(job, "complete", result="errors", failed=1, transferred=3)
    found = data(world, job)
    assert (found["status"], found["result"]["failed"], found["outcome"]["next"]["type"]) == ("complete", 1, "retry")
    assert found["outcome"]["acknowledge"] is True
    assert shown(world, job)["status"] == "failed"
    assert shown(world, job)["previous_execution"]["status"] == "failed"
    summary = world.get(f"/Job/{run}").json()["jobs"][0]["jobSummary"]
    assert summary["status"] == "Completed w/ one or more errors"
