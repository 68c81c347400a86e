"""Reports: several jobs from their kept totals, one job by its items, and both as workbooks."""

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api import csv_rows, xlsx
from tallyport.api.dryviq import words
from tallyport.api.times import iso
from tallyport.api.wiring import Called, Desked, execution_number, flag, json_response, whole
from tallyport.api.wiring import words as listed
from tallyport.control import failed, folder_mapping, reading, summaries
from tallyport.control.breakdowns import Breakdowns
from tallyport.control.desk import Desk
from tallyport.control.items import Wanted as WantedItems
from tallyport.control.items import every
from tallyport.control.pictures import Picture
from tallyport.control.reconciling import Reconciliations
from tallyport.control.refusals import invalid
from tallyport.domain import paths
from tallyport.domain.capabilities import VerifyLevel
from tallyport.domain.entries import Kind
from tallyport.domain.executions import Execution
from tallyport.domain.items import Status
from tallyport.domain.words import REASONS
from tallyport.store.breakdowns import AGES, SIZES, Breakdown, Counted

router = APIRouter(prefix="/v1", tags=["reports"])

COLUMNS = (
    ("job", 40),
    ("type", 10),
    ("category", 16),
    ("state", 12),
    ("result", 12),
    ("files", 12),
    ("bytes", 16),
    ("carried", 12),
    ("carried bytes", 16),
    ("equal", 12),
    ("left out", 12),
    ("deleted", 12),
    ("failed now", 12),
    ("last run", 26),
)
ITEM_COLUMNS = (
    ("path", 70),
    ("destination path", 70),
    ("kind", 10),
    ("bytes", 14),
    ("status", 12),
    ("reason", 24),
    ("in words", 50),
    ("message", 60),
    ("tries", 8),
    ("settled", 26),
)


@router.get("/reports/summary", summary="Jobs of a report from their kept totals")
def show_summary(request: Request, desk: Desked) -> Response:
    found = summaries.summary(desk, _wanted(request))
    document = {
        "jobs": [dict(zip((name for name, _ in COLUMNS), _cells(one), strict=True)) for one in found.pictures],
        "is_cut": found.is_cut,
        "unresolved": found.unresolved,
        "failed_by_reason": None if found.failed_by_reason is None else dict(found.failed_by_reason),
        "days": [{**day._asdict(), "date": iso(day.day * 86_400_000_000)} for day in found.days],
    }
    return json_response({"status": 200, "type": "report", "report": document, "data": document})


@router.get("/reports/summary.csv", summary="Jobs of a report as CSV")
def summary_csv(request: Request, desk: Desked) -> Response:
    found = summaries.summary(desk, _wanted(request))
    columns = [name.replace(" ", "_") for name, _ in COLUMNS]
    return csv_rows.stream(columns, map(_cells, found.pictures), "report.csv", bom=flag(request.query_params, "bom"))


@router.get("/reports/summary.xlsx", summary="Jobs of a report as a workbook")
def summary_xlsx(request: Request, desk: Desked) -> Response:
    found = summaries.summary(desk, _wanted(request))
    days = ((iso(d.day * 86_400_000_000), d.transferred, d.transferred_bytes, d.failed) for d in found.days)
    sheets = (
        xlsx.Sheet("Jobs", COLUMNS, map(_cells, found.pictures)),
        xlsx.Sheet("Days", (("day", 26), ("carried", 12), ("carried bytes", 16), ("failed", 12)), days),
        xlsx.Sheet("Failed now", (("reason", 26), ("items", 12)), found.failed_by_reason or ()),
    )
    return xlsx.answer(sheets, "report.xlsx")


@router.get("/jobs/{job}/breakdown", summary="Items of a job counted by status, reason, size, age and type")
def show_breakdown(request: Request, desk: Desked, job: str) -> Response:
    counts: Breakdowns = request.app.state.breakdowns
    found = counts.of_job(desk, job)
    if found is None:
        document: dict[str, Any] = {"is_ready": False}
        return json_response({"status": 202, "type": "breakdown", "data": document}, 202, {"Retry-After": "1"})
    document = {"is_ready": True, **_breakdown(found)}
    return json_response({"status": 200, "type": "breakdown", "breakdown": document, "data": document})


@router.post("/transfers/executions/{execution}/reconcile", summary="Hold both ends of a run's job against its ledger")
def reconcile_execution(request: Request, desk: Desked, caller: Called, execution: str) -> Response:
    counts: Reconciliations = request.app.state.reconciliations
    found = counts.of_execution(desk, execution_number(execution), caller)
    if found is None:  # being counted: ask again
        document: dict[str, Any] = {"is_ready": False}
        return json_response({"status": 202, "type": "reconciliation", "data": document}, 202, {"Retry-After": "1"})
    document = {"is_ready": True, **found.document()}
    document["paths"] = {word: [f"/{paths.display(one)}" for one in shown] for word, shown in found.shown.items()}
    return json_response({"status": 200, "type": "reconciliation", "reconciliation": document, "data": document})


@router.get("/jobs/{job}/report.xlsx", summary="A job, its runs, its failed items and all its items as a workbook")
def job_xlsx(request: Request, desk: Desked, job: str) -> Response:
    picture = reading.job(desk, job)
    runs, _ = reading.history(desk, job_id=job, ended=None, offset=0, limit=10_000)
    run_rows = (
        (run.attempt, run.trigger, run.state, run.result, iso(run.started_at), iso(run.ended_at), *_totals(run))
        for run in runs
    )
    names = (
        "run trigger state result started ended files bytes carried carried_bytes equal left_out failed deleted info"
    )
    groups = ((one.reason, REASONS.get(one.reason), one.number, one.bytes) for one in failed.by_reason(desk, job))
    group_columns = (("reason", 26), ("in words", 60), ("items", 12), ("bytes", 16))
    bad = _items(desk, WantedItems(jobs=(job,), statuses=(Status.RETRY, Status.FLAGGED)))
    sheets = [
        xlsx.Sheet("Job", COLUMNS, [_cells(picture)]),
        xlsx.Sheet("Runs", [(name.replace("_", " "), 14) for name in names.split()], run_rows),
        xlsx.Sheet("Failed by reason", group_columns, groups),
        xlsx.Sheet("Failed items", ITEM_COLUMNS, bad),
    ]
    if picture.children is not None:
        sheets.append(xlsx.Sheet("Children", COLUMNS, map(_cells, folder_mapping.pictures(desk, job))))
    if flag(request.query_params, "items"):
        sheets.append(xlsx.Sheet("Items", ITEM_COLUMNS, _items(desk, WantedItems(jobs=(job,)))))
    return xlsx.answer(sheets, "job-report.xlsx")


def _wanted(request: Request) -> summaries.Wanted:
    query = request.query_params
    category = query.get("category")
    if category is not None and not (category.removeprefix("-").isdecimal() and len(category) < 10):
        raise invalid("category", f"{category[:40]!r} is not the id of a category")
    return summaries.Wanted(
        jobs=tuple(dict.fromkeys(listed(query, "job", "jobs"))),
        category=None if category is None else int(category),
        simulation=flag(query, "simulation") if "simulation" in query else None,
        days=whole(query, "days", 30, least=1, most=3_650),
    )


def _cells(picture: Picture) -> tuple[object, ...]:
    job, run = picture.job, picture.execution
    totals = ("files", "bytes", "transferred", "transferred_bytes", "unchanged", "skipped", "deleted")
    counted = [picture.total(name) for name in totals]
    last = None if run is None else iso(run.started_at)
    about = (job.name, job.transfer_type or job.kind, picture.category, job.state, job.result)
    return (*about, *counted, picture.failed_now, last)


def _items(desk: Desk, wanted: WantedItems) -> Iterator[tuple[object, ...]]:
    for _, row in every(desk, wanted):
        yield (
            f"/{paths.display(row.path)}",
            f"/{paths.display(row.d_path)}",
            Kind(row.kind).name.lower(),
            row.s_size,
            words.ITEM[Status(row.status)],
            row.reason,
            REASONS.get(row.reason),
            row.message,
            row.attempts,
            iso(row.settled_at),
        )


def _totals(run: Execution) -> tuple[object, ...]:
    return (
        run.files,
        run.bytes,
        run.transferred,
        run.transferred_bytes,
        run.unchanged,
        run.skipped,
        run.failed,
        run.deleted,
        run.info,
    )


def _counted(one: Counted) -> dict[str, int]:
    return {"count": one.number, "bytes": one.bytes}


def _breakdown(found: Breakdown) -> dict[str, Any]:
    def classes(bounds: tuple[int, ...], counted: Any, unit: str) -> list[dict[str, int]]:
        return [{unit: bound, **_counted(one)} for bound, one in zip(bounds, counted, strict=True)]

    return {
        "by_reason": [
            {
                "status": words.ITEM[Status(line.status)],
                "reason": line.reason,
                "kind": Kind(line.kind).name.lower(),
                "count": line.number,
                "bytes": line.bytes,
            }
            for line in found.lines
        ],
        "sides": {side: _counted(found.sides.get(side, Counted(0, 0))) for side in ("both", "source", "destination")},
        "verified": {VerifyLevel(level).name.lower(): count for level, count in found.levels.items()},
        "by_size": classes(SIZES, found.sizes, "from_bytes"),
        "by_age": classes(AGES, found.ages, "from_days"),
        "by_extension": [{"extension": name, **_counted(one)} for name, one in found.extensions],
    }
