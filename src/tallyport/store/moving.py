"""Moving a whole ledger from SQLite to PostgreSQL: our tables alone, the dispatcher's are made again.

Rows are streamed table by table in the order of their foreign keys, into an empty database, in one transaction:
a move that fails leaves the target as it was. An execution that was under way goes on there.
"""

from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa

from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.store.database import Database
from tallyport.store.tables import identity, metadata, unresolved

PAGE = 2_000  # rows read at a time

Told = Callable[[str, int], None]
"""Hears the name of a table and how many rows of it were written."""


def move(source: Database, target: Database, told: Told = lambda table, rows: None) -> int:
    """Copy every row; gives how many. ``CONFIG`` when the target holds something, or one side is of the wrong kind."""
    if not source.is_sqlite or target.is_sqlite:
        raise TallyportError(ErrorKind.CONFIG, "a ledger is moved from SQLite to PostgreSQL, and no other way")
    total = 0
    with source.read() as old, target.begin() as new:
        held = [table.name for table in metadata.sorted_tables if _holds(new, table)]
        if held:
            raise TallyportError(
                ErrorKind.CONFIG, f"the target is not empty: it holds rows in {', '.join(held)}. Give an empty database"
            )
        for table in metadata.sorted_tables:
            if table in (identity, unresolved):
                continue  # it is the same ledger, which goes on elsewhere; the target counts the items as they come
            copied = _copy(old, new, table)
            told(table.name, copied)
            total += copied
        for table in metadata.sorted_tables:
            _advance(new, table)
    return total


def _holds(tx: sa.Connection, table: sa.Table) -> bool:
    return tx.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first() is not None


def _copy(old: sa.Connection, new: sa.Connection, table: sa.Table) -> int:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    copied = 0
    cursor = new.connection.cursor()
    try:
        with cursor.copy(f'COPY "{table.name}" ({names}) FROM STDIN') as copy:
            for row in _rows(old, table):
                copy.write_row(row)
                copied += 1
    finally:
        cursor.close()
    return copied


def _rows(old: sa.Connection, table: sa.Table) -> Iterator[tuple[Any, ...]]:
    """Give the rows as PostgreSQL takes them: truths are no numbers there."""
    truths = {place for place, column in enumerate(table.columns) if isinstance(column.type, sa.Boolean)}
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    order = ", ".join(f'"{column.name}"' for column in table.primary_key.columns)
    found = old.execution_options(yield_per=PAGE).exec_driver_sql(
        f'SELECT {columns} FROM "{table.name}"' + (f" ORDER BY {order}" if order else "")
    )
    for row in found:
        yield tuple(bool(value) if place in truths and value is not None else value for place, value in enumerate(row))


def _advance(tx: sa.Connection, table: sa.Table) -> None:
    """Let the numbers that the database gives go on after those that were copied."""
    for column in table.primary_key.columns:
        sequence = tx.exec_driver_sql(
            "SELECT pg_get_serial_sequence(%s, %s)", (f'"{table.name}"', column.name)
        ).scalar_one()
        if sequence is not None:
            tx.exec_driver_sql(
                f'SELECT setval(%s, (SELECT coalesce(max("{column.name}"), 0) + 1 FROM "{table.name}"), false)',
                (sequence,),
            )
