"""Write the packaged schema snapshot: ``python -m tools.schema [--check]``."""

import sys
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from tallyport.store.database import HEAD
from tallyport.store.tables import metadata
from tallyport.store.tables.triggers import TRIGGERS

TARGET = Path(__file__).parent.parent / "src" / "tallyport" / "store" / "schema.sql"


def snapshot() -> str:
    """Give the SQL that makes a fresh SQLite database."""
    dialect = sqlite.dialect()
    parts = ["-- Made by tools/schema.py from store/tables. Do not edit.", "BEGIN;"]
    for table in metadata.sorted_tables:
        parts.append(_clean(CreateTable(table).compile(dialect=dialect)) + ";")
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            parts.append(_clean(CreateIndex(index).compile(dialect=dialect)) + ";")
    parts += [f"{statement};" for statement in TRIGGERS["sqlite"]]
    parts.append("CREATE TABLE schema_version (version_num VARCHAR(32) NOT NULL);")
    parts.append(f"INSERT INTO schema_version VALUES ('{HEAD}');")
    parts.append("COMMIT;")
    return "\n".join(parts) + "\n"


def _clean(compiled: sa.Compiled) -> str:
    return "\n".join(line.rstrip() for line in str(compiled).strip().splitlines())


if __name__ == "__main__":
    text = snapshot()
    if "--check" in sys.argv:
        if TARGET.read_text("utf-8") != text:
            sys.exit("src/tallyport/store/schema.sql is stale: run python -m tools.schema")
    else:
        TARGET.write_text(text, "utf-8")
