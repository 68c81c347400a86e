"""A layer around a connector has the same face and does one thing.

A layer has exactly the optional abilities of what it wraps: ``isinstance(layer, Moves)`` says what the
innermost connector can do. What only a connector's own class has is reached with :func:`innermost`.

Limits are taken over when the layer is made: probe a connection before wrapping it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cache, partial
from typing import Any, ClassVar, ParamSpec, Self, TypeVar, cast

from tallyport.connectors.bunches import read_each, write_each
from tallyport.connectors.protocol import (
    ANYTHING,
    Bunches,
    Connector,
    Copies,
    Counts,
    Facts,
    Forgets,
    Glimpses,
    Grants,
    Hashes,
    Links,
    Locks,
    Moves,
    Page,
    Pages,
    Pins,
    Precondition,
    Principals,
    Properties,
    Read,
    SmallRead,
    SmallWrite,
    Stamps,
    Sweeps,
    Syncs,
    Uploads,
    Versions,
    Written,
)
from tallyport.domain.access import Access, Principal
from tallyport.domain.entries import Entry
from tallyport.domain.locks import Lock
from tallyport.domain.versions import Version

Listed = Callable[[str], Iterator[Entry]]
"""One of the ways in which what is inside lists a container."""

P = ParamSpec("P")
T = TypeVar("T")


class Layer:
    """What all layers share: pass every call on, through four methods that a layer overrides."""

    hides: ClassVar[tuple[type, ...]] = ()  # abilities of what is inside that are not passed on

    def __new__(cls, inner: Connector, *arguments: object, **named: object) -> Self:
        """Make an object of the subclass that has the abilities of ``inner``."""
        able: type[Self] = _able(cast(Any, cls), _passed_on(inner, cls.hides))
        return super().__new__(able)

    def __init__(self, inner: Connector) -> None:
        self.inner = inner
        self.limits = inner.limits
        self.location = inner.location

    # -- to be overridden

    def _call(self, operation: str, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """Make one call. ``operation`` is the name of the method."""
        return act(*arguments, **named)

    def _listing(self, path: str, listed: Listed) -> Iterator[Entry]:
        """Make one listing: ``listed`` is the way of what is inside that was asked for."""
        return listed(path)

    def _reading(
        self, path: str, offset: int, length: int | None, entry: Entry | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        return self._opening(path, offset, length, entry)

    def _opening(
        self, path: str, offset: int, length: int | None, entry: Entry | None
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Open what is inside: whatever stands there, or the content of that very entry."""
        if entry is None:
            return self.inner.read(path, offset=offset, length=length)
        return cast(Pins, self.inner).read_entry(path, entry, offset=offset, length=length)

    def _sent(self, path: str, content: Iterable[bytes]) -> Iterable[bytes]:
        """Look at content on its way to the platform."""
        return content

    def _reading_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        """Read several files: one after the other, where a layer knows of no better way to look at each."""
        return read_each(cast(Connector, self), reads)

    def _writing_many(self, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
        return write_each(cast(Connector, self), writes)

    # -- the face

    def stat(self, path: str) -> Entry | None:
        return self._call("stat", self.inner.stat, path)

    def children(self, path: str) -> Iterator[Entry]:
        return self._listing(path, self.inner.children)

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length)

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
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
    def make_symlink(self, path: str, target: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        return self._call("make_symlink", cast(Links, self.inner).make_symlink, path, target, facts, when=when)

    def make_hard_link(self, path: str, existing: str, *, when: Precondition = ANYTHING) -> Entry:
        return self._call("make_hard_link", cast(Links, self.inner).make_hard_link, path, existing, when=when)


class _Syncing(Layer):
    def sync(self) -> None:
        self._call("sync", cast(Syncs, self.inner).sync)


class _Sweeping(Layer):
    def sweep(self, path: str, token: str) -> int:
        return self._call("sweep", cast(Sweeps, self.inner).sweep, path, token)


class _Paging(Layer):
    def page(self, path: str, cursor: str | None = None) -> Page:
        return self._call("page", cast(Pages, self.inner).page, path, cursor)


class _Pinning(Layer):
    def read_entry(
        self, path: str, entry: Entry, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length, entry)


class _Glimpsing(Layer):
    def glimpses(self, path: str) -> Iterator[Entry]:
        return self._listing(path, cast(Glimpses, self.inner).glimpses)

    def look_many(self, paths: Sequence[str]) -> Sequence[Entry | None]:
        return self._call("look_many", cast(Glimpses, self.inner).look_many, paths)


class _Bunching(Layer):
    def read_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        return self._reading_many(reads)

    def write_many(self, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
        return self._writing_many(writes)


class _Copying(Layer):
    def copy(self, path: str, to: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        return self._call("copy", cast(Copies, self.inner).copy, path, to, facts, when=when)


class _Uploading(Layer):
    def begin_upload(self, path: str, facts: Facts, *, token: str) -> str:
        return self._call("begin_upload", cast(Uploads, self.inner).begin_upload, path, facts, token=token)

    def put_part(self, path: str, handle: str, number: int, offset: int, content: Iterable[bytes], size: int) -> bytes:
        put = cast(Uploads, self.inner).put_part
        return self._call("put_part", put, path, handle, number, offset, self._sent(path, content), size)

    def finish_upload(
        self, path: str, handle: str, receipts: Sequence[bytes], facts: Facts, *, when: Precondition = ANYTHING
    ) -> Entry:
        finish = cast(Uploads, self.inner).finish_upload
        return self._call("finish_upload", finish, path, handle, receipts, facts, when=when)

    def abandon_upload(self, path: str, handle: str) -> None:
        self._call("abandon_upload", cast(Uploads, self.inner).abandon_upload, path, handle)


class _Forgetting(Layer):
    def forget_uploads(self, path: str) -> int:
        return self._call("forget_uploads", cast(Forgets, self.inner).forget_uploads, path)


class _Versioning(Layer):
    def versions(self, path: str) -> Sequence[Version]:
        return self._call("versions", cast(Versions, self.inner).versions, path)

    def read_version(
        self, path: str, version: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        read = cast(Versions, self.inner).read_version
        return self._call("read_version", read, path, version, offset=offset, length=length)


class _Counting(Layer):
    def counted(self, path: str, *, glimpsed: bool = False) -> Iterator[Entry]:
        return self._listing(path, partial(cast(Counts, self.inner).counted, glimpsed=glimpsed))


class _Granting(Layer):
    def access(self, path: str) -> Access:
        return self._call("access", cast(Grants, self.inner).access, path)

    def set_access(self, path: str, access: Access, *, remove_others: bool = False) -> Access:
        set_access = cast(Grants, self.inner).set_access
        return self._call("set_access", set_access, path, access, remove_others=remove_others)


class _Knowing(Layer):
    def principals(self, like: Principal) -> Iterator[Principal]:
        return self._call("principals", cast(Principals, self.inner).principals, like)


class _Locking(Layer):
    def lock_of(self, path: str) -> Lock | None:
        return self._call("lock_of", cast(Locks, self.inner).lock_of, path)

    def lock(self, path: str, lock: Lock) -> Lock:
        return self._call("lock", cast(Locks, self.inner).lock, path, lock)

    def hold(self, path: str, mark: str) -> None:
        self._call("hold", cast(Locks, self.inner).hold, path, mark)

    def unlock(self, path: str, lock: Lock) -> None:
        self._call("unlock", cast(Locks, self.inner).unlock, path, lock)


class _Describing(Layer):
    def properties(self, path: str) -> Mapping[str, bytes]:
        return self._call("properties", cast(Properties, self.inner).properties, path)

    def set_properties(self, path: str, values: Mapping[str, bytes | None]) -> Mapping[str, bytes]:
        return self._call("set_properties", cast(Properties, self.inner).set_properties, path, values)


ABILITIES: dict[type, type[Layer]] = {
    Stamps: _Stamping,
    Moves: _Moving,
    Hashes: _Hashing,
    Links: _Linking,
    Syncs: _Syncing,
    Sweeps: _Sweeping,
    Pages: _Paging,
    Pins: _Pinning,
    Glimpses: _Glimpsing,
    Bunches: _Bunching,
    Copies: _Copying,
    Uploads: _Uploading,
    Forgets: _Forgetting,
    Versions: _Versioning,
    Counts: _Counting,
    Grants: _Granting,
    Principals: _Knowing,
    Locks: _Locking,
    Properties: _Describing,
}

OPERATIONS = (
    *("stat", "children", "read", "write", "make_container", "delete"),
    *("stamp", "rename", "content_hash", "make_symlink", "make_hard_link", "sync", "sweep"),
    *("page", "copy", "begin_upload", "put_part", "finish_upload", "abandon_upload", "forget_uploads"),
    *("versions", "read_version", "look_many"),
    *("access", "set_access", "principals", "lock_of", "lock", "hold", "unlock", "properties", "set_properties"),
)


def _passed_on(inner: Connector, hidden: Sequence[type]) -> tuple[type, ...]:
    return tuple(one for one in ABILITIES if isinstance(inner, one) and one not in hidden)


@cache
def _able(cls: type[Any], abilities: tuple[type, ...]) -> type[Any]:
    return type(cls.__name__, (cls, *(ABILITIES[one] for one in abilities)), {}) if abilities else cls


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
