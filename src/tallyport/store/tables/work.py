"""What is handed out to workers, and the workers."""

import sqlalchemy as sa
from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from tallyport.store.tables.columns import Big, metadata, one_of, where

# The frontier: one row for each container to visit in an execution.
visits = Table(
    "visits",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("execution_id", Integer, ForeignKey("executions.id"), nullable=False),
    Column("item_id", Big, nullable=False),
    Column("path", LargeBinary, nullable=False),
    Column("d_path", LargeBinary, nullable=False),
    Column("fresh", Boolean, nullable=False),  # made at the destination by this execution
    Column("blank", Boolean, nullable=False, server_default=sa.false()),  # no item below is known
    Column("gone", Text, nullable=False, server_default=""),  # the side that no longer has it
    Column("names", Text),  # JSON: look at these alone (retry)
    Column("keeps", Boolean, nullable=False, server_default=sa.false()),  # it is to go, and something in it stays
    Column("slice", LargeBinary),  # marshal: a range of a huge container, with what was listed in it (engine.slices)
    Column("through", LargeBinary),  # last name of that range; absent = to the end
    Column("state", Text, nullable=False),
    Column("batch_id", Big),
    Column("attempts", Integer, nullable=False, server_default="0"),
    one_of("state", ("pending", "claimed", "done", "failed")),
    CheckConstraint("(state = 'claimed') = (batch_id IS NOT NULL)", name="claimed_has_batch"),
)
Index("visits_state", visits.c.execution_id, visits.c.state, visits.c.id)
Index("visits_item", visits.c.item_id)
Index("visits_keeping", visits.c.execution_id, **where(visits.c.keeps))
Index(
    "visits_batch",
    visits.c.batch_id,
    **where(visits.c.batch_id.isnot(None)),
)

# Work that a visit found and another task does: parts of big files, hard links, deletes, folder times.
tasks = Table(
    "tasks",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("execution_id", Integer, ForeignKey("executions.id"), nullable=False),
    Column("task", Text, nullable=False),
    Column("item_id", Big, nullable=False),
    Column("container_id", Big, nullable=False),
    Column("path", LargeBinary, nullable=False),
    Column("d_path", LargeBinary, nullable=False),
    Column("device", Big, nullable=False, server_default="0"),
    Column("inode", Big, nullable=False, server_default="0"),
    Column("start", Big, nullable=False, server_default="0"),  # of a part: offset in bytes
    Column("size", Big, nullable=False, server_default="0"),
    Column("hash", LargeBinary),  # of a part that is done
    Column("temporary", Text),
    Column("payload", LargeBinary, nullable=False, server_default=""),  # marshal of what the task needs
    Column("state", Text, nullable=False),
    Column("batch_id", Big),
    Column("attempts", Integer, nullable=False, server_default="0"),
    one_of("task", ("part", "finish", "link", "delete_source", "delete_destination", "stamp", "lock")),
    one_of("state", ("blocked", "pending", "claimed", "done", "failed")),
    CheckConstraint("(state = 'claimed') = (batch_id IS NOT NULL)", name="claimed_has_batch"),
)
Index(
    "tasks_state",
    tasks.c.execution_id,
    tasks.c.state,
    tasks.c.task,
    tasks.c.device,
    tasks.c.inode,
    tasks.c.id,
)
Index("tasks_item", tasks.c.item_id)
Index(
    "tasks_batch",
    tasks.c.batch_id,
    **where(tasks.c.batch_id.isnot(None)),
)

# What is handed to the dispatcher. Its rows there can be dropped and rebuilt from these.
batches = Table(
    "batches",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("execution_id", Integer, ForeignKey("executions.id"), nullable=False),
    Column("queue", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("labels", Text, nullable=False, server_default=""),  # space separated: what its holder must have
    Column("seats", Integer, nullable=False, server_default="0"),  # transfers it may have under way; 0 = no cap
    Column("epoch", Integer, nullable=False),  # grows at every hand-over; an older holder is fenced
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("owner", Text),
    Column("commits", Integer, nullable=False, server_default="0"),  # tells whether a commit without an answer counted
    Column("created_at", Big, nullable=False),
    Column("ended_at", Big),
    one_of("queue", ("control", "enumerate", "transfer", "parts")),
    one_of("state", ("ready", "running", "done")),
    sqlite_autoincrement=True,
)
Index(
    "batches_open",
    batches.c.execution_id,
    **where(batches.c.state != "done"),
)

# Numbers of processes: identifiers made by two that live at one time never meet (``store.ids``). PostgreSQL only.
process_numbers = sa.Sequence("process_numbers", metadata=metadata)

# Which ledger this is, as of its last start (``store.identity``): one row.
identity = Table(
    "identity",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
)

# How many calls at once each worker found to suit a connection, and until when the platform asks to wait.
widths = Table(
    "widths",
    metadata,
    Column("connection_id", Text, ForeignKey("connections.id"), primary_key=True),
    Column("worker", Text, primary_key=True),  # workers.id; "local" where one process works alone
    Column("places", Integer),  # absent: not found yet
    Column("waits_until", Big),  # by the database's clock; absent: it does not ask to wait
    Column("found_at", Big, nullable=False),
    CheckConstraint("places BETWEEN 1 AND 1024", name="places_possible"),
)

# Processes that work batches on a shared database. Times are the database's own.
workers = Table(
    "workers",
    metadata,
    Column("id", Text, primary_key=True),  # host, process and a random part, new at each start
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", Text, nullable=False),
    Column("labels", Text, nullable=False, server_default=""),  # space separated: which places it can reach
    Column("width", Integer, nullable=False),  # groups that it works at once
    Column("started_at", Big, nullable=False),
    Column("beat_at", Big, nullable=False),
    Column("draining", Boolean, nullable=False, server_default=sa.false()),
    Column("trouble", Text),  # what it last could not do, for people
)
