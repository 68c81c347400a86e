"""What one connection sees of a tree in memory: nodes under names, as the platform has them.

Everything but :meth:`View.check_new_name` is called with the tree's lock held.
"""

from collections.abc import Callable

from tallyport.connectors import hashing
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.memory_tree import Node, Past, Tree
from tallyport.connectors.protocol import Facts, Precondition
from tallyport.domain.access import Principal, PrincipalKind
from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, check_segment, display, join, segments, split, to_bytes


class View:
    """The part of a tree below ``base``, under the settings of one connection."""

    def __init__(self, settings: Settings, limits: Limits, tree: Tree, base: str, clock: Callable[[], int]) -> None:
        self.settings = settings
        self.limits = limits
        self.held: set[str] = set()  # tokens of locks of ours
        self._tree = tree
        self._base = base
        self._clock = clock

    def open_root(self, *, make: bool) -> None:
        """Find what the connection is rooted at, or make it."""
        with self._tree.lock:
            here = ROOT
            base, self._base = self._base, ROOT
            for name in segments(base):
                here = join(here, name)
                found = self.find(here)
                if found is None and make and not self.settings.read_only:
                    self.check_new_name("open", here)
                    self.put("open", here, self.node(Kind.CONTAINER, Facts()), Precondition(absent=True))
                elif found is None or found[1].kind is not Kind.CONTAINER:
                    raise error_of(ErrorKind.NOT_FOUND, "open", base, "there is no such container")
            self._base = base

    def _key(self, name: str) -> str:
        return name.lower() if self.settings.case_insensitive else name

    def find(self, path: str) -> tuple[str, Node] | None:
        """Give the stored name and the node, or None; a file on the way means there is nothing."""
        name, node = ROOT, self._tree.root
        for segment in (*segments(self._base), *segments(path)):
            found = node.children.get(self._key(segment))
            if found is None:
                return None
            name, node = found
        return (ROOT if path == ROOT else name), node

    def existing(self, path: str, operation: str) -> tuple[str, Node]:
        """Find what has to be there."""
        found = self.find(path)
        if found is None:
            raise error_of(ErrorKind.NOT_FOUND, operation, path, "there is nothing of that name")
        return found

    def container(self, path: str, operation: str) -> Node:
        """Find a container that has to be there."""
        _, node = self.existing(path, operation)
        if node.kind is not Kind.CONTAINER:
            raise error_of(ErrorKind.NOT_FOUND, operation, path, "it is not a container")
        return node

    def file(self, path: str, operation: str) -> Node:
        """Find a file that has to be there."""
        _, node = self.existing(path, operation)
        if node.kind is not Kind.FILE:
            why = f"it is a {node.kind.name.lower()}, not a file"
            raise error_of(ErrorKind.UNSUPPORTED, operation, path, why)
        return node

    def place(self, path: str, operation: str) -> tuple[Node, str]:
        """Give the container a name is or would be in, and its key there."""
        if path == ROOT:
            raise error_of(ErrorKind.ALREADY_EXISTS, operation, path, "it is the root of the connection")
        parent, name = split(path)
        return self.container(parent, operation), self._key(name)

    def put(self, operation: str, path: str, node: Node, when: Precondition) -> Entry:
        """Make the node visible under a name, replacing what may be replaced; ``used`` follows."""
        container, key = self.place(path, operation)
        name = split(path)[1]
        taken = container.children.get(key)
        if taken is None:
            if when.entry is not None:
                raise error_of(ErrorKind.ALREADY_EXISTS, operation, path, "what was to be replaced is gone")
        else:
            name, old = taken
            if when.absent:
                raise error_of(ErrorKind.ALREADY_EXISTS, operation, path, "the name is taken")
            if when.entry is not None and not is_still(self.entry(name, old), when.entry):
                raise error_of(ErrorKind.ALREADY_EXISTS, operation, path, "it changed since it was looked at")
            if old.kind is Kind.CONTAINER:
                raise error_of(ErrorKind.ALREADY_EXISTS, operation, path, "a container has that name")
            self.refuse_locked(operation, path, old)
        self.before_change(path)
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
        return self.entry(name, node)

    def refuse_locked(self, operation: str, path: str, node: Node) -> None:
        """Refuse to change what somebody else locked."""
        lock = node.companions.lock
        if lock is not None and lock.token not in self.held:
            raise locked(operation, path)

    def take(self, path: str) -> None:
        """Remove a name."""
        container, key = self.place(path, "delete")
        self.before_change(path)
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

    def node(self, kind: Kind, facts: Facts) -> Node:
        """Make a node that has no name yet."""
        now = self._rounded(self._clock())
        mode = 0o755 if kind is Kind.CONTAINER else 0o644
        node = Node(number=self._tree.next_number(), kind=kind, modified=now, created=now, mode=mode)
        self.apply(node, facts)
        return node

    def apply(self, node: Node, facts: Facts) -> None:
        """Have a node keep facts, as far as the platform does."""
        if facts.modified is not None:
            node.modified = self._rounded(facts.modified)
        if facts.mode is not None:
            node.mode = facts.mode
        if facts.owner is not None:
            node.owner = facts.owner
        if facts.group is not None:
            node.group = facts.group

    def principal(self, kind: PrincipalKind, owner: str | int | None) -> Principal | None:
        """Give whom a node's owner or group is, as far as the store knows."""
        if owner is None:
            return None
        like = Principal(kind, str(owner)) if isinstance(owner, int) else Principal(kind, name=owner)
        return self._tree.accounts.known(like) or like

    def _touch(self, container: Node) -> None:
        container.modified = self._rounded(self._clock())

    def _rounded(self, moment: int) -> int:
        return moment - moment % self.settings.time_precision

    def entry(self, name: str, node: Node) -> Entry:
        """Show a node under a name."""
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
            hash=content_hash(node.content) if is_file and self.settings.free_hashes else None,
            created=node.created,
        )

    def _link_id(self, node: Node) -> tuple[int, int] | None:
        return (self._tree.number, node.number) if node.links > 1 else None

    def before_change(self, path: str) -> None:
        """Remember how a listing shows a name that is about to change, while somebody lists with a lag."""
        if not self._tree.lag:
            return
        container, key = self.place(path, "list")
        found = container.children.get(key)
        container.past.append(Past(self._tree.calls, key, None if found is None else self.entry(*found)))

    def listing(self, container: Node) -> list[Entry]:
        """List what was true ``lag`` calls ago."""
        calls = self._tree.calls
        container.past = [past for past in container.past if past.call + self._tree.lag >= calls]
        shown = {key: self.entry(name, node) for key, (name, node) in container.children.items()}
        for past in reversed(container.past):
            if past.call + self.settings.lag < calls:
                break
            if past.entry is None:
                shown.pop(past.key, None)
            else:
                shown[past.key] = past.entry
        return list(shown.values())

    def check_new_name(self, operation: str, path: str) -> None:
        """Refuse a name that the platform does not take."""
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
            raise error_of(ErrorKind.INVALID_NAME, operation, path, why)


def content_hash(content: bytes | bytearray) -> bytes:
    """Hash content as we hash it everywhere."""
    running = hashing.ContentHash()
    running.update(memoryview(content))
    return running.digest()


def is_still(entry: Entry, expected: Entry) -> bool:
    """Tell whether an item is as it was seen."""
    return entry.kind is expected.kind and fingerprint(entry) == fingerprint(expected)


def locked(operation: str, path: str) -> TallyportError:
    """Say that a lock is in the way."""
    return error_of(ErrorKind.LOCKED, operation, path, "somebody holds a lock on it")


def error_of(kind: ErrorKind, operation: str, path: str, why: str) -> TallyportError:
    """Say what could not be done, where and why."""
    message = f"cannot {operation} {display(path) or '/'!r}: {why}"
    return TallyportError(kind, message, path=path, operation=operation)
