"""What of an item did not travel although it was asked for: stable words, each with its number in the audit.

An item that lost something was still carried; an item that could not do without it failed. The numbers are
those that the public interface gives its audit types.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple


class Lost(StrEnum):
    """What was lost. Stored, shown and documented; never renamed."""

    PRINCIPAL = "invalid_security_identifier"  # an account or group that the other side does not know
    ACCESS_RULE = "unsupported_access_rule"  # a right, a denial or a cut inheritance that cannot be expressed
    ACCESS_TARGET = "unsupported_access_target"  # the platform grants nothing to this kind of principal, or item
    IGNORED_RULE = "access_rule_ignored"  # set without an error, and not there when it was read back
    PROPERTY = "property_value"  # a named value was refused, cut or changed
    LOCK = "item_locked"  # a lock was not made again, or keeps the item where it is
    PROPERTY_IMPORT = "property_import"  # a value of metadata_import could not be used
    ACCESS_IMPORT = "access_rule_import"  # a grant of permissions.import could not be used
    OWNER = "owner"  # owner or group were not set
    IMPERSONATION = "impersonation"  # the connection acted as its own account


AUDIT_TYPES: Mapping[Lost, int] = {
    Lost.PRINCIPAL: 4002,
    Lost.ACCESS_RULE: 4003,
    Lost.ACCESS_TARGET: 4004,
    Lost.IGNORED_RULE: 4005,
    Lost.PROPERTY: 4006,
    Lost.LOCK: 4008,
    Lost.OWNER: 4009,
    Lost.IMPERSONATION: 4010,
    Lost.PROPERTY_IMPORT: 4100,
    Lost.ACCESS_IMPORT: 4101,
}
"""4009 and 4010 are ours, the others are those of the public interface."""


class Fact(StrEnum):
    """What a destination may have less of than the source: told before a run, and of each item after it.

    Stored by its bit, shown and documented; never renamed.
    """

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
    NAMES = "names"
    # Nobody can foretell these: they are found while items are carried.
    ACCOUNTS = "accounts"
    LOCKS = "locks"
    IMPORTS = "imports"
    IMPERSONATION = "impersonation"


BITS: Mapping[Fact, int] = {fact: 1 << place for place, fact in enumerate(Fact)}
"""As they stand in an item's row: the order of facts is never changed, new ones come last."""

WORDS: Mapping[Fact, str] = {
    Fact.SYMLINKS: "the destination has no symlinks",
    Fact.HARD_LINKS: "it became a file of its own, beside its other names",
    Fact.SPECIAL: "devices, sockets and pipes are never carried",
    Fact.SIZE: "it is larger than the destination takes",
    Fact.TIMES: "the destination set the time of last change itself",
    Fact.PRECISION: "its time was cut to the step that the destination keeps",
    Fact.FOLDER_TIMES: "the folder has the time of its making",
    Fact.MODES: "the destination has no permission bits",
    Fact.OWNERS: "owner and group were not set",
    Fact.ACCESS: "grants were not kept as they were",
    Fact.DENIALS: "a denial was not kept",
    Fact.PROPERTIES: "named values were not kept as they were",
    Fact.VERSIONS: "earlier contents of it stayed behind",
    Fact.NAMES: "it has another name at the destination",
    Fact.ACCOUNTS: "somebody of its owners or grants is unknown at the destination",
    Fact.LOCKS: "its lock was not made again",
    Fact.IMPORTS: "something imported for it could not be used",
    Fact.IMPERSONATION: "a connection acted as its own account",
}
"""What happened to one item, for people, where nothing more exact is written down."""

_FACT_OF: Mapping[str, Fact] = {
    Lost.PRINCIPAL: Fact.ACCOUNTS,
    Lost.ACCESS_RULE: Fact.ACCESS,
    Lost.ACCESS_TARGET: Fact.ACCESS,
    Lost.IGNORED_RULE: Fact.ACCESS,
    Lost.PROPERTY: Fact.PROPERTIES,
    Lost.LOCK: Fact.LOCKS,
    Lost.PROPERTY_IMPORT: Fact.IMPORTS,
    Lost.ACCESS_IMPORT: Fact.IMPORTS,
    Lost.OWNER: Fact.OWNERS,
    Lost.IMPERSONATION: Fact.IMPERSONATION,
}

MOST = 100  # losses of one item that are written down
LONGEST = 500  # characters of a detail


class Loss(NamedTuple):
    """One thing that one item lost."""

    what: str  # a word of Lost
    detail: str  # for people: what exactly, and why


def loss(what: Lost, detail: str) -> Loss:
    """Make a loss whose detail keeps to the length that is stored."""
    return Loss(what.value, detail if len(detail) <= LONGEST else f"{detail[: LONGEST - 1]}…")


def told(losses: Sequence[Loss]) -> str:
    """Say in one sentence what an item lost; empty when nothing."""
    if not losses:
        return ""
    more = len(losses) - 1
    return f"carried, but {losses[0].detail}" + (f" (and {more} more)" if more else "")


def fact_of(what: str, detail: str) -> Fact:
    """Say which fact a loss is of."""
    return Fact.DENIALS if what == Lost.ACCESS_RULE and "denial" in detail else _FACT_OF[what]


def bits_of(losses: Iterable[Loss]) -> int:
    """Give the facts that losses are of, as an item's row has them."""
    bits = 0
    for one in losses:
        bits |= BITS[fact_of(one.what, one.detail)]
    return bits


def facts_of(bits: int | None) -> tuple[Fact, ...]:
    """Read the facts of an item's row."""
    return tuple(fact for fact, bit in BITS.items() if bit & (bits or 0))
