"""The vendor's own SDK, PyPI ``cvpysdk``, drives a running server: log-in, jobs, operations, events."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from cvpysdk.commcell import Commcell
from cvpysdk.constants import AdvancedJobDetailType
from cvpysdk.eventviewer import Event, Events
from cvpysdk.exception import SDKException
from cvpysdk.job import Job
from cvpysdk.security.user import User

from tests.vendors.conftest import PASSWORD, Server

pytestmark = pytest.mark.filterwarnings("ignore")


def login(server: Server, **more: Any) -> Commcell:
    given = {"commcell_username": "ann", "commcell_password": PASSWORD} | more
    return Commcell("127.0.0.1", web_service_url=f"{server.url}/webconsole/api", verify_ssl=False, **given)


@pytest.fixture(scope="module")
def commcell(server: Server) -> Iterator[Commcell]:
    found = login(server)
    yield found
    found.logout()


@pytest.fixture
def job(server: Server) -> str:
    """Give a job between two folders."""
    mark = uuid.uuid4().hex[:8]
    ends = {
        "source": {"connection": {"id": server.connection(f"cv-from-{mark}", {"a.txt": "a", "b/c.txt": "c"})}},
        "destination": {"connection": {"id": server.connection(f"cv-to-{mark}")}},
    }
    made = server.call("POST", "/v1/jobs", {"name": f"cv {mark}", "transfer": {"transfer_type": "copy", **ends}})
    return str(made["job"]["id"])


def run(server: Server, job_id: str, *states: str) -> int:
    """Run a job and give the number of its execution."""
    server.call("POST", f"/v1/jobs/{job_id}/execute")
    found = server.until(job_id, *(states or ("complete",)))
    return int(found["metadata"]["executionId"])


def held(server: Server, job_id: str) -> int:
    """Give an execution that waits, so that it can be suspended and killed in peace."""
    first = server.call("POST", "/v1/jobs", {**_body(server, job_id), "name": "never"})["job"]["id"]
    server.call("PATCH", f"/v1/jobs/{job_id}", {"predecessorIds": [first]})
    server.call("POST", f"/v1/jobs/{job_id}/execute")
    return int(server.until(job_id, "waiting")["metadata"]["executionId"])


def _body(server: Server, job_id: str) -> dict[str, Any]:
    block = server.call("GET", f"/v1/jobs/{job_id}?profile=dryviq")["job"]["transfer"]
    block.pop("type")
    block["destination"] = {**block["destination"], "target": {"path": "/elsewhere"}}
    return {"transfer": block}


def test_a_log_in_gives_a_token_and_a_wrong_password_a_sentence(server: Server) -> None:
    found = login(server)
    assert found.auth_token.startswith("QSDK ")
    assert found.logout() == "User logged out"
    with pytest.raises(SDKException) as caught:
        login(server, commcell_password="wrong-password")
    assert "certificate" not in str(caught.value)
    assert "password" in str(caught.value).lower()


def test_a_token_of_ours_is_enough(server: Server) -> None:
    found = login(server, commcell_password=None, authtoken=server.token)
    assert found.commcell_username == "ann"
    assert found.commserv_name == "tallyport"


def test_a_session_that_died_is_renewed_by_itself(server: Server) -> None:
    found = login(server)
    old = found.auth_token
    assert found._cvpysdk_object._renew_login_token(1) != old


def test_a_job_is_seen_from_its_start_to_its_end(server: Server, commcell: Commcell, job: str) -> None:
    number = run(server, job)
    found = Job(commcell, number)
    assert found.is_finished
    assert found.wait_for_completion()
    assert (found.status, found.job_type, found.job_id) == ("Completed", "Transfer", str(number))
    assert found.username == "ann"
    assert found.num_of_files_transferred == 2
    assert found.size_of_application == 2
    assert found.summary["migrationJobId"] == job
    assert found.state == "Completed"
    assert found.client_name.startswith("cv-from-")
    assert found.task_details["task"]["ownerName"] == "ann"
    assert found.advanced_job_details(AdvancedJobDetailType.BKUP_INFO)["bkpInfo"]["transferred"] == 2
    assert found.get_child_jobs() is None
    events = [event["eventCodeString"] for event in found.get_events()]
    assert "execution.complete" in events


def test_a_run_is_suspended_resumed_and_killed(server: Server, commcell: Commcell, job: str) -> None:
    found = Job(commcell, held(server, job))
    assert found.status == "Waiting"
    found.pause()
    server.until(job, "waiting")
    found.resume()
    found.kill()
    server.until(job, "canceled")
    assert found.is_finished
    assert found.status == "Killed"
    with pytest.raises(SDKException, match="suspend failed"):
        found.pause()


def test_a_resubmitted_job_is_a_new_one(server: Server, commcell: Commcell, job: str) -> None:
    first = Job(commcell, run(server, job))
    again = first.resubmit()
    assert int(again.job_id) > int(first.job_id)
    server.until(job, "complete")
    assert first.summary["migrationJobId"] == again.summary["migrationJobId"]
    suspended = again.resubmit(start_suspended=True)
    assert suspended.status == "Suspended"
    suspended.kill()
    server.until(job, "canceled")


def test_the_controller_lists_active_finished_and_all(server: Server, commcell: Commcell, job: str) -> None:
    done = run(server, job)
    controller = commcell.job_controller
    finished = controller.finished_jobs(lookup_time=24, limit=50)
    assert finished[done]["status"] == "Completed"
    assert done not in controller.active_jobs()
    assert done in controller.all_jobs(job_summary="full", limit=50)
    waiting = held(server, job)
    assert waiting in controller.active_jobs()
    assert str(waiting) in controller.get_active_jobs_cache()
    assert controller.get_active_job_summary()["waitingJobs"] >= 1
    controller.kill_all_jobs()
    server.until(job, "canceled")
    assert controller.get(waiting).status == "Killed"


def test_events_are_listed_and_one_is_looked_at(server: Server, commcell: Commcell, job: str) -> None:
    number = run(server, job)
    found = Events(commcell).events({"jobId": str(number)}, details=True)
    assert {event["eventCodeString"] for event in found.values()} >= {"execution.started", "execution.complete"}
    one = Event(commcell, next(iter(found)))
    assert one.job_id == number


def test_an_unknown_job_is_refused_with_a_sentence(commcell: Commcell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cvpysdk.job.time.sleep", lambda _seconds: None)  # it asks fifty times
    with pytest.raises(SDKException, match="No job exists"):
        Job(commcell, 999_999)


def test_failed_items_are_given_to_the_session_of_the_sdk(server: Server, commcell: Commcell, job: str) -> None:
    """The SDK has no call of its own for them; its request does as well."""
    number = run(server, job)
    for path in (f"Job/{number}/FailedItems", f"job/{number}?FailedItems"):
        flag, answer = commcell._cvpysdk_object.make_request("GET", f"{server.url}/commandcenter/api/{path}")
        assert flag
        assert json.loads(answer.text) == {"isFailedItemsCSV": False, "failedItems": []}


def test_a_token_printed_over_several_lines_is_one_token(server: Server) -> None:
    """As the published page prints it: a header that is folded."""
    address = server.url.removeprefix("http://").split(":")
    token = server.token
    lines = (
        "GET /webconsole/api/job?limit=1 HTTP/1.1",
        f"Host: {address[0]}",
        f"Authtoken: QSDK {token[:10]}",
        f"    {token[10:20]}",
        f"\t{token[20:]}",
        "Connection: close",
        "",
        "",
    )
    with socket.create_connection((address[0], int(address[1])), 30) as line:
        line.sendall("\r\n".join(lines).encode())
        answer = b"".join(iter(lambda: line.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 200"), answer[:200]
    assert b"totalRecordsWithoutPaging" in answer


def test_an_access_token_is_made_and_renewed_and_the_old_pair_ends_the_new(server: Server, commcell: Commcell) -> None:
    user = object.__new__(User)  # without looking up the users of a backup product
    user._commcell_object = commcell
    made = user.create_access_token(token_name=f"token {uuid.uuid4().hex[:8]}")
    new = user.renew_access_token(made["accessToken"], made["refreshToken"])
    assert login(server, commcell_username=None, commcell_password=None, authtoken=new["accessToken"])
    with pytest.raises(SDKException, match="not a pair that holds"):
        user.renew_access_token(made["accessToken"], made["refreshToken"])
    with pytest.raises(SDKException):
        login(server, commcell_username=None, commcell_password=None, authtoken=new["accessToken"])
