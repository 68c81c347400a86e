"""Secrets with names: each kept sealed, for an environment, perhaps for one space or one actor in it."""

from collections.abc import Iterator
from typing import NamedTuple

import sqlalchemy as sa

from tallyport.store.tables import named_secrets


class NamedSecret(NamedTuple):
    """One secret as it may be shown: everything but its value."""

    id: str
    environment: str
    space: str  # empty: of all
    actor: str  # empty: of all
    name: str
    created_at: int
    modified_at: int


def find(tx: sa.Connection, secret_id: str) -> NamedSecret | None:
    """Give a secret, or None."""
    row = tx.execute(sa.select(*_SHOWN).where(named_secrets.c.id == secret_id)).first()
    return None if row is None else NamedSecret(*row)


def of(tx: sa.Connection, environment: str, space: str, actor: str) -> list[NamedSecret]:
    """Give what is in force for an environment, a space and an actor, by name: the narrower one of two of a name."""
    query = sa.select(*_SHOWN).where(
        named_secrets.c.environment == environment,
        named_secrets.c.space.in_(["", space]),
        named_secrets.c.actor.in_(["", actor]),
    )
    order = (named_secrets.c.name, named_secrets.c.space, named_secrets.c.actor)
    return list({one.name: one for one in (NamedSecret(*row) for row in tx.execute(query.order_by(*order)))}.values())


def named(tx: sa.Connection, environment: str, space: str, actor: str, name: str) -> NamedSecret | None:
    """Give exactly this one, or None."""
    query = sa.select(*_SHOWN).where(
        named_secrets.c.environment == environment,
        named_secrets.c.space == space,
        named_secrets.c.actor == actor,
        named_secrets.c.name == name,
    )
    row = tx.execute(query).first()
    return None if row is None else NamedSecret(*row)


def add(tx: sa.Connection, value: NamedSecret, sealed: str) -> None:
    """Store a new secret."""
    tx.execute(sa.insert(named_secrets).values(**value._asdict(), sealed=sealed))


def change(tx: sa.Connection, secret_id: str, sealed: str, at: int) -> None:
    """Put another value."""
    tx.execute(sa.update(named_secrets).where(named_secrets.c.id == secret_id).values(sealed=sealed, modified_at=at))


def drop(tx: sa.Connection, secret_id: str) -> None:
    """Forget a secret for good."""
    tx.execute(sa.delete(named_secrets).where(named_secrets.c.id == secret_id))


def count(tx: sa.Connection, environment: str) -> int:
    """Count the secrets of an environment."""
    query = sa.select(sa.func.count()).select_from(named_secrets).where(named_secrets.c.environment == environment)
    return int(tx.execute(query).scalar_one())


def sealed(tx: sa.Connection) -> Iterator[tuple[str, str]]:
    """Give the id and the sealed text of each."""
    query = sa.select(named_secrets.c.id, named_secrets.c.sealed)
    yield from ((row.id, row.sealed) for row in tx.execute(query).all())


def reseal(tx: sa.Connection, secret_id: str, text: str | None) -> None:
    """Put the same value, sealed anew."""
    tx.execute(sa.update(named_secrets).where(named_secrets.c.id == secret_id).values(sealed=text))


_SHOWN = [named_secrets.c[name] for name in NamedSecret._fields]
