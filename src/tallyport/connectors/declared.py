"""What each platform can do, read from its connector's class and from the limits that its module declares."""

import importlib
import inspect
from typing import NamedTuple

from tallyport.connectors import protocol
from tallyport.connectors.registry import Platform
from tallyport.domain.capabilities import Limits

_MUST = frozenset(name for name in vars(protocol.Connector) if not name.startswith("_"))


class Declared(NamedTuple):
    """What is known of a platform without a connection to it."""

    abilities: frozenset[str]  # names of protocols
    limits: Limits | None  # None where they depend on the connection


def declared(platform: Platform) -> Declared:
    """Read the abilities and limits of one platform."""
    module = importlib.import_module(platform.factory.partition(":")[0])
    classes = [
        one
        for _, one in inspect.getmembers(module, inspect.isclass)
        if one.__module__ == module.__name__ and all(hasattr(one, name) for name in ("stat", "children", "write"))
    ]
    limits = getattr(module, "LIMITS", None)
    return Declared(
        frozenset(name for name, methods in _abilities().items() for one in classes[:1] if _has(one, methods)),
        limits if isinstance(limits, Limits) else None,
    )


def _has(connector: type, methods: frozenset[str]) -> bool:
    return all(callable(getattr(connector, method, None)) for method in methods)


def _abilities() -> dict[str, frozenset[str]]:
    """Give the methods of every optional protocol."""
    found: dict[str, frozenset[str]] = {}
    for name, one in inspect.getmembers(protocol, inspect.isclass):
        if one.__module__ != protocol.__name__ or one is protocol.Connector or not getattr(one, "_is_protocol", False):
            continue
        methods = {method for method in vars(one) if not method.startswith("_") and callable(getattr(one, method))}
        if methods:
            found[name] = frozenset(methods)
    return found
