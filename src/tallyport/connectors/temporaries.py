"""Names of what is unfinished: ``.tallyport-<token>-<random>``, beside the place it is meant for.

The token is the execution's: after a crash its temporaries are found by it and nobody else's are touched.
"""

import itertools
import os
from typing import Protocol, runtime_checkable

from tallyport.domain.capabilities import Durability

TEMPORARY = ".tallyport-"  # begins the name of everything unfinished: <TEMPORARY><token>-<random>


def is_temporary(name: str) -> bool:
    """Tell whether a name is one of ours for something unfinished: ``.tallyport-<token>-<rest>``, letters and digits.

    A file of somebody's that merely begins like one (``.tallyport-notes.txt``) is an item like any other.
    """
    token, dash, rest = name[len(TEMPORARY) :].partition("-")
    return (
        name.startswith(TEMPORARY)
        and bool(dash)
        and token.isascii()
        and token.isalnum()
        and rest.isascii()
        and rest.replace("-", "").isalnum()
    )


def is_of(name: str, token: str) -> bool:
    """Tell whether a temporary belongs to an execution."""
    return name.startswith(f"{TEMPORARY}{token}-") and is_temporary(name)


@runtime_checkable
class Tokened(Protocol):
    """A connector that marks what it leaves unfinished."""

    token: str


@runtime_checkable
class Syncing(Protocol):
    """A connector that has each file on the server's disk before it takes its name, unless it is told not to."""

    durability: Durability


class Temporaries:
    """Gives names that nobody else uses."""

    __slots__ = ("_numbers", "_run")

    def __init__(self) -> None:
        self._run = os.urandom(4).hex()
        self._numbers = itertools.count(1)

    def name(self, token: str) -> str:
        """Give a new name under a token."""
        return f"{TEMPORARY}{token}-{self._run}-{next(self._numbers):x}"
