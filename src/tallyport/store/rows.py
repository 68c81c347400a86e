"""Row to value: the mapping that every module of this floor shares."""

import dataclasses
import json
import time
from collections.abc import Mapping
from typing import Any, TypeVar

from tallyport.domain import paths
from tallyport.store.phrases import sa

T = TypeVar("T")

_JSON_OBJECTS = frozenset({"transfer", "schedule", "stop_policy", "extra", "settings"})
_JSON_LISTS = frozenset({"warnings", "labels"})
_PATHS = frozenset({"source_path", "destination_path", "path", "d_path"})


def now() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


LAST_TIME = (1 << 63) - 1  # the largest integer a column holds: the year 2262 in nanoseconds
_FIRST = -2_300_000_000_000_000_000  # before 1900: no file system writes such a time, so these stand for late ones


def time_in(nanoseconds: int | None) -> int | None:
    """Give a file's time as a column holds it; one beyond the year 2262 wraps round, and time_out brings it back."""
    return nanoseconds if nanoseconds is None or nanoseconds <= LAST_TIME else nanoseconds - (1 << 64)


def time_out(column: int | None) -> int | None:
    """Give the file's time that a column holds."""
    return column if column is None or column >= _FIRST else column + (1 << 64)


def to_value(kind: type[T], row: sa.RowMapping) -> T:
    """Build a dataclass from a row whose columns have its field names."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        if field.name in row:
            values[field.name] = _read(field.name, row[field.name])
    return kind(**values)


def to_row(value: object) -> dict[str, Any]:
    """Give the columns of a dataclass."""
    return columns({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})  # type: ignore[arg-type]


def columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn values as the domain has them into what the columns hold."""
    return {name: _write(name, value) for name, value in values.items()}


def _read(name: str, value: Any) -> Any:
    if name in _JSON_OBJECTS:
        return json.loads(value)
    if name in _JSON_LISTS:
        return tuple(json.loads(value))
    if name in _PATHS and value is not None:
        return paths.from_bytes(bytes(value))
    return value


def _write(name: str, value: Any) -> Any:
    if name in _JSON_OBJECTS:
        return json.dumps(dict(value), separators=(",", ":"))
    if name in _JSON_LISTS:
        return json.dumps(list(value))
    if name in _PATHS and isinstance(value, str):
        return paths.to_bytes(value)
    return value
