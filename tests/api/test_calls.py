"""Every call in every state, over HTTP, from one table: ``calls.csv``.

``x`` conflicts and changes nothing · ``=`` succeeds and changes nothing · ``.`` succeeds and leaves the state ·
``d`` conflicts unless it is the same request again · ``gone`` the job is deleted · a state: where the call leads ·
empty: the call needs an execution, and there is none.
"""

from __future__ import annotations

import csv
import os
from typing import Any

import pytest

from tallyport.domain.states import Call, State, Verdict, allowed
from tallyport.store import executions, jobs
from tests.api.standing import in_state, shared
from tests.api.world import World

__all__ = ["shared"]

TABLE = os.path.join(os.path.dirname(__file__), "calls.csv")
PLAN: dict[str, Any] = {"fieldMapping": [], "unmappedSourceFields": [], "unmappedDestinationFields": []}

REQUESTS: dict[str, tuple[str, str, Any]] = {
    "read": ("GET", "/v1/jobs/{job}", None),
    "list": ("GET", "/v1/jobs?q=a+job", None),
    "failed_items": ("GET", "/Job/{job}/FailedItems", None),
    "edit": ("PATCH", "/v1/jobs/{job}", {"stop_policy": {"on_execute": 3}}),
    "annotate": ("PATCH", "/v1/jobs/{job}", {"metadata": {"note": "x"}, "info": "y"}),
    "progress": ("PATCH", "/v1/jobs/{job}", {"progress": 7}),
    "delete": ("DELETE", "/v1/jobs/{job}", None),
    "execute": ("POST", "/v1/jobs/{job}/execute", None),
    "start": ("PATCH", "/v1/jobs/{job}?start=1", None),
    "read_plan": ("GET", "/v1/jobs/{job}/plan", None),
    "put_plan": ("PUT", "/v1/jobs/{job}/plan", PLAN),
    "patch_plan": ("PATCH", "/v1/jobs/{job}/plan", {"unmappedSourceFields": []}),
    "ack": ("POST", "/v1/jobs/{job}/ack", {}),
    "complete": ("POST", "/v1/jobs/{job}/complete", {}),
    "fail": ("POST", "/v1/jobs/{job}/fail", {}),
    "ack_outcome": ("POST", "/v1/jobs/{job}/outcome/ack", None),
    "cancel": ("POST", "/v1/jobs/{job}/cancel", {}),
    "kill": ("POST", "/Job/{run}/action/kill", None),
    "pause": ("PATCH", "/v1/jobs/{job}?pause=1", None),
    "suspend": ("POST", "/Job/{run}/action/pause", None),
    "hold": ("PATCH", "/v1/jobs/{job}", {"schedule": {"mode": "auto"}, "status": "paused"}),
    "resume": ("PATCH", "/v1/jobs/{job}?resume=1", None),
    "unsuspend": ("POST", "/Job/{run}/action/resume", None),
    "retry": ("POST", "/v1/jobs/{job}/retry", None),
    "resubmit": ("POST", "/Job/{run}/action/Resubmit", None),
    "split": ("POST", "/v1/jobs/{job}/split", {"parts": 2, "runInParallel": True}),
    "preview": ("POST", "/v1/jobs/preview-mutation", {"sheetId": "{job}", "mutateRecord": "name = lower(name)"}),
}
VERBS = {  # rows whose cells the table of the domain must say too
    "read": Call.READ,
    "edit": Call.EDIT,
    "annotate": Call.ANNOTATE,
    "progress": Call.PROGRESS,
    "delete": Call.DELETE,
    "execute": Call.START,
    "read_plan": Call.READ_PLAN,
    "put_plan": Call.EDIT_PLAN,
    "ack": Call.ACK,
    "complete": Call.COMPLETE,
    "fail": Call.FAIL,
    "ack_outcome": Call.ACK_OUTCOME,
    "cancel": Call.CANCEL,
    "pause": Call.PAUSE,
    "hold": Call.HOLD,
    "resume": Call.RESUME,
    "retry": Call.RETRY,
    "resubmit": Call.RESUBMIT,
    "split": Call.SPLIT,
}


def cells() -> list[tuple[str, str, State, str]]:
    with open(TABLE, encoding="utf-8", newline="") as stream:
        return [
            (row["call"], row["job"], state, row[state.value])
            for row in csv.DictReader(stream)
            for state in State
            if row[state.value]
        ]


CELLS = cells()


def ask(world: World, call: str, kind: str, job_id: str) -> Any:
    method, path, body = REQUESTS[call]
    run = world.stored(job_id).execution_id
    if call == "preview":
        body = body | {"sheetId": job_id}
    query = "?force=true" if kind == "forced" else ""
    return world.call(method, path.format(job=job_id, run=run) + query, json=body)


def conflicts(answer: Any) -> bool:
    """Tell whether a call was refused: by status, or by the error number of the dialect that answers 200 always."""
    if answer.status_code == 409:
        return True
    assert answer.status_code == 200, answer.text
    document = answer.json()
    if not isinstance(document, dict):
        return False
    errors = document.get("errors")
    return bool(document.get("errorCode") or (errors and errors[0]["errList"][0]["errorCode"]))


@pytest.mark.parametrize(("call", "kind", "state", "cell"), CELLS)
def test_a_call_is_valid_exactly_where_the_table_says(
    shared: World, call: str, kind: str, state: State, cell: str
) -> None:
    job_id = in_state(shared, state, kind)
    before = shared.stored(job_id)
    answer = ask(shared, call, kind, job_id)
    if cell == "gone":
        assert answer.status_code == 200, answer.text
        assert shared.get(f"/v1/jobs/{job_id}").status_code == 404
        return
    after = shared.stored(job_id)
    assert conflicts(answer) == (cell in ("x", "d")), answer.text
    if cell in ("x", "=", "d"):
        assert (after.state, after.extra) == (before.state, before.extra)
        assert after.version == before.version or call == "hold"  # its schedule is changed all the same
        return
    if cell == ".":
        assert after.state == before.state
        return
    assert after.state == cell
    if kind != "agent" and after.execution_id is not None:
        assert shared.latest(job_id).state == cell


def test_the_table_has_every_call_and_every_state_once() -> None:
    seen = [cell[:3] for cell in CELLS]
    assert len(seen) == len(set(seen))
    assert {call for call, *_ in CELLS} == set(REQUESTS)
    assert set(VERBS.values()) == set(Call)
    for call in REQUESTS:
        assert {state for name, _, state, _ in CELLS if name == call} >= set(State) - {State.CREATED, State.SCHEDULED}


@pytest.mark.parametrize("call", list(VERBS))
def test_the_domain_says_what_the_table_says(call: str) -> None:
    for _, kind, state, cell in (one for one in CELLS if one[0] == call):
        verdict = allowed(VERBS[call], state, managed=kind != "agent", forced=kind == "forced")
        assert verdict is {"x": Verdict.NO, "=": Verdict.SAME, "d": Verdict.DUPLICATE}.get(cell, Verdict.YES)


@pytest.mark.parametrize("state", [State.CREATED, State.READY, State.WAITING, State.EXECUTING])
def test_a_retry_again_by_the_same_caller_is_the_same_retry(shared: World, state: State) -> None:
    job_id = in_state(shared, State.FAILED, "ours")
    first = shared.post(f"/v1/jobs/{job_id}/retry").json()["data"]
    if state is not State.CREATED:
        shared.run(job_id, state.value)
    again = shared.post(f"/v1/jobs/{job_id}/retry")
    assert again.status_code == 200
    assert again.json()["data"]["metadata"]["executionId"] == first["metadata"]["executionId"]
    assert shared.post(f"/v1/jobs/{job_id}/retry", role="operator").status_code == 409


def test_a_retry_needs_something_that_is_not_done(shared: World) -> None:
    job_id = in_state(shared, State.COMPLETE, "ours")
    with shared.database.begin() as tx:
        executions.change(tx, shared.latest(job_id).id, result="clean")
        jobs.change(tx, job_id, result="clean")
    assert shared.post(f"/v1/jobs/{job_id}/retry").status_code == 409


def test_an_outcome_is_acknowledged_once_and_the_first_time_stays(shared: World) -> None:
    job_id = in_state(shared, State.COMPLETE, "ours")
    first = shared.post(f"/v1/jobs/{job_id}/outcome/ack").json()["data"]["outcomeAcknowledgedAt"]
    assert shared.post(f"/v1/jobs/{job_id}/outcome/ack").json()["data"]["outcomeAcknowledgedAt"] == first


def test_a_job_is_split_once_for_each_run(shared: World) -> None:
    job_id = in_state(shared, State.CREATED, "ours")
    assert ask(shared, "split", "ours", job_id).status_code == 200
    assert ask(shared, "split", "ours", job_id).status_code == 409
    shared.post(f"/v1/jobs/{job_id}/cancel")
    held = in_state(shared, State.SCHEDULED, "ours")
    assert ask(shared, "split", "ours", held).status_code == 200
    assert ask(shared, "split", "ours", held).status_code == 409
