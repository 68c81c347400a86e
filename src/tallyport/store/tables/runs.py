"""Jobs and their executions."""

import sqlalchemy as sa
from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from tallyport.store.tables.columns import Big, metadata, one_of, where
from tallyport.store.words import JOB_STATES

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
    one_of("state", JOB_STATES),
    one_of("schedule_mode", ("auto", "manual", "ad-hoc")),
    one_of("on_predecessor_failure", ("hold", "fail", "run")),
)
Index("jobs_due", jobs.c.next_run_at, **where(jobs.c.next_run_at.isnot(None)))
Index("jobs_leased", jobs.c.lease_until, **where(jobs.c.lease_until.isnot(None)))
Index("jobs_parent", jobs.c.parent_id, jobs.c.part, **where(jobs.c.parent_id.isnot(None)))
Index("jobs_listed", jobs.c.created_at, jobs.c.id)
# A folder of a folder mapping has one child.
Index(
    "jobs_child",
    jobs.c.parent_id,
    jobs.c.source_path,
    unique=True,
    **where(
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
    one_of("state", JOB_STATES),
    one_of("result", ("clean", "no_changes", "warnings", "errors")),
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
    **where(executions.c.ended_at.is_(None)),
)

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
    one_of("action", ("retry", "ignore", "halt")),
    sqlite_autoincrement=True,
)
Index("error_categories_job", error_categories.c.job_id)
