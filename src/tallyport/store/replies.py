"""One answer for one idempotency key."""

import json
from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa

from tallyport.store.database import Database
from tallyport.store.tables import replies


class Reply(NamedTuple):
    """What is known of a request that was made with a key."""

    request: str
    status: int | None  # absent while the first one is still at work
    body: bytes | None
    created_at: int
    headers: dict[str, str]


def claim(
    tx: sa.Connection, database: Database, principal: str, key: str, request: str, at: int, oldest: int
) -> Reply | None:
    """Take a key for a request; gives what stands there when the key is taken since ``oldest`` or later."""
    tx.execute(
        sa.delete(replies).where(replies.c.principal == principal, replies.c.key == key, replies.c.created_at < oldest)
    )
    taken = tx.exec_driver_sql(
        database.sql(
            "INSERT INTO replies (principal, key, request, created_at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (principal, key) DO NOTHING"
        ),
        (principal, key, request, at),
    ).rowcount
    if taken == 1:
        return None
    row = tx.execute(
        sa.select(replies.c.request, replies.c.status, replies.c.body, replies.c.created_at, replies.c.headers).where(
            replies.c.principal == principal, replies.c.key == key
        )
    ).one()
    return Reply(row.request, row.status, row.body, row.created_at, json.loads(row.headers))


def keep(tx: sa.Connection, principal: str, key: str, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    """Store the answer of a claimed key."""
    tx.execute(
        sa.update(replies)
        .where(replies.c.principal == principal, replies.c.key == key)
        .values(status=status, body=body, headers=json.dumps(dict(headers)))
    )


def release(tx: sa.Connection, principal: str, key: str) -> None:
    """Give a key back: its request came to nothing and may be made again."""
    tx.execute(sa.delete(replies).where(replies.c.principal == principal, replies.c.key == key))


def expire(tx: sa.Connection, oldest: int) -> int:
    """Drop answers made before a time; gives how many."""
    return tx.execute(sa.delete(replies).where(replies.c.created_at < oldest)).rowcount
