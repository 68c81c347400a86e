"""Layers around a connector: each has the same face and does one thing.

A layer has exactly the optional abilities of what it wraps: ``isinstance(layer, Moves)`` says what the innermost
connector can do. What only a connector's own class has is reached with :func:`innermost`. ``opening.py`` puts the
layers together in one visible order.

Limits are taken over when the layer is made: probe a connection before wrapping it.
"""

import fnmatch
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, ParamSpec, Protocol, Self, TypeVar, cast

from tallyport.connectors.protocol import (
    Connector,
    Facts,
    Hashes,
    Links,
    Moves,
    Precondition,
    Stamps,
    Sweeps,
    Syncs,
)
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import display

P = ParamSpec("P")
T = TypeVar("T")


class Layer:
    """What all layers share: pass every call on, through four methods that a layer may override."""

    def __new__(cls, inner: Connector, *arguments: object, **named: object) -> Self:
        """Make an object of the subclass that has the abilities of ``inner``."""
        able: type[Self] = _able(cast(Any, cls), tuple(one for one in _ABILITIES if isinstance(inner, one)))
        return super().__new__(able)

    def __init__(self, inner: Connector) -> None:
        self.inner = inner
        self.limits = inner.limits
        self.location = inner.location

    # -- to be overridden

    def _call(self, operation: str, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Make one call. ``operation`` is the name of the method."""
        return act(*arguments, **named)

    def _listing(self, path: str) -> Iterator[Entry]:
        return self.inner.children(path)

    def _reading(
        self, path: str, offset: int, length: int | None
    ) -> AbstractContextManager[Iterator[bytes]]:
        return self.inner.read(path, offset=offset, length=length)

    def _sent(self, path: str, content: Iterable[bytes]) -> Iterable[bytes]:
        """Look at content on its way to the platform."""
        return content

    # -- the face

    def stat(self, path: str) -> Entry | None:
        return self._call("stat", self.inner.stat, path)

    def children(self, path: str) -> Iterator[Entry]:
        return self._listing(path)

    def read(
        self, path: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length)

    def write(
        self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = Precondition()
    ) -> Entry:
        return self._call("write", self.inner.write, path, self._sent(path, content), facts, when=when)

    def make_container(self, path: str, facts: Facts) -> Entry:
        return self._call("make_container", self.inner.make_container, path, facts)

    def delete(self, path: str, *, expect: Entry | None = None) -> None:
        self._call("delete", self.inner.delete, path, expect=expect)

    def close(self) -> None:
        self.inner.close()


class _Stamping(Layer):
    def stamp(self, path: str, facts: Facts) -> Entry:
        return self._call("stamp", cast(Stamps, self.inner).stamp, path, facts)


class _Moving(Layer):
    def rename(self, path: str, to: str) -> Entry:
        return self._call("rename", cast(Moves, self.inner).rename, path, to)


class _Hashing(Layer):
    def content_hash(self, path: str) -> bytes:
        return self._call("content_hash", cast(Hashes, self.inner).content_hash, path)


class _Linking(Layer):
    def make_symlink(
        self, path: str, target: str, facts: Facts, *, when: Precondition = Precondition()
    ) -> Entry:
        return self._call("make_symlink", cast(Links, self.inner).make_symlink, path, target, facts, when=when)

    def make_hard_link(self, path: str, existing: str, *, when: Precondition = Precondition()) -> Entry:
        return self._call("make_hard_link", cast(Links, self.inner).make_hard_link, path, existing, when=when)


class _Syncing(Layer):
    def sync(self) -> None:
        self._call("sync", cast(Syncs, self.inner).sync)


class _Sweeping(Layer):
    def sweep(self, path: str, token: str) -> int:
        return self._call("sweep", cast(Sweeps, self.inner).sweep, path, token)


_ABILITIES: dict[type, type[Layer]] = {
    Stamps: _Stamping,
    Moves: _Moving,
    Hashes: _Hashing,
    Links: _Linking,
    Syncs: _Syncing,
    Sweeps: _Sweeping,
}

OPERATIONS = (
    *("stat", "children", "read", "write", "make_container", "delete"),
    *("stamp", "rename", "content_hash", "make_symlink", "make_hard_link", "sync", "sweep"),
)


@cache
def _able(cls: type[Any], abilities: tuple[type, ...]) -> type[Any]:
    return type(cls.__name__, (cls, *(_ABILITIES[one] for one in abilities)), {}) if abilities else cls


L = TypeVar("L", bound=Layer)


def find(connector: Connector, layer: type[L]) -> L | None:
    """Give the outermost layer of a class around a connector, or None."""
    while isinstance(connector, Layer):
        if isinstance(connector, layer):
            return connector
        connector = connector.inner
    return None


def innermost(connector: Connector) -> Connector:
    """Give the connector inside all layers."""
    while isinstance(connector, Layer):
        connector = connector.inner
    return connector


# -- counting


class Measure(NamedTuple):
    """What one operation has come to so far."""

    calls: int = 0
    errors: int = 0
    bytes: int = 0  # content, on both ways
    seconds: float = 0.0  # spent in the platform; waiting for the other side of a copy is not counted
    entries: int = 0  # given by listings

    def __add__(self, other: object) -> "Measure":
        if not isinstance(other, Measure):
            return NotImplemented
        return Measure(*(mine + more for mine, more in zip(self, other, strict=True)))


class Measured(Layer):
    """Counts calls, errors, bytes and seconds by operation."""

    def __init__(self, inner: Connector, *, clock: Callable[[], float] = time.perf_counter) -> None:
        super().__init__(inner)
        self._clock = clock
        self._lock = threading.Lock()
        self._measures: dict[str, Measure] = {}

    def snapshot(self) -> dict[str, Measure]:
        """Give what was counted so far, by operation; operations never called are left out."""
        with self._lock:
            return dict(self._measures)

    def _count(self, operation: str, **amounts: Any) -> None:
        with self._lock:
            self._measures[operation] = self._measures.get(operation, Measure()) + Measure(**amounts)

    def _call(self, operation: str, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        errors = 1
        begun = self._clock()
        try:
            result = act(*arguments, **named)
            errors = 0
            return result
        finally:
            self._count(operation, calls=1, errors=errors, seconds=self._clock() - begun)

    def _timed(self, operation: str, values: Iterator[T], size: Callable[[T], dict[str, int]]) -> Iterator[T]:
        """Count what an iterator gives, and the time it takes to give it."""
        while True:
            begun = self._clock()
            try:
                value = next(values)
            except StopIteration:
                self._count(operation, seconds=self._clock() - begun)
                return
            except BaseException:
                self._count(operation, errors=1, seconds=self._clock() - begun)
                raise
            self._count(operation, seconds=self._clock() - begun, **size(value))
            yield value

    def _listing(self, path: str) -> Iterator[Entry]:
        entries = self._call("children", self.inner.children, path)
        return self._timed("children", entries, lambda entry: {"entries": 1})

    @contextmanager
    def _reading(self, path: str, offset: int, length: int | None) -> Iterator[Iterator[bytes]]:
        opened = self.inner.read(path, offset=offset, length=length)
        chunks = self._call("read", opened.__enter__)
        with _leaving(opened):
            yield self._timed("read", chunks, lambda chunk: {"bytes": len(chunk)})

    def _sent(self, path: str, content: Iterable[bytes]) -> Iterator[bytes]:
        chunks = iter(content)
        while True:
            begun = self._clock()
            chunk = next(chunks, None)
            waited = self._clock() - begun
            if chunk is None:
                self._count("write", seconds=-waited)
                return
            self._count("write", bytes=len(chunk), seconds=-waited)
            yield chunk
