"""Reports over jobs and over one; what the server does as a whole; what a connection can do."""

from __future__ import annotations

import io
import time
import zipfile
from typing import Any

import openpyxl
import pytest

from tallyport.control.aside import Aside
from tallyport.domain.items import Status
from tests.api import documents
from tests.api.world import World


def wait_for_breakdown(world: World, job: str) -> dict[str, Any]:
    end = time.monotonic() + 120
    while (answer := world.get(f"/v1/jobs/{job}/breakdown")).status_code == 202:
        assert time.monotonic() < end
    assert answer.status_code == 200, answer.text
    found = answer.json()["data"]
    assert isinstance(found, dict)
    return found


@pytest.fixture
def ran(world: World) -> str:
    """Give a job that ran: two items carried, one failed, one left out."""
    job = world.job()
    world.run(job, "executing", files=4, bytes=1_000, transferred=2, transferred_bytes=6, skipped=1)
    world.item(job, "a/one.txt", size=500)
    world.item(job, "a/two.PDF", size=3 << 20)
    world.item(job, "=cmd.txt", Status.FLAGGED, reason="permission_denied", message="=1+1")
    world.item(job, "b/tmp", Status.SKIPPED, reason="ignored_extension")
    world.run(job, "complete", result="errors", failed=1)
    return job


def test_a_breakdown_counts_every_item_once(world: World, ran: str) -> None:
    found = wait_for_breakdown(world, ran)
    files = [line for line in found["by_reason"] if line["kind"] == "file"]
    assert sum(line["count"] for line in files) == 4
    assert {line["status"] for line in files} == {"success", "remediation", "skipped"}
    assert sum(one["count"] for one in found["by_size"]) == 4
    assert sum(one["count"] for one in found["by_age"]) == 4
    kinds = {one["extension"]: one["count"] for one in found["by_extension"]}
    assert kinds == {".pdf": 1, ".txt": 2, "none": 1}
    assert found["by_extension"][0]["extension"] == ".pdf"


def test_a_breakdown_is_made_anew_when_the_job_moves_on(world: World, ran: str) -> None:
    before = wait_for_breakdown(world, ran)
    world.run(ran, "executing")
    world.item(ran, "c/new.txt")
    world.run(ran, "complete")
    after = wait_for_breakdown(world, ran)
    assert sum(one["count"] for one in after["by_size"]) == sum(one["count"] for one in before["by_size"]) + 1


def test_a_report_holds_the_jobs_asked_for(world: World, ran: str) -> None:
    other = world.job(name="other", category={"name": "Wave 2"})
    simulated = world.body(name="simulated")
    simulated["transfer"]["simulation_mode"] = True
    assert world.post("/v1/jobs", json=simulated).status_code == 201
    every = world.get("/v1/reports/summary").json()["data"]
    assert {one["job"] for one in every["jobs"]} == {"a job", "other", "simulated"}
    assert every["failed_by_reason"] == {"permission_denied": 1}
    assert [one["job"] for one in world.get(f"/v1/reports/summary?job={other}").json()["data"]["jobs"]] == ["other"]
    assert [one["job"] for one in world.get("/v1/reports/summary?simulation=1").json()["data"]["jobs"]] == ["simulated"]
    waves = {one["name"]: one["id"] for one in world.get("/v1/jobs/categories").json()["data"]}
    chosen = world.get(f"/v1/reports/summary?category={waves['Wave 2']}").json()["data"]
    assert [one["job"] for one in chosen["jobs"]] == ["other"]


def test_a_report_adds_up_what_was_carried_by_day(world: World, ran: str) -> None:
    days = world.get("/v1/reports/summary").json()["data"]["days"]
    assert [(one["transferred"], one["transferred_bytes"], one["failed"]) for one in days] == [(2, 6, 1)]


@pytest.mark.parametrize("query", ["days=0", "days=x", "category=abc", "job=nothing"])
def test_a_report_says_what_is_wrong_with_what_was_asked(world: World, query: str) -> None:
    assert world.get(f"/v1/reports/summary?{query}").status_code in (400, 404)


@pytest.mark.parametrize("path", ["/v1/reports/summary.csv", "/v1/jobs.csv"])
def test_a_csv_cell_is_never_a_formula(world: World, path: str) -> None:
    world.job(name="=HYPERLINK(1)")
    text = world.get(path).text
    assert "'=HYPERLINK(1)" in text
    assert not any(line.startswith("=") for line in text.splitlines())


@pytest.mark.parametrize("path", ["/v1/reports/summary.xlsx", "/v1/jobs/{job}/report.xlsx?items=1"])
def test_a_workbook_holds_text_and_numbers_and_no_formula(world: World, ran: str, path: str) -> None:
    answer = world.get(path.format(job=ran))
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
        assert book.testzip() is None
        sheets = [book.read(name).decode() for name in book.namelist() if name.startswith("xl/worksheets/sheet")]
    assert sheets
    assert not any("<f>" in sheet or "hyperlink" in sheet for sheet in sheets)
    if "items" in path:
        assert any("=cmd.txt" in sheet for sheet in sheets)


def test_a_workbook_opens_in_a_library_that_did_not_write_it(world: World, ran: str) -> None:
    answer = world.get(f"/v1/jobs/{ran}/report.xlsx?items=1")
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    assert book.sheetnames[0] == "Job"
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row if cell.value is not None]
    assert not any(cell.data_type == "f" or cell.hyperlink for cell in cells)
    named = [cell for cell in cells if isinstance(cell.value, str) and cell.value.endswith("=cmd.txt")]
    assert named
    assert all(cell.data_type == "s" for cell in named)
    for sheet in book:
        widths = {len(row) for row in sheet.iter_rows()}
        assert len(widths) <= 1


def test_the_overview_tells_what_runs_and_what_comes_next(world: World, ran: str) -> None:
    waiting = world.job(name="next", schedule={"mode": "auto", "start_date": 4_000_000_000})
    running = world.job(name="now")
    world.run(running, "executing")
    found = world.get("/v1/overview").json()["data"]
    assert [one["id"] for one in found["running"]] == [running]
    assert [one["id"] for one in found["scheduled"]] == [waiting]
    assert [one["id"] for one in found["recent"]] == [ran]
    assert found["last_day"]["transferred"] == 2
    assert found["last_day"]["failed_by_reason"] == {"permission_denied": 1}
    assert found["storage"]["database"] == "sqlite"


def test_throughput_is_a_list_of_samples(world: World) -> None:
    first = world.get("/v1/throughput").json()["data"]
    assert all(one["bytes_per_second"] >= 0 for one in first)
    assert world.get(f"/v1/throughput?after={10**17}").json()["data"] == []


def test_a_connection_is_tried_step_by_step(world: World) -> None:
    connection = world.connection("tried")
    read = world.post(f"/v1/connections/{connection}/test").json()["data"]
    assert (read["success"], [step["name"] for step in read["steps"]]) == (True, ["open", "list"])
    written = world.post(f"/v1/connections/{connection}/test?write=1").json()["data"]
    assert [step["name"] for step in written["steps"]] == ["open", "list", "write", "read", "delete"]
    assert written["success"]
    assert written["limits"]["max_name"] == 255
    assert world.get(f"/v1/connections/{connection}/items").json()["item"] == []


def test_a_test_that_writes_asks_for_the_right_to_manage(world: World) -> None:
    connection = world.connection("kept")
    assert world.post(f"/v1/connections/{connection}/test", role="operator").status_code == 200
    assert world.post(f"/v1/connections/{connection}/test?write=1", role="operator").status_code == 403
    assert world.post(f"/v1/connections/{connection}/test", role="viewer").status_code == 403


def test_a_connection_that_is_gone_says_which_step_failed(world: World, tmp_path) -> None:
    connection = world.connection("gone")
    (tmp_path / "gone").rmdir()
    found = world.post(f"/v1/connections/{connection}/test").json()["data"]
    assert not found["success"]
    assert found["steps"][-1]["success"] is False


def test_a_container_is_made_in_a_connection(world: World) -> None:
    connection = world.connection("open")
    made = world.post(f"/v1/connections/{connection}/items", json={"path": "/new"})
    assert (made.status_code, made.json()["data"]) == (201, {"path": "/new"})
    assert [one["name"] for one in world.get(f"/v1/connections/{connection}/items").json()["item"]] == ["new"]
    assert world.post(f"/v1/connections/{connection}/items", json={"path": "/new"}).status_code == 201
    for path in ("/../out", "/", "", "a\0b"):
        assert world.post(f"/v1/connections/{connection}/items", json={"path": path}).status_code == 400, path
    assert world.post(f"/v1/connections/{connection}/items", json={}).status_code == 400


def test_a_job_document_is_judged_without_being_stored(world: World) -> None:
    body = world.body()
    good = world.post("/v1/jobs/check", json=body)
    assert good.status_code == 200
    assert good.json()["data"]["policies"]["transfer_type"] == "copy"
    body["transfer"]["conflict_resolution"] = "nobody"
    bad = world.post("/v1/jobs/check", json=body)
    assert bad.status_code == 400
    assert bad.json()["errors"][0]["path"] == "/transfer/conflict_resolution"
    assert world.get("/v1/jobs").json()["meta"]["total_count"] == 0


def test_the_schema_of_the_transfer_block_has_every_key(world: World) -> None:
    from tallyport.domain.transfer_block import KEYS

    schema = world.get("/v1/jobs/schema").json()
    for key in KEYS:
        place = schema
        for name in key.split("."):
            place = place["properties"][name]
        assert place["description"], key


def test_the_schema_of_the_transfer_block_knows_what_a_mapping_says_of_its_children(world: World) -> None:
    known = world.get("/v1/jobs/schema").json()["properties"]
    schedule, stop = known["schedule"], known["stop_policy"]
    for one in (schedule, stop):
        assert "of the children of a folder mapping" in one["description"]
    assert schedule["properties"]["mode"]["enum"] == ["manual", "auto", "ad-hoc"]
    assert list(stop["properties"]) == ["on_success", "on_failure", "on_execute"]
    samples: dict[str, object] = {
        "mode": "auto",
        "cron": "0 22 * * *",
        "time_zone": "Europe/Berlin",
        "days": "weekdays",
        "start_date": 1,
        "end_date": 2,
        "end": 2,
        "repeat_interval": {"value": 1, "unit": "h"},
        "max_execution": {"value": 1, "unit": "h"},
        "repeat_count": 1,
        "missed_runs": "skip",
        **{key: {"hr": 1, "min": 2, "sec": 3, "ms": 4} for key in ("start_window", "end_window", "run_at")},
    }
    assert samples.keys() == schedule["properties"].keys()
    body = world.body(kind="folder_mapping")
    for name, value in samples.items():  # what the schema names the server takes
        body["transfer"]["schedule"] = {"mode": "auto"} | {name: value}
        assert world.post("/v1/jobs/check", json=body).status_code == 200, name
    body["transfer"]["schedule"] = {"mode": "auto", "hat": 1}
    assert world.post("/v1/jobs/check", json=body).json()["errors"][0]["path"] == "/transfer/schedule/hat"


def test_what_a_run_would_delete_is_listed(world: World) -> None:
    job = world.job()
    assert world.get(f"/v1/jobs/{job}/deletes").json()["data"] == []
    assert world.get("/v1/jobs/none/deletes").status_code == 404


def test_that_something_is_being_counted_is_a_declared_answer(
    world: World, ran: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Aside, "of", lambda *_given: None)
    for path in (f"/v1/jobs/{ran}/breakdown", f"/v1/transfers/{ran}/stats/by_ext"):
        answer = world.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (202, "1"), path
    declared = documents.openapi()["paths"]
    assert "202" in declared["/v1/jobs/{job}/breakdown"]["get"]["responses"]
    assert "202" in declared["/v1/transfers/{job}/stats/{kind}"]["get"]["responses"]
    assert "202" in declared["/v1/transfers/executions/{execution}/reconcile"]["post"]["responses"]
