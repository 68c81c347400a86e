"""What a pair of platforms cannot do of what a job asks for: said before it runs."""

import inspect
import os
from collections.abc import Iterator
from functools import cache
from typing import Any, get_type_hints

from tallyport.connectors import registry
from tallyport.connectors.protocol import Grants, Locks, Properties, Stamps
from tallyport.domain.carrying import carriage_of
from tallyport.domain.connections import Connection
from tallyport.domain.errors import TallyportError
from tallyport.domain.policies import LockPropagation, PermissionsPolicy, Policies, PropertiesPolicy

_LOCAL = "fs"


def warnings_of(policies: Policies, source: Connection, destination: Connection) -> Iterator[str]:
    """Give one sentence for each choice that this pair cannot honour. What is lost is written down for each item."""
    carriage = carriage_of(policies)
    giving, taking = _class_of(source.platform), _class_of(destination.platform)
    if giving is None or taking is None:
        return
    one, other = f"the source ({source.platform})", f"the destination ({destination.platform})"
    if carriage.grants is not PermissionsPolicy.NONE:
        if not issubclass(giving, Grants):
            yield f"permissions.policy: {one} tells no grants, so none are carried"
        elif not issubclass(taking, Grants):
            yield f"permissions.policy: {other} keeps no grants, each item says which it lost"
    if carriage.owners and not issubclass(taking, Grants | Stamps):
        yield f"preserve_owners: {other} keeps no owners, each item says whose it was"
    if carriage.owners and _is_local(destination) and os.geteuid() != 0:
        yield "preserve_owners: only root may give files away, each item says whose it was"
    if (carriage.mappings or policies.properties is PropertiesPolicy.ADD) and not issubclass(taking, Properties):
        yield f"metadata_map, properties: {other} keeps no named values, each item says which it lost"
    if carriage.locks is not LockPropagation.IGNORE:
        if not issubclass(giving, Locks):
            yield f"lock_propagation: {one} tells no locks, a file that cannot be read for one is tried again later"
        elif not issubclass(taking, Locks):
            yield f"lock_propagation: {other} keeps no locks, a locked file is carried once it is released"


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
