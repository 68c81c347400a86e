"""Users, sign-in and tokens."""

import contextlib
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import argon2
import sqlalchemy as sa

from tallyport.control import renewing
from tallyport.control.desk import ROLES, Caller, Right
from tallyport.control.refusals import Busy, Conflict, NotFound, NotSignedIn, invalid
from tallyport.control.renewing import REFRESH, REFRESH_LENGTH
from tallyport.store import admin_audit, rows, users
from tallyport.store.database import Database

SESSION_IDLE = 30 * 60  # seconds
SESSION_LENGTH = 24 * 60 * 60  # seconds
MAX_FAILURES = 5  # failed sign-ins in a row before the account is locked
LOCKED_FOR = 15 * 60  # seconds
LEAST_PASSWORD, MOST_PASSWORD = 8, 1_024
MOST_NAME = 200

_HASHERS = threading.BoundedSemaphore(4)
PASSWORDS = argon2.PasswordHasher()

SECOND = 1_000_000
NOBODY = "nobody"  # in the record, who has not signed in


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


class TooManyAttempts(SignInRefused):
    """So many sign-ins from one address failed that it has to wait, whatever it sends."""

    code = "too_many_requests"


def add_user(database: Database, name: str, role: str, password: str | None, email: str | None = None) -> users.User:
    """Make a user. A user without a password signs in by token only."""
    hashed = None if password is None else encoded(password)
    with database.begin() as tx:
        user = add(tx, name, role, hashed, email)
        made = {"role": [None, role], "email": [None, email]}
        admin_audit.write(tx, "user.created", f"user:{user.id}", name, made)
        return user


def add(tx: sa.Connection, name: str, role: str, hashed: str | None, email: str | None) -> users.User:
    """Store a user whose name and address nobody has."""
    if role not in ROLES:
        raise invalid("/role", f"{role[:80]!r} is not a role", tuple(ROLES))
    for field, text in (("name", name), ("email", email)):
        if text is not None and (not text.strip() or len(text) > MOST_NAME or not text.isprintable()):
            raise invalid(f"/{field}", f"must be printable text of 1 to {MOST_NAME} characters")
    if users.named(tx, name) is not None or (email and users.named(tx, email) is not None):
        raise Conflict(f"there is a user {name!r} already")
    return users.add(tx, name, role, hashed, email)


def encoded(password: str) -> str:
    """Give what is stored of a password, or refuse one that is too easy or too much work."""
    if not LEAST_PASSWORD <= len(password) <= MOST_PASSWORD:
        raise invalid("/password", f"a password has {LEAST_PASSWORD} to {MOST_PASSWORD} characters")
    with _hashing():
        return PASSWORDS.hash(password)


def is_password(encoded: str, password: str) -> bool:
    """Tell whether a password is the one that was stored."""
    with _hashing():
        return _verify(encoded, password)


@contextlib.contextmanager
def _hashing() -> Iterator[None]:
    """Let a few hash at once: each takes 64 MiB and a third of a second of a core."""
    if not _HASHERS.acquire(timeout=10):
        raise Busy("too many sign in at once: try again in a moment")
    try:
        yield
    finally:
        _HASHERS.release()


def create_token(database: Database, user_name: str, scope: str = "", *, name: str | None = None) -> str:
    """Make a lasting token for a user; its text is seen here only. ``scope`` is rights, space separated."""
    unknown = [word for word in scope.split() if word not in set(Right)]
    if unknown:
        raise invalid("/scope", f"{unknown[0]!r} is not a right", tuple(Right))
    with database.begin() as tx:
        user = users.named(tx, user_name)
        if user is None:
            raise NotFound(f"there is no user {user_name!r}")
        text = users.issue(tx, user.id, "personal", name=name, scopes=" ".join(scope.split()))
        made = {"user": [None, user.name], "scopes": [None, " ".join(scope.split())]}
        admin_audit.write(tx, "token.created", f"user:{user.id}", name, made)
        return text


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
        is_narrowed=bool(found.scopes.split()),
    )


def touch(database: Database, token_id: str, now: int) -> None:
    """Remember that a token was used, so that its idle time starts again."""
    with database.begin() as tx:
        users.touch(tx, token_id, now)


def sign_in(database: Database, name: str, password: str, *, refreshable: bool = False) -> Session:
    """Check a password and open a session, or raise SignInRefused. Counts failures and locks the account."""
    now = rows.now()
    with database.read() as tx:
        user = users.named(tx, name) if len(name) <= MOST_NAME else None
    if user is not None and user.locked_until is not None and user.locked_until > now:
        raise SignInRefused(locked_for=(user.locked_until - now) // SECOND + 1)
    fits = len(password) <= MOST_PASSWORD
    right = is_password(user.password if user and user.password else _nobody(), password if fits else "")
    if user is None or user.password is None or user.disabled or not (right and fits):
        raise SignInRefused(locked_for=0 if user is None else _count_failure(database, user.id, name, now))
    with database.begin() as tx:
        fresh = users.find(tx, user.id)
        if fresh is None or fresh.disabled or (fresh.locked_until or 0) > now:
            raise SignInRefused  # locked by guesses that were made at the same time
        changed: dict[str, Any] = {"failures": 0, "locked_until": None}
        if PASSWORDS.check_needs_rehash(user.password):
            changed["password"] = PASSWORDS.hash(password)
        users.change(tx, user.id, **changed)
        family = renewing.new_family() if refreshable else None
        token = _session(tx, user.id, now, family)
        refresh = None
        if family is not None:
            refresh = renewing.issue_refresh(tx, user.id, family, now + REFRESH_LENGTH * SECOND)
        admin_audit.write(tx, "session.opened", f"user:{user.id}", user.name, by=user.name)
    return Session(token, refresh, user, now + SESSION_LENGTH * SECOND, SESSION_LENGTH)


def renew(database: Database, token: str) -> Session | None:
    """Exchange a valid session or refresh token for a new one; the old one ends. None when it is not valid.

    A refresh token that was exchanged before ends everything that came of its sign-in.
    """
    now = rows.now()
    with database.begin() as tx:
        found = renewing.spend(tx, token, now)
        if found is None:
            return None
        refresh = None
        if found.scopes == REFRESH and found.family is not None:
            refresh = renewing.issue_refresh(tx, found.user.id, found.family, now + REFRESH_LENGTH * SECOND)
        new = _session(tx, found.user.id, now, found.family)
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
            if found.family is not None:
                users.revoke_family(tx, found.family, now)
            admin_audit.write(tx, "session.ended", f"user:{found.user.id}", found.user.name, by=found.user.name)
        return found.user.name


def _session(tx: sa.Connection, user_id: str, now: int, family: str | None = None) -> str:
    ends = now + SESSION_LENGTH * SECOND
    return users.issue(tx, user_id, "session", idle_seconds=SESSION_IDLE, expires_at=ends, family=family)


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
            admin_audit.write(tx, "session.refused", f"user:{user.id}", user.name, by=NOBODY)
            return 0
        users.change(tx, user_id, failures=0, locked_until=now + LOCKED_FOR * SECOND)
        admin_audit.write(tx, "user.locked", f"user:{user.id}", user.name, by=NOBODY)
        return LOCKED_FOR
