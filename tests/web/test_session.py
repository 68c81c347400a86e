"""Sessions of browsers, and requests that another site made."""

from __future__ import annotations

import pytest

from tests.web.conftest import Console


def test_a_page_without_a_session_leads_to_the_sign_in_and_back(console: Console) -> None:
    answer = console.client.get("/console/jobs?status=failed")
    assert answer.status_code == 303
    there = answer.headers["location"]
    assert there == "/console/sign-in?to=%2Fconsole%2Fjobs%3Fstatus%3Dfailed"
    form = console.client.get(there).text
    assert 'value="/console/jobs?status=failed"' in form
    sent = {"name": "viewer", "password": "viewer-password", "to": "/console/jobs?status=failed"}
    answer = console.client.post("/console/sign-in", data=sent)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/jobs?status=failed")


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(console: Console) -> None:
    answer = console.client.post("/console/sign-in", data={"name": "viewer", "password": "viewer-password"})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie


def test_over_tls_the_cookie_is_bound_to_the_host(console: Console) -> None:
    sent = {"name": "viewer", "password": "viewer-password"}
    answer = console.client.post("https://testserver/console/sign-in", data=sent)
    assert answer.headers["set-cookie"].startswith("__Host-tallyport=")
    assert "secure" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    "to", ["https://example.com/", "//example.com", "/\\example.com", "/v1/jobs", "/console/sign-out"]
)
def test_signing_in_never_leads_away_from_the_console(console: Console, to: str) -> None:
    sent = {"name": "viewer", "password": "viewer-password", "to": to}
    assert console.client.post("/console/sign-in", data=sent).headers["location"] == "/console/"


def test_a_wrong_password_is_told_without_saying_which_part_is_wrong(console: Console) -> None:
    answer = console.client.post("/console/sign-in", data={"name": "viewer", "password": "no"})
    assert answer.status_code == 401
    assert "the name or the password is wrong" in answer.text


def test_signing_out_ends_the_session_at_the_server(console: Console) -> None:
    console.sign_in()
    kept = dict(console.client.cookies)
    console.client.post("/console/sign-out")
    console.client.cookies.update(kept)
    assert console.client.get("/console/jobs").status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://example.com"},
        {"Origin": "null"},
    ],
)
def test_another_site_cannot_use_the_session(console: Console, headers: dict[str, str]) -> None:
    console.sign_in()
    job = console.world.job()
    assert console.client.post(f"/v1/jobs/{job}/execute", headers=headers).status_code == 403
    assert console.client.post("/console/sign-out", headers=headers).status_code == 403
    assert console.world.stored(job).state == "created"


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://testserver"}])
def test_a_page_of_ours_uses_the_api_with_the_session(console: Console, headers: dict[str, str]) -> None:
    console.sign_in("operator")
    job = console.world.job()
    assert console.client.post(f"/v1/jobs/{job}/execute", headers=headers).status_code == 200
    assert console.world.stored(job).state == "ready"


def test_a_session_can_do_no_more_than_its_role(console: Console) -> None:
    console.sign_in("viewer")
    job = console.world.job()
    assert console.client.post(f"/v1/jobs/{job}/execute").status_code == 403
    assert "data-call=" not in console.page(f"/jobs/{job}/overview").replace("sign-out", "")


def test_a_token_of_its_own_is_not_replaced_by_the_session(console: Console) -> None:
    console.sign_in("admin")
    headers = {"Authorization": f"Bearer {console.world.tokens['viewer']}"}
    assert console.client.get("/v1/users/me", headers=headers).json()["user"]["login"] == "viewer"
    assert console.client.get("/v1/users/me").json()["user"]["login"] == "admin"


def test_browsers_come_from_the_root_to_the_console(console: Console) -> None:
    answer = console.client.get("/")
    assert (answer.status_code, answer.headers["location"]) == (302, "/console/")


def test_the_other_dialects_keep_their_addresses(console: Console) -> None:
    assert console.client.post("/Login", json={}).status_code != 404
    assert console.client.get("/healthz").json() == {"status": "ok"}
    assert console.client.get("/console/nowhere").status_code == 404
