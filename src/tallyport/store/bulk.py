"""Many rows in one step.

SQLite's driver lets other threads run before each row, and has to wait for its turn after it: beside threads that
compute, a hundred rows cost a hundred turns of milliseconds. So the database writes all rows as one JSON text.
"""

import functools
import json
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
