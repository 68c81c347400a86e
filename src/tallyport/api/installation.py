"""The installation itself: its settings and what could go wrong with it."""

from fastapi import APIRouter
from starlette.responses import Response

from tallyport import __version__
from tallyport.api.wiring import Desked, json_response
from tallyport.control import doctor, installation

router = APIRouter(prefix="/v1", tags=["installation"])


@router.get("/settings", summary="Every setting, its value and where that came from")
def list_settings() -> Response:
    shown = [one._asdict() for one in installation.settings()]
    return json_response({"status": 200, "type": "settings", "settings": shown, "data": shown})


@router.get("/doctor", summary="What could go wrong on the machine that serves")
def show_doctor(desk: Desked) -> Response:
    shown = {"version": __version__, "findings": [one._asdict() for one in doctor.examine(desk)]}
    return json_response({"status": 200, "type": "doctor", "doctor": shown, "data": shown})
