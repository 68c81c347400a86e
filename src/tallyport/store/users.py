"""Users and tokens. A token is stored as its SHA-256 only."""

import hashlib
import secrets
import uuid
from collections.abc import Collection
from typing import Any, NamedTuple

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
    version: int = 1


class Principal(NamedTuple):
    """Who a valid token speaks for."""

    user: User
    token_id: str
    kind: str
    scopes: str
    expires_at: int | None = None
    family: str | None = None
    created_at: int = 0
    name: str | None = None


class Token(NamedTuple):
    """A token as it may be shown: everything but itself."""

    id: str
    user_id: str
    user: str
    kind: str
    name: str | None
    scopes: str
    created_at: int
    used_at: int
    expires_at: int | None


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


def change(tx: sa.Connection, user_id: str, *, is_new_version: bool = False, **values: object) -> bool:
    """Set columns of a user."""
    if is_new_version:
        values["version"] = users.c.version + 1
    return tx.execute(sa.update(users).where(users.c.id == user_id).values(**values)).rowcount == 1


def find(tx: sa.Connection, user_id: str) -> User | None:
    """Give a user by id, or None."""
    row = tx.execute(sa.select(users).where(users.c.id == user_id)).first()
    return None if row is None else User(*row)


def administrators(tx: sa.Connection) -> int:
    """Count the users who can administer: there is always to be one."""
    query = sa.select(sa.func.count()).select_from(users)
    return int(tx.execute(query.where(users.c.role == "admin", users.c.disabled.is_(False))).scalar_one())


def page(
    tx: sa.Connection, *, text: str | None = None, role: str | None = None, offset: int = 0, limit: int = 100
) -> tuple[list[User], int]:
    """Give one page by name, and the number of all that match."""
    query = sa.select(users)
    if text:
        query = query.where(sa.or_(*(c.icontains(text, autoescape=True) for c in (users.c.name, users.c.email))))
    if role is not None:
        query = query.where(users.c.role == role)
    total = tx.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    return [User(*row) for row in tx.execute(query.order_by(users.c.name).offset(offset).limit(limit))], total


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
    family: str | None = None,
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
            family=family,
        )
    )
    return text


_PRINCIPALS = sa.select(
    users,
    tokens.c.id,
    tokens.c.kind,
    tokens.c.scopes,
    tokens.c.expires_at,
    tokens.c.family,
    tokens.c.created_at,
    tokens.c.name,
).where(tokens.c.user_id == users.c.id)


def principal(tx: sa.Connection, token: str, now: int) -> Principal | None:
    """Say who a token speaks for; None when it is unknown, revoked, expired, idle too long or its user disabled."""
    query = _PRINCIPALS.where(
        tokens.c.digest == digest(token),
        tokens.c.revoked_at.is_(None),
        users.c.disabled.is_(False),
        sa.or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now),
        sa.or_(tokens.c.idle_seconds.is_(None), tokens.c.used_at + tokens.c.idle_seconds * 1_000_000 > now),
    )
    return _principal(tx, query)


def lapsed(tx: sa.Connection, token: str) -> Principal | None:
    """Say who a token speaks or spoke for: it may have expired, but nobody may have revoked it."""
    return _principal(tx, _PRINCIPALS.where(tokens.c.digest == digest(token), tokens.c.revoked_at.is_(None)))


def spent(tx: sa.Connection, token: str) -> Principal | None:
    """Say who a token spoke for that was revoked."""
    return _principal(tx, _PRINCIPALS.where(tokens.c.digest == digest(token), tokens.c.revoked_at.isnot(None)))


def _principal(tx: sa.Connection, query: sa.Select[Any]) -> Principal | None:
    row = tx.execute(query).first()
    if row is None:
        return None
    own = len(User._fields)
    return Principal(User(*row[:own]), *row[own:])


def held(
    tx: sa.Connection,
    now: int,
    *,
    user_id: str | None = None,
    token_id: str | None = None,
    kind: str | None = None,
    offset: int = 0,
    limit: int = 100,
) -> tuple[list[Token], int]:
    """Give one page of the tokens that hold, the newest first, and their number."""
    query = sa.select(
        tokens.c.id,
        tokens.c.user_id,
        users.c.name.label("user"),
        tokens.c.kind,
        tokens.c.name,
        tokens.c.scopes,
        tokens.c.created_at,
        tokens.c.used_at,
        tokens.c.expires_at,
    ).where(
        tokens.c.user_id == users.c.id,
        tokens.c.revoked_at.is_(None),
        sa.or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now),
        sa.or_(tokens.c.idle_seconds.is_(None), tokens.c.used_at + tokens.c.idle_seconds * 1_000_000 > now),
    )
    if user_id is not None:
        query = query.where(tokens.c.user_id == user_id)
    if token_id is not None:
        query = query.where(tokens.c.id == token_id)
    if kind is not None:
        query = query.where(tokens.c.kind == kind)
    total = tx.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    found = tx.execute(query.order_by(tokens.c.created_at.desc(), tokens.c.id).offset(offset).limit(limit))
    return [Token(*row) for row in found], total


def revoke_all(tx: sa.Connection, user_id: str, now: int, *, kind: str | None = None, but: str | None = None) -> int:
    """End the tokens of a user, of one kind, all but one; gives how many."""
    update = sa.update(tokens).where(tokens.c.user_id == user_id, tokens.c.revoked_at.is_(None))
    if kind is not None:
        update = update.where(tokens.c.kind == kind)
    if but is not None:
        update = update.where(tokens.c.id != but)
    return tx.execute(update.values(revoked_at=now)).rowcount


def revoke_family(tx: sa.Connection, family: str, now: int) -> int:
    """End all that came of one sign-in; gives how many held."""
    update = sa.update(tokens).where(tokens.c.family == family, tokens.c.revoked_at.is_(None))
    return tx.execute(update.values(revoked_at=now)).rowcount


def purge(tx: sa.Connection, before: int, limit: int = 1_000) -> int:
    """Drop tokens that ended before a time; gives how many, at most ``limit``."""
    over = sa.or_(tokens.c.revoked_at < before, tokens.c.expires_at < before)
    chosen = sa.select(tokens.c.id).where(over).limit(limit)
    return tx.execute(sa.delete(tokens).where(tokens.c.id.in_(chosen))).rowcount


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
