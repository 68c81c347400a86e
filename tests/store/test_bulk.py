"""Many rows in one step: the database's text gives what row by row would."""

from __future__ import annotations

import json
import sqlite3

import pytest

from tallyport.domain import paths
from tallyport.store import bulk

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
