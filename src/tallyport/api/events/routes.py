"""Events in pages, one by one, and as a stream of server-sent events."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response, StreamingResponse

from tallyport.api import paging
from tallyport.api.events import shapes, told
from tallyport.api.events.hub import Full, Hub, Watch
from tallyport.api.times import moment
from tallyport.api.wiring import Called, Desked, Document, flag, json_response, whole, words
from tallyport.control import events, reading
from tallyport.control.refusals import Busy, NotFound, invalid
from tallyport.domain.events import Topic, is_told

router = APIRouter(prefix="/v1", tags=["events"])

STREAM = "text/event-stream"
MOST_ID = (1 << 63) - 1


@router.get("/events", summary="List events; with Accept: text/event-stream, watch all jobs")
async def list_events(request: Request, desk: Desked, caller: Called) -> Response:
    wanted = _wanted(request)
    if STREAM in request.headers.get("accept", ""):
        return await _stream(request, Watch(None, caller.token_id, wanted.topics, _last_seen(request)))
    return await run_in_threadpool(_page, request, desk, wanted)


@router.post("/events", summary="Tell an event to everybody who listens: of any topic but those of jobs")
def tell_event(desk: Desked, caller: Called, document: Document) -> Response:
    return json_response({"data": shapes.event(events.tell(desk, *told.read(document), caller))})


@router.get("/events/{event}", summary="Show an event")
def show_event(desk: Desked, event: str) -> Response:
    return json_response({"data": shapes.event(events.show(desk, _number(event)))})


@router.post("/events/{event}/ack", summary="Note that an event was dealt with")
def acknowledge_event(desk: Desked, caller: Called, event: str) -> Response:
    events.acknowledge(desk, _number(event), caller)
    return json_response({"data": {"success": True}})


@router.get("/jobs/{job}/events", summary="Watch a job: server-sent events, resumed by Last-Event-ID")
async def watch_job(request: Request, desk: Desked, caller: Called, job: str) -> Response:
    await run_in_threadpool(reading.job, desk, job)
    topics = _topics(request)
    accepts = request.headers.get("accept", "*/*")
    if "application/json" in accepts and STREAM not in accepts:
        return await run_in_threadpool(_page, request, desk, _wanted(request)._replace(job_id=job))
    if not any(kind in accepts for kind in (STREAM, "text/*", "*/*")):
        raise HTTPException(406, f"can be had as {STREAM} or application/json")
    return await _stream(request, Watch(job, caller.token_id, topics, _last_seen(request)))


def _page(request: Request, desk: Desked, wanted: events.Wanted) -> Response:
    query = request.query_params
    size = whole(query, "pageSize", whole(query, "limit", 10, least=1, most=paging.MOST), least=1, most=paging.MOST)
    after = whole(query, "after", 0, most=MOST_ID) if "after" in query else None
    cursor = whole(query, "cursor", 0, most=MOST_ID) if "cursor" in query else None
    number = whole(query, "pageNumber", 1, least=1, most=1_000_000)
    if "pageNumber" in query and (after is not None or cursor is not None):
        raise invalid("pageNumber", "does not go with after or cursor", code="not_together")
    part = paging.Slice((number - 1) * size, size)
    hidden = _hidden(request)
    if after is not None:
        found, has_more = events.following(desk, wanted, after=after, limit=size, hidden=hidden)
    else:
        found, has_more = events.newest(desk, wanted, part, before=cursor, hidden=hidden)
    shown = [shapes.event(one) for one in found]
    document: dict[str, Any] = {"data": shown}
    if after is None and cursor is None:
        document["pagination"] = paging.pagination(part, events.count(desk, wanted, hidden=hidden))
    name = "after" if after is not None else "cursor"
    following = found[-1].id if found else after
    meta: dict[str, Any] = {"has_more": has_more, "links": {}}
    if following is not None:
        meta["next_cursor"] = str(following)
    if has_more:
        meta["links"]["next"] = {"href": paging.href(request, {name: following}, without=("pageNumber",))}
    return json_response({**document, "meta": meta}, headers=paging.link_header(meta))


async def _stream(request: Request, watch: Watch) -> Response:
    hub: Hub = request.app.state.hub
    try:
        content = await hub.open(watch)
    except Full as error:
        raise Busy("too many watch already, or the server is about to stop: come back in a moment") from error
    # A proxy that gathers answers would keep the events to itself.
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(content, media_type=STREAM, headers=headers)


def _wanted(request: Request) -> events.Wanted:
    query = request.query_params
    domain = query.get("domain")
    return events.Wanted(
        job_id=query.get("jobId"),
        topics=_topics(request),
        domain=None if domain == shapes.DOMAIN else domain,
        of_jobs=domain == shapes.DOMAIN or None,
        environment=query.get("environmentId"),
        space=query.get("spaceId"),
        since=moment(query["since"], "since") if "since" in query else None,
        acknowledged=flag(query, "includeAcknowledged"),
    )


def _topics(request: Request) -> frozenset[str]:
    found = frozenset(words(request.query_params, "topic"))
    for word in found:
        if word not in set(Topic) and not is_told(word):
            raise invalid("topic", f"{word[:80]!r} is not a topic", tuple(Topic))
    return found


def _hidden(request: Request) -> frozenset[str]:
    found: frozenset[str] = request.app.state.hidden_topics
    return found


def _last_seen(request: Request) -> int | None:
    """Read where to go on: what a browser sends by itself, or ``after`` for a first connection."""
    given = request.headers.get("last-event-id")
    if given is not None:
        return whole({"Last-Event-ID": given}, "Last-Event-ID", 0, most=MOST_ID)
    return whole(request.query_params, "after", 0, most=MOST_ID) if "after" in request.query_params else None


def _number(event: str) -> int:
    if not (event.isascii() and event.isdigit() and len(event) < 19):
        raise NotFound(f"there is no event {event[:80]!r}")
    return int(event)
