"""Secrets of a connection are written and never read back, and a stored one goes nowhere but where it was given for."""

from __future__ import annotations

import logging
import re

import pytest

from tallyport.connectors import registry
from tallyport.domain.items import Status
from tests import vaulted
from tests.api.world import World

CANARY = "canary-5f1e9c-password"


@pytest.fixture(autouse=True)
def platform(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.PLATFORMS, "vaulted", vaulted.PLATFORM)
    monkeypatch.setattr(vaulted, "OPENED", [])


def made(world: World, **auth: object) -> str:
    body = {"name": "safe", "platform": {"id": "vaulted"}, "auth": {"host": "here", "password": CANARY, **auth}}
    answer = world.post("/v1/connections", json=body)
    assert answer.status_code == 201, answer.text
    return f"/v1/connections/{answer.json()['connection']['id']}"


def test_a_secret_reaches_the_connector_and_no_answer(world: World) -> None:
    path = made(world)
    assert vaulted.OPENED[-1].password == CANARY
    assert world.get(f"{path}/items").status_code == 200
    assert vaulted.OPENED[-1].password == CANARY
    for url in (path, "/v1/connections", "/v1/connections/platforms/vaulted/new"):
        assert CANARY not in world.get(url).text
    shown = world.get(path).json()["connection"]
    assert shown["auth"] == {"host": "here"}
    assert shown["secrets"] == {"password": "set"}


def test_a_secret_stands_nowhere_in_the_store_in_the_log_or_in_a_representation(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    made(world)
    body = {"platform": {"id": "vaulted"}, "auth": {"host": "refuses", "password": CANARY, "nonsense": 1}}
    refused = [world.post("/v1/connections", json=body), world.post("/v1/connections", json={**body, "auth": CANARY})]
    body["auth"] = {"host": "refuses", "password": CANARY}
    refused.append(world.post("/v1/connections", json=body))
    refused.append(world.post("/v1/connections", json={**body, "auth": {"host": 1, "password": [CANARY]}}))
    for answer in refused:
        assert answer.status_code == 400
        assert CANARY not in answer.text
    with world.database.begin() as tx:
        tx.exec_driver_sql("SELECT 1")
    with open(str(world.database.path), "rb") as stream, open(f"{world.database.path}-wal", "rb") as log:
        assert CANARY.encode() not in stream.read() + log.read()
    assert CANARY not in caplog.text
    assert CANARY not in repr(vaulted.OPENED)


def test_a_name_changes_alone_and_a_new_place_asks_for_the_secrets_again(world: World) -> None:
    path = made(world)
    assert world.patch(path, json={"name": "other"}).status_code == 200
    stolen = world.patch(path, json={"auth": {"host": "elsewhere"}})
    assert stolen.status_code == 400
    assert stolen.json()["errors"][0]["path"] == "/auth/password"
    assert world.get(path).json()["connection"]["auth"] == {"host": "here"}
    moved = world.patch(path, json={"auth": {"host": "elsewhere", "password": "another-one"}})
    assert moved.json()["connection"]["auth"] == {"host": "elsewhere"}
    assert vaulted.OPENED[-1].password == "another-one"


def test_a_secret_is_added_changed_and_removed_by_a_merge_patch(world: World) -> None:
    path = made(world)
    assert world.patch(path, json={"auth": {"pin": "1234"}}).json()["connection"]["secrets"] == {
        "password": "set",
        "pin": "set",
    }
    assert (vaulted.OPENED[-1].password, vaulted.OPENED[-1].pin) == (CANARY, "1234")
    assert world.patch(path, json={"auth": {"pin": None}}).json()["connection"]["secrets"] == {"password": "set"}
    assert world.patch(path, json={"auth": {"password": None}}).status_code == 400


def test_a_reference_that_the_server_does_not_allow_is_refused(world: World) -> None:
    body = {"platform": {"id": "vaulted"}, "auth": {"host": "here", "password": "file:/etc/passwd"}}
    answer = world.post("/v1/connections", json=body)
    assert answer.status_code == 400
    assert "TALLYPORT_SECRET_FOLDERS" in answer.text


def test_no_answer_of_any_route_holds_a_secret(world: World) -> None:
    """Ask everything there is to be asked, in every form, with a connection whose secrets are known."""
    path = made(world, pin=f"{CANARY}-pin")
    world.patch(path, json={"auth": {"password": CANARY, "host": "there", "pin": f"{CANARY}-pin"}})
    body = world.body()
    body["transfer"]["source"]["connection"]["id"] = path.rpartition("/")[2]
    job_id = world.post("/v1/jobs", json=body).json()["job"]["id"]
    number = world.run(job_id, "complete", result="errors", failed=1)
    item = world.item(job_id, "a.txt", Status.FLAGGED)
    known = {"job": job_id, "connection": path.rpartition("/")[2], "platform": "vaulted", "item": str(item)}
    known |= {"event": "1", "user": "admin", "execution": str(number)}
    asked = 0
    for route, operations in world.get("/openapi.json").json()["paths"].items():
        if "get" not in operations or route in ("/connect/logout",):
            continue
        url = re.sub(r"\{(\w+)\}", lambda found: known.get(found.group(1), "1"), route)
        for accept in ("application/json", "application/xml", "text/csv"):
            if route == "/v1/jobs/{job}/events" and accept != "application/json":
                continue  # other forms are not there: test_streams
            answer = world.get(url, headers={"Accept": accept})
            asked += answer.status_code == 200
            assert CANARY.encode() not in answer.content, (url, accept)
    assert asked > 60
    with world.database.read() as tx:
        names = [row[0] for row in tx.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            assert CANARY not in str(tx.exec_driver_sql(f'SELECT * FROM "{name}"').all()), name


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "2852039166", "http://169.254.169.254/latest", "[fe80::1]", "0.0.0.0"]
)
def test_a_connection_does_not_lead_to_where_clouds_hand_out_credentials(world: World, host: str) -> None:
    body = {"platform": {"id": "vaulted"}, "auth": {"host": host, "password": CANARY}}
    answer = world.post("/v1/connections", json=body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["path"] == "/auth/host"
    assert vaulted.OPENED == []
    assert (
        world.post("/v1/connections", json={**body, "auth": {"host": "127.0.0.1", "password": "x"}}).status_code == 201
    )
