"""Users, sign-in and tokens."""

from functools import cache
from typing import NamedTuple

import argon2
import sqlalchemy as sa

from tallyport.control.desk import ROLES, Caller, Right
from tallyport.control.refusals import Conflict, NotFound, NotSignedIn, invalid
from tallyport.store import rows, users
from tallyport.store.database import Database

SESSION_IDLE = 30 * 60  # seconds
SESSION_LENGTH = 24 * 60 * 60  # seconds
REFRESH_LENGTH = 14 * 24 * 60 * 60  # seconds
MAX_FAILURES = 5  # failed sign-ins in a row before the account is locked
LOCKED_FOR = 15 * 60  # seconds
REFRESH = "refresh"  # the only scope of a token that does nothing but make new ones

PASSWORDS = argon2.PasswordHasher()

SECOND = 1_000_000


class Session(NamedTuple):
    """A fresh sign-in."""

    token: str
    refresh: str | None
    user: users.User
    expires_at: int  # microseconds
    seconds: int


class SignInRefused(NotSignedIn):
    """Wrong name or password, or the account is locked. Which of name and password is wrong is not said."""

    def __init__(self, *, locked_for: int = 0) -> None:
        super().__init__(
            f"the account is locked for another {locked_for} s after {MAX_FAILURES} failed sign-ins"
            if locked_for
            else "the name or the password is wrong"
        )
        self.locked_for = locked_for


def add_user(database: Database, name: str, role: str, password: str | None, email: str | None = None) -> users.User:
    """Make a user. A user without a password signs in by token only."""
    if role not in ROLES:
        raise invalid("/role", f"{role!r} is not a role", tuple(ROLES))
    if not name.strip():
        raise invalid("/name", "a user needs a name")
    if password is not None and len(password) < 8:
        raise invalid("/password", "a password needs at least 8 characters")
    encoded = None if password is None else PASSWORDS.hash(password)
    with database.begin() as tx:
        if users.named(tx, name) is not None or (email and users.named(tx, email) is not None):
            raise Conflict(f"there is a user {name!r} already")
        return users.add(tx, name, role, encoded, email)


def create_token(database: Database, user_name: str, scope: str = "", *, name: str | None = None) -> str:
    """Make a lasting token for a user; its text is seen here only. ``scope`` is rights, space separated."""
    unknown = [word for word in scope.split() if word not in set(Right)]
    if unknown:
        raise invalid("/scope", f"{unknown[0]!r} is not a right", tuple(Right))
    with database.begin() as tx:
        user = users.named(tx, user_name)
        if user is None:
            raise NotFound(f"there is no user {user_name!r}")
        return users.issue(tx, user.id, "personal", name=name, scopes=" ".join(scope.split()))


def authenticate(database: Database, token: str, now: int) -> Caller | None:
    """Say who a token speaks for, or None."""
    with database.read() as tx:
        found = users.principal(tx, token, now)
    if found is None or REFRESH in found.scopes.split():
        return None
    rights = ROLES[found.user.role]
    if scopes := found.scopes.split():
        rights &= frozenset(Right(scope) for scope in scopes if scope in set(Right))
    return Caller(
        name=found.user.name,
        user_id=found.user.id,
        role=found.user.role,
        rights=rights,
        token_id=found.token_id,
        email=found.user.email,
    )


def touch(database: Database, token_id: str, now: int) -> None:
    """Remember that a token was used, so that its idle time starts again."""
    with database.begin() as tx:
        users.touch(tx, token_id, now)


def sign_in(database: Database, name: str, password: str, *, refreshable: bool = False) -> Session:
    """Check a password and open a session, or raise SignInRefused. Counts failures and locks the account."""
    now = rows.now()
    with database.read() as tx:
        user = users.named(tx, name)
    if user is not None and user.locked_until is not None and user.locked_until > now:
        raise SignInRefused(locked_for=(user.locked_until - now) // SECOND + 1)
    right = _verify(user.password if user and user.password else _nobody(), password)
    if user is None or user.password is None or user.disabled or not right:
        raise SignInRefused(locked_for=0 if user is None else _count_failure(database, user.id, name, now))
    with database.begin() as tx:
        changed: dict[str, object] = {"failures": 0, "locked_until": None}
        if PASSWORDS.check_needs_rehash(user.password):
            changed["password"] = PASSWORDS.hash(password)
        users.change(tx, user.id, **changed)
        token = _session(tx, user.id, now)
        refresh = None
        if refreshable:
            refresh = users.issue(tx, user.id, "session", scopes=REFRESH, expires_at=now + REFRESH_LENGTH * SECOND)
    return Session(token, refresh, user, now + SESSION_LENGTH * SECOND, SESSION_LENGTH)


def renew(database: Database, token: str) -> Session | None:
    """Exchange a valid session or refresh token for a new one; the old one ends. None when it is not valid."""
    now = rows.now()
    with database.begin() as tx:
        found = users.principal(tx, token, now)
        if found is None or found.kind != "session":
            return None
        users.revoke(tx, found.token_id, now)
        refresh = None
        if REFRESH in found.scopes.split():
            refresh = users.issue(
                tx, found.user.id, "session", scopes=REFRESH, expires_at=now + REFRESH_LENGTH * SECOND
            )
        new = _session(tx, found.user.id, now)
    return Session(new, refresh, found.user, now + SESSION_LENGTH * SECOND, SESSION_LENGTH)


def sign_out(database: Database, token: str) -> str | None:
    """End a session; gives the name of who was signed in, or None when the token was not valid."""
    now = rows.now()
    with database.begin() as tx:
        found = users.principal(tx, token, now)
        if found is None:
            return None
        if found.kind == "session":
            users.revoke(tx, found.token_id, now)
        return found.user.name


def _session(tx: sa.Connection, user_id: str, now: int) -> str:
    return users.issue(tx, user_id, "session", idle_seconds=SESSION_IDLE, expires_at=now + SESSION_LENGTH * SECOND)


@cache
def _nobody() -> str:
    """Give a password hash to check for an unknown name, so that the time tells nothing."""
    return PASSWORDS.hash("nobody")


def _verify(encoded: str, password: str) -> bool:
    try:
        return PASSWORDS.verify(encoded, password)
    except argon2.exceptions.Argon2Error:
        return False


def _count_failure(database: Database, user_id: str, name: str, now: int) -> int:
    with database.begin() as tx:
        user = users.named(tx, name)
        if user is None or user.id != user_id:
            return 0
        failures = user.failures + 1
        if failures < MAX_FAILURES:
            users.change(tx, user_id, failures=failures)
            return 0
        users.change(tx, user_id, failures=0, locked_until=now + LOCKED_FOR * SECOND)
        return LOCKED_FOR
