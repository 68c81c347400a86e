"""Lists that come in pages, as one iterator."""

from collections.abc import Iterator, Mapping
from typing import Any

from tallyport.client.transport import Transport

PAGE = 1_000


def pages(
    transport: Transport, path: str, key: str, params: Mapping[str, Any], *, limit: int = PAGE, offset: bool = True
) -> Iterator[Mapping[str, Any]]:
    """Give every member of a list. Follows the server's own link to the next page where it sends one.

    Without ``offset`` the list goes on by the link alone, and has one view of each member. A page of a search may be
    empty although there is more.
    """
    at, query = path, {**params, "limit": limit, **({"offset": 0} if offset else {})}
    while True:
        document = transport.get(at, query)
        members = document.get(key)
        views = (document.get("data") or []) if offset else []
        if members is None:
            members = views
        elif len(views) == len(members):  # both views of each: one member with both
            members = [{key.removesuffix("s"): one, "data": other} for one, other in zip(members, views, strict=True)]
        yield from members
        meta = document.get("meta") or {}
        following = ((meta.get("links") or {}).get("next") or {}).get("href")
        if not meta.get("has_more", False) or not (members or following):
            return
        if following:
            # The path and query alone: a link must not lead to another host.
            at, query = _below(following), {}
        else:
            query = {**query, "offset": int(query.get("offset", 0)) + len(members)}


def _below(href: str) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(href)
    return parts.path + (f"?{parts.query}" if parts.query else "")
