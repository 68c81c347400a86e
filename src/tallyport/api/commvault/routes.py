"""``/Job/{id}`` and its neighbours: a job here is one execution, and a conflict is an answer, not an error."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api import paging
from tallyport.api.commvault import failed_items, views, xml
from tallyport.api.commvault.negotiation import JSON, XML, Form, chosen, document
from tallyport.api.commvault.operations import Verb, operate
from tallyport.api.wiring import Called, Desked, Raw, flag, read_json, whole
from tallyport.control import executions, failed, reading
from tallyport.control.desk import Caller, Desk
from tallyport.control.pictures import Picture
from tallyport.control.refusals import Conflict, NotFound, invalid
from tallyport.domain.executions import Execution

router = APIRouter(tags=["job control"])

GOOD: dict[str, Any] = {"errors": [{"errList": [{"errorCode": 0, "errLogMessage": ""}]}]}
LIST = "JobManager_JobListResponse"
DETAIL = "JobManager_JobDetailResponse"
DONE = "JobManager_PerformJobOperationResp"
MADE = "TMMsg_CreateTaskResp"
TASK = "TMMsg_GetTaskDetailResp"
MORE = "JobManager_AdvancedJobDetailResp"
COUNTS = "JobManager_JobSummaryResp"
CATEGORIES = {"active": False, "finished": True, "all": None}


@router.get("/Job", summary="List executions")
def list_executions(request: Request, desk: Desked, form: Form) -> Response:
    query = request.query_params
    category = query.get("jobCategory", "All")
    if category.lower() not in CATEGORIES:
        raise invalid("jobCategory", f"{category[:40]!r} is not a category", ("Active", "Finished", "All"))
    ended = CATEGORIES[category.lower()]
    seconds = whole(query, "completedJobLookupTime", 0, most=1 << 40) or None
    return _list(request, desk, form, ended, _window(request), seconds=seconds)


@router.post("/Jobs", summary="List executions by a filter in the body")
def find_executions(request: Request, desk: Desked, form: Form, body: Raw) -> Response:
    given = _asked(body)
    paged = given.get("pagingConfig")
    paged = paged if isinstance(paged, Mapping) else {}
    known = {name: str(paged[name]) for name in ("offset", "limit") if name in paged}
    part = paging.Slice(whole(known, "offset", 0, most=1 << 40), whole(known, "limit", 100, least=1, most=paging.MOST))
    chosen_by = given.get("jobFilter")
    since = chosen_by.get("completedJobLookupTime") if isinstance(chosen_by, Mapping) else None
    looked = {} if since is None else {"completedJobLookupTime": str(since)}
    seconds = whole(looked, "completedJobLookupTime", 0, most=1 << 40) or None
    category = str(given.get("category", 0))
    if category not in ("0", "1", "2"):
        raise invalid("/category", f"{category[:40]!r} is not a category", ("0", "1", "2"))
    return _list(request, desk, form, {"1": False, "2": True}.get(category), part, seconds=seconds)


@router.get("/Job/{job}", summary="Show an execution, or with ?FailedItems its failed items")
def show_execution(request: Request, desk: Desked, job: str) -> Response:
    if any(name.lower() == "faileditems" for name in request.query_params):
        return _failed(request, desk, job)
    try:
        found = [_find(request, desk, job)]
    except NotFound:
        found = []  # clients read a count of 0
    return document(chosen(request, (JSON, XML)), LIST, _page(request, found, len(found)))


@router.get("/Job/{job}/FailedItems", summary="Failed items of an execution, or of a job")
def list_failed_items(request: Request, desk: Desked, job: str) -> Response:
    return _failed(request, desk, job)


@router.post("/JobDetails", summary="Everything of one execution")
def show_details(request: Request, desk: Desked, form: Form, body: Raw) -> Response:
    given = _asked(body)
    try:
        run, picture = _find(request, desk, str(given.get("jobId", "")))
    except NotFound as error:
        refused = {"error": {"errList": [{"errorCode": 2, "errLogMessage": error.message}]}}
        return document(form, DETAIL, refused)
    return document(form, DETAIL, views.detail(run, picture, request.app.state.gauge))


@router.get("/Job/{job}/TaskDetails", summary="How an execution was asked for")
def show_task(request: Request, desk: Desked, form: Form, job: str) -> Response:
    try:
        run, picture = _find(request, desk, job)
    except NotFound as error:
        return document(form, TASK, {"error": {"errList": [{"errorCode": 2, "errorMessage": error.message}]}})
    return document(form, TASK, views.task(run, picture))


@router.get("/Job/{job}/AdvancedDetails", summary="More of an execution, by kind")
def show_more_details(request: Request, desk: Desked, form: Form, job: str) -> Response:
    kind = whole(request.query_params, "infoType", 1, most=1 << 20)
    if kind not in views.MORE:
        return _bad(form, MORE, f"infoType {kind} is not one of {', '.join(map(str, views.MORE))}")
    try:
        run, picture = _find(request, desk, job)
    except NotFound as error:
        return _bad(form, MORE, error.message)
    return document(form, MORE, views.more(run, picture, kind))


@router.get("/Jobs/active", summary="List executions under way")
def list_active(request: Request, desk: Desked, form: Form) -> Response:
    known = {"offset": request.query_params.get("start"), "limit": request.query_params.get("limit")}
    given = {name: value for name, value in known.items() if value is not None}
    part = paging.Slice(whole(given, "offset", 0, most=1 << 40), whole(given, "limit", 100, least=1, most=paging.MOST))
    return _list(request, desk, form, False, part)


@router.post("/Jobs/aggregations/summary", summary="Count executions under way by status")
def summarise_active(desk: Desked, form: Form) -> Response:
    return document(form, COUNTS, views.totals(reading.counts(desk)))


@router.post("/Job/{job}/action/pause", summary="Suspend an execution")
def pause_execution(request: Request, desk: Desked, caller: Called, form: Form, job: str) -> Response:
    seconds = whole(request.query_params, "autoResumeInSec", 0, most=10 * 366 * 86_400)
    return _operate(request, desk, caller, form, job, partial(executions.pause, seconds=seconds or None))


@router.post("/Job/{job}/action/resume", summary="Let a suspended execution go on")
def resume_execution(request: Request, desk: Desked, caller: Called, form: Form, job: str) -> Response:
    return _operate(request, desk, caller, form, job, executions.resume)


@router.post("/Job/{job}/action/kill", summary="Stop an execution at a safe point and end it")
def kill_execution(request: Request, desk: Desked, caller: Called, form: Form, job: str) -> Response:
    return _operate(request, desk, caller, form, job, executions.cancel)


@router.post("/Job/{job}/action/Resubmit", summary="Make a full new run of an ended execution")
def resubmit_execution(request: Request, desk: Desked, caller: Called, form: Form, job: str) -> Response:
    query = request.query_params
    try:
        run, _ = _find(request, desk, job)
        new = executions.resubmit(
            desk,
            run.id,
            caller,
            suspended=flag(query, "startInSuspendedState"),
            failed_only=flag(query, "failedItemsOnly"),
        )
    except (Conflict, NotFound) as error:
        return _bad(form, MADE, error.message)
    return document(form, MADE, {"jobIds": [str(new)]})


def _asked(body: bytes) -> Mapping[str, Any]:
    """Read a request in JSON, or in XML whatever its root is called."""
    if body.lstrip().startswith(b"<"):
        given: object = next(iter(xml.tree(body).values()))
    else:
        given = read_json(body)
    return given if isinstance(given, Mapping) else {}


def _operate(request: Request, desk: Desk, caller: Caller, form: str, job: str, verb: Verb) -> Response:
    try:
        run, _ = _find(request, desk, job)
        operate(desk, caller, run.id, verb)
    except (Conflict, NotFound) as error:
        return _bad(form, DONE, error.message)
    return document(form, DONE, GOOD)


def _bad(form: str, name: str, message: str) -> Response:
    errors = [{"errList": [{"errorCode": 2, "errLogMessage": message}]}]
    return document(form, name, {"errorCode": 2, "errorMessage": message, "errors": errors})


def _failed(request: Request, desk: Desk, job: str) -> Response:
    """All digits are an execution, whose failures are history; else a job, and what is unresolved in it."""
    picked = request.query_params.get("execution")
    if is_number(job):
        found = failed.of_execution(desk, int(job))
    elif picked is not None:
        run, _ = _find(request, desk, job)
        found = failed.of_execution(desk, run.id)
    else:
        found = failed.of_job(desk, job)
    return failed_items.answer(request, found)


def _find(request: Request, desk: Desk, job: str) -> tuple[Execution, Picture]:
    """Give an execution by its number, or by its job: the newest, or the one ``?execution=`` picks."""
    if is_number(job):
        return reading.execution(desk, int(job))
    picture = reading.job(desk, job)
    picked = request.query_params.get("execution")
    if picked is not None:
        run, owner = reading.execution(desk, whole(request.query_params, "execution", 0, most=1 << 40))
        if owner.job.id != job:
            raise NotFound(f"execution {run.id} is not one of this job")
        return run, owner
    if picture.execution is None:
        raise NotFound("the job has not run yet")
    return picture.execution, picture


def is_number(text: str) -> bool:
    """Tell whether a path names an execution."""
    return text.isascii() and text.isdigit() and len(text) < 19


def _window(request: Request) -> paging.Slice:
    known = {
        name: value
        for name in ("offset", "limit")
        if (value := request.headers.get(name, request.query_params.get(name))) is not None
    }
    return paging.Slice(whole(known, "offset", 0, most=1 << 40), whole(known, "limit", 100, least=1, most=paging.MOST))


def _list(
    request: Request, desk: Desk, form: str, ended: bool | None, part: paging.Slice, *, seconds: int | None = None
) -> Response:
    """List executions; ``seconds``: leave out those that ended longer ago."""
    runs, total = reading.history(desk, job_id=None, ended=ended, offset=part.offset, limit=part.limit, within=seconds)
    found = []
    for run in runs:
        try:
            found.append(reading.execution(desk, run.id))
        except NotFound:
            total -= 1  # its job is deleted
    return document(form, LIST, _page(request, found, total))


def _page(request: Request, found: list[tuple[Execution, Picture]], total: int) -> dict[str, Any]:
    gauge = request.app.state.gauge
    jobs = [{"jobSummary": views.summary(run, picture, gauge)} for run, picture in found]
    return {"totalRecordsWithoutPaging": total, "jobs": jobs}
