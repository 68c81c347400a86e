"""Which call is valid in which state, over HTTP: every cell of the table in ``domain/states.py``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tallyport.domain.jobs import Job
from tallyport.domain.states import FINAL, Call, State, Verdict, allowed
from tallyport.store import executions, jobs
from tests.api import world as worlds
from tests.api.world import World

REQUESTS = {
    Call.READ: ("GET", "/v1/jobs/{}", None),
    Call.EDIT: ("PATCH", "/v1/jobs/{}", {"stop_policy": {"on_execute": 3}}),
    Call.ANNOTATE: ("PATCH", "/v1/jobs/{}", {"metadata": {"note": "x"}}),
    Call.PROGRESS: ("PATCH", "/v1/jobs/{}", {"progress": 7}),
    Call.DELETE: ("DELETE", "/v1/jobs/{}", None),
    Call.START: ("POST", "/v1/jobs/{}/execute", None),
    Call.READ_PLAN: ("GET", "/v1/jobs/{}/plan", None),
    Call.ACK: ("POST", "/v1/jobs/{}/ack", {}),
    Call.COMPLETE: ("POST", "/v1/jobs/{}/complete", {}),
    Call.FAIL: ("POST", "/v1/jobs/{}/fail", {}),
    Call.ACK_OUTCOME: ("POST", "/v1/jobs/{}/outcome/ack", None),
    Call.CANCEL: ("POST", "/v1/jobs/{}/cancel", {}),
    Call.PAUSE: ("PATCH", "/v1/jobs/{}?pause=1", None),
    Call.RESUME: ("PATCH", "/v1/jobs/{}?resume=1", None),
    Call.RETRY: ("POST", "/v1/jobs/{}/retry", None),
}
AFTER_START = {State.PLANNING: "planning"}
UNMANAGED = (Call.PROGRESS, Call.ACK, Call.COMPLETE, Call.FAIL)


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch:
        made = worlds.make(str(tmp_path_factory.mktemp("world")), patch)
        made.ends = (made.connection("from"), made.connection("to"))  # type: ignore[attr-defined]
        yield made
        worlds.close(made)


def in_state(world: World, state: State) -> str:
    """Make a job whose newest execution is in a state."""
    source, destination = world.ends  # type: ignore[attr-defined]
    transfer = {
        "transfer_type": "copy",
        "source": {"connection": {"id": source}, "target": {"path": "/a"}},
        "destination": {"connection": {"id": destination}, "target": {"path": "/b"}},
    }
    job_id = jobs.new_id()
    new = Job(
        id=job_id,
        name="a job",
        source_connection=source,
        source_path="a",
        destination_connection=destination,
        destination_path="b",
        transfer_type="copy",
        transfer=transfer,
        created_at=1,
        modified_at=1,
    )
    with world.database.begin() as tx:
        jobs.add(tx, new)
        if state is State.CREATED:
            return job_id
        run = executions.add(tx, job_id=job_id, trigger="schedule", policies="{}", state="ready")
        if state is not State.READY:
            ended = {"result": "errors"} if state is State.COMPLETE else {}
            executions.change(tx, run.id, started_at=1)
            assert executions.move(tx, run.id, ("ready",), state.value, **ended)
    return job_id


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("call", list(REQUESTS))
def test_a_call_is_valid_exactly_where_the_table_says(shared: World, call: Call, state: State) -> None:
    job_id = in_state(shared, state)
    before = shared.stored(job_id)
    method, path, body = REQUESTS[call]
    answer = shared.call(method, path.format(job_id), json=body)
    verdict = allowed(call, state)
    if verdict in (Verdict.NO, Verdict.DUPLICATE):  # nobody asked for a retry before
        assert answer.status_code == 409, answer.text
        assert answer.json()["errors"][0]["key"] == "status"
        assert shared.stored(job_id) == before
    else:
        assert answer.status_code == 200, answer.text
    if verdict is Verdict.SAME:
        assert shared.stored(job_id) == before


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("call", UNMANAGED)
def test_an_agents_job_follows_its_own_rows(shared: World, call: Call, state: State) -> None:
    body = {"type": "workbook", "operation": "enrich", "source": "wb_1"}
    job_id = str(shared.post("/v1/jobs", json=body).json()["data"]["id"])
    with shared.database.begin() as tx:
        jobs.change(tx, job_id, state=state.value)
    before = shared.stored(job_id)
    method, path, sent = REQUESTS[call]
    answer = shared.call(method, path.format(job_id), json=sent)
    verdict = allowed(call, state, managed=False)
    assert answer.status_code == (409 if verdict is Verdict.NO else 200), answer.text
    if verdict is not Verdict.YES:
        assert shared.stored(job_id) == before


@pytest.mark.parametrize("state", [State.CREATED, *sorted(FINAL)])
def test_start_makes_a_new_execution_where_none_is_under_way(shared: World, state: State) -> None:
    job_id = in_state(shared, state)
    before = shared.stored(job_id).execution_id
    assert shared.patch(f"/v1/jobs/{job_id}?start=1").status_code == 200
    run = shared.latest(job_id)
    assert (run.state, run.trigger, run.scope) == ("ready", "manual", None)
    assert run.id != before


def test_start_of_a_paused_job_resumes_it(shared: World) -> None:
    job_id = in_state(shared, State.PAUSED)
    before = shared.latest(job_id)
    shared.post(f"/v1/jobs/{job_id}/execute")
    assert shared.latest(job_id).id == before.id
    assert shared.latest(job_id).state == "ready"


@pytest.mark.parametrize(
    ("state", "after"),
    [(State.EXECUTING, "pausing"), (State.WAITING, "pausing"), (State.READY, "paused"), (State.PAUSING, "pausing")],
)
def test_pause_reaches_the_next_safe_point(shared: World, state: State, after: str) -> None:
    job_id = in_state(shared, state)
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
    job_id = in_state(shared, state)
    shared.patch(f"/v1/jobs/{job_id}?cancel=1")
    assert shared.latest(job_id).state == after


def test_a_retry_asked_twice_by_the_same_caller_is_one_retry(shared: World) -> None:
    job_id = in_state(shared, State.FAILED)
    first = shared.post(f"/v1/jobs/{job_id}/retry").json()["data"]
    second = shared.post(f"/v1/jobs/{job_id}/retry").json()["data"]
    assert first["metadata"]["executionId"] == second["metadata"]["executionId"]
    assert shared.post(f"/v1/jobs/{job_id}/retry", role="operator").status_code == 409


def test_a_clean_run_has_nothing_to_retry(shared: World) -> None:
    job_id = in_state(shared, State.EXECUTING)
    shared.run(job_id, "complete", result="clean")
    assert shared.post(f"/v1/jobs/{job_id}/retry").status_code == 409


def test_an_outcome_is_acknowledged_once_and_keeps_the_first_time(shared: World) -> None:
    job_id = in_state(shared, State.FAILED)
    first = shared.post(f"/v1/jobs/{job_id}/outcome/ack").json()["data"]["outcomeAcknowledgedAt"]
    assert shared.post(f"/v1/jobs/{job_id}/outcome/ack").json()["data"]["outcomeAcknowledgedAt"] == first


def test_a_hold_of_an_automatic_job_pauses_an_active_run(shared: World) -> None:
    job_id = in_state(shared, State.EXECUTING)
    answer = shared.patch(f"/v1/jobs/{job_id}", json={"schedule": {"mode": "auto"}, "status": "paused"})
    assert answer.status_code == 200, answer.text
    assert shared.latest(job_id).state == "pausing"
    assert shared.stored(job_id).held


def test_a_job_that_met_its_stop_policy_starts_again_only_when_that_is_changed(shared: World) -> None:
    job_id = in_state(shared, State.FAILED)
    with shared.database.begin() as tx:
        jobs.change(tx, job_id, closed=True)
    assert shared.patch(f"/v1/jobs/{job_id}?start=1").status_code == 409
    assert shared.patch(f"/v1/jobs/{job_id}", json={"stop_policy": {"on_failure": 9}}).status_code == 200
    assert shared.patch(f"/v1/jobs/{job_id}?start=1").status_code == 200


def test_the_words_of_three_dialects_for_one_state(shared: World) -> None:
    job_id = in_state(shared, State.PAUSED)
    document = shared.get(f"/v1/jobs/{job_id}").json()
    run = shared.latest(job_id)
    summary = shared.get(f"/Job/{run.id}").json()["jobs"][0]["jobSummary"]
    assert (document["job"]["status"], document["data"]["status"], summary["status"]) == (
        "paused",
        "waiting",
        "Suspended",
    )
    assert document["data"]["metadata"]["holdReason"] == "paused"
