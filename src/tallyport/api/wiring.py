"""What routes ask for: the desk, the caller, the body, flags of the query."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from fastapi import Depends, Request
from starlette.responses import Response

from tallyport.api import rights
from tallyport.api.parameters import PARAMETERS
from tallyport.control.desk import Caller, Desk
from tallyport.control.refusals import Invalid, NotAllowed, NotFound, NotSignedIn, Problem, invalid

TRUE = frozenset({"", "1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


def authorise(request: Request) -> None:
    """Refuse unless the route has a rule and the caller the right it names."""
    path = getattr(request.scope.get("route"), "path", "")
    rule = (request.method, path)
    request.scope.setdefault("state", {})["route"] = path
    if rule in rights.PUBLIC:
        return
    caller = request.scope.get("state", {}).get("caller")
    if caller is None:
        raise NotSignedIn("a token is needed")
    if rule not in rights.RULES:
        raise NotAllowed(f"nobody may call {request.method} {path}: it has no rule")
    caller.require(rights.RULES[rule])


def _desk(request: Request) -> Desk:
    found: Desk = request.app.state.desk
    return found


def _caller(request: Request) -> Caller:
    found: Caller = request.scope["state"]["caller"]
    return found


async def _document(request: Request) -> Any:
    return read_json(await request.body())


async def _raw(request: Request) -> bytes:
    return await request.body()


Desked = Annotated[Desk, Depends(_desk)]
Called = Annotated[Caller, Depends(_caller)]
Document = Annotated[Any, Depends(_document)]  # the JSON body, whatever its declared type; {} when there is none
Raw = Annotated[bytes, Depends(_raw)]


def read_json(content: bytes) -> Any:
    """Read a JSON body."""
    if not content.strip():
        return {}
    try:
        return msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid([Problem("", "not_json", f"the body is not JSON: {error}")]) from error


def flag(query: Mapping[str, str], name: str) -> bool:
    """Tell whether a flag of the query is set: ``?start``, ``?start=1`` or ``?start=true``."""
    if name not in query:
        return False
    value = query[name].lower()
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    raise invalid(name, f"{query[name]!r} is neither 1 nor 0", ("1", "0"))


def whole(query: Mapping[str, str], name: str, default: int, *, least: int = 0, most: int) -> int:
    """Read a whole number of the query within bounds."""
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise invalid(name, f"{text!r} is not a whole number")
    if not least <= int(text) <= most:
        raise invalid(name, f"must be between {least} and {most}, not {text}", code="out_of_range")
    return int(text)


def text(query: Mapping[str, str], name: str) -> str | None:
    """Read text to search for."""
    if "\0" in query.get(name, ""):
        raise invalid(name, "cannot hold a NUL")
    return query.get(name) or None


def execution_number(text: str) -> int:
    """Read the number of an execution out of a path."""
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotFound(f"there is no execution {text[:40]!r}")
    return int(text)


def words(query: Any, *names: str) -> list[str]:
    """Read a list of words: comma separated, the parameter repeated, or both."""
    return [word for name in names for value in query.getlist(name) for word in value.split(",") if word]


def only_known(request: Request) -> None:
    """Refuse a parameter that the route does not know: a filter that is misspelt would change more than was meant."""
    route = getattr(request.scope.get("route"), "path", "")
    known = [one.name for one in PARAMETERS.get((request.method, route), ()) if one.place == "query"]
    for name in request.query_params:
        if name not in known:
            raise invalid(name[:80], "is not a parameter of this call", known, code="unknown_key")


def json_response(
    document: object, status: int = 200, headers: Mapping[str, str] | None = None, kind: str = "application/json"
) -> Response:
    """Answer with JSON, encoded once and fast."""
    return Response(msgspec.json.encode(document), status, dict(headers or {}), kind)
