"""What travels with an item besides its content: owner, grants, links and properties, through the maps.

``plan`` says what shall be set at the other side, ``compare`` what the platform made of it. Both are pure; the
passages of the engine read, set and read back, and ask here. What is not said by a policy stays as the platform
sets it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tallyport.domain import nobody, posix_acl
from tallyport.domain.access import Access, AccessRight, Grant, Principal, PrincipalKind
from tallyport.domain.entries import Side
from tallyport.domain.losses import Loss, Lost, loss
from tallyport.domain.maps import How, Resolution, shown
from tallyport.domain.policies import (
    LockPropagation,
    PermissionsFailures,
    PermissionsPolicy,
    Policies,
    PropertiesPolicy,
    SpecialBits,
    TagsPolicy,
)
from tallyport.domain.posix_acl import Tag
from tallyport.domain.properties import PropertyMapping, tag_mappings

Resolve = Callable[[Principal], Resolution]

_GRANT_TROUBLE = (PermissionsFailures.EXCEPTIONS, PermissionsFailures.ALL)
_DENY_TROUBLE = (PermissionsFailures.DENY, PermissionsFailures.ALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Carriage:
    """Which of an item's companions a job carries."""

    owners: bool = False
    grants: PermissionsPolicy = PermissionsPolicy.NONE
    failures: PermissionsFailures = PermissionsFailures.EXCEPTIONS
    links: bool = False
    properties: bool = False
    mappings: tuple[PropertyMapping, ...] = ()
    locks: LockPropagation = LockPropagation.IGNORE
    special_bits: bool = False  # setuid and its kin
    imports_properties: bool = False  # a text file has some, besides the item's own
    accounts: tuple[tuple[Side, str], ...] = ()  # as whom a side is to act

    @property
    def has_access(self) -> bool:
        """Whether owners or grants are looked at."""
        return self.owners or self.grants is not PermissionsPolicy.NONE

    @property
    def names_people(self) -> bool:
        """Whether somebody of one side is looked up at the other."""
        return self.has_access or self.locks is LockPropagation.MIRROR_OWNER

    @property
    def is_on(self) -> bool:
        """Whether anything travels besides content, times and permission bits."""
        is_more = self.special_bits or bool(self.accounts) or self.locks is not LockPropagation.IGNORE
        return self.has_access or self.has_properties or is_more

    @property
    def has_properties(self) -> bool:
        """Whether named values are looked at."""
        return self.properties or bool(self.mappings) or self.imports_properties

    @property
    def stops_at_errors(self) -> bool:
        """Whether an error of the platform while granting holds the item back."""
        return self.failures in _GRANT_TROUBLE

    @property
    def stops_at_denials(self) -> bool:
        """Whether a denial or a cut inheritance that cannot be carried holds the item back."""
        return self.failures in _DENY_TROUBLE


class Planned(NamedTuple):
    """What shall be set at the other side."""

    access: Access
    losses: tuple[Loss, ...] = ()  # what is left out before the platform is asked
    refusal: str = ""  # why the item may not be carried at all


def carriage_of(policies: Policies) -> Carriage:
    """Read from the policies what travels."""
    grants = policies.permissions_policy
    return Carriage(
        owners=policies.preserve_owners,
        grants=grants,
        failures=policies.permissions_failures,
        links=policies.permissions_links and grants is not PermissionsPolicy.NONE,
        properties=policies.properties is PropertiesPolicy.ADD
        or (policies.properties is PropertiesPolicy.AUTO and grants is not PermissionsPolicy.NONE),
        mappings=(*policies.metadata_map, *(tag_mappings() if policies.tags is TagsPolicy.ADD else ())),
        special_bits=policies.special_bits is SpecialBits.RESTORE,
        imports_properties=policies.metadata_import is not None,
        locks=policies.lock_propagation,
        accounts=tuple(
            (side, who)
            for side, who in ((Side.SOURCE, policies.source_account), (Side.DESTINATION, policies.destination_account))
            if who
        ),
    )


def plan(access: Access, carriage: Carriage, resolve: Resolve, *, native_kind: str = "") -> Planned:
    """Say what of an item's access is set at the other side, and what of it is lost on the way.

    ``native_kind`` is what both sides speak: then an owner's and a group's own rights need nobody mapped.

    Whoever the map leaves out gets nothing. A denial of somebody whom the other side does not know is lost with
    a word: there is nobody there whom it could keep out.
    """
    losses: list[Loss] = []
    refusals: list[str] = []

    def other(principal: Principal, what: str) -> Principal | None:
        found = resolve(principal)
        if found.principal is None and found.how is not How.EXCLUDED:
            losses.append(loss(Lost.PRINCIPAL, f"{what} was not carried: {found.message}"))
            if found.is_refused:
                refusals.append(found.message)
        return found.principal

    owner = group = None
    if carriage.owners:
        owner = None if access.owner is None else other(access.owner, "the owner")
        group = None if access.group is None else other(access.group, "the owning group")
    if carriage.grants is PermissionsPolicy.NONE:
        return Planned(Access(owner, group), tuple(losses), "; ".join(refusals))
    grants: list[Grant] = []
    is_native = bool(native_kind) and access.native_kind == native_kind
    for grant in access.grants:
        if grant.inherited and access.inherits:
            continue  # comes with the container it is set on
        if is_native and grant.principal in (access.owner, access.group):
            continue
        principal = other(grant.principal, "a denial" if grant.deny else "a grant")
        if principal is not None:
            grants.append(grant._replace(principal=principal, inherited=False))
    native, kind = _native(access, resolve)
    wanted = Access(
        owner,
        group,
        _together(grants),
        access.inherits,
        access.links if carriage.links else (),
        native,
        kind,
    )
    return Planned(wanted, tuple(dict.fromkeys(losses)), "; ".join(dict.fromkeys(refusals)))


def compare(wanted: Access, got: Access) -> tuple[Loss, ...]:
    """Say what a platform did not keep of what it was given, by what it gives back."""
    losses: list[Loss] = []
    for what, asked, there in (("owner", wanted.owner, got.owner), ("group", wanted.group, got.group)):
        if asked is not None and not _is_one(asked, there):
            now = "nobody that it tells" if there is None else shown(there)
            losses.append(loss(Lost.OWNER, f"the {what} is {now}, not {shown(asked)}"))
    if wanted.native_kind == got.native_kind == posix_acl.KIND and _holds_native(wanted.native, got.native):
        return tuple(losses)
    for grant in wanted.grants:
        losses.extend(_missing(grant, got))
    if not wanted.inherits and got.inherits and any(grant.inherited for grant in got.grants):
        losses.append(loss(Lost.ACCESS_RULE, "it inherits grants from above again, which were cut off"))
    for link in wanted.links:
        if link not in got.links:
            losses.append(loss(Lost.IGNORED_RULE, f"the link for {link.audience} was not made again"))
    return tuple(losses)


def is_denial(lost: Loss, wanted: Access) -> bool:
    """Tell whether a loss is of a denial or of a cut inheritance: what some jobs would rather stop at."""
    if lost.what != Lost.ACCESS_RULE:
        return False
    return "denial" in lost.detail or "cut off" in lost.detail


def has_rules(access: Access) -> bool:
    """Tell whether an item has grants that its permission bits do not say, or links."""
    if access.native_kind == posix_acl.KIND and access.native:
        acl = posix_acl.unpack(access.native)
        return posix_acl.is_extended(acl.access) or bool(acl.default) or bool(access.links)
    return any(not grant.inherited for grant in access.grants) or not access.inherits or bool(access.links)


def denied(access: Access) -> frozenset[PrincipalKind]:
    """Name the kinds of principals that an item's own grants deny something."""
    return frozenset(grant.principal.kind for grant in access.grants if grant.deny and not grant.inherited)


def kept_properties(wanted: Mapping[str, bytes], got: Mapping[str, bytes]) -> tuple[Loss, ...]:
    """Say which properties a platform did not keep as they were given."""
    return tuple(
        loss(Lost.PROPERTY, f"the property {name} was {'changed' if name in got else 'not kept'}")
        for name, value in sorted(wanted.items())
        if got.get(name) != value
    )


def _together(grants: list[Grant]) -> tuple[Grant, ...]:
    """Join the grants of principals that became one: each gets what they have in common, never what either has."""
    found: dict[tuple[object, ...], Grant] = {}
    for grant in grants:
        key = (grant.principal, grant.deny, grant.reach)
        earlier = found.get(key)
        if earlier is None:
            found[key] = grant
        else:
            rights = earlier.rights | grant.rights if grant.deny else earlier.rights & grant.rights
            found[key] = earlier._replace(rights=rights)
    return tuple(found.values())


def _native(access: Access, resolve: Resolve) -> tuple[bytes, str]:
    """Give the platform's own form with everybody in it mapped; none where that cannot be done."""
    if not access.native:
        return b"", ""
    if access.native_kind != posix_acl.KIND:
        everybody = {grant.principal for grant in access.grants}
        same = all(resolve(principal).principal == principal for principal in everybody)
        return (access.native, access.native_kind) if same and everybody else (b"", "")
    named = {  # the principals of a list's own numbers, as the connector told them with the grants
        (Tag.USER if grant.principal.kind is PrincipalKind.ACCOUNT else Tag.NAMED_GROUP, int(grant.principal.id)): (
            grant.principal
        )
        for grant in access.grants
        if grant.principal.id.isdecimal()
    }

    def number_of(tag: Tag, number: int) -> int | None:
        kind = PrincipalKind.ACCOUNT if tag is Tag.USER else PrincipalKind.GROUP
        found = resolve(named.get((tag, number), Principal(kind, str(number)))).principal
        return None if found is None else nobody.number_of(found)

    if any((found := resolve(one).principal) is not None and nobody.number_of(found) is None for one in named.values()):
        return b"", ""  # asked for as grants, so that what cannot be set is missed when it is read back
    return posix_acl.pack(posix_acl.translated(posix_acl.unpack(access.native), number_of)), posix_acl.KIND


def _holds_native(wanted: bytes, got: bytes) -> bool:
    """Tell whether a list lets everybody through whom the wanted one does, just as far."""
    if not wanted:
        return False
    asked, there = posix_acl.unpack(wanted), posix_acl.unpack(got)
    return all(
        set(posix_acl.effective(one)) <= set(posix_acl.effective(other))
        for one, other in ((asked.access, there.access), (asked.default, there.default))
    )


def _missing(grant: Grant, got: Access) -> list[Loss]:
    who = shown(grant.principal)
    same = [
        other
        for other in got.grants
        if _is_one(grant.principal, other.principal)
        and (other.reach is grant.reach or "both" in (other.reach, grant.reach))
    ]
    if grant.deny:
        denied = frozenset().union(*(other.rights for other in same if other.deny))
        allowed = frozenset().union(*(other.rights for other in same if not other.deny))
        if grant.rights <= denied or (
            same and not grant.rights & allowed and grant.principal.kind is PrincipalKind.ACCOUNT
        ):
            return []
        return [loss(Lost.ACCESS_RULE, f"the denial for {who} was not kept")]
    there = frozenset().union(*(other.rights for other in same if not other.deny))
    gone = grant.rights - there - {AccessRight.READ_ACCESS}
    if not gone:
        return []
    if not same:
        what = Lost.ACCESS_TARGET if grant.principal.kind not in _PEOPLE else Lost.IGNORED_RULE
        return [loss(what, f"the grant for {who} was not kept")]
    return [loss(Lost.ACCESS_RULE, f"{who} did not get {', '.join(sorted(gone))}")]


_PEOPLE = (PrincipalKind.ACCOUNT, PrincipalKind.GROUP)


def _is_one(one: Principal, other: Principal | None) -> bool:
    """Tell whether a principal that was asked for is the one that is there."""
    if other is None or one.kind is not other.kind:
        return False
    if one.kind not in _PEOPLE:
        return True
    for name in ("id", "name", "email", "username", "caption"):
        asked, there = getattr(one, name), getattr(other, name)
        if asked and there:
            return bool(asked == there or (name != "id" and asked.casefold() == there.casefold()))
    return False
