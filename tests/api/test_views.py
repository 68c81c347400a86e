"""Filters of lists that a person keeps, and what is said of the installation."""

from __future__ import annotations

import pytest

from tests.api.world import World


def keep(world: World, name: str, query: str = "status=failed", *, role: str = "viewer") -> str:
    answer = world.post("/v1/views", json={"list": "jobs", "name": name, "query": query}, role=role)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["data"]["id"])


def test_a_view_is_ones_own(world: World) -> None:
    one = keep(world, "mine")
    assert [view["id"] for view in world.get("/v1/views", role="viewer").json()["data"]] == [one]
    assert world.get("/v1/views", role="admin").json()["data"] == []
    assert world.delete(f"/v1/views/{one}", role="admin").status_code == 404
    assert world.delete(f"/v1/views/{one}", role="viewer").status_code == 200
    assert world.get("/v1/views", role="viewer").json()["data"] == []


def test_a_view_of_the_same_name_is_replaced(world: World) -> None:
    keep(world, "mine", "status=failed")
    keep(world, "mine", "?status=done&cursor=17&offset=50")
    assert [view["query"] for view in world.get("/v1/views", role="viewer").json()["data"]] == ["status=done"]


@pytest.mark.parametrize(
    "body",
    [
        {"list": "users", "name": "a", "query": ""},
        {"list": "jobs", "name": " ", "query": ""},
        {"list": "jobs", "name": "a", "query": 1},
        {"list": "jobs", "name": "a", "query": "q=" + "x" * 3_000},
        {"list": "jobs", "query": "q=x"},
        {"list": "jobs", "name": "a", "other": 1},
    ],
)
def test_a_view_that_cannot_be_is_refused(world: World, body: dict[str, object]) -> None:
    assert world.post("/v1/views", json=body, role="viewer").status_code == 400
    assert world.get("/v1/views", role="viewer").json()["data"] == []


def test_settings_show_where_they_come_from_and_no_secret(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLYPORT_SECRET_KEY", "very-secret")
    monkeypatch.setenv("TALLYPORT_STRICT_TOPICS", "1")
    answer = world.get("/v1/settings")
    found = {one["name"]: one for one in answer.json()["data"]}
    assert (found["TALLYPORT_STRICT_TOPICS"]["value"], found["TALLYPORT_STRICT_TOPICS"]["origin"]) == (
        "1",
        "environment",
    )
    assert found["TALLYPORT_DATA"]["origin"] == "default"
    assert "very-secret" not in answer.text
    assert world.get("/v1/settings", role="manager").status_code == 403


def test_the_doctor_looks_at_the_machine_that_serves(world: World) -> None:
    found = world.get("/v1/doctor").json()["data"]
    assert {"tallyport", "sqlite", "data", "ledger"} <= {one["topic"] for one in found["findings"]}
    assert world.get("/v1/doctor", role="operator").status_code == 403
