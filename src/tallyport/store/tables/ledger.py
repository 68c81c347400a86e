"""What a job knows of its items, and what became of them in each execution."""

import sqlalchemy as sa
from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from tallyport.store.tables.columns import Big, metadata, one_of, where

# One row for each path of a job.
items = Table(
    "items",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("job", Integer, nullable=False),  # jobs.number
    Column("parent_id", Big, nullable=False),  # item of the container; 0 for a root
    Column("name", LargeBinary, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("status", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("s_size", Big),
    Column("s_modified", Big),
    Column("s_tag", LargeBinary),
    Column("d_size", Big),
    Column("d_modified", Big),
    Column("d_tag", LargeBinary),
    Column("hash", LargeBinary),
    Column("level", Integer, nullable=False),  # verify level reached
    Column("d_name", LargeBinary),
    Column("processing", Text),
    Column("message", Text),
    Column("execution_id", Integer, nullable=False),  # that settled it last
    Column("settled_at", Big, nullable=False),
    Column("lost", Big),  # what it lacks where it was carried to: bits of domain.losses.Fact; absent or 0: nothing
    CheckConstraint("kind BETWEEN 1 AND 4", name="kind_known"),
    CheckConstraint("status BETWEEN 0 AND 6", name="status_known"),
    CheckConstraint("level BETWEEN 0 AND 5", name="level_known"),
)
Index("items_name", items.c.parent_id, items.c.name, items.c.job, unique=True)
Index("items_job", items.c.job, items.c.status, items.c.id)
Index("items_renamed", items.c.parent_id, items.c.d_name, **where(items.c.d_name.is_not(None)))
Index("items_lost", items.c.job, items.c.id, items.c.lost, **where(items.c.lost > 0))

# How many items of a job are failed now. Triggers on ``items`` keep it (``triggers.py``); nobody else writes it.
unresolved = Table(
    "unresolved",
    metadata,
    Column("job", Integer, primary_key=True, autoincrement=False),  # jobs.number
    Column("number", Big, nullable=False),
)

containers = Table(
    "containers",
    metadata,
    Column("item_id", Big, primary_key=True, autoincrement=False),
    Column("job", Integer, nullable=False),
    Column("parent_id", Big, nullable=False),
    Column("path", LargeBinary, nullable=False),
    Column("d_path", LargeBinary, nullable=False),
    Column("signature", LargeBinary),  # of the last clean visit; absent = look at everything
    Column("files", Big, nullable=False, server_default="0"),
    Column("bytes", Big, nullable=False, server_default="0"),
    Column(
        "unclean", Boolean, nullable=False, server_default=sa.false()
    ),  # a run that ended badly may have left something
    Column("execution_id", Integer, nullable=False),
)
Index("containers_parent", containers.c.parent_id)
Index("containers_path", containers.c.job, containers.c.path)

# Locks that a job made again and did not take away yet. Another's lock is never here.
locks = Table(
    "locks",
    metadata,
    Column("job", Integer, primary_key=True, autoincrement=False),  # jobs.number
    Column("side", Text, primary_key=True),  # at which it is held
    Column("key", LargeBinary, primary_key=True),  # hash of ``path``
    Column("path", LargeBinary, nullable=False),  # at the source
    Column("d_path", LargeBinary, nullable=False),
    Column("token", Text, nullable=False),  # the platform's own name of it
    Column("execution_id", Integer, nullable=False),  # that made it or found it last
    one_of("side", ("source", "destination")),
)

# History: what failed in each execution. Never changed by later executions.
failures = Table(
    "failures",
    metadata,
    Column("execution_id", Integer, ForeignKey("executions.id"), primary_key=True),
    Column("item_id", Big, primary_key=True, autoincrement=False),
    Column("path", LargeBinary, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("status", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("size", Big),
    Column("modified", Big),
    Column("attempts", Integer, nullable=False),
    Column("failed_at", Big, nullable=False),
)
Index("failures_path", failures.c.execution_id, failures.c.path, failures.c.item_id)

# What an item lost on the way although it was asked for, in each execution that carried it.
losses = Table(
    "losses",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("execution_id", Integer, ForeignKey("executions.id"), nullable=False),
    Column("item_id", Big, nullable=False),
    Column("what", Text, nullable=False),  # a word of domain.losses.Lost
    Column("detail", Text, nullable=False),
)
Index("losses_item", losses.c.item_id)
Index("losses_execution", losses.c.execution_id, losses.c.item_id)

# Who carried which part of a huge file when it last went in parts. A file that goes whole has no row.
carried_parts = Table(
    "carried_parts",
    metadata,
    Column("item_id", Big, primary_key=True, autoincrement=False),
    Column("start", Big, primary_key=True, autoincrement=False),  # offset in bytes
    Column("execution_id", Integer, ForeignKey("executions.id"), nullable=False),
    Column("size", Big, nullable=False),
    Column("worker", Text, nullable=False),  # workers.id; "local" where one process works alone
    Column("carried_at", Big, nullable=False),
)

# Names of one file at the source (hard links) that were carried, by what they have in common there.
linked_names = Table(
    "linked_names",
    metadata,
    Column("item_id", Big, primary_key=True, autoincrement=False),
    Column("job", Integer, nullable=False),  # jobs.number
    Column("device", Big, nullable=False),
    Column("inode", Big, nullable=False),
)
Index("linked_names_file", linked_names.c.job, linked_names.c.device, linked_names.c.inode)

# Who was met on the items of a job, and became whom.
security_map = Table(
    "security_map",
    metadata,
    Column("job", Integer, primary_key=True, autoincrement=False),  # jobs.number
    Column("side", Text, primary_key=True),  # at which they were looked up
    Column("source", Text, primary_key=True),  # JSON of the principal
    Column("resolution", Text, nullable=False),  # a word of domain.maps.How
    Column("destination", Text),  # JSON; absent: nobody
    Column("message", Text),
    Column("permissions", Big, nullable=False),  # items they were met on
    Column("execution_id", Integer, nullable=False),  # that met them last
    one_of("side", ("source", "destination")),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("job_id", Text, nullable=False),
    Column("execution_id", Integer),
    Column("item_id", Big),
    Column("level", Integer, nullable=False),  # 1 trace, 2 debug, 3 info, 4 warn, 5 error
    Column("event", Text, nullable=False),
    Column("path", LargeBinary),
    Column("message", Text, nullable=False),
    Column("recorded_at", Big, nullable=False),
)
Index("audit_job", audit.c.job_id, audit.c.id)
Index("audit_item", audit.c.item_id, **where(audit.c.item_id.isnot(None)))
