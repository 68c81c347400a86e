"""Account maps and group maps."""

from sqlalchemy import Column, ForeignKey, Index, Integer, Table, Text

from tallyport.store.tables.columns import Big, metadata, one_of
from tallyport.store.words import PRINCIPAL_TEXTS

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
    one_of("kind", ("account_map", "group_map")),
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
    one_of("side", ("source", "destination")),
)
Index("map_exclusions_key", map_exclusions.c.map_id, map_exclusions.c.side, map_exclusions.c.key, unique=True)
