"""Many rows in one step: the database's text gives what row by row would."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tallyport.domain import paths
from tallyport.store import bulk, items
from tallyport.store.database import open_database

NAMES = [b"plain", b"\xff\xfe bytes", b'quote " and \\ slash', "snow ☃ and 𝄞".encode(), b"line\nfeed\ttab\x01", b""]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_any_bytes_comes_back_as_a_path(name: bytes, tmp_path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as db:
        db.execute("CREATE TABLE t (name BLOB)")
        db.execute("INSERT INTO t VALUES (?)", (name,))
        gathered = (
            "SELECT CAST(json_group_array(json_array(CAST(name AS TEXT), NULL, 9223372036854775807)) AS BLOB) FROM t"
        )
        [(content,)] = db.execute(gathered).fetchall()
    db.close()
    assert bulk.read(content) == [[paths.from_bytes(name), None, (1 << 63) - 1]]


def test_no_rows_are_an_empty_list() -> None:
    assert bulk.read(b"[]") == []


def test_what_is_no_list_of_rows_is_an_error() -> None:
    with pytest.raises(json.JSONDecodeError):
        bulk.read(b"[[1,")


INSERT = (
    "INSERT INTO t (id, name, note, size) VALUES (?, ?, 'as (it) is', ?)"
    " ON CONFLICT (id) DO UPDATE SET name = excluded.name, size = excluded.size"
)


@pytest.fixture
def raw() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name BLOB, note TEXT, size INTEGER CHECK (size >= 0))")
    yield connection
    connection.close()


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 63, 64, 65, 200, 1_000])
def test_rows_that_are_written_together_are_those_that_one_by_one_would_be(raw: sqlite3.Connection, count: int) -> None:
    values = [(number, b"\xff%d" % number, None if number % 3 else number) for number in range(count)]
    assert bulk.write(raw, INSERT, values) == count
    found = raw.execute("SELECT id, name, note, size FROM t ORDER BY id").fetchall()
    assert found == [(number, name, "as (it) is", size) for number, name, size in values]


def test_of_two_rows_with_one_key_the_later_counts(raw: sqlite3.Connection) -> None:
    values = [(number % 50, b"%d" % number, number) for number in range(100)]
    bulk.write(raw, INSERT, values)
    assert raw.execute("SELECT id, size FROM t ORDER BY id").fetchall() == [(n, n + 50) for n in range(50)]


def test_a_thousand_rows_let_other_threads_run_a_few_times_and_not_a_thousand(raw: sqlite3.Connection) -> None:
    told: list[str] = []
    raw.set_trace_callback(told.append)
    bulk.write(raw, INSERT, [(number, b"", number) for number in range(1_000)])
    assert len(told) <= 1_000 // bulk.SIZES[0] + bulk.SIZES[0] // bulk.SIZES[1] + bulk.SIZES[1]


def test_a_row_that_may_not_be_is_told(raw: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        bulk.write(raw, INSERT, [(number, b"", 70 - number) for number in range(100)])


@pytest.mark.parametrize(
    ("statement", "given"),
    [
        ("UPDATE t SET size = ? WHERE id = ?", [(number + 1, number) for number in range(100)]),
        ("DELETE FROM t WHERE id = ?", [(number,) for number in range(100)]),
        (
            "INSERT INTO t (id, size) VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET size = size + ?",
            [(number, 2) for number in range(100)],
        ),
        ("INSERT INTO t (id, size) VALUES (:id, 5) ON CONFLICT DO NOTHING", [{"id": n} for n in range(100, 200)]),
        ("INSERT INTO t (id, size) VALUES (abs(?), 5)", [(-number,) for number in range(100, 200)]),
    ],
)
def test_a_statement_of_any_other_form_is_executed_for_each_row(
    raw: sqlite3.Connection, statement: str, given: list[Any]
) -> None:
    bulk.write(raw, INSERT, [(number, b"", number) for number in range(100)])
    assert bulk.write(raw, statement, given) == 100


def test_the_items_of_a_transfer_are_written_many_in_a_statement(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'x.db'}")
    told: list[str] = []
    none = (None,) * 7
    with database.begin() as tx:
        tx.exec_driver_sql("DROP TRIGGER items_failed_insert")  # SQLite tells the statement again for each row it sees
        tx._raw.set_trace_callback(told.append)
        items.add_filled(tx, database, [(n, 1, b"%d" % n, *none) for n in range(2, 642)], 1, 0, 1, 1)
        tx._raw.set_trace_callback(None)
    database.close()
    assert len([text for text in told if text.startswith("INSERT")]) == 10
