"""Lasting tokens, and who a connection is open to."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api import paging
from tallyport.api.etags import expected_version, tag
from tallyport.api.times import iso, present
from tallyport.api.wiring import Called, Desked, Document, json_response
from tallyport.control import connections, tokens
from tallyport.control.refusals import Invalid
from tallyport.domain.documents import Reader
from tallyport.store.users import Token

router = APIRouter(prefix="/v1", tags=["tokens"])

NO_STORE = {"Cache-Control": "no-store"}
KINDS = ["personal", "server"]


@router.get("/tokens", summary="List the tokens that hold: one's own; an administrator sees all")
def list_tokens(request: Request, desk: Desked, caller: Called) -> Response:
    part = paging.slice_of(request)
    found, total = tokens.page(
        desk, caller, user=request.query_params.get("user"), offset=part.offset, limit=part.limit
    )
    shown = [token(one) for one in found]
    meta = paging.meta(request, part, total, part.offset + len(found) < total)
    document = {"status": 200, "type": "tokens", "tokens": shown, "meta": meta, "data": shown}
    return json_response(document, headers=paging.link_header(meta))


@router.post("/tokens", status_code=201, summary="Make a token; its text is in this answer and nowhere else")
def create_token(desk: Desked, caller: Called, document: Document) -> Response:
    reader = Reader()
    given = reader.members(document, "", ("name", "scopes", "expiresIn", "user", "kind"))
    name = reader.text(given["name"], "/name") if "name" in given else None
    if name is not None and len(name) > 200:
        reader.wrong("/name", "out_of_range", "may have at most 200 characters")
    owner = reader.text(given["user"], "/user") if "user" in given else None
    scopes = reader.texts(given["scopes"], "/scopes") if "scopes" in given else ()
    kind = reader.choice(given.get("kind", "personal"), "/kind", KINDS)
    length = None
    if "expiresIn" in given:
        length = reader.whole(given["expiresIn"], "/expiresIn", least=1, most=tokens.MOST_SECONDS)
    if reader.problems:
        raise Invalid(reader.problems)
    issued = tokens.create(desk, caller, user=owner, name=name, scopes=scopes or (), kind=str(kind), expires_in=length)
    return _issued(issued, 201)


@router.post("/tokens/{token}/rotate", summary="Put a new token in the place of this one, which ends")
def rotate_token(desk: Desked, caller: Called, token: str) -> Response:
    return _issued(tokens.rotate(desk, token, caller), 200)


@router.delete("/tokens/{token}", summary="Revoke a token")
def revoke_token(desk: Desked, caller: Called, token: str) -> Response:
    tokens.revoke(desk, token, caller)
    return json_response({"data": {"success": True}})


@router.get("/connections/{connection}/access", summary="Say who may use a connection", tags=["connections"])
def show_access(desk: Desked, connection: str) -> Response:
    restricted, names = connections.open_to(desk, connection)
    version = connections.show(desk, connection).version
    return json_response({"data": {"restricted": restricted, "users": names}}, headers=tag(version))


@router.put("/connections/{connection}/access", summary="Say who may use a connection", tags=["connections"])
def change_access(request: Request, desk: Desked, caller: Called, connection: str, document: Document) -> Response:
    reader = Reader()
    given = reader.members(document, "", ("restricted", "users"))
    restricted = reader.flag(given.get("restricted"), "/restricted")
    users = reader.texts(given["users"], "/users") if "users" in given else ()
    if restricted is False and users:
        reader.wrong("/users", "not_together", "only a restricted connection is open to some people")
    if len(users or ()) > 1_000:
        reader.wrong("/users", "out_of_range", "names at most 1000 people")
    if reader.problems:
        raise Invalid(reader.problems)
    expected_version(request, connections.show(desk, connection).version)
    names = connections.restrict(desk, connection, list(users or ()) if restricted else None, caller)
    version = connections.show(desk, connection).version
    return json_response({"data": {"restricted": restricted, "users": names}}, headers=tag(version))


def token(value: Token) -> dict[str, Any]:
    """Show a token: everything but itself."""
    return present(
        {
            "id": value.id,
            "type": "token",
            "kind": value.kind,
            "name": value.name,
            "user": value.user,
            "userId": value.user_id,
            "scopes": value.scopes.split(),
            "createdAt": iso(value.created_at),
            "lastUsedAt": iso(value.used_at),
            "expiresAt": iso(value.expires_at),
        }
    )


def _issued(issued: tokens.Issued, status: int) -> Response:
    shown = {**token(issued.token), "token": issued.text}
    return json_response({"status": status, "type": "token", "token": shown, "data": shown}, status, NO_STORE)
