"""What a pair of connections will lose of a tree, told before a run from what both can and what the tree has.

Facts that every listing gives are counted over the whole tree. What costs a call for each item (access lists,
named values, earlier versions) is counted over the first items, and said to be so.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from tallyport.domain.capabilities import Limits
from tallyport.domain.carrying import carriage_of
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.policies import PermissionsPolicy, Policies, VersioningPreserve, VersioningSelect

SAMPLE = 200  # items that are asked about
DENIALS = "denials"  # beside the names of abilities: grants may deny


class Fact(StrEnum):
    """What may be lost. Shown and documented; never renamed."""

    SYMLINKS = "symlinks"
    HARD_LINKS = "hard_links"
    SPECIAL = "special_files"
    SIZE = "size"
    TIMES = "times"
    PRECISION = "time_precision"
    FOLDER_TIMES = "folder_times"
    MODES = "modes"
    OWNERS = "owners"
    ACCESS = "access_lists"
    DENIALS = "denials"
    PROPERTIES = "properties"
    VERSIONS = "versions"


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
    """Counts of what a tree has. ``precision`` is the destination's, in nanoseconds."""

    precision: int = 1
    max_size: int | None = None
    files: int = 0
    folders: int = 0
    symlinks: int = 0
    hard_links: int = 0  # names of files that have others
    special: int = 0
    too_large: int = 0
    finer: int = 0  # files whose time has more than the precision
    modes: int = 0
    owned: int = 0
    asked: int = 0  # items of the sample
    access: Counter[str] = field(default_factory=Counter)  # kind of list → items of the sample that have one
    denied: int = 0  # items of the sample whose list denies somebody something
    denied_to_many: int = 0  # of those, to a group or everybody
    named: int = 0  # items of the sample with named values
    versioned: int = 0  # files of the sample with earlier versions

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
            self.hard_links += entry.links > 1
            self.finer += bool(entry.modified % self.precision)
            self.too_large += self.max_size is not None and entry.size > self.max_size
        if kind is not Kind.SPECIAL and kind is not Kind.SYMLINK:
            self.modes += entry.mode is not None
        self.owned += entry.owner is not None


def forecast(source: Side, destination: Side, tree: Tree, policies: Policies) -> tuple[Loss, ...]:
    """Give all that will be lost; nothing that the tree does not have, and nothing that nobody asked for."""
    to, items = destination.limits, tree.files + tree.folders
    every = items + tree.symlinks + tree.special
    access_is_asked = policies.permissions_policy is not PermissionsPolicy.NONE
    lists = sum(tree.access.values())
    kept_kinds = "Grants" in destination.abilities
    rows: tuple[tuple[bool, Loss], ...] = (
        (not to.symlinks, Loss(Fact.SYMLINKS, tree.symlinks, every, "the destination has no symlinks")),
        (
            not to.hard_links,
            Loss(Fact.HARD_LINKS, tree.hard_links, tree.files, "each name becomes a file of its own"),
        ),
        (True, Loss(Fact.SPECIAL, tree.special, every, "devices, sockets and pipes are never carried")),
        (True, Loss(Fact.SIZE, tree.too_large, tree.files, f"the destination takes at most {to.max_size} bytes")),
        (
            policies.timestamps and not to.sets_times,
            Loss(Fact.TIMES, tree.files, tree.files, "the destination sets the time of last change itself"),
        ),
        (
            policies.timestamps and to.sets_times and to.time_precision > source.limits.time_precision,
            Loss(Fact.PRECISION, tree.finer, tree.files, f"times are kept to {_steps(to.time_precision)}"),
        ),
        (
            policies.timestamps and not to.dates_containers,
            Loss(Fact.FOLDER_TIMES, tree.folders, tree.folders, "folders get the time of their making"),
        ),
        (
            source.limits.permissions and not to.permissions,
            Loss(Fact.MODES, tree.modes, items, "the destination has no permission bits"),
        ),
        (
            policies.preserve_owners and not to.owners,
            Loss(Fact.OWNERS, tree.owned, every, "owner and group cannot be set there"),
        ),
        (
            access_is_asked and not kept_kinds,
            Loss(Fact.ACCESS, lists, tree.asked, f"the destination has no access lists ({_kinds(tree.access)})"),
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
            policies.versioning_preserve is VersioningPreserve.NATIVE
            and policies.versioning_select is VersioningSelect.ALL
            and not to.versions,
            Loss(Fact.VERSIONS, tree.versioned, tree.asked, "the destination keeps the newest content alone"),
        ),
    )
    return tuple(loss for is_lost, loss in rows if is_lost and loss.number)


def _denials(to: Limits, tree: Tree) -> Loss:
    """Say which denials are lost; permission bits of one account can say what it may not."""
    if to.permissions:
        return Loss(
            Fact.DENIALS, tree.denied_to_many, tree.asked, "the destination's lists can deny an account, and no group"
        )
    return Loss(Fact.DENIALS, tree.denied, tree.asked, "the destination's lists can only allow")


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
