"""Whether the server lives, is ready, and what it counts."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api.wiring import Desked, json_response
from tallyport.control import counts

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Says that requests are served; needs no token")
def healthz() -> Response:
    return json_response({"status": "ok"})


@router.get("/readyz", summary="Says whether the database answers")
def readyz(desk: Desked) -> Response:
    found = counts.ready(desk)
    return json_response({"status": "ok" if found else "unavailable"}, 200 if found else 503)


@router.get("/metrics", summary="Counts for Prometheus")
def metrics(request: Request, desk: Desked) -> Response:
    lines = [
        "# HELP tallyport_jobs Jobs by state.",
        "# TYPE tallyport_jobs gauge",
        *(f'tallyport_jobs{{state="{state}"}} {n}' for state, n in counts.jobs_by_state(desk).items()),
        "",
    ]
    return Response("\n".join(lines), media_type="text/plain; version=0.0.4; charset=utf-8")
