"""Policies as JSON and back, exactly. Freezes them into an execution and carries them to mover processes."""

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import Enum, StrEnum
from typing import Any

from tallyport.domain.imports import ImportSource
from tallyport.domain.policies import Bandwidth, BandwidthWindow, FilterBlock, FilterRule, Policies
from tallyport.domain.properties import PropertyMapping


def policies_to_json(policies: Policies) -> str:
    """Write every policy, also those at their default: the defaults of a later version change nothing here."""
    return json.dumps(_plain(policies), separators=(",", ":"), sort_keys=True)


def policies_from_json(text: str) -> Policies:
    """Read what :func:`policies_to_json` wrote. What an older version did not write gets its default."""
    document: dict[str, Any] = json.loads(text)
    for name, read in _NESTED.items():
        if name in document:
            document[name] = read(document[name])
    for name, kind in _ENUMS.items():
        if name in document:
            document[name] = kind(document[name])
    return Policies(**document)


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(member) for member in value]
    if isinstance(value, Policies | Bandwidth | BandwidthWindow | FilterBlock | FilterRule):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return value


def _bandwidth(document: dict[str, Any]) -> Bandwidth:
    windows = tuple(BandwidthWindow(**window) for window in document["windows"])
    return Bandwidth(bytes_per_second=document["bytes_per_second"], windows=windows)


def _filter(blocks: list[dict[str, Any]]) -> tuple[FilterBlock, ...]:
    return tuple(
        FilterBlock(action=block["action"], rules=tuple(_rule(rule) for rule in block["rules"])) for block in blocks
    )


def _rule(document: dict[str, Any]) -> FilterRule:
    fields_of_rule: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in document.items()
    }
    return FilterRule(**fields_of_rule)


_NESTED: Mapping[str, Callable[[Any], object]] = {
    "upload": _bandwidth,
    "download": _bandwidth,
    "metadata_map": lambda mappings: tuple(PropertyMapping(*mapping) for mapping in mappings),
    "permissions_import": lambda given: given and ImportSource(*given),
    "metadata_import": lambda given: given and ImportSource(*given),
    "filter_source": _filter,
    "filter_destination": _filter,
}
_ENUMS: dict[str, type[Enum]] = {
    field.name: type(value)
    for field in fields(Policies)
    if isinstance(value := getattr(Policies(), field.name), Enum | StrEnum)
}
