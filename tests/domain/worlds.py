"""A model world: two trees in dictionaries, a ledger, and a run that applies what ``decide`` says.

It stands for the engine where a property needs one. Written for clarity, and to be wrong in no other way than
the engine could be: it asks, applies, settles, and deletes last.
"""

from __future__ import annotations

from typing import NamedTuple

from tallyport.domain.actions import (
    Action,
    Adopt,
    Delete,
    Enter,
    Forget,
    Inspect,
    Look,
    MakeContainer,
    Reason,
    Skip,
    Stamp,
    Transfer,
)
from tallyport.domain.capabilities import Limits
from tallyport.domain.decide import decide
from tallyport.domain.entries import Baseline, Entry, Kind, Pair, Side, fingerprint
from tallyport.domain.items import Status
from tallyport.domain.policies import Policies
from tallyport.domain.rules import Rules, rules_for
from tallyport.domain.settle import BaselineMove, baseline_after, settle

SOURCE, DESTINATION = Side.SOURCE, Side.DESTINATION
POSIX = Limits(symlinks=True, permissions=True)


class Node(NamedTuple):
    """What stands at a path of one side."""

    kind: Kind
    content: str = ""  # or the target of a symlink
    modified: int = 0
    tag: int = 0  # grows with every change, as a ctime does


class Row(NamedTuple):
    """What the ledger holds of a path."""

    kind: Kind
    status: Status
    attempts: int
    baseline: Baseline | None


class World:
    """Two trees and a ledger."""

    def __init__(self) -> None:
        self.trees: dict[Side, dict[str, Node]] = {SOURCE: {}, DESTINATION: {}}
        self.ledger: dict[str, Row] = {}
        self.ticks = 0

    def write(self, side: Side, path: str, content: str, modified: int, kind: Kind = Kind.FILE) -> None:
        """Put a file or a symlink there, and the containers above it; what is in the way is left alone."""
        tree = self.trees[side]
        if self._opened(side, path) and (path not in tree or tree[path].kind is not Kind.CONTAINER):
            self.ticks += 1
            tree[path] = Node(kind, content, modified, self.ticks)

    def make(self, side: Side, path: str) -> None:
        """Make a container, and those above it, where nothing stands in the way."""
        if self._opened(side, path):
            self.trees[side].setdefault(path, Node(Kind.CONTAINER))

    def _opened(self, side: Side, path: str) -> bool:
        tree = self.trees[side]
        kinds = (tree.setdefault(above, Node(Kind.CONTAINER)).kind for above in containers_of(path))
        return all(kind is Kind.CONTAINER for kind in kinds)

    def touch(self, side: Side, path: str) -> None:
        """Change no content and no time of last change, as chmod does."""
        node = self.trees[side].get(path)
        if node is not None and node.kind is not Kind.CONTAINER:
            self.ticks += 1
            self.trees[side][path] = node._replace(tag=self.ticks)

    def remove(self, side: Side, path: str) -> None:
        """Remove what is there, and all below it."""
        tree = self.trees[side]
        for found in [name for name in tree if name == path or name.startswith(f"{path}/")]:
            del tree[found]

    def contents(self, side: Side) -> dict[str, str]:
        """Give what a person would compare: paths, kinds and contents."""
        return {path: f"{node.kind.name} {node.content}" for path, node in self.trees[side].items()}

    def entry(self, side: Side, path: str, *, hashed: bool) -> Entry | None:
        node = self.trees[side].get(path)
        if node is None:
            return None
        name = path.rpartition("/")[2]
        if node.kind is Kind.CONTAINER:
            return Entry(name, Kind.CONTAINER)
        return Entry(
            name,
            node.kind,
            size=len(node.content),
            modified=node.modified,
            tag=b"%d" % node.tag,
            target=node.content if node.kind is Kind.SYMLINK else None,
            hash=node.content.encode() if hashed and node.kind is Kind.FILE else None,
        )


def containers_of(path: str) -> list[str]:
    """Give the containers above a path, outermost first."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: n + 1]) for n in range(len(parts))]


class Run:
    """One execution over a world."""

    def __init__(
        self,
        world: World,
        policies: Policies,
        *,
        limits: tuple[Limits, Limits] = (POSIX, POSIX),
        simulation: bool = False,
        trusting: bool = False,
        first: bool = False,
    ) -> None:
        self.world = world
        self.rules: Rules = rules_for(policies, *limits, started=0, first_run=first)
        self.simulation = simulation
        self.trusting = trusting and self.rules.trusts_baseline
        self.actions: dict[str, Action] = {}
        self.questions = 0  # most asked for one item
        self.lost: set[str] = set()  # contents that an action may take from the world, by its own word
        self.stayed: set[str] = set()
        self._deletes: list[tuple[Side, str, Action]] = []

    def __call__(self) -> dict[str, Action]:
        self._visit("")
        if not self.simulation:
            self._delete()
        return self.actions

    # -- deciding

    def _visit(self, container: str) -> None:
        for path in sorted(self._children(container)):
            action = self._decide(path)
            self.actions[path] = action
            if not self.simulation:
                self._apply(path, action)
            if self._goes_in(path, action):
                self._visit(path)

    def _children(self, container: str) -> set[str]:
        prefix = f"{container}/" if container else ""
        known = {*self.world.trees[SOURCE], *self.world.trees[DESTINATION], *self.world.ledger}
        return {path for path in known if path.startswith(prefix) and "/" not in path[len(prefix) :]} - {""}

    def _goes_in(self, path: str, action: Action) -> bool:
        if isinstance(action, Enter | MakeContainer):
            return True
        trees = self.world.trees
        return isinstance(action, Delete) and trees[action.side][path].kind is Kind.CONTAINER

    def _decide(self, path: str) -> Action:
        asked: frozenset[Side] = frozenset()
        row = self.world.ledger.get(path)
        seen = not (self.trusting and row is not None and row.baseline is not None)
        for question in range(4):
            action = decide(self._pair(path, row, asked, seen=seen), self.rules)
            self.questions = max(self.questions, question)
            if isinstance(action, Inspect):
                assert not action.sides & asked, "asked twice"
                asked |= action.sides
            elif isinstance(action, Look):
                assert not seen, "looked twice"
                seen = True
            else:
                return action
        raise AssertionError("no end of questions")

    def _pair(self, path: str, row: Row | None, asked: frozenset[Side], *, seen: bool) -> Pair:
        source = self.world.entry(SOURCE, path, hashed=SOURCE in asked)
        destination = self.world.entry(DESTINATION, path, hashed=DESTINATION in asked) if seen else None
        baseline = None if row is None else row.baseline
        here = source or destination
        if row is not None and here is not None and (row.kind is Kind.CONTAINER) != (here.kind is Kind.CONTAINER):
            baseline = None
        return Pair(
            path,
            source,
            destination,
            baseline,
            asked,
            attempts=0 if row is None else row.attempts,
            flagged=row is not None and row.status is Status.FLAGGED,
            ignored=row is not None and row.status is Status.IGNORED,
            destination_seen=seen,
        )

    # -- applying

    def _apply(self, path: str, action: Action) -> None:
        world = self.world
        match action:
            case Transfer(to=to, replaces=replaces, keep_as=keep_as):
                node = world.trees[to.other][path]
                there = world.trees[to].get(path)
                assert replaces == (there is not None), "replaces says whether something is there"
                if there is not None and keep_as is None:
                    self.lost.add(there.content)
                elif there is not None and keep_as is not None:
                    kept = "/".join([*path.split("/")[:-1], keep_as])
                    while kept in world.trees[to]:
                        kept += "'"
                    world.trees[to][kept] = there
                world.write(to, path, node.content, node.modified, node.kind)
                assert world.trees[to][path].content == node.content
            case MakeContainer(to=to):
                world.make(to, path)
            case Stamp(to=to):
                world.ticks += 1
                there, other = world.trees[to][path], world.trees[to.other][path]
                assert there.content == other.content, "content is equal where only facts are carried"
                world.trees[to][path] = there._replace(modified=other.modified, tag=world.ticks)
            case Enter(reason=Reason.UNCHANGED):
                return  # it stands as its baseline says, or was not looked at: nothing new is known
            case Delete(side=side):
                self._deletes.append((side, path, action))
                return
        self._settle(path, action)
        if self.rules.removes_source and isinstance(action, Transfer | Stamp | Adopt):
            self._deletes.append((SOURCE, path, action))

    def _settle(self, path: str, action: Action) -> None:
        ledger = self.world.ledger
        old = ledger.get(path)
        before, attempts = (Status.PENDING, 0) if old is None else (old.status, old.attempts)
        settled = settle(before, attempts, action)
        moved = baseline_after(action)
        if moved is BaselineMove.DROP:
            for known in [name for name in ledger if name == path or name.startswith(f"{path}/")]:
                del ledger[known]
            return
        baseline = None if old is None else old.baseline
        source, destination = (self.world.entry(side, path, hashed=True) for side in Side)
        if moved is BaselineMove.TAKE:
            baseline = Baseline(
                source and fingerprint(source), destination and fingerprint(destination), source and source.hash
            )
        here = source or destination
        kind = here.kind if here is not None else old.kind if old is not None else Kind.FILE
        ledger[path] = Row(kind, settled.status, settled.attempts, baseline)

    def _delete(self) -> None:
        for side, path, action in reversed(self._deletes):
            tree = self.world.trees[side]
            if path not in tree:
                continue
            if any(name.startswith(f"{path}/") for name in tree):
                self.stayed.add(path)  # a container with something in it that is left alone
                continue
            self.lost.add(tree[path].content)
            del tree[path]
            if isinstance(action, Delete):
                self._settle(path, action)


def is_quiet(action: Action) -> bool:
    """Tell whether an action changes nothing at either side."""
    return not isinstance(action, Transfer | MakeContainer | Stamp | Delete | Forget | Adopt)


def loud(actions: dict[str, Action]) -> dict[str, Action]:
    """Give the actions that change something, or the ledger."""
    return {path: action for path, action in actions.items() if not is_quiet(action)}


def tree(text: str) -> list[tuple[str, str, int]]:
    """Read ``path content time`` lines; a path that ends with a slash is a container."""
    lines = [line.split() for line in text.strip().splitlines()]
    return [(line[0], line[1] if len(line) > 1 else "", int(line[2]) if len(line) > 2 else 1) for line in lines]


def world_of(source: str, destination: str = "") -> World:
    """Make a world from two pictures."""
    world = World()
    for side, text in ((SOURCE, source), (DESTINATION, destination)):
        for path, content, modified in tree(text):
            if path.endswith("/"):
                world.make(side, path[:-1])
            else:
                world.write(side, path, content, modified)
    return world


__all__ = ["DESTINATION", "POSIX", "SOURCE", "Node", "Row", "Run", "Skip", "World", "is_quiet", "loud", "world_of"]
