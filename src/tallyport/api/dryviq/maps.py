"""Account maps and group maps, and who became whom in a job."""

import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from tallyport.api import paging
from tallyport.api.etags import expected_version, is_known
from tallyport.api.times import present, seconds
from tallyport.api.uploads import Upload
from tallyport.api.wiring import Called, Desked, Document, flag, json_response, text
from tallyport.api.wiring import words as listed
from tallyport.control import maps
from tallyport.control.maps import MapPicture
from tallyport.control.refusals import invalid
from tallyport.domain import map_csv
from tallyport.domain.map_documents import principal_document
from tallyport.domain.maps import How, Pair
from tallyport.store.maps import Exclusion
from tallyport.store.security_map import SecurityRow

router = APIRouter(tags=["maps"])


def _routes(kind: str) -> None:
    """Declare the routes of account maps, or those of group maps: they are the same."""
    word, plural = kind.removesuffix("_map"), f"{kind}s"
    base = f"/v1/{plural}"

    def list_maps(request: Request, desk: Desked) -> Response:
        part = paging.slice_of(request)
        found, total = maps.page(desk, kind, text=text(request.query_params, "q"), offset=part.offset, limit=part.limit)
        meta = paging.meta(request, part, total, part.offset + len(found) < total)
        shown = [_map(one) for one in found]
        document = {"status": 200, "type": plural, plural: shown, "meta": meta}
        return json_response(document, headers=paging.link_header(meta))

    def create_map(desk: Desked, caller: Called, document: Document) -> Response:
        made = maps.create(desk, kind, document, caller)
        return _answer(made, 201, {"Location": f"{base}/{made.record.id}"})

    def show_map(request: Request, desk: Desked, map_id: str) -> Response:
        found = maps.show(desk, kind, map_id)
        if is_known(request, found.record.version):
            return Response(status_code=304, headers={"ETag": f'"{found.record.version}"'})
        return _answer(found)

    def change_map(request: Request, desk: Desked, caller: Called, map_id: str, document: Document) -> Response:
        return _answer(maps.change(desk, kind, map_id, document, caller, version=expected_version(request, None)))

    def delete_map(request: Request, desk: Desked, map_id: str) -> Response:
        expected_version(request, maps.show(desk, kind, map_id).record.version)
        maps.delete(desk, kind, map_id)
        shown = {"id": map_id}
        return json_response({"status": 200, "type": kind, kind: shown})

    def list_exceptions(request: Request, desk: Desked, map_id: str) -> Response:
        part = paging.slice_of(request)
        found, total = maps.exceptions(desk, kind, map_id, offset=part.offset, limit=part.limit)
        meta = paging.meta(request, part, total, part.offset + len(found) < total, csv=True)
        document = {"status": 200, "type": f"{kind}_exceptions", "item": [_pair(one) for one in found], "meta": meta}
        return json_response(document, headers=paging.link_header(meta))

    def exceptions_csv(desk: Desked, map_id: str) -> Response:
        maps.show(desk, kind, map_id)  # a refusal must come before the status is sent
        return _csv(map_csv.write_pairs(maps.every_exception(desk, kind, map_id)), f"{kind}-exceptions.csv")

    def add_exceptions(request: Request, desk: Desked, map_id: str, upload: Upload) -> Response:
        if flag(request.query_params, "check"):
            found = maps.preview_exceptions(desk, kind, map_id, upload.content)
            shown = [_pair(one) for one in found[:100]]
            meta = {"total_count": len(found), "has_more": len(found) > 100}
            return json_response({"status": 200, "type": f"{kind}_exceptions", "item": shown, "meta": meta})
        if upload.is_csv:
            append = "append" not in request.query_params or flag(request.query_params, "append")
            count = maps.import_exceptions(desk, kind, map_id, upload.content, append=append)
        else:
            count = maps.put_exceptions(desk, kind, map_id, upload.document())
        return _counted(f"{kind}_exceptions", count)

    def try_map(desk: Desked, map_id: str, document: Document) -> Response:
        found = maps.trial(desk, kind, map_id, document)
        became = None if found.principal is None else principal_document(found.principal)
        shown = {"resolution": found.how.value, "destination": became, "message": found.message}
        return json_response({"status": 200, "type": f"{kind}_trial", "data": shown})

    def remove_exceptions(desk: Desked, map_id: str, document: Document) -> Response:
        return _counted(f"{kind}_exceptions", maps.drop_exceptions(desk, kind, map_id, document))

    def list_exclusions(desk: Desked, map_id: str, side: str | None = None) -> Response:
        shown = [{"side": one.side, **_excluded(one)} for one in maps.exclusions(desk, kind, map_id, side)]
        return json_response({"status": 200, "type": f"{kind}_exclusions", "item": shown})

    def exclusions_csv(desk: Desked, map_id: str, side: str) -> Response:
        found = maps.exclusions(desk, kind, map_id, side)
        return _csv(map_csv.write_exclusions(one.principal for one in found), f"{kind}-exclusions-{side}.csv")

    def add_exclusions(request: Request, desk: Desked, map_id: str, side: str, upload: Upload) -> Response:
        if upload.is_csv:
            append = "append" not in request.query_params or flag(request.query_params, "append")
            count = maps.import_exclusions(desk, kind, map_id, side, upload.content, append=append)
        else:
            count = maps.put_exclusions(desk, kind, map_id, side, upload.document())
        return _counted(f"{kind}_exclusions", count)

    def remove_exclusions(desk: Desked, map_id: str, side: str, document: Document) -> Response:
        return _counted(f"{kind}_exclusions", maps.put_exclusions(desk, kind, map_id, side, document, drop=True))

    one, pairs, out = f"{base}/{{map_id}}", f"{base}/{{map_id}}/exceptions", f"{base}/{{map_id}}/exclusions"
    for method, path, act, summary, status in (
        ("GET", base, list_maps, f"List {word} maps", 200),
        ("POST", base, create_map, f"Create {_a(word)} map", 201),
        ("GET", one, show_map, f"Show {_a(word)} map", 200),
        ("PATCH", one, change_map, f"Change {_a(word)} map", 200),
        ("DELETE", one, delete_map, f"Delete {_a(word)} map that no job uses", 200),
        ("POST", f"{one}/try", try_map, f"Say whom one source principal becomes by {_a(word)} map alone", 200),
        ("GET", pairs, list_exceptions, f"List the explicit pairs of {_a(word)} map", 200),
        ("GET", f"{pairs}.csv", exceptions_csv, f"The explicit pairs of {_a(word)} map as CSV", 200),
        ("POST", pairs, add_exceptions, f"Add explicit pairs to {_a(word)} map, as JSON or as a CSV file", 200),
        ("DELETE", pairs, remove_exceptions, f"Remove explicit pairs from {_a(word)} map", 200),
        ("GET", out, list_exclusions, f"List whom {_a(word)} map excludes", 200),
        ("GET", f"{out}/{{side}}.csv", exclusions_csv, f"Whom {_a(word)} map excludes at one side, as CSV", 200),
        ("GET", f"{out}/{{side}}", list_exclusions, f"List whom {_a(word)} map excludes at one side", 200),
        ("POST", f"{out}/{{side}}", add_exclusions, f"Exclude more at one side of {_a(word)} map", 200),
        ("DELETE", f"{out}/{{side}}", remove_exclusions, f"Exclude fewer at one side of {_a(word)} map", 200),
    ):
        name = act.__name__.replace("map", kind) if "map" in act.__name__ else f"{act.__name__}_of_{kind}"
        if path.endswith("{side}") and method == "GET":
            name += "_at_side"
        router.add_api_route(path, act, methods=[method], summary=summary, status_code=status, name=name)


@router.get("/v1/transfers/{job}/security_map", tags=["items"], summary="Say who became whom in a job")
def security_map(request: Request, desk: Desked, job: str) -> Response:
    query = request.query_params
    part = paging.slice_of(request)
    known = [how.value for how in How]
    wanted = listed(query, "resolution")
    for word in wanted:
        if word not in known:
            raise invalid("resolution", f"{word!r} is not a resolution", known)
    found, total = maps.resolutions(desk, job, words=wanted, offset=part.offset, limit=part.limit)
    meta = paging.meta(request, part, total, part.offset + len(found) < total)
    shown = [_resolution(one) for one in found]
    document = {"status": 200, "type": "security_maps", "item": shown, "security_map": shown, "meta": meta}
    return json_response(document, headers=paging.link_header(meta))


def _a(word: str) -> str:
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def _map(picture: MapPicture) -> dict[str, Any]:
    record = picture.record
    ends: dict[str, dict[str, Any]] = {}
    for side, connection in zip(maps.SIDES, (record.source_connection, record.destination_connection), strict=True):
        kept = record.document.get(side)
        ends[side] = dict(kept) if isinstance(kept, dict) else {}
        if connection is not None:
            ends[side]["connection"] = {"id": connection}
        ends[side]["exclusions"] = [_excluded(one) for one in picture.exclusions if one.side == side]
    return present(
        {
            "id": record.id,
            "name": record.name,
            "type": record.kind,
            **ends,
            "map_by": record.document.get("map_by"),
            "unmapped_policy": record.document.get("unmapped_policy"),
            "exceptions": {"total_count": picture.exceptions},
            "version": record.version,
            "created_on": seconds(record.created_at),
            "created_by": record.created_by,
            "modified_on": seconds(record.modified_at),
        }
    )


def _answer(picture: MapPicture, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    kind = picture.record.kind
    document = {"status": status, "type": kind, kind: _map(picture)}
    return json_response(document, status, {"ETag": f'"{picture.record.version}"', **(headers or {})})


def _pair(pair: Pair) -> dict[str, Any]:
    return {"source": principal_document(pair.source), "destination": principal_document(pair.destination)}


def _excluded(one: Exclusion) -> dict[str, Any]:
    return {"sid": principal_document(one.principal)}


def _resolution(row: SecurityRow) -> dict[str, Any]:
    return {
        "side": row.side,
        "source": json.loads(row.source),
        "destination": None if row.destination is None else json.loads(row.destination),
        "resolution": row.resolution,
        "message": row.message,
        "permissions": row.permissions,
        "execution_id": row.execution_id,
    }


def _counted(kind: str, count: int) -> Response:
    return json_response({"status": 200, "type": kind, "meta": {"total_count": count}})


def _csv(lines: Any, name: str) -> StreamingResponse:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, headers=headers, media_type="text/csv; charset=utf-8")


for _kind in ("account_map", "group_map"):
    _routes(_kind)
