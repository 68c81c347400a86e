"""Items: pages, filters, CSV, one item explained, retry and ignore."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from tallyport.domain.items import Status
from tallyport.store import audit, executions
from tests.api.world import World
from tests.carried import PART, carry_parts


@pytest.fixture
def job(world: World) -> str:
    """Give a job with one item in each state."""
    job_id = world.job()
    world.run(job_id, "executing")
    for status in Status:
        reason = "permission_denied" if status in (Status.RETRY, Status.FLAGGED) else "new_at_source"
        world.item(job_id, f"x/{status.name.lower()}.txt", status, reason=reason, message=f"{status.name} told")
    return job_id


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["source"]["name"] for item in answer.json()["item"] if item["type"] == "item"]


WORDS = {
    Status.PENDING: "pending",
    Status.SUCCESS: "success",
    Status.PROCESSED: "processed",
    Status.RETRY: "retry",
    Status.FLAGGED: "remediation",
    Status.SKIPPED: "skipped",
    Status.IGNORED: "ignored",
}


@pytest.mark.parametrize("status", list(Status))
def test_each_status_is_found_by_its_word(world: World, job: str, status: Status) -> None:
    answer = world.get(f"/v1/transfers/items?job={job}&status={WORDS[status]}&type=file")
    assert names(answer) == [f"{status.name.lower()}.txt"]
    assert answer.json()["item"][0]["status"] == WORDS[status]
    assert names(world.get(f"/v1/transfers/{job}/items?item_status={WORDS[status]}")) == names(answer)


def test_an_item_shows_both_sides_and_why(world: World, job: str) -> None:
    item = world.get(f"/v1/transfers/items?job={job}&status=success&type=file").json()["item"][0]
    assert isinstance(item["id"], str)
    assert isinstance(item["parent_id"], str)
    assert item["source"] == {
        "path": "/x/success.txt",
        "name": "success.txt",
        "ext": "txt",
        "bytes": 3,
        "modified_on": 5,
    }
    assert item["destination"]["path"] == "/x/success.txt"
    assert (item["reason"], item["audit_category"], item["retried"]) == ("new_at_source", "new_at_source", 1)


def test_filters_narrow_and_combine(world: World, job: str) -> None:
    base = f"/v1/transfers/items?job={job}"
    assert names(world.get(f"{base}&q=skip")) == ["skipped.txt"]
    assert names(world.get(f"{base}&reason=permission_denied")) == ["retry.txt", "flagged.txt"]
    assert names(world.get(f"{base}&reason=permission_denied&status=retry")) == ["retry.txt"]
    folder = world.get(f"{base}&type=container&q=x").json()["item"][0]["id"]
    assert len(names(world.get(f"{base}&parent={folder}"))) == 7
    assert world.get(f"{base}&execution=12345").json()["item"] == []


def test_pages_by_cursor_and_by_offset_give_everything_once(world: World, job: str) -> None:
    every = [item["id"] for item in world.get(f"/v1/transfers/items?job={job}").json()["item"]]
    assert len(every) == 9  # with the root and one folder
    seen: list[str] = []
    href = f"/v1/transfers/items?job={job}&limit=4"
    while href:
        answer = world.get(href)
        seen += [item["id"] for item in answer.json()["item"]]
        href = answer.json()["meta"]["links"].get("next", {}).get("href")
        assert ("link" in answer.headers) == bool(href)
    assert seen == every
    by_offset = [
        item["id"]
        for offset in (0, 4, 8)
        for item in world.get(f"/v1/transfers/items?job={job}&limit=4&offset={offset}").json()["item"]
    ]
    assert by_offset == every
    assert world.get(f"/v1/transfers/items?job={job}&offset=9999999").status_code == 400


def test_totals_are_given_where_counting_is_cheap(world: World, job: str) -> None:
    base = f"/v1/transfers/items?job={job}&limit=1"
    assert world.get(base).json()["meta"]["total_count"] == 9
    assert world.get(f"{base}&status=retry,remediation").json()["meta"]["total_count"] == 2
    assert "total_count" not in world.get(f"{base}&q=x").json()["meta"]
    with world.database.begin() as tx:
        executions.change(tx, world.latest(job).id, files=5_000_000)
    assert "total_count" not in world.get(base).json()["meta"]
    assert world.get(f"{base}&count=1").json()["meta"]["total_count"] == 9


def test_several_jobs_are_merged_by_age(world: World, job: str) -> None:
    other = world.job()
    world.run(other, "executing")
    world.item(other, "late.txt", Status.FLAGGED)
    both = names(world.get(f"/v1/transfers/items?jobs={job},{other}&status=remediation"))
    assert both == ["flagged.txt", "late.txt"]
    assert names(world.get("/v1/transfers/items/flagged")) == ["retry.txt", "flagged.txt", "late.txt"]
    assert world.get("/v1/transfers/items").status_code == 400


def test_names_that_are_not_utf8_are_shown_with_escapes(world: World, job: str) -> None:
    world.item(job, "x/\udcff.txt", Status.FLAGGED, reason="permission_denied")
    assert "\\xff.txt" in names(world.get(f"/v1/transfers/items?job={job}"))
    assert b"\\\\xff.txt" in world.get(f"/Job/{world.latest(job).id}/FailedItems").content
    assert "\\xff.txt" in world.get(f"/v1/transfers/items.csv?job={job}").text


def test_csv_carries_the_same_items_and_no_formulas(world: World, job: str) -> None:
    world.item(job, "=cmd|'calc'!A0", Status.FLAGGED, message="@evil\nsecond, line")
    answer = world.get(f"/v1/transfers/{job}/items.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    found = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len(found) == 10
    evil = next(row for row in found if "cmd" in row["source_path"])
    assert evil["message"] == "'@evil\nsecond, line"
    assert evil["source_path"].startswith("/=")
    assert world.get(f"/v1/transfers/{job}/items.csv?bom=1").text.startswith("\ufeff")
    assert len(list(csv.reader(io.StringIO(world.get("/v1/transfers/items/flagged.csv").text)))) == 4


def test_an_item_is_explained(world: World, job: str) -> None:
    item = world.get(f"/v1/transfers/items?job={job}&status=remediation").json()["item"][0]["id"]
    with world.database.begin() as tx:
        line = (5, "item.failed", b"x/flagged.txt", "denied", int(item))
        audit.write(tx, world.database, world.ids, job, world.latest(job).id, [line])
    found = world.get(f"/v1/transfers/items/{item}").json()["item"]
    assert [failure["reason"] for failure in found["failures"]] == ["permission_denied"]
    assert [line["type"] for line in found["audit"]] == ["item.failed"]
    assert found["audit"][0]["path"] == "/x/flagged.txt"


def test_a_huge_file_tells_which_worker_carried_which_part(world: World) -> None:
    job = world.job()
    run = world.run(job, "executing")
    item = world.item(job, "big")
    carry_parts(world.database, run, item, ["ann", "bob", "ann"], ["bob"], 2)
    told = world.get(f"/v1/transfers/items/{item}").json()["item"]["parts"]
    assert [(one.get("worker"), one["state"], one["count"], one["bytes"]) for one in told] == [
        ("ann", "carried", 2, 2 * PART),
        ("bob", "carried", 1, PART),
        ("bob", "under_way", 1, PART),
        (None, "waiting", 2, 2 * PART),
    ]
    first = world.get(f"/v1/transfers/items/{item}/parts?limit=4").json()
    assert [one["worker"] for one in first["parts"]] == ["ann", "bob", "ann", "bob"]
    assert first["parts"][1]["start"] == PART
    assert first["parts"][1]["carried_on"] == 1_700_000_000
    rest = world.get(first["meta"]["links"]["next"]["href"]).json()
    assert [(one["start"], one["state"]) for one in rest["parts"]] == [(4 * PART, "waiting"), (5 * PART, "waiting")]
    assert rest["meta"]["has_more"] is False


def test_a_file_that_goes_whole_has_no_parts_and_an_unknown_one_is_not_found(world: World, job: str) -> None:
    item = world.get(f"/v1/transfers/items?job={job}").json()["item"][0]["id"]
    assert world.get(f"/v1/transfers/items/{item}").json()["item"]["parts"] == []
    assert world.get(f"/v1/transfers/items/{item}/parts").json()["parts"] == []
    assert world.get("/v1/transfers/items/4711/parts").status_code == 404


def status_of(world: World, job: str, word: str) -> list[str]:
    return names(world.get(f"/v1/transfers/items?job={job}&status={word}"))


def test_one_item_is_retried_or_ignored(world: World, job: str) -> None:
    item = world.get(f"/v1/transfers/items?job={job}&status=remediation").json()["item"][0]["id"]
    answer = world.patch(f"/v1/transfers/items/{item}?retry=1", role="operator")
    assert answer.json()["meta"]["total_count"] == 1
    assert status_of(world, job, "remediation") == []
    assert world.get(f"/v1/transfers/items/{item}").json()["item"]["retried"] == 0
    world.patch(f"/v1/transfers/items/{item}?ignore=1", json={"note": "lock file"})
    shown = world.get(f"/v1/transfers/items/{item}").json()["item"]
    assert (shown["status"], shown["message"]) == ("ignored", "lock file")
    assert any("lock file" in line["message"] for line in shown["audit"])
    assert world.get(f"/v1/jobs/{job}").json()["job"]["unresolved_items"] == 1


def test_many_items_are_ignored_by_job_reason_parent_or_list(world: World, job: str) -> None:
    assert world.patch(f"/v1/transfers/items?jobs={job}&reason=conflict&ignore").json()["meta"]["total_count"] == 0
    assert world.patch(f"/v1/transfers/items?jobs={job}&ignore").json()["meta"]["total_count"] == 2
    assert len(status_of(world, job, "ignored")) == 3
    assert world.patch(f"/v1/transfers/{job}/items?retry=1&status=ignored").json()["meta"]["total_count"] == 3


def test_what_succeeded_is_never_retried_or_ignored(world: World, job: str) -> None:
    item = world.get(f"/v1/transfers/items?job={job}&status=success&type=file").json()["item"][0]["id"]
    assert world.patch(f"/v1/transfers/items/{item}?ignore=1").json()["meta"]["total_count"] == 0
    assert status_of(world, job, "success") == ["success.txt"]


@pytest.mark.parametrize("query", ["", "?retry=1&ignore=1", "?jobs={}", "?retry=1"])
def test_many_items_need_a_choice_and_a_filter(world: World, job: str, query: str) -> None:
    assert world.patch(f"/v1/transfers/items{query.format(job)}").status_code == 400


def test_retry_of_named_items_only(world: World, job: str) -> None:
    items = [item["id"] for item in world.get(f"/v1/transfers/items?job={job}&status=failed").json()["item"]]
    world.run(job, "complete", result="errors", failed=2)
    world.post(f"/v1/jobs/{job}/retry", json={"items": [items[0]]})
    assert world.latest(job).scope == f'{{"items": [{items[0]}]}}'


def test_retry_by_reason_and_of_everything(world: World, job: str) -> None:
    world.run(job, "complete", result="errors", failed=2)
    world.post(f"/v1/jobs/{job}/retry?reason=permission_denied")
    assert world.latest(job).scope == '{"unresolved": true, "reasons": ["permission_denied"]}'
    world.run(job, "failed")
    world.post(f"/v1/jobs/{job}/retry?scope=all")
    assert world.latest(job).scope is None


def test_failed_items_are_grouped_by_reason(world: World, job: str) -> None:
    for n in range(30):
        world.item(job, f"x/{n}.bin", Status.FLAGGED, reason="locked", message=f"/x/{n}.bin is in use by process {n}")
    answer = world.get(f"/v1/jobs/{job}/failed-items?group_by=reason")
    groups = answer.json()
    assert (groups[0]["code"], groups[0]["count"], len(groups[0]["sample"])) == ("locked", 30, 20)
    assert sum(group["count"] for group in groups) == 32 == int(answer.headers["x-total-count"])
    assert world.get(f"/v1/jobs/{job}/failed-items?group_by=size").status_code == 400


def test_totals_by_status(world: World, job: str) -> None:
    found = world.get(f"/v1/transfers/{job}/stats").json()["stats"]
    assert found["count"] == 9
    assert found["by_status"]["remediation"] == {"count": 1, "bytes": 3}
    assert world.get("/v1/transfers/stats").json()["stats"]["jobs"] == 1


def test_audit_lines_are_paged_and_filtered(world: World, job: str) -> None:
    with world.database.begin() as tx:
        lines = [(4, "item.warned", None, f"line {n}", None) for n in range(5)]
        audit.write(tx, world.database, world.ids, job, world.latest(job).id, lines)
    seen: list[str] = []
    href = f"/v1/transfers/auditing?job={job}&level=warn&limit=2"
    while href:
        page = world.get(href).json()
        seen += [line["message"] for line in page["item"]]
        href = page["meta"]["links"].get("next", {}).get("href")
    assert seen == [f"line {n}" for n in range(5)]
    assert len(world.get(f"/v1/transfers/auditing?job={job}&execution=current").json()["item"]) == 5
    assert world.get(f"/v1/transfers/auditing?job={job}&execution=last").json()["item"] == []
    assert len(world.get(f"/v1/transfers/auditing.csv?job={job}").text.splitlines()) == 7
    assert world.get("/v1/transfers/auditing?level=loud").status_code == 400


def test_folders_alone_and_counts_by_class(world: World, job: str) -> None:
    found = world.get(f"/v1/transfers/folders?job={job}").json()["item"]
    assert {item["type"] for item in found} == {"container"}
    by_category = world.get(f"/v1/transfers/{job}/stats/by_category").json()["stats"]
    assert {"permission_denied", "new_at_source"} >= {one["name"] for one in by_category} - {"other"}
    extensions = world.get(f"/v1/transfers/{job}/stats/by_ext").json()["stats"]
    assert extensions[0]["name"] in (".txt", "txt")
    assert sum(one["count"] for one in world.get(f"/v1/transfers/{job}/stats/by_size").json()["stats"]) == 7
    assert world.get(f"/v1/transfers/{job}/stats/by_age").status_code == 200
    assert world.get(f"/v1/transfers/{job}/stats/by_mood").status_code == 404
    assert world.get(f"/v1/transfers/{job}/stats").json()["stats"]["stop_policy"] == "none"


def test_a_deleted_category_leaves_its_jobs_in_the_default_one(world: World) -> None:
    filed = world.job(category={"name": "Some"})
    number = world.get(f"/v1/jobs/{filed}").json()["job"]["category"]["id"]
    answer = world.delete(f"/v1/jobs/categories/{number}")
    assert answer.json()["job_category"] == {"id": number, "jobs": 1}
    assert world.get(f"/v1/jobs/{filed}").json()["job"]["category"] == {"id": -1, "name": "Default"}
    assert world.delete(f"/v1/jobs/categories/{number}").status_code == 404
    assert world.delete("/v1/jobs/categories/-1").status_code == 404


def test_a_search_looks_at_a_part_of_a_large_job_and_goes_on_by_cursor(world: World, monkeypatch) -> None:
    from tallyport.control import items as control

    job_id = world.job()
    world.run(job_id, "executing")
    for number in range(30):
        world.item(job_id, f"x/file-{number:02d}.txt")
    monkeypatch.setattr(control, "LOOKED_AT", 7)
    href: str | None = f"/v1/transfers/items?job={job_id}&q=file-2&limit=4"
    seen: list[str] = []
    pages = 0
    while href is not None:
        answer = world.get(href).json()
        seen += [item["source"]["name"] for item in answer["item"]]
        assert answer["meta"]["has_more"] == ("next" in answer["meta"]["links"])
        href = answer["meta"]["links"].get("next", {}).get("href")
        pages += 1
    assert seen == [f"file-2{number}.txt" for number in range(10)]
    assert pages > 4


def test_an_offset_passes_over_items_in_the_order_of_the_cursor(world: World) -> None:
    job_id = world.job()
    world.run(job_id, "executing")
    for number in range(12):
        status = (Status.SUCCESS, Status.RETRY, Status.SKIPPED)[number % 3]
        world.item(job_id, f"file-{number:02d}.txt", status)
    everything = names(world.get(f"/v1/transfers/items?job={job_id}&type=file"))
    assert len(everything) == 12
    for offset in (1, 5, 11, 12, 40):
        found = world.get(f"/v1/transfers/items?job={job_id}&type=file&offset={offset}&limit=4")
        assert names(found) == everything[offset : offset + 4]


@pytest.mark.parametrize("text", ["%", "_", "/", "\\", "'", '"', "ÿ", "50%_a"])
def test_a_text_to_search_for_stands_for_itself(world: World, text: str) -> None:
    job_id = world.job()
    world.run(job_id, "executing")
    world.item(job_id, "plain.txt")
    if "/" not in text:
        world.item(job_id, f"x{text}y.txt")
    found = names(world.get("/v1/transfers/items", params={"job": job_id, "type": "file", "q": text}))
    assert found == ([] if "/" in text else [f"x{text}y.txt"])
