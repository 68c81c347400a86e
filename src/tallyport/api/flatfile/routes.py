"""The routes of this dialect alone. They answer ``{"data": ...}`` and nothing beside it."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api import envelopes
from tallyport.api.envelopes import Profile
from tallyport.api.flatfile import plans
from tallyport.api.wiring import Called, Desked, Document, flag, json_response, words
from tallyport.control import agents, executions, reading
from tallyport.control.desk import Right
from tallyport.control.pictures import Picture
from tallyport.control.refusals import Invalid, NotBuilt, invalid
from tallyport.domain.documents import Reader
from tallyport.domain.states import Call

router = APIRouter(prefix="/v1/jobs", tags=["job lifecycle"])

SUCCESS = {"data": {"success": True}}


@router.post("/preview-mutation", summary="Preview a mutation (not in this version)")
def preview_mutation(request: Request) -> Response:
    envelopes.hooks_disabled(request)
    raise NotBuilt(
        "previews of renames are not in this version; a job with simulation_mode: true shows what would be done"
    )


@router.post("/{job}/execute", summary="Start a job")
def execute_job(request: Request, desk: Desked, caller: Called, job: str) -> Response:
    envelopes.hooks_disabled(request)
    executions.start(desk, job, caller)
    return json_response(SUCCESS)


@router.get("/{job}/plan", summary="Show what a job would carry, and how")
def show_plan(request: Request, desk: Desked, job: str) -> Response:
    picture = reading.job(desk, job)
    return json_response({"data": {"job": _view(request, picture), "plan": plans.plan(picture)}})


@router.put("/{job}/plan", summary="Replace a job's plan (not in this version)", name="replace_plan")
@router.patch("/{job}/plan", summary="Change a job's plan (not in this version)")
def change_plan(desk: Desked, job: str, document: Document) -> Response:
    reading.job(desk, job)
    if isinstance(document, Mapping) and document.get("jobId") not in (None, job):
        raise invalid("/jobId", "is not the job of the path", (job,))
    raise NotBuilt("plans cannot be changed in this version: change the job's account_map and group_map instead")


@router.post("/{job}/ack", summary="Take a job, or say that it is still being worked")
def acknowledge_job(request: Request, desk: Desked, caller: Called, job: str, document: Document) -> Response:
    notes = _notes(document, ("info", "progress", "estimatedCompletionAt"))
    return _answer(request, agents.ack(desk, job, caller, notes))


@router.post("/{job}/outcome/ack", summary="Note that a person saw the result")
def acknowledge_outcome(request: Request, desk: Desked, caller: Called, job: str) -> Response:
    return _answer(request, executions.acknowledge_outcome(desk, job, caller))


@router.post("/{job}/complete", summary="End a job as complete")
def complete_job(request: Request, desk: Desked, caller: Called, job: str, document: Document) -> Response:
    return _finish(request, desk, caller, job, document, Call.COMPLETE)


@router.post("/{job}/fail", summary="End a job as failed")
def fail_job(request: Request, desk: Desked, caller: Called, job: str, document: Document) -> Response:
    return _finish(request, desk, caller, job, document, Call.FAIL)


@router.post("/{job}/cancel", summary="Stop a job at a safe point and end it")
def cancel_job(request: Request, desk: Desked, caller: Called, job: str, document: Document) -> Response:
    info = _notes(document, ("info",)).get("info")
    return _answer(request, executions.cancel(desk, job, caller, info=info))


@router.post("/{job}/retry", summary="Try again what is unresolved")
def retry_job(request: Request, desk: Desked, caller: Called, job: str, document: Document) -> Response:
    named = _items(document)
    picture = executions.retry(
        desk,
        job,
        caller,
        scope=request.query_params.get("scope", "unresolved"),
        reasons=words(request.query_params, "reason"),
        item_ids=named,
    )
    return _answer(request, picture)


@router.post("/{job}/split", summary="Split a job into parts (not in this version)")
def split_job(desk: Desked, job: str) -> Response:
    reading.job(desk, job)
    raise NotBuilt("splitting is not in this version: one execution already works several folders at once")


def _view(request: Request, picture: Picture) -> dict[str, Any]:
    from tallyport.api.flatfile import views

    return views.job(picture, request.app.state.gauge)


def _answer(request: Request, picture: Picture) -> Response:
    envelopes.hooks_disabled(request)
    return envelopes.job(request, picture, Profile.FLATFILE)


def _finish(request: Request, desk: Desked, caller: Called, job: str, document: object, call: Call) -> Response:
    notes = _notes(document, ("info", "outcome"))
    if flag(request.query_params, "force"):
        caller.require(Right.ADMIN)
        raise NotBuilt("forcing the end of a job that our workers drive is not in this version: cancel it")
    return _answer(request, agents.finish(desk, job, caller, call, notes))


def _notes(document: object, known: tuple[str, ...]) -> dict[str, Any]:
    reader = Reader()
    given = dict(reader.members(document, "", known))
    if "info" in given:
        reader.text(given["info"], "/info")
    if "progress" in given:
        given["progress"] = reader.whole(given["progress"], "/progress", least=0, most=100)
    if "outcome" in given and not isinstance(given["outcome"], dict):
        reader.wrong_type(given["outcome"], "/outcome", "an object")
    if "estimatedCompletionAt" in given:
        reader.text(given["estimatedCompletionAt"], "/estimatedCompletionAt")
        given["estimated_completion_at"] = given.pop("estimatedCompletionAt")
    if reader.problems:
        raise Invalid(reader.problems)
    return given


def _items(document: object) -> list[int] | None:
    reader = Reader()
    given = reader.members(document, "", ("items",))
    ids: list[int] = []
    for path, value in reader.items(given["items"], "/items") if "items" in given else ():
        text = str(value)
        if isinstance(value, bool) or not (text.isascii() and text.isdigit() and len(text) < 20):
            reader.wrong(path, "wrong_type", f"{text[:40]!r} is not the id of an item")
        else:
            ids.append(int(text))
    if reader.problems:
        raise Invalid(reader.problems)
    return ids if "items" in given else None
