"""Users: made, changed, disabled; the first administrator by a link."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from tallyport.control import users
from tallyport.control.desk import ROLES, Caller, Desk, Right
from tallyport.control.refusals import Conflict, NotAllowed, NotFound, NotSignedIn, Stale, invalid
from tallyport.domain.differences import difference
from tallyport.store import admin_audit, invitations, rows
from tallyport.store import users as people
from tallyport.store.database import Database
from tallyport.store.users import User

SETUP_LENGTH = 24 * 60 * 60  # seconds
CHANGEABLE = ("email", "role", "disabled", "password", "locked")


def find(tx: sa.Connection, user_id: str) -> User:
    """Give a user by id or by name, or refuse."""
    found = people.find(tx, user_id) or people.named(tx, user_id)
    if found is None:
        raise NotFound(f"there is no user {user_id[:80]!r}")
    return found


def show(desk: Desk, user_id: str) -> User:
    """Give one user."""
    with desk.database.read() as tx:
        return find(tx, user_id)


def page(desk: Desk, *, text: str | None, role: str | None, offset: int, limit: int) -> tuple[list[User], int]:
    """Give one page of users by name, and the number of all that match."""
    if role is not None and role not in ROLES:
        raise invalid("role", f"{role[:80]!r} is not a role", tuple(ROLES))
    with desk.database.read() as tx:
        return people.page(tx, text=text, role=role, offset=offset, limit=limit)


def change(desk: Desk, user_id: str, patch: Mapping[str, Any], by: Caller, *, version: int | None = None) -> User:
    """Change what a patch names: ``email``, ``role``, ``disabled``, ``password``, ``locked`` (false unlocks).

    One administrator who can sign in stays. A new password and disabling end the user's sessions.
    """
    values: dict[str, Any] = {name: patch[name] for name in ("email", "role", "disabled") if name in patch}
    if "password" in patch:
        values["password"] = None if patch["password"] is None else users.encoded(patch["password"])
    if patch.get("locked") is False:
        values |= {"failures": 0, "locked_until": None}
    now = rows.now()
    with desk.database.begin() as tx:
        old = find(tx, user_id)
        if version is not None and version != old.version:
            raise Stale(f"the user is at version {old.version}, not {version}")
        if values.get("email"):
            other = people.named(tx, values["email"])
            if other is not None and other.id != old.id:
                raise Conflict("another user has this name or e-mail address")
        people.change(tx, old.id, is_new_version=True, **values)
        if not people.administrators(tx):
            raise Conflict("nobody could administer any more: make another administrator first")
        new = find(tx, old.id)
        if new.disabled or "password" in patch:
            people.revoke_all(tx, old.id, now, kind="session", but=by.token_id if old.id == by.user_id else None)
        admin_audit.write(tx, "user.changed", f"user:{old.id}", old.name, _difference(old, new))
        return new


def change_password(desk: Desk, by: Caller, old: str, new: str) -> None:
    """Let somebody change their own password: who knows the old one. Their other sessions end."""
    with desk.database.read() as tx:
        user = people.find(tx, by.user_id)
    if user is None or user.password is None or not users.is_password(user.password, old):
        raise NotAllowed("the old password is wrong")
    encoded = users.encoded(new)
    with desk.database.begin() as tx:
        people.change(tx, user.id, is_new_version=True, password=encoded)
        people.revoke_all(tx, user.id, rows.now(), kind="session", but=by.token_id)
        admin_audit.write(tx, "user.password_changed", f"user:{user.id}", user.name)


def sign_out_everywhere(desk: Desk, user_id: str, by: Caller) -> int:
    """End every session of a user; a caller's own only together with the right to administer, or their own."""
    with desk.database.begin() as tx:
        user = find(tx, user_id)
        if user.id != by.user_id:
            by.require(Right.ADMIN)
        ended = people.revoke_all(tx, user.id, rows.now(), kind="session")
        admin_audit.write(tx, "user.signed_out_everywhere", f"user:{user.id}", user.name, {"sessions": [ended, 0]})
        return ended


# -- the first administrator ----------------------------------------------------------------------------------


def needs_setup(database: Database) -> bool:
    """Tell whether there is nobody yet who can administer."""
    with database.read() as tx:
        return not people.administrators(tx)


def invite(database: Database) -> str | None:
    """Make the link that lets the first administrator in; None when there is one already. Older links end."""
    with database.begin() as tx:
        if people.administrators(tx):
            return None
        return invitations.issue(tx, rows.now() + SETUP_LENGTH * users.SECOND)


def set_up(database: Database, token: str, name: str, password: str, email: str | None) -> users.Session:
    """Make the first administrator, who has the link, and sign them in. Works once."""
    encoded = users.encoded(password)
    now = rows.now()
    with database.begin() as tx:
        if people.administrators(tx):
            raise Conflict("the set-up is done already: sign in")
        if not invitations.use(tx, token, now):
            raise NotSignedIn("the link is not valid, or not any more: start the server again to get a new one")
        user = users.add(tx, name, "admin", encoded, email)
        admin_audit.write(tx, "setup.done", f"user:{user.id}", user.name, by=user.name)
    return users.sign_in(database, name, password)


def _difference(old: User, new: User) -> dict[str, list[object]]:
    names = ("email", "role", "disabled", "locked_until", "password")
    return difference(
        {name: getattr(old, name) for name in names}, {name: getattr(new, name) for name in names}, {"password"}
    )
