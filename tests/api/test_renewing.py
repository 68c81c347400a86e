"""Tokens that are renewed, and what becomes of a sign-in whose refresh token is used twice."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest

from tests.api.world import World

PASSWORD = "a-long-enough-password"


@pytest.fixture
def ann(world: World) -> str:
    made = world.post("/v1/users", json={"name": "ann", "role": "viewer", "password": PASSWORD})
    assert made.status_code == 201, made.text
    return str(made.json()["user"]["id"])


def signed_in(world: World, **more: str) -> dict[str, Any]:
    form = {"grant_type": "password", "username": "ann", "password": PASSWORD, "scope": "offline_access"} | more
    answer = world.client.post("/connect/token", data=form)
    return dict(answer.json())


def renewed(world: World, token: str) -> Any:
    return world.client.post("/connect/token", data={"grant_type": "refresh_token", "refresh_token": token})


def holds(world: World, token: str) -> bool:
    return bool(world.client.get("/v1/users/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200)


def test_a_refresh_token_that_is_used_twice_ends_everything_of_its_sign_in(world: World, ann: str) -> None:
    first, other = signed_in(world), signed_in(world)
    second = renewed(world, first["refresh_token"]).json()
    assert holds(world, second["access_token"])
    again = renewed(world, first["refresh_token"])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    assert not holds(world, first["access_token"])
    assert not holds(world, second["access_token"])
    assert renewed(world, second["refresh_token"]).status_code == 400
    assert holds(world, other["access_token"])  # another sign-in goes on
    lines = [line for line in world.get("/v1/audit").json()["audit"] if line["action"] == "session.token_used_twice"]
    assert [(line["object"], line["name"]) for line in lines] == [(f"user:{ann}", "ann")]
    assert first["refresh_token"] not in world.get("/v1/audit").text


def test_signing_out_ends_the_refresh_token_too(world: World, ann: str) -> None:
    session = signed_in(world)
    world.client.get("/connect/logout", headers={"Authorization": f"Bearer {session['access_token']}"})
    assert renewed(world, session["refresh_token"]).status_code == 400


def test_a_token_is_renewed_in_the_dialect_of_json(world: World, ann: str) -> None:
    session = signed_in(world)
    answer = world.client.post("/v1/auth/refresh-token", json={"refreshToken": session["refresh_token"]})
    data = answer.json()["data"]
    assert set(data) == {"accessToken", "refreshToken", "expiresIn", "expires", "email", "userId", "accountId"}
    assert holds(world, data["accessToken"])
    own = world.client.post("/v1/auth/refresh-token", headers={"Authorization": f"Bearer {data['accessToken']}"})
    assert holds(world, own.json()["data"]["accessToken"])
    assert not holds(world, data["accessToken"])
    assert world.client.post("/v1/auth/refresh-token", json={"refreshToken": "nothing"}).status_code == 401
    assert world.client.post("/v1/auth/refresh-token", json={"refreshToken": 5}).status_code == 400


def test_a_lasting_token_is_not_renewed_as_a_session(world: World) -> None:
    body = {"refreshToken": world.tokens["viewer"]}
    assert world.client.post("/v1/auth/refresh-token", json=body).status_code == 401
    assert holds(world, world.tokens["viewer"])


def test_personal_tokens_are_made_listed_and_revoked_by_their_owner(world: World) -> None:
    made = world.post("/v1/auth/personal-access-tokens", role="viewer", json={"name": "laptop", "expiresIn": 60})
    assert made.status_code == 200, made.text
    token, number = made.json()["data"]["token"], made.json()["data"]["id"]
    assert token.startswith("pat_")
    assert holds(world, token)
    listed = world.get("/v1/auth/personal-access-tokens", role="viewer").json()["data"]
    assert "laptop" in [one["name"] for one in listed]
    assert token not in str(listed)
    assert number not in str(world.get("/v1/auth/personal-access-tokens", role="admin").json())
    assert world.delete(f"/v1/auth/personal-access-tokens/{number}", role="operator").status_code == 404
    assert world.delete(f"/v1/auth/personal-access-tokens/{number}", role="viewer").status_code == 200
    assert not holds(world, token)


def test_keys_of_servers_are_the_administrators(world: World) -> None:
    made = world.post("/v1/auth/api-key?environmentId=production&type=SECRET", json={"name": "ci"})
    assert made.json()["data"]["token"].startswith("sk_")
    assert [one["name"] for one in world.get("/v1/auth/api-keys").json()["data"]] == ["ci"]
    assert world.post("/v1/auth/api-key?type=PUBLISHABLE", json={}).status_code == 400
    assert world.get("/v1/auth/api-keys", role="manager").status_code == 403
    assert world.delete("/v1/auth/api-key").status_code == 400
    assert world.delete(f"/v1/auth/api-key?apiKey={made.json()['data']['id']}").status_code == 200
    assert world.get("/v1/auth/api-keys").json()["data"] == []


def test_access_tokens_come_in_pairs_and_are_exchanged_as_pairs(world: World) -> None:
    until = int(time.time()) + 3_600
    body = {"tokenName": "backup", "tokenExpiryTimestamp": until, "renewableUntilTimestamp": until + 3_600}
    made = world.post("/V4/AccessToken", role="operator", json=body).json()
    assert made["error"]["errorCode"] == 0
    info = made["tokenInfo"]
    assert (info["tokenExpiryTimestamp"], info["renewableUntilTimestamp"]) == (until, until + 3_600)
    assert holds(world, info["accessToken"])
    assert not holds(world, info["refreshToken"])
    pair = {"accessToken": info["accessToken"], "refreshToken": info["refreshToken"]}
    other = world.post("/v4/accesstoken", role="operator", json={"tokenName": "other"}).json()["tokenInfo"]
    mixed = {"accessToken": other["accessToken"], "refreshToken": info["refreshToken"]}
    assert world.client.post("/V4/AccessToken/Renew", json=mixed).json()["errorCode"] != 0
    new = world.client.post("/webconsole/api/v4/AccessToken/renew", json=pair).json()
    assert new["errorCode"] == 0, new
    assert holds(world, new["accessToken"])
    assert not holds(world, info["accessToken"])
    again = world.client.post("/V4/AccessToken/Renew", json=pair).json()
    assert again["errorCode"] != 0
    assert not holds(world, new["accessToken"])
    assert holds(world, other["accessToken"])


def test_an_access_token_that_cannot_be_made_is_refused_as_its_clients_expect(world: World) -> None:
    bodies: list[dict[str, Any]] = [{}, {"tokenName": ""}, {"tokenName": "x", "tokenType": 3, "apiEndpoints": ["/Job"]}]
    bodies.append({"tokenName": "x", "tokenExpiryTimestamp": "soon"})
    for body in bodies:
        answer = world.post("/V4/AccessToken", json=body)
        assert (answer.status_code, answer.json()["error"]["errorCode"]) == (200, 2), body


def test_access_tokens_are_listed_and_revoked(world: World) -> None:
    made = world.post("/V4/AccessToken", role="operator", json={"tokenName": "backup"}).json()["tokenInfo"]
    listed = world.get("/V4/AccessToken/?userId=1", role="operator").json()["tokensInfo"]
    number = next(one["accessTokenId"] for one in listed if one["tokenName"] == "backup")
    assert world.delete(f"/V4/AccessToken/{number}", role="viewer").json()["errorCode"] == 2
    assert world.delete(f"/V4/AccessToken/{number}", role="operator").json()["errorCode"] == 0
    assert not holds(world, made["accessToken"])


def test_many_guesses_at_refresh_tokens_have_to_wait(new_world: World) -> None:
    statuses = [
        new_world.client.post("/v1/auth/refresh-token", json={"refreshToken": f"guess {number}"}).status_code
        for number in range(31)
    ]
    assert statuses[:30] == [401] * 30
    assert statuses[30] == 429
    password = base64.b64encode(b"x").decode()
    refused = new_world.client.post("/Login", json={"username": "ann", "password": password})
    assert "errList" in refused.json()
