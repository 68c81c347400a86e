"""Failed items over all jobs."""

from dataclasses import replace

from starlette.responses import Response

from tallyport.control import items
from tallyport.domain.items import FAILED
from tallyport.domain.words import REASONS
from tallyport.web.doorway import PREFIX
from tallyport.web.page import Page, pages
from tallyport.web.pages.items import item_filters


def everywhere(page: Page) -> Response:
    """Show what is failed now, whichever job it belongs to."""
    wanted, chosen = item_filters(page)
    statuses = [one for one in wanted.statuses if one in FAILED] or sorted(FAILED)
    found = items.page(page.desk, replace(wanted, statuses=statuses))
    return page.render("failed.html", found=found, cursor=found.cursor, chosen=chosen, REASONS=REASONS)


ROUTES = pages((f"{PREFIX}/failed", everywhere))
