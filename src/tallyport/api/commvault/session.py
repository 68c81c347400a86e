"""Signing in and out in this dialect: refusals come with status 200, as its clients expect."""

import base64
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api.attempts import guarded
from tallyport.api.commvault import xml
from tallyport.api.commvault.negotiation import Form, document
from tallyport.api.tokens import token_of
from tallyport.api.wiring import Called, Desked, Raw, json_response, read_json
from tallyport.control import users
from tallyport.control.users import MAX_FAILURES, SignInRefused

router = APIRouter(tags=["job control: sign-in"])

NO_STORE = {"Cache-Control": "no-store"}
RENEWED = "DM2ContentIndexing_RenewLoginTokenResp"


@router.get("/commandcenter/api", summary="Says that this dialect is served; needs no token")
def show_service() -> Response:
    return json_response({"service": "Tallyport"})


@router.post("/Login", summary="Sign in; the password is base64")
def login(request: Request, desk: Desked, body: Raw) -> Response:
    asked = xml.attributes(body) if body.lstrip().startswith(b"<") else read_json(body)
    given = asked if isinstance(asked, Mapping) else {}
    name, password = str(given.get("username", "")), _password(given.get("password"))
    try:
        with guarded(request):
            session = users.sign_in(desk.database, name, password)
    except SignInRefused as error:
        refused: dict[str, Any] = {
            "errList": [{"errorCode": 1130, "errLogMessage": error.message}],
            "isAccountLocked": bool(error.locked_for),
            "remainingLockTime": error.locked_for,
            "loginAttempts": MAX_FAILURES if error.locked_for else 0,
        }
        return _answer(request, refused)
    user = session.user
    accepted = {
        "token": f"QSDK {session.token}",
        "userName": user.name,
        "aliasName": user.name,
        "userGUID": user.id,
        "smtpAddress": user.email or "",
        "loginAttempts": 0,
        "remainingLockTime": 0,
        "isAccountLocked": False,
        "forcePasswordChange": False,
        "providerType": 1,
        "ccn": 0,
        "capability": 0,
        "errList": [],
    }
    return _answer(request, accepted)


@router.post("/RenewLoginToken", summary="Exchange a session's token for a new one")
def renew_login_token(desk: Desked, form: Form, body: Raw) -> Response:
    asked = xml.attributes(body) if body.lstrip().startswith(b"<") else read_json(body)
    given = str(asked.get("sessionId", "")) if isinstance(asked, Mapping) else ""
    token = token_of([(b"authtoken", given.encode("latin-1", "replace"))]) or ""
    session = users.renew(desk.database, token)
    if session is None:
        return document(form, RENEWED, {"error": {"errLogMessage": "the token is not valid, or not any more"}})
    return document(form, RENEWED, {"token": f"QSDK {session.token}"}, NO_STORE)


@router.post("/Logout", summary="Sign out; answers a bare sentence")
def logout(request: Request, desk: Desked) -> Response:
    token = token_of(request.scope["headers"])
    name = users.sign_out(desk.database, token) if token is not None else None
    return Response("User logged out" if name is not None else "Invalid token", media_type="text/plain")


@router.get("/WhoAmI", summary="Say who is signed in")
@router.post("/WhoAmI", summary="Say who is signed in", name="who_am_i_too")
def who_am_i(caller: Called, form: Form) -> Response:
    return document(form, "WhoAmIResponse", {"user": {"userName": caller.name, "userGUID": caller.user_id}})


def _password(given: object) -> str:
    try:
        return base64.b64decode(str(given or ""), validate=True).decode()
    except ValueError:  # no base 64, or not of UTF-8
        return ""


def _answer(request: Request, content: dict[str, Any]) -> Response:
    if "xml" in request.headers.get("accept", "") and "json" not in request.headers.get("accept", ""):
        return Response(xml.element("DM2ContentIndexing_CheckCredentialResp", content), 200, NO_STORE, xml.MEDIA_TYPE)
    return json_response(content, headers=NO_STORE)
