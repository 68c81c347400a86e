"""Connections."""

import json
import uuid
from typing import Any

import sqlalchemy as sa

from tallyport.domain.connections import Connection
from tallyport.store import rows
from tallyport.store.tables import connections


def new_id() -> str:
    """Make a connection id: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def add(tx: sa.Connection, connection: Connection) -> None:
    """Store a new connection."""
    tx.execute(sa.insert(connections).values(rows.to_row(connection)))


def find(tx: sa.Connection, connection_id: str) -> Connection | None:
    """Give a connection that is not deleted, or None."""
    query = sa.select(connections).where(connections.c.id == connection_id, connections.c.deleted_at.is_(None))
    row = tx.execute(query).mappings().first()
    return None if row is None else rows.to_value(Connection, row)


def same(tx: sa.Connection, platform: str, settings: dict[str, object]) -> Connection | None:
    """Give a connection with exactly these settings, or None."""
    query = sa.select(connections).where(
        connections.c.platform == platform,
        connections.c.settings == json.dumps(settings, separators=(",", ":")),
        connections.c.deleted_at.is_(None),
    )
    row = tx.execute(query.limit(1)).mappings().first()
    return None if row is None else rows.to_value(Connection, row)


def change(tx: sa.Connection, connection_id: str, **values: Any) -> bool:
    """Set columns; False when there is no such connection."""
    update = (
        sa.update(connections)
        .where(connections.c.id == connection_id, connections.c.deleted_at.is_(None))
        .values(**rows.columns(values), version=connections.c.version + 1, modified_at=rows.now())
    )
    return tx.execute(update).rowcount == 1


def page(
    tx: sa.Connection,
    *,
    platform: str | None = None,
    text: str | None = None,
    offset: int = 0,
    limit: int = 100,
) -> tuple[list[Connection], int]:
    """Give one page by name and the number of all that match."""
    query = sa.select(connections).where(connections.c.deleted_at.is_(None))
    if platform:
        query = query.where(connections.c.platform == platform)
    if text:
        query = query.where(connections.c.name.icontains(text, autoescape=True))
    total = tx.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    found = tx.execute(query.order_by(connections.c.name, connections.c.id).offset(offset).limit(limit)).mappings()
    return [rows.to_value(Connection, row) for row in found], total


def sealed(tx: sa.Connection) -> list[tuple[str, str]]:
    """Give the id and the sealed secrets of every connection that has some, deleted ones too."""
    query = sa.select(connections.c.id, connections.c.sealed).where(connections.c.sealed.isnot(None))
    return [(row.id, row.sealed) for row in tx.execute(query)]


def reseal(tx: sa.Connection, connection_id: str, text: str | None) -> None:
    """Put the same secrets, sealed anew; it is no new version of the connection."""
    tx.execute(sa.update(connections).where(connections.c.id == connection_id).values(sealed=text))
