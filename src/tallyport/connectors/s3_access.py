"""Who may use an object of S3: access lists, where the bucket has them switched on.

Since 2023 a new bucket belongs to its owner with all that is in it, and access lists are off; then policies of
the bucket say who may do what, which no object carries. Where they are on, a list knows four rights on an object.
What they cannot say (a denial, the right to delete) is left out, never widened; comparing tells.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html
"""

import json
from typing import Any

from tallyport.connectors.s3_errors import Refused, translate
from tallyport.domain.access import Access, AccessRight, Grant, Principal, PrincipalKind

_R = AccessRight
_RIGHTS: dict[str, frozenset[AccessRight]] = {
    "READ": frozenset({_R.READ}),
    "READ_ACP": frozenset({_R.READ_ACCESS}),
    "WRITE_ACP": frozenset({_R.WRITE_ACCESS}),
    "FULL_CONTROL": frozenset({_R.READ, _R.READ_ACCESS, _R.WRITE_ACCESS}),
}
EVERYONE = "http://acs.amazonaws.com/groups/global/AllUsers"


def is_on(bucket: Any) -> bool:
    """Tell whether objects of a bucket have access lists. Whoever may not ask is taken to have none."""
    try:
        rules = bucket.call("get_bucket_ownership_controls")["OwnershipControls"]["Rules"]
    except (Refused, KeyError):
        return False
    return any(rule.get("ObjectOwnership") != "BucketOwnerEnforced" for rule in rules)


def read(bucket: Any, key: str, path: str) -> Access:
    """Give the access list of an object."""
    with translate("see who may use", path):
        answer = bucket.call("get_object_acl", Key=key)
    grants: dict[Principal, frozenset[AccessRight]] = {}
    for one in answer.get("Grants", ()):
        principal = _principal(one["Grantee"])
        grants[principal] = grants.get(principal, frozenset()) | _RIGHTS.get(one["Permission"], frozenset())
    owner = answer.get("Owner", {})
    return Access(
        owner=Principal(PrincipalKind.ACCOUNT, id=owner["ID"], caption=owner.get("DisplayName", "")) if owner else None,
        grants=tuple(Grant(principal, rights) for principal, rights in grants.items() if rights),
        inherits=False,
        native=json.dumps({"Owner": owner, "Grants": answer.get("Grants", [])}, sort_keys=True).encode(),
        native_kind="s3_acl",
    )


def change(bucket: Any, key: str, path: str, access: Access, *, remove_others: bool) -> Access:
    """Add grants to an object's list, or set it; gives the list as read back."""
    with translate("say who may use", path):
        there = bucket.call("get_object_acl", Key=key)
    kept = [] if remove_others else list(there.get("Grants", ()))
    for grant in access.grants:
        if grant.deny:
            continue
        grantee = _grantee(grant.principal)
        kept.extend({"Grantee": grantee, "Permission": word} for word in _words(grant.rights) if grantee)
    wanted = {_identity(one): one for one in kept}
    with translate("say who may use", path):
        bucket.call(
            "put_object_acl",
            Key=key,
            AccessControlPolicy={"Owner": there["Owner"], "Grants": list(wanted.values())},
        )
    return read(bucket, key, path)


def _words(rights: frozenset[AccessRight]) -> list[str]:
    """Give the permissions that cover rights, never wider than they."""
    if rights >= _RIGHTS["FULL_CONTROL"]:
        return ["FULL_CONTROL"]
    return [word for word, covered in _RIGHTS.items() if covered <= rights]


def _principal(grantee: dict[str, str]) -> Principal:
    if grantee.get("URI") == EVERYONE:
        return Principal(PrincipalKind.EVERYONE)
    if grantee.get("Type") == "Group" or "URI" in grantee:
        return Principal(PrincipalKind.GROUP, id=grantee.get("URI", ""))
    return Principal(
        PrincipalKind.ACCOUNT,
        id=grantee.get("ID", ""),
        caption=grantee.get("DisplayName", ""),
        email=grantee.get("EmailAddress", ""),
    )


def _grantee(principal: Principal) -> dict[str, str] | None:
    match principal.kind:
        case PrincipalKind.EVERYONE:
            return {"Type": "Group", "URI": EVERYONE}
        case PrincipalKind.GROUP:
            return {"Type": "Group", "URI": principal.id} if principal.id.startswith("http") else None
        case PrincipalKind.ACCOUNT if principal.id:
            return {"Type": "CanonicalUser", "ID": principal.id}
        case PrincipalKind.ACCOUNT if principal.email:
            return {"Type": "AmazonCustomerByEmail", "EmailAddress": principal.email}
        case _:
            return None


def _identity(grant: dict[str, Any]) -> tuple[str, str]:
    grantee = grant["Grantee"]
    who = grantee.get("ID") or grantee.get("URI") or grantee.get("EmailAddress") or ""
    return who, grant["Permission"]
