"""The plan of a transfer: which facts of an item travel, as edges between the fields of both sides.

A plan is a view of the job's policies, so a changed plan is a patch of its transfer block.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tallyport.domain.forecast import Side
from tallyport.domain.policies import PermissionsPolicy, Policies


class Field(NamedTuple):
    """One fact of an item, as both sides name it."""

    label: str
    type: str
    always: bool = False  # an item without it is no copy


FIELDS: Mapping[str, Field] = {
    "name": Field("Name", "string", True),
    "path": Field("Path", "string", True),
    "content": Field("Content", "string", True),
    "created": Field("Created", "date"),
    "modified": Field("Modified", "date"),
    "owner": Field("Owner", "string"),
    "permissions": Field("Permissions", "string-list"),
    "properties": Field("Custom properties", "string-list"),
}
CHOSEN = ("modified", "owner", "permissions")  # a person may have them carried, or not


def carried(policies: Policies) -> tuple[str, ...]:
    """Give the fields that travel under some policies."""
    chosen = {
        "modified": policies.timestamps,
        "owner": policies.preserve_owners,
        "permissions": policies.permissions_policy is not PermissionsPolicy.NONE,
    }
    return tuple(key for key, field in FIELDS.items() if field.always or chosen.get(key, False))


def held(side: Side) -> tuple[str, ...]:
    """Give the fields that a connection can hold: permissions as bits, or as lists of its own."""
    limits = side.limits
    keeps_access = limits.permissions or "Grants" in side.abilities
    can = {"modified": limits.sets_times, "owner": limits.owners, "permissions": keeps_access}
    return tuple(key for key, field in FIELDS.items() if field.always or can.get(key, False))


def patch(wanted: Sequence[str], policies: Policies) -> dict[str, Any]:
    """Give the change of a transfer block that makes exactly these fields travel."""
    now = carried(policies)
    change: dict[str, Any] = {}
    if ("modified" in wanted) != ("modified" in now):
        change["timestamps"] = "modified" in wanted
    if ("owner" in wanted) != ("owner" in now):
        change["preserve_owners"] = "owner" in wanted
    if ("permissions" in wanted) != ("permissions" in now):
        change["permissions"] = {"policy": "add" if "permissions" in wanted else "none"}
    return change
