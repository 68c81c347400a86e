"""The table of jobs."""

from typing import NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response

from tallyport.control import connections, reading, views
from tallyport.control.pictures import Picture
from tallyport.control.reading import WantedJobs
from tallyport.domain.policies import TransferType
from tallyport.domain.states import ACTIVE, State
from tallyport.web.doorway import PREFIX
from tallyport.web.page import Page, pages
from tallyport.web.work import look

_SIZE = 50


class Choice(NamedTuple):
    """One group of states to filter by."""

    word: str
    words: str
    states: tuple[State, ...]


STATUSES = (
    Choice("active", "Under way", tuple(sorted(ACTIVE))),
    Choice("running", "Running", (State.EXECUTING, State.PLANNING)),
    Choice("waiting", "Waiting", (State.WAITING, State.READY)),
    Choice("paused", "Paused", (State.PAUSED, State.PAUSING)),
    Choice("done", "Done", (State.COMPLETE,)),
    Choice("failed", "Failed", (State.FAILED, State.FAILED_TO_START)),
    Choice("idle", "Never run", (State.CREATED, State.SCHEDULED)),
    Choice("canceled", "Canceled", (State.CANCELED, State.CANCELING)),
)


def table(page: Page) -> Response:
    """Show jobs, filtered by the query."""
    offset = page.whole("offset", 0, most=10_000_000)
    wanted = wanted_of(page)
    pictures, total = reading.jobs_page(page.desk, wanted, offset=offset, limit=_SIZE)
    found, _ = connections.page(page.desk, platform=None, text=None, offset=0, limit=1_000)
    return page.render(
        "jobs.html",
        rows=[look(page, one) for one in pictures],
        total=total,
        offset=offset,
        size_of_page=_SIZE,
        statuses=STATUSES,
        types=list(TransferType),
        categories=reading.categories(page.desk),
        connections=found,
        is_filtered=wanted != WantedJobs(),
        export=export_query(wanted),
        kept=views.of_caller(page.desk, page.caller, "jobs"),
    )


def categories(page: Page) -> Response:
    """Show the groups of jobs."""
    return page.render("categories.html", names=reading.categories(page.desk), sizes=reading.category_sizes(page.desk))


def wanted_of(page: Page) -> WantedJobs:
    """Read the filters; what is not a filter's word counts as absent."""
    chosen = [one for one in STATUSES if one.word in page.several("status")]
    category = page.query.get("category", "")
    kind = page.query.get("type", "")
    return WantedJobs(
        states=tuple(sorted({state for one in chosen for state in one.states})),
        text=page.query.get("q", "").replace("\0", "") or None,
        category=int(category) if category.removeprefix("-").isdecimal() and len(category) < 10 else None,
        transfer_type=kind if kind in set(TransferType) else None,
        connection=page.query.get("source") or None,
        destination=page.query.get("destination") or None,
        unresolved=page.query.get("failed") == "1" or None,
        parent=page.query.get("parent") or None,
    )


def export_query(wanted: WantedJobs) -> str:
    """Give the same choice in the words of the API."""
    chosen = {
        "state": ",".join(wanted.states),
        "q": wanted.text,
        "category": wanted.category,
        "transfer_type": wanted.transfer_type,
        "source": wanted.connection,
        "destination": wanted.destination,
        "failed": "1" if wanted.unresolved else None,
        "parent": wanted.parent,
    }
    return urlencode({key: value for key, value in chosen.items() if value not in (None, "")})


def address(picture: Picture) -> str:
    """Give the address of a job's page."""
    return f"{PREFIX}/jobs/{picture.job.id}"


ROUTES = pages((f"{PREFIX}/jobs", table), (f"{PREFIX}/categories", categories))
