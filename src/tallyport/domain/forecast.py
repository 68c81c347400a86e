"""What a pair of connections will lose of a tree, told before a run from what both can and what the tree has.

Facts that every listing gives are counted over the whole tree, earlier versions among them where a platform counts
them beside a listing. What costs a call for each item (access lists, named values, earlier versions elsewhere) is
counted over the first items, and said to be so.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tallyport.domain.capabilities import Limits
from tallyport.domain.carrying import carriage_of
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.entries import Side as End
from tallyport.domain.losses import BITS, Fact
from tallyport.domain.policies import PermissionsPolicy, Policies
from tallyport.domain.shortfall import Shortfall, shortfalls
from tallyport.domain.versions import carries_versions, goes_in_series

SAMPLE = 200  # items that are asked about
DENIALS = "denials"  # beside the names of abilities: grants may deny


class Side(NamedTuple):
    """What one connection can: its limits, and the names of the abilities it has (Grants, Links, ...)."""

    limits: Limits
    abilities: Collection[str] = ()


class Loss(NamedTuple):
    """One thing that some items will lose."""

    fact: Fact
    number: int  # of items
    of: int  # items that were looked at
    words: str


@dataclass(slots=True)
class Tree:
    """Counts of what a tree has, and of what each item of it will lack by ``shortfall``."""

    shortfall: Shortfall | None = None
    files: int = 0
    folders: int = 0
    symlinks: int = 0
    special: int = 0
    lacking: Counter[int] = field(default_factory=Counter)  # bits → items that lack just these
    renamed: int = 0
    asked: int = 0  # items of the sample
    access: Counter[str] = field(default_factory=Counter)  # kind of list → items of the sample that have one
    denied: int = 0  # items of the sample whose list denies somebody something
    denied_to_many: int = 0  # of those, to a group or everybody
    named: int = 0  # items of the sample with named values
    access_of_folders: int = 0  # of those that have a list
    named_folders: int = 0
    versioned: int = 0  # files of the sample with earlier versions that stay behind
    counts_versions: bool = False  # every file comes with the number of its contents: no sample is needed

    def add(self, entry: Entry) -> None:
        """Count an item."""
        kind = entry.kind
        if kind is Kind.CONTAINER:
            self.folders += 1
        elif kind is Kind.SYMLINK:
            self.symlinks += 1
        elif kind is Kind.SPECIAL:
            self.special += 1
        else:
            self.files += 1
        if self.shortfall is not None:
            self.lacking[self.shortfall.of(entry)] += 1

    def refuses(self, entry: Entry) -> bool:
        """Tell whether the destination cannot take an item at all."""
        return self.shortfall is not None and self.shortfall.whole(entry) > 0

    def leaves_versions(self, entry: Entry) -> bool:
        """Tell whether it matters how many contents an item has: earlier ones may stay behind."""
        return self.shortfall is not None and entry.kind is Kind.FILE and self.shortfall.leaves_versions(entry.name)

    def loses_versions(self, entry: Entry) -> bool:
        """Tell whether a file whose contents were counted will lose some."""
        return self.shortfall is not None and self.shortfall.of(entry) & BITS[Fact.VERSIONS] > 0

    def number(self, fact: Fact) -> int:
        """Give how many items will lack something that a listing tells."""
        return sum(count for bits, count in self.lacking.items() if bits & BITS[fact])


def shortfall_of(source: Side, destination: Side, policies: Policies) -> Shortfall:
    """Give what the destination lacks of what comes from the source."""
    both_know = all("Versions" in side.abilities for side in (source, destination))
    has_versions = goes_in_series(policies, destination.limits, both_know=both_know)
    return shortfalls(source.limits, destination.limits, policies, has_versions=has_versions)[End.DESTINATION]


def forecast(destination: Side, tree: Tree, policies: Policies) -> tuple[Loss, ...]:
    """Give all that will be lost; nothing that the tree does not have, and nothing that nobody asked for."""
    to, items = destination.limits, tree.files + tree.folders
    every = items + tree.symlinks + tree.special
    access_is_asked = policies.permissions_policy is not PermissionsPolicy.NONE
    lists = sum(tree.access.values())
    kept_kinds = "Grants" in destination.abilities
    listed: tuple[tuple[Fact, int, str], ...] = (
        (Fact.SYMLINKS, every, "the destination has no symlinks"),
        (Fact.HARD_LINKS, tree.files, "each name becomes a file of its own"),
        (Fact.SPECIAL, every, "devices, sockets and pipes are never carried"),
        (Fact.SIZE, tree.files, f"the destination takes at most {to.max_size} bytes"),
        (Fact.TIMES, every, "the destination sets the time of last change itself"),
        (Fact.PRECISION, every, f"times are kept to {_steps(to.time_precision)}"),
        (Fact.FOLDER_TIMES, tree.folders, "folders get the time of their making"),
        (Fact.MODES, items, "the destination has no permission bits"),
        (Fact.OWNERS, every, "owner and group cannot be set there"),
    )
    rows: tuple[tuple[bool, Loss], ...] = (
        *((True, Loss(fact, tree.number(fact), of, words)) for fact, of, words in listed),
        (
            access_is_asked and not kept_kinds,
            Loss(Fact.ACCESS, lists, tree.asked, f"the destination has no access lists ({_kinds(tree.access)})"),
        ),
        (
            access_is_asked and kept_kinds and to.containers_implied,
            Loss(Fact.ACCESS, tree.access_of_folders, tree.asked, "folders of the destination have no access lists"),
        ),
        (
            access_is_asked and kept_kinds and DENIALS not in destination.abilities,
            _denials(to, tree),
        ),
        (
            carriage_of(policies).has_properties and "Properties" not in destination.abilities,
            Loss(Fact.PROPERTIES, tree.named, tree.asked, "the destination keeps no named values"),
        ),
        (
            carriage_of(policies).has_properties and "Properties" in destination.abilities and to.containers_implied,
            Loss(Fact.PROPERTIES, tree.named_folders, tree.asked, "folders of the destination keep no named values"),
        ),
        (True, _versions(to, tree, policies)),
        (True, Loss(Fact.NAMES, tree.renamed, every, "the destination takes other names")),
    )
    return tuple(loss for is_lost, loss in rows if is_lost and loss.number)


def _denials(to: Limits, tree: Tree) -> Loss:
    """Say which denials are lost; permission bits of one account can say what it may not."""
    if to.permissions:
        return Loss(
            Fact.DENIALS, tree.denied_to_many, tree.asked, "the destination's lists can deny an account, and no group"
        )
    return Loss(Fact.DENIALS, tree.denied, tree.asked, "the destination's lists can only allow")


def _versions(to: Limits, tree: Tree, policies: Policies) -> Loss:
    """Say of how many files earlier versions stay behind, and by whose will."""
    most = None if tree.shortfall is None else tree.shortfall.most_contents
    if not carries_versions(policies):
        words = "the job carries the newest content alone"
    elif not to.versions:
        words = "the destination keeps the newest content alone"
    elif most is None:
        words = "what becomes an archive has its newest content alone"
    else:
        words = f"of the contents of a file the newest {most} are carried"
    if tree.counts_versions:
        return Loss(Fact.VERSIONS, tree.number(Fact.VERSIONS), tree.files, words)
    return Loss(Fact.VERSIONS, tree.versioned, tree.asked, words)


def document(losses: Collection[Loss]) -> list[dict[str, Any]]:
    """Give losses as JSON."""
    return [{"what": loss.fact.value, "count": loss.number, "of": loss.of, "why": loss.words} for loss in losses]


def _steps(precision: int) -> str:
    for unit, words in ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")):
        if precision % unit == 0:
            return f"{precision // unit} {words}"
    return f"{precision} ns"


def _kinds(kinds: Counter[str]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
