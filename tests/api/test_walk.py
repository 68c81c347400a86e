"""What a script written for one of the vendors sends beside the seeds: filters, suffixes, forms of a body."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from tallyport.domain.items import Status
from tallyport.store import rows
from tests.api.world import World


def ids(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [job["id"] for job in answer.json()["jobs"]]


WORDS: tuple[str, ...] = ("idle", "start", "running", "paused", "resume", "cancel", "cancelling")
WORDS += ("complete", "not-complete", "success", "warn", "failed", "failed-to-start", "awaiting-user", "deleted")


@pytest.mark.parametrize("word", WORDS)
def test_every_status_word_of_the_vendors_finds_the_jobs_that_are_shown_with_it(world: World, word: str) -> None:
    made = {
        state: world.job(name=state) for state in ("created", "executing", "complete", "failed", "waiting", "canceled")
    }
    for state, job_id in made.items():
        if state != "created":
            world.run(job_id, state, result="errors" if state == "complete" else None)
    found = ids(world.get(f"/v1/jobs?status={word}&profile=dryviq"))
    shown = {job["id"]: job["status"] for job in world.get("/v1/jobs?profile=dryviq").json()["jobs"]}
    assert sorted(found) == sorted(job_id for job_id, status in shown.items() if status == word)


def test_states_that_exclude_each_other_find_no_job(world: World) -> None:
    world.run(world.job(), "executing")
    assert ids(world.get("/v1/jobs?state=executing&active=0")) == []
    refused = world.patch("/v1/jobs?state=executing&active=0&cancel=1")
    assert refused.json()["meta"]["total_count"] == 0


def test_jobs_are_found_by_what_an_agent_named(world: World) -> None:
    transfer = world.job()
    body = {"type": "workbook", "operation": "export", "source": "us_wb_1", "fileId": "us_fl_1"}
    made = world.post("/v1/jobs", json=body | {"environmentId": "us_env_9", "spaceId": "us_sp_9"})
    agents = made.json()["data"]["id"]
    for query in ("operation=export", "type=workbook", "environmentId=us_env_9", "spaceId=us_sp_9", "fileId=us_fl_1"):
        assert ids(world.get(f"/v1/jobs?{query}")) == [agents], query
    assert ids(world.get("/v1/jobs?workbookId=us_wb_1")) == [agents]
    assert ids(world.get("/v1/jobs?operation=transfer")) == [transfer]
    assert ids(world.get("/v1/jobs?environmentId=production")) == [transfer]
    assert ids(world.get("/v1/jobs?since=2999-01-01")) == []
    assert sorted(ids(world.get("/v1/jobs?since=1"))) == sorted([agents, transfer])
    assert world.get("/v1/jobs?since=yesterday").status_code == 400


def test_a_misspelt_filter_changes_no_job(world: World) -> None:
    job_id = world.job()
    answer = world.patch("/v1/jobs?start=1&kind=transfer&catgory=5")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["path"] == "catgory"
    assert "category" in answer.json()["errors"][0]["allowed"]
    assert world.stored(job_id).state == "created"
    assert world.patch(f"/v1/transfers/items?jobs={job_id}&ignore=1&staus=failed").status_code == 400
    assert world.patch(f"/v1/transfers/{job_id}/items?ignore=1&itemstatus=failed").status_code == 400


def test_an_execution_of_the_history_is_named_by_its_number(world: World) -> None:
    job_id, other = world.job(), world.job()
    first = world.run(job_id, "complete", result="clean")
    second = world.run(job_id, "failed")
    found = world.get(f"/v1/jobs/history?job={job_id}&execution={first}").json()["job_executions"]
    assert [run["id"] for run in found] == [first]
    assert world.get(f"/v1/jobs/{other}/history?execution={second}").status_code == 404
    assert world.get(f"/v1/jobs/{job_id}/history?execution=frist").status_code == 400
    lines = world.get("/v1/jobs/history.csv").text.splitlines()
    assert [line.split(",")[0] for line in lines] == ["id", str(second), str(first)]


def test_items_are_found_by_what_was_changed_on_the_way(world: World) -> None:
    job_id = world.job()
    world.run(job_id, "executing")
    world.item(job_id, "x/a.txt", Status.PROCESSED, processing="renamed,truncated")
    world.item(job_id, "x/b.txt", Status.PROCESSED, processing="converted")
    world.item(job_id, "x/c.txt", Status.SUCCESS)

    def names(query: str) -> list[str]:
        answer = world.get(f"/v1/transfers/items?job={job_id}&type=file&{query}")
        return [item["source"]["name"] for item in answer.json()["item"]]

    assert names("processing_status=truncated") == ["a.txt"]
    assert names("processing_status=converted,renamed") == ["a.txt", "b.txt"]
    assert world.get(f"/v1/transfers/items?job={job_id}&processing_status=bent").status_code == 400


def test_items_are_counted_by_depth_content_and_classes_of_age(world: World) -> None:
    job_id = world.job()
    world.run(job_id, "executing")
    day = 86_400 * 1_000_000_000
    for path, age in (("a.txt", 1), ("x/b.jpg", 15), ("x/y/c.JPG", 40), ("x/y/d.strange", 400)):
        world.item(job_id, path, Status.SUCCESS, modified=rows.now() * 1_000 - age * day - day // 2)

    def counted(way: str) -> dict[str, int]:
        answer = world.get(f"/v1/transfers/{job_id}/stats/{way}")
        while answer.status_code == 202:
            answer = world.get(f"/v1/transfers/{job_id}/stats/{way}")
        assert answer.status_code == 200, answer.text
        return {one["name"]: one["count"] for one in answer.json()["stats"]}

    assert counted("by_depth") == {"0": 1, "1": 1, "2": 2}
    assert counted("by_content_category") == {"Documents": 1, "Images": 2, "other": 1}
    assert counted("by_age?age=2w") == {
        "from 0w": 1,
        "from 2w": 1,
        "from 4w": 1,
        "from 6w": 0,
        "from 8w": 0,
        "older": 1,
    }
    assert sum(counted("by_age").values()) == 4
    for wrong in ("2", "w", "0d", "2x", "-2d", "2w2", ""):
        assert world.get(f"/v1/transfers/{job_id}/stats/by_age?age={wrong}").status_code == 400, wrong


def test_a_connection_is_described_with_its_values_and_without_its_secrets(new_world: World) -> None:
    world = new_world
    one = world.connection("one")
    form = world.get(f"/v1/connections/{one}/edit").json()["connection_form"]
    assert form["method"] == "prompt"
    assert form["attributes"]["path"]["value"] == world.make_folder("one")
    assert world.get("/v1/connections/nothing/edit").status_code == 404


def test_roles_and_predefined_groups_of_files_are_listed(world: World) -> None:
    roles = {role["id"]: role["rights"] for role in world.get("/v1/roles").json()["roles"]}
    assert roles["viewer"] == ["read"]
    assert len(roles) == 5
    groups = {one["name"]: one["extensions"] for one in world.get("/v1/filters/categories").json()["filter_categories"]}
    assert ".jpg" in groups["Images"]


def test_an_event_list_begins_at_the_time_that_is_asked_for(world: World) -> None:
    for number in range(5):
        world.job(name=f"job {number}")
    every = world.get("/Events?limit=1000").json()["commservEvents"]
    latest = max(event["timeSource"] for event in every)
    found = world.get(f"/Events?fromTime={latest}&limit=2").json()["commservEvents"]
    assert [event["timeSource"] for event in found] == [latest, latest][: len(found)]
    assert found
    assert world.get(f"/Events?fromTime={latest + 10}").json()["commservEvents"] == []
    assert world.get(f"/Events?toTime={every[0]['timeSource'] - 1}").json()["commservEvents"] == []


def test_executions_are_asked_for_in_xml_too(world: World) -> None:
    run = world.run(world.job(), "complete", result="clean")
    body = f'<JobManager_JobDetailRequest jobId="{run}" commCellId="2"/>'
    found = world.post("/JobDetails", content=body, headers={"Content-Type": "application/xml"})
    assert found.json()["job"]["jobDetail"]["generalInfo"]["jobId"] == run
    listed = world.post("/Jobs", content='<JobManager_JobListRequest category="2"/>')
    assert [one["jobSummary"]["jobId"] for one in listed.json()["jobs"]] == [run]
    assert world.post("/Jobs", json={"category": 1}).json()["jobs"] == []


XML = {"Accept": "application/xml"}


def signed(world: World) -> dict[str, str]:
    return {"Authorization": f"Bearer {world.tokens['admin']}"}


def test_every_document_of_the_dialect_is_given_in_xml_too(world: World) -> None:
    run = world.run(world.job(), "complete", result="clean")
    asked = f'<JobManager_JobDetailRequest jobId="{run}"/>'
    roots = {
        ("GET", "/WhoAmI"): "WhoAmIResponse",
        ("GET", "/CommServ"): "GetCommServResponse",
        ("GET", f"/Events?jobId={run}"): "GetCommservEventsResponse",
        ("GET", f"/job/{run}/taskdetails"): "TMMsg_GetTaskDetailResp",
        ("GET", f"/Job/{run}/AdvancedDetails?infoType=16"): "JobManager_AdvancedJobDetailResp",
        ("GET", "/Jobs/active"): "JobManager_JobListResponse",
        ("POST", "/JobDetails"): "JobManager_JobDetailResponse",
        ("POST", f"/Job/{run}/action/pause"): "JobManager_PerformJobOperationResp",
        ("POST", f"/Job/{run}/action/Resubmit"): "TMMsg_CreateTaskResp",
    }
    found = {}
    for method, path in roots:
        answer = world.client.request(
            method, path, headers=signed(world) | XML, content=asked if method == "POST" else None
        )
        assert answer.headers["content-type"] == "application/xml", (path, answer.text)
        found[method, path] = ElementTree.fromstring(answer.content)
    assert {key: root.tag for key, root in found.items()} == roots
    detail = found["POST", "/JobDetails"].find("job/jobDetail")
    assert detail is not None
    assert detail.find("generalInfo").attrib["jobId"] == str(run)  # type: ignore[union-attr]
    assert detail.find("detailInfo").attrib["percentageComplete"] == "100.000000"  # type: ignore[union-attr]
    refused = found["POST", f"/Job/{run}/action/pause"]
    assert (refused.attrib["errorCode"], refused.find("errors/errList").attrib["errorCode"]) == ("2", "2")  # type: ignore[union-attr]
    (made,) = found["POST", f"/Job/{run}/action/Resubmit"].findall("jobIds")
    assert int(made.attrib["val"]) > run


def test_who_wants_what_is_not_given_changes_nothing(world: World) -> None:
    job = world.job()
    run = world.run(job, "executing")
    for path in (f"/Job/{run}/action/kill", f"/Job/{run}/action/pause", "/Jobs/MultiJobOperation"):
        answer = world.client.post(path, headers=signed(world) | {"Accept": "text/html"}, json={})
        assert answer.status_code == 406, path
    assert world.stored(job).state == "executing"


def test_a_session_is_renewed_in_xml_too(world: World) -> None:
    login = world.client.post("/Login", json={"username": "admin", "password": "YWRtaW4tcGFzc3dvcmQ="}).json()
    body = f'<DM2ContentIndexing_RenewLoginTokenReq sessionId="{login["token"]}" deviceId=""/>'
    answer = world.client.post("/RenewLoginToken", content=body, headers=XML)
    fresh = ElementTree.fromstring(answer.content).attrib["token"]
    assert fresh.startswith("QSDK ")
    who = world.client.get("/WhoAmI", headers={"Authtoken": fresh} | XML)
    assert 'userName="admin"' in who.text


def test_what_is_wrong_with_a_whole_body_has_no_place(world: World) -> None:
    answer = world.client.post("/v1/jobs", headers=signed(world), content='{"name":')
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("the body is not JSON")


def test_a_misspelt_category_of_executions_is_refused(world: World) -> None:
    assert world.get("/Job?jobCategory=Actve").status_code == 400
    assert world.post("/Jobs", json={"category": 7}).status_code == 400


def test_an_agent_changes_what_it_said_of_its_run(world: World) -> None:
    body = {"type": "file", "operation": "extract", "source": "us_fl_1", "status": "executing"}
    job_id = world.post("/v1/jobs", json=body).json()["data"]["id"]
    world.post(f"/v1/jobs/{job_id}/ack", json={"info": "Accepted", "progress": 1})
    patched = world.patch(
        f"/v1/jobs/{job_id}", json={"info": "half", "progress": 50, "estimatedCompletionAt": "2027-01-01T00:00:00Z"}
    )
    assert patched.status_code == 200, patched.text
    data = patched.json()["data"]
    assert (data["info"], data["progress"]) == ("half", 50)
    assert data["metadata"]["estimatedCompletionAt"] == "2027-01-01T00:00:00Z"
    ours = world.job()
    kept = world.patch(f"/v1/jobs/{ours}", json={"estimatedCompletionAt": "2027-01-01T00:00:00Z"}).json()["data"]
    assert kept["metadata"]["estimatedCompletionAt"] == "2027-01-01T00:00:00Z"
    assert world.patch(f"/v1/jobs/{ours}", json={"estimatedCompletionAt": 5}).status_code == 400


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"type": "file", "operation": "x"}, "/source"),
        ({"type": "file", "operation": "x", "source": 5}, "/source"),
        ({"type": "file", "source": "y"}, "/operation"),
        ({"operation": "x", "source": "y"}, "/type"),
    ],
)
def test_what_an_agents_job_lacks_is_named_as_it_was_sent(world: World, body: dict[str, Any], place: str) -> None:
    answer = world.post("/v1/jobs", json=body)
    assert answer.status_code == 400
    assert [error["path"] for error in answer.json()["errors"]] == [place]


def test_all_that_is_wrong_with_a_patch_is_told_at_once(world: World) -> None:
    body = {"kind": "transfer", "schedule": {"mode": "auto/manual"}, "status": "paused/start"}
    answer = world.patch(f"/v1/jobs/{world.job()}", json=body)
    assert answer.status_code == 400
    assert {error["path"] for error in answer.json()["errors"]} == {"/status", "/schedule/mode"}
