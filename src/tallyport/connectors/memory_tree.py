"""What the connections to one store in memory share: the tree, its nodes, and how it was listed before."""

import itertools
import threading
from dataclasses import dataclass, field
from typing import NamedTuple

from tallyport.connectors.memory_access import Accounts, Companions
from tallyport.connectors.memory_settings import Settings
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError


@dataclass(slots=True, eq=False, kw_only=True)
class Node:
    """A file, container or link, whatever its names."""

    number: int
    kind: Kind
    modified: int
    created: int
    mode: int
    owner: str | int | None = None
    group: str | int | None = None
    content: bytes = b""
    version: int = 0
    target: str | None = None
    history: list[tuple[int, bytes, int]] = field(default_factory=list)  # earlier: version, content, time
    links: int = 0  # names it has
    children: "dict[str, tuple[str, Node]]" = field(default_factory=dict)  # key → name as written, node
    temporaries: dict[str, bytes] = field(default_factory=dict)
    past: "list[Past]" = field(default_factory=list)
    companions: Companions = field(default_factory=Companions)

    def holds(self, other: "Node") -> bool:
        """Tell whether a node is this one or below it."""
        return self is other or any(child.holds(other) for _, child in self.children.values())


class Past(NamedTuple):
    """How a listing showed one name until a change."""

    call: int  # number of the call that changed it
    key: str
    entry: Entry | None


class Tree:
    """What the connections to one store share."""

    def __init__(self, settings: Settings) -> None:
        self.number = next(_numbers)
        self.case_insensitive = settings.case_insensitive
        self.lag = settings.lag  # the longest that a connection asked for
        self.lock = threading.RLock()
        self.calls = 0
        self.used = 0  # bytes of all files and temporaries
        self.accounts = Accounts()
        self._versions = itertools.count(1)
        self._nodes = itertools.count(1)
        self.root = Node(number=0, kind=Kind.CONTAINER, modified=0, created=0, mode=0o755, links=1)

    def next_version(self) -> int:
        return next(self._versions)

    def next_number(self) -> int:
        return next(self._nodes)


_numbers = itertools.count(1)
_stores: dict[str, Tree] = {}
_stores_lock = threading.Lock()


def tree_of(settings: Settings) -> Tree:
    if not settings.store:
        return Tree(settings)
    with _stores_lock:
        tree = _stores.setdefault(settings.store, Tree(settings))
        if tree.case_insensitive != settings.case_insensitive:
            message = f"the store {settings.store!r} was made with case_insensitive={tree.case_insensitive}"
            raise TallyportError(ErrorKind.CONFIG, message, operation="open")
        tree.lag = max(tree.lag, settings.lag)
        return tree


def forget(store: str) -> None:
    """Drop a named tree. Connections that are open keep theirs."""
    with _stores_lock:
        _stores.pop(store, None)
