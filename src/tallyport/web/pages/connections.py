"""Connections: the list, one of them, a new one."""

import json
from typing import Any

from starlette.responses import Response

from tallyport.connectors import registry
from tallyport.control import accounts, connections, reading
from tallyport.control.desk import Right
from tallyport.control.failed import location
from tallyport.control.reading import WantedJobs
from tallyport.control.traffic import shared
from tallyport.domain.errors import TallyportError
from tallyport.web.doorway import PREFIX
from tallyport.web.page import Page, pages
from tallyport.web.work import look

_SIZE = 50


def table(page: Page) -> Response:
    """Show every connection."""
    offset = page.whole("offset", 0, most=1_000_000)
    text = page.query.get("q", "").replace("\0", "") or None
    found, total = connections.page(
        page.desk, platform=page.query.get("platform") or None, text=text, offset=offset, limit=_SIZE
    )
    return page.render(
        "connections.html",
        rows=[(one, _platform_name(one.platform), location(one)) for one in found],
        total=total,
        offset=offset,
        size_of_page=_SIZE,
        platforms=registry.platforms(),
        is_filtered=bool(text or page.query.get("platform")),
    )


def new(page: Page) -> Response:
    """Ask for a new connection."""
    chosen = page.query.get("platform", "fs")
    known = registry.platforms()
    chosen = chosen if chosen in known else "fs"
    fields, problem = _fields(chosen)
    return page.render(
        "connection_edit.html",
        platforms={name: one.name for name, one in known.items() if name != "memory" or chosen == "memory"},
        chosen=chosen,
        fields=fields,
        problem=problem,
        connection=None,
    )


def edit(page: Page) -> Response:
    """Change one; secrets are never shown, and stay unless they are given anew."""
    found = connections.show(page.desk, page.part("connection"))
    fields, problem = _fields(found.platform)
    return page.render(
        "connection_edit.html",
        platforms={found.platform: _platform_name(found.platform)},
        chosen=found.platform,
        fields=fields,
        problem=problem,
        connection=found,
    )


def one(page: Page) -> Response:
    """Show one: its settings, a test, what is in it, the jobs that use it."""
    found = connections.show(page.desk, page.part("connection"))
    using, total = reading.jobs_page(page.desk, WantedJobs(connection=found.id), offset=0, limit=10)
    restricted, open_to = connections.open_to(page.desk, found.id)
    people = _names(page) if page.caller.may(Right.ADMIN) else []
    into, into_total = reading.jobs_page(page.desk, WantedJobs(destination=found.id), offset=0, limit=10)
    return page.render(
        "connection.html",
        connection=found,
        platform=_platform_name(found.platform),
        place=location(found),
        shared=shared(page.desk, found),
        measured=json.loads(found.measured) if found.measured else {},
        sources=[look(page, picture) for picture in using],
        destinations=[look(page, picture) for picture in into],
        source_total=total,
        destination_total=into_total,
        restricted=restricted,
        open_to=open_to,
        people=people,
    )


def _names(page: Page) -> list[str]:
    """Give the names of those a connection can be opened to."""
    everyone, _ = accounts.page(page.desk, text=None, role=None, offset=0, limit=1_000)
    return [one.name for one in everyone if not one.disabled]


def _platform_name(platform: str) -> str:
    try:
        return registry.platform(platform).name
    except TallyportError:
        return platform


def _fields(platform: str) -> tuple[list[Any], str | None]:
    """Give the settings to ask for, or why the platform cannot be used here."""
    try:
        return list(registry.platform(platform).settings_fields()), None
    except TallyportError as error:
        return [], error.message


ROUTES = (
    *pages((f"{PREFIX}/connections", table)),
    *pages((f"{PREFIX}/connections/new", new), right=Right.MANAGE),
    *pages((f"{PREFIX}/connections/{{connection}}", one)),
    *pages((f"{PREFIX}/connections/{{connection}}/edit", edit), right=Right.MANAGE),
)
