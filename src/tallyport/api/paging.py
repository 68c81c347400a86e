"""Pages: by offset and limit or by page number, and the words around them."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from fastapi import Request

from tallyport.api.wiring import whole
from tallyport.control.refusals import invalid

MOST = 1_000
NUMBERED = ("pageSize", "pageNumber")
PLAIN = ("offset", "limit")


class Slice(NamedTuple):
    """Which part of a list was asked for."""

    offset: int
    limit: int


def slice_of(request: Request, default: int = 100, *, size: int = 20) -> Slice:
    """Read ``offset``/``limit`` or ``pageSize``/``pageNumber``; both at once is refused."""
    query = request.query_params
    numbered = [name for name in NUMBERED if name in query]
    plain = [name for name in PLAIN if name in query]
    if numbered and plain:
        raise invalid(numbered[0], f"{numbered[0]} and {plain[0]} exclude each other", code="not_together")
    if numbered:
        limit = whole(query, "pageSize", size, least=1, most=MOST)
        return Slice((whole(query, "pageNumber", 1, least=1, most=1_000_000_000) - 1) * limit, limit)
    return Slice(whole(query, "offset", 0, most=1_000_000_000_000), whole(query, "limit", default, least=1, most=MOST))


def meta(
    request: Request, part: Slice, total: int | None, has_more: bool, *, cursor: int | None = None, csv: bool = False
) -> dict[str, Any]:
    """Give what stands beside a list: where it is in the whole, and the way on."""
    links = {"self": {"href": href(request, {})}}
    if has_more:
        following = {"offset": part.offset + part.limit} if cursor is None else {"cursor": cursor}
        links["next"] = {"href": href(request, following)}
    if part.offset:
        links["prev"] = {"href": href(request, {"offset": max(part.offset - part.limit, 0)})}
    if csv:
        path = request.url.path.removesuffix(".csv")
        links["download"] = {"href": href(request, {}, path=f"{path}.csv", without=("offset", "limit", "cursor"))}
    document: dict[str, Any] = {"offset": part.offset, "limit": part.limit}
    if total is not None:
        document["total_count"] = total
    document["has_more"] = has_more
    if cursor is not None and has_more:
        document["next_cursor"] = str(cursor)
    return document | {"links": links}


def pagination(part: Slice, total: int) -> dict[str, int]:
    """Give the page number and count of a numbered list."""
    return {
        "currentPage": part.offset // part.limit + 1,
        "pageCount": -(-total // part.limit),
        "totalCount": total,
    }


def link_header(document: Mapping[str, Any]) -> dict[str, str]:
    """Give the ``Link`` header of a page that has a next one."""
    following = document["links"].get("next")
    return {} if following is None else {"Link": f'<{following["href"]}>; rel="next"'}


def href(
    request: Request, changes: Mapping[str, object], *, path: str | None = None, without: tuple[str, ...] = ()
) -> str:
    """Give the address of this request with some parameters changed and others left out."""
    dropped = {*changes, *without, *(("offset",) if "cursor" in changes else ())}
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in dropped]
    query = urlencode([*kept, *changes.items()])
    return f"{path or request.url.path}{'?' if query else ''}{query}"
