"""What the tables share: the metadata, and words for columns, checks and indexes."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, CheckConstraint, Integer, MetaData

from tallyport.store.tables.triggers import TRIGGERS

metadata = MetaData()

# SQLite gives rowid semantics only to INTEGER; PostgreSQL needs 64 bits.
Big = BigInteger().with_variant(Integer(), "sqlite")


def one_of(column: str, words: tuple[str, ...]) -> CheckConstraint:
    """Allow these words alone in a column."""
    quoted = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({quoted})", name=f"{column}_word")


def where(condition: sa.ColumnElement[bool]) -> dict[str, Any]:
    """Make an index partial, on both databases: see :func:`_tell_postgresql`."""
    return {"sqlite_where": condition}


@sa.event.listens_for(metadata, "before_create")
def _tell_postgresql(_target: MetaData, connection: sa.Connection, **_: object) -> None:
    """Give PostgreSQL the conditions of partial indexes, only there: naming it loads its dialect and drivers."""
    if connection.dialect.name == "postgresql":
        for index in (index for table in metadata.tables.values() for index in table.indexes):
            index.dialect_options["postgresql"]["where"] = index.dialect_options["sqlite"]["where"]


@sa.event.listens_for(metadata, "after_create")
def _add_triggers(_target: MetaData, connection: sa.Connection, **_: object) -> None:
    """Have the database count what is failed."""
    for statement in TRIGGERS.get(connection.dialect.name, ()):
        connection.exec_driver_sql(statement)
