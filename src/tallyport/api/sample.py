"""Sample data to try the server on."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api import envelopes
from tallyport.api.wiring import Called, Desked
from tallyport.control import sample

router = APIRouter(prefix="/v1/sample", tags=["jobs"])


@router.post("", status_code=201, summary="Make two folders, their connections and a job to try; starts nothing")
def make_sample(request: Request, desk: Desked, caller: Called) -> Response:
    done = sample.make(desk, caller)
    headers = {"Location": f"/v1/jobs/{done.picture.job.id}"}
    profile = envelopes.profile_of(request)
    return envelopes.job(request, done.picture, profile, status=201, warnings=done.warnings, headers=headers)
