"""Tokens that are renewed: each renewal spends the token that asks for it.

One that is used again was stolen, by who used it first or by who uses it now: all that came of the sign-in ends.
"""

import uuid
from typing import NamedTuple

import sqlalchemy as sa

from tallyport.control.desk import Caller, Desk
from tallyport.control.refusals import NotAllowed
from tallyport.store import admin_audit, rows, users
from tallyport.store.database import Database
from tallyport.store.users import Principal

SECOND = 1_000_000
REFRESH = "refresh"  # the only scope of a token that does nothing but make new ones
REFRESH_LENGTH = 14 * 24 * 60 * 60  # seconds
PAIR_LENGTH = 30 * 60  # seconds that the access token of a pair holds, unless other is asked
MOST_RENEWABLE = 90 * 24 * 60 * 60  # seconds
NOBODY = "nobody"


class Pair(NamedTuple):
    """A token, and the one that renews it. Times are microseconds."""

    name: str
    access: str
    refresh: str
    created_at: int
    expires_at: int
    renewable_until: int


def new_family() -> str:
    """Name what comes of one sign-in."""
    return uuid.uuid4().hex


def issue_refresh(tx: sa.Connection, user_id: str, family: str, ends: int) -> str:
    """Make a token that is good for one renewal."""
    return users.issue(tx, user_id, "session", scopes=REFRESH, expires_at=ends, family=family)


def spend(tx: sa.Connection, token: str, now: int) -> Principal | None:
    """Give whom a refresh or session token speaks for, and end it; None when it does not hold.

    A refresh token that was spent before ends its whole family.
    """
    found = users.principal(tx, token, now)
    if found is None:
        _punish(tx, token, now)
        return None
    if found.kind != "session":
        return None
    users.revoke(tx, found.token_id, now)
    return found


def create_pair(desk: Desk, by: Caller, *, name: str, expires_at: int | None, renewable_until: int | None) -> Pair:
    """Make a token for the caller, and the one that renews it."""
    if by.is_narrowed:
        raise NotAllowed("a token with scopes makes no tokens: sign in")
    now = rows.now()
    until = min(renewable_until or now + REFRESH_LENGTH * SECOND, now + MOST_RENEWABLE * SECOND)
    ends = min(expires_at or now + PAIR_LENGTH * SECOND, until)
    with desk.database.begin() as tx:
        made = _pair(tx, by.user_id, name, new_family(), now, ends, until)
        admin_audit.write(tx, "token.created", f"user:{by.user_id}", name, {"user": [None, by.name]})
    return made


def renew_pair(database: Database, access: str, refresh: str) -> Pair | None:
    """Exchange a pair for a new one that holds as long; None when it is not a pair, or was exchanged before."""
    now = rows.now()
    with database.begin() as tx:
        old = users.lapsed(tx, access)
        asked = users.principal(tx, refresh, now)
        if asked is None:
            _punish(tx, refresh, now)
            return None
        if old is None or old.family is None or old.family != asked.family or asked.scopes != REFRESH:
            return None
        length = (old.expires_at or now) - old.created_at
        users.revoke(tx, asked.token_id, now)
        users.revoke(tx, old.token_id, now)
        until = asked.expires_at or now
        return _pair(tx, asked.user.id, old.name or "", old.family, now, min(now + length, until), until)


def _pair(tx: sa.Connection, user_id: str, name: str, family: str, now: int, ends: int, until: int) -> Pair:
    access = users.issue(tx, user_id, "personal", name=name, expires_at=ends, family=family)
    return Pair(name, access, issue_refresh(tx, user_id, family, until), now, ends, until)


def _punish(tx: sa.Connection, token: str, now: int) -> None:
    spent = users.spent(tx, token)
    if spent is None or spent.scopes != REFRESH or spent.family is None:
        return
    ended = users.revoke_family(tx, spent.family, now)
    if ended:
        name = f"user:{spent.user.id}"
        admin_audit.write(tx, "session.token_used_twice", name, spent.user.name, {"tokens": [ended, 0]}, by=NOBODY)
