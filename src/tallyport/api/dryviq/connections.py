"""Connections and platforms."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api import paging
from tallyport.api.dryviq import views
from tallyport.api.etags import expected_version, is_known
from tallyport.api.wiring import Called, Desked, Document, flag, json_response, text, whole
from tallyport.connectors import registry
from tallyport.control import connections, measuring, probing
from tallyport.control.desk import Right
from tallyport.control.refusals import Invalid, NotFound
from tallyport.control.traffic import shared
from tallyport.domain import labels, paths
from tallyport.domain.connections import Connection
from tallyport.domain.documents import Reader
from tallyport.domain.errors import TallyportError
from tallyport.domain.seats import MOST

router = APIRouter(prefix="/v1/connections", tags=["connections"])


@router.get("", summary="List connections")
def list_connections(request: Request, desk: Desked) -> Response:
    part = paging.slice_of(request)
    query = request.query_params
    found, total = connections.page(
        desk, platform=query.get("platform"), text=text(query, "q"), offset=part.offset, limit=part.limit
    )
    shown = [views.connection(one) for one in found]
    document = {
        "status": 200,
        "type": "connections",
        "connections": shown,
        "meta": paging.meta(request, part, total, part.offset + len(found) < total),
        "data": shown,
        "pagination": paging.pagination(part, total),
    }
    return json_response(document)


@router.post("", status_code=201, summary="Create a connection")
def create_connection(request: Request, desk: Desked, caller: Called, document: Document) -> Response:
    draft = _draft(document, need_platform=True)
    new = connections.create(desk, draft, caller, make=flag(request.query_params, "create"))
    return _answer(new, 201, {"Location": f"/v1/connections/{new.id}"})


@router.get("/platforms", summary="List platforms")
def list_platforms() -> Response:
    shown = [_platform(name) for name in sorted(registry.platforms())]
    return json_response({"status": 200, "type": "platforms", "platforms": shown, "data": shown})


@router.get("/platforms/{platform}", summary="Show a platform")
def show_platform(platform: str) -> Response:
    shown = _known_platform(platform)
    return json_response({"status": 200, "type": "platform", "platform": shown, "data": shown})


@router.get("/platforms/{platform}/new", summary="Say what a new connection needs")
def describe_platform(platform: str) -> Response:
    form = _form(f"/v1/connections?platform={platform}", _known_platform(platform), {})
    return json_response({"status": 200, "type": "connection_form", "connection_form": form, "data": form})


@router.get("/{connection}/edit", summary="Say what a connection needs, and what it has: never a secret")
def describe_connection(desk: Desked, connection: str) -> Response:
    found = connections.show(desk, connection)
    form = _form(f"/v1/connections/{found.id}", _known_platform(found.platform), found.settings)
    return json_response({"status": 200, "type": "connection_form", "connection_form": form, "data": form})


def _form(target: str, platform: dict[str, Any], values: Mapping[str, object]) -> dict[str, Any]:
    return {
        "method": "prompt",
        "target": target,
        "attributes": {
            field["name"]: {
                "type": field["type"],
                "caption": field["name"],
                "hint": field["help"],
                "help_text": field["help"],
                "required": field["required"],
                "value": None if field["secret"] else values.get(field["name"], field["default"]),
                "options": field["allowed"],
            }
            for field in platform["settings"]
        },
    }


@router.get("/{connection}", summary="Show a connection")
def show_connection(request: Request, desk: Desked, connection: str) -> Response:
    found = connections.show(desk, connection)
    if is_known(request, found.version):
        return Response(status_code=304, headers={"ETag": f'"{found.version}"'})
    return _answer(found)


@router.get("/{connection}/traffic", summary="Say how a connection is worked: how many calls at once, by which worker")
def show_traffic(desk: Desked, connection: str) -> Response:
    shown = views.traffic(shared(desk, connections.show(desk, connection)))
    return json_response({"status": 200, "type": "traffic", "traffic": shown, "data": shown})


@router.patch("/{connection}", summary="Change a connection")
def change_connection(request: Request, desk: Desked, caller: Called, connection: str, document: Document) -> Response:
    draft = _draft(document, need_platform=False)
    changed = connections.change(
        desk,
        connection,
        caller,
        name=draft.name,
        settings=draft.settings or None,
        labels=draft.labels,
        max_transfers=draft.max_transfers,
        version=expected_version(request, None),
    )
    return _answer(changed)


@router.delete("/{connection}", summary="Delete a connection that no job uses")
def delete_connection(request: Request, desk: Desked, caller: Called, connection: str) -> Response:
    expected_version(request, connections.show(desk, connection).version)
    connections.delete(desk, connection, caller)
    shown = {"id": connection}
    return json_response({"status": 200, "type": "connection", "connection": shown, "data": {"success": True, **shown}})


@router.get("/{connection}/items", summary="List what stands in a container of a connection")
def browse_connection(request: Request, desk: Desked, caller: Called, connection: str) -> Response:
    limit = whole(request.query_params, "limit", 1_000, least=1, most=10_000)
    found = connections.browse(desk, connection, request.query_params.get("path", "/"), caller, limit=limit)
    shown = [views.entry(one, found.path) for one in found.entries]
    meta = {"offset": 0, "limit": limit, "has_more": found.has_more}
    return json_response({"status": 200, "type": "items", "item": shown, "meta": meta})


@router.post("/{connection}/items", status_code=201, summary="Make a container in a connection")
def make_container(desk: Desked, caller: Called, connection: str, document: Document) -> Response:
    reader = Reader()
    given = reader.members(document, "", ("path",))
    path = reader.text(given["path"], "/path") if "path" in given else None
    if path is None and not reader.problems:
        reader.wrong("/path", "missing", "names the container to make, from the connection's root")
    if path is None or reader.problems:
        raise Invalid(reader.problems)
    made = probing.make_container(desk, connection, path, caller)
    shown = {"path": f"/{paths.display(made)}"}
    return json_response({"status": 201, "type": "item", "item": shown, "data": shown}, 201)


@router.post("/{connection}/probe", summary="Measure what a connection really keeps, on canaries that are removed")
def probe_connection(request: Request, desk: Desked, caller: Called, connection: str) -> Response:
    """Break each promise that a copy rests on once on purpose; the answer corrects what the platform declares."""
    found = measuring.measure(desk, connection, request.query_params.get("path", "/"), caller)
    shown = {**views.connection(found.connection), "measured": found.facts}
    return json_response({"status": 200, "type": "connection", "connection": shown, "data": shown})


@router.post("/{connection}/test", summary="Try a connection, step by step")
def test_connection(request: Request, desk: Desked, caller: Called, connection: str) -> Response:
    write = flag(request.query_params, "write")
    if write:
        caller.require(Right.MANAGE)
    found = probing.run(desk, connection, caller, write=write)
    shown = {
        "success": found.is_good,
        "location": found.location,
        "steps": [
            {"name": step.name, "success": step.is_good, "message": step.said, "milliseconds": step.milliseconds}
            for step in found.steps
        ],
        "limits": found.limits,
    }
    return json_response({"status": 200, "type": "connection_test", "connection_test": shown, "data": shown})


def _answer(value: Connection, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    shown = views.connection(value)
    document = {"status": status, "type": "connection", "connection": shown, "data": shown}
    return json_response(document, status, {"ETag": f'"{value.version}"', **(headers or {})})


def _draft(document: object, *, need_platform: bool) -> connections.Draft:
    reader = Reader()
    given = reader.members(document, "", ("name", "platform", "auth", "labels", "max_transfers"))
    platform = given.get("platform", {})
    platform_id = platform.get("id") if isinstance(platform, dict) else platform
    if need_platform or "platform" in given:
        if platform_id is None:
            known = sorted(registry.platforms())
            reader.wrong("/platform/id", "missing", "names the kind of storage, for instance fs", known)
        elif not isinstance(platform_id, str):
            reader.wrong_type(platform_id, "/platform/id", "text")
        elif not need_platform:
            reader.wrong("/platform", "fixed", "the platform of a connection cannot be changed: make a new one")
    auth = given.get("auth", {})
    if not isinstance(auth, dict):
        reader.wrong_type(auth, "/auth", "an object")
    name = reader.text(given["name"], "/name") if "name" in given else None
    chosen = _labels(reader, given["labels"]) if "labels" in given else None
    most = reader.whole(given["max_transfers"], "/max_transfers", most=MOST) if "max_transfers" in given else None
    if isinstance(document, dict) and document.get("max_transfers", 1) is None:
        most = 0  # null takes the cap away
    if reader.problems:
        raise Invalid(reader.problems)
    assert isinstance(auth, dict)
    return connections.Draft(name, str(platform_id), auth, chosen, most)


def _labels(reader: Reader, given: object) -> tuple[str, ...] | None:
    chosen = reader.texts(given, "/labels")
    for index, label in enumerate(chosen or ()):
        if (problem := labels.problem(label)) is not None:
            reader.wrong(f"/labels/{index}", "unknown_value", problem)
    if chosen is not None and len(set(chosen)) > labels.MOST:
        reader.wrong("/labels", "out_of_range", f"at most {labels.MOST} labels, not {len(set(chosen))}")
    return None if chosen is None else tuple(sorted(set(chosen)))


def _known_platform(platform: str) -> dict[str, Any]:
    try:
        return _platform(registry.platform(platform).id)
    except TallyportError as error:
        raise NotFound(error.message) from error


def _platform(platform_id: str) -> dict[str, Any]:
    known = registry.platforms()[platform_id]
    return {
        "id": known.id,
        "name": known.name,
        "aliases": list(known.aliases),
        "settings": [
            {
                "name": field.name,
                "type": field.type,
                "required": field.required,
                "help": field.help,
                "default": field.default,
                "allowed": None if field.allowed is None else list(field.allowed),
                "secret": field.secret,
            }
            for field in known.settings_fields()
        ],
    }
