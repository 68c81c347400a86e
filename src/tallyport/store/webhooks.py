"""Webhooks, what is to be delivered to them, and the log of attempts."""

import json
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from tallyport.store import rows
from tallyport.store.tables import deliveries, delivery_attempts, webhooks


class Webhook(NamedTuple):
    """One webhook as stored."""

    id: str
    name: str
    url: str
    topics: tuple[str, ...]
    job_id: str | None
    sealed: str
    disabled: str | None
    cursor: int
    resting_until: int
    version: int
    created_at: int
    created_by: str | None
    modified_at: int


class Delivery(NamedTuple):
    """One event for one webhook."""

    id: int
    webhook_id: str
    event_id: int
    topic: str
    body: str
    state: str
    attempts: int
    next_at: int | None
    created_at: int
    ended_at: int | None


class Attempt(NamedTuple):
    """One attempt to deliver."""

    delivery_id: int
    number: int
    attempted_at: int
    milliseconds: int
    status: int | None
    answer: str


def new_id() -> str:
    """Make a webhook id: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def add(tx: sa.Connection, value: Webhook) -> None:
    """Store a new webhook."""
    tx.execute(sa.insert(webhooks).values({**value._asdict(), "topics": json.dumps(list(value.topics))}))


def find(tx: sa.Connection, webhook_id: str) -> Webhook | None:
    """Give a webhook that is not deleted, or None."""
    query = sa.select(webhooks).where(webhooks.c.id == webhook_id, webhooks.c.deleted_at.is_(None))
    row = tx.execute(query).mappings().first()
    return None if row is None else _webhook(row)


def page(tx: sa.Connection, *, offset: int = 0, limit: int = 100) -> tuple[list[Webhook], int]:
    """Give one page by name, and the number of all."""
    query = sa.select(webhooks).where(webhooks.c.deleted_at.is_(None))
    total = tx.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    found = tx.execute(query.order_by(webhooks.c.name, webhooks.c.id).offset(offset).limit(limit)).mappings()
    return [_webhook(row) for row in found], total


def active(tx: sa.Connection) -> list[Webhook]:
    """Give every webhook that is sent to."""
    query = sa.select(webhooks).where(webhooks.c.deleted_at.is_(None), webhooks.c.disabled.is_(None))
    return [_webhook(row) for row in tx.execute(query.order_by(webhooks.c.id)).mappings()]


def change(tx: sa.Connection, webhook_id: str, **values: Any) -> bool:
    """Set columns as a person does: a new version."""
    if "topics" in values:
        values["topics"] = json.dumps(list(values["topics"]))
    update = sa.update(webhooks).where(webhooks.c.id == webhook_id, webhooks.c.deleted_at.is_(None))
    changed = update.values(**values, version=webhooks.c.version + 1, modified_at=rows.now())
    return tx.execute(changed).rowcount == 1


def rest(tx: sa.Connection, webhook_id: str, until: int) -> None:
    """Leave a webhook alone until a time."""
    tx.execute(sa.update(webhooks).where(webhooks.c.id == webhook_id).values(resting_until=until))


def take(tx: sa.Connection, webhook_id: str, now: int, until: int) -> bool:
    """Serve a webhook alone until a time; False while another process does: its events stay in order."""
    update = sa.update(webhooks).where(webhooks.c.id == webhook_id, webhooks.c.served_until <= now)
    return tx.execute(update.values(served_until=until)).rowcount == 1


def keep(tx: sa.Connection, webhook_id: str, until: int) -> None:
    """Go on serving a webhook until a time, or let go of it with 0."""
    tx.execute(sa.update(webhooks).where(webhooks.c.id == webhook_id).values(served_until=until))


def advance(tx: sa.Connection, webhook_id: str, before: int, after: int) -> bool:
    """Move the cursor by compare-and-set; False when another process was faster."""
    update = sa.update(webhooks).where(webhooks.c.id == webhook_id, webhooks.c.cursor == before)
    return tx.execute(update.values(cursor=after)).rowcount == 1


def least_cursor(tx: sa.Connection) -> int | None:
    """Give the event up to which every active webhook has its deliveries; None when there is none."""
    query = sa.select(sa.func.min(webhooks.c.cursor)).where(
        webhooks.c.deleted_at.is_(None), webhooks.c.disabled.is_(None)
    )
    found = tx.execute(query).scalar()
    return None if found is None else int(found)


# -- deliveries ------------------------------------------------------------------------------------------------


def queue(tx: sa.Connection, webhook_id: str, several: Sequence[tuple[int, str, str]], at: int) -> None:
    """Store deliveries of (event id, topic, body), due at a time."""
    if several:
        made = {"webhook_id": webhook_id, "state": "pending", "next_at": at, "created_at": at}
        tx.execute(
            sa.insert(deliveries),
            [{**made, "event_id": event, "topic": topic, "body": body} for event, topic, body in several],
        )


def due(tx: sa.Connection, webhook_id: str, now: int, limit: int) -> list[Delivery]:
    """Give deliveries whose time has come, oldest first."""
    query = sa.select(deliveries).where(
        deliveries.c.webhook_id == webhook_id, deliveries.c.state == "pending", deliveries.c.next_at <= now
    )
    return [Delivery(*row) for row in tx.execute(query.order_by(deliveries.c.id).limit(limit))]


def claim(tx: sa.Connection, delivery: Delivery, until: int) -> bool:
    """Take a delivery until a time, by compare-and-set: another process leaves it alone until then.

    Counts the attempt now: an attempt that kills the process counts.
    """
    update = sa.update(deliveries).where(
        deliveries.c.id == delivery.id, deliveries.c.state == "pending", deliveries.c.next_at == delivery.next_at
    )
    return tx.execute(update.values(next_at=until, attempts=deliveries.c.attempts + 1)).rowcount == 1


def settle(tx: sa.Connection, delivery_id: int, state: str, next_at: int | None) -> None:
    """Say how an attempt ended."""
    ended = None if state == "pending" else rows.now()
    tx.execute(
        sa.update(deliveries).where(deliveries.c.id == delivery_id).values(state=state, next_at=next_at, ended_at=ended)
    )


def log(tx: sa.Connection, attempt: Attempt) -> None:
    """Append to the delivery log."""
    tx.execute(sa.insert(delivery_attempts).values(attempt._asdict()))


def bury(tx: sa.Connection, webhook_id: str) -> int:
    """Give up everything that is pending for a webhook; gives how many."""
    update = sa.update(deliveries).where(deliveries.c.webhook_id == webhook_id, deliveries.c.state == "pending")
    return tx.execute(update.values(state="dead", next_at=None, ended_at=rows.now())).rowcount


def revive(tx: sa.Connection, webhook_id: str, *, delivery_id: int | None = None) -> int:
    """Have dead letters tried again from the beginning, one or all; a delivered one too when it is named."""
    update = sa.update(deliveries).where(deliveries.c.webhook_id == webhook_id)
    if delivery_id is None:
        update = update.where(deliveries.c.state == "dead")
    else:
        update = update.where(deliveries.c.id == delivery_id, deliveries.c.state != "pending")
    return tx.execute(update.values(state="pending", attempts=0, next_at=0, ended_at=None)).rowcount


def delivery(tx: sa.Connection, webhook_id: str, delivery_id: int) -> Delivery | None:
    """Give one delivery of a webhook, or None."""
    query = sa.select(deliveries).where(deliveries.c.id == delivery_id, deliveries.c.webhook_id == webhook_id)
    row = tx.execute(query).first()
    return None if row is None else Delivery(*row)


def deliveries_page(
    tx: sa.Connection, webhook_id: str, *, state: str | None = None, before: int | None = None, limit: int = 100
) -> list[Delivery]:
    """Give deliveries of a webhook, the newest first."""
    query = sa.select(deliveries).where(deliveries.c.webhook_id == webhook_id)
    if state is not None:
        query = query.where(deliveries.c.state == state)
    if before is not None:
        query = query.where(deliveries.c.id < before)
    return [Delivery(*row) for row in tx.execute(query.order_by(deliveries.c.id.desc()).limit(limit))]


def counts(tx: sa.Connection, webhook_id: str) -> dict[str, int]:
    """Count the deliveries of a webhook by state."""
    query = sa.select(deliveries.c.state, sa.func.count()).where(deliveries.c.webhook_id == webhook_id)
    return {state: int(number) for state, number in tx.execute(query.group_by(deliveries.c.state))}


def attempts(tx: sa.Connection, delivery_id: int, limit: int = 100) -> list[Attempt]:
    """Give the log of one delivery, oldest first."""
    query = sa.select(delivery_attempts).where(delivery_attempts.c.delivery_id == delivery_id)
    return [Attempt(*row) for row in tx.execute(query.order_by(delivery_attempts.c.number).limit(limit))]


def purge(tx: sa.Connection, state: str, before: int, limit: int = 500) -> int:
    """Drop deliveries that ended before a time, with their log; gives how many, at most ``limit``."""
    chosen = [
        row.id
        for row in tx.execute(
            sa.select(deliveries.c.id).where(deliveries.c.state == state, deliveries.c.ended_at < before).limit(limit)
        )
    ]
    if chosen:
        tx.execute(sa.delete(delivery_attempts).where(delivery_attempts.c.delivery_id.in_(chosen)))
        tx.execute(sa.delete(deliveries).where(deliveries.c.id.in_(chosen)))
    return len(chosen)


def sealed(tx: sa.Connection) -> list[tuple[str, str]]:
    """Give the id and the sealed secrets of every webhook."""
    return [(row.id, row.sealed) for row in tx.execute(sa.select(webhooks.c.id, webhooks.c.sealed))]


def reseal(tx: sa.Connection, webhook_id: str, text: str | None) -> None:
    """Put the same secrets, sealed anew."""
    tx.execute(sa.update(webhooks).where(webhooks.c.id == webhook_id).values(sealed=text))


def _webhook(row: sa.RowMapping) -> Webhook:
    values = {name: row[name] for name in Webhook._fields}
    return Webhook(**{**values, "topics": tuple(json.loads(row["topics"]))})


def count_all(tx: sa.Connection) -> dict[str, int]:
    """Count the deliveries of all webhooks by state."""
    query = sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state)
    return {state: int(number) for state, number in tx.execute(query)}
