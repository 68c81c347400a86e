"""Errors as problem documents (RFC 9457) that also carry the keys each dialect's clients read."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Scope

from tallyport.control import refusals, replies
from tallyport.control.refusals import Problem
from tallyport.control.users import SignInRefused, TooManyAttempts
from tallyport.domain.errors import ErrorKind, TallyportError

MEDIA_TYPE = "application/problem+json"

STATUSES: dict[type[refusals.Refusal], int] = {
    refusals.Invalid: 400,
    refusals.NotSignedIn: 401,
    TooManyAttempts: 429,
    refusals.NotAllowed: 403,
    refusals.NotFound: 404,
    refusals.Conflict: 409,
    refusals.Stale: 412,
    replies.Reused: 422,
    refusals.Busy: 503,
}

TITLES = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    409: "Conflict",
    412: "Changed meanwhile",
    413: "Too large",
    415: "Unsupported media type",
    422: "Cannot be repeated",
    429: "Too many requests",
    500: "Internal error",
    503: "Unavailable",
}

CODES = {404: "not_found", 405: "method_not_allowed", 406: "not_acceptable", 413: "too_large", 415: "media_type"}


def body(
    status: int, code: str, detail: str, request_id: str, problems: Iterable[Problem] = (), **more: object
) -> dict[str, Any]:
    """Give a problem document. ``errors`` is never empty: clients of both kinds show its first member."""
    errors = [
        {
            "key": problem.path.rsplit("/", 1)[-1] or "body",
            "message": problem.message,
            "description": problem.text,
            "path": problem.path,
            "code": problem.code,
            "allowed": list(problem.allowed),
        }
        for problem in problems
    ]
    return {
        "type": f"urn:tallyport:problem:{code}",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
        "errors": errors or [{"key": code, "message": detail, "description": detail, "path": "", "allowed": []}],
        **more,
    }


def response(
    scope: Scope,
    status: int,
    code: str,
    detail: str,
    problems: Iterable[Problem] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Answer with a problem document; outside ``/v1`` it also carries an error number and message."""
    request_id = scope.get("state", {}).get("request_id", "")
    more = {} if scope["path"].startswith("/v1/") else {"errorCode": 2, "errorMessage": detail}
    document = body(status, code, detail, request_id, problems, **more)
    sent = {"X-Request-Id": request_id, "X-Content-Type-Options": "nosniff", **(headers or {})}
    return Response(msgspec.json.encode(document), status, sent, MEDIA_TYPE)


def of_refusal(scope: Scope, error: refusals.Refusal) -> Response:
    """Answer for a refusal by ``control``."""
    status = next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 400)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if isinstance(error, refusals.Busy):
        headers["Retry-After"] = "5"
    if isinstance(error, replies.AtWork):
        headers["Retry-After"] = "1"
    if isinstance(error, SignInRefused) and error.locked_for:
        headers["Retry-After"] = str(error.locked_for)
    return response(scope, status, error.code, error.message, error.problems, headers)


def install(app: FastAPI) -> None:
    """Turn every error that can leave a route into a problem document."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, refusals.Refusal)
        return of_refusal(request.scope, error)

    async def failed(request: Request, error: Exception) -> Response:
        assert isinstance(error, TallyportError)
        status = 400 if error.kind in (ErrorKind.CONFIG, ErrorKind.INVALID_NAME) else 409
        return response(request.scope, status, error.kind.value, error.message)

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status = error.status_code
        return response(request.scope, status, CODES.get(status, "error"), str(error.detail), headers=error.headers)

    async def not_valid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        found = [_of_validation(one) for one in error.errors()]
        detail = "; ".join(problem.text for problem in found)
        return response(request.scope, 400, "invalid", detail, found)

    async def unexpected(request: Request, _error: Exception) -> Response:
        request_id = request.scope.get("state", {}).get("request_id", "")
        detail = f"something went wrong here; the log has it under request {request_id}"
        return response(request.scope, 500, "unexpected", detail)

    app.add_exception_handler(refusals.Refusal, refused)
    app.add_exception_handler(TallyportError, failed)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, not_valid)
    app.add_exception_handler(Exception, unexpected)


def _of_validation(error: Mapping[str, Any]) -> Problem:
    place = [str(part) for part in error.get("loc", ())]
    path = place[-1] if place and place[0] in ("query", "header", "path") else "/" + "/".join(place[1:])
    expected = (error.get("ctx") or {}).get("expected")
    allowed = (
        () if expected is None else tuple(word.strip(" '") for word in str(expected).replace(" or ", ", ").split(","))
    )
    return Problem(path, str(error.get("type", "invalid")), str(error.get("msg", "is not valid")), allowed)
