"""The vendor's own client for Python, PyPI ``flatfile``, drives a running server through the whole life of a job."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from flatfile import Flatfile
from flatfile.core.api_error import ApiError
from flatfile.events import Context
from flatfile.jobs import JobAckDetails, JobCancelDetails, JobCompleteDetails, JobOutcome, JobOutcomeNext_Retry

from tests.vendors.conftest import Server

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    with httpx.Client(timeout=30) as transport:
        yield Flatfile(base_url=f"{server.url}/v1", token=server.token, httpx_client=transport)


def agents_job(client: Any, **more: Any) -> Any:
    return client.jobs.create(type="workbook", operation="submitAction", source="us_wb_1", **more).data


@pytest.fixture
def transfer(server: Server) -> dict[str, Any]:
    mark = uuid.uuid4().hex[:8]
    files = {"a.txt": "a" * 900, "b/c.txt": "c" * 500, "b/d.txt": "d" * 300, "e.txt": "e"}
    source = server.connection(f"from-{mark}", files)
    destination = server.connection(f"to-{mark}")
    return {
        "type": "file",
        "operation": "transfer",
        "source": source,
        "destination": destination,
        "config": {"transfer_type": "copy"},
    }


def copied(server: Server, transfer: dict[str, Any]) -> dict[str, str]:
    """Give what stands at the destination."""
    auth = server.call("GET", f"/v1/connections/{transfer['destination']}")["connection"]["auth"]
    root = server.folder / auth["path"]
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_an_agent_takes_reports_and_completes(client: Any) -> None:
    job = agents_job(client, trigger="manual", input={"k": 1})
    assert (job.status, job.managed, job.operation) == ("created", False, "submitAction")
    assert client.jobs.execute(job.id).data.success is True
    assert client.jobs.get(job.id).data.status == "ready"
    begun = client.jobs.ack(job.id, request=JobAckDetails(info="Accepted", progress=0)).data
    assert (begun.status, begun.info, begun.progress) == ("executing", "Accepted", 0)
    assert client.jobs.ack(job.id, request=JobAckDetails(progress=60)).data.progress == 60
    assert client.jobs.update(job.id, info="nearly", metadata={"ticket": 7}).data.metadata["ticket"] == 7
    done = client.jobs.complete(
        job.id, request=JobCompleteDetails(info="fine", outcome=JobOutcome(message="done", acknowledge=True))
    ).data
    assert (done.status, done.progress) == ("complete", 100)
    assert done.finished_at is not None
    assert client.jobs.ack_outcome(job.id).data.outcome_acknowledged_at is not None


def test_an_agent_fails_and_the_job_is_tried_again(client: Any) -> None:
    job = agents_job(client, trigger="immediate")
    client.jobs.ack(job.id)
    outcome = JobOutcome(message="it broke", next=JobOutcomeNext_Retry(label="again"))
    failed = client.jobs.fail(job.id, request=JobCompleteDetails(info="boom", outcome=outcome))
    assert (failed.data.status, failed.data.info) == ("failed", "boom")
    again = client.jobs.retry(job.id).data
    assert (again.id, again.status, again.progress, again.outcome) == (job.id, "created", 0, None)
    assert client.jobs.get(job.id).data.status == "ready"
    client.jobs.ack(job.id)
    assert client.jobs.complete(job.id).data.status == "complete"


def test_a_call_that_does_not_fit_the_state_is_a_409_that_the_client_does_not_repeat(client: Any) -> None:
    job = agents_job(client)
    with pytest.raises(ApiError) as caught:
        client.jobs.complete(job.id)
    assert caught.value.status_code == 409
    assert caught.value.body["errors"][0]["key"] == "status"
    assert client.jobs.cancel(job.id, request=JobCancelDetails(info="not needed")).data.status == "canceled"


def test_a_job_is_split_and_its_parts_are_worked_like_jobs(client: Any) -> None:
    job = agents_job(client, trigger="immediate")
    client.jobs.ack(job.id)
    whole = client.jobs.split(job.id, parts=3, run_in_parallel=True).data
    assert whole.status == "waiting"
    parts = client.jobs.list(parent_id=job.id, page_size=10, sort_direction="asc").data
    assert [part.part_data for part in parts] == [{"part": n, "total": 3} for n in range(3)]
    assert {part.part_execution for part in parts} == {"parallel"}
    for part in parts:
        client.jobs.ack(part.id)
        client.jobs.complete(part.id)
    assert client.jobs.complete(job.id).data.status == "complete"
    with pytest.raises(ApiError) as caught:
        client.jobs.split(parts[0].id, parts=2)
    assert caught.value.status_code == 409


def test_a_list_of_parts_gives_one_for_each_object_in_order(client: Any) -> None:
    job = agents_job(client, trigger="immediate")
    client.jobs.split(job.id, parts=[{"rows": "1-10"}, {"rows": "11-20"}])
    parts = client.jobs.list(parent_id=job.id, sort_direction="asc").data
    assert [(part.part_data, part.status) for part in parts] == [
        ({"rows": "1-10"}, "ready"),
        ({"rows": "11-20"}, "waiting"),
    ]
    client.jobs.complete(parts[0].id)
    assert client.jobs.get(parts[1].id).data.status == "ready"


def test_jobs_are_listed_in_pages_and_deleted(client: Any) -> None:
    made = [agents_job(client).id for _ in range(3)]
    page = client.jobs.list(page_size=2, page_number=1, exclude_child_jobs=True)
    assert len(page.data) == 2
    assert page.pagination.current_page == 1
    assert page.pagination.total_count >= 3
    assert client.jobs.delete(made[0]).data.success is True
    with pytest.raises(ApiError) as caught:
        client.jobs.get(made[0])
    assert caught.value.status_code == 404


def test_a_transfer_runs_and_reports(client: Any, server: Server, transfer: dict[str, Any]) -> None:
    job = client.jobs.create(**transfer).data
    assert (job.managed, job.status) == (True, "created")
    client.jobs.execute(job.id)
    server.until(job.id, "complete")
    done = client.jobs.get(job.id).data
    assert (done.progress, done.result["transferred"]) == (100, 4)
    assert len(copied(server, transfer)) == 4
    with pytest.raises(ApiError):
        client.jobs.retry(job.id)  # everything is done


def test_a_transfer_is_split_and_carries_everything(client: Any, server: Server, transfer: dict[str, Any]) -> None:
    job = client.jobs.create(**transfer).data
    whole = client.jobs.split(job.id, parts=2, run_in_parallel=True).data
    assert whole.status in ("waiting", "complete")
    server.until(job.id, "complete")
    assert len(copied(server, transfer)) == 4
    assert {part.status for part in client.jobs.list(parent_id=job.id).data} == {"complete"}


def test_the_plan_of_a_transfer_is_read_changed_and_approved(
    client: Any, server: Server, transfer: dict[str, Any]
) -> None:
    job = client.jobs.create(**transfer | {"operation": "plan"}).data
    assert job.status == "planning"
    plan = client.jobs.get_execution_plan(job.id).data.plan
    assert [edge.source_field.key for edge in plan.field_mapping] == ["name", "path", "content", "modified"]
    kept = [edge for edge in plan.field_mapping if edge.source_field.key != "modified"]
    changed = client.jobs.update_execution_plan(
        job.id,
        field_mapping=kept,
        unmapped_source_fields=[],
        unmapped_destination_fields=[],
        file_id=transfer["source"],
        job_id=job.id,
    )
    assert [edge.source_field.key for edge in changed.data.plan.field_mapping] == ["name", "path", "content"]
    assert server.call("GET", f"/v1/jobs/{job.id}")["data"]["config"]["timestamps"] is False
    client.jobs.execute(job.id)
    server.until(job.id, "complete")


def test_a_mutation_is_previewed_and_javascript_is_refused(client: Any, transfer: dict[str, Any]) -> None:
    job = client.jobs.create(**transfer).data
    found = client.jobs.preview_mutation(sheet_id=job.id, mutate_record="name = upper(name)", q="b/c").data
    assert [(one.values["name"].snapshot_value, one.values["name"].value) for one in found] == [("c.txt", "C.TXT")]
    with pytest.raises(ApiError) as caught:
        client.jobs.preview_mutation(sheet_id=job.id, mutate_record="(record) => record")
    assert caught.value.status_code == 400


def test_environments_are_made_changed_listed_and_deleted(client: Any) -> None:
    name = f"env {uuid.uuid4().hex[:8]}"
    made = client.environments.create(name=name, is_prod=False, guest_authentication=["magic_link"], metadata={"k": 1})
    number = made.data.id
    assert client.environments.get(number).data.metadata == {"k": 1}
    assert client.environments.update(number, name=f"{name} 2", is_prod=True).is_prod is True
    assert f"{name} 2" in [one.name for one in client.environments.list(page_size=100).data]
    assert client.environments.delete(number).data.success is True
    with pytest.raises(ApiError) as refused:
        client.environments.get(number)
    assert refused.value.status_code == 404


def test_secrets_are_put_listed_and_deleted_and_their_values_stay_here(client: Any) -> None:
    name = f"secret {uuid.uuid4().hex[:8]}"
    [put] = client.secrets.upsert(name=name, value="Sup3r$ecret", environment_id="development").data
    assert (put.name, put.environment_id, put.value) == (name, "development", "***")
    assert name in [one.name for one in client.secrets.list(environment_id="development").data]
    client.secrets.delete(put.id)
    assert name not in [one.name for one in client.secrets.list(environment_id="development").data]


def test_events_are_told_read_and_acknowledged(client: Any) -> None:
    told = client.events.create(
        topic="workbook:updated",
        payload={"recordsAdded": 100},
        domain="workbook",
        context=Context(account_id="local", environment_id="development", workbook_id=uuid.uuid4().hex),
    ).data
    assert (told.topic, told.payload) == ("workbook:updated", {"recordsAdded": 100})
    assert client.events.get(told.id).data.id == told.id
    listed = client.events.list(topic="workbook:updated", environment_id="development", page_size=100).data
    assert told.id in [one.id for one in listed]
    assert client.events.ack(told.id).data.success is True
