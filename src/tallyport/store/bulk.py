"""Many rows in one step.

SQLite's driver lets other threads run before each row, and has to wait for its turn after it: beside threads that
compute, a hundred rows cost a hundred turns of milliseconds. So the database writes all rows as one JSON text, and
takes many rows in one INSERT: whoever waits for the transaction would wait for those turns too.
"""

import functools
import json
import re
import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any

from tallyport.store.phrases import sa


def gathered(query: sa.Select[Any]) -> sa.Select[Any]:
    """Make of a query one that gives its rows, in its order, as one text. What is bytes has to be selected as text."""
    inner = query.subquery()
    return sa.select(sa.cast(sa.func.json_group_array(sa.func.json_array(*inner.c)), sa.LargeBinary))


def read(content: bytes) -> list[Any]:
    """Read the rows that the database wrote; bytes that are no UTF-8 become what ``domain.paths`` makes of them."""
    import msgspec  # a one-shot does without

    try:
        found: list[Any] = _decoder().decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = json.loads(content.decode("utf-8", "surrogateescape"))
    return found


@functools.cache
def _decoder() -> Any:
    import msgspec

    return msgspec.json.Decoder(list[Any])


SIZES = (64, 8)  # rows of one INSERT: few sizes, so that the driver keeps what it has prepared
_ROW = re.compile(r"\bVALUES (\((?:[^()']|'[^']*')*\))")


def write(raw: sqlite3.Connection, statement: str, values: Sequence[Sequence[Any]]) -> int:
    """Execute a statement for each row of values, in their order; gives how many rows it changed."""
    place = changed = 0
    for size in SIZES if _takes_many(statement) else ():
        if len(values) - place >= size:
            text = _of_many(statement, size)
            while len(values) - place >= size:
                changed += raw.execute(text, tuple(chain.from_iterable(values[place : place + size]))).rowcount
                place += size
    rest = values[place:]
    return changed + raw.executemany(statement, rest).rowcount if rest else changed


@functools.lru_cache(maxsize=512)
def _takes_many(statement: str) -> bool:
    """Tell whether a statement is an INSERT all whose values stand in its one row."""
    row = _ROW.search(statement) if statement.startswith("INSERT ") else None
    return row is not None and 0 < row[1].count("?") == statement.count("?") and "RETURNING" not in statement


@functools.lru_cache(maxsize=128)
def _of_many(statement: str, size: int) -> str:
    """Give an INSERT of one row as one of several."""
    return _ROW.sub(lambda row: "VALUES " + ", ".join([row[1]] * size), statement, count=1)
