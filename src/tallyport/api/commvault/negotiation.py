"""Which media type an answer has, by ``Accept``."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from tallyport.api.commvault import xml
from tallyport.api.wiring import json_response

JSON, XML, CSV = "application/json", "application/xml", "text/csv"


def chosen(request: Request, offered: tuple[str, ...]) -> str:
    """Give the offered type the client likes best, the first of them when it does not care; 406 when none will do."""
    given = request.headers.get("accept", "").strip()
    if not given:
        return offered[0]
    best, best_rank = None, (0.0, 0)
    for part in given.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = _quality(parameters)
        for place, kind in enumerate(offered):
            precision = _matches(name, kind)
            rank = (quality, precision * 100 - place)
            if quality > 0 and precision and rank > best_rank:
                best, best_rank = kind, rank
    if best is None:
        raise HTTPException(406, f"this can be given as {', '.join(offered)}, not as {given[:200]}")
    return best


def _form(request: Request) -> str:
    return chosen(request, (JSON, XML))


Form = Annotated[str, Depends(_form)]
"""The media type of an answer that is a document; who wants another is refused before anything is done."""


def document(form: str, name: str, content: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """Answer with a document; in XML its root has a name."""
    if form == XML:
        return Response(xml.element(name, content), 200, dict(headers or {}), XML)
    return json_response(content, headers=headers)


def _matches(wanted: str, kind: str) -> int:
    if wanted in (kind, "text/xml" if kind == XML else kind):
        return 3
    if wanted == f"{kind.partition('/')[0]}/*":
        return 2
    return 1 if wanted == "*/*" else 0


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
