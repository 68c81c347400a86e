"""Items of jobs: pages, what happened to one, retry and ignore, audit lines, totals."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api import csv_rows, paging
from tallyport.api.dryviq import views, words
from tallyport.api.times import iso
from tallyport.api.wiring import (
    Called,
    Desked,
    Document,
    execution_number,
    flag,
    json_response,
    only_known,
    text,
    whole,
)
from tallyport.api.wiring import words as listed
from tallyport.control import executions, items, reading, reports
from tallyport.control.breakdowns import Breakdowns
from tallyport.control.desk import Caller, Desk
from tallyport.control.items import Wanted
from tallyport.control.pictures import Picture
from tallyport.control.refusals import NotFound, invalid
from tallyport.domain.actions import Reason
from tallyport.domain.entries import Kind
from tallyport.domain.items import Status
from tallyport.domain.jobs import Job
from tallyport.domain.losses import BITS, WORDS, Fact
from tallyport.store.audit import LEVELS, AuditRow
from tallyport.store.breakdowns import AGES, SIZES, Breakdown, Counted
from tallyport.store.items import ItemRow
from tallyport.store.losses import LossRow

router = APIRouter(prefix="/v1/transfers", tags=["items"])
jobs_router = APIRouter(prefix="/v1/jobs", tags=["items"])

FLAGGED = (Status.RETRY, Status.FLAGGED)
CHANGES = ("converted", "renamed", "encoded", "truncated", "deduplicated", "restored")
SHOWN = 5  # classes of a count, beside the rest
DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}
COLUMNS: tuple[str, ...] = (
    "id",
    "job_id",
    "type",
    "source_path",
    "destination_path",
    "bytes",
    "status",
    "reason",
    "message",
)
COLUMNS += ("attempts", "execution_id", "settled_on", "losses", "lost")


@router.get("/items", summary="List items of one job or several")
def list_items(request: Request, desk: Desked) -> Response:
    return _page(request, desk, _wanted(request))


@router.get("/items.csv", summary="Items as CSV")
def items_csv(request: Request, desk: Desked) -> Response:
    return _csv(request, desk, _wanted(request), "items.csv")


@router.patch("/items", summary="Retry or ignore many items")
def settle_items(request: Request, desk: Desked, caller: Called, document: Document) -> Response:
    only_known(request)
    wanted = _wanted(request, default=FLAGGED)
    ids = [_id(word) for word in listed(request.query_params, "id")] or None
    if ids is None and not wanted.jobs and wanted.parent is None:
        raise invalid("jobs", "name the items: by jobs, parent or id", code="missing")
    return _settle(request, desk, caller, wanted, ids, document)


@router.get("/items/flagged", summary="List every item that failed and is unresolved")
def list_flagged(request: Request, desk: Desked) -> Response:
    return _page(request, desk, _wanted(request, default=FLAGGED, need_job=False))


@router.get("/items/flagged.csv", summary="Failed and unresolved items as CSV")
def flagged_csv(request: Request, desk: Desked) -> Response:
    return _csv(request, desk, _wanted(request, default=FLAGGED, need_job=False), "flagged.csv")


@router.get("/folders", summary="List the folders of one job or several")
def list_folders(request: Request, desk: Desked) -> Response:
    return _page(request, desk, replace(_wanted(request), kinds=(int(Kind.CONTAINER),)))


@router.get("/items/{item}", summary="Explain an item: every attempt, every audit line")
def explain_item(desk: Desked, item: str) -> Response:
    found = items.explain(desk, _id(item))
    shown = views.item(found.job, found.item) | {
        "failures": [views.failure(row) for row in found.failures],
        "audit": [views.line(row) for row in found.lines],
        "losses": [views.loss(row) for row in found.losses],
        "parts": [views.share(one) for one in found.shares],
    }
    return json_response({"status": 200, "type": "item", "item": shown, "data": shown})


@router.get("/items/{item}/parts", summary="List the parts of a huge file: which worker carried which range, and when")
def list_parts(request: Request, desk: Desked, item: str) -> Response:
    limit = whole(request.query_params, "limit", 100, least=1, most=paging.MOST)
    after = whole(request.query_params, "cursor", -1, most=1 << 62)
    rows = items.parts(desk, _id(item), after=after, limit=limit + 1)
    has_more = len(rows) > limit
    part = paging.Slice(0, limit)
    meta = paging.meta(request, part, None, has_more, cursor=rows[limit - 1].start if has_more else None)
    shown = [views.part(row) for row in rows[:limit]]
    document = {"status": 200, "type": "parts", "parts": shown, "meta": meta, "data": shown}
    return json_response(document, headers=paging.link_header(meta))


@router.patch("/items/{item}", summary="Retry or ignore one item")
def settle_item(request: Request, desk: Desked, caller: Called, item: str, document: Document) -> Response:
    number = _id(item)
    owner = items.find_job_of(desk, number)
    return _settle(request, desk, caller, Wanted(jobs=(owner.id,)), [number], document)


@router.get("/auditing", summary="List audit lines")
def list_audit(request: Request, desk: Desked) -> Response:
    limit = whole(request.query_params, "limit", 100, least=1, most=paging.MOST)
    after = whole(request.query_params, "cursor", 0, most=1 << 62)
    rows = reports.audit_page(desk, **_audit_filters(request), after=after, limit=limit + 1)
    part = paging.Slice(0, limit)
    has_more = len(rows) > limit
    cursor = rows[limit - 1].id if has_more else None
    meta = paging.meta(request, part, None, has_more, cursor=cursor, csv=True)
    document = {"status": 200, "type": "audits", "item": [views.line(row) for row in rows[:limit]], "meta": meta}
    return json_response(document, headers=paging.link_header(meta))


@router.get("/auditing.csv", summary="Audit lines as CSV")
def audit_csv(request: Request, desk: Desked) -> Response:
    columns = ("id", "job_id", "execution_id", "item_id", "level", "event", "path", "message", "recorded_on")
    rows = map(_audit_cells, reports.every_audit_line(desk, **_audit_filters(request)))
    return csv_rows.stream(columns, rows, "auditing.csv", bom=flag(request.query_params, "bom"))


@router.get("/stats", summary="Totals of all jobs")
def all_stats(request: Request, desk: Desked) -> Response:
    return _stats(desk, listed(request.query_params, "jobs", "job"))


@router.post("/executions/{execution}/undo", status_code=202, summary="Put back what a run replaced and deleted")
def undo_execution(request: Request, desk: Desked, caller: Called, execution: str) -> Response:
    return _undone(request, desk, caller, execution, "undo")


@router.post("/executions/{execution}/purge", status_code=202, summary="Empty the quarantine of a run for good")
def purge_execution(request: Request, desk: Desked, caller: Called, execution: str) -> Response:
    return _undone(request, desk, caller, execution, "purge")


@router.get("/{job}/stats", summary="Totals of a job")
def job_stats(desk: Desked, job: str) -> Response:
    return _stats(desk, [job], reading.job(desk, job))


@router.get("/{job}/stats/{kind}", summary="Items of a job counted one way: the largest five classes and the rest")
def job_stats_by(request: Request, desk: Desked, job: str, kind: str) -> Response:
    if kind not in BREAKDOWNS:
        raise NotFound(f"items are not counted {kind[:40]!r}; {', '.join(BREAKDOWNS)} are ways")
    counts: Breakdowns = request.app.state.breakdowns
    width = _width(request) if kind == "by_age" else None
    found = counts.of_job(desk, job)
    if found is None:  # being counted: ask again
        return json_response({"status": 202, "type": "stats", "stats": []}, 202, {"Retry-After": "1"})
    lines = BREAKDOWNS[kind](found) if width is None else _by_age(found, *width)
    shown = [{"name": name, "count": one.number, "bytes": one.bytes} for name, one in lines]
    return json_response({"status": 200, "type": "stats", "stats": shown, "data": shown})


@router.get("/{job}/items", summary="List items of a job")
def list_job_items(request: Request, desk: Desked, job: str) -> Response:
    return _page(request, desk, _wanted(request, job=job))


@jobs_router.get("/{job}/losses", summary="Say what the items of a job lost: how many lack what, and which")
def job_losses(request: Request, desk: Desked, job: str) -> Response:
    part = paging.slice_of(request)
    after = whole(request.query_params, "cursor", 0, most=1 << 62)
    bits = _lost(listed(request.query_params, "what"))
    found = items.lost(desk, Wanted(jobs=(job,), lost=bits, after=after, offset=part.offset, limit=part.limit))
    meta = paging.meta(request, part, None, found.has_more, cursor=found.cursor)
    sums = [{"what": fact.value, "count": count, "why": WORDS[fact]} for fact, count in found.totals.items()]
    shown = [views.lacking(row, lacks) for row, lacks in found.rows]
    document = {"status": 200, "type": "losses", "losses": sums, "item": shown, "meta": meta, "data": sums}
    return json_response(document, headers=paging.link_header(meta))


@router.get("/{job}/items.csv", summary="Items of a job as CSV")
def job_items_csv(request: Request, desk: Desked, job: str) -> Response:
    return _csv(request, desk, _wanted(request, job=job), "items.csv")


@router.patch("/{job}/items", summary="Retry or ignore many items of a job")
def settle_job_items(request: Request, desk: Desked, caller: Called, job: str, document: Document) -> Response:
    only_known(request)
    ids = [_id(word) for word in listed(request.query_params, "id")] or None
    return _settle(request, desk, caller, _wanted(request, job=job, default=FLAGGED), ids, document)


def _wanted(
    request: Request, *, job: str | None = None, default: tuple[Status, ...] = tuple(Status), need_job: bool = True
) -> Wanted:
    query = request.query_params
    part = paging.slice_of(request)
    jobs = [job] if job is not None else listed(query, "jobs", "job")
    parent, ids = query.get("parent"), query.get("id")
    if need_job and not jobs and parent is None and ids is None:
        raise invalid("job", "names the job whose items are wanted", code="missing")
    reasons = listed(query, "reason", "audit_category")
    known = [reason.value for reason in Reason]
    for reason in reasons:
        if reason not in known:
            raise invalid("reason", f"{reason!r} is not a reason", known)
    return Wanted(
        jobs=tuple(dict.fromkeys(jobs)),
        statuses=_statuses(listed(query, "status", "item_status")) or default,
        kinds=_kinds(listed(query, "type")),
        parent=None if parent is None else _id(parent),
        reasons=reasons,
        text=text(query, "q"),
        execution=whole(query, "execution", 0, most=1 << 62) or None,
        processing=_processing(listed(query, "processing_status")),
        lost=_lost(listed(query, "lost")),
        after=whole(query, "cursor", 0, most=1 << 62),
        offset=part.offset,
        limit=part.limit,
    )


def _statuses(given: list[str]) -> tuple[Status, ...]:
    found: dict[Status, None] = {}
    for word in given:
        if word not in words.STATUSES:
            raise invalid("status", f"{word!r} is not a status of an item", tuple(words.STATUSES))
        found |= dict.fromkeys(words.STATUSES[word])
    return tuple(found)


def _processing(given: list[str]) -> tuple[str, ...]:
    for word in given:
        if word not in CHANGES:
            raise invalid("processing_status", f"{word[:40]!r} is not a change on the way", CHANGES)
    return tuple(given)


def _lost(given: list[str]) -> int | None:
    known = [fact.value for fact in Fact]
    for word in given:
        if word not in known:
            raise invalid("lost", f"{word[:40]!r} is nothing that an item can lose", known)
    return sum(BITS[Fact(word)] for word in dict.fromkeys(given)) or None


def _kinds(given: list[str]) -> tuple[int, ...]:
    kinds = {kind.name.lower(): (int(kind),) for kind in Kind} | {"item": (1, 3, 4)}
    for word in given:
        if word not in kinds:
            raise invalid("type", f"{word!r} is not a type of item", tuple(kinds))
    return tuple(number for word in given for number in kinds[word])


def _page(request: Request, desk: Desk, wanted: Wanted) -> Response:
    found = items.page(desk, wanted, count=flag(request.query_params, "count"))
    part = paging.Slice(wanted.offset, wanted.limit)
    meta = paging.meta(request, part, found.total, found.has_more, cursor=found.cursor, csv=True)
    document = {
        "status": 200,
        "type": "items",
        "item": [views.item(job, row) for job, row in found.rows],
        "meta": meta,
    }
    return json_response(document, headers=paging.link_header(meta))


def _csv(request: Request, desk: Desk, wanted: Wanted, name: str) -> Response:
    rows = items.every_with_losses(desk, wanted)
    return csv_rows.stream(COLUMNS, _cells(rows), name, bom=flag(request.query_params, "bom"))


def _cells(rows: Iterator[tuple[Job, ItemRow, Sequence[LossRow]]]) -> Iterator[tuple[object, ...]]:
    for job, row, lost in rows:
        shown = views.item(job, row)
        yield (
            shown["id"],
            job.id,
            shown["kind"],
            shown["source"]["path"],
            views.shown_path(row.d_path),
            row.s_size,
            shown["status"],
            row.reason,
            row.message,
            row.attempts,
            row.execution_id,
            iso(row.settled_at),
            "; ".join(f"{one.what}: {one.detail}" for one in lost),
            "; ".join(shown["lost"]),
        )


def _audit_cells(row: AuditRow) -> tuple[object, ...]:
    level = words.LEVELS.get(row.level, row.level)
    place = (row.job_id, row.execution_id, row.item_id)
    return (row.id, *place, level, row.event, views.shown_path(row.path), row.message, iso(row.recorded_at))


def _settle(
    request: Request, desk: Desk, caller: Caller, wanted: Wanted, ids: list[int] | None, document: Any
) -> Response:
    query = request.query_params
    chosen = [name for name in ("retry", "ignore") if flag(query, name)]
    if len(chosen) != 1:
        raise invalid("retry", "ask for either retry or ignore", ("retry", "ignore"), code="missing")
    note = document.get("note") if isinstance(document, dict) else None
    if note is not None and not (isinstance(note, str) and len(note) <= 1_000):
        raise invalid("/note", "must be text of at most 1000 characters", code="wrong_type")
    if chosen == ["retry"]:
        changed = items.try_again(desk, wanted, caller, ids=ids)
    else:
        changed = items.ignore(desk, wanted, caller, ids=ids, note=note)
    return json_response({"status": 200, "type": "items", "meta": {"total_count": changed}})


def _audit_filters(request: Request) -> dict[str, Any]:
    query = request.query_params
    levels = listed(query, "level")
    for level in levels:
        if level not in LEVELS:
            raise invalid("level", f"{level!r} is not a level", tuple(LEVELS))
    execution = query.get("execution")
    item = query.get("item")
    return {
        "job_id": query.get("job"),
        "which": execution if execution in ("last", "current") else None,
        "execution_id": None if execution in (None, "last", "current") else whole(query, "execution", 0, most=1 << 62),
        "item_id": None if item is None else _id(item),
        "levels": [LEVELS[level] for level in levels],
    }


def _stats(desk: Desk, jobs: list[str], one: Picture | None = None) -> Response:
    found = reports.totals(desk, jobs)
    by_status = {
        words.ITEM[Status(status)]: {"count": total.count, "bytes": total.bytes}
        for status, total in sorted(found.by_status.items())
    }
    document = {
        "count": sum(total.count for total in found.by_status.values()),
        "bytes": sum(total.bytes for total in found.by_status.values()),
        "by_status": by_status,
        "jobs": found.jobs,
        "executions": found.executions,
    }
    if one is not None:
        reached = "complete" if one.job.closed else "pending" if one.job.stop_policy else "none"
        document["stop_policy"] = reached
        if one.children is not None:
            document["children"] = views.children(one.children)
    return json_response({"status": 200, "type": "stats", "stats": document, "data": document})


def _undone(request: Request, desk: Desk, caller: Caller, execution: str, verb: str) -> Response:
    picture = executions.undo(desk, execution_number(execution), caller, verb=verb)
    shown = views.job(picture, request.app.state.gauge)
    return json_response({"status": 202, "type": "job", "job": shown, "data": shown}, 202)


def _top(counted: Iterable[tuple[str, Counted]], rest: str) -> list[tuple[str, Counted]]:
    """Give the five largest, and what is left as one."""
    pairs = list(counted)
    named = [pair for pair in pairs if pair[0] != rest]
    known = sorted(named, key=lambda pair: (-pair[1].bytes, -pair[1].number, pair[0]))
    left = known[SHOWN:] + [pair for pair in pairs if pair[0] == rest]
    if not left:
        return known
    return [*known[:SHOWN], (rest, Counted(sum(one.number for _, one in left), sum(one.bytes for _, one in left)))]


def _width(request: Request) -> tuple[str, int] | None:
    """Read how much older each class is than the one before, as sent and in days: ``2d``, ``2w``, ``2m``, ``2y``."""
    given = request.query_params.get("age")
    if given is None:
        return None
    number, unit = given[:-1], given[-1:].lower()
    if unit not in DAYS or not (number.isascii() and number.isdigit() and len(number) < 5 and int(number)):
        message = f"{given[:40]!r} is not a number of days, weeks, months or years"
        raise invalid("age", message, ("2d", "2w", "2m", "2y"))
    return unit, int(number) * DAYS[unit]


def _by_age(found: Breakdown, unit: str, days: int) -> list[tuple[str, Counted]]:
    """Give five classes of the same width, and all that is older."""
    classes = [Counted(0, 0)] * (SHOWN + 1)
    for day, one in found.days:
        at = min(day // days, SHOWN)
        classes[at] = Counted(classes[at].number + one.number, classes[at].bytes + one.bytes)
    step = days // DAYS[unit]
    names = [f"from {at * step}{unit}" for at in range(SHOWN)]
    return list(zip((*names, "older"), classes, strict=True))


def _by_depth(found: Breakdown) -> list[tuple[str, Counted]]:
    known, deeper = found.depths[:SHOWN], [one for _, one in found.depths[SHOWN:]]
    rest = Counted(sum(one.number for one in deeper), sum(one.bytes for one in deeper))
    return [*((str(depth), one) for depth, one in known), *([("other", rest)] if deeper else [])]


def _by_category(found: Breakdown) -> list[tuple[str, Counted]]:
    sums: dict[str, Counted] = {}
    for line in found.lines:
        before = sums.get(line.reason, Counted(0, 0))
        sums[line.reason] = Counted(before.number + line.number, before.bytes + line.bytes)
    return _top(sums.items(), "other")


BREAKDOWNS: dict[str, Callable[[Breakdown], list[tuple[str, Counted]]]] = {
    "by_category": _by_category,
    "by_ext": lambda found: _top(found.extensions, "other"),
    "by_content_category": lambda found: _top(found.contents, "other"),
    "by_depth": _by_depth,
    "by_size": lambda found: [(f"from {bound} bytes", one) for bound, one in zip(SIZES, found.sizes, strict=True)],
    "by_age": lambda found: [(f"from {bound} days", one) for bound, one in zip(AGES, found.ages, strict=True)],
}


def _id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise NotFound(f"there is no item {text[:40]!r}")
    return int(text)
