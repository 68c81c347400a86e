"""Webhooks: the list, and one of them with its deliveries."""

from starlette.responses import Response

from tallyport.control import webhooks
from tallyport.control.desk import Right
from tallyport.domain.events import Topic
from tallyport.web.doorway import PREFIX
from tallyport.web.page import Page, pages

_SIZE = 50
STATES = ("pending", "delivered", "dead")


def table(page: Page) -> Response:
    """Show every webhook."""
    found, total = webhooks.page(page.desk, offset=0, limit=webhooks.MOST_WEBHOOKS)
    return page.render("webhooks.html", rows=found, total=total, topics=list(Topic))


def one(page: Page) -> Response:
    """Show one webhook, its deliveries newest first."""
    found, counts = webhooks.show(page.desk, page.part("webhook"))
    state = page.query.get("state", "")
    state = state if state in STATES else ""
    before = page.whole("cursor", 0) or None
    rows, has_more = webhooks.deliveries(page.desk, found.id, state=state or None, before=before, limit=_SIZE)
    return page.render(
        "webhook.html",
        webhook=found,
        counts=counts,
        rows=rows,
        cursor=rows[-1].id if has_more else None,
        state=state,
        states=STATES,
        topics=list(Topic),
    )


def delivery(page: Page) -> Response:
    """Show one delivery with every attempt, for the drawer."""
    number = page.part("delivery")
    found, attempts = webhooks.delivery(
        page.desk, page.part("webhook"), int(number) if number.isdecimal() and len(number) < 19 else 0
    )
    return page.render("delivery.html", delivery=found, attempts=attempts, webhook=page.part("webhook"))


ROUTES = pages(
    (f"{PREFIX}/webhooks", table),
    (f"{PREFIX}/webhooks/{{webhook}}", one),
    (f"{PREFIX}/webhooks/{{webhook}}/deliveries/{{delivery}}", delivery),
    right=Right.MANAGE,
)
