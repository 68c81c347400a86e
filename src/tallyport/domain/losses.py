"""What of an item did not travel although it was asked for: stable words, each with its number in the audit.

An item that lost something was still carried; an item that could not do without it failed. The numbers are
those that the public interface gives its audit types.
"""

from collections.abc import Mapping, Sequence
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
