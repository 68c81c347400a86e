"""Whether the server lives, is ready, and what it counts."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api.metrics import MEDIA_TYPE, Metrics
from tallyport.api.wiring import Desked, json_response
from tallyport.control import counts

router = APIRouter(tags=["health"])


@router.get("/healthz", summary="Says that requests are served; needs no token")
def healthz() -> Response:
    return json_response({"status": "ok"})


@router.get("/readyz", summary="Says whether the database answers and has room")
def readyz(desk: Desked) -> Response:
    checks = counts.ready(desk)
    is_ready = all(checks.values())
    return json_response({"status": "ok" if is_ready else "unavailable", "checks": checks}, 200 if is_ready else 503)


@router.get("/metrics", summary="Counts for Prometheus")
def metrics(request: Request) -> Response:
    found: Metrics = request.app.state.metrics
    return Response(found.text(), headers={"Content-Type": MEDIA_TYPE})
