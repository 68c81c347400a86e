"""The routes of this dialect alone. They answer ``{"data": ...}`` and nothing beside it."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api import envelopes
from tallyport.api.envelopes import Profile
from tallyport.api.etags import expected_version
from tallyport.api.flatfile import plans, previews, views
from tallyport.api.wiring import Called, Desked, Document, flag, json_response, words
from tallyport.control import agents, executions, parts, reading
from tallyport.control import plans as planning
from tallyport.control.desk import Right
from tallyport.control.pictures import Picture
from tallyport.control.previews import preview
from tallyport.control.refusals import Invalid
from tallyport.domain.documents import Reader
from tallyport.domain.parts import AUTO, LEAST, MOST
from tallyport.domain.states import Call

router = APIRouter(prefix="/v1/jobs", tags=["job lifecycle"])

SUCCESS = {"data": {"success": True}}


@router.post("/preview-mutation", summary="Show what an expression would make of some items; changes nothing")
def preview_mutation(request: Request, desk: Desked, caller: Called, document: Document) -> Response:
    envelopes.hooks_disabled(request)
    job, expression, wanted = previews.read(document)
    found = preview(desk, job, expression, wanted, caller)
    return json_response({"data": [previews.record(one) for one in found]})


@router.post("/{job}/execute", summary="Start a job")
def execute_job(request: Request, desk: Desked, caller: Called, job: str) -> Response:
    envelopes.hooks_disabled(request)
    executions.start(desk, job, caller)
    return json_response(SUCCESS)


@router.get("/{job}/plan", summary="Show what a job would carry, and how")
def show_plan(request: Request, desk: Desked, caller: Called, job: str) -> Response:
    return _plan(request, planning.show(desk, job, caller, anew=flag(request.query_params, "anew")))


@router.put("/{job}/plan", summary="Replace a job's plan", name="replace_plan")
@router.patch("/{job}/plan", summary="Merge a change into a job's plan")
def change_plan(request: Request, desk: Desked, caller: Called, job: str, document: Document) -> Response:
    envelopes.hooks_disabled(request)
    before = reading.job(desk, job).job
    expected_version(request, before.version)
    whole = request.method == "PUT"
    if not before.managed:
        made = plans.read_agents(document, job, before.extra.get("plan"), whole=whole)
        return _plan(request, planning.keep(desk, job, made, caller))
    asked = plans.read(document, job, before.source_connection, whole=whole)
    return _plan(request, planning.change(desk, job, caller, carried=asked.carried, dropped=asked.dropped))


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


@router.post("/{job}/split", summary="Split a job into parts, which are jobs of their own")
def split_job(request: Request, desk: Desked, caller: Called, job: str, document: Document) -> Response:
    reader = Reader()
    given = reader.members(document, "", ("parts", "runInParallel"))
    wanted = _parts(reader, given.get("parts"))
    parallel = reader.flag(given["runInParallel"], "/runInParallel") if "runInParallel" in given else False
    if reader.problems:
        raise Invalid(reader.problems)
    return _answer(request, parts.split(desk, job, caller, wanted=wanted, parallel=bool(parallel)))


def _parts(reader: Reader, value: object) -> int | str | list[dict[str, Any]]:
    if value == AUTO:
        return AUTO
    if isinstance(value, str):
        reader.choice(value, "/parts", [AUTO])
        return 0
    if isinstance(value, list):
        for path, one in reader.items(value, "/parts"):
            if not isinstance(one, dict):
                reader.wrong_type(one, path, "an object")
        if not LEAST <= len(value) <= MOST:
            reader.wrong("/parts", "out_of_range", f"must name between {LEAST} and {MOST} parts, not {len(value)}")
        return [one for one in value if isinstance(one, dict)]
    if value is None:
        reader.wrong("/parts", "missing", "is needed: a number of parts, one object for each, or auto")
        return 0
    return reader.whole(value, "/parts", least=LEAST, most=MOST) or 0


def _plan(request: Request, plan: planning.Plan) -> Response:
    shown = views.job(plan.picture, request.app.state.gauge)
    return json_response({"data": {"job": shown, "plan": plans.view(plan)}})


def _answer(request: Request, picture: Picture) -> Response:
    envelopes.hooks_disabled(request)
    return envelopes.job(request, picture, Profile.FLATFILE)


def _finish(request: Request, desk: Desked, caller: Called, job: str, document: object, call: Call) -> Response:
    notes = _notes(document, ("info", "outcome"))
    forced = flag(request.query_params, "force")
    if forced:
        caller.require(Right.ADMIN)
    return _answer(request, agents.finish(desk, job, caller, call, notes, forced=forced))


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
