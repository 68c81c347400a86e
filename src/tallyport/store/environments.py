"""Environments: what agents and their jobs are kept apart by."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from tallyport.store import rows
from tallyport.store.tables import environments


class Environment(NamedTuple):
    """One environment."""

    id: str
    name: str
    is_production: bool
    document: Mapping[str, Any]  # what its maker said of it beside
    version: int
    created_at: int
    modified_at: int


SHIPPED = {
    one.id: one
    for one in (
        Environment("production", "production", True, {}, 1, 0, 0),
        Environment("development", "development", False, {}, 1, 0, 0),
    )
}
"""Those that are there from the beginning; a row stands for one only after it was changed."""


def find(tx: sa.Connection, environment_id: str) -> Environment | None:
    """Give an environment, or None."""
    row = tx.execute(
        sa.select(environments).where(environments.c.id == environment_id, environments.c.deleted_at.is_(None))
    ).mappings()
    found = row.first()
    return SHIPPED.get(environment_id) if found is None else _environment(found)


def every(tx: sa.Connection) -> list[Environment]:
    """Give all environments by name."""
    query = sa.select(environments).where(environments.c.deleted_at.is_(None))
    stored = {row["id"]: _environment(row) for row in tx.execute(query).mappings()}
    return sorted({**SHIPPED, **stored}.values(), key=lambda one: (one.name, one.id))


def put(tx: sa.Connection, value: Environment) -> None:
    """Store an environment, in the place of the one with its id."""
    values = {
        "name": value.name,
        "is_production": value.is_production,
        "document": json.dumps(dict(value.document)),
        "version": value.version,
        "modified_at": value.modified_at,
    }
    changed = tx.execute(sa.update(environments).where(environments.c.id == value.id).values(values)).rowcount
    if not changed:
        tx.execute(sa.insert(environments).values(id=value.id, created_at=value.created_at, **values))


def drop(tx: sa.Connection, environment_id: str) -> None:
    """Hide an environment."""
    tx.execute(sa.update(environments).where(environments.c.id == environment_id).values(deleted_at=rows.now()))


def _environment(row: sa.RowMapping) -> Environment:
    values = {name: row[name] for name in Environment._fields}
    return Environment(**{**values, "document": json.loads(row["document"])})
