"""Users, the first set-up, tokens, and who may use which connection."""

from __future__ import annotations

import json

import pytest

from tallyport.api.attempts import MOST, WITHIN, Attempts
from tallyport.control import accounts, users
from tallyport.control.refusals import NotSignedIn
from tallyport.control.users import SignInRefused, TooManyAttempts
from tallyport.store.tables import users as users_table
from tests.api.world import World

PASSWORD = "correct horse"


def without_administrators(world: World) -> None:
    with world.database.begin() as tx:
        tx.execute(users_table.update().where(users_table.c.role == "admin").values(role="viewer"))


# -- set-up


def test_the_first_administrator_comes_in_by_the_link_once(world: World) -> None:
    assert accounts.invite(world.database) is None
    without_administrators(world)
    old = accounts.invite(world.database)
    token = accounts.invite(world.database)
    assert token is not None
    assert world.client.get("/v1/setup").json() == {"needed": True}
    body = {"token": token, "name": "first", "password": PASSWORD}
    assert world.client.post("/v1/setup", json={**body, "token": old}).status_code == 401
    assert world.client.post("/v1/setup", json={**body, "password": "short"}).status_code == 400
    made = world.client.post("/v1/setup", json=body)
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    world.tokens["first"] = made.json()["user"]["token"]
    assert world.get("/v1/users", role="first").status_code == 200
    assert world.client.post("/v1/setup", json={**body, "name": "second"}).status_code == 409
    assert world.client.get("/v1/setup").json() == {"needed": False}


def test_the_link_is_stored_as_its_hash_and_dies_with_its_day(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    without_administrators(world)
    token = accounts.invite(world.database)
    with world.database.read() as tx:
        assert str(token) not in str(tx.exec_driver_sql("SELECT * FROM invitations").all())
    real = accounts.rows.now()
    monkeypatch.setattr(accounts.rows, "now", lambda: real + 25 * 3600 * 1_000_000)
    with pytest.raises(NotSignedIn):
        accounts.set_up(world.database, str(token), "first", PASSWORD, None)


# -- users


def test_a_user_is_made_changed_and_disabled(world: World) -> None:
    body = {"name": "ann", "role": "operator", "password": PASSWORD, "email": "ann@example.com"}
    made = world.post("/v1/users", json=body)
    assert made.status_code == 201
    path = made.headers["location"]
    assert "password" not in made.json()["user"]
    session = users.sign_in(world.database, "ann", PASSWORD)
    world.tokens["ann"] = session.token
    assert world.get("/v1/jobs", role="ann").status_code == 200
    assert world.patch(path, json={"role": "viewer"}).json()["user"]["role"] == "viewer"
    assert world.post(f"/v1/jobs/{'ab' * 16}/execute", role="ann").status_code == 403
    assert world.patch(path, json={"disabled": True}).json()["user"]["disabled"] is True
    assert world.get("/v1/jobs", role="ann").status_code == 401
    assert world.get("/v1/users?q=ANN").json()["meta"]["total_count"] == 1
    assert world.get("/v1/users/ann").json()["user"]["email"] == "ann@example.com"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"name": "ann"}, "/role"),
        ({"name": "ann", "role": "king"}, "/role"),
        ({"name": "", "role": "viewer"}, "/name"),
        ({"name": "a\nb", "role": "viewer"}, "/name"),
        ({"name": "ann", "role": "viewer", "password": "short"}, "/password"),
        ({"name": "ann", "role": "viewer", "password": "x" * 2_000}, "/password"),
        ({"name": "ann", "role": "viewer", "passwrd": "x"}, "/passwrd"),
    ],
)
def test_a_wrong_user_is_named_by_its_place(world: World, body: dict[str, str], path: str) -> None:
    answer = world.post("/v1/users", json=body)
    assert answer.status_code == 400
    assert path in [error["path"] for error in answer.json()["errors"]]


def test_one_administrator_stays(world: World) -> None:
    for patch in ({"role": "viewer"}, {"disabled": True}):
        assert world.patch("/v1/users/admin", json=patch).status_code == 409
    assert world.get("/v1/users/admin").json()["user"]["role"] == "admin"


def test_a_name_or_an_address_is_somebodys_alone(world: World) -> None:
    assert world.post("/v1/users", json={"name": "viewer", "role": "viewer"}).status_code == 409
    assert world.patch("/v1/users/viewer", json={"email": "admin@example.com"}).status_code == 409


def test_a_new_password_ends_other_sessions(world: World) -> None:
    one = users.sign_in(world.database, "viewer", "viewer-password").token
    two = users.sign_in(world.database, "viewer", "viewer-password").token
    world.tokens |= {"one": one, "two": two}
    refused = world.post("/v1/users/me/password", role="one", json={"old": "wrong", "new": PASSWORD})
    assert refused.status_code == 403
    changed = world.post("/v1/users/me/password", role="one", json={"old": "viewer-password", "new": PASSWORD})
    assert changed.status_code == 204
    assert world.get("/v1/users/me", role="one").status_code == 200
    assert world.get("/v1/users/me", role="two").status_code == 401
    assert users.sign_in(world.database, "viewer", PASSWORD)


def test_somebody_signs_out_everywhere_and_others_only_by_an_administrator(world: World) -> None:
    world.tokens["one"] = users.sign_in(world.database, "operator", "operator-password").token
    assert world.delete("/v1/users/operator/sessions", role="viewer").status_code == 403
    assert world.get("/v1/users/me", role="one").status_code == 200
    assert world.delete("/v1/users/me/sessions", role="one").status_code == 200
    assert world.get("/v1/users/me", role="one").status_code == 401
    assert world.get("/v1/users/me", role="operator").status_code == 200  # a lasting token is no session


def test_an_administrator_unlocks(world: World) -> None:
    for _ in range(users.MAX_FAILURES):
        with pytest.raises(SignInRefused):
            users.sign_in(world.database, "viewer", "wrong password")
    assert world.get("/v1/users/viewer").json()["user"]["locked"] is True
    assert world.patch("/v1/users/viewer", json={"locked": False}).json()["user"]["locked"] is False
    assert users.sign_in(world.database, "viewer", "viewer-password")
    assert world.patch("/v1/users/viewer", json={"locked": True}).status_code == 400


def test_an_address_that_fails_too_often_waits_and_others_do_not() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])

    def fail(address: str) -> None:
        with attempts.guarded(address):
            raise SignInRefused

    for _ in range(MOST):
        with pytest.raises(SignInRefused):
            fail("a")
    with pytest.raises(TooManyAttempts) as caught, attempts.guarded("a"):
        raise AssertionError("let in")
    assert 0 < caught.value.locked_for <= WITHIN + 1
    with attempts.guarded("b"):
        pass
    now[0] = WITHIN
    with attempts.guarded("a"):
        pass


def test_too_many_attempts_are_said_so_in_each_dialect(new_world: World) -> None:
    body = {"email": "nobody", "password": "wrong password"}
    answers = [new_world.client.post("/v1/auth", json=body) for _ in range(MOST + 1)]
    assert {answer.status_code for answer in answers[:-1]} == {401}
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    login = new_world.client.post("/Login", json={"username": "admin", "password": "YWRtaW4tcGFzc3dvcmQ="})
    assert login.status_code == 200
    assert login.json()["isAccountLocked"] is True


# -- tokens


def test_a_token_is_made_narrow_shown_once_rotated_and_revoked(world: World) -> None:
    made = world.post("/v1/tokens", role="operator", json={"name": "ci", "scopes": ["read"], "expiresIn": 3600})
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    text, number = made.json()["token"]["token"], made.json()["token"]["id"]
    world.tokens["ci"] = text
    assert world.get("/v1/jobs", role="ci").status_code == 200
    assert world.patch("/v1/jobs?start=1&all=1", role="ci").status_code == 403
    assert world.post("/v1/tokens", role="ci", json={}).status_code == 403
    listed = world.get("/v1/tokens", role="operator")
    assert text not in listed.text
    shown = next(one for one in listed.json()["tokens"] if one["id"] == number)
    assert (shown["name"], shown["scopes"], shown["user"]) == ("ci", ["read"], "operator")
    rotated = world.post(f"/v1/tokens/{number}/rotate", role="operator").json()["token"]
    assert (rotated["name"], rotated["scopes"], rotated["expiresAt"]) == ("ci", ["read"], shown["expiresAt"])
    assert world.get("/v1/jobs", role="ci").status_code == 401
    world.tokens["ci"] = rotated["token"]
    assert world.get("/v1/jobs", role="ci").status_code == 200
    assert world.delete(f"/v1/tokens/{rotated['id']}", role="operator").status_code == 200
    assert world.get("/v1/jobs", role="ci").status_code == 401
    assert world.delete(f"/v1/tokens/{rotated['id']}", role="operator").status_code == 404


def test_tokens_of_others_are_an_administrators(world: World) -> None:
    own = world.get("/v1/tokens", role="viewer").json()
    assert {one["user"] for one in own["tokens"]} == {"viewer"}
    assert world.get("/v1/tokens?user=admin", role="viewer").status_code == 403
    number = world.get("/v1/tokens?user=admin").json()["tokens"][0]["id"]
    assert world.delete(f"/v1/tokens/{number}", role="viewer").status_code == 404
    assert world.post(f"/v1/tokens/{number}/rotate", role="operator").status_code == 404
    assert world.post("/v1/tokens", role="viewer", json={"user": "admin"}).status_code == 403
    assert world.post("/v1/tokens", role="viewer", json={"kind": "server"}).status_code == 403
    made = world.post("/v1/tokens", json={"user": "viewer", "kind": "server"}).json()["token"]
    assert (made["user"], made["kind"], made["token"][:3]) == ("viewer", "server", "sk_")


@pytest.mark.parametrize(
    ("body", "path"),
    [({"scopes": ["king"]}, "/scopes/0"), ({"expiresIn": 0}, "/expiresIn"), ({"kind": "session"}, "/kind"),
     ({"name": "x" * 300}, "/name"), ({"user": 7}, "/user")],
)  # fmt: skip
def test_a_wrong_token_is_named_by_its_place(world: World, body: dict[str, object], path: str) -> None:
    answer = world.post("/v1/tokens", json=body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["path"] == path


def test_a_token_is_not_kept_with_an_idempotency_key(world: World) -> None:
    made = world.post("/v1/tokens", json={}, headers={"Idempotency-Key": "k1"}).json()["token"]["token"]
    with world.database.read() as tx:
        assert made not in str(tx.exec_driver_sql("SELECT * FROM replies").all())


# -- who may use which connection


def test_a_restricted_connection_is_used_by_those_it_is_open_to_alone(world: World) -> None:
    job_id = world.job()
    done = world.run(job_id, "complete")
    source = world.stored(job_id).source_connection
    path = f"/v1/connections/{source}"
    assert world.get(f"{path}/access").json()["data"] == {"restricted": False, "users": []}
    closed = world.call("PUT", f"{path}/access", json={"restricted": True, "users": ["operator"]})
    assert closed.json()["data"] == {"restricted": True, "users": ["operator"]}
    body = world.body()
    body["transfer"]["source"]["connection"]["id"] = source
    for method, url, more in (
        ("GET", f"{path}/items", {}),
        ("PATCH", path, {"json": {"name": "mine"}}),
        ("DELETE", path, {}),
        ("POST", "/v1/jobs", {"json": body}),
        ("POST", f"/v1/jobs/{job_id}/clone", {"json": {}}),
        ("POST", f"/v1/jobs/{job_id}/execute", {}),
        ("PATCH", f"/v1/jobs/{job_id}?start=1", {}),
        ("PATCH", f"/v1/jobs/{job_id}", {"json": {"status": "start"}}),
        ("POST", f"/v1/jobs/{job_id}/retry", {}),
        ("POST", f"/v1/transfers/executions/{done}/undo", {}),
        ("POST", f"{path}/test", {}),
        ("GET", f"/v1/jobs/{job_id}/plan", {}),
    ):
        answer = world.call(method, url, role="manager", **more)
        assert answer.status_code == 403, (method, url, answer.text)
        assert "open to some people" in answer.json()["detail"]
    assert world.get(f"{path}/items", role="operator").status_code == 200
    assert world.post(f"/v1/jobs/{job_id}/execute", role="operator").status_code == 200
    assert world.get(f"{path}/items").status_code == 200
    assert world.stored(job_id).name == "a job"
    assert world.call("PUT", f"{path}/access", json={"restricted": False}).status_code == 200
    assert world.get(f"{path}/items", role="manager").status_code == 200


def test_wrong_access_is_named_by_its_place(world: World) -> None:
    path = f"/v1/connections/{world.connection()}/access"
    for body, place in (
        ({"restricted": True, "users": ["ghost"]}, "/users/0"),
        ({"restricted": "yes"}, "/restricted"),
        ({"restricted": False, "users": ["admin"]}, "/users"),
        ({}, "/restricted"),
    ):
        answer = world.call("PUT", path, json=body)
        assert answer.status_code == 400, answer.text
        assert answer.json()["errors"][0]["path"] == place
    assert world.call("PUT", path, role="manager", json={"restricted": True}).status_code == 403


def test_the_record_says_who_did_what_from_where(world: World) -> None:
    made = world.post("/v1/users", json={"name": "ann", "role": "viewer", "password": PASSWORD}).json()["user"]["id"]
    world.patch("/v1/users/ann", json={"role": "operator", "password": "another one"})
    world.patch(f"/v1/connections/{world.connection('old')}", json={"name": "new"})
    job_id = world.job()
    world.client.post("/v1/auth", json={"email": "ann", "password": "wrong password"})
    found = world.get("/v1/audit", role="auditor").json()["audit"]
    actions = [one["action"] for one in found]
    assert actions[0] == "session.refused"
    assert {"user.created", "user.changed", "connection.changed", "job.created"} <= set(actions)
    changed = next(one for one in found if one["action"] == "user.changed")
    assert (changed["actor"], changed["object"], changed["name"]) == ("admin", f"user:{made}", "ann")
    assert changed["changes"] == {"role": ["viewer", "operator"], "password": ["***", "***"]}
    assert changed["address"] == "testclient"
    assert changed["tokenId"]
    assert changed["requestId"]
    renamed = next(one for one in found if one["action"] == "connection.changed")
    assert renamed["changes"] == {"name": ["old", "new"]}
    assert next(one for one in found if one["action"] == "job.created")["object"] == f"job:{job_id}"
    assert PASSWORD not in json.dumps(found)


def test_the_record_is_paged_filtered_and_written_as_csv(world: World) -> None:
    for number in range(5):
        world.post("/v1/users", json={"name": f"u{number}", "role": "viewer"})
    seen, url = [], "/v1/audit?action=user.&limit=2"
    while url:
        answer = world.get(url).json()
        seen += [one["name"] for one in answer["audit"]]
        url = answer["meta"]["links"].get("next", {}).get("href")
    assert seen == ["u4", "u3", "u2", "u1", "u0"]
    assert world.get("/v1/audit?actor=nobody-such").json()["audit"] == []
    assert world.get("/v1/audit?since=2100-01-01").json()["audit"] == []
    assert world.get("/v1/audit?until=x").status_code == 400
    lines = world.get("/v1/audit.csv?action=user.").text.splitlines()
    assert lines[0].startswith("id,time,actor")
    assert [line.split(",")[9] for line in lines[1:]] == ["u0", "u1", "u2", "u3", "u4"]


def test_a_changed_or_missing_line_of_the_record_is_found(world: World) -> None:
    for number in range(3):
        world.post("/v1/users", json={"name": f"u{number}", "role": "viewer"})
    assert world.get("/v1/audit/verify").json() == {"data": {"intact": True}}
    with world.database.begin() as tx:
        ids = [row[0] for row in tx.exec_driver_sql("SELECT id FROM admin_audit ORDER BY id")]
        tx.exec_driver_sql(f"UPDATE admin_audit SET actor = 'somebody' WHERE id = {ids[1]}")
    assert world.get("/v1/audit/verify").json() == {"data": {"intact": False, "firstBroken": str(ids[1])}}
    with world.database.begin() as tx:
        tx.exec_driver_sql(f"DELETE FROM admin_audit WHERE id = {ids[1]}")
    assert world.get("/v1/audit/verify").json()["data"]["firstBroken"] == str(ids[2])


def test_a_user_is_changed_only_as_the_version_that_was_seen(world: World) -> None:
    made = world.post("/v1/users", json={"name": "ann", "role": "viewer", "password": "a-long-enough-password"})
    place = f"/v1/users/{made.json()['user']['id']}"
    assert made.headers["etag"] == world.get(place).headers["etag"] == '"1"'
    assert world.get(place, headers={"If-None-Match": '"1"'}).status_code == 304
    changed = world.patch(place, json={"role": "operator"}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    stale = world.patch(place, json={"role": "admin"}, headers={"If-Match": '"1"'})
    assert stale.status_code == 412
    assert world.get(place).json()["user"]["role"] == "operator"
    assert world.patch(place, json={"role": "admin"}, headers={"If-Match": "*"}).status_code == 200
    assert world.patch(place, json={"role": "admin"}, headers={"If-Match": "two"}).status_code == 400


def test_signing_in_is_no_new_version_of_a_user(world: World) -> None:
    made = world.post("/v1/users", json={"name": "ann", "role": "viewer", "password": "a-long-enough-password"})
    world.client.post("/v1/auth", json={"email": "ann", "password": "a-long-enough-password"})
    world.client.post("/v1/auth", json={"email": "ann", "password": "wrong"})
    assert world.get(f"/v1/users/{made.json()['user']['id']}").headers["etag"] == '"1"'
