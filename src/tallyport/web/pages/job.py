"""One job: its tabs."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import RedirectResponse, Response

from tallyport.control import folder_mapping, items, reading, reports
from tallyport.control.items import Wanted
from tallyport.control.refusals import NotFound
from tallyport.domain import schedules, transfer_block
from tallyport.domain.block_words import KEY_WORDS
from tallyport.domain.events import Topic
from tallyport.domain.executions import Execution
from tallyport.domain.items import FAILED
from tallyport.domain.losses import WORDS, Fact
from tallyport.domain.words import ADVICE, REASONS
from tallyport.store import rows
from tallyport.store.audit import LEVELS
from tallyport.web.doorway import PREFIX
from tallyport.web.page import HEADERS, Page, pages
from tallyport.web.pages.items import OUTCOMES, item_filters
from tallyport.web.work import Look, look, parts_of

TABS = (
    ("overview", "Overview", "activity"),
    ("items", "Items", "list"),
    ("failed", "Failed", "alert-triangle"),
    ("audit", "Audit", "history"),
    ("policies", "Policies", "adjustments"),
    ("schedule", "Schedule", "calendar"),
    ("runs", "Runs", "rotate-clockwise"),
    ("validation", "Validation", "shield-check"),
    ("report", "Report", "report"),
)
_SIZE = 100
TOPICS = " ".join(["progress", *Topic])


def to_overview(page: Page) -> Response:
    """A job's first tab."""
    return RedirectResponse(f"{PREFIX}/jobs/{page.part('job')}/overview", 303, HEADERS)


def _job(page: Page) -> Look:
    return look(page, reading.job(page.desk, page.part("job")))


def overview(page: Page) -> Response:
    """How far it is."""
    seen = _job(page)
    runs, total = reading.history(page.desk, job_id=seen.picture.job.id, ended=None, offset=0, limit=10)
    reasons = page.request.app.state.reasons.of_job(page.desk, seen.picture.job.id)
    below = [] if seen.picture.children is None else folder_mapping.first(page.desk, seen.picture.job.id, _SIZE)
    about: dict[str, Any] = {"runs": runs, "run_count": total, "reasons": reasons, "below": below}
    return _tab(page, "overview", seen, **about, REASONS=REASONS, topics=TOPICS)


def live(page: Page) -> Response:
    """The part of the first tab that is asked for again as things happen."""
    seen = _job(page)
    if seen.picture.execution is None:
        raise NotFound("the job has not run yet")
    about: dict[str, Any] = {"seen": seen, "picture": seen.picture, "job": seen.picture.job}
    return page.render("job/live.html", **about, parts_of_it=parts_of(page, seen.picture))


def job_items(page: Page) -> Response:
    """Items of the job, filtered by the query."""
    seen = _job(page)
    wanted, chosen = item_filters(page)
    found = items.window(page.desk, seen.picture.job.id, wanted)
    run = _run(page, seen, chosen.execution)
    lost = {} if page.query.get("cursor") else items.lost_totals(page.desk, seen.picture.job.id)
    words = {"REASONS": REASONS, "OUTCOMES": OUTCOMES, "FACTS": tuple(Fact), "WORDS": WORDS}
    return _tab(page, "items", seen, window=found, chosen=chosen, run=run, lost=lost, **words)


def _run(page: Page, seen: Look, execution_id: int) -> Execution | None:
    """Give the run of this job that the query names, or None."""
    if not execution_id:
        return None
    run, picture = reading.execution(page.desk, execution_id)
    return run if picture.job.id == seen.picture.job.id else None


def job_failed(page: Page) -> Response:
    """What is failed now, by reason."""
    seen = _job(page)
    groups = page.request.app.state.reasons.of_job(page.desk, seen.picture.job.id)
    return _tab(page, "failed", seen, groups=groups, REASONS=REASONS, ADVICE=ADVICE)


def failed_group(page: Page) -> Response:
    """The items of one reason, to choose from."""
    seen = _job(page)
    reason = page.query.get("reason", "")
    wanted = Wanted(statuses=sorted(FAILED), reasons=(reason,), after=page.whole("cursor", 0), limit=_SIZE)
    found = items.window(page.desk, seen.picture.job.id, wanted)
    return page.render("job/failed_group.html", seen=seen, window=found, reason=reason)


def job_audit(page: Page) -> Response:
    """Audit lines, newest last."""
    seen = _job(page)
    levels = [LEVELS[one] for one in page.several("level") if one in LEVELS]
    after = page.whole("cursor", 0)
    found = reports.audit_page(
        page.desk,
        job_id=seen.picture.job.id,
        which=None,
        execution_id=page.whole("execution", 0) or None,
        item_id=None,
        levels=levels,
        after=after,
        limit=_SIZE + 1,
    )
    cursor = found[_SIZE - 1].id if len(found) > _SIZE else None
    return _tab(
        page,
        "audit",
        seen,
        run=_run(page, seen, page.whole("execution", 0)),
        lines=found[:_SIZE],
        cursor=cursor,
        names=[*LEVELS][:5],
    )


def job_policies(page: Page) -> Response:
    """Every policy with its value and who set it."""
    seen = _job(page)
    job = seen.picture.job
    if not job.managed:
        return _tab(page, "policies", seen, groups={}, warnings=job.warnings, raw="{}")
    block = transfer_block.read_transfer_block(dict(job.transfer))
    values = json.loads(transfer_block.policies_to_json(block.policies))
    lines = [
        {
            "key": key,
            "value": values[known.policy],
            "set_by": block.set_by[key],
            "words": KEY_WORDS.get(key, "").replace("; see the tables below", ""),
        }
        for key, known in transfer_block.KEYS.items()
    ]
    raw = json.dumps(dict(job.transfer), indent=2, ensure_ascii=False)
    return _tab(page, "policies", seen, lines=lines, warnings=job.warnings, raw=raw)


def job_schedule(page: Page) -> Response:
    """When it runs by itself."""
    seen = _job(page)
    job = seen.picture.job
    return _tab(
        page,
        "schedule",
        seen,
        next_runs=next_runs(dict(job.schedule), job.next_run_at),
        raw=json.dumps(dict(job.schedule) or {"mode": job.schedule_mode}, indent=2),
        stop=dict(job.stop_policy),
    )


def next_runs(document: Mapping[str, object], first: int | None, many: int = 10) -> list[int]:
    """Give the next moments of a schedule, were each run to end at once."""
    if first is None:
        return []
    schedule = schedules.read_schedule(dict(document))
    found = [max(first, rows.now())]
    while len(found) < many:
        due = schedules.next_due(schedule, found[-1], found[-1])
        if due is None:
            break
        found.append(due)
    return found


def job_runs(page: Page) -> Response:
    """Every run with its totals."""
    seen = _job(page)
    offset = page.whole("offset", 0, most=1_000_000)
    runs, total = reading.history(page.desk, job_id=seen.picture.job.id, ended=None, offset=offset, limit=50)
    return _tab(page, "runs", seen, runs=runs, total=total, offset=offset)


def _tab(page: Page, name: str, seen: Look, **values: Any) -> Response:
    about: dict[str, Any] = {"seen": seen, "picture": seen.picture, "job": seen.picture.job}
    about |= {"parts_of_it": parts_of(page, seen.picture)}
    return page.render(f"job/{name}.html", tab=name, tabs=TABS, **about, **values)


def _known(page: Page) -> Response:
    raise NotFound(f"a job has no page {page.part('tab')!r}")


_AT = f"{PREFIX}/jobs/{{job}}"
ROUTES = pages(
    (_AT, to_overview),
    (f"{_AT}/overview", overview),
    (f"{_AT}/live", live),
    (f"{_AT}/items", job_items),
    (f"{_AT}/failed", job_failed),
    (f"{_AT}/failed/group", failed_group),
    (f"{_AT}/audit", job_audit),
    (f"{_AT}/policies", job_policies),
    (f"{_AT}/schedule", job_schedule),
    (f"{_AT}/runs", job_runs),
    (f"{_AT}/{{tab}}", _known),
)
