"""Parts, predecessors, plans, previews and retry lists over HTTP: what is asked for wrongly changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from typing import Any

import pytest

from tallyport.control import parts as control
from tallyport.control import replies
from tallyport.domain import parts as rules
from tallyport.domain.items import Status
from tallyport.store import connections, jobs
from tests.api.world import World


def filled(world: World, **changes: Any) -> str:
    """Make a job whose source has something in it."""
    for path, size in (("big.bin", 900), ("one/a.txt", 300), ("two/b.txt", 100), ("Con?.txt", 5)):
        place = os.path.join(world.make_folder("from/a"), path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as stream:
            stream.write(b"x" * size)
    return world.job(**changes)


def parts(world: World, job: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = world.get(f"/v1/jobs?parentId={job}&sortDirection=asc").json()["data"]
    return found


def problems(answer: Any) -> list[str]:
    assert answer.status_code == 400, answer.text
    return [one["path"] for one in answer.json()["errors"]]


def test_parts_in_order_wait_for_each_other_and_progress_is_weighed(world: World) -> None:
    job = filled(world)
    answer = world.post(f"/v1/jobs/{job}/split", json={"parts": 2}, headers={"X-Disable-Hooks": "true"})
    assert list(answer.json()) == ["data"]
    whole = answer.json()["data"]
    assert (whole["status"], whole["metadata"]["holdReason"], whole["progress"]) == ("waiting", "parts", 0)
    first, second = parts(world, job)
    assert first["partData"] == {"part": 0, "total": 2, "paths": ["/big.bin"]}
    assert sorted(second["partData"]["paths"]) == ["/Con?.txt", "/one", "/two"]
    assert (first["status"], second["status"], second["predecessorIds"]) == ("ready", "waiting", [first["id"]])
    assert (first["partExecution"], first["part"], first["parentId"]) == ("sequential", 0, job)
    world.run(first["id"], "executing", bytes=900, transferred_bytes=450)
    assert world.get(f"/v1/jobs/{job}").json()["data"]["progress"] == 34
    world.run(first["id"], "complete")
    assert parts(world, job)[1]["status"] == "ready"
    assert world.get(f"/v1/jobs/{job}").json()["data"]["progress"] == 68
    world.run(second["id"], "executing")
    world.run(second["id"], "complete", result="errors", failed=1)
    done = world.get(f"/v1/jobs/{job}").json()["data"]
    assert (done["status"], done["result"]["failed"], done["outcome"]["next"]["type"]) == ("complete", 1, "retry")


def test_what_failed_in_parts_is_what_failed_in_the_whole(world: World) -> None:
    job = filled(world)
    world.post(f"/v1/jobs/{job}/split", json={"parts": 2, "runInParallel": True})
    run = world.latest(job).id
    for part, names in zip(parts(world, job), (["b.txt", "d.txt"], ["a.txt", "c.txt"]), strict=True):
        world.run(part["id"], "executing")
        for name in names:
            world.item(part["id"], name, Status.FLAGGED, reason="locked", message="busy")
        world.run(part["id"], "complete", result="errors", failed=2)
    for asked in (run, job):
        answer = world.get(f"/Job/{asked}/FailedItems")
        ends = [one["entity"].rpartition("/")[2] for one in answer.json()["failedItems"]]
        assert ends == ["a.txt", "b.txt", "c.txt", "d.txt"]
        assert answer.headers["x-total-count"] == "4"
    groups = world.get(f"/v1/jobs/{job}/failed-items?group_by=reason").json()
    assert [(group["code"], group["count"]) for group in groups] == [("locked", 4)]
    listed = world.get(f"/v1/transfers/items?jobs={job}&status=remediation&count=1").json()
    assert sorted(one["source"]["path"] for one in listed["item"]) == ["/a.txt", "/b.txt", "/c.txt", "/d.txt"]
    assert listed["meta"]["total_count"] == 4
    assert world.patch(f"/v1/transfers/items?jobs={job}&retry=1").json()["meta"]["total_count"] == 4
    assert world.get(f"/v1/transfers/items?jobs={job}&status=retry").json()["meta"]["total_count"] == 4


def test_fewer_entries_than_parts_make_fewer_parts_and_it_is_said(world: World) -> None:
    job = filled(world)
    whole = world.post(f"/v1/jobs/{job}/split", json={"parts": 50, "runInParallel": True}).json()["data"]
    assert whole["info"].startswith("4 parts instead of 50")
    assert {part["status"] for part in parts(world, job)} == {"ready"}


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({}, ["/parts"]),
        ({"parts": 1}, ["/parts"]),
        ({"parts": 1001}, ["/parts"]),
        ({"parts": "2"}, ["/parts"]),
        ({"parts": "automatic"}, ["/parts"]),
        ({"parts": []}, ["/parts"]),
        ({"parts": [{"path": "/one"}]}, ["/parts"]),
        ({"parts": [{}, {"path": "/one"}]}, ["/parts/0"]),
        ({"parts": [7, {"path": "/one"}]}, ["/parts/0"]),
        ({"parts": [{"path": "/one"}, {"path": "/one/a.txt"}]}, ["/parts"]),
        ({"parts": [{"path": "/one"}, {"paths": ["/two", "one"]}]}, ["/parts"]),
        ({"parts": [{"path": "/one"}, {"path": "/../etc"}]}, ["/parts/1/path"]),
        ({"parts": [{"path": "/one", "paths": ["/two"]}, {"path": "/two"}]}, ["/parts/0"]),
        ({"parts": [{"path": "/one", "size": 3}, {"path": "/two"}]}, ["/parts/0/size"]),
        ({"parts": [{"filter": {"rules": "x"}}, {"path": "/two"}]}, ["/parts/0/filter/source/0/rules"]),
        ({"parts": 2, "runInParallel": "maybe"}, ["/runInParallel"]),
        ({"parts": 2, "how": 1}, ["/how"]),
    ],
)
def test_a_split_that_makes_no_sense_makes_no_part(world: World, body: dict[str, Any], paths: list[str]) -> None:
    job = filled(world)
    assert problems(world.post(f"/v1/jobs/{job}/split", json=body)) == paths
    assert parts(world, job) == []
    assert world.stored(job).state == "created"


def test_auto_makes_as_many_parts_as_the_measured_weight_asks_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = filled(world)
    whole = world.post(f"/v1/jobs/{job}/split", json={"parts": "auto"})
    assert whole.status_code == 409
    assert "no more than one part" in whole.text
    assert parts(world, job) == []
    monkeypatch.setattr(rules, "PART_BYTES", 500)
    assert world.post(f"/v1/jobs/{job}/split", json={"parts": "auto", "runInParallel": True}).status_code == 200
    made = [one["partData"]["paths"] for one in parts(world, job)]
    assert made == [["/big.bin"], ["/one"], ["/two", "/Con?.txt"]]
    assert "3 parts" in (world.latest(job).info or "")


def test_a_source_that_cannot_be_weighed_in_time_is_not_split_by_weight(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = filled(world)
    monkeypatch.setattr(control, "LOOK_SECONDS", -1.0)
    answer = world.post(f"/v1/jobs/{job}/split", json={"parts": "auto"})
    assert answer.status_code == 409
    assert "planned first" in answer.text
    assert world.post(f"/v1/jobs/{job}/split", json={"parts": 2}).status_code == 200


def test_a_server_without_the_labels_of_the_source_names_them_and_what_else_can_be_done(world: World) -> None:
    job = filled(world)
    with world.database.begin() as tx:
        connections.change(tx, world.stored(job).source_connection or "", labels=("berlin",))
    state = world.client.app.state  # type: ignore[attr-defined]  # the application that we made
    everywhere = state.desk
    state.desk = replace(everywhere, labels=frozenset({"here"}))
    try:
        answer = world.post(f"/v1/jobs/{job}/split", json={"parts": "auto"})
        assert answer.status_code == 409
        for words in ("berlin", "planned", "performance.split: auto", "name the parts"):
            assert words in answer.text
        assert parts(world, job) == []
        named = [{"path": "/one"}, {"path": "/two"}]
        assert world.post(f"/v1/jobs/{job}/split", json={"parts": named}).status_code == 200
    finally:
        state.desk = everywhere


def test_a_part_cannot_be_split_and_an_empty_source_neither(world: World) -> None:
    job = filled(world)
    world.post(f"/v1/jobs/{job}/split", json={"parts": 2})
    part = parts(world, job)[0]["id"]
    assert world.post(f"/v1/jobs/{part}/split", json={"parts": 2}).status_code == 409
    world.make_folder("from/empty")
    body = world.body()
    body["transfer"]["source"]["target"]["path"] = "/empty"
    empty = world.post("/v1/jobs", json=body).json()["job"]["id"]
    assert world.post(f"/v1/jobs/{empty}/split", json={"parts": 2}).status_code == 409
    assert world.post("/v1/jobs/nothing/split", json={"parts": 2}).status_code == 404
    assert world.post(f"/v1/jobs/{empty}/split", json={"parts": 2}, role="operator").status_code == 403


def test_deleting_the_whole_deletes_its_parts(world: World) -> None:
    job = filled(world)
    world.post(f"/v1/jobs/{job}/split", json={"parts": 2})
    below = [part["id"] for part in parts(world, job)]
    world.delete(f"/v1/jobs/{job}")
    assert [world.get(f"/v1/jobs/{part}").status_code for part in below] == [404, 404]


# -- predecessors ------------------------------------------------------------------------------------------------


def test_predecessors_are_checked_and_named(world: World) -> None:
    first = world.job(name="the first")
    assert problems(world.post("/v1/jobs", json=world.body(predecessorIds=["nothing"]))) == ["/predecessorIds/0"]
    assert problems(world.post("/v1/jobs", json=world.body(predecessor_ids=[7]))) == ["/predecessor_ids/0"]
    bad = world.body(predecessorIds=[first], onPredecessorFailure="explode")
    assert problems(world.post("/v1/jobs", json=bad)) == ["/onPredecessorFailure"]
    second = world.job(predecessorIds=[first], status="start")
    found = world.get(f"/v1/jobs/{second}").json()["data"]
    assert (found["status"], found["predecessorIds"]) == ("waiting", [first])
    assert "the first" in found["info"]
    assert problems(world.patch(f"/v1/jobs/{first}", json={"predecessorIds": [second]})) == ["/predecessorIds"]
    assert problems(world.patch(f"/v1/jobs/{first}", json={"predecessorIds": [first]})) == ["/predecessorIds/0"]


def test_taking_the_predecessor_away_lets_the_job_go(world: World) -> None:
    first = world.job()
    second = world.job(predecessorIds=[first], status="start")
    assert world.patch(f"/v1/jobs/{second}", json={"name": "renamed"}).json()["data"]["status"] == "waiting"
    assert world.patch(f"/v1/jobs/{second}", json={"predecessorIds": []}).json()["data"]["status"] == "ready"


def test_a_deleted_predecessor_is_told_and_does_not_stop_other_changes(world: World) -> None:
    first = world.job(name="gone")
    second = world.job(predecessorIds=[first], status="start")
    world.delete(f"/v1/jobs/{first}")
    assert "deleted" in world.get(f"/v1/jobs/{second}").json()["data"]["info"]
    assert world.patch(f"/v1/jobs/{second}", json={"name": "renamed"}).status_code == 200


# -- plans and previews ------------------------------------------------------------------------------------------


def test_a_plan_counts_what_the_source_has(world: World) -> None:
    job = filled(world)
    plan = world.get(f"/v1/jobs/{job}/plan").json()["data"]["plan"]
    manifest = plan["manifest"]
    assert (manifest["items"], manifest["folders"], manifest["bytes"]) == (4, 2, 1305)
    assert manifest["largest"][0] == {"path": "/big.bin", "bytes": 900}
    assert set(manifest) >= {"items", "folders", "bytes", "complete", "largest", "tooLarge", "renamed", "blocked"}
    assert world.stored(job).state == "created"
    os.unlink(os.path.join(world.folder, "from/a/big.bin"))
    assert world.get(f"/v1/jobs/{job}/plan").json()["data"]["plan"]["manifest"]["items"] == 4  # as it was seen
    assert world.get(f"/v1/jobs/{job}/plan?anew=1").json()["data"]["plan"]["manifest"]["items"] == 3


def edge(key: str) -> dict[str, Any]:
    return {"sourceField": {"key": key}, "destinationField": {"key": key}}


TO_PATH = {"destinationField": {"key": "path"}}


def test_a_changed_plan_changes_what_travels(world: World) -> None:
    job = filled(world)
    path = f"/v1/jobs/{job}/plan"
    assert world.patch(path, json={"jobId": job, "fieldMapping": [edge("owner")]}).status_code == 200
    assert world.stored(job).transfer["preserve_owners"] is True
    whole = {
        "fieldMapping": [edge("name"), edge("permissions")],
        "unmappedSourceFields": [],
        "unmappedDestinationFields": [],
    }
    plan = world.call("PUT", path, json=whole).json()["data"]["plan"]
    assert [one["sourceField"]["key"] for one in plan["fieldMapping"]] == ["name", "path", "content", "permissions"]
    block = world.stored(job).transfer
    assert (block["timestamps"], block["preserve_owners"], block["permissions"]) == (False, False, {"policy": "add"})
    dropped = {"unmappedSourceFields": [{"sourceField": {"key": "permissions"}}]}
    assert world.patch(path, json=dropped).status_code == 200
    assert world.stored(job).transfer["permissions"] == {"policy": "none"}


@pytest.mark.parametrize(
    ("method", "body", "path"),
    [
        ("PUT", {}, "/fieldMapping"),
        ("PATCH", {"jobId": "other"}, "/jobId"),
        ("PATCH", {"fileId": "other"}, "/fileId"),
        ("PATCH", {"fieldMapping": {}}, "/fieldMapping"),
        ("PATCH", {"fieldMapping": [edge("name") | TO_PATH]}, "/fieldMapping/0/destinationField"),
        ("PATCH", {"fieldMapping": [edge("shoes")]}, "/fieldMapping/0/sourceField/key"),
        ("PATCH", {"fieldMapping": [edge("created")]}, "/fieldMapping/0/sourceField"),
        ("PATCH", {"fieldMapping": [edge("owner") | {"enumDetails": {"mapping": []}}]}, "/fieldMapping/0/enumDetails"),
        ("PATCH", {"unmappedSourceFields": [{"sourceField": {"key": "name"}}]}, "/unmappedSourceFields"),
        ("PATCH", {"wishes": []}, "/wishes"),
    ],
)  # fmt: skip
def test_a_plan_that_makes_no_sense_changes_nothing(world: World, method: str, body: Any, path: str) -> None:
    job = filled(world)
    before = world.stored(job)
    assert path in problems(world.call(method, f"/v1/jobs/{job}/plan", json=body))
    assert world.stored(job) == before


def test_the_plan_of_a_run_under_way_is_the_one_it_began_with(world: World) -> None:
    job = filled(world, status="start")
    world.run(job, "executing")
    world.patch(f"/v1/jobs/{job}", json={"transfer": {"timestamps": False}})
    plan = world.get(f"/v1/jobs/{job}/plan").json()["data"]["plan"]
    assert "modified" in [one["sourceField"]["key"] for one in plan["fieldMapping"]]
    assert world.patch(f"/v1/jobs/{job}/plan", json={"fieldMapping": [edge("owner")]}).status_code == 409


def preview(world: World, job: str, text: str, **more: Any) -> list[dict[str, Any]]:
    answer = world.post("/v1/jobs/preview-mutation", json={"sheetId": job, "mutateRecord": text, **more})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def test_a_preview_shows_before_and_after_and_stores_nothing(world: World) -> None:
    job = filled(world)
    found = preview(world, job, "name = upper(name); metadata.kind = 'x'", q="a.txt")
    cells = found[0]["values"]
    assert (cells["name"]["snapshotValue"], cells["name"]["value"]) == ("a.txt", "A.TXT")
    assert cells["path"]["value"] == "/one/A.TXT"
    assert cells["metadata.kind"]["value"] == "x"
    assert found[0]["valid"] is True
    assert world.stored(job).execution_id is None


def test_a_preview_says_what_the_destination_refuses_and_what_collides(world: World) -> None:
    job = filled(world)
    slash = preview(world, job, "name = 'a/b'", q="big")[0]
    assert slash["valid"] is False
    assert slash["values"]["name"]["messages"]
    long = preview(world, job, "name = pad(name, 300, 'n')", q="big")[0]
    assert "300 bytes" in long["values"]["name"]["messages"][0]["message"]
    twins = preview(world, job, "path = 'same.txt'", searchField="type", searchValue="file")
    assert len(twins) == 4
    assert all("the same place as" in one["values"]["path"]["messages"][0]["message"] for one in twins)
    empty = preview(world, job, "name = ''", q="big")[0]
    assert empty["valid"] is False


def test_a_preview_takes_known_items_by_filter_and_id(world: World) -> None:
    job = filled(world)
    world.run(job, "executing")
    ids = [world.item(job, f"x/{n:03}.txt", Status.FLAGGED if n % 2 else Status.SUCCESS) for n in range(250)]
    with world.database.begin() as tx:
        jobs.change(tx, job, root_item_id=1)
    assert len(preview(world, job, "name = 'n' + name")) == 100
    bad = preview(world, job, "name = 'n' + name", filter="error", q="x/00")
    assert [one["values"]["name"]["snapshotValue"] for one in bad] == [f"00{n}.txt" for n in (1, 3, 5, 7, 9)]
    chosen = preview(world, job, "name = 'n'", ids=[str(ids[4])])
    assert [one["id"] for one in chosen] == [str(ids[4])]
    without = preview(world, job, "name = 'n'", filter="error", q="x/00", ids=[str(ids[1])])
    assert len(without) == 4


@pytest.mark.parametrize(
    "change",
    [
        {"mutateRecord": "x"},
        {"mutateRecord": None},
        {"filter": "some"},
        {"searchField": "hat"},
        {"ids": 7},
        {"q": ""},
        {"z": 1},
    ],
)
def test_a_wrong_preview_is_refused(world: World, change: dict[str, Any]) -> None:
    body = {"sheetId": filled(world), "mutateRecord": "name = lower(name)"} | change
    assert world.post("/v1/jobs/preview-mutation", json=body).status_code == 400
    unknown = {"sheetId": "nothing", "mutateRecord": "name = lower(name)"}
    assert world.post("/v1/jobs/preview-mutation", json=unknown).status_code == 404


# -- trying again --------------------------------------------------------------------------------------------------


@pytest.fixture
def failed(world: World) -> tuple[str, dict[str, int]]:
    """Give a job that ended with three failed items."""
    job = world.job()
    run = world.run(job, "executing")
    names = {
        '=1+1, "x".txt': ("permission_denied", "cannot read 7 bytes: denied"),
        "b/c.txt": ("permission_denied", "cannot read 9 bytes: denied"),
        "bad\udcff.txt": ("locked", "busy"),
    }
    ids = {name: world.item(job, name, Status.FLAGGED, reason=r, message=told) for name, (r, told) in names.items()}
    world.run(job, "complete", result="errors", failed=3, transferred=1)
    assert run
    return job, ids


def test_the_scopes_of_a_retry(world: World, failed: tuple[str, dict[str, int]]) -> None:
    job, _ = failed
    for query, scope in (
        ("", '{"unresolved": true}'),
        ("?scope=failed", '{"unresolved": true, "only": "failed"}'),
        ("?scope=pending", '{"unresolved": true, "only": "pending"}'),
        ("?scope=all", None),
        ("?reason=locked", '{"unresolved": true, "reasons": ["locked"]}'),
    ):
        assert world.post(f"/v1/jobs/{job}/retry{query}").status_code == 200, query
        assert world.latest(job).scope == scope
        world.run(job, "failed")
    assert world.post(f"/v1/jobs/{job}/retry?scope=some").status_code == 400
    assert world.post(f"/v1/jobs/{job}/retry?reason=bad+luck").status_code == 400
    assert world.post(f"/v1/jobs/{job}/retry?scope=all&reason=locked").status_code == 400


def test_a_retry_by_the_message_of_a_group(world: World, failed: tuple[str, dict[str, int]]) -> None:
    job, ids = failed
    groups = world.get(f"/v1/jobs/{job}/failed-items?group_by=reason").json()
    message = next(group["reason"] for group in groups if group["count"] == 2)
    assert message == "cannot read # bytes: denied"
    assert world.call("POST", f"/v1/jobs/{job}/retry", params={"reason": message}).status_code == 200
    wanted = sorted(ids[name] for name in ids if name != "bad\udcff.txt")
    assert sorted(asked_items(world, job)) == wanted


def asked_items(world: World, job: str) -> list[int]:
    return list(json.loads(world.latest(job).scope or "{}")["items"])


@pytest.mark.parametrize("source", ["failed", "flagged"])
def test_a_list_of_ours_is_read_back(world: World, failed: tuple[str, dict[str, int]], source: str) -> None:
    job, ids = failed
    if source == "failed":
        text = world.get(f"/Job/{job}/FailedItems?bom=1", headers={"Accept": "text/csv"}).content
    else:
        text = world.get(f"/v1/transfers/items/flagged.csv?jobs={job}").content
    lines = text.splitlines(keepends=True)
    edited = b"".join(line for line in lines if b"b/c.txt" not in line)
    answer = world.call("POST", f"/v1/jobs/{job}/failed-items/import", files={"file": ("list.csv", edited, "text/csv")})
    assert answer.status_code == 200, answer.text
    assert answer.json()["meta"] == {"total_count": 2, "resolved": 0}
    assert answer.json()["data"]["status"] == "created"
    assert sorted(asked_items(world, job)) == sorted(ids[name] for name in ids if name != "b/c.txt")


def test_a_list_with_a_wrong_row_does_nothing_and_names_it(world: World, failed: tuple[str, dict[str, int]]) -> None:
    job, _ = failed
    before = world.stored(job)
    path = f"/v1/jobs/{job}/failed-items/import"
    root = f"{world.folder}/from/a"
    for content, places in (
        (f"Path,Reason\n{root}/b/c.txt,x\n{root}/none.txt,x\n/elsewhere,x\n", ["/rows/3", "/rows/4"]),
        ("id\n17\nx\n", ["/rows/2", "/rows/3"]),
        ("Name\nx\n", ["/rows/1"]),
        ("Path,Reason\nonly one cell\n", ["/rows/2"]),
        ('Path\n"open\n', ["/rows/2"]),
    ):
        answer = world.call("POST", path, content=content.encode(), headers={"Content-Type": "text/csv"})
        assert problems(answer) == places, content
    assert world.call("POST", path, content=b"Path\n\xff\xfe\n").status_code == 400
    assert world.stored(job) == before


def test_items_that_were_cured_since_are_counted_and_not_tried(
    world: World, failed: tuple[str, dict[str, int]]
) -> None:
    job, ids = failed
    world.patch(f"/v1/transfers/items/{ids['b/c.txt']}?ignore=1")
    listed = "id\n" + "".join(f"{one}\n" for one in ids.values())
    answer = world.call("POST", f"/v1/jobs/{job}/failed-items/import", content=listed.encode())
    assert answer.json()["meta"] == {"total_count": 2, "resolved": 1}


def test_an_administrator_ends_a_run_of_ours_and_nobody_else_does(world: World) -> None:
    job = world.job(status="start")
    world.run(job, "executing", failed=1)
    assert world.post(f"/v1/jobs/{job}/complete?force=true", role="manager").status_code == 403
    assert world.post(f"/v1/jobs/{job}/complete").status_code == 409
    done = world.post(f"/v1/jobs/{job}/complete?force=true", json={"info": "enough"}).json()["data"]
    assert (done["status"], done["info"]) == ("complete", "enough")
    assert world.latest(job).result == "errors"


def test_an_answer_that_is_given_again_is_the_same_in_every_part(world: World) -> None:
    headers = {"Idempotency-Key": "again"}
    body = world.body()
    first, again = (world.post("/v1/jobs", json=body, headers=headers) for _ in range(2))
    assert first.content == again.content
    for name in ("location", "etag", "content-type"):
        assert first.headers[name] == again.headers[name]
    assert again.headers["idempotency-replayed"] == "true"


def test_a_request_that_is_still_at_work_is_a_409_that_says_when(world: World) -> None:
    job = world.job()
    path = f"/v1/jobs/{job}/execute"
    digest = hashlib.sha256(f"POST {path}?\n".encode()).hexdigest()
    with world.database.read() as tx:
        user = tx.exec_driver_sql("SELECT id FROM users WHERE name = 'admin'").scalar()
    assert replies.claim(world.database, str(user), "slow", digest) is None
    answer = world.post(path, headers={"Idempotency-Key": "slow"})
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "1")


# -- original names ----------------------------------------------------------------------------------------------


def test_original_names_come_from_a_job_that_wrote_what_this_one_reads(world: World) -> None:
    first = world.job()
    made = world.body()["transfer"]
    back = {**made, "source": made["destination"], "destination": made["source"], "names_from": first}
    answer = world.post("/v1/jobs", json={"name": "back", "transfer": back})
    assert answer.status_code == 201, answer.json()
    job = answer.json()["data"]["id"]
    assert world.stored(job).transfer["names_from"] == first
    for bad, words in (("nobody", "there is no job"), (job, "itself")):
        answer = world.patch(f"/v1/jobs/{job}", json={"transfer": {"names_from": bad}})
        assert problems(answer) == ["/transfer/names_from"]
        assert words in answer.text
    answer = world.post("/v1/jobs", json={"name": "forth again", "transfer": {**made, "names_from": first}})
    assert problems(answer) == ["/transfer/names_from"]
    assert "another place" in answer.text
    assert world.stored(job).transfer["names_from"] == first
