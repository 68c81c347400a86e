"""The plan of a transfer job: which metadata goes where, and which will not."""

from typing import Any

from tallyport.control.pictures import Picture
from tallyport.domain import transfer_block
from tallyport.domain.policies import PermissionsPolicy, Policies

_FIELDS = {
    "name": ("Name", "string"),
    "path": ("Path", "string"),
    "content": ("Content", "string"),
    "modified": ("Modified", "date"),
    "created": ("Created", "date"),
    "permissions": ("Permissions", "string-list"),
    "owner": ("Owner", "string"),
}
_SURE = {"certainty": "absolute", "confidence": 1.0, "source": "policies"}


def plan(picture: Picture) -> dict[str, Any]:
    """Give the plan; an agent's job has an empty one."""
    if not picture.job.managed:
        return {"fieldMapping": [], "unmappedSourceFields": [], "unmappedDestinationFields": []}
    policies = transfer_block.read_transfer_block(dict(picture.job.transfer)).policies
    carried = _carried(policies)
    return {
        "fieldMapping": [
            {"sourceField": _field(key), "destinationField": _field(key), "preview": [], "metadata": _SURE}
            for key in carried
        ],
        "unmappedSourceFields": [{"sourceField": _field(key), "preview": []} for key in _FIELDS if key not in carried],
        "unmappedDestinationFields": [],
    }


def _carried(policies: Policies) -> list[str]:
    carried = ["name", "path", "content"]
    if policies.timestamps:
        carried.append("modified")
    if policies.permissions_policy is not PermissionsPolicy.NONE:
        carried.append("permissions")
    if policies.preserve_owners:
        carried.append("owner")
    return carried


def _field(key: str) -> dict[str, str]:
    label, kind = _FIELDS[key]
    return {"key": key, "label": label, "type": kind}
