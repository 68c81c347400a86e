"""Error categories over the API."""

from __future__ import annotations

import pytest

from tests.api.world import World

RULE = {"rules": [{"type": "filter_context", "text": "[audit_type] >= 5000"}]}


def test_categories_are_made_listed_and_removed(world: World) -> None:
    made = world.post("/v1/transfers/categories", json={"name": "locked", "filter": RULE, "action": "ignore"})
    assert made.status_code == 201
    category = made.json()["audit_category"]
    assert (category["action"], category["max_retry"], category["priority"]) == ("ignore", 3, 10_000)
    assert [one["name"] for one in world.get("/v1/transfers/categories").json()["audit_categories"]] == ["locked"]
    everything = world.get("/v1/transfers/categories?priority=all").json()["data"]
    assert [one["built_in"] for one in everything] == [False] + [True] * 11
    assert world.delete(f"/v1/transfers/categories/{category['id']}").status_code == 204
    assert world.get("/v1/transfers/categories").json()["data"] == []


def test_a_category_may_belong_to_one_job(world: World) -> None:
    job = world.job()
    made = world.post("/v1/transfers/categories", json={"name": "own", "filter": RULE, "job": job})
    assert made.json()["data"]["job"] == job
    assert world.get("/v1/transfers/categories").json()["data"] == []
    assert [one["name"] for one in world.get(f"/v1/transfers/categories?job={job}").json()["data"]] == ["own"]
    again = world.post("/v1/transfers/categories", json={"name": "own", "filter": RULE, "job": job})
    assert again.status_code == 409
    assert (
        world.post("/v1/transfers/categories", json={"name": "x", "filter": RULE, "job": "0" * 32}).status_code == 404
    )


def test_a_bad_category_is_refused_with_its_paths(world: World) -> None:
    answer = world.post("/v1/transfers/categories", json={"name": "x", "filter": RULE, "action": "stop", "retries": 1})
    assert answer.status_code == 400
    assert {"/action", "/retries"} <= {problem["path"] for problem in answer.json()["errors"]}


@pytest.mark.parametrize(("category", "status"), [("5001", 409), ("77", 404), ("x", 404)])
def test_what_cannot_be_removed_is_refused(world: World, category: str, status: int) -> None:
    assert world.delete(f"/v1/transfers/categories/{category}").status_code == status


def test_who_may_only_look_makes_none(world: World) -> None:
    answer = world.post("/v1/transfers/categories", json={"name": "x", "filter": RULE}, role="viewer")
    assert answer.status_code == 403


def test_a_job_that_a_category_halted_runs_again_after_a_reset(world: World) -> None:
    from tallyport.store import executions, jobs

    job = world.job()
    run = world.run(job, "executing")
    with world.database.begin() as tx:
        executions.change(tx, run, halted_by="disk trouble")
        executions.move(tx, run, ("executing",), "failed")
        jobs.change(tx, job, closed=True)
    refused = world.patch(f"/v1/jobs/{job}?start=1")
    assert refused.status_code == 409
    assert "disk trouble" in refused.text
    assert world.patch(f"/v1/jobs/{job}?reset=soft").status_code == 200
    assert world.patch(f"/v1/jobs/{job}?start=1").status_code == 200
