"""Events, who is told of them, and answers that are given again."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from tallyport.store.tables.columns import Big, metadata, one_of, where

# The outbox: what is told to listeners. Written in the transaction of the change; ids grow in the order of commits.
events = Table(
    "events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("topic", Text, nullable=False),
    Column("job_id", Text),  # absent: an event that a client told, of something else
    Column("execution_id", Integer),
    Column("domain", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("space", Text),
    Column("facts", Text, nullable=False),  # JSON: how the job was then
    Column("actor", Text, nullable=False),  # name of who acted, or system
    Column("created_at", Big, nullable=False),
    Column("acknowledged_at", Big),
    Column("acknowledged_by", Text),
    sqlite_autoincrement=True,
)
Index("events_job", events.c.job_id, events.c.id)

# Who is told of events by a request to an address of theirs.
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("topics", Text, nullable=False, server_default="[]"),  # JSON list; empty = all
    Column("job_id", Text),  # of this job alone
    Column("sealed", Text, nullable=False),  # the signing secrets, sealed
    Column("disabled", Text),  # why nothing is sent
    Column("cursor", Integer, nullable=False),  # event up to which deliveries are made
    Column("resting_until", Big, nullable=False, server_default="0"),
    Column("served_until", Big, nullable=False, server_default="0"),  # by one process, which others leave it to
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", Big, nullable=False),
    Column("created_by", Text),
    Column("modified_at", Big, nullable=False),
    Column("deleted_at", Big),
)

# One event for one webhook, until it is delivered or given up.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("webhook_id", Text, ForeignKey("webhooks.id"), nullable=False),
    Column("event_id", Integer, nullable=False),
    Column("topic", Text, nullable=False),
    Column("body", Text, nullable=False),  # the same at every attempt
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("next_at", Big),
    Column("created_at", Big, nullable=False),
    Column("ended_at", Big),
    one_of("state", ("pending", "delivered", "dead")),
    CheckConstraint("(state = 'pending') = (next_at IS NOT NULL)", name="pending_has_time"),
    sqlite_autoincrement=True,
)
Index("deliveries_due", deliveries.c.webhook_id, deliveries.c.state, deliveries.c.id)
Index("deliveries_ended", deliveries.c.ended_at, **where(deliveries.c.ended_at.isnot(None)))

# The delivery log.
delivery_attempts = Table(
    "delivery_attempts",
    metadata,
    Column("delivery_id", Integer, ForeignKey("deliveries.id"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("attempted_at", Big, nullable=False),
    Column("milliseconds", Integer, nullable=False),
    Column("status", Integer),  # absent when no answer came
    Column("answer", Text, nullable=False),  # how it began, or why there was none
)

# One answer for one idempotency key.
replies = Table(
    "replies",
    metadata,
    Column("principal", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request", Text, nullable=False),  # SHA-256 of method, path and body
    Column("status", Integer),  # absent while the first one is still at work
    Column("headers", Text, nullable=False, server_default="{}"),  # JSON: those that belong to the answer
    Column("body", LargeBinary),
    Column("created_at", Big, nullable=False),
)
