"""Environments and the secrets in them: as clients of that dialect make, show, change and delete them."""

from __future__ import annotations

from typing import Any

import pytest

from tallyport.control import sealing
from tallyport.store import named_secrets
from tallyport.store.keys import Keys
from tallyport.store.vault import Vault
from tests.api.world import World

SECRET = "Sup3r$ecret-value"


def made(world: World, **more: Any) -> str:
    answer = world.post("/v1/environments", json={"name": "staging", "isProd": False} | more)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["data"]["id"])


def test_two_environments_are_there_from_the_beginning(world: World) -> None:
    answer = world.get("/v1/environments").json()
    assert [(one["id"], one["isProd"]) for one in answer["data"]] == [("development", False), ("production", True)]
    assert answer["pagination"] == {"currentPage": 1, "pageCount": 1, "totalCount": 2}
    assert world.delete("/v1/environments/production").status_code == 409


def test_an_environment_is_made_shown_changed_and_deleted(world: World) -> None:
    body = {"guestAuthentication": ["magic_link"], "metadata": {"a": 1, "b": 2}, "namespaces": ["default"]}
    one = made(world, **body)
    shown = world.get(f"/v1/environments/{one}")
    assert shown.json()["data"] == {
        "id": one,
        "accountId": "local",
        "name": "staging",
        "isProd": False,
        "features": {},
        **body,
    }
    assert shown.headers["etag"] == '"1"'
    assert world.get(f"/v1/environments/{one}", headers={"If-None-Match": '"1"'}).status_code == 304
    changed = world.patch(f"/v1/environments/{one}", json={"name": "test", "metadata": {"a": None, "c": 3}})
    assert changed.json()["data"]["name"] == "test"
    assert changed.json()["data"]["metadata"] == {"b": 2, "c": 3}
    stale = world.patch(f"/v1/environments/{one}", json={"name": "x"}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert world.delete(f"/v1/environments/{one}", headers={"If-Match": '"1"'}).status_code == 412
    assert world.delete(f"/v1/environments/{one}").json() == {"data": {"success": True}}
    assert world.get(f"/v1/environments/{one}").status_code == 404
    made(world)


def test_a_shipped_environment_is_changed_and_stays_one(world: World) -> None:
    assert world.patch("/v1/environments/development", json={"metadata": {"color": "blue"}}).status_code == 200
    every = {one["id"]: one for one in world.get("/v1/environments").json()["data"]}
    assert every["development"]["metadata"] == {"color": "blue"}
    assert len(every) == 2


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"isProd": True}, "/name"),
        ({"name": "x", "isProd": "yes"}, "/isProd"),
        ({"name": "x", "guestAuthentication": ["pigeon"]}, "/guestAuthentication/0"),
        ({"name": "x", "metadata": []}, "/metadata"),
        ({"name": "x", "colour": "red"}, "/colour"),
    ],
)
def test_an_environment_that_is_not_one_is_refused_with_the_place(
    world: World, body: dict[str, Any], place: str
) -> None:
    answer = world.post("/v1/environments", json=body)
    assert answer.status_code == 400
    assert [error["path"] for error in answer.json()["errors"]] == [place]
    assert len(world.get("/v1/environments").json()["data"]) == 2


def test_what_is_in_an_environment_keeps_it(world: World) -> None:
    one = made(world)
    assert world.post("/v1/environments", json={"name": "staging", "isProd": False}).status_code == 409
    kept = world.post("/v1/secrets", json={"name": "KEY", "value": SECRET, "environmentId": one}).json()["data"][0][
        "id"
    ]
    assert world.delete(f"/v1/environments/{one}").status_code == 409
    world.delete(f"/v1/secrets/{kept}")
    body = {"type": "file", "operation": "x", "source": "y", "environmentId": one}
    job_id = world.post("/v1/jobs", json=body).json()["data"]["id"]
    assert world.delete(f"/v1/environments/{one}").status_code == 409
    world.delete(f"/v1/jobs/{job_id}")
    assert world.delete(f"/v1/environments/{one}").status_code == 200


def test_a_secret_is_put_once_and_again_and_never_told(world: World) -> None:
    first = world.post("/v1/secrets", json={"name": "KEY", "value": SECRET})
    assert first.status_code == 200, first.text
    again = world.post("/v1/secrets", json={"name": "KEY", "value": f"{SECRET}-2", "environmentId": "production"})
    assert again.json()["data"] == first.json()["data"]
    listed = world.get("/v1/secrets")
    assert [(one["name"], one["value"]) for one in listed.json()["data"]] == [("KEY", "***")]
    audit = world.get("/v1/audit")
    for answer in (first, again, listed, audit):
        assert SECRET not in answer.text
    assert [line["action"] for line in audit.json()["audit"] if line["action"].startswith("secret.")] == [
        "secret.changed",
        "secret.created",
    ]
    with open(world.database.path or "", "rb") as stream:
        assert SECRET.encode() not in stream.read()


def test_what_is_for_a_space_stands_before_what_is_for_all(world: World) -> None:
    for where in ({}, {"spaceId": "us_sp_1"}, {"spaceId": "us_sp_1", "actorId": "us_usr_1"}):
        world.post("/v1/secrets", json={"name": "KEY", "value": SECRET} | where)

    def places(query: str) -> list[tuple[str | None, str | None]]:
        return [(one.get("spaceId"), one.get("actorId")) for one in world.get(f"/v1/secrets?{query}").json()["data"]]

    assert places("") == [(None, None)]
    assert places("spaceId=us_sp_1") == [("us_sp_1", None)]
    assert places("spaceId=us_sp_1&actorId=us_usr_1") == [("us_sp_1", "us_usr_1")]
    assert places("spaceId=us_sp_2") == [(None, None)]
    assert places("environmentId=development") == []
    assert world.get("/v1/secrets?environmentId=nowhere").status_code == 404


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"name": "KEY"}, "/value"),
        ({"value": "x"}, "/name"),
        ({"name": "KEY", "value": "x" * 1_025}, "/value"),
        ({"name": "K\x00Y", "value": "x"}, "/name"),
        ({"name": "KEY", "value": 5}, "/value"),
        ({"name": "KEY", "value": "x", "spaceId": 7}, "/spaceId"),
    ],
)
def test_a_secret_that_is_not_one_is_refused_without_being_told(world: World, body: dict[str, Any], place: str) -> None:
    answer = world.post("/v1/secrets", json=body)
    assert answer.status_code == 400
    assert [error["path"] for error in answer.json()["errors"]] == [place]


def test_secrets_are_sealed_anew_with_a_new_key(new_world: World, tmp_path) -> None:
    own = Keys({}, tmp_path)
    vault = Vault(own.texts)
    secret = named_secrets.NamedSecret("one", "production", "", "", "KEY", 1, 1)
    with new_world.database.begin() as tx:
        named_secrets.add(tx, secret, vault.seal("one", {"value": SECRET}) or "")
    sealing.rotate(new_world.database, own, drop_old=True)
    with new_world.database.read() as tx:
        [(_, sealed)] = named_secrets.sealed(tx)
    assert vault.unseal("one", sealed) == {"value": SECRET}
