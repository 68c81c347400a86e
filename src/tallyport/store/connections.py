"""Connections."""

import datetime
import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from tallyport.domain.connections import Connection
from tallyport.store import rows
from tallyport.store.names import connection_users, connections, users
from tallyport.store.phrases import sa


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


def named(tx: sa.Connection, name: str) -> list[Connection]:
    """Give the connections of a name: two at most, to tell one from several."""
    query = sa.select(connections).where(connections.c.name == name, connections.c.deleted_at.is_(None))
    return [rows.to_value(Connection, row) for row in tx.execute(query.limit(2)).mappings()]


def change(tx: sa.Connection, connection_id: str, **values: Any) -> bool:
    """Set columns; False when there is no such connection."""
    update = (
        sa.update(connections)
        .where(connections.c.id == connection_id, connections.c.deleted_at.is_(None))
        .values(**rows.columns(values), version=connections.c.version + 1, modified_at=rows.now())
    )
    return tx.execute(update).rowcount == 1


def measured(tx: sa.Connection, connection_id: str, facts: Mapping[str, object]) -> None:
    """Remember what a probe found, and when; it is no new version of the connection."""
    on = datetime.datetime.fromtimestamp(rows.now() // 1_000_000, datetime.UTC).isoformat()
    text = json.dumps({**facts, "measured_on": on})
    tx.execute(sa.update(connections).where(connections.c.id == connection_id).values(measured=text))


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


def labelled(tx: sa.Connection) -> list[Connection]:
    """Give every connection that only some workers reach, by name."""
    query = sa.select(connections).where(connections.c.labels != "[]", connections.c.deleted_at.is_(None))
    found = tx.execute(query.order_by(connections.c.name, connections.c.id)).mappings()
    return [rows.to_value(Connection, row) for row in found]


def sealed(tx: sa.Connection) -> list[tuple[str, str]]:
    """Give the id and the sealed secrets of every connection that has some, deleted ones too."""
    query = sa.select(connections.c.id, connections.c.sealed).where(connections.c.sealed.isnot(None))
    return [(row.id, row.sealed) for row in tx.execute(query)]


def reseal(tx: sa.Connection, connection_id: str, text: str | None) -> None:
    """Put the same secrets, sealed anew; it is no new version of the connection."""
    tx.execute(sa.update(connections).where(connections.c.id == connection_id).values(sealed=text))


def users_of(tx: sa.Connection, connection_id: str) -> list[tuple[str, str]]:
    """Give the id and name of everybody a connection is open to, by name."""
    query = sa.select(users.c.id, users.c.name).where(
        users.c.id == connection_users.c.user_id, connection_users.c.connection_id == connection_id
    )
    return [(row.id, row.name) for row in tx.execute(query.order_by(users.c.name))]


def open_to(tx: sa.Connection, connection_id: str, user_ids: Iterable[str]) -> None:
    """Put the list of those a connection is open to."""
    tx.execute(sa.delete(connection_users).where(connection_users.c.connection_id == connection_id))
    if chosen := [{"connection_id": connection_id, "user_id": one} for one in user_ids]:
        tx.execute(sa.insert(connection_users), chosen)


def closed_to(tx: sa.Connection, connection_ids: Iterable[str], user_id: str) -> list[str]:
    """Give the names of those among some connections that a user may not use."""
    mine = sa.select(connection_users.c.connection_id).where(connection_users.c.user_id == user_id)
    query = sa.select(connections.c.name).where(
        connections.c.id.in_(list(connection_ids)),
        connections.c.restricted.is_(True),
        connections.c.id.notin_(mine),
    )
    return [row.name for row in tx.execute(query)]
