"""Users and tokens. A token is stored as its SHA-256 only."""

import hashlib
import secrets
import uuid
from collections.abc import Collection
from typing import NamedTuple

import sqlalchemy as sa

from tallyport.store import rows
from tallyport.store.tables import tokens, users


class User(NamedTuple):
    """One user."""

    id: str
    name: str
    email: str | None
    password: str | None
    role: str
    disabled: bool
    failures: int
    locked_until: int | None
    created_at: int


class Principal(NamedTuple):
    """Who a valid token speaks for."""

    user: User
    token_id: str
    kind: str
    scopes: str


def digest(token: str) -> str:
    """Give what is stored of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def add(tx: sa.Connection, name: str, role: str, password: str | None, email: str | None = None) -> User:
    """Store a new user."""
    user = User(uuid.uuid4().hex, name, email, password, role, False, 0, None, rows.now())
    tx.execute(sa.insert(users).values(user._asdict()))
    return user


def named(tx: sa.Connection, name: str) -> User | None:
    """Give the user with this name or e-mail address, or None."""
    query = sa.select(users).where(sa.or_(users.c.name == name, users.c.email == name))
    row = tx.execute(query.limit(1)).first()
    return None if row is None else User(*row)


def change(tx: sa.Connection, user_id: str, **values: object) -> bool:
    """Set columns of a user."""
    return tx.execute(sa.update(users).where(users.c.id == user_id).values(**values)).rowcount == 1


def everyone(tx: sa.Connection) -> list[User]:
    """Give all users by name."""
    return [User(*row) for row in tx.execute(sa.select(users).order_by(users.c.name))]


def issue(
    tx: sa.Connection,
    user_id: str,
    kind: str,
    *,
    name: str | None = None,
    scopes: str = "",
    idle_seconds: int | None = None,
    expires_at: int | None = None,
) -> str:
    """Make a token of 256 random bits, store its digest, and give the text: the only time it is seen."""
    text = {"session": "", "personal": "pat_", "server": "sk_"}[kind] + secrets.token_hex(32)
    at = rows.now()
    tx.execute(
        sa.insert(tokens).values(
            id=uuid.uuid4().hex,
            user_id=user_id,
            digest=digest(text),
            kind=kind,
            name=name,
            scopes=scopes,
            created_at=at,
            used_at=at,
            idle_seconds=idle_seconds,
            expires_at=expires_at,
        )
    )
    return text


def principal(tx: sa.Connection, token: str, now: int) -> Principal | None:
    """Say who a token speaks for; None when it is unknown, revoked, expired, idle too long or its user disabled."""
    query = sa.select(users, tokens.c.id, tokens.c.kind, tokens.c.scopes).where(
        tokens.c.user_id == users.c.id,
        tokens.c.digest == digest(token),
        tokens.c.revoked_at.is_(None),
        users.c.disabled.is_(False),
        sa.or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now),
        sa.or_(tokens.c.idle_seconds.is_(None), tokens.c.used_at + tokens.c.idle_seconds * 1_000_000 > now),
    )
    row = tx.execute(query).first()
    if row is None:
        return None
    return Principal(User(*row[:9]), row[9], row[10], row[11])


def touch(tx: sa.Connection, token_id: str, now: int) -> None:
    """Remember that a token was used."""
    tx.execute(sa.update(tokens).where(tokens.c.id == token_id).values(used_at=now))


def revoke(tx: sa.Connection, token_id: str, now: int) -> None:
    """End a token."""
    tx.execute(sa.update(tokens).where(tokens.c.id == token_id).values(revoked_at=now))


def holding(tx: sa.Connection, token_ids: Collection[str], now: int) -> frozenset[str]:
    """Give those of some tokens that still hold: known, not revoked, not expired, their user not disabled."""
    query = sa.select(tokens.c.id).where(
        tokens.c.id.in_(list(token_ids)),
        tokens.c.user_id == users.c.id,
        tokens.c.revoked_at.is_(None),
        users.c.disabled.is_(False),
        sa.or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now),
    )
    return frozenset(row.id for row in tx.execute(query))
