"""Who may do what: people, what they sign in with, connections and secrets, and what they did."""

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from tallyport.store.tables.columns import Big, metadata, one_of, where

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
    one_of("role", ("viewer", "operator", "manager", "admin", "auditor")),
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
    one_of("kind", ("session", "personal", "server")),
)
Index("tokens_family", tokens.c.family, **where(tokens.c.family.isnot(None)))

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

# Canaries that a probe makes at a connection: written down before, taken off once they are gone.
probes = Table(
    "probes",
    metadata,
    Column("place", Text, primary_key=True),  # the name of their folder
    Column("connection_id", Text, ForeignKey("connections.id"), nullable=False),
    Column("path", LargeBinary, nullable=False),  # of the container that is measured
    Column("uploads", Text, nullable=False),  # JSON list: path and handle of each that was begun
    Column("holder", Text, nullable=False),  # the process that probes; empty = the probe is over
    Column("begun_at", Big, nullable=False),
)
Index("probes_connection", probes.c.connection_id)

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
    one_of("list", ("jobs", "items", "failed")),
)
