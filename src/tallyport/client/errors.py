"""What can go wrong between a client and a server, by type."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Problem(NamedTuple):
    """One thing wrong with what was sent."""

    path: str
    code: str
    message: str
    allowed: tuple[str, ...] = ()


class ClientError(Exception):
    """Any error of this client. ``status`` is absent when no answer came."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        type: str = "",
        problems: Sequence[Problem] = (),
        request_id: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.type = type
        self.problems = tuple(problems)
        self.request_id = request_id


class NotReached(ClientError):
    """No answer came: the server does not run there, or the network failed."""


class TimedOut(ClientError):
    """What was waited for did not happen in time."""


class Invalid(ClientError):
    """The server cannot use what was sent; ``problems`` say where and why."""


class NotSignedIn(ClientError):
    """The token is missing, unknown, expired or revoked."""


class NotAllowed(ClientError):
    """The token is valid and may not do this."""


class NotFound(ClientError):
    """There is no such thing, or it was deleted."""


class Conflict(ClientError):
    """Not valid in the present state."""


class Stale(ClientError):
    """It was changed by somebody else meanwhile."""


class TooMany(ClientError):
    """The server asks for fewer calls."""


class NotImplementedByServer(ClientError):
    """This release of the server does not carry it out."""


class ServerFailed(ClientError):
    """The server failed; its log says why."""


BY_TYPE: Mapping[str, type[ClientError]] = {
    "invalid": Invalid,
    "not_signed_in": NotSignedIn,
    "not_allowed": NotAllowed,
    "not_found": NotFound,
    "conflict": Conflict,
    "stale": Stale,
    "not_implemented": NotImplementedByServer,
    "too_many_requests": TooMany,
}
BY_STATUS: Mapping[int, type[ClientError]] = {
    400: Invalid,
    401: NotSignedIn,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: Stale,
    422: Invalid,
    428: Stale,
    429: TooMany,
    501: NotImplementedByServer,
}


def from_answer(status: int, document: Any, *, request_id: str | None = None) -> ClientError:
    """Make the error an answer stands for: a problem document (RFC 9457), or one of the older forms."""
    body = document if isinstance(document, Mapping) else {}
    kind = str(body.get("code") or body.get("type") or "").rstrip("/").rpartition("/")[2].replace("-", "_")
    listed = body.get("errors") or body.get("problems") or ()
    problems = [_problem(entry) for entry in listed if isinstance(entry, Mapping)]
    message = (
        body.get("detail")
        or body.get("error_description")
        or "; ".join(problem.message for problem in problems)
        or body.get("title")
        or f"the server answered {status}"
    )
    default = ServerFailed if status >= 500 else ClientError
    error = BY_TYPE.get(kind) or BY_STATUS.get(status) or default
    return error(str(message), status=status, type=kind, problems=problems, request_id=request_id)


def _problem(entry: Mapping[str, Any]) -> Problem:
    return Problem(
        path=str(entry.get("path") or entry.get("pointer") or ""),
        code=str(entry.get("code") or ""),
        message=str(entry.get("message") or entry.get("detail") or entry.get("description") or ""),
        allowed=tuple(map(str, entry.get("allowed") or ())),
    )
