"""Whether a connection works, step by step, and what its platform can do."""

import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from itertools import islice
from typing import Any, NamedTuple

from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import Connector, Facts
from tallyport.control import access
from tallyport.control.connections import find
from tallyport.control.desk import Caller, Desk
from tallyport.control.refusals import invalid
from tallyport.domain import paths
from tallyport.domain.connections import Connection
from tallyport.domain.entries import Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.store.ids import Ids

_CONTENT = b"a file that a connection test wrote and removes again\n"
_LOOKED_AT = 100  # entries of the root


class Step(NamedTuple):
    """One thing that was tried."""

    name: str  # open list write read delete
    is_good: bool
    said: str
    milliseconds: int


class Probe(NamedTuple):
    """What a test of a connection found."""

    steps: list[Step]
    limits: dict[str, Any]  # of the platform, as far as they are numbers, words and truths
    location: str

    @property
    def is_good(self) -> bool:
        return all(step.is_good for step in self.steps)


def run(desk: Desk, connection_id: str, by: Caller, *, write: bool = False) -> Probe:
    """Open, list the root, and with ``write`` write a small file, read it back and remove it. Stops at a failure."""
    with desk.database.read() as tx:
        connection = find(tx, connection_id)
        access.require(tx, [connection_id], by)
        desk.require_reach(connection)
    steps: list[Step] = []
    found: list[Connector] = []

    def opened() -> str:
        connector = open_connection(connection.platform, desk.vault.settings(connection), "/", read_only=not write)
        found.append(connector)
        return f"signed in to {connector.location}"

    if not _tried(steps, "open", opened):
        return Probe(steps, {}, "")
    connector = found[0]
    try:
        for name, attempt in _attempts(connector, connection, write=write):
            if not _tried(steps, name, attempt):
                break
        return Probe(steps, _shown(connector), connector.location)
    finally:
        connector.close()


def make_container(desk: Desk, connection_id: str, path: str, by: Caller) -> str:
    """Make one container in a connection; one that is there already is fine. Gives its path."""
    from tallyport.connectors import registry

    with desk.database.read() as tx:
        connection = find(tx, connection_id)
        access.require(tx, [connection_id], by)
        desk.require_reach(connection)
    try:
        clean = registry.below(path)
        if not clean:
            raise invalid("/path", "names no folder", code="missing")
        connector = open_connection(connection.platform, desk.vault.settings(connection), "/")
        try:
            connector.make_container(clean, Facts())
        finally:
            connector.close()
    except TallyportError as error:
        raise invalid("/path", error.message, code=error.kind.value) from error
    return clean


def _attempts(connector: Connector, connection: Connection, *, write: bool) -> Iterator[tuple[str, Callable[[], str]]]:
    name = f"tallyport-test-{Ids().take():x}.txt"

    def listed() -> str:
        root = connector.stat(paths.ROOT)
        if root is None or root.kind is not Kind.CONTAINER:
            raise TallyportError(ErrorKind.NOT_FOUND, f"the root of {connection.name!r} is not there")
        seen = sum(1 for _ in islice(connector.children(paths.ROOT), _LOOKED_AT + 1))
        return f"the root holds {'more than ' if seen > _LOOKED_AT else ''}{min(seen, _LOOKED_AT)} entries"

    def written() -> str:
        connector.write(name, [_CONTENT], Facts(size=len(_CONTENT)))
        return f"wrote {name}"

    def read() -> str:
        with connector.read(name) as chunks:
            content = b"".join(chunks)
        if content != _CONTENT:
            raise TallyportError(ErrorKind.CORRUPT, "what was read is not what was written")
        return "read it back, equal"

    def deleted() -> str:
        connector.delete(name)
        return "removed it again"

    yield "list", listed
    if write:
        yield "write", written
        yield "read", read
        yield "delete", deleted


def _tried(steps: list[Step], name: str, attempt: Callable[[], str]) -> bool:
    begun = time.monotonic()
    try:
        said, is_good = attempt(), True
    except TallyportError as error:
        said, is_good = error.message, False
    steps.append(Step(name, is_good, said, round(1000 * (time.monotonic() - begun))))
    return is_good


def _shown(connector: Connector) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for field in fields(connector.limits):
        value = getattr(connector.limits, field.name)
        if isinstance(value, frozenset | tuple):
            value = sorted(str(one) for one in value)
        elif isinstance(value, str):
            value = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in value)
        shown[field.name] = value
    return shown
