"""The server as a whole: what runs, what failed of late, what comes next, how fast it carries."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api.dryviq import views
from tallyport.api.times import seconds
from tallyport.api.wiring import Desked, json_response, whole
from tallyport.control import approvals, dashboard
from tallyport.control.throughput import Meter
from tallyport.domain import paths

router = APIRouter(prefix="/v1", tags=["overview"])

JOB_FIELDS = frozenset({"name", "status", "execution", "previous_execution", "unresolved_items", "execute_on"})


@router.get("/overview", summary="What runs, what failed within a day, what comes next, how much room is left")
def show_overview(request: Request, desk: Desked) -> Response:
    found = dashboard.overview(desk)
    gauge = request.app.state.gauge
    document: dict[str, Any] = {
        "at": seconds(found.at),
        "jobs_by_state": dict(found.by_state),
        "running": [views.job(one, gauge, JOB_FIELDS) for one in found.running],
        "awaiting_approval": [views.job(one, gauge, JOB_FIELDS) for one in found.waiting],
        "recent": [views.job(one, gauge, JOB_FIELDS) for one in found.recent],
        "last_day": {
            **found.day._asdict(),
            "failed_by_reason": None if found.failed_by_reason is None else dict(found.failed_by_reason),
        },
        "scheduled": [
            {"id": job.id, "name": job.name, "execute_on": seconds(job.next_run_at), "held": job.held}
            for job in found.scheduled
        ],
        "storage": found.storage._asdict(),
    }
    return json_response({"status": 200, "type": "overview", "overview": document, "data": document})


@router.get("/jobs/{job}/deletes", summary="What a run that waits for approval would delete")
def show_deletes(request: Request, desk: Desked, job: str) -> Response:
    limit = whole(request.query_params, "limit", 100, least=1, most=1_000)
    found = approvals.deletes(desk, job, after=whole(request.query_params, "cursor", 0, most=1 << 62), limit=limit)
    shown = [{"id": str(one.id), "path": f"/{paths.display(one.path)}", "side": one.side} for one in found.rows]
    meta: dict[str, Any] = {"total_count": found.total, "has_more": found.cursor is not None}
    if found.cursor is not None:
        meta["next_cursor"] = str(found.cursor)
    return json_response({"status": 200, "type": "deletes", "deletes": shown, "data": shown, "meta": meta})


@router.get("/throughput", summary="Bytes and items a second, sampled over the last hour")
def show_throughput(request: Request) -> Response:
    after = whole(request.query_params, "after", 0, most=1 << 62)
    meter: Meter = request.app.state.meter
    shown = [one._asdict() for one in meter.samples(after)]
    return json_response({"status": 200, "type": "throughput", "samples": shown, "data": shown})
