"""Reports: over jobs, over one job, its validation; and what runs when."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from tallyport.control import reading, schedules, summaries
from tallyport.control.breakdowns import Breakdowns
from tallyport.domain.capabilities import VerifyLevel
from tallyport.domain.entries import Kind
from tallyport.domain.items import DONE, FAILED, Status
from tallyport.domain.states import State
from tallyport.domain.words import ADVICE, REASONS
from tallyport.store.breakdowns import AGES, SIZES, Breakdown, Counted
from tallyport.web import shown
from tallyport.web.doorway import PREFIX
from tallyport.web.page import Page, pages
from tallyport.web.pages.job import TABS, next_runs
from tallyport.web.work import Look, look, parts_of

_DAY = 86_400_000_000
_AGES = ("last 30 days", "1 to 3 months", "3 months to a year", "1 to 3 years", "3 to 7 years", "older than 7 years")
_COLOURS = {"green": "#2a9d5c", "teal": "#1aa39a", "red": "#d63939", "orange": "#e07a1f", "azure": "#4299e1"}
_COLOURS["secondary"] = "#8695a8"


def over_jobs(page: Page) -> Response:
    """Report over several jobs, from their kept totals."""
    category = page.query.get("category", "")
    which = page.query.get("simulation", "")
    wanted = summaries.Wanted(
        jobs=tuple(dict.fromkeys(page.several("job"))),
        category=int(category) if category.removeprefix("-").isdecimal() and len(category) < 10 else None,
        simulation={"1": True, "0": False}.get(which),
        days=max(page.whole("days", 30, most=3_650), 1),
    )
    found = summaries.summary(page.desk, wanted)
    days = [datetime.fromtimestamp(one.day * 86_400, UTC).date().isoformat() for one in found.days]
    charts = {
        "days": {
            "type": "bar",
            "labels": days,
            "sets": [
                {"label": "bytes carried", "data": [one.transferred_bytes for one in found.days], "unit": "bytes"}
            ],
        },
        "outcome": {
            "type": "doughnut",
            "labels": ["carried", "equal already", "left out", "deleted", "failed now"],
            "sets": [{"data": [*_totals(found), found.unresolved]}],
            "colours": ["#2a9d5c", "#1aa39a", "#8695a8", "#b08900", "#d63939"],
        },
        "reasons": _bars([(reason.replace("_", " "), count) for reason, count in (found.failed_by_reason or ())[:12]]),
    }
    return page.render(
        "reports.html",
        found=found,
        rows=[look(page, one) for one in found.pictures],
        every=reading.newest_jobs(page.desk, 500),
        categories=reading.categories(page.desk),
        wanted=wanted,
        charts=charts,
        REASONS=REASONS,
    )


def _totals(found: summaries.Summary) -> list[int]:
    return [found.total(name) for name in ("transferred", "unchanged", "skipped", "deleted")]


def _bars(pairs: Sequence[tuple[str, int]], unit: str = "items") -> dict[str, Any]:
    return {
        "type": "bar",
        "across": True,
        "labels": [name for name, _ in pairs],
        "sets": [{"label": unit, "data": [count for _, count in pairs], "unit": unit}],
    }


def job_report(page: Page) -> Response:
    """Report over one job: head and totals at once, what reads items as soon as it is counted."""
    seen = look(page, reading.job(page.desk, page.part("job")))
    runs, _ = reading.history(page.desk, job_id=seen.picture.job.id, ended=None, offset=0, limit=20)
    return page.render(
        "job/report.html",
        **_about(page, seen),
        tab="report",
        runs=runs,
        reasons=page.request.app.state.reasons.of_job(page.desk, seen.picture.job.id),
        REASONS=REASONS,
        ADVICE=ADVICE,
    )


def job_validation(page: Page) -> Response:
    """Compare both sides of a job."""
    seen = look(page, reading.job(page.desk, page.part("job")))
    return page.render("job/validation.html", **_about(page, seen), tab="validation")


def _about(page: Page, seen: Look) -> dict[str, Any]:
    about = {"seen": seen, "picture": seen.picture, "job": seen.picture.job, "tabs": TABS}
    return {**about, "parts_of_it": parts_of(page, seen.picture)}


def breakdown(page: Page) -> Response:
    """The part of a report that reads items; asks for itself again until it is counted."""
    counts: Breakdowns = page.request.app.state.breakdowns
    found = counts.of_job(page.desk, page.part("job"))
    which = "validation" if page.query.get("for") == "validation" else "report"
    seen = look(page, reading.job(page.desk, page.part("job")))
    if found is None:
        return page.render("job/counting.html", seen=seen, which=which)
    if which == "validation":
        return page.render("job/validation_counts.html", seen=seen, found=found, **_sides(found))
    return page.render("job/report_counts.html", seen=seen, found=found, charts=_charts(found), REASONS=REASONS)


def _charts(found: Breakdown) -> dict[str, Any]:
    by_status: dict[int, int] = {}
    for line in found.lines:
        by_status[line.status] = by_status.get(line.status, 0) + line.number
    sizes = [f"from {shown.size(bound)}" for bound in SIZES]
    return {
        "statuses": {
            "type": "doughnut",
            "labels": [shown.ITEMS[status][1] for status in by_status],
            "sets": [{"data": list(by_status.values())}],
            "colours": [_COLOURS.get(shown.ITEMS[status][2], "#4299e1") for status in by_status],
        },
        "extensions": _bars([(name, one.bytes) for name, one in found.extensions[:12]], "bytes"),
        "sizes": _bars([(name, one.number) for name, one in zip(sizes, found.sizes, strict=True)]),
        "ages": _bars([(name, one.number) for name, one in zip(_AGES, found.ages, strict=True)]),
    }


def _sides(found: Breakdown) -> dict[str, Any]:
    """Give the lines of a reconciliation: what the source has, and what became of each part of it."""
    none = Counted(0, 0)
    both, source, only = (found.sides.get(side, none) for side in ("both", "source", "destination"))
    done = [line for line in found.lines if line.status in DONE]
    bad = [line for line in found.lines if line.status in FAILED]
    left = [line for line in found.lines if line.status in (Status.SKIPPED, Status.IGNORED)]
    pending = [line for line in found.lines if line.status == Status.PENDING]
    total = Counted(both.number + source.number, both.bytes + source.bytes)
    return {
        "identified": total,
        "both": both,
        "source_only": source,
        "destination_only": only,
        "groups": [("matched or carried", "green", done), ("left out", "secondary", left), ("failed", "red", bad)]
        + ([("not settled yet", "azure", pending)] if pending else []),
        "levels": [(VerifyLevel(level).name.lower(), count) for level, count in sorted(found.levels.items())],
        "kinds": {int(kind): kind.name.lower() for kind in Kind},
        "REASONS": REASONS,
    }


def calendar(page: Page) -> Response:
    """Every job that runs by itself, and the next runs of all of them in order."""
    found = schedules.scheduled(page.desk)
    upcoming: list[tuple[int, Any]] = []
    for job in found:
        upcoming += [(at, job) for at in next_runs(dict(job.schedule), job.next_run_at) if not job.held]
    upcoming.sort(key=lambda pair: pair[0])
    return page.render("schedules.html", jobs=found, upcoming=upcoming[:30], waiting=State.WAITING, ages=AGES)


_AT = f"{PREFIX}/jobs/{{job}}"
ROUTES = pages(
    (f"{PREFIX}/reports", over_jobs),
    (f"{_AT}/report", job_report),
    (f"{_AT}/validation", job_validation),
    (f"{_AT}/breakdown", breakdown),
    (f"{PREFIX}/schedules", calendar),
)
