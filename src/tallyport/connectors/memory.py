"""A platform made of dictionaries: a real connector for tests and trials, as awkward as its settings say.

Content lives in this process and nowhere else. Two connections with the same ``store`` name see one tree,
as two accounts of one server would; a connection without a name has a tree of its own. What an awkward
platform does is a setting: it folds case, keeps times coarsely, gives no hashes, answers slowly, lists what
was true a few calls ago, runs out of space, refuses names. An ability that the settings take away is gone
from the object: ``isinstance(connector, Hashes)`` is false after ``Settings(hashes=False)``.

Names keep the case they were made with. Symlinks are never followed. The tag of a file counts writes. Writing
over one of several hard links replaces that name alone, as a rename over it would. A listing is a snapshot.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any, Self, cast

from tallyport.connectors.memory_access import with_token
from tallyport.connectors.memory_glimpses import Glimpsing
from tallyport.connectors.memory_settings import DEFAULTS, Settings, abilities_lost, limits_of
from tallyport.connectors.memory_tree import tree_of
from tallyport.connectors.memory_view import View, content_hash, error_of, is_still, locked
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition
from tallyport.domain.access import Access, Principal, PrincipalKind
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.locks import Lock
from tallyport.domain.paths import ROOT, check_segment, display, segments, split
from tallyport.domain.versions import Version

CHUNK = 1024 * 1024


class Memory(Glimpsing):
    """One connection to a tree in memory, rooted at ``path`` below the tree's own root.

    ``sleep`` and ``clock`` (nanoseconds) are passed in by tests.
    """

    tells = frozenset({"created_on", "links", "denials"})  # see control/honoured.py

    def __new__(cls, settings: Settings = DEFAULTS, *arguments: object, **named: object) -> Self:
        """Make an object of the subclass that lacks what the settings take away."""
        narrowed: type[Self] = _without(cast(Any, cls), abilities_lost(settings))
        return super().__new__(narrowed)

    def __init__(
        self,
        settings: Settings = DEFAULTS,
        path: str = ROOT,
        *,
        make: bool = False,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.settings = settings
        self.limits = limits_of(settings)
        self._sleep = sleep
        self._tree = tree_of(settings)
        self.location = f"memory://{settings.store or self._tree.number}/{display(path)}"
        self._view = View(settings, self.limits, self._tree, path, clock)
        self._view.open_root(make=make)

    # -- what every platform can do

    def stat(self, path: str) -> Entry | None:
        self._begin("stat", path)
        with self._tree.lock:
            found = self._view.find(path)
            return None if found is None else self._view.entry(*found)

    def children(self, path: str) -> Iterator[Entry]:
        self._begin("list", path)
        with self._tree.lock:
            return iter(self._view.listing(self._view.container(path, "list")))

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length)

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        self._begin_change("write", path)
        self._check_type(path)
        with self._tree.lock:
            self._view.place(path, "write")
        data = self._collect(path, content, facts)
        with self._tree.lock:
            if self.settings.quota is not None and self._tree.used + len(data) > self.settings.quota:
                raise self._no_space(path, len(data))
            node = self._view.node(Kind.FILE, facts)
            node.content = data
            node.version = self._tree.next_version()
            return self._view.put("write", path, node, when)

    def make_container(self, path: str, facts: Facts) -> Entry:
        self._begin_change("make", path)
        with self._tree.lock:
            found = self._view.find(path)
            if found is not None:
                name, node = found
                if node.kind is not Kind.CONTAINER:
                    raise error_of(ErrorKind.ALREADY_EXISTS, "make", path, "a file has that name")
                return self._view.entry(name, node)
            return self._view.put("make", path, self._view.node(Kind.CONTAINER, facts), Precondition(absent=True))

    def delete(self, path: str, *, expect: Entry | None = None) -> None:
        self._begin_change("delete", path, new_name=False)
        with self._tree.lock:
            if path == ROOT:
                raise error_of(ErrorKind.UNSUPPORTED, "delete", path, "it is the root of the connection")
            found = self._view.find(path)
            if found is None:
                return
            name, node = found
            if expect is not None and not is_still(self._view.entry(name, node), expect):
                raise error_of(ErrorKind.CHANGED_DURING_COPY, "delete", path, "it changed since it was seen")
            if node.children:
                raise error_of(ErrorKind.ALREADY_EXISTS, "delete", path, "the container is not empty")
            self._view.refuse_locked("delete", path, node)
            self._view.take(path)

    def close(self) -> None:
        """Release nothing: a named tree outlives its connections."""

    # -- abilities, each taken away by a setting

    def stamp(self, path: str, facts: Facts) -> Entry:
        self._begin_change("stamp", path, new_name=False)
        with self._tree.lock:
            name, node = self._view.existing(path, "stamp")
            if path != ROOT:
                self._view.before_change(path)
            self._view.apply(node, facts)
            return self._view.entry(name, node)

    def rename(self, path: str, to: str) -> Entry:
        self._begin_change("rename", path, new_name=False)
        self._view.check_new_name("rename", to)
        with self._tree.lock:
            if path == ROOT or to == path or to.startswith(f"{path}/"):
                kind = ErrorKind.ALREADY_EXISTS if to == path != ROOT else ErrorKind.UNSUPPORTED
                raise error_of(kind, "rename", path, f"it cannot become {display(to)!r}")
            _, node = self._view.existing(path, "rename")
            container, key = self._view.place(to, "rename")
            taken = container.children.get(key)
            other_case = (container, key) == self._view.place(path, "rename")
            if taken is not None and not other_case:
                raise error_of(ErrorKind.ALREADY_EXISTS, "rename", path, f"the name {display(to)!r} is taken")
            if node.kind is Kind.CONTAINER and node.holds(container):
                raise error_of(ErrorKind.UNSUPPORTED, "rename", path, "a container cannot move into itself")
            self._view.refuse_locked("rename", path, node)
            node.companions.lock = None  # a lock is on the name
            node.links += 1  # the name it is about to get
            self._view.take(path)
            return self._view.put("rename", to, node, Precondition())

    def content_hash(self, path: str) -> bytes:
        self._begin("hash", path)
        with self._tree.lock:
            node = self._view.file(path, "hash")
            content = node.content
        return content_hash(content)

    def make_symlink(self, path: str, target: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        self._begin_change("link", path)
        if not self.settings.symlinks:
            raise error_of(ErrorKind.UNSUPPORTED, "link", path, "the platform has no symlinks")
        with self._tree.lock:
            node = self._view.node(Kind.SYMLINK, facts)
            node.target = target
            if facts.mode is None:
                node.mode = 0o777
            return self._view.put("link", path, node, when)

    def make_hard_link(self, path: str, existing: str, *, when: Precondition = ANYTHING) -> Entry:
        self._begin_change("link", path)
        if not self.settings.hard_links:
            raise error_of(ErrorKind.UNSUPPORTED, "link", path, "the platform has no hard links")
        with self._tree.lock:
            _, node = self._view.existing(existing, "link")
            if node.kind is Kind.CONTAINER:
                raise error_of(ErrorKind.UNSUPPORTED, "link", path, "a container cannot have a second name")
            node.links += 1
            try:
                entry = self._view.put("link", path, node, when)
            except TallyportError:
                node.links -= 1
                raise
            return entry

    def versions(self, path: str) -> Sequence[Version]:
        self._begin("versions", path)
        with self._tree.lock:
            node = self._view.file(path, "versions")
            past = [Version(str(number), len(content), modified) for number, content, modified in node.history]
            return [*past, Version(str(node.version), len(node.content), node.modified, is_current=True)]

    def read_version(
        self, path: str, version: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        self._begin("read", path)
        with self._tree.lock:
            node = self._view.file(path, "read")
            kept = {str(number): content for number, content, _ in node.history} | {str(node.version): node.content}
        if version not in kept:
            raise error_of(ErrorKind.NOT_FOUND, "read", path, f"there is no version {version} of it any more")
        content = kept[version][offset:]
        return nullcontext(iter([content if length is None else content[:length]]))

    def sweep(self, path: str, token: str) -> int:
        self._begin_change("sweep", path, new_name=False)
        with self._tree.lock:
            container = self._view.container(path, "sweep")
            left = [name for name in container.temporaries if token in name]
            for name in left:
                self._tree.used -= len(container.temporaries.pop(name))
            return len(left)

    def access(self, path: str) -> Access:
        self._begin("see the access of", path)
        with self._tree.lock:
            _, node = self._view.existing(path, "see the access of")
            found = node.companions.access()
            owner = found.owner or self._view.principal(PrincipalKind.ACCOUNT, node.owner)
            return found._replace(
                owner=owner, group=found.group or self._view.principal(PrincipalKind.GROUP, node.group)
            )

    def set_access(self, path: str, access: Access, *, remove_others: bool = False) -> Access:
        self._begin_change("set the access of", path, new_name=False)
        with self._tree.lock:
            _, node = self._view.existing(path, "set the access of")
            node.companions.set_access(access, self._tree.accounts, remove_others=remove_others)
            owner, group = node.companions.owner, node.companions.group
            node.owner = node.owner if owner is None else _owner(owner)
            node.group = node.group if group is None else _owner(group)
        return self.access(path)

    def principals(self, like: Principal) -> Iterator[Principal]:
        self._begin("look up", ROOT)
        with self._tree.lock:
            return iter(list(self._tree.accounts.like(like)))

    def lock_of(self, path: str) -> Lock | None:
        self._begin("see the lock of", path)
        with self._tree.lock:
            return self._view.existing(path, "see the lock of")[1].companions.lock

    def lock(self, path: str, lock: Lock) -> Lock:
        self._begin_change("lock", path, new_name=False)
        with self._tree.lock:
            _, node = self._view.existing(path, "lock")
            there = node.companions.lock
            if there is not None and lock.mark and there.mark == lock.mark:
                self._view.held.add(there.token)
                return there
            if there is not None:
                raise locked("lock", path)
            owner = None if lock.owner is None else self._tree.accounts.known(lock.owner)
            held = node.companions.lock = with_token(lock._replace(owner=owner))
            if lock.mark:
                self._view.held.add(held.token)
            return held

    def hold(self, path: str, mark: str) -> None:
        self._begin("see the lock of", path)
        with self._tree.lock:
            found = self._view.find(path)
            lock = None if found is None else found[1].companions.lock
            if lock is not None and lock.mark == mark:
                self._view.held.add(lock.token)

    def unlock(self, path: str, lock: Lock) -> None:
        self._begin_change("unlock", path, new_name=False)
        with self._tree.lock:
            found = self._view.find(path)
            held = None if found is None else found[1].companions.lock
            self._view.held.discard(lock.token)
            if found is None or held is None:
                return
            if held.token != lock.token:
                raise error_of(ErrorKind.LOCKED, "unlock", path, "the lock is somebody else's")
            found[1].companions.lock = None

    def properties(self, path: str) -> Mapping[str, bytes]:
        self._begin("see the properties of", path)
        with self._tree.lock:
            return dict(self._view.existing(path, "see the properties of")[1].companions.properties)

    def set_properties(self, path: str, values: Mapping[str, bytes | None]) -> Mapping[str, bytes]:
        self._begin_change("set the properties of", path, new_name=False)
        with self._tree.lock:
            return self._view.existing(path, "set the properties of")[1].companions.set_properties(values)

    # -- for test beds

    def add_principal(self, principal: Principal) -> None:
        """Let the store have an account or group; from then on it knows no others."""
        with self._tree.lock:
            self._tree.accounts.add(principal)

    def leave_temporary(self, path: str, token: str, content: bytes = b"half of it") -> None:
        """Leave in a container what a crash in the middle of a write would leave."""
        with self._tree.lock:
            container = self._view.container(path, "write")
            container.temporaries[f".{token}-{len(container.temporaries)}"] = content
            self._tree.used += len(content)

    def make_special(self, path: str) -> Entry:
        """Put something there that can only be reported, as a FIFO is."""
        with self._tree.lock:
            return self._view.put("make", path, self._view.node(Kind.SPECIAL, Facts()), Precondition(absent=True))

    # -- calls

    def _begin(self, operation: str, path: str) -> None:
        if self.settings.delay:
            self._sleep(self.settings.delay)
        for name in segments(path):
            why = check_segment(name)
            if why is not None:
                raise error_of(ErrorKind.INVALID_NAME, operation, path, why)
        with self._tree.lock:
            self._tree.calls += 1

    def _begin_change(self, operation: str, path: str, *, new_name: bool = True) -> None:
        self._begin(operation, path)
        if self.settings.read_only:
            raise error_of(ErrorKind.READ_ONLY, operation, path, "the platform is read-only")
        if new_name:
            self._view.check_new_name(operation, path)

    def _check_type(self, path: str) -> None:
        ending = path.rpartition(".")[2].casefold()
        if ending in self.limits.refused_extensions and "." in split(path)[1][1:]:
            raise error_of(ErrorKind.UNSUPPORTED, "write", path, f"the platform refuses .{ending} files")

    @contextmanager
    def _reading(self, path: str, offset: int, length: int | None) -> Iterator[Iterator[bytes]]:
        self._begin("read", path)
        with self._tree.lock:
            content = self._view.file(path, "read").content
        end = len(content) if length is None else min(len(content), offset + length)
        yield (content[start : min(end, start + CHUNK)] for start in range(offset, end, CHUNK))

    def _collect(self, path: str, content: Iterable[bytes], facts: Facts) -> bytes:
        """Take the whole content or raise. Nothing is visible yet."""
        self._check_size(path, facts.size or 0)
        data = bytearray()
        for chunk in content:
            data += chunk
            self._check_size(path, len(data))
        if facts.size is not None and facts.size != len(data):
            why = f"{facts.size} bytes were announced and {len(data)} came"
            raise error_of(ErrorKind.CHANGED_DURING_COPY, "write", path, why)
        if facts.hash is not None and facts.hash != content_hash(data):
            raise error_of(ErrorKind.CORRUPT, "write", path, "the content does not have the announced hash")
        return bytes(data)

    def _check_size(self, path: str, size: int) -> None:
        if self.limits.max_size is not None and size > self.limits.max_size:
            why = f"it has more than the {self.limits.max_size} bytes that the platform takes"
            raise error_of(ErrorKind.TOO_LARGE, "write", path, why)
        if self.settings.quota is not None and size > self.settings.quota:
            raise self._no_space(path, size)

    def _no_space(self, path: str, needed: int) -> TallyportError:
        free = max(0, (self.settings.quota or 0) - self._tree.used)
        return error_of(ErrorKind.NO_SPACE, "write", path, f"out of quota ({needed} bytes needed, {free} free)")


@cache
def _without(cls: type[Any], methods: frozenset[str]) -> type[Any]:
    """Give the subclass whose instances lack some methods: None in a class means "not here" to isinstance."""
    return type(cls.__name__, (cls,), dict.fromkeys(methods)) if methods else cls


def _owner(principal: Principal) -> str | int:
    """Give a node's owner or group as facts have it."""
    return int(principal.id) if principal.id.isdecimal() else principal.name or principal.id or principal.email
