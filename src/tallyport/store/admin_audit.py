"""The record of what people did to the installation: only appended to, each line chained to the one before."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from tallyport.store import rows
from tallyport.store.acting import actor
from tallyport.store.tables import admin_audit

_ORDER_LOCK = 7_401_002  # PostgreSQL: writers take turns, so that each sees the line before


class Line(NamedTuple):
    """One line of the record."""

    id: int
    recorded_at: int
    actor: str
    user_id: str | None
    token_id: str | None
    address: str | None
    request_id: str | None
    action: str
    object: str  # kind:id
    name: str | None
    changes: Mapping[str, Any]
    digest: str


def write(
    tx: sa.Connection,
    action: str,
    object: str,
    name: str | None = None,
    changes: Mapping[str, object] | None = None,
    *,
    by: str | None = None,
) -> None:
    """Append a line about what the present actor did; ``by`` when it is not known yet who asks."""
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ORDER_LOCK})")
    who = actor()
    values: dict[str, Any] = {
        "recorded_at": rows.now(),
        "actor": by or who.user,
        "user_id": who.user_id,
        "token_id": who.token_id,
        "address": who.address,
        "request_id": who.request_id,
        "action": action,
        "object": object,
        "name": name,
        "changes": json.dumps(dict(changes or {}), sort_keys=True, default=str),
    }
    last = sa.select(admin_audit.c.digest).order_by(admin_audit.c.id.desc()).limit(1)
    values["digest"] = _digest(tx.execute(last).scalar() or "", values)
    tx.execute(sa.insert(admin_audit).values(values))


def page(
    tx: sa.Connection,
    *,
    before: int | None = None,
    after: int | None = None,
    actor: str | None = None,
    action: str | None = None,
    object: str | None = None,
    since: int | None = None,
    until: int | None = None,
    limit: int = 100,
) -> list[Line]:
    """Give lines, the newest first; from ``after`` on, the oldest first. ``action`` may be the beginning of one."""
    query = sa.select(admin_audit)
    for column, value in ((admin_audit.c.actor, actor), (admin_audit.c.object, object)):
        if value is not None:
            query = query.where(column == value)
    if action is not None:
        query = query.where(admin_audit.c.action.startswith(action, autoescape=True))
    if since is not None:
        query = query.where(admin_audit.c.recorded_at >= since)
    if until is not None:
        query = query.where(admin_audit.c.recorded_at < until)
    if before is not None:
        query = query.where(admin_audit.c.id < before)
    if after is not None:
        query = query.where(admin_audit.c.id > after).order_by(admin_audit.c.id)
    else:
        query = query.order_by(admin_audit.c.id.desc())
    return [_line(row) for row in tx.execute(query.limit(limit)).mappings()]


def first_broken(tx: sa.Connection) -> int | None:
    """Give the first line that is not what was written, or whose line before is missing; None when all hold."""
    digest = ""
    for row in _all(tx):
        digest = _digest(digest, row)
        if digest != row["digest"]:
            return int(row["id"])
    return None


def _all(tx: sa.Connection, at_once: int = 1_000) -> Iterator[sa.RowMapping]:
    last = 0
    query = sa.select(admin_audit).order_by(admin_audit.c.id).limit(at_once)
    while found := tx.execute(query.where(admin_audit.c.id > last)).mappings().all():
        yield from found
        last = found[-1]["id"]


def _digest(before: str, values: Any) -> str:
    chained = [before, *(values[name] for name in Line._fields if name not in ("id", "digest"))]
    return hashlib.sha256(json.dumps(chained, separators=(",", ":")).encode()).hexdigest()


def _line(row: sa.RowMapping) -> Line:
    values = {name: row[name] for name in Line._fields}
    return Line(**{**values, "changes": json.loads(row["changes"])})
