"""What happened, as events of this dialect: the audit lines of an execution, or of everything."""

import zlib
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport import __version__
from tallyport.api.commvault.negotiation import Form, document
from tallyport.api.times import MICRO, seconds
from tallyport.api.wiring import Desked, flag, whole
from tallyport.control import reading, reports
from tallyport.control.refusals import NotFound
from tallyport.store.audit import LEVELS, AuditRow

router = APIRouter(tags=["job control"])

EVENTS, SERVER = "GetCommservEventsResponse", "GetCommServResponse"
MOST = 1_000
INFO, MINOR, MAJOR, CRITICAL = 0, 3, 6, 9
SEVERITIES = {LEVELS["warn"]: MINOR, LEVELS["error"]: MAJOR}  # of other levels: information
SHOWN = {"showInfo": INFO, "showMinor": MINOR, "showMajor": MAJOR, "showCritical": CRITICAL}


@router.get("/Events", summary="What happened in an execution, or in all")
def list_execution_events(request: Request, desk: Desked, form: Form) -> Response:
    query = request.query_params
    limit = whole({"limit": request.headers.get("limit", query.get("limit", "100"))}, "limit", 100, least=1, most=MOST)
    job_id = execution_id = None
    if (given := query.get("jobId")) is not None:
        number = whole({"jobId": given}, "jobId", 0, most=1 << 62)
        try:
            run, picture = reading.execution(desk, number)
        except NotFound:
            return document(form, EVENTS, {"commservEvents": []})
        job_id, execution_id = picture.job.id, run.id
    wanted = _wanted(request)
    levels = [level for level in LEVELS.values() if SEVERITIES.get(level, INFO) in wanted]
    begin, end = (whole(query, name, 0, most=1 << 40) for name in ("fromTime", "toTime"))
    found = reports.audit_page(
        desk,
        job_id=job_id,
        which=None,
        execution_id=execution_id,
        item_id=None,
        levels=levels or [0],
        since=begin * MICRO if begin else None,
        until=(end + 1) * MICRO if end else None,
        after=whole(query, "after", 0, most=1 << 62),
        limit=limit,
    )
    return document(form, EVENTS, {"commservEvents": [_event(line) for line in found]})


@router.get("/Events/{event}", summary="One event")
def show_execution_event(desk: Desked, form: Form, event: str) -> Response:
    number = int(event) if event.isascii() and event.isdigit() and len(event) < 20 else 0
    return document(form, EVENTS, {"commservEvents": [_event(reports.audit_line(desk, number))]})


@router.get("/CommServ", summary="What this server is")
def show_server(request: Request, form: Form) -> Response:
    """Answer with what clients read before they do anything else."""
    return document(
        form,
        SERVER,
        {
            "commcell": {"commCellName": "tallyport", "commCellId": 2, "csGUID": "tallyport"},
            "hostName": request.url.hostname or "",
            "csTimeZone": {"TimeZoneName": "UTC"},
            "timeZone": "0:0:(UTC) Coordinated Universal Time",
            "currentSPVersion": 40,
            "csVersionInfo": "11.40",
            "releaseName": f"Tallyport {__version__}",
        },
    )


def _wanted(request: Request) -> set[int]:
    """Read which severities are shown; one flag that is set turns the others off."""
    query = request.query_params
    named = [severity for name, severity in SHOWN.items() if name in query and flag(query, name)]
    if "level" in query:
        least = whole(query, "level", 0, most=10)
        return {severity for severity in SHOWN.values() if severity >= least}
    if named:
        return set(named)
    return {severity for name, severity in SHOWN.items() if name not in query}


def _event(line: AuditRow) -> dict[str, Any]:
    return {
        "id": line.id,
        "severity": SEVERITIES.get(line.level, INFO),
        "eventCode": str(zlib.crc32(line.event.encode()) & 0x7FFF_FFFF),
        "eventCodeString": line.event,
        "jobId": line.execution_id or 0,
        "acknowledge": 0,
        "subsystem": line.event.partition(".")[0],
        "description": line.message,
        "timeSource": seconds(line.recorded_at),
        "clientEntity": {"clientName": "tallyport", "clientId": 2},
    }
