"""The first page: what runs, what failed, what comes next; and the approvals that wait for a person."""

import json

from starlette.responses import Response

from tallyport.control import approvals as waiting_for
from tallyport.control import connections, dashboard
from tallyport.control.desk import Right
from tallyport.domain.words import REASONS
from tallyport.store import rows
from tallyport.web.doorway import PREFIX
from tallyport.web.page import Page, Route, pages
from tallyport.web.work import look

LATELY = 60_000_000  # microseconds of samples beside a summary: an open page asks far more often


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
        samples="[]",  # the chart begins with the whole hour, which it asks the API for
        REASONS=REASONS,
        hour_ago=rows.now() - 3600 * 1_000_000,
    )


def summary(page: Page) -> Response:
    """Show what of the first page changes by itself, and how fast the server carried of late."""
    found = dashboard.overview(page.desk, brief=True)
    return page.render(
        "dashboard_summary.html",
        found=found,
        running=[look(page, one) for one in found.running],
        jobs=sum(found.by_state.values()),
        samples=lately(page),
    )


def lately(page: Page) -> str:
    """Write the newest samples of the throughput, so that an open chart needs no request of its own."""
    samples = page.request.app.state.meter.samples(rows.now() - LATELY)
    return json.dumps([[one.at, round(one.bytes_per_second), round(one.items_per_second, 1)] for one in samples])


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


ROUTES = (
    *pages(
        (f"{PREFIX}/", first),
        (f"{PREFIX}/approvals", approvals),
        (f"{PREFIX}/approvals/{{job}}/deletes", deletes),
    ),
    Route(f"{PREFIX}/summary", summary, Right.READ, fresh=dashboard.FRESH),
)
