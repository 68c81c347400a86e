"""What a pair of platforms cannot do of what a job asks for: said before it runs."""

import inspect
import os
from collections.abc import Iterator
from functools import cache
from typing import Any, get_type_hints

from tallyport.connectors import acting, registry
from tallyport.connectors.protocol import Copies, Grants, Links, Locks, Moves, Properties, Stamps, Versions
from tallyport.domain.carrying import carriage_of
from tallyport.domain.connections import Connection
from tallyport.domain.endpoints import MAIL
from tallyport.domain.errors import TallyportError
from tallyport.domain.policies import (
    FilterBlock,
    LockPropagation,
    PermissionsPolicy,
    Policies,
    PropertiesPolicy,
    Symlinks,
    TransferType,
)

_LOCAL = "fs"

# A connector class says by ``tells`` which facts its entries may carry that most platforms do not know:
# ``created_on``, ``accessed_on``, ``shared``, ``links`` for shared links, and ``denials`` of grants.


def warnings_of(policies: Policies, source: Connection, destination: Connection) -> Iterator[str]:
    """Give one sentence for each choice that this pair cannot honour. What is lost is written down for each item."""
    carriage = carriage_of(policies)
    giving, taking = _class_of(source.platform), _class_of(destination.platform)
    if giving is None or taking is None:
        return
    one, other = f"the source ({source.platform})", f"the destination ({destination.platform})"
    yield from _accounts(policies, source, destination)
    if carriage.grants is not PermissionsPolicy.NONE:
        if not issubclass(giving, Grants) and policies.permissions_import is None:
            yield f"permissions.policy: {one} tells no grants, so none are carried"
        elif not issubclass(taking, Grants):
            yield f"permissions.policy: {other} keeps no grants, each item says which it lost"
    if carriage.owners and not issubclass(taking, Grants | Stamps):
        yield f"preserve_owners: {other} keeps no owners, each item says whose it was"
    if carriage.owners and _is_local(destination) and os.geteuid() != 0:
        yield "preserve_owners: only root may give files away, each item says whose it was"
    elif carriage.owners and _acts_as(destination, policies.destination_account):
        who = policies.destination_account.removeprefix(MAIL)
        yield f"preserve_owners: {who}, as whom the destination acts, gives no files away, each item says whose it was"
    names = carriage.mappings or carriage.imports_properties or policies.properties is PropertiesPolicy.ADD
    if names and not issubclass(taking, Properties):
        yield f"metadata_map, properties: {other} keeps no named values, each item says which it lost"
    by_paths = policies.permissions_import or policies.metadata_import or policies.symlinks is Symlinks.FOLLOW_INSIDE
    if carriage.special_bits and not (_is_local(source) and _is_local(destination) and not by_paths):
        yield "special_bits: restored between two folders of one machine alone, and not with imports or followed links"
    told: frozenset[str] = getattr(giving, "tells", frozenset())
    if policies.permissions_links and carriage.grants is not PermissionsPolicy.NONE:
        if "links" not in told:
            yield f"permissions.links: {one} tells no shared links, so none are carried"
        elif "links" not in getattr(taking, "tells", frozenset()):
            yield f"permissions.links: {other} makes no shared links, each item says which it lost"
    yield from _filters(policies.filter_source, "source", one, told)
    if policies.transfer_type is TransferType.SYNC:
        yield from _filters(policies.filter_destination, "destination", other, getattr(taking, "tells", frozenset()))
    for side, most, connection, named in (
        ("source", policies.versioning_from_source_max, source, one),
        ("destination", policies.versioning_from_destination_max, destination, other),
    ):
        if most is not None and _keeps_no_versions(connection):
            yield f"versioning.from_{side}.max: {named} keeps no versions, so there are none to limit"
    if policies.symlinks is Symlinks.COPY and issubclass(giving, Links) and not issubclass(taking, Links):
        yield f"symlinks: {other} keeps no symlinks, each one is flagged"
    can_follow = hasattr(giving, "following") and not source.settings.get("versioning")
    if policies.symlinks is Symlinks.FOLLOW_INSIDE and not can_follow:
        yield f"symlinks: {one} cannot follow links safely, each one is flagged"
    if policies.quarantine is not None and not issubclass(taking, Moves | Copies | Links):
        yield f"quarantine: {other} can neither move nor copy, what would be replaced or deleted there fails instead"
    if carriage.locks is not LockPropagation.IGNORE:
        if not issubclass(giving, Locks):
            yield f"lock_propagation: {one} tells no locks, a file that cannot be read for one is tried again later"
        elif not issubclass(taking, Locks):
            yield f"lock_propagation: {other} keeps no locks, a locked file is carried once it is released"


def _accounts(policies: Policies, source: Connection, destination: Connection) -> Iterator[str]:
    """Say which side acts as the account of its connection, where another is named, and why; or does nothing at all."""
    for side, who, connection in (
        ("source", policies.source_account, source),
        ("destination", policies.destination_account, destination),
    ):
        why = acting.refusal(connection.platform, who) if who else None
        named, key = who.removeprefix(MAIL), f"{side}.impersonate_as"
        if why is not None and acting.is_missing(connection.platform, who):
            yield f"{key}: the {side} ({connection.platform}): {why}; no run begins until it does"
        elif why is not None:
            yield (
                f"{key}: the {side} ({connection.platform}) acts as the account of its connection, "
                f"not as {named}: {why}; an item on which that made a difference says so"
            )


def _acts_as(connection: Connection, who: str) -> bool:
    """Tell whether a connection takes on another account than its own."""
    is_other = who and acting.refusal(connection.platform, who) is None
    return bool(is_other) and acting.identity_on(connection.platform, who) is not None


def _filters(blocks: tuple[FilterBlock, ...], side: str, named: str, told: frozenset[str]) -> Iterator[str]:
    """Say which rules ask for a fact that a side never tells."""
    rules = [rule for block in blocks for rule in block.rules]
    if "shared" not in told and any(rule.type == "shared" for rule in rules):
        yield f"filter.{side}: filter_shared matches nothing, {named} does not tell what others share with its account"
    wanted = {target for rule in rules if rule.type == "date" for target in rule.targets}
    for target in sorted(wanted & {"created_on", "accessed_on"} - told):
        yield f"filter.{side}: filter_date: {named} tells no {target}, so nothing matches by that"


def _keeps_no_versions(connection: Connection) -> bool:
    """Tell whether it is sure that a connection keeps one content of a file alone."""
    if _is_local(connection):
        return not connection.settings.get("versioning")
    found = _class_of(connection.platform)
    return found is not None and not issubclass(found, Versions)


def _is_local(connection: Connection) -> bool:
    return registry.platform(connection.platform).id == _LOCAL


@cache
def _class_of(platform_id: str) -> type[Any] | None:
    """Give the class of a platform's connector, or None where its factory does not tell or cannot be imported."""
    try:
        factory = registry.platform(platform_id).connector()
    except TallyportError:
        return None
    if inspect.isclass(factory):
        return factory
    found = get_type_hints(factory).get("return")
    return found if inspect.isclass(found) else None
