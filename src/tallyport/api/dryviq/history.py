"""Executions of jobs, categories, failed items by reason."""

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import Response

from tallyport.api import csv_rows, paging
from tallyport.api.dryviq import views
from tallyport.api.flatfile import views as flatfile
from tallyport.api.times import iso
from tallyport.api.wiring import Called, Desked, Document, flag, json_response
from tallyport.control import failed, reading, retry_lists
from tallyport.control.desk import Desk
from tallyport.control.refusals import invalid
from tallyport.domain import paths
from tallyport.domain.documents import Reader
from tallyport.domain.executions import Execution

router = APIRouter(prefix="/v1", tags=["history"])

COLUMNS: tuple[str, ...] = (
    "id",
    "job_id",
    "attempt",
    "trigger",
    "status",
    "started",
    "ended",
    "files",
    "bytes",
    "transferred",
)
COLUMNS += ("unchanged", "skipped", "failed", "deleted", "info")


@router.get("/jobs/history", summary="List executions of all jobs, or of one")
def all_history(request: Request, desk: Desked) -> Response:
    return _history(request, desk, request.query_params.get("job"))


@router.get("/jobs/history.csv", summary="Executions of all jobs, or of one, as CSV")
def all_history_csv(request: Request, desk: Desked) -> Response:
    return _history_csv(request, desk, request.query_params.get("job"))


@router.get("/jobs/categories", summary="List categories")
def list_categories(desk: Desked) -> Response:
    found = [{"id": number, "name": name} for number, name in reading.categories(desk).items()]
    return json_response({"status": 200, "type": "job_categories", "job_categories": found, "data": found})


@router.post("/jobs/categories", status_code=201, summary="Create a category")
def create_category(desk: Desked, document: Document) -> Response:
    reader = Reader()
    given = reader.members(document, "", ("name",))
    name = reader.text(given.get("name"), "/name")
    if name is None or reader.problems:
        raise invalid("/name", "a category needs a name", code="missing")
    shown = {"id": reading.add_category(desk, name), "name": name}
    return json_response({"status": 201, "type": "job_category", "job_category": shown, "data": shown}, 201)


@router.delete("/jobs/categories/{category}", summary="Delete a category; its jobs fall back to the default one")
def delete_category(desk: Desked, category: str) -> Response:
    number = int(category) if category.isascii() and category.isdigit() and len(category) < 10 else -1
    moved = reading.delete_category(desk, number)
    shown = {"id": number, "jobs": moved}
    return json_response({"status": 200, "type": "job_category", "job_category": shown, "data": {"success": True}})


@router.get("/jobs/{job}/history", summary="List executions of a job")
def job_history(request: Request, desk: Desked, job: str) -> Response:
    return _history(request, desk, job)


@router.get("/jobs/{job}/history.csv", summary="Executions of a job as CSV")
def job_history_csv(request: Request, desk: Desked, job: str) -> Response:
    return _history_csv(request, desk, job)


@router.get("/jobs/{job}/failed-items", summary="Failed items of a job, grouped by reason")
def failed_by_reason(request: Request, desk: Desked, job: str) -> Response:
    wanted = request.query_params.get("group_by", "reason")
    if wanted != "reason":
        raise invalid("group_by", f"{wanted!r} is not a grouping", ("reason",))
    groups = [
        {
            "reason": group.message,
            "code": group.reason,
            "count": group.count,
            "bytes": group.bytes,
            "sample": [f"/{paths.display(path)}" for path in group.sample],
        }
        for group in failed.groups(desk, job)
    ]
    return json_response(groups, headers={"X-Total-Count": str(sum(int(str(g["count"])) for g in groups))})


@router.post("/jobs/{job}/failed-items/import", summary="Retry the items of an edited CSV: all of them, or none")
async def import_failed(request: Request, desk: Desked, caller: Called, job: str) -> Response:
    content = await _uploaded(request)
    found = await run_in_threadpool(retry_lists.retry, desk, job, content, caller)
    picture = found.picture if found.picture is not None else await run_in_threadpool(reading.job, desk, job)
    meta = {"total_count": found.items, "resolved": found.resolved}
    shown = flatfile.job(picture, request.app.state.gauge)
    return json_response({"status": 200, "type": "retry", "meta": meta, "data": shown})


async def _uploaded(request: Request) -> bytes:
    """Give the CSV: the body itself, or the file of a form."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await request.body()
    async with request.form(max_files=1, max_fields=10) as form:
        for value in form.values():
            if isinstance(value, UploadFile):
                return await value.read()
    raise invalid("file", "the form has no file", code="missing")


def _history_csv(request: Request, desk: Desk, job: str | None) -> Response:
    cells = map(_cells, reading.every_execution(desk, job))
    return csv_rows.stream(COLUMNS, cells, "history.csv", bom=flag(request.query_params, "bom"))


def _history(request: Request, desk: Desk, job: str | None) -> Response:
    part = paging.slice_of(request)
    which = request.query_params.get("execution")
    if which is not None and which.isascii() and which.isdigit() and len(which) < 19:
        return _answered(request, part, [reading.execution_of(desk, job, int(which))], 1, job)
    if which not in (None, "last", "current"):
        message = f"{which[:40]!r} is neither the number of an execution nor last nor current"
        raise invalid("execution", message, ("last", "current"))
    runs, total = reading.history(
        desk,
        job_id=job,
        ended=None if which is None else which == "last",
        offset=part.offset,
        limit=part.limit if which is None else 1,
    )
    return _answered(request, part, runs, total if which is None else len(runs), job)


def _answered(request: Request, part: paging.Slice, runs: list[Execution], total: int, job: str | None) -> Response:
    gauge = request.app.state.gauge
    shown = [views.execution(run, None, gauge) for run in runs]
    meta = paging.meta(request, part, total, part.offset + len(runs) < total, csv=job is not None)
    document = {"status": 200, "type": "job_executions", "job_executions": shown, "meta": meta, "data": shown}
    return json_response(document, headers=paging.link_header(meta))


def _cells(run: Execution) -> tuple[object, ...]:
    return (
        run.id,
        run.job_id,
        run.attempt,
        run.trigger,
        run.result or run.state,
        iso(run.started_at),
        iso(run.ended_at),
        run.files,
        run.bytes,
        run.transferred,
        run.unchanged,
        run.skipped,
        run.failed,
        run.deleted,
        run.info,
    )
