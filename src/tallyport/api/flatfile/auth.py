"""Renewing a sign-in, and lasting tokens, as this dialect asks for them."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api import paging
from tallyport.api.attempts import guarded
from tallyport.api.times import iso, present
from tallyport.api.tokens import token_of
from tallyport.api.wiring import Called, Desked, Document, json_response
from tallyport.control import tokens, users
from tallyport.control.desk import Right
from tallyport.control.refusals import Invalid, NotFound, NotSignedIn, invalid
from tallyport.domain.documents import Reader
from tallyport.store.users import Token

router = APIRouter(prefix="/v1/auth", tags=["tokens"])

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
SUCCESS = {"data": {"success": True}}


@router.post("/refresh-token", summary="Exchange a refresh token, or the token of a session, for a new one")
def refresh_token(request: Request, desk: Desked, document: Document) -> Response:
    reader = Reader()
    given = reader.members(document, "", ("refreshToken",))
    sent = reader.text(given["refreshToken"], "/refreshToken") if "refreshToken" in given else None
    if reader.problems:
        raise Invalid(reader.problems)
    with guarded(request):
        session = users.renew(desk.database, sent or token_of(request.scope["headers"]) or "")
        if session is None:
            raise NotSignedIn("the token is not valid, or not any more: sign in")
    answer = {
        "accessToken": session.token,
        "refreshToken": session.refresh,
        "expiresIn": session.seconds,
        "expires": iso(session.expires_at),
        "email": session.user.email or session.user.name,
        "userId": session.user.id,
        "accountId": "local",
    }
    return json_response({"data": present(answer)}, headers=NO_STORE)


@router.get("/personal-access-tokens", summary="List one's own lasting tokens")
def list_personal_tokens(request: Request, desk: Desked, caller: Called) -> Response:
    return _list(request, desk, caller, user=caller.user_id, kind="personal")


@router.post("/personal-access-tokens", summary="Make a lasting token; its text is in this answer and nowhere else")
def create_personal_token(desk: Desked, caller: Called, document: Document) -> Response:
    return _create(desk, caller, document, "personal")


@router.delete("/personal-access-tokens/{token}", summary="Revoke a lasting token")
def revoke_personal_token(desk: Desked, caller: Called, token: str) -> Response:
    tokens.revoke(desk, token, caller)
    return json_response(SUCCESS)


@router.get("/api-keys", summary="List the keys of servers")
def list_keys(request: Request, desk: Desked, caller: Called) -> Response:
    return _list(request, desk, caller, user=None, kind="server")


@router.post("/api-key", summary="Make a key for a server; its text is in this answer and nowhere else")
def create_key(request: Request, desk: Desked, caller: Called, document: Document) -> Response:
    kind = request.query_params.get("type", "SECRET")
    if kind.upper() != "SECRET":
        raise invalid("type", f"{kind[:40]!r} is not a kind of key here: browsers sign in", ("SECRET",))
    return _create(desk, caller, document, "server")


@router.delete("/api-key", summary="Revoke a key of a server, named by its id")
def revoke_key(request: Request, desk: Desked, caller: Called) -> Response:
    named = request.query_params.get("apiKey") or request.query_params.get("id")
    if named is None:
        raise invalid("apiKey", "names the key: its id", code="missing")
    caller.require(Right.ADMIN)
    if tokens.show(desk, named, caller).kind != "server":
        raise NotFound("there is no such key, or not any more")
    tokens.revoke(desk, named, caller)
    return json_response(SUCCESS)


def _list(request: Request, desk: Desked, caller: Called, *, user: str | None, kind: str) -> Response:
    part = paging.slice_of(request)
    found, total = tokens.page(desk, caller, user=user, kind=kind, offset=part.offset, limit=part.limit)
    return json_response({"data": [_shown(one) for one in found], "pagination": paging.pagination(part, total)})


def _create(desk: Desked, caller: Called, document: object, kind: str) -> Response:
    reader = Reader()
    given = reader.members(document, "", ("name", "expiresIn"))
    name = reader.text(given["name"], "/name") if "name" in given else None
    if name is not None and len(name) > 200:
        reader.wrong("/name", "out_of_range", "may have at most 200 characters")
    length = None
    if "expiresIn" in given:
        length = reader.whole(given["expiresIn"], "/expiresIn", least=1, most=tokens.MOST_SECONDS)
    if reader.problems:
        raise Invalid(reader.problems)
    issued = tokens.create(desk, caller, name=name, kind=kind, expires_in=length)
    return json_response({"data": {**_shown(issued.token), "token": issued.text}}, headers=NO_STORE)


def _shown(value: Token) -> dict[str, Any]:
    return present(
        {
            "id": value.id,
            "name": value.name or "",
            "createdAt": iso(value.created_at),
            "createdBy": value.user,
            "lastUsedAt": iso(value.used_at),
            "expiresAt": iso(value.expires_at),
        }
    )
