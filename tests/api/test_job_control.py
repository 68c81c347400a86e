"""``/Job/{id}``: lists, failed items in every form, operations, paths without regard to case."""

from __future__ import annotations

import csv
import io
from typing import Any
from xml.etree import ElementTree

import pytest

from tallyport.api.commvault.paths import canonical
from tallyport.domain.items import Status
from tallyport.engine import schedule
from tallyport.store import audit, executions, failures
from tests.api.world import World


@pytest.fixture
def failed(world: World) -> tuple[str, int]:
    """Give a job and its execution with two failed items."""
    job_id = world.job()
    run = world.run(job_id, "executing")
    world.item(job_id, "x", Status.FLAGGED, kind=2, reason="permission_denied", message="Access is\ndenied.")
    world.item(job_id, "=1+1 <&\"'\x01.txt", Status.FLAGGED, reason="locked", message="in use")
    return job_id, run


MOUNTS = ("", "/webconsole/api", "/commandcenter/api", "/SearchSvc/CVWebService.svc", "/WebConsole/API")


@pytest.mark.parametrize("mount", MOUNTS)
def test_every_mount_answers_in_any_case(world: World, failed: tuple[str, int], mount: str) -> None:
    run = failed[1]
    plain = world.get(f"/Job/{run}/FailedItems").json()
    assert world.get(f"{mount}/job/{run}/faileditems").json() == plain
    assert world.get(f"{mount}/JOB/{run}?FAILEDITEMS").json() == plain
    assert world.get(f"{mount}/Job/{run}?FailedItems=").json() == plain
    assert world.get(f"{mount}/job/{run}").json()["totalRecordsWithoutPaging"] == 1


@pytest.mark.parametrize("mount", MOUNTS[1:])
def test_a_mount_answers_without_a_token_whether_it_is_there(world: World, mount: str) -> None:
    assert world.client.get(f"{mount}/").status_code == 200
    assert world.client.get(mount).status_code == 200


def test_paths_of_other_dialects_stay_as_they_are() -> None:
    for path in ("/v1/jobs/JOB", "/connect/token", "/", "/v1/Job", "/healthz", "/webconsole/apix/Job", "/jobless"):
        assert canonical(path) == path
    assert canonical("/commandcenter/api/job/7/ACTION/resubmit/") == "/Job/7/action/Resubmit"


def test_a_job_id_means_what_is_unresolved_and_an_execution_id_its_history(
    world: World, failed: tuple[str, int]
) -> None:
    job_id, run = failed
    item = world.get(f"/v1/transfers/items?job={job_id}&reason=locked").json()["item"][0]["id"]
    world.patch(f"/v1/transfers/items/{item}?ignore=1")
    assert len(world.get(f"/Job/{run}/FailedItems").json()["failedItems"]) == 2
    assert len(world.get(f"/Job/{job_id}/FailedItems").json()["failedItems"]) == 1
    assert len(world.get(f"/Job/{job_id}/FailedItems?execution={run}").json()["failedItems"]) == 2


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/json, application/xml;q=0.5"])
def test_json_is_the_form_nobody_asked_against(world: World, failed: tuple[str, int], accept: str | None) -> None:
    headers = {} if accept is None else {"Accept": accept}
    answer = world.get(f"/Job/{failed[1]}/FailedItems", headers=headers)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-total-count"] == "2"
    assert "Accept" in answer.headers["vary"]
    assert [item["failureReason"] for item in answer.json()["failedItems"]] == ["in use", "Access is denied."]
    assert answer.json()["failedItems"][1]["entity"].endswith("/from/a/x/")


def test_xml_carries_the_list_in_attributes(world: World, failed: tuple[str, int]) -> None:
    answer = world.get(f"/Job/{failed[1]}/FailedItems", headers={"Accept": "application/xml"})
    assert answer.headers["content-type"] == "application/xml"
    root = ElementTree.fromstring(answer.content)
    assert (root.tag, root.attrib) == ("JobFailedItem", {"isFailedItemsCSV": "false"})
    assert [child.tag for child in root] == ["failedItems", "failedItems"]
    assert root[0].attrib["entity"].endswith("/=1+1 <&\"'\\u0001.txt")
    assert set(root[1].attrib) == {"failureReason", "entity"}


def test_xml_carries_the_matrix_in_val_elements(world: World, failed: tuple[str, int]) -> None:
    answer = world.get(f"/Job/{failed[1]}/FailedItems?isFailedItemsCSV=true", headers={"Accept": "text/xml"})
    root = ElementTree.fromstring(answer.content)
    assert root.attrib == {"isFailedItemsCSV": "true"}
    columns = [column.attrib["val"] for column in root.findall("failedItemsCSV/columns")]
    assert columns[0] == "Item Type"
    rows = root.findall("failedItemsCSV/rows")
    assert [len(row.findall("row")) for row in rows] == [7, 7]
    assert rows[1][0].attrib["val"] == "Folder"


def test_csv_is_a_download_with_harmless_cells(world: World, failed: tuple[str, int]) -> None:
    answer = world.get(f"/Job/{failed[1]}/FailedItems?columns=extended", headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    found = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert found[0]["Item Name"].startswith("'=1+1")
    assert found[0]["Error Code"] == "locked"
    assert found[0]["Execution"] == str(failed[1])
    assert answer.headers["x-total-count"] == "2"


@pytest.mark.parametrize("accept", ["text/html", "image/*", "application/json;q=0", "application/pdf, text/plain"])
def test_another_form_is_not_acceptable(world: World, failed: tuple[str, int], accept: str) -> None:
    assert world.get(f"/Job/{failed[1]}/FailedItems", headers={"Accept": accept}).status_code == 406
    assert world.get("/Job", headers={"Accept": accept}).status_code == 406


def test_nothing_failed_is_an_empty_list(world: World) -> None:
    run = world.run(world.job(), "executing")
    assert world.get(f"/Job/{run}/FailedItems").text == '{"isFailedItemsCSV":false,"failedItems":[]}'
    matrix = world.get(f"/Job/{run}/FailedItems?isFailedItemsCSV=1").json()
    assert matrix["failedItemsCSV"]["rows"] == []
    xml = world.get(f"/Job/{run}/FailedItems", headers={"Accept": "application/xml"}).text
    assert ElementTree.fromstring(xml).tag == "JobFailedItem"


def test_limit_and_offset_come_from_headers_or_the_query(world: World, failed: tuple[str, int]) -> None:
    path = f"/Job/{failed[1]}/FailedItems"
    one = world.get(path, headers={"limit": "1", "offset": "1"})
    assert [item["failureReason"] for item in one.json()["failedItems"]] == ["Access is denied."]
    assert one.headers["x-total-count"] == "2"
    assert world.get(f"{path}?limit=1&offset=1").json() == one.json()
    assert world.get(f"{path}?limit=x").status_code == 400


def test_failed_items_of_an_unknown_job_are_404_with_an_error_number(world: World) -> None:
    for job in ("987654", "nothing", "9" * 30):
        answer = world.get(f"/Job/{job}/FailedItems")
        assert answer.status_code == 404
        assert answer.json()["errorCode"] == 2
        assert answer.json()["errorMessage"]


def test_a_run_that_failed_as_a_whole_has_one_entry(world: World) -> None:
    job_id = world.job()
    run = world.run(job_id, "failed_to_start", info="the destination cannot be reached")
    for job in (run, job_id):
        answer = world.get(f"/Job/{job}/FailedItems")
        assert answer.json()["failedItems"] == [
            {
                "failureReason": "the destination cannot be reached",
                "entity": f"{world.folder}/from/a/",
            }
        ]
        assert answer.headers["x-total-count"] == "1"


def test_many_failed_items_are_streamed_in_order_of_their_paths(world: World) -> None:
    job_id = world.job()
    run = world.run(job_id, "executing")
    rows = [(run, n + 1, b"%05d" % (n * 7 % 10_000), 1, 4, "locked", "busy", 1, 1, 1, 1) for n in range(10_000)]
    with world.database.begin() as tx:
        failures.write(tx, world.database, rows)
    found = [item["entity"] for item in world.get(f"/Job/{run}/FailedItems").json()["failedItems"]]
    assert len(found) == 10_000
    assert found == sorted(found)


def summary(world: World, run: int) -> dict[str, Any]:
    found: dict[str, Any] = world.get(f"/Job/{run}").json()["jobs"][0]["jobSummary"]
    return found


SUMMARY_KEYS = {
    "jobId", "jobType", "status", "localizedStatus", "statusColor", "percentComplete", "percentSavings",
    "currentPhaseName", "pendingReason", "appTypeName", "backupLevel", "backupLevelName", "backupSetName",
    "destClientName", "destinationClient", "isAged", "isVisible", "jobStartTime", "jobEndTime", "jobElapsedTime",
    "lastUpdateTime", "localizedOperationName", "localizedBackupLevelName", "sizeOfApplication", "sizeOfMediaOnDisk",
    "totalFailedFiles", "totalFailedFolders", "totalNumOfFiles", "userName", "storagePolicy", "subclient",
}  # fmt: skip


def test_a_job_summary_has_every_published_key(world: World, failed: tuple[str, int]) -> None:
    found = summary(world, failed[1])
    assert set(found) >= SUMMARY_KEYS
    assert (found["jobId"], found["status"], found["migrationJobId"]) == (failed[1], "Running", failed[0])


def test_failed_folders_are_told_apart_from_failed_files(world: World) -> None:
    job_id = world.job()
    run = world.run(job_id, "complete", result="errors", failed=7, failed_folders=2)
    found = summary(world, run)
    assert (found["totalFailedFiles"], found["totalFailedFolders"]) == (5, 2)
    shown = world.get(f"/v1/jobs/{job_id}").json()
    stats = shown["job"]["previous_execution"]["stats"]
    assert (stats["failed"], stats["failed_folders"]) == (7, 2)
    assert (shown["data"]["result"]["failed"], shown["data"]["result"]["failedFolders"]) == (7, 2)


@pytest.mark.parametrize(
    ("state", "result", "word"),
    [
        ("ready", None, "Queued"),
        ("executing", None, "Running"),
        ("pausing", None, "Suspend Pending"),
        ("paused", None, "Suspended"),
        ("canceling", None, "Kill Pending"),
        ("canceled", None, "Killed"),
        ("complete", "clean", "Completed"),
        ("complete", "no_changes", "Completed"),
        ("complete", "warnings", "Completed w/ one or more warnings"),
        ("complete", "errors", "Completed w/ one or more errors"),
        ("failed", None, "Failed"),
        ("failed_to_start", None, "Failed to Start"),
    ],
)
def test_each_state_has_its_word(world: World, state: str, result: str | None, word: str) -> None:
    run = world.run(world.job(), state, result=result)
    assert summary(world, run)["status"] == word


def test_executions_are_listed_by_category_and_page(world: World) -> None:
    runs = [world.run(world.job(), state) for state in ("executing", "complete", "failed")]

    def ids(path: str, **more: Any) -> list[int]:
        return [one["jobSummary"]["jobId"] for one in world.get(path, **more).json()["jobs"]]

    assert ids("/Job") == runs[::-1]
    assert ids("/Job?jobCategory=Active") == runs[:1]
    assert ids("/Job?jobCategory=Finished") == runs[:0:-1]
    assert ids("/Job", headers={"limit": "1", "offset": "1"}) == [runs[1]]
    assert world.get("/Job?limit=1").json()["totalRecordsWithoutPaging"] == 3
    body = {"category": 2, "pagingConfig": {"limit": 1, "offset": 0}}
    assert [one["jobSummary"]["jobId"] for one in world.post("/Jobs", json=body).json()["jobs"]] == runs[2:]
    listed = ElementTree.fromstring(world.get("/Job", headers={"Accept": "application/xml"}).content)
    assert listed.tag == "JobManager_JobListResponse"
    assert listed.attrib["totalRecordsWithoutPaging"] == "3"
    assert listed.find("jobs/jobSummary").attrib["percentComplete"].endswith(".000000")  # type: ignore[union-attr]


def test_an_unknown_execution_counts_none(world: World) -> None:
    answer = world.get("/Job/999")
    assert answer.status_code == 200
    assert answer.json() == {"totalRecordsWithoutPaging": 0, "jobs": []}
    assert world.get(f"/Job/{world.job()}").json()["totalRecordsWithoutPaging"] == 0


def test_details_of_an_execution(world: World, failed: tuple[str, int]) -> None:
    found = world.post("/JobDetails", json={"jobId": failed[1]}).json()["job"]["jobDetail"]
    assert set(found) == {"generalInfo", "detailInfo", "progressInfo", "attemptsInfo", "clientStatusInfo"}
    assert found["progressInfo"]["state"] == "Running"
    assert "errList" in world.post("/JobDetails", json={"jobId": 999}).json()["error"]


def code(answer: Any) -> int:
    assert answer.status_code == 200, answer.text
    return int(answer.json()["errors"][0]["errList"][0]["errorCode"])


def test_operations_answer_with_200_and_a_code(world: World) -> None:
    job_id = world.job()
    run = world.run(job_id, "executing")
    assert code(world.post(f"/Job/{run}/action/pause")) == 0
    assert world.latest(job_id).state == "pausing"
    assert code(world.post(f"/job/{run}/Action/Resume")) == 0
    assert code(world.post(f"/Job/{run}/action/kill")) == 0
    world.run(job_id, "canceling")
    assert code(world.post(f"/Job/{run}/action/kill")) == 0  # already: no change
    assert code(world.post(f"/Job/{run}/action/pause")) == 2
    assert code(world.post("/Job/999/action/pause")) == 2
    assert world.post(f"/Job/{run}/action/pause", role="viewer").status_code == 403


def test_an_operation_on_an_old_execution_does_not_touch_the_new_one(world: World) -> None:
    job_id = world.job()
    old = world.run(job_id, "executing")
    world.run(job_id, "complete")
    world.run(job_id, "executing")
    assert code(world.post(f"/Job/{old}/action/kill")) == 2
    assert world.latest(job_id).state == "executing"


def test_resubmit_makes_a_full_new_execution(world: World) -> None:
    job_id = world.job()
    run = world.run(job_id, "executing")
    assert world.post(f"/Job/{run}/action/Resubmit").json()["errorCode"] == 2
    world.run(job_id, "complete")
    answer = world.post(f"/Job/{run}/action/Resubmit").json()
    assert answer == {"jobIds": [str(world.latest(job_id).id)]}
    assert (world.latest(job_id).state, world.latest(job_id).scope) == ("ready", None)
    world.run(job_id, "failed")
    suspended = world.post(f"/Job/{run}/action/resubmit?startInSuspendedState=true").json()
    assert world.latest(job_id).state == "paused"
    assert suspended["jobIds"] == [str(world.latest(job_id).id)]


def test_problems_carry_the_error_number_of_this_dialect(world: World) -> None:
    found = world.client.get("/Job/1").json()
    assert found["errorCode"] == 2
    assert (found["errorMessage"], found["errorCode"]) != ("Access denied", 5)


def test_who_am_i_answers_both_methods(world: World) -> None:
    assert world.post("/WhoAmI").json() == world.get("/webconsole/api/whoami").json()


def test_many_executions_are_operated_at_once_each_with_its_answer(world: World) -> None:
    running, waiting = (world.run(world.job(), state) for state in ("executing", "ready"))
    body = {"message": 1, "jobOpReq": {"operationType": 1, "jobs": [{"jobId": running}, {"jobId": 999}]}}
    found = world.post("/Jobs/MultiJobOperation", json=body).json()
    assert [one["errList"][0]["errorCode"] for one in found["errors"]] == [0, 2]
    assert found["error"]["errorCode"] == 2
    wrong = world.post("/Jobs/MultiJobOperation", json={"jobOpReq": {"operationType": "JOB_DANCE"}}).json()
    assert wrong["error"]["errorCode"] == 2
    every = (
        '<JobManager_PerformMultiCellJobOpReq message="ALL_JOBS"><jobOpReq operationType="JOB_KILL"/>'
        "</JobManager_PerformMultiCellJobOpReq>"
    )
    killed = world.post("/commandcenter/api/QCommand/qoperation execute", content=every.encode())
    assert killed.json()["error"]["errorCode"] == 0
    states = {world.get(f"/Job/{run}").json()["jobs"][0]["jobSummary"]["status"] for run in (running, waiting)}
    assert states == {"Kill Pending", "Killed"}
    assert world.post("/Qcommand/other", content=b"{}").status_code == 404


def test_a_pause_may_end_by_itself(world: World) -> None:
    job = world.job()
    run = world.run(job, "ready")
    assert code(world.post(f"/Job/{run}/action/pause?autoResumeInSec=60")) == 0
    until = world.latest(job).wait_until
    assert until is not None
    assert world.post(f"/Job/{run}/action/pause?autoResumeInSec=x").status_code == 400
    with world.database.begin() as tx:
        executions.change(tx, run, wait_until=1)
    schedule.keep_time(world.database)
    assert (world.latest(job).state, world.stored(job).held) == ("ready", False)


def test_events_of_an_execution_by_severity(world: World) -> None:
    job = world.job()
    run = world.run(job, "executing")
    other = world.post(f"/Job/{run}/action/kill")
    assert other.status_code == 200
    with world.database.begin() as tx:
        lines = [(5, "execution.failed", None, "it broke", None), (3, "execution.started", None, "began", None)]
        audit.write(tx, world.database, world.ids, job, run, lines)
    every = world.get(f"/Events?jobId={run}").json()["commservEvents"]
    assert [(event["severity"], event["eventCodeString"]) for event in every] == [
        (6, "execution.failed"),
        (0, "execution.started"),
    ]
    major = world.get(f"/events?jobId={run}&showMajor=1").json()["commservEvents"]
    assert [event["description"] for event in major] == ["it broke"]
    assert world.get(f"/Events?jobId={run}&level=3").json()["commservEvents"] == major
    assert world.get(f"/Events?jobId={run}&fromTime=4000000000").json()["commservEvents"] == []
    assert world.get(f"/Events/{major[0]['id']}").json()["commservEvents"] == major
    assert world.get("/Events?jobId=999").json()["commservEvents"] == []
    assert world.get("/Events/7").status_code == 404


def test_more_of_an_execution(world: World) -> None:
    job = world.job(name="named")
    run = world.run(job, "executing", files=7)
    task = world.get(f"/Job/{run}/TaskDetails").json()["taskInfo"]
    assert (task["task"]["taskName"], task["migrationJobId"]) == ("named", job)
    assert world.get(f"/Job/{run}/AdvancedDetails?infoType=16").json()["bkpInfo"]["files"] == 7
    assert world.get(f"/Job/{run}/AdvancedDetails?infoType=3").json()["errorCode"] == 2
    assert "error" in world.get("/Job/999/TaskDetails").json()
    assert world.get("/Jobs/active?limit=5").json()["totalRecordsWithoutPaging"] == 1
    assert world.post("/Jobs/aggregations/summary", json={}).json()["runningJobs"] == 1
    assert world.get("/SearchSvc/CVWebService.svc/commserv").json()["commcell"]["commCellName"] == "tallyport"
