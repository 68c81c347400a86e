"""What cannot be used is refused with its place and the words that would do, and nothing changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from tallyport.control import reading
from tallyport.store import jobs
from tests.api.world import World

PROBLEM = {"type", "title", "status", "detail", "code", "request_id", "errors"}


def problem(answer: Any, status: int = 400) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert set(found) >= PROBLEM
    assert found["status"] == status
    assert found["request_id"] == answer.headers["x-request-id"]
    assert found["errors"]
    assert all({"key", "message", "description", "path", "allowed"} <= set(error) for error in found["errors"])
    return found


def count(world: World) -> int:
    with world.database.read() as tx:
        return jobs.page(tx)[1]


def test_a_misspelt_policy_value_names_its_place_and_the_words(world: World) -> None:
    body = world.body()
    body["transfer"]["conflict_resolution"] = "lastest"
    error = problem(world.post("/v1/jobs", json=body))["errors"][0]
    assert error["path"] == "/transfer/conflict_resolution"
    assert error["allowed"] == ["copy", "latest", "source", "destination", "failure"]
    assert "latest" in error["message"]
    assert count(world) == 0


def test_a_misspelt_policy_in_a_patch_changes_nothing(world: World) -> None:
    job_id = world.job()
    before = world.stored(job_id)
    problem(world.patch(f"/v1/jobs/{job_id}", json={"name": "x", "transfer": {"item_overwrite": "never"}}))
    assert world.stored(job_id) == before


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"transfer": "x"}, "/transfer"),
        ({"transfer": None}, "/transfer"),
        ({"kind": "tranfser"}, "/kind"),
        ({"nmae": "x"}, "/nmae"),
        ({"name": 5}, "/name"),
        ({"name": "x" * 501}, "/name"),
        ({"schedule": {"mode": "sometimes"}}, "/schedule/mode"),
        ({"schedule": []}, "/schedule"),
        ({"stop_policy": {"on_succes": 1}}, "/stop_policy/on_succes"),
        ({"stop_policy": {"on_success": 0}}, "/stop_policy/on_success"),
        ({"stop_policy": {"on_success": True}}, "/stop_policy/on_success"),
        ({"category": {"name": 7}}, "/category/name"),
        ({"priority": "high"}, "/priority"),
        ({"priority": 1 << 70}, "/priority"),
        ({"status": "go"}, "/status"),
        ({"status": 7}, "/status"),
    ],
)
def test_a_wrong_value_is_named_by_its_place(world: World, change: dict[str, Any], path: str) -> None:
    found = problem(world.post("/v1/jobs", json=world.body(**change)))
    assert path in [error["path"] for error in found["errors"]]
    assert count(world) == 0


def test_all_that_is_wrong_is_told_at_once(world: World) -> None:
    body = world.body(status="go", stop_policy={"x": 1})
    body["transfer"]["audit_level"] = "loud"
    paths = {error["path"] for error in problem(world.post("/v1/jobs", json=body))["errors"]}
    assert {"/status", "/stop_policy/x", "/transfer/audit_level"} <= paths


def test_an_unknown_connection_is_named_by_its_place(world: World) -> None:
    body = world.body()
    body["transfer"]["destination"]["connection"]["id"] = "nothing"
    assert problem(world.post("/v1/jobs", json=body))["errors"][0]["path"] == "/transfer/destination/connection/id"


def places(world: World, source: tuple[str, str], destination: tuple[str, str], **more: Any) -> Any:
    ends = {
        side: {"connection": {"id": connection}, "target": {"path": path}}
        for side, (connection, path) in (("source", source), ("destination", destination))
    }
    return world.post("/v1/jobs", json={"transfer": {"transfer_type": "copy", **ends, **more}})


def test_both_ends_at_one_place_are_refused_naming_both(world: World) -> None:
    one = world.connection("one")
    found = problem(places(world, (one, "/a"), (one, "/a/")))
    assert [error["path"] for error in found["errors"]] == [
        "/transfer/source/target/path",
        "/transfer/destination/target/path",
    ]
    assert count(world) == 0


def test_a_destination_inside_the_source_is_refused(world: World) -> None:
    one = world.connection("one")
    problem(places(world, (one, "/a"), (one, "/a/b")))
    problem(places(world, (one, "/"), (one, "/b")))
    assert places(world, (one, "/a"), (one, "/ab")).status_code == 201


def test_two_connections_that_lead_to_one_folder_are_seen_through(world: World) -> None:
    outer, inner = world.connection("one"), world.connection("one/inner")
    problem(places(world, (outer, "/inner/x"), (inner, "/x")))
    problem(places(world, (outer, "/"), (inner, "/x")))


def test_a_source_inside_the_destination_is_refused_only_where_things_are_deleted(world: World) -> None:
    one = world.connection("one")
    assert places(world, (one, "/a/b"), (one, "/a")).status_code == 201
    problem(places(world, (one, "/a/b"), (one, "/a"), transfer_type="publish"))
    problem(places(world, (one, "/a/b"), (one, "/a"), delete_propagation="mirror"))


@pytest.mark.parametrize("path", ["/../x", "/a/../../b", "/a/./b", "/a\u0000b"])
def test_a_path_cannot_leave_its_connection(world: World, path: str) -> None:
    body = world.body()
    body["transfer"]["source"]["target"]["path"] = path
    assert problem(world.post("/v1/jobs", json=body))["errors"][0]["path"] == "/transfer/source/target/path"


@pytest.mark.parametrize("content", [b"{", b"[1", b"\xff", b"nope", b'{"a": NaN}', b"[" * 100_000])
def test_a_body_that_is_not_json_is_refused(world: World, content: bytes) -> None:
    assert problem(world.post("/v1/jobs", content=content))["errors"][0]["code"] == "not_json"


@pytest.mark.parametrize("content", [b"[]", b'"text"', b"7", b"null", b"{}"])
def test_a_body_that_is_no_job_is_refused(world: World, content: bytes) -> None:
    problem(world.post("/v1/jobs", content=content))


def test_lone_surrogates_do_no_harm(world: World) -> None:
    content = json.dumps(world.body(name="a\ud800b")).encode()
    assert world.post("/v1/jobs", content=content).status_code in (201, 400)


def test_a_huge_body_is_refused_announced_or_not(world: World) -> None:
    problem(world.post("/v1/jobs", content=b" " * (9 << 20)), 413)

    def pieces() -> Any:
        for _ in range(9):
            yield b" " * (1 << 20)

    problem(world.post("/v1/jobs", content=pieces()), 413)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "offset=-1",
        "limit=\u0663",
        "pageSize=5&limit=5",
        "pageNumber=0",
        "status=sideways",
        "profile=other",
        "sortDirection=up&pageSize=3",
        "excludeChildJobs=maybe",
    ],
)
def test_a_bad_query_of_a_list_is_refused(world: World, query: str) -> None:
    problem(world.get(f"/v1/jobs?{query}"))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/jobs/nothing"),
        ("PATCH", "/v1/jobs/nothing?start=1"),
        ("DELETE", "/v1/jobs/nothing"),
        ("POST", "/v1/jobs/nothing/retry"),
        ("POST", "/v1/jobs/nothing/execute"),
        ("POST", "/v1/jobs/nothing/clone"),
        ("GET", "/v1/jobs/nothing/plan"),
        ("GET", "/v1/jobs/nothing/history"),
        ("GET", "/v1/jobs/nothing/failed-items"),
        ("GET", "/v1/connections/nothing"),
        ("PATCH", "/v1/connections/nothing"),
        ("DELETE", "/v1/connections/nothing"),
        ("GET", "/v1/connections/nothing/items"),
        ("GET", "/v1/connections/platforms/nothing"),
        ("GET", "/v1/transfers/items?job=nothing"),
        ("GET", "/v1/transfers/items/nothing"),
        ("GET", "/v1/transfers/items/99999999999999999999999"),
        ("GET", "/v1/transfers/items/7"),
        ("PATCH", "/v1/transfers/items/7?retry=1"),
        ("GET", "/v1/transfers/nothing/stats"),
        ("GET", "/v1/transfers/auditing?job=nothing"),
    ],
)
def test_what_is_unknown_is_404(world: World, method: str, path: str) -> None:
    body = {"name": "x"} if "connections" in path else None
    assert problem(world.call(method, path, json=body), 404)["code"] == "not_found"


@pytest.mark.parametrize(
    "target", [{"uri": "file:///srv"}, {"item": "7"}, {"item": {"id": "7"}}, {"uri": "x:"}, {"item": False}]
)
@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_target_by_anything_but_its_path_is_refused_with_the_reason(world: World, side: str, target: Any) -> None:
    body = world.body()
    body["transfer"][side]["target"] = target
    found = problem(world.post("/v1/jobs", json=body), 400)
    assert [(one["path"], one["allowed"]) for one in found["errors"]] == [
        (f"/transfer/{side}/target/{next(iter(target))}", ["path"])
    ]


@pytest.mark.parametrize("kind", ["user_account_mapping", "network_home_drive_mapping", "folder_maping", 7])
def test_other_kinds_of_jobs_are_refused_with_those_that_there_are(world: World, kind: object) -> None:
    found = problem(world.post("/v1/jobs", json=world.body(kind=kind)), 400)
    assert [(one["path"], one["allowed"]) for one in found["errors"]] == [("/kind", ["transfer", "folder_mapping"])]


@pytest.mark.parametrize(
    ("block", "path"),
    [
        ({"schedule": {"mode": "often"}}, "/transfer/schedule/mode"),
        ({"schedule": {"mode": "auto", "cron": "x"}}, "/transfer/schedule/cron"),
        ({"stop_policy": {"on_execute": 0}}, "/transfer/stop_policy/on_execute"),
        ({"stop_policy": {"never": 1}}, "/transfer/stop_policy/never"),
    ],
)
def test_what_is_said_of_children_is_checked_in_its_place(world: World, block: dict[str, Any], path: str) -> None:
    body = world.body(kind="folder_mapping")
    body["transfer"] |= block
    found = problem(world.post("/v1/jobs", json=body), 400)
    assert [one["path"] for one in found["errors"]] == [path]
    plain = world.body()
    plain["transfer"] |= block
    found = problem(world.post("/v1/jobs", json=plain), 400)
    assert found["errors"][0]["path"] == "/" + "/".join(path.split("/")[1:3])


def test_the_kind_of_a_job_is_fixed(world: World) -> None:
    job_id = world.job()
    found = problem(world.patch(f"/v1/jobs/{job_id}", json={"kind": "folder_mapping", "name": "x"}), 400)
    assert [one["path"] for one in found["errors"]] == ["/kind"]


def test_a_patch_that_asks_for_nothing_or_for_two_things_is_refused(world: World) -> None:
    job_id = world.job()
    before = world.stored(job_id)
    for query, body in (
        ("", {}),
        ("", {"kind": "transfer"}),
        ("?start=1", {"name": "x"}),
        ("?start=1&cancel=1", None),
        ("?reset=sideways", None),
        ("", {"name": "x", "status": "canceled"}),
        ("", {"status": "sideways"}),
        ("", {"progress": 101}),
        ("", {"metadata": 7}),
        ("", {"info": 7}),
        ("", {"unknown": 7}),
        ("", {"transfer": {"audit_level": "none"}, "config": {"audit_level": "info"}}),
        ("", [1]),
    ):
        problem(world.patch(f"/v1/jobs/{job_id}{query}", json=body))
    assert world.stored(job_id) == before


def test_the_ends_of_a_job_are_fixed(world: World) -> None:
    job_id = world.job()
    answer = world.patch(f"/v1/jobs/{job_id}", json={"transfer": {"source": {"target": {"path": "/other"}}}})
    assert problem(answer)["errors"][0]["path"] == "/transfer/source"


@pytest.mark.parametrize(
    "body",
    [{"items": []}, {"items": ["x"]}, {"items": 7}, {"items": [True]}, {"items": [12345]}, {"itmes": [1]}, [1]],
)
def test_a_bad_list_of_items_to_retry_is_refused(world: World, body: Any) -> None:
    job_id = world.job()
    run = world.run(job_id, "executing")
    world.run(job_id, "failed")
    problem(world.post(f"/v1/jobs/{job_id}/retry", json=body))
    problem(world.post(f"/v1/jobs/{job_id}/retry?reason=sideways"))
    problem(world.post(f"/v1/jobs/{job_id}/retry?scope=sideways"))
    assert world.latest(job_id).id == run


INJECTIONS = ["' OR 1=1 --", '"; DROP TABLE jobs; --', "%", "_", "\\", "%00", "a" * 5_000, "{{7*7}}", "../../etc"]


@pytest.mark.parametrize("text", INJECTIONS)
def test_a_filter_is_data(world: World, text: str) -> None:
    job_id = world.job()
    world.run(job_id, "executing")
    world.item(job_id, "a.txt")
    found = world.get("/v1/jobs", params={"q": text})
    assert found.status_code == 200
    assert found.json()["jobs"] == []
    items = world.get("/v1/transfers/items", params={"job": job_id, "q": text})
    assert items.status_code == 200
    assert items.json()["item"] == []
    for name in ("status", "job", "parent", "cursor", "reason", "execution"):
        answer = world.get("/v1/transfers/items", params={"job": job_id, name: text})
        assert answer.status_code in (400, 404), name
    assert count(world) == 1


def test_text_that_no_name_can_hold_is_refused(world: World) -> None:
    problem(world.get("/v1/jobs", params={"q": "\x00"}))
    problem(world.get("/v1/transfers/items", params={"job": world.job(), "q": "\x00"}))
    problem(world.post("/v1/jobs", json=world.body(name="a\x00b")))


def test_hooks_header_takes_true_and_false_only(world: World) -> None:
    job_id = world.job()
    assert world.get(f"/v1/jobs/{job_id}", headers={"X-Disable-Hooks": "TRUE"}).json().keys() == {"data"}
    assert "job" in world.get(f"/v1/jobs/{job_id}", headers={"X-Disable-Hooks": "false"}).json()
    problem(world.get(f"/v1/jobs/{job_id}", headers={"X-Disable-Hooks": "1"}))


def test_what_goes_wrong_here_is_a_problem_without_its_inside(
    new_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(reading, "job", broken)
    client = TestClient(new_world.client.app, raise_server_exceptions=False)
    headers = {"Authorization": f"Bearer {new_world.tokens['admin']}", "X-Request-Id": "abc"}
    found = problem(client.get("/v1/jobs/x", headers=headers), 500)
    assert found["request_id"] == "abc"
    assert "secret" not in str(found)
