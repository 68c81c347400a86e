"""What is set for this server, and from where."""

import os
from typing import NamedTuple

from tallyport.control.desk import Desk
from tallyport.domain.settings import SETTINGS
from tallyport.store import workers as beating

_SECRET = ("KEY", "TOKEN", "PASSWORD", "DATABASE")  # a database's address may hold a password


class Value(NamedTuple):
    """One setting as it is."""

    name: str
    option: str
    default: str
    words: str
    value: str | None  # absent: the default; stars where it is nobody's business
    origin: str  # default or environment


def settings() -> list[Value]:
    """Give every setting; an option of the command line that wins over the environment is not seen here."""
    found = []
    for one in SETTINGS:
        value = os.environ.get(one.name)
        if value is not None and any(word in one.name for word in _SECRET) and not one.name.endswith("_FILE"):
            value = "***"
        origin = "default" if value is None else "environment"
        found.append(Value(one.name, one.option, one.default, one.words, value, origin))
    return found


def workers(desk: Desk) -> list[beating.WorkerRow]:
    """Give the workers that share the database, oldest first, with their labels and when each was last heard of."""
    with desk.database.read() as tx:
        return beating.everyone(tx)
