"""Users and the first set-up."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api import paging
from tallyport.api.attempts import guarded
from tallyport.api.etags import expected_version, is_known, tag
from tallyport.api.times import iso, present
from tallyport.api.wiring import Called, Desked, Document, json_response, text
from tallyport.control import accounts, users
from tallyport.control.desk import ROLES
from tallyport.control.refusals import Invalid
from tallyport.domain.documents import Reader
from tallyport.store import rows
from tallyport.store.users import User

router = APIRouter(prefix="/v1", tags=["users"])

NO_STORE = {"Cache-Control": "no-store"}


@router.get("/setup", summary="Say whether the first administrator is still to be made", tags=["sign-in"])
def show_setup(desk: Desked) -> Response:
    return json_response({"needed": accounts.needs_setup(desk.database)}, headers=NO_STORE)


@router.post("/setup", status_code=201, summary="Make the first administrator, by the link", tags=["sign-in"])
def set_up(request: Request, desk: Desked, document: Document) -> Response:
    reader = Reader()
    given = reader.members(document, "", ("token", "name", "password", "email"))
    token, name, password = (reader.text(given.get(key), f"/{key}") for key in ("token", "name", "password"))
    email = reader.text(given["email"], "/email") if "email" in given else None
    _finish(reader)
    with guarded(request):
        session = accounts.set_up(desk.database, str(token), str(name), str(password), email)
    shown = {**user(session.user), "token": session.token}
    return json_response({"status": 201, "type": "user", "user": shown, "data": shown}, 201, NO_STORE)


@router.get("/roles", summary="List roles, and what each may do")
def list_roles() -> Response:
    shown = [{"id": name, "name": name, "rights": sorted(right.value for right in ROLES[name])} for name in ROLES]
    return json_response({"status": 200, "type": "roles", "roles": shown, "data": shown})


@router.get("/users", summary="List users")
def list_users(request: Request, desk: Desked) -> Response:
    part = paging.slice_of(request)
    query = request.query_params
    found, total = accounts.page(
        desk, text=text(query, "q"), role=query.get("role"), offset=part.offset, limit=part.limit
    )
    shown = [user(one) for one in found]
    meta = paging.meta(request, part, total, part.offset + len(found) < total)
    document = {"status": 200, "type": "users", "users": shown, "meta": meta, "data": shown}
    return json_response(document, headers=paging.link_header(meta))


@router.post("/users", status_code=201, summary="Make a user")
def create_user(desk: Desked, document: Document) -> Response:
    reader = Reader()
    given = reader.members(document, "", ("name", "role", "password", "email"))
    name = reader.text(given.get("name"), "/name")
    role = reader.choice(given.get("role"), "/role", list(ROLES))
    password = reader.text(given["password"], "/password") if "password" in given else None
    email = reader.text(given["email"], "/email") if "email" in given else None
    _finish(reader)
    made = users.add_user(desk.database, str(name), str(role), password, email)
    return _answer(made, 201, {"Location": f"/v1/users/{made.id}"})


@router.post("/users/me/password", summary="Change one's own password")
def change_own_password(desk: Desked, caller: Called, document: Document) -> Response:
    reader = Reader()
    given = reader.members(document, "", ("old", "new"))
    old, new = (reader.text(given.get(key), f"/{key}") for key in ("old", "new"))
    _finish(reader)
    accounts.change_password(desk, caller, str(old), str(new))
    return Response(status_code=204)


@router.get("/users/{user}", summary="Show a user")
def show_user(request: Request, desk: Desked, user: str) -> Response:
    found = accounts.show(desk, user)
    if is_known(request, found.version):
        return Response(status_code=304, headers=tag(found.version))
    return _answer(found)


@router.patch("/users/{user}", summary="Change a user: address, role, password; disable, unlock")
def change_user(request: Request, desk: Desked, caller: Called, user: str, document: Document) -> Response:
    reader = Reader()
    reader.members(document, "", accounts.CHANGEABLE)
    given: Mapping[str, Any] = document if isinstance(document, dict) else {}
    if "role" in given:
        reader.choice(given["role"], "/role", list(ROLES))
    for key in ("email", "password"):
        if given.get(key) is not None:
            reader.text(given[key], f"/{key}")
    for key in ("disabled", "locked"):
        if key in given:
            reader.flag(given[key], f"/{key}")
    if given.get("locked") is True:
        reader.wrong("/locked", "unknown_value", "can only be lifted: use disabled to keep somebody out", ["false"])
    _finish(reader)
    return _answer(accounts.change(desk, user, given, caller, version=expected_version(request, None)))


@router.delete("/users/{user}/sessions", summary="Sign a user out everywhere")
def end_sessions(desk: Desked, caller: Called, user: str) -> Response:
    ended = accounts.sign_out_everywhere(desk, caller.user_id if user == "me" else user, caller)
    return json_response({"data": {"success": True, "ended": ended}})


def user(value: User) -> dict[str, Any]:
    """Show a user: everything but the password."""
    locked = value.locked_until is not None and value.locked_until > rows.now()
    return present(
        {
            "id": value.id,
            "type": "user",
            "name": value.name,
            "login": value.name,
            "email": value.email,
            "role": value.role,
            "roles": [value.role],
            "rights": sorted(right.value for right in ROLES[value.role]),
            "disabled": value.disabled,
            "locked": locked,
            "lockedUntil": iso(value.locked_until) if locked else None,
            "hasPassword": value.password is not None,
            "createdAt": iso(value.created_at),
        }
    )


def _answer(value: User, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    shown = user(value)
    document = {"status": status, "type": "user", "user": shown, "data": shown}
    return json_response(document, status, {**tag(value.version), **(headers or {})})


def _finish(reader: Reader) -> None:
    if reader.problems:
        raise Invalid(reader.problems)
