"""Folder mappings over HTTP: a parent, its children, and what they look like."""

from __future__ import annotations

from typing import Any

from tallyport.domain.folder_mapping import Folder
from tallyport.domain.items import Status
from tallyport.domain.jobs import Job
from tallyport.store import folder_mapping
from tests.api.world import World


def mapping(world: World, **changes: Any) -> str:
    body = world.body(kind="folder_mapping", **changes)
    body["transfer"] |= {"schedule": {"mode": "manual"}, "stop_policy": {"on_success": 3}, "audit_level": "trace"}
    body["schedule"] = changes.get("schedule", {"mode": "auto", "repeat_interval": {"value": 6, "unit": "h"}})
    answer = world.post("/v1/jobs", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["job"]["id"])


def made(world: World, parent: str, *names: str) -> list[Job]:
    with world.database.begin() as tx:
        return folder_mapping.make(tx, world.stored(parent), [Folder(name, name) for name in names])


def test_a_mapping_is_shown_as_it_was_sent_and_its_children_name_their_parent(world: World) -> None:
    parent = mapping(world, name="home drives")
    shown = world.get(f"/v1/jobs/{parent}?profile=dryviq").json()["job"]
    assert (shown["kind"], shown["name"]) == ("folder_mapping", "home drives")
    assert shown["schedule"] == {"mode": "auto", "repeat_interval": {"value": 6, "unit": "h"}}
    assert shown["transfer"]["schedule"] == {"mode": "manual"}
    assert shown["transfer"]["stop_policy"] == {"on_success": 3}
    assert "belong to no child" in shown["warnings"][-1]
    made(world, parent, "Ann", "Ben")
    listed = world.get(f"/v1/jobs?parent={parent}&sortDirection=asc&profile=dryviq").json()
    assert listed["meta"]["total_count"] == 2
    one = next(job for job in listed["jobs"] if job["discriminator"] == "Ann")
    assert (one["kind"], one["name"], one["parent_id"]) == ("transfer", "home drives / Ann", parent)
    assert one["transfer"]["source"]["target"] == {"path": "/a/Ann"}
    assert one["transfer"]["destination"]["target"] == {"path": "/b/Ann"}
    assert (one["schedule"], one["stop_policy"], one["disabled"]) == ({"mode": "manual"}, {"on_success": 3}, False)
    assert "schedule" not in one["transfer"]
    assert one["transfer"]["audit_level"] == "trace"
    assert len(world.get("/v1/jobs?excludeChildJobs=true&profile=dryviq").json()["jobs"]) == 1
    assert world.get("/v1/jobs?kind=folder_mapping").json()["meta"]["total_count"] == 1


def test_without_a_schedule_a_mapping_looks_by_itself_and_its_children_wait(world: World) -> None:
    body = world.body(kind="folder_mapping")
    del body["schedule"]
    parent = world.post("/v1/jobs", json=body).json()["job"]
    assert (parent["schedule"], world.stored(parent["id"]).state) == ({"mode": "auto"}, "ready")
    (child,) = made(world, parent["id"], "Ann")
    assert (child.schedule_mode, child.state) == ("manual", "created")


def test_making_a_child_of_the_same_folder_again_makes_none(world: World) -> None:
    parent = mapping(world)
    first = made(world, parent, "Ann", "caf\udce9")
    assert [child.source_path for child in first] == ["a/Ann", "a/caf\udce9"]
    assert made(world, parent, "Ann", "caf\udce9", "Ben")[0].source_path == "a/Ben"


def test_a_child_whose_name_is_no_text_can_be_shown_and_changed(world: World) -> None:
    parent = mapping(world)
    (child,) = made(world, parent, "caf\udce9")
    shown = world.get(f"/v1/jobs/{child.id}").json()["job"]
    assert (shown["discriminator"], shown["transfer"]["source"]["target"]["path"]) == ("caf\\xe9", "/a/caf\\xe9")
    assert world.patch(f"/v1/jobs/{child.id}", json={"priority": 4}).status_code == 200
    assert (world.stored(child.id).priority, world.stored(child.id).source_path) == (4, "a/caf\udce9")


def test_a_patch_of_the_parent_reaches_every_child_at_once(world: World) -> None:
    parent = mapping(world)
    children = made(world, parent, *(f"f{number:03}" for number in range(120)))
    patch = {"transfer": {"verify": "cold", "schedule": {"mode": "auto", "start_date": 4_000_000_000}}}
    assert world.patch(f"/v1/jobs/{parent}", json=patch).status_code == 200
    for child in children:
        now = world.stored(child.id)
        assert (now.transfer["verify"], now.schedule_mode) == ("cold", "auto")
        assert now.next_run_at == 4_000_000_000_000_000


def test_all_children_are_commanded_by_the_filter_of_their_parent(world: World) -> None:
    parent = mapping(world)
    children = made(world, parent, "Ann", "Ben")
    answer = world.patch(f"/v1/jobs?parent={parent}&start=1").json()["meta"]
    assert (answer["changed"], answer["refused"]) == (2, [])
    assert {world.stored(child.id).state for child in children} == {"ready"}


def test_a_disabled_job_does_not_run_until_it_is_enabled(world: World) -> None:
    job = world.job(schedule={"mode": "auto"})
    world.run(job, "executing")
    world.run(job, "complete")
    shown = world.patch(f"/v1/jobs/{job}", json={"disabled": True}).json()["job"]
    assert (shown["disabled"], shown["disabled_reason"], shown["health"]) == (True, "by admin", "inactive")
    for call in (f"/v1/jobs/{job}/execute", f"/v1/jobs/{job}/retry?scope=all"):
        answer = world.post(call)
        assert answer.status_code == 409, answer.text
    assert "disabled: by admin" in world.post(f"/v1/jobs/{job}/execute").json()["detail"]
    assert world.patch(f"/v1/jobs/{job}", json={"disabled": "yes"}).status_code == 400
    assert world.patch(f"/v1/jobs/{job}", json={"disabled": None}).json()["job"]["disabled"] is False
    assert world.post(f"/v1/jobs/{job}/execute").status_code == 200
    new = world.post("/v1/jobs", json=world.body(disabled=True, schedule={"mode": "auto"})).json()["job"]
    assert (new["disabled"], world.stored(new["id"]).state) == (True, "scheduled")
    world.patch(f"/v1/jobs/{new['id']}", json={"disabled": False})
    assert world.stored(new["id"]).state == "ready"


def test_a_mapping_is_not_split_and_not_undone(world: World) -> None:
    parent = mapping(world)
    run = world.run(parent, "executing")
    world.run(parent, "complete")
    assert world.post(f"/v1/jobs/{parent}/split", json={"parts": 2}).status_code == 409
    assert world.post(f"/v1/transfers/executions/{run}/undo").status_code == 409


def test_a_deleted_mapping_hides_its_children_with_their_history(world: World) -> None:
    parent = mapping(world)
    children = made(world, parent, *(f"f{number:03}" for number in range(60)))
    active = world.run(children[0].id, "executing")
    assert world.delete(f"/v1/jobs/{parent}").status_code == 200
    assert world.get("/v1/jobs").json()["meta"]["total_count"] == 0
    assert {world.get(f"/v1/jobs/{child.id}").status_code for child in children} == {404}
    with world.database.read() as tx:
        row = tx.exec_driver_sql("SELECT state FROM executions WHERE id = ?", (active,)).scalar_one()
    assert row == "canceling"


def test_a_clone_of_a_mapping_says_the_same_of_its_children(world: World) -> None:
    parent = mapping(world)
    answer = world.post(f"/v1/jobs/{parent}/clone", json={"schedule": {"mode": "manual"}})
    assert answer.status_code == 201, answer.text
    cloned = answer.json()["job"]
    assert (cloned["kind"], cloned["transfer"]["schedule"]) == ("folder_mapping", {"mode": "manual"})


def three_children(world: World) -> str:
    """A mapping with a child that carried all, one with a failed item, and one that is disabled."""
    parent = mapping(world, name="home drives")
    ann, ben, cleo = made(world, parent, "Ann", "Ben", "Cleo")
    world.run(parent, "executing")
    world.run(parent, "complete", folders=3, writes=3)
    for child, failed in ((ann, 0), (ben, 1)):
        world.run(child.id, "executing")
        world.item(child.id, "one.txt", size=7)
        if failed:
            world.item(child.id, "two.txt", Status.FLAGGED, reason="permission_denied", size=5)
        result = "errors" if failed else "clean"
        world.run(
            child.id, "complete", result=result, files=1 + failed, transferred=1, transferred_bytes=7, failed=failed
        )
    assert world.patch(f"/v1/jobs/{cleo.id}", json={"disabled": True}).status_code == 200
    return parent


def test_the_document_of_a_mapping_counts_its_children_and_what_they_did(world: World) -> None:
    parent = three_children(world)
    found = world.get(f"/v1/jobs/{parent}?profile=dryviq").json()["job"]["children"]
    assert (found["count"], found["by_state"]) == (3, {"complete": 2, "created": 1})
    assert (found["disabled"], found["with_errors"], found["unresolved_items"]) == (1, 1, 1)
    stats = found["stats"]
    assert (stats["files"], stats["transferred"], stats["transferred_bytes"], stats["failed"]) == (3, 2, 14, 1)
    child = world.get(f"/v1/jobs?parent={parent}&profile=dryviq").json()["jobs"][0]["id"]
    assert "children" not in world.get(f"/v1/jobs/{child}?profile=dryviq").json()["job"]


def test_a_child_that_was_deleted_counts_no_more(world: World) -> None:
    parent = three_children(world)
    listed = world.get(f"/v1/jobs?parent={parent}&profile=dryviq").json()["jobs"]
    ben = next(job["id"] for job in listed if job["discriminator"] == "Ben")
    assert world.delete(f"/v1/jobs/{ben}").status_code == 200
    found = world.get(f"/v1/jobs/{parent}?profile=dryviq").json()["job"]["children"]
    assert (found["count"], found["with_errors"], found["unresolved_items"]) == (2, 0, 0)
    assert found["stats"]["transferred"] == 1


def test_the_stats_of_a_mapping_are_those_of_its_children(world: World) -> None:
    parent = three_children(world)
    stats = world.get(f"/v1/transfers/{parent}/stats").json()["stats"]
    children = [job["id"] for job in world.get(f"/v1/jobs?parent={parent}").json()["jobs"]]
    each = [world.get(f"/v1/transfers/{child}/stats").json()["stats"] for child in children]
    assert stats["count"] == sum(one["count"] for one in each)
    assert stats["by_status"]["success"]["bytes"] == sum(
        one["by_status"].get("success", {"bytes": 0})["bytes"] for one in each
    )
    assert stats["by_status"]["remediation"] == {"count": 1, "bytes": 5}
    assert (stats["jobs"], stats["executions"], stats["children"]["count"]) == (4, 3, 3)
    whole = world.get("/v1/transfers/stats").json()["stats"]
    assert {key: whole[key] for key in ("count", "bytes", "jobs", "executions")} == {
        key: stats[key] for key in ("count", "bytes", "jobs", "executions")
    }


def test_what_failed_in_the_children_is_what_failed_in_the_mapping(world: World) -> None:
    parent = three_children(world)
    (longer,) = made(world, parent, "Ben b")  # its paths stand before those of Ben: a blank is before a slash
    world.run(longer.id, "executing")
    world.item(longer.id, "three.txt", Status.FLAGGED, reason="locked", message="busy")
    world.run(longer.id, "complete", result="errors", failed=1)
    answer = world.get(f"/Job/{parent}/FailedItems")
    ends = [one["entity"].rpartition("/a/")[2] for one in answer.json()["failedItems"]]
    assert (ends, answer.headers["x-total-count"]) == (["Ben b/three.txt", "Ben/two.txt"], "2")
    groups = world.get(f"/v1/jobs/{parent}/failed-items?group_by=reason").json()
    assert sorted((group["code"], group["count"]) for group in groups) == [("locked", 1), ("permission_denied", 1)]
    reasons = world.get(f"/v1/reports/summary?job={parent}").json()["report"]["failed_by_reason"]
    assert reasons == {"permission_denied": 1, "locked": 1}


def test_a_report_has_the_figures_of_the_children_once(world: World) -> None:
    parent = three_children(world)
    alone = world.get(f"/v1/reports/summary?job={parent}").json()["report"]
    assert alone["unresolved"] == 1
    (row,) = alone["jobs"]
    assert (row["files"], row["carried"], row["carried bytes"], row["failed now"]) == (3, 2, 14, 1)
    together = world.get("/v1/reports/summary").json()["report"]
    assert (len(together["jobs"]), together["unresolved"]) == (4, 1)


def test_what_the_items_of_a_mapping_are_is_counted_with_those_of_its_children(world: World) -> None:
    parent = three_children(world)
    children = {job["discriminator"]: job["id"] for job in world.get(f"/v1/jobs?parent={parent}").json()["jobs"]}
    world.item(children["Ann"], "deep/er/pic.PNG", size=70_000)
    (gone,) = made(world, parent, "Gone")
    world.run(gone.id, "executing")
    world.item(gone.id, "not-counted.txt")
    world.run(gone.id, "complete", transferred=9)
    world.delete(f"/v1/jobs/{gone.id}")

    def stats(kind: str) -> dict[str, int]:
        answer = world.get(f"/v1/transfers/{parent}/stats/{kind}")
        while answer.status_code == 202:
            answer = world.get(f"/v1/transfers/{parent}/stats/{kind}")
        return {one["name"]: one["count"] for one in answer.json()["stats"]}

    assert stats("by_ext") == {".png": 1, ".txt": 3}
    assert stats("by_depth") == {"1": 3, "3": 1}, "as seen from the root of the mapping"
    assert stats("by_category")["permission_denied"] == 1
    assert sum(stats("by_size").values()) == sum(stats("by_age").values()) == 4
    assert stats("by_content_category") == {"Images": 1, "Documents": 3}
    found = world.get(f"/v1/jobs/{parent}/breakdown").json()["breakdown"]
    assert sum(line["count"] for line in found["by_reason"] if line["kind"] == "file") == 4


def test_the_days_and_the_reasons_of_a_mapping_are_those_of_its_children_once(world: World) -> None:
    parent = three_children(world)
    alone = world.get(f"/v1/reports/summary?job={parent}").json()["report"]
    everything = world.get("/v1/reports/summary").json()["report"]
    named = ",".join(job["id"] for job in world.get(f"/v1/jobs?parent={parent}").json()["jobs"])
    both = world.get(f"/v1/reports/summary?job={parent},{named}").json()["report"]
    for found in (alone, everything, both):
        assert found["failed_by_reason"] == {"permission_denied": 1}
        (day,) = found["days"]
        assert (day["transferred"], day["transferred_bytes"], day["failed"]) == (2, 14, 1)
