"""What a cheap look at the source tells of a job before it runs: how much there is, and what will not go as it is."""

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tallyport.domain import naming, paths
from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.forecast import Side, Tree, document, forecast, shortfall_of
from tallyport.domain.name_proof import NameProof
from tallyport.domain.parts import MOST_CHILDREN, Child
from tallyport.domain.policies import Policies

FIRST = 20  # examples of each kind


@dataclass(slots=True)
class Finding:
    """Items with one thing in common: how many, and the first of them."""

    count: int = 0
    first: list[dict[str, Any]] = field(default_factory=list)

    def add(self, path: str, **facts: object) -> None:
        """Count an item, and keep it when it is among the first."""
        self.count += 1
        if len(self.first) < FIRST:
            self.first.append({"path": f"/{paths.display(path)}", **facts})

    def document(self) -> dict[str, Any]:
        """Give it as JSON."""
        return {"count": self.count, "first": self.first}


class Manifest:
    """Gathers what is seen of a source. Memory grows with what stands at the top and in one container alone, and with
    folders that do not go.

    With both ``sides`` it also tells what the pair will lose of ``tree``.
    """

    def __init__(
        self,
        policies: Policies,
        destination: Limits,
        *,
        sides: tuple[Side, Side] | None = None,
        originals: Callable[[str], Mapping[str, str]] | None = None,
    ) -> None:
        """``originals``: by a container's path, the names there that an earlier job changed → what they were."""
        self.tree = Tree(None if sides is None else shortfall_of(*sides, policies))
        self._sides = sides
        self._originals = originals
        self._renamed_in: tuple[str | None, Mapping[str, str]] = (None, {})
        self._proof = NameProof(policies, destination)
        self.items = 0
        self.folders = 0
        self.bytes = 0
        self.is_complete = True  # everything was looked at
        self.too_large, self.renamed, self.blocked = Finding(), Finding(), Finding()
        self._policies = policies
        self._limits = destination
        self._largest: list[tuple[int, str]] = []
        self._children: dict[str, list[int]] | None = {}
        self._closed: set[str] = set()  # folders that do not go, and those below them

    def add(self, path: str, entry: Entry) -> bool:
        """Count an item that takes part; tells whether it will stand at the destination."""
        is_container = entry.kind is Kind.CONTAINER
        size = entry.size if entry.kind is Kind.FILE else 0
        self.items += not is_container
        self.folders += is_container
        self.bytes += size
        self._count_child(path, size)
        if entry.kind is Kind.FILE:
            ranked = (size, path)
            if len(self._largest) < FIRST:
                heapq.heappush(self._largest, ranked)
            elif ranked > self._largest[0]:
                heapq.heapreplace(self._largest, ranked)
            if self._limits.max_size is not None and size > self._limits.max_size:
                self.too_large.add(path, bytes=size)
        is_refused = self.tree.refuses(entry)
        is_named = entry.kind is Kind.SPECIAL or self._name(path, is_container=is_container, is_refused=is_refused)
        if entry.kind is Kind.SPECIAL:
            self.blocked.add(path, reason="neither a file nor a folder")
        if paths.split(path)[0] in self._closed:  # nothing below a folder that does not go is looked at
            is_named = is_refused = False
        if is_named or is_refused:
            self.tree.add(entry)
        elif is_container:
            self._closed.add(path)
        return is_named and not is_refused

    def _name(self, path: str, *, is_container: bool, is_refused: bool) -> bool:
        """Look at what the item's name becomes; tells whether it finds a place."""
        container, name = paths.split(path)
        original = self._original(container, name)
        fitting = naming.fit(original, self._policies, self._limits, container=container)
        fitting = self._proof.add(path, original=original, is_container=is_container, fitting=fitting)
        if fitting.name is None:
            self.blocked.add(path, reason=fitting.problem)
        elif fitting.name != name:
            how = fitting.processing if original == name else (naming.RESTORED, *fitting.processing)
            self.tree.renamed += fitting.name != original and not is_refused and container not in self._closed
            self.renamed.add(path, name=paths.display(fitting.name), how=list(how))
        return fitting.name is not None

    def _original(self, container: str, name: str) -> str:
        """Give the name that an item had before an earlier job renamed it, or the one that it has."""
        if self._originals is None:
            return name
        if self._renamed_in[0] != container:
            self._renamed_in = container, self._originals(container)
        return self._renamed_in[1].get(name, name)

    def add_root(self, entry: Entry) -> None:
        """Count the root of the source, which is no item that stands below it: it too has a time and an owner."""
        self.tree.add(entry)

    def deny(self, path: str, reason: str) -> None:
        """Note a container that could not be looked into."""
        self.blocked.add(path, reason=reason)

    def document(self) -> dict[str, Any]:
        """Give it as JSON."""
        largest = sorted(self._largest, key=lambda one: (-one[0], one[1]))
        return {
            "items": self.items,
            "folders": self.folders,
            "bytes": self.bytes,
            "complete": self.is_complete,
            "largest": [{"path": f"/{paths.display(path)}", "bytes": size} for size, path in largest],
            "too_large": self.too_large.document(),
            "renamed": self.renamed.document(),
            "blocked": self.blocked.document(),
            "names": self._proof.document(),
            "losses": self._losses(),
            "children": None if self._children is None else [[name, *sums] for name, sums in self._children.items()],
        }

    def _losses(self) -> list[dict[str, Any]] | None:
        return None if self._sides is None else document(forecast(self._sides[1], self.tree, self._policies))

    def _count_child(self, path: str, size: int) -> None:
        if self._children is None:
            return
        sums = self._children.setdefault(path.partition("/")[0], [0, 0])
        sums[0] += 1
        sums[1] += size
        if len(self._children) > MOST_CHILDREN:
            self._children = None


def children_of(document: Mapping[str, Any] | None) -> list[Child] | None:
    """Give what a manifest knows of the entries at the top; None when it does not know them all."""
    if document is None or not document.get("complete"):
        return None
    found: Iterable[Any] | None = document.get("children")
    return None if found is None else [Child(str(name), int(items), int(size)) for name, items, size in found]
