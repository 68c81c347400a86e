"""What calls do to runs, over HTTP. ``test_calls.py`` has every call in every state."""

from __future__ import annotations

import pytest

from tallyport.domain.states import FINAL, State
from tallyport.store import jobs
from tests.api.standing import ours, shared
from tests.api.world import World

__all__ = ["shared"]


@pytest.mark.parametrize("state", [State.CREATED, *sorted(FINAL)])
def test_start_makes_a_new_execution_where_none_is_under_way(shared: World, state: State) -> None:
    job_id = ours(shared, state)
    before = shared.stored(job_id).execution_id
    assert shared.patch(f"/v1/jobs/{job_id}?start=1").status_code == 200
    run = shared.latest(job_id)
    assert (run.state, run.trigger, run.scope) == ("ready", "manual", None)
    assert run.id != before


def test_start_of_a_paused_job_resumes_it(shared: World) -> None:
    job_id = ours(shared, State.PAUSED)
    before = shared.latest(job_id)
    shared.post(f"/v1/jobs/{job_id}/execute")
    assert shared.latest(job_id).id == before.id
    assert shared.latest(job_id).state == "ready"


@pytest.mark.parametrize(
    ("state", "after"),
    [(State.EXECUTING, "pausing"), (State.WAITING, "pausing"), (State.READY, "paused"), (State.PAUSING, "pausing")],
)
def test_pause_reaches_the_next_safe_point(shared: World, state: State, after: str) -> None:
    job_id = ours(shared, state)
    shared.patch(f"/v1/jobs/{job_id}?pause=1")
    assert shared.latest(job_id).state == after
    assert shared.stored(job_id).state == after


@pytest.mark.parametrize(
    ("state", "after"),
    [
        (State.EXECUTING, "canceling"),
        (State.PAUSED, "canceling"),
        (State.READY, "canceled"),
        (State.PAUSING, "canceling"),
    ],
)
def test_cancel_is_at_once_only_when_nothing_began(shared: World, state: State, after: str) -> None:
    job_id = ours(shared, state)
    shared.patch(f"/v1/jobs/{job_id}?cancel=1")
    assert shared.latest(job_id).state == after


def test_a_hold_of_an_automatic_job_pauses_an_active_run(shared: World) -> None:
    job_id = ours(shared, State.EXECUTING)
    answer = shared.patch(f"/v1/jobs/{job_id}", json={"schedule": {"mode": "auto"}, "status": "paused"})
    assert answer.status_code == 200, answer.text
    assert shared.latest(job_id).state == "pausing"
    assert shared.stored(job_id).held


def test_a_job_that_met_its_stop_policy_starts_again_only_when_that_is_changed(shared: World) -> None:
    job_id = ours(shared, State.FAILED)
    with shared.database.begin() as tx:
        jobs.change(tx, job_id, closed=True)
    assert shared.patch(f"/v1/jobs/{job_id}?start=1").status_code == 409
    assert shared.patch(f"/v1/jobs/{job_id}", json={"stop_policy": {"on_failure": 9}}).status_code == 200
    assert shared.patch(f"/v1/jobs/{job_id}?start=1").status_code == 200


def test_the_words_of_three_dialects_for_one_state(shared: World) -> None:
    job_id = ours(shared, State.PAUSED)
    document = shared.get(f"/v1/jobs/{job_id}").json()
    run = shared.latest(job_id)
    summary = shared.get(f"/Job/{run.id}").json()["jobs"][0]["jobSummary"]
    assert (document["job"]["status"], document["data"]["status"], summary["status"]) == (
        "paused",
        "waiting",
        "Suspended",
    )
    assert document["data"]["metadata"]["holdReason"] == "paused"
