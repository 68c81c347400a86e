"""Connections: make, show, change, delete, browse; platforms."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tallyport.store import widths, workers
from tallyport.store.workers import WorkerRow
from tests.api.world import World


def body(path: str, **more: Any) -> dict[str, Any]:
    return {"name": "share", "platform": {"id": "fs"}, "auth": {"path": path}, **more}


def test_a_connection_is_answered_twice_with_its_id(world: World) -> None:
    answer = world.post("/v1/connections", json=body(world.make_folder("x")))
    assert answer.status_code == 201, answer.text
    document = answer.json()
    assert document["connection"] == document["data"]
    assert document["connection"]["id"]
    assert document["connection"]["platform"] == {"id": "fs"}
    assert document["connection"]["auth"] == {"path": os.path.join(world.folder, "x")}
    assert answer.headers["location"].endswith(document["connection"]["id"])
    assert world.get(answer.headers["location"]).json()["connection"] == document["connection"]


def test_a_folder_that_is_not_there_is_named_and_made_only_when_asked_for(world: World) -> None:
    path = os.path.join(world.folder, "missing")
    answer = world.post("/v1/connections", json=body(path))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["path"] == "/auth/path"
    assert "create=1" in answer.json()["errors"][0]["message"]
    assert not os.path.exists(path)
    assert world.get("/v1/connections").json()["connections"] == []
    assert world.post("/v1/connections?create=1", json=body(path)).status_code == 201
    assert os.path.isdir(path)


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({}, "/platform/id"),
        ({"platform": {"id": "fss"}, "auth": {}}, "/platform/id"),
        ({"platform": {"id": 7}}, "/platform/id"),
        ({"platform": {"id": "fs"}}, "/auth/path"),
        ({"platform": {"id": "fs"}, "auth": {"path": "relative"}}, "/auth/path"),
        ({"platform": {"id": "fs"}, "auth": {"path": 7}}, "/auth/path"),
        ({"platform": {"id": "fs"}, "auth": {"path": "/", "pth": "x"}}, "/auth/pth"),
        ({"platform": {"id": "fs"}, "auth": "x"}, "/auth"),
        ({"platform": {"id": "fs"}, "auth": {"path": "/"}, "nmae": "x"}, "/nmae"),
    ],
)
def test_a_wrong_connection_is_named_by_its_place(world: World, document: dict[str, Any], path: str) -> None:
    answer = world.post("/v1/connections", json=document)
    assert answer.status_code == 400, answer.text
    assert path in [error["path"] for error in answer.json()["errors"]]


def test_a_platform_of_a_later_version_says_so_and_names_those_of_this(world: World) -> None:
    answer = world.post("/v1/connections", json={"platform": {"id": "azure_files"}, "auth": {}})
    assert answer.status_code == 400
    found = answer.json()["errors"][0]
    assert (found["path"], "fs" in found["allowed"]) == ("/platform/id", True), found


def test_connections_are_listed_and_filtered(world: World) -> None:
    for name in ("beta", "alpha"):
        world.connection(name)
    found = world.get("/v1/connections").json()
    assert [one["name"] for one in found["connections"]] == ["alpha", "beta"]
    assert found["meta"]["total_count"] == 2
    assert [one["name"] for one in world.get("/v1/connections?q=ALP").json()["connections"]] == ["alpha"]
    assert world.get("/v1/connections?platform=memory").json()["connections"] == []


def test_a_connection_is_changed_under_its_version(world: World) -> None:
    path = f"/v1/connections/{world.connection('x')}"
    tag = world.get(path).headers["etag"]
    assert world.get(path, headers={"If-None-Match": tag}).status_code == 304
    changed = world.patch(path, json={"name": "y"}, headers={"If-Match": tag})
    assert changed.json()["connection"]["name"] == "y"
    assert world.patch(path, json={"name": "z"}, headers={"If-Match": tag}).status_code == 412
    assert world.patch(path, json={"platform": {"id": "memory"}}).status_code == 400
    other = world.make_folder("other")
    assert world.patch(path, json={"auth": {"path": other}}).json()["connection"]["auth"] == {"path": other}


def test_a_connection_that_a_job_uses_stays(world: World) -> None:
    job_id = world.job()
    used = world.stored(job_id).source_connection
    assert world.delete(f"/v1/connections/{used}").status_code == 409
    world.delete(f"/v1/jobs/{job_id}")
    assert world.delete(f"/v1/connections/{used}").status_code == 200
    assert world.get(f"/v1/connections/{used}").status_code == 404


def test_a_connection_is_browsed_below_its_root(world: World) -> None:
    connection = world.connection("x")
    os.makedirs(os.path.join(world.folder, "x", "sub", "deep"))
    with open(os.path.join(world.folder, "x", "sub", "file.txt"), "w", encoding="utf-8") as stream:
        stream.write("abc")
    found = world.get(f"/v1/connections/{connection}/items?path=/sub").json()
    assert [(one["name"], one["type"], one["path"]) for one in found["item"]] == [
        ("deep", "container", "/sub/deep"),
        ("file.txt", "item", "/sub/file.txt"),
    ]
    assert found["item"][1]["bytes"] == 3
    assert world.get(f"/v1/connections/{connection}/items?path=/sub&limit=1").json()["meta"]["has_more"]
    assert world.get(f"/v1/connections/{connection}/items?path=/nothing").status_code == 404
    assert world.get(f"/v1/connections/{connection}/items?path=/../..").status_code == 400


def test_a_symlink_does_not_lead_out_of_a_connection(world: World) -> None:
    connection = world.connection("x")
    os.symlink("/etc", os.path.join(world.folder, "x", "out"))
    found = world.get(f"/v1/connections/{connection}/items?path=/out")
    assert found.status_code in (200, 400)
    if found.status_code == 200:
        assert [one["kind"] for one in found.json()["item"]] == ["symlink"]


def test_platforms_tell_what_they_need(world: World) -> None:
    ids = [one["id"] for one in world.get("/v1/connections/platforms").json()["platforms"]]
    assert "fs" in ids
    shown = world.get("/v1/connections/platforms/nfs").json()["platform"]
    assert shown["id"] == "fs"
    form = world.get("/v1/connections/platforms/fs/new").json()["connection_form"]
    assert form["attributes"]["path"]["required"] is True


def test_traffic_says_how_each_worker_works_a_connection_and_what_the_next_one_begins_with(world: World) -> None:
    connection = world.connection("shared")
    address = f"/v1/connections/{connection}/traffic"
    assert world.get(address).json()["traffic"] == {"here": None, "workers": [], "start": None}
    with world.database.begin() as tx:
        for name in ("ann", "bob"):
            workers.beat(tx, world.database, WorkerRow(name, f"host of {name}", 1, "1", "", 2, 0, 0, False, None))
        widths.note(tx, world.database, connection, "ann", 12, 0.0)
        widths.note(tx, world.database, connection, "bob", 6, 60.0)
    told = world.get(address, role="viewer").json()["traffic"]
    ann, bob = told["workers"]
    assert (ann["worker"], ann["host"], ann["places"], ann["wait_seconds"]) == ("ann", "host of ann", 12, 0.0)
    assert bob["places"] == told["start"]["places"] == 6
    assert 50 < bob["wait_seconds"] <= 60
    assert world.get("/v1/connections/nobody/traffic").status_code == 404


def test_what_was_found_of_a_connection_is_forgotten_when_it_leads_elsewhere(world: World, tmp_path: Path) -> None:
    connection = world.connection("moving")
    address = f"/v1/connections/{connection}"
    with world.database.begin() as tx:
        widths.note(tx, world.database, connection, "local", 12, 0.0)
    assert world.patch(address, json={"name": "moved"}).status_code == 200
    assert world.get(f"{address}/traffic").json()["traffic"]["start"]["places"] == 12
    (tmp_path / "elsewhere").mkdir()
    assert world.patch(address, json={"auth": {"path": str(tmp_path / "elsewhere")}}).status_code == 200
    assert world.get(f"{address}/traffic").json()["traffic"]["start"] is None
