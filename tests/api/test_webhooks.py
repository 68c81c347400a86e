"""Webhooks over the API: the secret once, addresses guarded, wrong input named."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.world import World


@pytest.fixture
def private(world: World) -> Iterator[None]:
    app: Any = world.client.app
    before = app.state.desk
    app.state.desk = dataclasses.replace(before, allow_private=True)
    yield
    app.state.desk = before


def made(world: World, **more: Any) -> dict[str, Any]:
    answer = world.post("/v1/webhooks", json={"url": "http://127.0.0.1:9/hook", **more})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["webhook"]
    return found


@pytest.mark.usefixtures("private")
def test_a_webhook_is_made_shown_changed_and_deleted_and_its_secret_given_once(world: World) -> None:
    new = made(world, topics=["job:failed"])
    assert new["secret"].startswith("whsec_")
    path = f"/v1/webhooks/{new['id']}"
    shown = world.get(path)
    assert new["secret"] not in shown.text + world.get("/v1/webhooks").text + world.get("/v1/audit").text
    assert shown.json()["webhook"]["deliveries"] == {"pending": 0, "delivered": 0, "dead": 0}
    tag = shown.headers["etag"]
    assert world.get(path, headers={"If-None-Match": tag}).status_code == 304
    changed = world.patch(path, json={"topics": [], "disabled": True}, headers={"If-Match": tag}).json()["webhook"]
    assert (changed["topics"], changed["disabled"]) == ([], True)
    assert world.patch(path, json={"name": "x"}, headers={"If-Match": tag}).status_code == 412
    rotated = world.post(f"{path}/rotate").json()["webhook"]["secret"]
    assert rotated != new["secret"]
    assert world.delete(path).status_code == 200
    assert world.get(path).status_code == 404
    assert new["secret"].encode() not in Path(str(world.database.path)).read_bytes()


@pytest.mark.usefixtures("private")
def test_deliveries_are_paged_and_shown(world: World) -> None:
    new = made(world)
    path = f"/v1/webhooks/{new['id']}"
    assert world.get(f"{path}/deliveries").json()["data"] == []
    assert world.get(f"{path}/deliveries?state=lost").status_code == 400
    assert world.get(f"{path}/deliveries/7").status_code == 404
    assert world.post(f"{path}/deliveries/7/retry").status_code == 404
    assert world.post(f"{path}/deliveries/retry").json()["data"]["retried"] == 0
    assert world.post(f"{path}/test").json()["data"]["success"] is False


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/", "https://127.0.0.1/", "https://localhost:9090/v1/users", "https://2130706433/", "ftp://x/",
     "https://[::1]/", "https://169.254.169.254/latest", "https://user:pw@127.0.0.1/", "not an address"],
)  # fmt: skip
def test_an_address_that_must_not_be_reached_is_refused(world: World, url: str) -> None:
    answer = world.post("/v1/webhooks", json={"url": url})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["path"] == "/url"
    assert world.get("/v1/webhooks").json()["webhooks"] == []


@pytest.mark.usefixtures("private")
@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "/url"),
        ({"url": 7}, "/url"),
        ({"url": "https://127.0.0.1/", "topics": ["job:started"]}, "/topics/0"),
        ({"url": "https://127.0.0.1/", "topics": "job:failed"}, "/topics"),
        ({"url": "https://127.0.0.1/", "secret": "mine"}, "/secret"),
        ({"url": "https://127.0.0.1/", "nmae": "x"}, "/nmae"),
        ({"url": "https://127.0.0.1/" + "x" * 2_000}, "/url"),
    ],
)
def test_a_wrong_webhook_is_named_by_its_place(world: World, body: dict[str, Any], path: str) -> None:
    answer = world.post("/v1/webhooks", json=body)
    assert answer.status_code == 400
    assert path in [error["path"] for error in answer.json()["errors"]]
