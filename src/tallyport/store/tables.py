"""All tables, in reading order, with the checks that make an impossible row impossible.

Times are integer microseconds since 1970 UTC; file times are nanoseconds. Names and paths are bytes as the platform
gave them (``domain.paths.to_bytes``). Identifiers of items, visits and tasks are made by us and grow with time
(``store.ids``); an execution's identifier is one global integer sequence.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from tallyport.store.words import JOB_STATES, PRINCIPAL_TEXTS

metadata = MetaData()

# SQLite gives rowid semantics only to INTEGER; PostgreSQL needs 64 bits.
Big = BigInteger().with_variant(Integer(), "sqlite")


def _one_of(column: str, words: tuple[str, ...]) -> CheckConstraint:
    quoted = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({quoted})", name=f"{column}_word")


def _where(condition: sa.ColumnElement[bool]) -> dict[str, Any]:
    """Make an index partial, on both databases: see :func:`_tell_postgresql`."""
    return {"sqlite_where": condition}


@sa.event.listens_for(metadata, "before_create")
def _tell_postgresql(_target: MetaData, connection: sa.Connection, **_: object) -> None:
    """Give PostgreSQL the conditions of partial indexes, only there: naming it loads its dialect and drivers."""
    if connection.dialect.name == "postgresql":
        for index in (index for table in metadata.tables.values() for index in table.indexes):
            index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]


users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("email", Text),
    Column("password", Text),  # argon2 encoding; absent = no sign-in by password
    Column("role", Text, nullable=False),
    Column("disabled", Boolean, nullable=False, server_default=sa.false()),
    Column("failures", Integer, nullable=False, server_default="0"),  # failed sign-ins in a row
    Column("locked_until", Big),
    Column("created_at", Big, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),  # of what administrators change
    _one_of("role", ("viewer", "operator", "manager", "admin", "auditor")),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("digest", Text, nullable=False, unique=True),  # SHA-256 of the token, hexadecimal
    Column("kind", Text, nullable=False),
    Column("name", Text),
    Column("scopes", Text, nullable=False, server_default=""),  # space separated; empty = all of the role
    Column("created_at", Big, nullable=False),
    Column("used_at", Big, nullable=False),
    Column("idle_seconds", Integer),  # a session dies after this long without use
    Column("expires_at", Big),
    Column("revoked_at", Big),
    Column("family", Text),  # the same for all that came of one sign-in by renewing
    _one_of("kind", ("session", "personal", "server")),
)
Index("tokens_family", tokens.c.family, **_where(tokens.c.family.isnot(None)))

connections = Table(
    "connections",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("settings", Text, nullable=False),  # JSON without secrets
    Column("sealed", Text),  # secrets, sealed
    Column("measured", Text),  # JSON: what a probe found
    Column("restricted", Boolean, nullable=False, server_default=sa.false()),  # only those in connection_users
    Column("labels", Text, nullable=False, server_default="[]"),  # JSON list: what a worker that reaches it must have
    Column("max_transfers", Integer),  # at one time, over all jobs and workers; absent = no cap
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", Big, nullable=False),
    Column("created_by", Text),
    Column("modified_at", Big, nullable=False),
    Column("deleted_at", Big),
)

# Who may use a restricted connection, besides administrators.
connection_users = Table(
    "connection_users",
    metadata,
    Column("connection_id", Text, ForeignKey("connections.id"), primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
)

# What agents and their jobs are kept apart by. A shipped one stands here only after it was changed.
environments = Table(
    "environments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("is_production", Boolean, nullable=False),
    Column("document", Text, nullable=False),  # JSON: what its maker said of it beside
    Column("version", Integer, nullable=False),
    Column("created_at", Big, nullable=False),
    Column("modified_at", Big, nullable=False),
    Column("deleted_at", Big),
)

# Secrets with names. Without a space or an actor, of all of the environment.
named_secrets = Table(
    "named_secrets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("environment", Text, nullable=False),
    Column("space", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("created_at", Big, nullable=False),
    Column("modified_at", Big, nullable=False),
    UniqueConstraint("environment", "space", "actor", "name", name="secret_named_once"),
)

# Links that let somebody in once. Only the hash of what the link holds is kept.
invitations = Table(
    "invitations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", Text, nullable=False, unique=True),
    Column("created_at", Big, nullable=False),
    Column("expires_at", Big, nullable=False),
    Column("used_at", Big),
)

# What people did to the installation: append-only, each line chained to the one before by its digest.
admin_audit = Table(
    "admin_audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("recorded_at", Big, nullable=False),
    Column("actor", Text, nullable=False),
    Column("user_id", Text),
    Column("token_id", Text),
    Column("address", Text),
    Column("request_id", Text),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False),  # kind:id
    Column("name", Text),  # of the object then
    Column("changes", Text, nullable=False),  # JSON: field: [before, after]; secrets as ***
    Column("digest", Text, nullable=False),  # SHA-256 of the line before's and of this line
    sqlite_autoincrement=True,
)
Index("admin_audit_object", admin_audit.c.object, admin_audit.c.id)

# A person's filters of a list, kept under a name.
views = Table(
    "views",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("list", Text, nullable=False),  # which list it filters
    Column("name", Text, nullable=False),
    Column("query", Text, nullable=False),  # as it stands in the address
    Column("created_at", Big, nullable=False),
    UniqueConstraint("user_id", "list", "name", name="view_named_once"),
    _one_of("list", ("jobs", "items", "failed")),
)

categories = Table(
    "categories",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),  # 32 hexadecimal digits, never all decimal
    Column("number", Integer, nullable=False, unique=True),  # short form of the id, for item rows
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("managed", Boolean, nullable=False, server_default=sa.true()),
    Column("state", Text, nullable=False),
    Column("result", Text),
    Column("source_connection", Text, ForeignKey("connections.id")),
    Column("source_path", LargeBinary, nullable=False, server_default=""),
    Column("destination_connection", Text, ForeignKey("connections.id")),
    Column("destination_path", LargeBinary, nullable=False, server_default=""),
    Column("transfer_type", Text),
    Column("transfer", Text, nullable=False, server_default="{}"),  # JSON: the transfer block as given
    Column("schedule", Text, nullable=False, server_default="{}"),  # JSON as given
    Column("schedule_mode", Text, nullable=False, server_default="manual"),
    Column("stop_policy", Text, nullable=False, server_default="{}"),
    Column("category_id", Integer, ForeignKey("categories.id")),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("parent_id", Text, ForeignKey("jobs.id")),
    Column("part", Integer),  # of a job split off its parent: its place, from 0
    Column("on_predecessor_failure", Text, nullable=False, server_default="hold"),
    Column("lease_until", Big),  # of a job that an outside agent works
    Column("extra", Text, nullable=False, server_default="{}"),  # JSON: what one dialect keeps with a job
    Column("warnings", Text, nullable=False, server_default="[]"),  # JSON list of sentences
    Column("held", Boolean, nullable=False, server_default=sa.false()),
    Column("closed", Boolean, nullable=False, server_default=sa.false()),  # stop policy met: never runs again
    Column("disabled", Text),  # why it may not run, for people
    Column("next_run_at", Big),
    Column("reset", Text),  # acts on the next execution
    Column("root_item_id", Big),
    Column("execution_id", Big),  # the newest
    Column("executions", Integer, nullable=False, server_default="0"),
    Column("successes", Integer, nullable=False, server_default="0"),  # clean runs with nothing to do
    Column("failures", Integer, nullable=False, server_default="0"),  # runs with failed items
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", Big, nullable=False),
    Column("created_by", Text),
    Column("modified_at", Big, nullable=False),
    Column("deleted_at", Big),
    _one_of("state", JOB_STATES),
    _one_of("schedule_mode", ("auto", "manual", "ad-hoc")),
    _one_of("on_predecessor_failure", ("hold", "fail", "run")),
)
Index("jobs_due", jobs.c.next_run_at, **_where(jobs.c.next_run_at.isnot(None)))
Index("jobs_leased", jobs.c.lease_until, **_where(jobs.c.lease_until.isnot(None)))
Index("jobs_parent", jobs.c.parent_id, jobs.c.part, **_where(jobs.c.parent_id.isnot(None)))
Index("jobs_listed", jobs.c.created_at, jobs.c.id)
# A folder of a folder mapping has one child.
Index(
    "jobs_child",
    jobs.c.parent_id,
    jobs.c.source_path,
    unique=True,
    **_where(
        sa.and_(
            jobs.c.parent_id.isnot(None), jobs.c.part.is_(None), jobs.c.deleted_at.is_(None), jobs.c.managed.is_(True)
        )
    ),
)

# A job that may not begin before others are complete.
predecessors = Table(
    "predecessors",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id"), primary_key=True),
    Column("predecessor_id", Text, ForeignKey("jobs.id"), primary_key=True),
    Column("place", Integer, nullable=False),  # as given
)
Index("predecessors_of", predecessors.c.predecessor_id)

# What a look at the source found before a run, for a person to approve.
plans = Table(
    "plans",
    metadata,
    Column("job_id", Text, ForeignKey("jobs.id"), primary_key=True),
    Column("manifest", Text),  # JSON; absent while nobody has looked
    Column("approved", Boolean, nullable=False, server_default=sa.false()),  # the run begins once the plan stands
    Column("made_at", Big),
)

executions = Table(
    "executions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", Text, ForeignKey("jobs.id"), nullable=False),
    Column("attempt", Integer, nullable=False),  # 1, 2, ... of the job
    Column("retry_of", Integer),
    Column("trigger", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("result", Text),
    Column("phase", Text, nullable=False, server_default="pending"),
    Column("scope", Text),  # JSON: absent = everything; else which items are tried again
    Column("policies", Text, nullable=False),  # frozen
    Column("token", Text, nullable=False),  # marks temporaries; unguessable
    Column("simulation", Boolean, nullable=False, server_default=sa.false()),
    Column("reset", Text),  # of the job, that this execution acts on
    Column("full", Boolean, nullable=False, server_default=sa.false()),  # list both sides everywhere
    Column("info", Text),
    Column("wait_until", Big),
    Column("wait_reason", Text),
    Column("waits", Integer, nullable=False, server_default="0"),  # for a connection, in a row, with nothing settled
    Column("waited_at", Big, nullable=False, server_default="0"),  # items accounted for when the last one began
    Column("deadline", Big),  # stopped at a safe point after this
    Column("approved_deletes", Integer, nullable=False, server_default="0"),
    Column("revision", Integer, nullable=False, server_default="0"),
    Column("halted_by", Text),  # name of the error category whose action is halt
    # -- totals, kept by the recorder in the transaction of the rows they count
    Column("files", Big, nullable=False, server_default="0"),  # source files seen
    Column("bytes", Big, nullable=False, server_default="0"),  # their sizes
    Column("folders", Big, nullable=False, server_default="0"),  # containers visited
    Column("transferred", Big, nullable=False, server_default="0"),  # items carried
    Column("transferred_bytes", Big, nullable=False, server_default="0"),
    Column("unchanged", Big, nullable=False, server_default="0"),  # known equal, or adopted
    Column("unchanged_bytes", Big, nullable=False, server_default="0"),
    Column("skipped", Big, nullable=False, server_default="0"),
    Column("failed", Big, nullable=False, server_default="0"),
    Column("failed_folders", Big, nullable=False, server_default="0"),  # of the failed, those that are containers
    Column("deleted", Big, nullable=False, server_default="0"),
    Column("writes", Big, nullable=False, server_default="0"),  # changes made at either side
    Column("pending", Big, nullable=False, server_default="0"),  # deferred, not yet settled
    Column("created_at", Big, nullable=False),
    Column("created_by", Text),
    Column("started_at", Big),
    Column("ended_at", Big),
    Column("acknowledged_at", Big),
    _one_of("state", JOB_STATES),
    _one_of("result", ("clean", "no_changes", "warnings", "errors")),
    CheckConstraint(
        "(state IN ('canceled', 'complete', 'failed', 'failed_to_start')) = (ended_at IS NOT NULL)",
        name="ended_has_time",
    ),
    CheckConstraint("state <> 'complete' OR result IS NOT NULL", name="complete_has_result"),
    sqlite_autoincrement=True,
)
Index("executions_job", executions.c.job_id, executions.c.id)
Index(
    "executions_open",
    executions.c.state,
    **_where(executions.c.ended_at.is_(None)),
)

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
    CheckConstraint("kind BETWEEN 1 AND 4", name="kind_known"),
    CheckConstraint("status BETWEEN 0 AND 6", name="status_known"),
    CheckConstraint("level BETWEEN 0 AND 5", name="level_known"),
)
Index("items_name", items.c.parent_id, items.c.name, items.c.job, unique=True)
Index("items_job", items.c.job, items.c.status, items.c.id)

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
    _one_of("side", ("source", "destination")),
)

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
    Column("slice", LargeBinary),  # marshal: a range of a huge container, with what was listed in it (engine.slices)
    Column("through", LargeBinary),  # last name of that range; absent = to the end
    Column("state", Text, nullable=False),
    Column("batch_id", Big),
    Column("attempts", Integer, nullable=False, server_default="0"),
    _one_of("state", ("pending", "claimed", "done", "failed")),
    CheckConstraint("(state = 'claimed') = (batch_id IS NOT NULL)", name="claimed_has_batch"),
)
Index("visits_state", visits.c.execution_id, visits.c.state, visits.c.id)
Index("visits_item", visits.c.item_id)
Index(
    "visits_batch",
    visits.c.batch_id,
    **_where(visits.c.batch_id.isnot(None)),
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
    _one_of("task", ("part", "finish", "link", "delete_source", "delete_destination", "stamp", "lock")),
    _one_of("state", ("blocked", "pending", "claimed", "done", "failed")),
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
    **_where(tasks.c.batch_id.isnot(None)),
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
    _one_of("queue", ("control", "enumerate", "transfer", "parts")),
    _one_of("state", ("ready", "running", "done")),
    sqlite_autoincrement=True,
)
Index(
    "batches_open",
    batches.c.execution_id,
    **_where(batches.c.state != "done"),
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

# What failures are alike, beside the built-in ones; without a job, for all jobs.
error_categories = Table(
    "error_categories",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", Text, ForeignKey("jobs.id")),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("rules", Text, nullable=False),  # JSON list
    Column("action", Text, nullable=False),
    Column("max_retry", Integer, nullable=False),
    Column("level", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("created_at", Big, nullable=False),
    _one_of("action", ("retry", "ignore", "halt")),
    sqlite_autoincrement=True,
)
Index("error_categories_job", error_categories.c.job_id)

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
    _one_of("side", ("source", "destination")),
)

# Account maps and group maps. One serves many jobs.
maps = Table(
    "maps",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("source_connection", Text, ForeignKey("connections.id")),
    Column("destination_connection", Text, ForeignKey("connections.id")),
    Column("document", Text, nullable=False),  # JSON: rules, defaults, what becomes of the unmapped
    Column("version", Integer, nullable=False, server_default="1"),
    Column("created_at", Big, nullable=False),
    Column("created_by", Text),
    Column("modified_at", Big, nullable=False),
    Column("deleted_at", Big),
    _one_of("kind", ("account_map", "group_map")),
)

# The explicit pairs of a map: whoever is like the source becomes the destination.
map_exceptions = Table(
    "map_exceptions",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("map_id", Text, ForeignKey("maps.id"), nullable=False),
    Column("key", Text, nullable=False),  # best text of the source, by which it is found
    *(Column(f"source_{text}", Text, nullable=False, server_default="") for text in PRINCIPAL_TEXTS),
    *(Column(f"destination_{text}", Text, nullable=False, server_default="") for text in PRINCIPAL_TEXTS),
)
Index("map_exceptions_key", map_exceptions.c.map_id, map_exceptions.c.key, unique=True)

# Whom a map leaves out of owners and grants.
map_exclusions = Table(
    "map_exclusions",
    metadata,
    Column("id", Big, primary_key=True, autoincrement=False),
    Column("map_id", Text, ForeignKey("maps.id"), nullable=False),
    Column("side", Text, nullable=False),
    Column("key", Text, nullable=False),
    *(Column(f"principal_{text}", Text, nullable=False, server_default="") for text in PRINCIPAL_TEXTS),
    _one_of("side", ("source", "destination")),
)
Index("map_exclusions_key", map_exclusions.c.map_id, map_exclusions.c.side, map_exclusions.c.key, unique=True)

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
Index("audit_item", audit.c.item_id, **_where(audit.c.item_id.isnot(None)))

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
    _one_of("state", ("pending", "delivered", "dead")),
    CheckConstraint("(state = 'pending') = (next_at IS NOT NULL)", name="pending_has_time"),
    sqlite_autoincrement=True,
)
Index("deliveries_due", deliveries.c.webhook_id, deliveries.c.state, deliveries.c.id)
Index("deliveries_ended", deliveries.c.ended_at, **_where(deliveries.c.ended_at.isnot(None)))

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
