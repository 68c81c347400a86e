"""Signing in, in each dialect's way; who am I; signing out."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api.attempts import guarded
from tallyport.api.times import iso
from tallyport.api.tokens import token_of
from tallyport.api.wiring import Called, Desked, Document, Raw, json_response
from tallyport.control import users
from tallyport.control.refusals import Invalid
from tallyport.control.users import SignInRefused
from tallyport.domain.documents import Reader

router = APIRouter(tags=["sign-in"])

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@router.post("/connect/token", summary="Sign in by form: grant_type password or refresh_token")
def connect_token(request: Request, desk: Desked, body: Raw) -> Response:
    form = {key: values[0] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}
    grant = form.get("grant_type")
    if grant == "password":
        scopes = form.get("scope", "").split()
        try:
            with guarded(request):
                session = users.sign_in(
                    desk.database,
                    form.get("username", ""),
                    form.get("password", ""),
                    refreshable="offline_access" in scopes,
                )
        except SignInRefused as error:
            return _oauth_error("invalid_grant", error.message)
    elif grant == "refresh_token":
        renewed = users.renew(desk.database, form.get("refresh_token", ""))
        if renewed is None:
            return _oauth_error("invalid_grant", "the refresh token is not valid, or not any more")
        session, scopes = renewed, []
    else:
        return _oauth_error("unsupported_grant_type", "grant_type is password or refresh_token")
    answer: dict[str, Any] = {
        "access_token": session.token,
        "token_type": "Bearer",
        "expires_in": session.seconds,
    }
    if session.refresh is not None:
        answer["refresh_token"] = session.refresh
    return json_response(answer, headers=NO_STORE)


@router.get("/connect/logout", summary="Sign out")
def connect_logout(request: Request, desk: Desked) -> Response:
    token = token_of(request.scope["headers"])
    if token is not None:
        users.sign_out(desk.database, token)
    return Response(status_code=204)


@router.post("/v1/auth", summary="Sign in by e-mail and password")
def auth(request: Request, desk: Desked, document: Document) -> Response:
    reader = Reader()
    given = reader.members(document, "", ("email", "password", "clientId", "secret"))
    name = reader.text(given.get("email", given.get("clientId")), "/email")
    password = reader.text(given.get("password", given.get("secret")), "/password")
    if name is None or password is None or reader.problems:
        raise Invalid(reader.problems)
    with guarded(request):
        session = users.sign_in(desk.database, name, password)
    answer = {
        "accessToken": session.token,
        "expiresIn": session.seconds,
        "expires": iso(session.expires_at),
        "email": session.user.email or session.user.name,
        "userId": session.user.id,
        "accountId": "local",
    }
    return json_response({"data": answer}, headers=NO_STORE)


@router.get("/v1/users/me", summary="Show who is signed in")
def me(caller: Called) -> Response:
    shown = {
        "id": caller.user_id,
        "login": caller.name,
        "name": caller.name,
        "email": caller.email,
        "roles": [caller.role],
        "rights": sorted(right.value for right in caller.rights),
    }
    return json_response({"status": 200, "type": "user", "user": shown, "data": shown})


def _oauth_error(code: str, message: str) -> Response:
    document: Mapping[str, object] = {"error": code, "error_description": message}
    return Response(msgspec.json.encode(document), 400, NO_STORE, "application/json")
