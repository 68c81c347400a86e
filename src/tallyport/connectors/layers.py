"""Layers around a connector: each has the same face and does one thing.

A layer has exactly the optional abilities of what it wraps: ``isinstance(layer, Moves)`` says what the
innermost connector can do. What only a connector's own class has is reached with :func:`innermost`.
``opening.py`` puts the layers together in one visible order.

Limits are taken over when the layer is made: probe a connection before wrapping it.
"""

import fnmatch
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ParamSpec, Self, TypeVar, cast

from tallyport.connectors.protocol import (
    ANYTHING,
    Connector,
    Copies,
    Facts,
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
    Stamps,
    Sweeps,
    Syncs,
    Uploads,
    Versions,
)
from tallyport.domain.access import Access, Principal
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.locks import Lock
from tallyport.domain.paths import display
from tallyport.domain.versions import Version

P = ParamSpec("P")
T = TypeVar("T")


class Layer:
    """What all layers share: pass every call on, through four methods that a layer overrides."""

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

    # -- the face

    def stat(self, path: str) -> Entry | None:
        return self._call("stat", self.inner.stat, path)

    def children(self, path: str) -> Iterator[Entry]:
        return self._listing(path)

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


class _Versioning(Layer):
    def versions(self, path: str) -> Sequence[Version]:
        return self._call("versions", cast(Versions, self.inner).versions, path)

    def read_version(
        self, path: str, version: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        read = cast(Versions, self.inner).read_version
        return self._call("read_version", read, path, version, offset=offset, length=length)


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

    def unlock(self, path: str, lock: Lock) -> None:
        self._call("unlock", cast(Locks, self.inner).unlock, path, lock)


class _Describing(Layer):
    def properties(self, path: str) -> Mapping[str, bytes]:
        return self._call("properties", cast(Properties, self.inner).properties, path)

    def set_properties(self, path: str, values: Mapping[str, bytes | None]) -> Mapping[str, bytes]:
        return self._call("set_properties", cast(Properties, self.inner).set_properties, path, values)


_ABILITIES: dict[type, type[Layer]] = {
    Stamps: _Stamping,
    Moves: _Moving,
    Hashes: _Hashing,
    Links: _Linking,
    Syncs: _Syncing,
    Sweeps: _Sweeping,
    Pages: _Paging,
    Pins: _Pinning,
    Copies: _Copying,
    Uploads: _Uploading,
    Versions: _Versioning,
    Grants: _Granting,
    Principals: _Knowing,
    Locks: _Locking,
    Properties: _Describing,
}

OPERATIONS = (
    *("stat", "children", "read", "write", "make_container", "delete"),
    *("stamp", "rename", "content_hash", "make_symlink", "make_hard_link", "sync", "sweep"),
    *("page", "copy", "begin_upload", "put_part", "finish_upload", "abandon_upload", "versions", "read_version"),
    *("access", "set_access", "principals", "lock_of", "lock", "unlock", "properties", "set_properties"),
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


@dataclass(slots=True)
class Measure:
    """What one operation has come to so far."""

    calls: int = 0
    errors: int = 0
    bytes: int = 0  # content, either way
    entries: int = 0  # given by listings
    seconds: float = 0.0  # spent in the platform; waiting for the other side of a copy is not counted


class Measured(Layer):
    """Counts calls, errors, bytes, entries and seconds by operation. A listing is counted when it ends."""

    def __init__(self, inner: Connector, *, clock: Callable[[], float] = time.perf_counter) -> None:
        super().__init__(inner)
        self._clock = clock
        self._lock = threading.Lock()
        self._measures: dict[str, Measure] = {}

    def snapshot(self) -> dict[str, Measure]:
        """Give what was counted so far, by operation; operations never called are left out."""
        with self._lock:
            return {operation: replace(measure) for operation, measure in self._measures.items()}

    def _count(
        self,
        operation: str,
        seconds: float,
        *,
        calls: int = 0,
        errors: int = 0,
        content: int = 0,
        entries: int = 0,
    ) -> None:
        with self._lock:
            measure = self._measures.setdefault(operation, Measure())
            measure.seconds += seconds
            measure.calls += calls
            measure.errors += errors
            measure.bytes += content
            measure.entries += entries

    def _call(self, operation: str, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        errors = 1
        begun = self._clock()
        try:
            result = act(*arguments, **named)
            errors = 0
            return result
        finally:
            self._count(operation, self._clock() - begun, calls=1, errors=errors)

    def _listing(self, path: str) -> Iterator[Entry]:
        return self._counted_listing(self._call("children", self.inner.children, path))

    def _counted_listing(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        """Add up in local names: a container may hold a million."""
        clock = self._clock
        seconds, given, errors = 0.0, 0, 0
        begun = clock()
        try:
            for entry in entries:
                seconds += clock() - begun
                given += 1
                yield entry
                begun = clock()
            seconds += clock() - begun
        except TallyportError:
            errors = 1
            raise
        finally:
            self._count("children", seconds, errors=errors, entries=given)

    @contextmanager
    def _reading(
        self, path: str, offset: int, length: int | None, entry: Entry | None = None
    ) -> Iterator[Iterator[bytes]]:
        with ExitStack() as stack:
            opening = self._opening(path, offset, length, entry)
            yield self._counted_reading(self._call("read", stack.enter_context, opening))

    def _counted_reading(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        while True:
            begun = self._clock()
            try:
                chunk = next(chunks, None)
            except BaseException:
                self._count("read", self._clock() - begun, errors=1)
                raise
            self._count("read", self._clock() - begun, content=len(chunk or b""))
            if chunk is None:
                return
            yield chunk

    def _sent(self, path: str, content: Iterable[bytes]) -> Iterator[bytes]:
        """Count content on its way; take the wait for it off the seconds of the write around it."""
        chunks = iter(content)
        while True:
            begun = self._clock()
            try:
                chunk = next(chunks, None)
            finally:
                waited = self._clock() - begun
                self._count("write", -waited)
            if chunk is None:
                return
            self._count("write", 0.0, content=len(chunk))
            yield chunk


# -- width


class Limited(Layer):
    """Lets at most ``at_once`` threads into the platform.

    A thread holds one place however deep it calls: reading and writing on one connection at the same time
    cannot lock itself out. A read holds its place until it is left, a listing only while it fetches the
    next entry. Whoever waits longer than ``patience`` seconds gets TIMEOUT.
    """

    def __init__(self, inner: Connector, at_once: int, *, patience: float = 600.0) -> None:
        super().__init__(inner)
        self._places = threading.Semaphore(at_once)
        self._patience = patience
        self._lock = threading.Lock()
        self._depths: dict[int, int] = {}  # by thread; a read may be left in another than it was entered in

    def _enter(self, operation: str) -> int:
        """Take a place for this thread, or go deeper in the one it has. Gives what :meth:`_leave` needs."""
        me = threading.get_ident()
        with self._lock:
            if me in self._depths:
                self._depths[me] += 1
                return me
        if not self._places.acquire(timeout=self._patience):
            message = f"waited {self._patience:g} seconds for {self.location}, which is busy with other calls"
            raise TallyportError(ErrorKind.TIMEOUT, message, operation=operation)
        with self._lock:
            self._depths[me] = 1
        return me

    def _leave(self, thread: int) -> None:
        with self._lock:
            self._depths[thread] -= 1
            is_out = self._depths[thread] == 0
            if is_out:
                del self._depths[thread]
        if is_out:
            self._places.release()

    def _call(self, operation: str, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        thread = self._enter(operation)
        try:
            return act(*arguments, **named)
        finally:
            self._leave(thread)

    def _listing(self, path: str) -> Iterator[Entry]:
        entries = self._call("children", self.inner.children, path)
        while True:
            entry = self._call("children", next, entries, None)
            if entry is None:
                return
            yield entry

    @contextmanager
    def _reading(
        self, path: str, offset: int, length: int | None, entry: Entry | None = None
    ) -> Iterator[Iterator[bytes]]:
        thread = self._enter("read")
        try:
            with self._opening(path, offset, length, entry) as chunks:
                yield chunks
        finally:
            self._leave(thread)


# -- speed


class Bucket:
    """A token bucket of bytes, one second deep, that several connections may share.

    ``rate`` is bytes per second and may be changed at any time: None is no limit, 0 holds everybody until
    it is changed. Whoever waits looks again at least every ``LOOK`` seconds.
    """

    LOOK = 0.25

    def __init__(
        self,
        rate: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._rate = rate
        self._tokens = rate or 0.0
        self._filled = clock()

    @property
    def rate(self) -> float | None:
        return self._rate

    @rate.setter
    def rate(self, rate: float | None) -> None:
        with self._lock:
            self._fill()
            self._rate = rate
            self._tokens = min(self._tokens, rate or 0.0)

    def take(self, amount: int) -> None:
        """Take tokens, waiting until there are some. More than there are leaves a debt for the next taker."""
        while (pause := self._try(amount)) > 0:
            self._sleep(pause)

    def _try(self, amount: int) -> float:
        """Take and give 0, or give the seconds after which to look again."""
        with self._lock:
            self._fill()
            if self._rate is None:
                return 0.0
            if self._tokens > 0:
                self._tokens -= amount
                return 0.0
            if self._rate <= 0:
                return self.LOOK
            return min(self.LOOK, max(-self._tokens / self._rate, 0.001))

    def _fill(self) -> None:
        now = self._clock()
        if self._rate is not None:
            self._tokens = min(self._rate, self._tokens + (now - self._filled) * self._rate)
        self._filled = now


class Throttled(Layer):
    """Keeps content to the rate of a bucket, on both ways."""

    def __init__(self, inner: Connector, bucket: Bucket) -> None:
        super().__init__(inner)
        self.bucket = bucket

    def _paced(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.bucket.take(len(chunk))
            yield chunk

    @contextmanager
    def _reading(
        self, path: str, offset: int, length: int | None, entry: Entry | None = None
    ) -> Iterator[Iterator[bytes]]:
        with self._opening(path, offset, length, entry) as chunks:
            yield self._paced(chunks)

    def _sent(self, path: str, content: Iterable[bytes]) -> Iterator[bytes]:
        return self._paced(content)


# -- patience

PASSING = frozenset({ErrorKind.RATE_LIMITED, ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT})
REPEATABLE = frozenset(
    {
        *("stat", "delete", "make_container", "stamp", "rename"),
        *("page", "versions", "access", "principals", "lock_of", "properties", "abandon_upload", "set_properties"),
    }
)


class Retrying(Layer):
    """Repeats small calls that failed for a passing reason, after a pause.

    Repeated are ``REPEATABLE`` calls, the opening of a read, and listings, which go on after the entries
    already given. A write, or a read that has begun, is never repeated: only who knows both sides can. A rename
    that was done while its answer was lost ends as NOT_FOUND: look again. The pause is drawn between 0 and a
    bound that doubles (full jitter), and is never shorter than the platform asked for; when that is longer than
    ``longest``, the error goes to the caller at once.
    """

    REMEMBERED = 100_000  # names of a listing; a longer one is not begun again

    def __init__(
        self,
        inner: Connector,
        *,
        attempts: int = 5,
        first: float = 0.5,
        longest: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        chance: random.Random | None = None,
    ) -> None:
        super().__init__(inner)
        self._attempts = attempts
        self._first = first
        self._longest = longest
        self._sleep = sleep
        self._chance = chance or random.Random()

    def _call(self, operation: str, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        if operation not in REPEATABLE:
            return act(*arguments, **named)
        return self._patiently(lambda: act(*arguments, **named))

    def _patiently(self, act: Callable[[], T]) -> T:
        attempt = 1
        while True:
            try:
                return act()
            except TallyportError as error:
                self._pause(error, attempt)
                attempt += 1

    def _pause(self, error: TallyportError, attempt: int) -> None:
        """Wait before the next attempt, or raise the error when there is none."""
        asked = error.retry_after or 0.0
        if error.kind not in PASSING or asked > self._longest:
            raise error
        if attempt >= self._attempts:
            raise TallyportError(
                error.kind,
                f"still failing after {attempt} attempts: {error.message}",
                path=error.path,
                side=error.side,
                operation=error.operation,
                retry_after=error.retry_after,
            ) from error
        bound = min(self._longest, self._first * 2 ** (attempt - 1))
        self._sleep(max(asked, self._chance.uniform(0, bound)))

    def _listing(self, path: str) -> Iterator[Entry]:
        given: set[str] = set()
        attempt = 1
        while True:
            try:
                for entry in self.inner.children(path):
                    if entry.name not in given:
                        given.add(entry.name)
                        yield entry
                return
            except TallyportError as error:
                if len(given) > self.REMEMBERED:
                    raise
                self._pause(error, attempt)
                attempt += 1

    @contextmanager
    def _reading(
        self, path: str, offset: int, length: int | None, entry: Entry | None = None
    ) -> Iterator[Iterator[bytes]]:
        with ExitStack() as stack:
            yield self._patiently(lambda: stack.enter_context(self._opening(path, offset, length, entry)))


# -- simulation

READING = frozenset(
    {
        *("stat", "content_hash", "sync", "page", "versions", "read_version"),
        *("access", "principals", "lock_of", "properties"),
    }
)


class ReadOnly(Layer):
    """Refuses every call that would change something: a simulation looks and touches nothing."""

    def _call(self, operation: str, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        if operation in READING:
            return act(*arguments, **named)
        path = str(arguments[0])
        words = operation.replace("_", " ")
        message = f"cannot {words} {display(path) or '/'!r}: this is a simulation, which changes nothing"
        raise TallyportError(ErrorKind.READ_ONLY, message, path=path, operation=operation)


# -- faults, for tests


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong: at which calls, and how.

    Without ``kind`` nothing is raised: with ``after`` content or a listing ends early as if that were all,
    with ``flip`` a byte is changed, with ``delay`` the call takes longer.
    """

    operation: str  # name of the method
    kind: ErrorKind | None = None
    path: str = "*"  # pattern of paths whose calls count
    nth: int = 1  # first of those calls that it happens to
    times: int | None = 1  # how many calls in a row; None is all that follow
    after: int | None = None  # bytes of content or entries of a listing that pass before
    flip: int | None = None  # place of the byte, from where the call starts
    delay: float = 0.0  # seconds
    effective: bool = False  # the call does its work, and then fails: the answer was lost
    retry_after: float | None = None


class Faulty(Layer):
    """Lets calls go wrong by a script. ``fired`` tells what happened so far."""

    def __init__(
        self, inner: Connector, script: Sequence[Fault], *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(inner)
        self.script = list(script)
        self.fired: list[Fault] = []
        self._sleep = sleep
        self._lock = threading.Lock()
        self._calls: Counter[int] = Counter()  # by place in the script

    def _due(self, operation: str, path: str) -> Fault | None:
        """Count the call and give the first fault that is meant for it."""
        due = None
        with self._lock:
            for place, fault in enumerate(self.script):
                if fault.operation != operation or not fnmatch.fnmatchcase(path, fault.path):
                    continue
                self._calls[place] += 1
                past = self._calls[place] - fault.nth
                if due is None and past >= 0 and (fault.times is None or past < fault.times):
                    due = fault
            if due is not None:
                self.fired.append(due)
        if due is not None and due.delay:
            self._sleep(due.delay)
        return due

    def _fail(self, fault: Fault | None, operation: str, path: str) -> None:
        if fault is not None and fault.kind is not None:
            message = f"cannot {operation.replace('_', ' ')} {display(path)!r}: a fault of the script"
            raise TallyportError(fault.kind, message, path=path, operation=operation, retry_after=fault.retry_after)

    def _call(self, operation: str, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        path = str(arguments[0]) if arguments else ""
        fault = self._due(operation, path)
        if fault is not None and not fault.effective:
            self._fail(fault, operation, path)
        result = act(*arguments, **named)
        self._fail(fault, operation, path)
        return result

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        fault = self._due("write", path)
        if fault is None or fault.effective:
            entry = self.inner.write(path, content, facts, when=when)
            self._fail(fault, "write", path)
            return entry
        if fault.after is None:
            self._fail(fault, "write", path)
        return self.inner.write(path, self._spoiled(content, fault, "write", path), facts, when=when)

    def _listing(self, path: str) -> Iterator[Entry]:
        fault = self._due("children", path)
        if fault is None or fault.after is None:
            self._fail(fault, "children", path)
            yield from self.inner.children(path)
            return
        yield from itertools.islice(self.inner.children(path), fault.after)
        self._fail(fault, "children", path)

    @contextmanager
    def _reading(
        self, path: str, offset: int, length: int | None, entry: Entry | None = None
    ) -> Iterator[Iterator[bytes]]:
        fault = self._due("read", path)
        if fault is not None and fault.after is None:
            self._fail(fault, "read", path)
        with self._opening(path, offset, length, entry) as chunks:
            yield chunks if fault is None else self._spoiled(chunks, fault, "read", path)

    def _spoiled(self, chunks: Iterable[bytes], fault: Fault, operation: str, path: str) -> Iterator[bytes]:
        passed = 0
        for chunk in chunks:
            if fault.flip is not None and 0 <= fault.flip - passed < len(chunk):
                place = fault.flip - passed
                chunk = chunk[:place] + bytes([chunk[place] ^ 0xFF]) + chunk[place + 1 :]
            if fault.after is not None and passed + len(chunk) > fault.after:
                yield chunk[: fault.after - passed]
                self._fail(fault, operation, path)
                return
            passed += len(chunk)
            yield chunk
