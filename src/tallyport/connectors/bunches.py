"""Many small files one after the other, for a connection that has no better way: each is read and written as always."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from tallyport.connectors.protocol import Bunches, Connector, Pins, Read, SmallRead, SmallWrite, Written
from tallyport.connectors.remote_errors import refusal, unforeseen
from tallyport.domain.entries import Entry, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError

A = TypeVar("A", SmallRead, SmallWrite)
B = TypeVar("B")

Seen = tuple[Entry, bytes]
"""An entry as it was seen with its content."""


def read_many(connector: Connector, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
    """Read files the best way that a connection has."""
    return connector.read_many(reads) if isinstance(connector, Bunches) else read_each(connector, reads)


def write_many(connector: Connector, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
    """Write files the best way that a connection has."""
    return connector.write_many(writes) if isinstance(connector, Bunches) else write_each(connector, writes)


def read_each(connector: Connector, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
    """Read files one after the other."""
    return with_entries(one_by_one("read", reads, lambda one: _seen_and_read(connector, one)))


def with_entries(found: Iterable[tuple[SmallRead, Seen | TallyportError] | None]) -> Iterator[Read | None]:
    """Give what was read back with its entry as it was seen with the content."""
    for one in found:
        if one is None:
            yield None
            continue
        read, outcome = one
        if isinstance(outcome, TallyportError):
            yield read, outcome
        else:
            entry, content = outcome
            yield (read if entry is read.entry else read._replace(entry=entry)), content


def write_each(connector: Connector, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
    """Write files one after the other."""

    def write(one: SmallWrite) -> Entry:
        one.guard()
        return connector.write(one.path, (one.content,) if one.content else (), one.facts, when=one.when)

    return one_by_one("write", writes, write)


def one_by_one(
    operation: str, asked: Iterable[A | None], act: Callable[[A], B]
) -> Iterator[tuple[A, B | TallyportError] | None]:
    """Do one thing after the other; give what came of each."""
    for one in asked:
        if one is None:
            yield None
            continue
        try:
            outcome: B | TallyportError = act(one)
        except TallyportError as error:
            outcome = error
        except Exception as error:
            outcome = unforeseen(operation, one.path, error)
        yield one, outcome


def look_closely(connector: Connector, path: str, glimpse: Entry) -> Entry:
    """Look at what was only glimpsed; what is another content by now is CHANGED_DURING_COPY."""
    entry = connector.stat(path)
    if entry is None or (entry.kind, entry.size, entry.tag) != (glimpse.kind, glimpse.size, glimpse.tag):
        raise refusal(ErrorKind.CHANGED_DURING_COPY, "read", path, "it changed since it was listed")
    return entry._replace(contents=glimpse.contents)


def _seen_and_read(connector: Connector, one: SmallRead) -> Seen:
    entry = look_closely(connector, one.path, one.entry) if one.entry.glimpsed else one.entry
    return entry, content_of(connector, one._replace(entry=entry))


def content_of(connector: Connector, one: SmallRead) -> bytes:
    """Read one file whole, and see that it is the one that was meant."""
    if isinstance(connector, Pins) and one.entry.tag:
        with connector.read_entry(one.path, one.entry) as chunks:
            return b"".join(chunks)
    with connector.read(one.path) as chunks:
        content = b"".join(chunks)
    now = connector.stat(one.path)
    if now is None or now.kind is not one.entry.kind or fingerprint(now) != fingerprint(one.entry):
        raise refusal(ErrorKind.CHANGED_DURING_COPY, "read", one.path, "it changed while it was read")
    return content
