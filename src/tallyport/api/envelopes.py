"""Which dialect a shared route answers in, and the envelope around the answer."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from fastapi import Request
from starlette.responses import Response

from tallyport.api import paging
from tallyport.api.dryviq import views as dryviq
from tallyport.api.flatfile import views as flatfile
from tallyport.api.wiring import json_response, words
from tallyport.control.pictures import Picture
from tallyport.control.progress import Gauge
from tallyport.control.refusals import invalid

_NUMBERED = ("pageSize", "pageNumber", "sortDirection", "excludeChildJobs", "parentId")


class Profile(StrEnum):
    """Whose shapes an answer has."""

    DRYVIQ = "dryviq"
    FLATFILE = "flatfile"
    BOTH = "both"


def profile_of(request: Request, document: object = None) -> Profile:
    """Choose by what the request shows of its client; nothing shown is both."""
    wanted = request.query_params.get("profile")
    if wanted is not None:
        if wanted not in set(Profile):
            raise invalid("profile", f"{wanted!r} is not a profile", tuple(Profile))
        return Profile(wanted)
    if hooks_disabled(request) or is_agent_job(document):
        return Profile.FLATFILE
    if any(name in request.query_params for name in _NUMBERED):
        return Profile.FLATFILE
    return Profile.BOTH


def hooks_disabled(request: Request) -> bool:
    """Read ``X-Disable-Hooks``: true in any case; false is as if it were absent."""
    value = request.headers.get("x-disable-hooks")
    if value is None or value.lower() == "false":
        return False
    if value.lower() != "true":
        raise invalid("X-Disable-Hooks", f"{value!r} is neither true nor false", ("true", "false"))
    return True


def is_agent_job(document: object) -> bool:
    """Tell whether a body describes a job by type, operation and source; one that is missing is refused later."""
    return (
        isinstance(document, Mapping)
        and len(document.keys() & {"type", "operation", "source"}) > 1
        and not document.keys() & {"kind", "transfer"}
    )


def fields_of(request: Request) -> frozenset[str]:
    """Read ``fields=`` and ``include=``."""
    return frozenset(words(request.query_params, "fields", "include"))


def job(
    request: Request,
    picture: Picture,
    profile: Profile,
    *,
    status: int = 200,
    warnings: Sequence[str] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Answer with one job."""
    gauge: Gauge = request.app.state.gauge
    tag = {"ETag": f'"{picture.job.version}"', **(headers or {})}
    if profile is Profile.FLATFILE:
        return json_response({"data": flatfile.job(picture, gauge)}, 200 if status == 201 else status, tag)
    document: dict[str, Any] = {
        "status": status,
        "type": "job",
        "job": dryviq.job(picture, gauge, fields_of(request)),
    }
    if profile is Profile.BOTH:
        document["data"] = flatfile.job(picture, gauge)
    document["warnings"] = list(warnings)
    return json_response(document, status, tag)


def jobs(request: Request, pictures: Sequence[Picture], part: paging.Slice, total: int, profile: Profile) -> Response:
    """Answer with a page of jobs."""
    gauge: Gauge = request.app.state.gauge
    numbered = {
        "pagination": paging.pagination(part, total),
        "data": [flatfile.job(picture, gauge) for picture in pictures] if profile is not Profile.DRYVIQ else [],
    }
    if profile is Profile.FLATFILE:
        return json_response(numbered)
    fields = fields_of(request)
    meta = paging.meta(request, part, total, part.offset + len(pictures) < total)
    document = {
        "status": 200,
        "type": "jobs",
        "jobs": [dryviq.job(picture, gauge, fields) for picture in pictures],
        "meta": meta | ({"fields": sorted(fields)} if fields else {}),
        **(numbered if profile is Profile.BOTH else {}),
    }
    return json_response(document, headers=paging.link_header(meta))
