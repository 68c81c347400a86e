"""Content on its way to a server, held to what was announced."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

from tallyport.connectors.hashing import ContentHash
from tallyport.connectors.protocol import Facts
from tallyport.connectors.remote_errors import refusal
from tallyport.domain.errors import ErrorKind

T = TypeVar("T")

CHUNK = 1024 * 1024


class Announced:
    """Chunks of content as they pass; raises at their end when they are not what was announced.

    Iterate once. ``size`` is what has passed. Errors of the content itself pass through as they are. With
    ``algorithm`` a second hash runs along, for a server that can be asked for its own.
    """

    def __init__(self, content: Iterable[bytes], facts: Facts, path: str, *, algorithm: str = "") -> None:
        self.size = 0
        self._content = content
        self._facts = facts
        self._path = path
        self._running = None if facts.hash is None else ContentHash()
        self._other = hashlib.new(algorithm, usedforsecurity=False) if algorithm else None

    def __iter__(self) -> Iterator[bytes]:
        facts = self._facts
        for chunk in self._content:
            if not chunk:
                continue
            self.size += len(chunk)
            if facts.size is not None and self.size > facts.size:
                raise self._other_size("more")
            if self._running is not None:
                self._running.update(chunk)
            if self._other is not None:
                self._other.update(chunk)
            yield chunk
        if facts.size is not None and self.size != facts.size:
            raise self._other_size(str(self.size))
        if self._running is not None and self._running.digest() != facts.hash:
            what = "the content does not have the announced hash"
            raise refusal(ErrorKind.CORRUPT, "write", self._path, what)

    def hexdigest(self) -> str:
        """Give the hash of the other algorithm over what has passed."""
        assert self._other is not None
        return self._other.hexdigest()

    def _other_size(self, came: str) -> Exception:
        what = f"{self._facts.size} bytes were announced and {came} came"
        return refusal(ErrorKind.CHANGED_DURING_COPY, "write", self._path, what)


def blocks(content: Iterable[bytes], length: int = CHUNK) -> Iterator[bytes]:
    """Give the same bytes in blocks of a length, the last one shorter; big chunks are not joined needlessly."""
    held: list[bytes] = []
    size = 0
    for chunk in content:
        view = chunk
        while size + len(view) >= length:
            room = length - size
            if not held and len(view) == length:
                yield view
                view = b""
                continue
            held.append(view[:room])
            yield b"".join(held)
            view = view[room:]
            held, size = [], 0
        if view:
            held.append(view)
            size += len(view)
    if size:
        yield b"".join(held)


def chained(first: T, rest: Iterator[T]) -> Iterator[T]:
    """Give what was taken off already, then the rest."""
    yield first
    yield from rest


def hashed(pieces: Iterable[bytes], running: ContentHash) -> Iterator[bytes]:
    """Give pieces as they are while a hash runs along."""
    for piece in pieces:
        running.update(piece)
        yield piece


def opened(read: Callable[[], AbstractContextManager[Iterable[bytes]]]) -> Iterator[bytes]:
    """Give what a reading gives, which is closed at its end."""
    with read() as chunks:
        yield from chunks


def twice(
    chunks: Iterable[bytes],
    again: Callable[[], AbstractContextManager[Iterable[bytes]]],
    path: str,
    *,
    spares: Callable[[], bool] = bool,
) -> Iterator[bytes]:
    """Give content, and read it again before its last piece is given: over a way that checks nothing both are the same.

    ``spares`` says at the end that the content was proved by other means.
    """
    running, held = ContentHash(), b""
    for chunk in chunks:
        if held:
            yield held
        running.update(chunk)
        held = chunk
    if not spares():
        other = ContentHash()
        for chunk in opened(again):
            other.update(chunk)
        if other.digest() != running.digest():
            raise refusal(ErrorKind.CORRUPT, "read", path, "what was read again is not what was read")
    if held:
        yield held
