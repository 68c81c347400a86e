"""The installation: the record of what people did, settings, what could go wrong, the API's own pages."""

from datetime import UTC, datetime

from starlette.responses import Response

from tallyport.connectors import registry
from tallyport.control import dashboard, doctor, environments, installation, named_secrets, record
from tallyport.control.desk import Right
from tallyport.web.doorway import PREFIX
from tallyport.web.page import HEADERS, Page, pages

_SIZE = 100


def admin_audit(page: Page) -> Response:
    """Show what people did, newest first."""
    query = page.query
    wanted = record.Wanted(
        actor=_text(page, "actor"),
        action=_text(page, "action"),
        object=_text(page, "object"),
        since=_day(query.get("since", "")),
        until=_day(query.get("until", "")),
    )
    found, has_more = record.page(page.desk, wanted, before=page.whole("cursor", 0) or None, limit=_SIZE)
    return page.render("audit.html", lines=found, cursor=found[-1].id if has_more else None, wanted=wanted)


def _text(page: Page, name: str) -> str | None:
    return page.query.get(name, "").replace("\0", "").strip() or None


def _day(text: str) -> int | None:
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        return None


def settings(page: Page) -> Response:
    """Show every setting, its value and where that came from."""
    return page.render("settings.html", settings=installation.settings())


def secrets(page: Page) -> Response:
    """Show the names of secrets, never their values, and ask for a new one."""
    chosen = page.query.get("environment", "").replace("\0", "") or named_secrets.Place().environment
    return page.render(
        "secrets.html",
        secrets=named_secrets.listed(page.desk, named_secrets.Place(chosen)),
        environments=environments.page(page.desk, offset=0, limit=1_000)[0],
        chosen=chosen,
    )


def about(page: Page) -> Response:
    """Say what this is, and, to an administrator, what could go wrong with it."""
    findings = list(doctor.examine(page.desk)) if page.caller.may(Right.ADMIN) else None
    return page.render(
        "about.html",
        findings=findings,
        workers=installation.workers(page.desk) if page.caller.may(Right.ADMIN) else [],
        reaches=None if page.desk.labels is None else sorted(page.desk.labels),
        storage=dashboard.storage(page.desk),
        platforms=registry.platforms().values(),
    )


def documentation(page: Page) -> Response:
    """Show the API, to read and to try, with a vendored Swagger UI."""
    response = page.render("docs.html")
    response.headers.update(HEADERS)
    return response


ROUTES = (
    *pages((f"{PREFIX}/audit", admin_audit), right=Right.AUDIT),
    *pages((f"{PREFIX}/settings", settings), right=Right.ADMIN),
    *pages((f"{PREFIX}/secrets", secrets), (f"{PREFIX}/about", about), ("/docs", documentation)),
)
