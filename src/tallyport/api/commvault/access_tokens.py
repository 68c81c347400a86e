"""Lasting tokens in pairs: one to use, one to renew it with. Refusals come with status 200."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api.attempts import guarded
from tallyport.api.times import MICRO, seconds
from tallyport.api.wiring import Called, Desked, Document, json_response
from tallyport.control import renewing, tokens
from tallyport.control.refusals import NotAllowed, NotFound, NotSignedIn
from tallyport.control.renewing import Pair
from tallyport.store.users import Token

router = APIRouter(prefix="/V4/AccessToken", tags=["job control: sign-in"])

NO_STORE = {"Cache-Control": "no-store"}
ALL = (0, 2)  # kinds of token that may do all that their owner may


@router.get("", summary="List one's own lasting tokens")
def list_access_tokens(desk: Desked, caller: Called) -> Response:
    found, _ = tokens.page(desk, caller, user=caller.user_id, kind="personal", offset=0, limit=1_000)
    return json_response({"errorCode": 0, "errorMessage": "", "tokensInfo": [_shown(one) for one in found]})


@router.post("", summary="Make a token and the one that renews it; they are in this answer and nowhere else")
def create_access_token(desk: Desked, caller: Called, document: Document) -> Response:
    given = document if isinstance(document, Mapping) else {}
    name, kind = given.get("tokenName"), given.get("tokenType", 0)
    if not isinstance(name, str) or not 0 < len(name) <= 200 or not name.isprintable():
        return _refused("tokenName is text of 1 to 200 characters")
    if kind not in ALL or given.get("apiEndpoints"):
        return _refused("tokenType is 0 or 2: a token here has the rights of its owner; /v1/tokens makes narrower ones")
    times = [_time(given.get(key)) for key in ("tokenExpiryTimestamp", "renewableUntilTimestamp")]
    if -1 in times:
        return _refused("times are seconds since 1970")
    try:
        made = renewing.create_pair(desk, caller, name=name, expires_at=times[0], renewable_until=times[1])
    except NotAllowed as error:
        return _refused(error.message)
    return json_response({"error": {"errorCode": 0, "errorMessage": ""}, "tokenInfo": _pair(made)}, headers=NO_STORE)


@router.post("/Renew", summary="Exchange a pair of tokens for a new one; an old pair that is sent again ends them all")
def renew_access_token(request: Request, desk: Desked, document: Document) -> Response:
    given = document if isinstance(document, Mapping) else {}
    access, refresh = (str(given.get(key, "")) for key in ("accessToken", "refreshToken"))
    try:
        with guarded(request):
            made = renewing.renew_pair(desk.database, access, refresh)
            if made is None:
                raise NotSignedIn("the tokens are not a pair that holds")
    except NotSignedIn as error:
        return json_response({"errorCode": 5, "errorMessage": error.message})
    return json_response({"errorCode": 0, "errorMessage": "", **_pair(made)}, headers=NO_STORE)


@router.delete("/{token}", summary="Revoke a lasting token")
def revoke_access_token(desk: Desked, caller: Called, token: str) -> Response:
    try:
        tokens.revoke(desk, token, caller)
    except NotFound as error:
        return json_response({"errorCode": 2, "errorMessage": error.message})
    return json_response({"errorCode": 0, "errorMessage": ""})


def _pair(made: Pair) -> dict[str, Any]:
    return {
        "tokenName": made.name,
        "accessToken": made.access,
        "refreshToken": made.refresh,
        "tokenCreationTimestamp": seconds(made.created_at),
        "tokenExpiryTimestamp": seconds(made.expires_at),
        "renewableUntilTimestamp": seconds(made.renewable_until),
    }


def _shown(value: Token) -> dict[str, Any]:
    return {
        "accessTokenId": value.id,
        "tokenName": value.name or "",
        "tokenType": 0,
        "tokenCreationTimestamp": seconds(value.created_at),
        "tokenExpiryTimestamp": seconds(value.expires_at) or 0,
        "lastUsedTimestamp": seconds(value.used_at),
    }


def _time(given: object) -> int | None:
    """Read a time: None when there is none, -1 when it is not one."""
    if given is None or given == 0:
        return None
    if isinstance(given, bool) or not isinstance(given, int) or not 0 < given < 1 << 40:
        return -1
    return given * MICRO


def _refused(message: str) -> Response:
    return json_response({"error": {"errorCode": 2, "errorMessage": message}})
