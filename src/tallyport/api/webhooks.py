"""Webhooks and their deliveries."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api import paging
from tallyport.api.etags import expected_version, is_known
from tallyport.api.events.routes import MOST_ID
from tallyport.api.times import iso, present
from tallyport.api.wiring import Called, Desked, Document, json_response, whole
from tallyport.control import webhooks
from tallyport.control.posting import Post
from tallyport.control.refusals import Invalid, NotFound, invalid
from tallyport.control.webhooks import Change, Made
from tallyport.domain.documents import Reader
from tallyport.domain.events import Topic, is_told
from tallyport.store.webhooks import Attempt, Delivery, Webhook

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

NO_STORE = {"Cache-Control": "no-store"}
STATES = ("pending", "delivered", "dead")
KEYS = ("name", "url", "topics", "job", "disabled")


@router.get("", summary="List webhooks")
def list_webhooks(request: Request, desk: Desked) -> Response:
    part = paging.slice_of(request)
    found, total = webhooks.page(desk, offset=part.offset, limit=part.limit)
    shown = [webhook(one) for one in found]
    meta = paging.meta(request, part, total, part.offset + len(found) < total)
    document = {"status": 200, "type": "webhooks", "webhooks": shown, "meta": meta, "data": shown}
    return json_response(document, headers=paging.link_header(meta))


@router.post("", status_code=201, summary="Make a webhook; its signing secret is in this answer and nowhere else")
def create_webhook(desk: Desked, caller: Called, document: Document) -> Response:
    reader = Reader()
    given = reader.members(document, "", ("url", "name", "topics", "job", "secret"))
    url = reader.text(given.get("url"), "/url")
    secret = reader.text(given["secret"], "/secret") if "secret" in given else None
    read = _read(reader, given)
    if reader.problems:
        raise Invalid(reader.problems)
    made = webhooks.create(
        desk,
        caller,
        url=str(url),
        name=read.name,
        topics=read.topics or (),
        job_id=read.job_id,
        secret=secret,
    )
    return _made(made, 201, {"Location": f"/v1/webhooks/{made.webhook.id}"})


@router.get("/{webhook}", summary="Show a webhook, with its deliveries counted")
def show_webhook(request: Request, desk: Desked, webhook: str) -> Response:
    found, counts = webhooks.show(desk, webhook)
    if "if-none-match" in request.headers and is_known(request, found.version):
        return Response(status_code=304, headers={"ETag": f'"{found.version}"'})
    return _answer(found, counts)


@router.patch("/{webhook}", summary="Change a webhook, switch it off or on")
def change_webhook(request: Request, desk: Desked, webhook: str, document: Document) -> Response:
    reader = Reader()
    given = reader.members(document, "", KEYS)
    read = _read(reader, given)
    clears = isinstance(document, dict) and "job" in document and document["job"] is None
    if reader.problems:
        raise Invalid(reader.problems)
    wanted = Change(
        name=read.name,
        url=read.url,
        topics=read.topics,
        job_id=read.job_id,
        clears_job=clears,
        disabled=read.disabled,
    )
    return _answer(webhooks.change(desk, webhook, wanted, version=expected_version(request, None)))


@router.delete("/{webhook}", summary="Delete a webhook; what is pending for it is given up")
def delete_webhook(request: Request, desk: Desked, webhook: str) -> Response:
    expected_version(request, webhooks.show(desk, webhook)[0].version)
    webhooks.delete(desk, webhook)
    return json_response({"data": {"success": True}})


@router.post("/{webhook}/test", summary="Send a message that tells nothing, and say what came back")
def test_webhook(request: Request, desk: Desked, webhook: str) -> Response:
    post: Post = request.app.state.post
    outcome = webhooks.test(desk, webhook, post)
    is_good = outcome.status is not None and 200 <= outcome.status < 300
    shown = {"success": is_good, "milliseconds": outcome.milliseconds, "answer": outcome.answer}
    return json_response({"data": shown if outcome.status is None else {**shown, "status": outcome.status}})


@router.post("/{webhook}/rotate", summary="Give a webhook a new signing secret; the old one signs for a day, too")
def rotate_webhook(desk: Desked, webhook: str) -> Response:
    return _made(webhooks.rotate(desk, webhook), 200)


@router.get("/{webhook}/deliveries", summary="List deliveries, the newest first")
def list_deliveries(request: Request, desk: Desked, webhook: str) -> Response:
    query = request.query_params
    state = query.get("state")
    if state is not None and state not in STATES:
        raise invalid("state", f"{state[:80]!r} is not a state of a delivery", STATES)
    limit = whole(query, "limit", 100, least=1, most=paging.MOST)
    before = whole(query, "cursor", 0, most=MOST_ID) if "cursor" in query else None
    found, has_more = webhooks.deliveries(desk, webhook, state=state, before=before, limit=limit)
    meta: dict[str, Any] = {"limit": limit, "has_more": has_more, "links": {}}
    if has_more:
        meta["next_cursor"] = str(found[-1].id)
        meta["links"]["next"] = {"href": paging.href(request, {"cursor": found[-1].id})}
    return json_response({"data": [delivery(one) for one in found], "meta": meta}, headers=paging.link_header(meta))


@router.post("/{webhook}/deliveries/retry", summary="Have all dead letters of a webhook tried again")
def retry_deliveries(desk: Desked, webhook: str) -> Response:
    return json_response({"data": {"success": True, "retried": webhooks.retry(desk, webhook, None)}})


@router.get("/{webhook}/deliveries/{delivery}", summary="Show a delivery: its message and every attempt")
def show_delivery(desk: Desked, webhook: str, delivery: str) -> Response:
    found, attempts = webhooks.delivery(desk, webhook, _number(delivery))
    return json_response({"data": {**_delivery(found), "body": found.body, "log": [_attempt(one) for one in attempts]}})


@router.post("/{webhook}/deliveries/{delivery}/retry", summary="Have a delivery tried again")
def retry_delivery(desk: Desked, webhook: str, delivery: str) -> Response:
    return json_response({"data": {"success": True, "retried": webhooks.retry(desk, webhook, _number(delivery))}})


def webhook(value: Webhook, counts: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Show a webhook: everything but its secret."""
    return present(
        {
            "id": value.id,
            "type": "webhook",
            "name": value.name,
            "url": value.url,
            "topics": list(value.topics),
            "job": value.job_id,
            "disabled": value.disabled is not None,
            "disabledReason": value.disabled,
            "deliveries": None if counts is None else {state: counts.get(state, 0) for state in STATES},
            "createdAt": iso(value.created_at),
            "createdBy": value.created_by,
            "updatedAt": iso(value.modified_at),
        }
    )


def delivery(value: Delivery) -> dict[str, Any]:
    """Show a delivery without its message."""
    return present(
        {
            "id": str(value.id),
            "type": "delivery",
            "eventId": str(value.event_id),
            "topic": value.topic,
            "state": value.state,
            "attempts": value.attempts,
            "createdAt": iso(value.created_at),
            "nextAttemptAt": iso(value.next_at),
            "endedAt": iso(value.ended_at),
        }
    )


_delivery = delivery


def _attempt(value: Attempt) -> dict[str, Any]:
    return present(
        {
            "number": value.number,
            "attemptedAt": iso(value.attempted_at),
            "milliseconds": value.milliseconds,
            "status": value.status,
            "answer": value.answer,
        }
    )


def _read(reader: Reader, given: Mapping[str, object]) -> Change:
    name = reader.text(given["name"], "/name") if "name" in given else None
    if name is not None and len(name) > 200:
        reader.wrong("/name", "out_of_range", "may have at most 200 characters")
    url = reader.text(given["url"], "/url") if "url" in given else None
    if url is not None and len(url) > 2_000:
        reader.wrong("/url", "out_of_range", "may have at most 2000 characters")
    topics: tuple[str, ...] | None = None
    if "topics" in given:
        known = [topic.value for topic in Topic]
        listed = [
            value if isinstance(value, str) and is_told(value) else reader.choice(value, path, known)
            for path, value in reader.items(given["topics"], "/topics")
        ]
        topics = tuple(dict.fromkeys(one for one in listed if one is not None))
    job_id = reader.text(given["job"], "/job") if "job" in given else None
    disabled = reader.flag(given["disabled"], "/disabled") if "disabled" in given else None
    return Change(name=name, url=url, topics=topics, job_id=job_id, disabled=disabled)


def _answer(value: Webhook, counts: Mapping[str, int] | None = None) -> Response:
    shown = webhook(value, counts)
    document = {"status": 200, "type": "webhook", "webhook": shown, "data": shown}
    return json_response(document, headers={"ETag": f'"{value.version}"'})


def _made(made: Made, status: int, headers: Mapping[str, str] | None = None) -> Response:
    shown = {**webhook(made.webhook), "secret": made.secret}
    document = {"status": status, "type": "webhook", "webhook": shown, "data": shown}
    return json_response(document, status, {**NO_STORE, "ETag": f'"{made.webhook.version}"', **(headers or {})})


def _number(delivery: str) -> int:
    if not (delivery.isascii() and delivery.isdigit() and len(delivery) < 19):
        raise NotFound(f"there is no delivery {delivery[:80]!r}")
    return int(delivery)
