"""Which media type an answer has, by ``Accept``."""

from fastapi import Request
from starlette.exceptions import HTTPException

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
