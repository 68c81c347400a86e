"""The first page: what runs, what failed, what comes next; and the approvals that wait for a person."""

from starlette.responses import HTMLResponse, Response

from tallyport.control import approvals as waiting_for
from tallyport.control import connections, dashboard
from tallyport.domain.words import REASONS
from tallyport.store import rows
from tallyport.web.doorway import PREFIX
from tallyport.web.page import HEADERS, Page, pages
from tallyport.web.work import look


def first(page: Page) -> Response:
    """Show the server as a whole."""
    found = dashboard.overview(page.desk)  # a fresh one: who comes from another page has just changed something
    _, connected = connections.page(page.desk, platform=None, text=None, offset=0, limit=1)
    return page.render(
        "dashboard.html",
        found=found,
        running=[look(page, one) for one in found.running],
        recent=[look(page, one) for one in found.recent],
        connected=connected,
        has_sample=page.desk.database.path is not None,
        jobs=sum(found.by_state.values()),
        REASONS=REASONS,
        hour_ago=rows.now() - 3600 * 1_000_000,
    )


def summary(page: Page) -> Response:
    """The part of the first page that is asked for again and again; drawn once a moment, whoever watches."""
    state = page.request.app.state
    found = state.glance.now(page.desk)
    kept: tuple[int, str] | None = getattr(state, "summary", None)
    if kept is None or kept[0] != found.at:
        drawn = page.render(
            "dashboard_summary.html",
            found=found,
            running=[look(page, one) for one in found.running],
            jobs=sum(found.by_state.values()),
        )
        kept = (found.at, bytes(drawn.body).decode())
        state.summary = kept
    return HTMLResponse(kept[1], headers=HEADERS)


def approvals(page: Page) -> Response:
    """Show every run that waits for a person, with what it would do."""
    return page.render(
        "approvals.html",
        waiting=[look(page, one) for one in waiting_for.awaiting(page.desk)],
        planned=[(look(page, one.picture), one.manifest) for one in waiting_for.planned(page.desk)],
    )


def deletes(page: Page) -> Response:
    """Show what one run would delete."""
    found = waiting_for.deletes(page.desk, page.part("job"), after=page.whole("cursor", 0), limit=100)
    return page.render("approval_deletes.html", found=found, job=page.part("job"))


ROUTES = pages(
    (f"{PREFIX}/", first),
    (f"{PREFIX}/summary", summary),
    (f"{PREFIX}/approvals", approvals),
    (f"{PREFIX}/approvals/{{job}}/deletes", deletes),
)
