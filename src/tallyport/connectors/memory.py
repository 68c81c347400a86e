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

from tallyport.connectors import hashing
from tallyport.connectors.memory_access import with_token
from tallyport.connectors.memory_glimpses import Glimpsing
from tallyport.connectors.memory_settings import DEFAULTS, Settings, abilities_lost, limits_of
from tallyport.connectors.memory_tree import Node, Past, tree_of
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition
from tallyport.domain.access import Access, Principal, PrincipalKind
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.locks import Lock
from tallyport.domain.paths import ROOT, check_segment, display, join, segments, split, to_bytes
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
        self._clock = clock
        self._tree = tree_of(settings)
        self._held: set[str] = set()  # tokens of locks of ours
        self._base = path
        self.location = f"memory://{settings.store or self._tree.number}/{display(path)}"
        self._open_root(make=make)

    # -- what every platform can do

    def stat(self, path: str) -> Entry | None:
        self._begin("stat", path)
        with self._tree.lock:
            found = self._find(path)
            return None if found is None else self._entry(*found)

    def children(self, path: str) -> Iterator[Entry]:
        self._begin("list", path)
        with self._tree.lock:
            return iter(self._listing(self._container(path, "list")))

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length)

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        self._begin_change("write", path)
        self._check_type(path)
        with self._tree.lock:
            self._place(path, "write")
        data = self._collect(path, content, facts)
        with self._tree.lock:
            if self.settings.quota is not None and self._tree.used + len(data) > self.settings.quota:
                raise self._no_space(path, len(data))
            node = self._node(Kind.FILE, facts)
            node.content = data
            node.version = self._tree.next_version()
            return self._put("write", path, node, when)

    def make_container(self, path: str, facts: Facts) -> Entry:
        self._begin_change("make", path)
        with self._tree.lock:
            found = self._find(path)
            if found is not None:
                name, node = found
                if node.kind is not Kind.CONTAINER:
                    raise _error(ErrorKind.ALREADY_EXISTS, "make", path, "a file has that name")
                return self._entry(name, node)
            return self._put("make", path, self._node(Kind.CONTAINER, facts), Precondition(absent=True))

    def delete(self, path: str, *, expect: Entry | None = None) -> None:
        self._begin_change("delete", path, new_name=False)
        with self._tree.lock:
            if path == ROOT:
                raise _error(ErrorKind.UNSUPPORTED, "delete", path, "it is the root of the connection")
            found = self._find(path)
            if found is None:
                return
            name, node = found
            if expect is not None and not _is_still(self._entry(name, node), expect):
                raise _error(ErrorKind.CHANGED_DURING_COPY, "delete", path, "it changed since it was seen")
            if node.children:
                raise _error(ErrorKind.ALREADY_EXISTS, "delete", path, "the container is not empty")
            self._refuse_locked("delete", path, node)
            self._take(path)

    def close(self) -> None:
        """Release nothing: a named tree outlives its connections."""

    # -- abilities, each taken away by a setting

    def stamp(self, path: str, facts: Facts) -> Entry:
        self._begin_change("stamp", path, new_name=False)
        with self._tree.lock:
            name, node = self._existing(path, "stamp")
            if path != ROOT:
                self._before_change(path)
            self._apply(node, facts)
            return self._entry(name, node)

    def rename(self, path: str, to: str) -> Entry:
        self._begin_change("rename", path, new_name=False)
        self._check_new_name("rename", to)
        with self._tree.lock:
            if path == ROOT or to == path or to.startswith(f"{path}/"):
                kind = ErrorKind.ALREADY_EXISTS if to == path != ROOT else ErrorKind.UNSUPPORTED
                raise _error(kind, "rename", path, f"it cannot become {display(to)!r}")
            _, node = self._existing(path, "rename")
            container, key = self._place(to, "rename")
            taken = container.children.get(key)
            other_case = (container, key) == self._place(path, "rename")
            if taken is not None and not other_case:
                raise _error(ErrorKind.ALREADY_EXISTS, "rename", path, f"the name {display(to)!r} is taken")
            if node.kind is Kind.CONTAINER and node.holds(container):
                raise _error(ErrorKind.UNSUPPORTED, "rename", path, "a container cannot move into itself")
            self._refuse_locked("rename", path, node)
            node.companions.lock = None  # a lock is on the name
            node.links += 1  # the name it is about to get
            self._take(path)
            return self._put("rename", to, node, Precondition())

    def content_hash(self, path: str) -> bytes:
        self._begin("hash", path)
        with self._tree.lock:
            node = self._file(path, "hash")
            content = node.content
        return _content_hash(content)

    def make_symlink(self, path: str, target: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        self._begin_change("link", path)
        if not self.settings.symlinks:
            raise _error(ErrorKind.UNSUPPORTED, "link", path, "the platform has no symlinks")
        with self._tree.lock:
            node = self._node(Kind.SYMLINK, facts)
            node.target = target
            if facts.mode is None:
                node.mode = 0o777
            return self._put("link", path, node, when)

    def make_hard_link(self, path: str, existing: str, *, when: Precondition = ANYTHING) -> Entry:
        self._begin_change("link", path)
        if not self.settings.hard_links:
            raise _error(ErrorKind.UNSUPPORTED, "link", path, "the platform has no hard links")
        with self._tree.lock:
            _, node = self._existing(existing, "link")
            if node.kind is Kind.CONTAINER:
                raise _error(ErrorKind.UNSUPPORTED, "link", path, "a container cannot have a second name")
            node.links += 1
            try:
                entry = self._put("link", path, node, when)
            except TallyportError:
                node.links -= 1
                raise
            return entry

    def versions(self, path: str) -> Sequence[Version]:
        self._begin("versions", path)
        with self._tree.lock:
            node = self._file(path, "versions")
            past = [Version(str(number), len(content), modified) for number, content, modified in node.history]
            return [*past, Version(str(node.version), len(node.content), node.modified, is_current=True)]

    def read_version(
        self, path: str, version: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        self._begin("read", path)
        with self._tree.lock:
            node = self._file(path, "read")
            kept = {str(number): content for number, content, _ in node.history} | {str(node.version): node.content}
        if version not in kept:
            raise _error(ErrorKind.NOT_FOUND, "read", path, f"there is no version {version} of it any more")
        content = kept[version][offset:]
        return nullcontext(iter([content if length is None else content[:length]]))

    def sweep(self, path: str, token: str) -> int:
        self._begin_change("sweep", path, new_name=False)
        with self._tree.lock:
            container = self._container(path, "sweep")
            left = [name for name in container.temporaries if token in name]
            for name in left:
                self._tree.used -= len(container.temporaries.pop(name))
            return len(left)

    def access(self, path: str) -> Access:
        self._begin("see the access of", path)
        with self._tree.lock:
            _, node = self._existing(path, "see the access of")
            found = node.companions.access()
            owner = found.owner or self._principal(PrincipalKind.ACCOUNT, node.owner)
            return found._replace(owner=owner, group=found.group or self._principal(PrincipalKind.GROUP, node.group))

    def set_access(self, path: str, access: Access, *, remove_others: bool = False) -> Access:
        self._begin_change("set the access of", path, new_name=False)
        with self._tree.lock:
            _, node = self._existing(path, "set the access of")
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
            return self._existing(path, "see the lock of")[1].companions.lock

    def lock(self, path: str, lock: Lock) -> Lock:
        self._begin_change("lock", path, new_name=False)
        with self._tree.lock:
            _, node = self._existing(path, "lock")
            there = node.companions.lock
            if there is not None and lock.mark and there.mark == lock.mark:
                self._held.add(there.token)
                return there
            if there is not None:
                raise _locked("lock", path)
            owner = None if lock.owner is None else self._tree.accounts.known(lock.owner)
            held = node.companions.lock = with_token(lock._replace(owner=owner))
            if lock.mark:
                self._held.add(held.token)
            return held

    def hold(self, path: str, mark: str) -> None:
        self._begin("see the lock of", path)
        with self._tree.lock:
            found = self._find(path)
            lock = None if found is None else found[1].companions.lock
            if lock is not None and lock.mark == mark:
                self._held.add(lock.token)

    def unlock(self, path: str, lock: Lock) -> None:
        self._begin_change("unlock", path, new_name=False)
        with self._tree.lock:
            found = self._find(path)
            held = None if found is None else found[1].companions.lock
            self._held.discard(lock.token)
            if found is None or held is None:
                return
            if held.token != lock.token:
                raise _error(ErrorKind.LOCKED, "unlock", path, "the lock is somebody else's")
            found[1].companions.lock = None

    def properties(self, path: str) -> Mapping[str, bytes]:
        self._begin("see the properties of", path)
        with self._tree.lock:
            return dict(self._existing(path, "see the properties of")[1].companions.properties)

    def set_properties(self, path: str, values: Mapping[str, bytes | None]) -> Mapping[str, bytes]:
        self._begin_change("set the properties of", path, new_name=False)
        with self._tree.lock:
            return self._existing(path, "set the properties of")[1].companions.set_properties(values)

    # -- for test beds

    def add_principal(self, principal: Principal) -> None:
        """Let the store have an account or group; from then on it knows no others."""
        with self._tree.lock:
            self._tree.accounts.add(principal)

    def leave_temporary(self, path: str, token: str, content: bytes = b"half of it") -> None:
        """Leave in a container what a crash in the middle of a write would leave."""
        with self._tree.lock:
            container = self._container(path, "write")
            container.temporaries[f".{token}-{len(container.temporaries)}"] = content
            self._tree.used += len(content)

    def make_special(self, path: str) -> Entry:
        """Put something there that can only be reported, as a FIFO is."""
        with self._tree.lock:
            return self._put("make", path, self._node(Kind.SPECIAL, Facts()), Precondition(absent=True))

    # -- calls

    def _begin(self, operation: str, path: str) -> None:
        if self.settings.delay:
            self._sleep(self.settings.delay)
        for name in segments(path):
            why = check_segment(name)
            if why is not None:
                raise _error(ErrorKind.INVALID_NAME, operation, path, why)
        with self._tree.lock:
            self._tree.calls += 1

    def _begin_change(self, operation: str, path: str, *, new_name: bool = True) -> None:
        self._begin(operation, path)
        if self.settings.read_only:
            raise _error(ErrorKind.READ_ONLY, operation, path, "the platform is read-only")
        if new_name:
            self._check_new_name(operation, path)

    def _check_type(self, path: str) -> None:
        ending = path.rpartition(".")[2].casefold()
        if ending in self.limits.refused_extensions and "." in split(path)[1][1:]:
            raise _error(ErrorKind.UNSUPPORTED, "write", path, f"the platform refuses .{ending} files")

    def _check_new_name(self, operation: str, path: str) -> None:
        if path == ROOT:
            return
        name = split(path)[1]
        why = check_segment(name)
        if why is None and len(to_bytes(name)) > self.limits.max_name:
            why = f"the name is longer than {self.limits.max_name} bytes"
        if why is None and any(character in name for character in self.limits.forbidden_characters):
            why = f"the platform takes none of {self.limits.forbidden_characters!r} in a name"
        if why is None and name[-1] in self.limits.forbidden_endings:
            why = f"a name cannot end with {name[-1]!r} on this platform"
        if why is None and self.limits.max_path is not None and len(to_bytes(path)) > self.limits.max_path:
            why = f"the path is longer than {self.limits.max_path} bytes"
        if why is not None:
            raise _error(ErrorKind.INVALID_NAME, operation, path, why)

    @contextmanager
    def _reading(self, path: str, offset: int, length: int | None) -> Iterator[Iterator[bytes]]:
        self._begin("read", path)
        with self._tree.lock:
            content = self._file(path, "read").content
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
            raise _error(ErrorKind.CHANGED_DURING_COPY, "write", path, why)
        if facts.hash is not None and facts.hash != _content_hash(data):
            raise _error(ErrorKind.CORRUPT, "write", path, "the content does not have the announced hash")
        return bytes(data)

    def _check_size(self, path: str, size: int) -> None:
        if self.limits.max_size is not None and size > self.limits.max_size:
            why = f"it has more than the {self.limits.max_size} bytes that the platform takes"
            raise _error(ErrorKind.TOO_LARGE, "write", path, why)
        if self.settings.quota is not None and size > self.settings.quota:
            raise self._no_space(path, size)

    def _no_space(self, path: str, needed: int) -> TallyportError:
        free = max(0, (self.settings.quota or 0) - self._tree.used)
        return _error(ErrorKind.NO_SPACE, "write", path, f"out of quota ({needed} bytes needed, {free} free)")

    # -- the tree; all below is called with its lock held

    def _open_root(self, *, make: bool) -> None:
        with self._tree.lock:
            here = ROOT
            base, self._base = self._base, ROOT
            for name in segments(base):
                here = join(here, name)
                found = self._find(here)
                if found is None and make and not self.settings.read_only:
                    self._check_new_name("open", here)
                    self._put("open", here, self._node(Kind.CONTAINER, Facts()), Precondition(absent=True))
                elif found is None or found[1].kind is not Kind.CONTAINER:
                    raise _error(ErrorKind.NOT_FOUND, "open", base, "there is no such container")
            self._base = base

    def _key(self, name: str) -> str:
        return name.lower() if self.settings.case_insensitive else name

    def _find(self, path: str) -> tuple[str, Node] | None:
        """Give the stored name and the node, or None; a file on the way means there is nothing."""
        name, node = ROOT, self._tree.root
        for segment in (*segments(self._base), *segments(path)):
            found = node.children.get(self._key(segment))
            if found is None:
                return None
            name, node = found
        return (ROOT if path == ROOT else name), node

    def _existing(self, path: str, operation: str) -> tuple[str, Node]:
        found = self._find(path)
        if found is None:
            raise _error(ErrorKind.NOT_FOUND, operation, path, "there is nothing of that name")
        return found

    def _container(self, path: str, operation: str) -> Node:
        _, node = self._existing(path, operation)
        if node.kind is not Kind.CONTAINER:
            raise _error(ErrorKind.NOT_FOUND, operation, path, "it is not a container")
        return node

    def _file(self, path: str, operation: str) -> Node:
        _, node = self._existing(path, operation)
        if node.kind is not Kind.FILE:
            why = f"it is a {node.kind.name.lower()}, not a file"
            raise _error(ErrorKind.UNSUPPORTED, operation, path, why)
        return node

    def _place(self, path: str, operation: str) -> tuple[Node, str]:
        """Give the container a name is or would be in, and its key there."""
        if path == ROOT:
            raise _error(ErrorKind.ALREADY_EXISTS, operation, path, "it is the root of the connection")
        parent, name = split(path)
        return self._container(parent, operation), self._key(name)

    def _put(self, operation: str, path: str, node: Node, when: Precondition) -> Entry:
        """Make the node visible under a name, replacing what may be replaced; ``used`` follows."""
        container, key = self._place(path, operation)
        name = split(path)[1]
        taken = container.children.get(key)
        if taken is None:
            if when.entry is not None:
                raise _error(ErrorKind.ALREADY_EXISTS, operation, path, "what was to be replaced is gone")
        else:
            name, old = taken
            if when.absent:
                raise _error(ErrorKind.ALREADY_EXISTS, operation, path, "the name is taken")
            if when.entry is not None and not _is_still(self._entry(name, old), when.entry):
                raise _error(ErrorKind.ALREADY_EXISTS, operation, path, "it changed since it was looked at")
            if old.kind is Kind.CONTAINER:
                raise _error(ErrorKind.ALREADY_EXISTS, operation, path, "a container has that name")
            self._refuse_locked(operation, path, old)
        self._before_change(path)
        if taken is not None:
            if node is not taken[1] and taken[1].companions.lock is not None:
                node.companions.lock = taken[1].companions.lock  # it is on the name
            self._remember(node, taken[1])
            self._release(taken[1])
        self._touch(container)
        if node.links == 0:
            node.links = 1
            self._tree.used += len(node.content)
        container.children[key] = (name, node)
        return self._entry(name, node)

    def _refuse_locked(self, operation: str, path: str, node: Node) -> None:
        lock = node.companions.lock
        if lock is not None and lock.token not in self._held:
            raise _locked(operation, path)

    def _take(self, path: str) -> None:
        """Remove a name."""
        container, key = self._place(path, "delete")
        self._before_change(path)
        _, node = container.children.pop(key)
        self._release(node)
        self._touch(container)

    def _remember(self, node: Node, old: Node) -> None:
        """Have a file that is written over another remember what that held."""
        if not self.settings.versions or node is old or node.kind is not Kind.FILE or old.kind is not Kind.FILE:
            return
        node.history = [*old.history, (old.version, old.content, old.modified)]
        if self.settings.max_versions is not None:
            node.history = node.history[max(0, len(node.history) - self.settings.max_versions + 1) :]

    def _release(self, node: Node) -> None:
        node.links -= 1
        if node.links == 0:
            self._tree.used -= len(node.content)

    def _node(self, kind: Kind, facts: Facts) -> Node:
        now = self._rounded(self._clock())
        mode = 0o755 if kind is Kind.CONTAINER else 0o644
        node = Node(number=self._tree.next_number(), kind=kind, modified=now, created=now, mode=mode)
        self._apply(node, facts)
        return node

    def _apply(self, node: Node, facts: Facts) -> None:
        if facts.modified is not None:
            node.modified = self._rounded(facts.modified)
        if facts.mode is not None:
            node.mode = facts.mode
        if facts.owner is not None:
            node.owner = facts.owner
        if facts.group is not None:
            node.group = facts.group

    def _principal(self, kind: PrincipalKind, owner: str | int | None) -> Principal | None:
        """Give whom a node's owner or group is, as far as the store knows."""
        if owner is None:
            return None
        like = Principal(kind, str(owner)) if isinstance(owner, int) else Principal(kind, name=owner)
        return self._tree.accounts.known(like) or like

    def _touch(self, container: Node) -> None:
        container.modified = self._rounded(self._clock())

    def _rounded(self, moment: int) -> int:
        return moment - moment % self.settings.time_precision

    def _entry(self, name: str, node: Node) -> Entry:
        keeps, is_file = self.settings.permissions, node.kind is Kind.FILE
        target = node.target
        return Entry(
            name=name,
            kind=node.kind,
            size=len(node.content) if target is None else len(to_bytes(target)),
            modified=node.modified,
            tag=node.version.to_bytes(8, "big") if is_file else b"",
            mode=node.mode if keeps else None,
            owner=node.owner if keeps else None,
            group=node.group if keeps else None,
            links=node.links,
            link_id=self._link_id(node),
            target=target,
            hash=_content_hash(node.content) if is_file and self.settings.free_hashes else None,
            created=node.created,
        )

    def _link_id(self, node: Node) -> tuple[int, int] | None:
        return (self._tree.number, node.number) if node.links > 1 else None

    def _before_change(self, path: str) -> None:
        """Remember how a listing shows a name that is about to change, while somebody lists with a lag."""
        if not self._tree.lag:
            return
        container, key = self._place(path, "list")
        found = container.children.get(key)
        container.past.append(Past(self._tree.calls, key, None if found is None else self._entry(*found)))

    def _listing(self, container: Node) -> list[Entry]:
        """List what was true ``lag`` calls ago."""
        calls = self._tree.calls
        container.past = [past for past in container.past if past.call + self._tree.lag >= calls]
        shown = {key: self._entry(name, node) for key, (name, node) in container.children.items()}
        for past in reversed(container.past):
            if past.call + self.settings.lag < calls:
                break
            if past.entry is None:
                shown.pop(past.key, None)
            else:
                shown[past.key] = past.entry
        return list(shown.values())


@cache
def _without(cls: type[Any], methods: frozenset[str]) -> type[Any]:
    """Give the subclass whose instances lack some methods: None in a class means "not here" to isinstance."""
    return type(cls.__name__, (cls,), dict.fromkeys(methods)) if methods else cls


def _content_hash(content: bytes | bytearray) -> bytes:
    running = hashing.ContentHash()
    running.update(memoryview(content))
    return running.digest()


def _is_still(entry: Entry, expected: Entry) -> bool:
    return entry.kind is expected.kind and fingerprint(entry) == fingerprint(expected)


def _owner(principal: Principal) -> str | int:
    """Give a node's owner or group as facts have it."""
    return int(principal.id) if principal.id.isdecimal() else principal.name or principal.id or principal.email


def _locked(operation: str, path: str) -> TallyportError:
    return _error(ErrorKind.LOCKED, operation, path, "somebody holds a lock on it")


def _error(kind: ErrorKind, operation: str, path: str, why: str) -> TallyportError:
    message = f"cannot {operation} {display(path) or '/'!r}: {why}"
    return TallyportError(kind, message, path=path, operation=operation)
