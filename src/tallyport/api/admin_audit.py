"""The record of what people did to the installation."""

import json
from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api import csv_rows, paging
from tallyport.api.events.routes import MOST_ID
from tallyport.api.times import iso, moment, present
from tallyport.api.wiring import Desked, flag, json_response, text, whole
from tallyport.control import record
from tallyport.store.admin_audit import Line

router = APIRouter(prefix="/v1", tags=["audit"])

COLUMNS = ("id", "time", "actor", "user", "token", "address", "request", "action", "object", "name", "changes")


@router.get("/audit", summary="List what people did, the newest first")
def list_admin_audit(request: Request, desk: Desked) -> Response:
    limit = whole(request.query_params, "limit", 100, least=1, most=paging.MOST)
    cursor = whole(request.query_params, "cursor", 0, most=MOST_ID) if "cursor" in request.query_params else None
    found, has_more = record.page(desk, _wanted(request), before=cursor, limit=limit)
    shown = [line(one) for one in found]
    meta: dict[str, Any] = {"limit": limit, "has_more": has_more, "links": {}}
    if has_more:
        meta["next_cursor"] = str(found[-1].id)
        meta["links"]["next"] = {"href": paging.href(request, {"cursor": found[-1].id})}
    meta["links"]["download"] = {"href": paging.href(request, {}, path="/v1/audit.csv", without=("cursor", "limit"))}
    return json_response(
        {"status": 200, "type": "audit", "audit": shown, "meta": meta, "data": shown}, headers=paging.link_header(meta)
    )


@router.get("/audit.csv", summary="What people did, as CSV, the oldest first")
def admin_audit_csv(request: Request, desk: Desked) -> Response:
    wanted = _wanted(request)

    def cells() -> Iterator[tuple[object, ...]]:
        for one in record.every(desk, wanted):
            who = (one.actor, one.user_id, one.token_id, one.address, one.request_id)
            yield (one.id, iso(one.recorded_at), *who, one.action, one.object, one.name, json.dumps(one.changes))

    return csv_rows.stream(COLUMNS, cells(), "audit.csv", bom=flag(request.query_params, "bom"))


@router.get("/audit/verify", summary="Say whether a line of the record was changed or taken away")
def verify_admin_audit(desk: Desked) -> Response:
    broken = record.first_broken(desk)
    return json_response({"data": present({"intact": broken is None, "firstBroken": broken and str(broken)})})


def line(value: Line) -> dict[str, Any]:
    """Show one line."""
    return present(
        {
            "id": str(value.id),
            "recordedAt": iso(value.recorded_at),
            "actor": value.actor,
            "userId": value.user_id,
            "tokenId": value.token_id,
            "address": value.address,
            "requestId": value.request_id,
            "action": value.action,
            "object": value.object,
            "name": value.name,
            "changes": dict(value.changes),
        }
    )


def _wanted(request: Request) -> record.Wanted:
    query = request.query_params
    return record.Wanted(
        actor=text(query, "actor"),
        action=text(query, "action"),
        object=text(query, "object"),
        since=moment(query["since"], "since") if "since" in query else None,
        until=moment(query["until"], "until") if "until" in query else None,
    )
