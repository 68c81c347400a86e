"""Maps between accounts and groups: the list, and one of them with its pairs."""

from starlette.responses import Response

from tallyport.control import connections, maps
from tallyport.control.desk import Right
from tallyport.control.refusals import NotFound
from tallyport.domain.maps import ACCOUNT_RULES, GROUP_RULES, Unmapped
from tallyport.web.doorway import PREFIX
from tallyport.web.page import Page, pages

_SIZE = 100
KINDS = {"accounts": "account_map", "groups": "group_map"}


def _kind(page: Page) -> str:
    kind = KINDS.get(page.part("kind"))
    if kind is None:
        raise NotFound(f"there are no maps of {page.part('kind')!r}: accounts or groups")
    return kind


def table(page: Page) -> Response:
    """Show every map of both kinds."""
    text = page.query.get("q", "").replace("\0", "") or None
    found = {word: maps.page(page.desk, kind, text=text, offset=0, limit=500) for word, kind in KINDS.items()}
    names = _connections(page)
    rules = {"accounts": list(ACCOUNT_RULES), "groups": list(GROUP_RULES)}
    return page.render("maps.html", found=found, names=names, rules=rules, unmapped=list(Unmapped))


def one(page: Page) -> Response:
    """Show one map with a page of its pairs."""
    kind = _kind(page)
    found = maps.show(page.desk, kind, page.part("map"))
    offset = page.whole("offset", 0, most=10_000_000)
    pairs, total = maps.exceptions(page.desk, kind, found.record.id, offset=offset, limit=_SIZE)
    return page.render(
        "map.html",
        picture=found,
        map=found.record,
        api=f"/v1/{kind}s/{found.record.id}",
        kind=page.part("kind"),
        pairs=pairs,
        total=total,
        offset=offset,
        size_of_page=_SIZE,
        names=_connections(page),
    )


def _connections(page: Page) -> dict[str, str]:
    found, _ = connections.page(page.desk, platform=None, text=None, offset=0, limit=1_000)
    return {connection.id: connection.name for connection in found}


ROUTES = pages((f"{PREFIX}/maps", table), (f"{PREFIX}/maps/{{kind}}/{{map}}", one), right=Right.READ)
