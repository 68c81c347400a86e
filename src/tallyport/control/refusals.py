"""Why a request is refused. ``api/problems.py`` gives each its status; nothing here knows one."""

from collections.abc import Sequence

from tallyport.domain.documents import Problem

__all__ = [
    "Busy",
    "Conflict",
    "Invalid",
    "NotAllowed",
    "NotFound",
    "NotSignedIn",
    "Problem",
    "Refusal",
    "Stale",
    "invalid",
]


class Refusal(Exception):
    """A request that is not carried out; nothing has changed."""

    code = "refused"

    def __init__(self, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.problems = tuple(problems)


class NotFound(Refusal):
    """There is no such thing, or it is deleted."""

    code = "not_found"


class Invalid(Refusal):
    """What was sent cannot be used; ``problems`` say where and why."""

    code = "invalid"

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.text for problem in problems), problems)


class Conflict(Refusal):
    """Not valid in the present state, or somebody else was faster."""

    code = "conflict"


class Stale(Refusal):
    """The version the caller saw is not the version now."""

    code = "stale"


class NotAllowed(Refusal):
    """The caller has not the right."""

    code = "not_allowed"


class NotSignedIn(Refusal):
    """No valid token."""

    code = "not_signed_in"


class Busy(Refusal):
    """The server has as much to do as it takes on; the same request may be carried out later."""

    code = "busy"


def invalid(path: str, message: str, allowed: Sequence[str] = (), *, code: str = "unknown_value") -> Invalid:
    """Make a refusal of one value."""
    return Invalid([Problem(path, code, message, tuple(allowed))])
