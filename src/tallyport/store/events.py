"""The outbox: what is told to listeners, written in the transaction of the change itself.

``store.jobs`` and ``store.executions`` write here when they change a job, so that control and engine tell the same and
nothing is told of a change that was rolled back. Ids grow in the order of commits.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from tallyport.domain.events import Labels, Topic, facts, labels
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.store import rows
from tallyport.store.acting import actor
from tallyport.store.names import events
from tallyport.store.phrases import sa

_ORDER_LOCK = 7_401_001  # PostgreSQL: writers of events take turns, so that no smaller id commits later


class Event(NamedTuple):
    """One event as stored."""

    id: int
    topic: str
    job_id: str | None  # absent: a client told it, of something else
    execution_id: int | None
    labels: Labels
    facts: Mapping[str, Any]
    actor: str
    created_at: int
    acknowledged_at: int | None
    acknowledged_by: str | None


def write(
    tx: sa.Connection, topics: Iterable[Topic], job: Job, execution: Execution | None = None, **more: object
) -> None:
    """Append events of a job as it is now; ``more`` joins the facts."""
    wanted = list(topics)
    if not wanted:
        return
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ORDER_LOCK})")
    chosen = labels(job)
    base = {
        "job_id": job.id,
        "execution_id": job.execution_id if execution is None else execution.id,
        "domain": chosen.domain,
        "operation": chosen.operation,
        "environment": chosen.environment,
        "space": chosen.space,
        "facts": json.dumps({**facts(job, execution), **more}, separators=(",", ":")),
        "actor": actor().user,
        "created_at": rows.now(),
    }
    tx.execute(sa.insert(events), [{**base, "topic": topic.value} for topic in wanted])


def tell(tx: sa.Connection, topic: str, about: Labels, job_id: str | None, told: Mapping[str, object]) -> Event:
    """Append an event that a client told."""
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ORDER_LOCK})")
    values = {
        "topic": topic,
        "job_id": job_id,
        "domain": about.domain,
        "operation": about.operation,
        "environment": about.environment,
        "space": about.space,
        "facts": json.dumps(dict(told), separators=(",", ":")),
        "actor": actor().user,
        "created_at": rows.now(),
    }
    row = tx.execute(sa.insert(events).values(values).returning(events)).mappings().one()
    return _event(row)


def page(
    tx: sa.Connection,
    *,
    after: int | None = None,
    before: int | None = None,
    job_id: str | None = None,
    topics: Collection[str] = (),
    hidden: Collection[str] = (),
    domain: str | None = None,
    environment: str | None = None,
    space: str | None = None,
    since: int | None = None,
    acknowledged: bool = True,
    of_jobs: bool | None = None,
    offset: int = 0,
    limit: int = 100,
    newest_first: bool = False,
) -> list[Event]:
    """Give events in the order they were written, or the newest first."""
    query = sa.select(events).where(
        *_chosen(job_id, topics, hidden, domain, environment, space, since, acknowledged, of_jobs),
    )
    if after is not None:
        query = query.where(events.c.id > after)
    if before is not None:
        query = query.where(events.c.id < before)
    order = events.c.id.desc() if newest_first else events.c.id
    return [_event(row) for row in tx.execute(query.order_by(order).offset(offset).limit(limit)).mappings()]


def count(
    tx: sa.Connection,
    *,
    job_id: str | None = None,
    topics: Collection[str] = (),
    hidden: Collection[str] = (),
    domain: str | None = None,
    environment: str | None = None,
    space: str | None = None,
    since: int | None = None,
    acknowledged: bool = True,
    of_jobs: bool | None = None,
) -> int:
    """Count what :func:`page` would give without bounds; at most what retention keeps."""
    chosen = _chosen(job_id, topics, hidden, domain, environment, space, since, acknowledged, of_jobs)
    return int(tx.execute(sa.select(sa.func.count()).select_from(events).where(*chosen)).scalar_one())


def find(tx: sa.Connection, event_id: int) -> Event | None:
    """Give one event, or None."""
    row = tx.execute(sa.select(events).where(events.c.id == event_id)).mappings().first()
    return None if row is None else _event(row)


def acknowledge(tx: sa.Connection, event_id: int, by: str) -> bool:
    """Note that somebody dealt with an event; the first time counts. False when there is no such event."""
    found = tx.execute(
        sa.update(events)
        .where(events.c.id == event_id)
        .values(
            acknowledged_at=sa.func.coalesce(events.c.acknowledged_at, rows.now()),
            acknowledged_by=sa.func.coalesce(events.c.acknowledged_by, by),
        )
    )
    return found.rowcount == 1


def last_id(tx: sa.Connection) -> int:
    """Give the newest id; 0 when there is none."""
    return int(tx.execute(sa.select(sa.func.max(events.c.id))).scalar() or 0)


def first_id(tx: sa.Connection) -> int:
    """Give the oldest id that is kept; 0 when there is none."""
    return int(tx.execute(sa.select(sa.func.min(events.c.id))).scalar() or 0)


def purge(tx: sa.Connection, *, before: int, up_to: int, limit: int = 1_000) -> int:
    """Drop events written before a time whose id is at most ``up_to``; gives how many, at most ``limit``."""
    old = sa.select(events.c.id).where(events.c.id <= up_to, events.c.created_at < before)
    chosen = old.order_by(events.c.id).limit(limit)
    return tx.execute(sa.delete(events).where(events.c.id.in_(chosen))).rowcount


def _chosen(
    job_id: str | None,
    topics: Collection[str],
    hidden: Collection[str],
    domain: str | None,
    environment: str | None,
    space: str | None,
    since: int | None,
    acknowledged: bool,
    of_jobs: bool | None,
) -> list[sa.ColumnElement[bool]]:
    wanted: list[sa.ColumnElement[bool]] = [
        column == value
        for column, value in (
            (events.c.job_id, job_id),
            (events.c.domain, domain),
            (events.c.environment, environment),
            (events.c.space, space),
        )
        if value is not None
    ]
    if topics:
        wanted.append(events.c.topic.in_(list(topics)))
    if hidden:
        wanted.append(events.c.topic.notin_(list(hidden)))
    if since is not None:
        wanted.append(events.c.created_at >= since)
    if of_jobs:
        wanted.append(events.c.topic.startswith("job:"))
    if not acknowledged:
        wanted.append(events.c.acknowledged_at.is_(None))
    return wanted


def _event(row: sa.RowMapping) -> Event:
    return Event(
        id=row["id"],
        topic=row["topic"],
        job_id=row["job_id"],
        execution_id=row["execution_id"],
        labels=Labels(row["domain"], row["operation"], row["environment"], row["space"]),
        facts=json.loads(row["facts"]),
        actor=row["actor"],
        created_at=row["created_at"],
        acknowledged_at=row["acknowledged_at"],
        acknowledged_by=row["acknowledged_by"],
    )
