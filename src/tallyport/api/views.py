"""Filters of lists that a person keeps."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api.times import iso
from tallyport.api.wiring import Called, Desked, Document, json_response
from tallyport.control import views
from tallyport.control.refusals import Invalid
from tallyport.domain.documents import Reader
from tallyport.store.views import View

router = APIRouter(prefix="/v1/views", tags=["views"])


@router.get("", summary="List one's own views")
def list_views(request: Request, desk: Desked, caller: Called) -> Response:
    shown = [view(one) for one in views.of_caller(desk, caller, request.query_params.get("list"))]
    return json_response({"status": 200, "type": "views", "views": shown, "data": shown})


@router.post("", status_code=201, summary="Keep a filter under a name; one of the same name is replaced")
def keep_view(desk: Desked, caller: Called, document: Document) -> Response:
    reader = Reader()
    given = reader.members(document, "", ("list", "name", "query"))
    which = reader.choice(given.get("list"), "/list", list(views.LISTS))
    name = reader.text(given.get("name"), "/name")
    query = given.get("query", "")
    if not isinstance(query, str):
        reader.wrong_type(query, "/query", "text")
    if which is None or name is None or reader.problems:
        raise Invalid(reader.problems)
    shown = view(views.keep(desk, caller, which, name, str(query)))
    return json_response({"status": 201, "type": "view", "view": shown, "data": shown}, 201)


@router.delete("/{view}", summary="Forget a view", name="drop_view")
def drop_view(desk: Desked, caller: Called, view: str) -> Response:
    views.drop(desk, caller, view)
    return json_response({"data": {"success": True}})


def view(value: View) -> dict[str, Any]:
    """Show a view."""
    created = iso(value.created_at)
    return {"id": value.id, "list": value.list, "name": value.name, "query": value.query, "createdAt": created}
