"""Nobody gets in without a token, every form of the header works, and each role may do what its line says."""

from __future__ import annotations

import base64
import csv
import json
import re
from typing import Any

import pytest
from fastapi import APIRouter

from tallyport.api import rights
from tallyport.api.tokens import token_of
from tallyport.control import users
from tallyport.control.desk import ROLES, Right
from tallyport.control.refusals import NotSignedIn
from tallyport.store import rows
from tallyport.store import users as user_rows
from tests.api import documents
from tests.api.world import World


def operations(world: World) -> list[tuple[str, str]]:
    document = world.get("/openapi.json").json()
    return [(method.upper(), path) for path, found in document["paths"].items() for method in found]


def filled(path: str) -> str:
    for name, value in (("{job}", "ab" * 16), ("{connection}", "cd" * 16), ("{item}", "7"), ("{platform}", "fs")):
        path = path.replace(name, value)
    return re.sub(r"\{\w+\}", "7" * 18, path)


def test_every_operation_is_denied_without_a_token(world: World) -> None:
    found = operations(world)
    assert len(found) > 60
    for method, path in found:
        answer = world.client.request(method, filled(path), json={})
        if (method, path) in rights.PUBLIC:
            assert answer.status_code != 401 or path in ("/v1/auth", "/v1/auth/refresh-token", "/v1/setup"), path
        else:
            assert answer.status_code == 401, path
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["www-authenticate"] == "Bearer"


def test_what_does_not_exist_looks_the_same_without_a_token(world: World) -> None:
    assert world.client.get("/v1/nothing").status_code == 401
    assert world.get("/v1/nothing").status_code == 404
    assert world.call("PUT", "/v1/jobs").status_code == 405


def test_every_operation_has_a_rule_and_every_rule_an_operation(world: World) -> None:
    found = set(operations(world)) | {("GET", "/openapi.json")}
    assert found == set(rights.RULES) | rights.PUBLIC


def cells() -> list[tuple[str, str, dict[str, str]]]:
    """Give the committed table of who may call what: a change of a right is a change of a file that people review."""
    with open(documents.MATRIX, encoding="utf-8", newline="") as stream:
        return [(*row.pop("operation").split(" ", 1), row) for row in csv.DictReader(stream)]


def test_the_table_of_rights_has_every_operation_and_every_role(world: World) -> None:
    found = cells()
    assert {(method, path) for method, path, _ in found} == set(operations(world))
    assert all(set(row) == set(ROLES) for _, _, row in found)


@pytest.mark.parametrize("role", list(ROLES))
def test_a_role_reaches_what_its_cells_say_and_nothing_else(world: World, role: str) -> None:
    for method, path, row in cells():
        if (method, path) in (("POST", "/Logout"), ("GET", "/connect/logout"), ("DELETE", "/v1/users/{user}/sessions")):
            continue  # would end what the next cell asks with; tested by name
        answer = world.call(method, filled(path), role=role, json={})
        assert answer.status_code != 401 or (method, path) in rights.PUBLIC, (method, path)
        assert (answer.status_code == 403) == (row[role] == "no"), (method, path, answer.text)


def test_a_route_without_a_rule_is_refused_even_to_administrators(new_world: World) -> None:
    router = APIRouter()
    router.add_api_route("/v1/forgotten", lambda: {"secret": 1})
    app: Any = new_world.client.app
    app.include_router(router)
    assert new_world.get("/v1/forgotten").status_code == 403


def test_an_operator_commands_a_job_and_may_not_change_it(world: World) -> None:
    job_id = world.job()
    assert world.patch(f"/v1/jobs/{job_id}", role="operator", json={"name": "other"}).status_code == 403
    assert world.stored(job_id).name == "a job"
    assert world.patch(f"/v1/jobs/{job_id}?reset=soft", role="operator").status_code == 403
    assert world.patch(f"/v1/jobs/{job_id}", role="operator", json={"status": "start"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer {}"},
        {"Authorization": "bearer   {}"},
        {"Authtoken": "{}"},
        {"Authtoken": "QSDK {}"},
        {"AUTHTOKEN": "Bearer {}"},
        {"Authtoken": "SAML {}"},
        {"Authorization": "Bearer {}", "Authtoken": "QSDK {}"},
    ],
)
def test_a_token_is_taken_from_every_form_of_header(world: World, headers: dict[str, str]) -> None:
    given = {name: value.format(world.tokens["viewer"]) for name, value in headers.items()}
    assert world.client.get("/WhoAmI", headers=given).json()["user"]["userName"] == "viewer"


def test_a_folded_header_is_joined(world: World) -> None:
    token = world.tokens["viewer"]
    folded = f"QSDK {token[:20]} {token[20:40]}  {token[40:]}"
    assert world.client.get("/WhoAmI", headers={"Authtoken": folded}).status_code == 200


def test_two_headers_with_different_tokens_are_refused(world: World) -> None:
    given = {"Authorization": f"Bearer {world.tokens['viewer']}", "Authtoken": world.tokens["admin"]}
    answer = world.client.get("/WhoAmI", headers=given)
    assert answer.status_code == 401
    assert "different tokens" in answer.json()["detail"]


@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "", "nonsense"])
def test_other_authorization_is_no_token(value: str) -> None:
    assert token_of([(b"authorization", value.encode())]) is None


def test_two_equal_headers_of_one_name_are_one_token() -> None:
    assert token_of([(b"authtoken", b"QSDK a b"), (b"authtoken", b"ab")]) == "ab"
    with pytest.raises(NotSignedIn):
        token_of([(b"authtoken", b"ab"), (b"authtoken", b"abc")])


def test_a_scope_narrows_a_token(world: World) -> None:
    world.tokens["narrow"] = users.create_token(world.database, "admin", "read")
    assert world.get("/v1/jobs", role="narrow").status_code == 200
    assert world.post("/v1/connections", role="narrow", json={}).status_code == 403


def test_a_token_is_stored_as_its_digest_only(world: World) -> None:
    with world.database.read() as tx:
        stored = "".join(
            str(row) for table in ("tokens", "users") for row in tx.exec_driver_sql(f"SELECT * FROM {table}")
        )
    assert world.tokens["admin"] not in stored
    assert "admin-password" not in stored


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_the_job_control_sign_in_round(world: World) -> None:
    body = {"username": "viewer", "password": encoded("viewer-password"), "mode": 4}
    answer = world.client.post("/Login", json=body).json()
    assert answer["userName"] == "viewer"
    assert answer["token"].startswith("QSDK ")
    headers = {"Authtoken": answer["token"]}
    assert world.client.get("/webconsole/api/WhoAmI", headers=headers).json() == {
        "user": {"userName": "viewer", "userGUID": answer["userGUID"]}
    }
    renewed = world.client.post("/RenewLoginToken", json={"sessionId": answer["token"], "deviceId": "x"}).json()
    assert world.client.get("/WhoAmI", headers=headers).status_code == 401
    headers = {"Authtoken": renewed["token"]}
    assert world.client.post("/Logout", headers=headers).text == "User logged out"
    assert world.client.post("/Logout", headers=headers).text == "Invalid token"
    assert world.client.get("/WhoAmI", headers=headers).status_code == 401
    gone = world.client.post("/RenewLoginToken", json={"sessionId": renewed["token"]}).json()
    assert "errLogMessage" in gone["error"]


@pytest.mark.parametrize("password", [encoded("wrong"), "no base 64", "\u00fcber", "\ud83d\ude00", "=", 7, None])
def test_a_refused_job_control_sign_in_comes_with_status_200(world: World, password: object) -> None:
    answer = world.client.post("/Login", content=json.dumps({"username": "viewer", "password": password}))
    assert answer.status_code == 200
    assert "token" not in answer.json()
    assert answer.json()["errList"][0]["errorCode"] != 5


def test_sign_in_by_xml(world: World) -> None:
    password = encoded("viewer-password")
    body = f'<DM2ContentIndexing_CheckCredentialReq username="viewer" password="{password}" />'
    answer = world.client.post("/Login", content=body, headers={"Accept": "application/xml"})
    assert answer.text.startswith("<?xml")
    assert 'userName="viewer"' in answer.text
    assert 'token="QSDK ' in answer.text
    bomb = '<!DOCTYPE x [<!ENTITY a "b">]><x username="&a;"/>'
    assert world.client.post("/Login", content=bomb).status_code == 400


def test_sign_in_by_form_and_refresh(world: World) -> None:
    form = {"grant_type": "password", "username": "viewer", "password": "viewer-password"}
    answer = world.client.post("/connect/token", data=form | {"scope": "profile roles offline_access"}).json()
    assert answer["token_type"] == "Bearer"
    bearer = {"Authorization": f"Bearer {answer['access_token']}"}
    assert world.client.get("/v1/users/me", headers=bearer).json()["user"]["login"] == "viewer"
    refresh = {"Authorization": f"Bearer {answer['refresh_token']}"}
    assert world.client.get("/v1/jobs", headers=refresh).status_code == 401
    again = {"grant_type": "refresh_token", "refresh_token": answer["refresh_token"]}
    renewed = world.client.post("/connect/token", data=again).json()
    assert renewed["access_token"] != answer["access_token"]
    assert world.client.get("/connect/logout", headers=bearer).status_code == 204
    assert world.client.get("/v1/jobs", headers=bearer).status_code == 401


@pytest.mark.parametrize(
    "form", [{"grant_type": "password", "username": "viewer", "password": "x"}, {"grant_type": "y"}]
)
def test_a_refused_form_sign_in_is_an_oauth_error(world: World, form: dict[str, str]) -> None:
    answer = world.client.post("/connect/token", data=form)
    assert answer.status_code == 400
    assert set(answer.json()) == {"error", "error_description"}


def test_sign_in_by_mail_address(world: World) -> None:
    body = {"email": "viewer@example.com", "password": "viewer-password"}
    data = world.client.post("/v1/auth", json=body).json()["data"]
    assert set(data) == {"accessToken", "expiresIn", "expires", "email", "userId", "accountId"}
    bearer = {"Authorization": f"Bearer {data['accessToken']}"}
    assert world.client.get("/v1/jobs", headers=bearer).status_code == 200
    assert world.client.post("/v1/auth", json=body | {"password": "no"}).status_code == 401


def test_five_failures_lock_the_account_even_for_the_right_password(world: World, monkeypatch: Any) -> None:
    body = {"email": "viewer", "password": "wrong"}
    for _ in range(4):
        assert "locked" not in world.client.post("/v1/auth", json=body).json()["detail"]
    assert "locked" in world.client.post("/v1/auth", json=body).json()["detail"]
    right = {"email": "viewer", "password": "viewer-password"}
    answer = world.client.post("/v1/auth", json=right)
    assert answer.status_code == 401
    assert int(answer.headers["retry-after"]) > 0
    document = world.client.post("/Login", json={"username": "viewer", "password": encoded("viewer-password")}).json()
    assert document["isAccountLocked"] is True
    assert document["remainingLockTime"] > 0
    later = rows.now() + (users.LOCKED_FOR + 1) * 1_000_000
    monkeypatch.setattr(rows, "now", lambda: later)
    assert world.client.post("/v1/auth", json=right).status_code == 200


def test_an_unknown_name_and_a_wrong_password_look_alike(world: World) -> None:
    one = world.client.post("/v1/auth", json={"email": "viewer", "password": "x"}).json()
    other = world.client.post("/v1/auth", json={"email": "nobody", "password": "x"}).json()
    assert one["detail"] == other["detail"]


def test_a_session_ends_when_it_is_idle_and_after_a_day(world: World) -> None:
    token = users.sign_in(world.database, "viewer", "viewer-password").token
    now = rows.now()
    minute = 60 * 1_000_000
    assert users.authenticate(world.database, token, now + 29 * minute)
    assert not users.authenticate(world.database, token, now + 31 * minute)
    with world.database.begin() as tx:
        found = user_rows.principal(tx, token, now)
        assert found is not None
        user_rows.touch(tx, found.token_id, now + 24 * 60 * minute)
    assert not users.authenticate(world.database, token, now + 24 * 60 * minute + minute)


def test_nobody_but_an_administrator_has_every_right() -> None:
    assert ROLES["admin"] == frozenset(Right)
    assert all(found < ROLES["admin"] for role, found in ROLES.items() if role != "admin")
