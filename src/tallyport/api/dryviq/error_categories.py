"""Error categories: what failures are alike, how often they are tried, what they lead to; groups of files."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api.wiring import Called, Desked, Document, json_response, text
from tallyport.control import error_categories
from tallyport.control.refusals import NotFound, invalid
from tallyport.domain.categories import BUILT_IN_PRIORITY, Category
from tallyport.domain.filters import GROUPS

router = APIRouter(prefix="/v1/transfers", tags=["items"])
filters_router = APIRouter(prefix="/v1/filters", tags=["jobs"])


@filters_router.get("/categories", summary="List the predefined groups of files that filters can name")
def list_filter_categories() -> Response:
    shown = [
        {"id": name, "name": name, "extensions": sorted(group.endings), "patterns": group.patterns}
        for name, group in GROUPS.items()
    ]
    return json_response({"status": 200, "type": "filter_categories", "filter_categories": shown, "data": shown})


@router.get("/categories", summary="List error categories")
def list_error_categories(request: Request, desk: Desked) -> Response:
    priority = request.query_params.get("priority")
    if priority not in (None, "all"):
        raise invalid("priority", f"{priority!r} is not all", ("all",))
    found = error_categories.listed(desk, text(request.query_params, "job"), every=priority == "all")
    shown = [_view(category) for category in found]
    return json_response({"status": 200, "type": "audit_categories", "audit_categories": shown, "data": shown})


@router.post("/categories", status_code=201, summary="Create an error category")
def create_error_category(desk: Desked, caller: Called, document: Document) -> Response:
    shown = _view(error_categories.create(desk, document, caller))
    return json_response({"status": 201, "type": "audit_category", "audit_category": shown, "data": shown}, 201)


@router.delete("/categories/{category}", status_code=204, summary="Delete an error category")
def delete_error_category(desk: Desked, caller: Called, category: str) -> Response:
    if not (category.isascii() and category.isdigit() and len(category) < 19):
        raise NotFound(f"there is no error category {category[:40]!r}")
    error_categories.delete(desk, int(category), caller)
    return Response(status_code=204)


def _view(category: Category) -> dict[str, Any]:
    return {
        "id": category.id,
        "name": category.name,
        "description": category.description,
        "filter": {"rules": [dict(rule) for rule in category.rules]},
        "action": category.action.value,
        "max_retry": category.max_retry,
        "level": category.level,
        "priority": category.priority,
        "built_in": category.priority == BUILT_IN_PRIORITY and category.job_id is None and category.id > 5_000,
        "job": category.job_id,
    }
