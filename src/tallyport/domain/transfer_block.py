"""Reading the transfer block of a job: every key checked, every problem told at once, defaults by transfer type.

The keys and their words are public (``docs/reference/policies.md``). ``verify``, ``durability``, ``symlinks``,
``properties``, ``limits``, ``quarantine``, ``full_look`` and ``performance.split`` are ours.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from tallyport.domain.block_warnings import warnings_of
from tallyport.domain.capabilities import Durability, VerifyLevel
from tallyport.domain.documents import BlockErrors, Problem, Reader, pointer
from tallyport.domain.endpoints import Endpoint, MapUse, account_of, read_endpoint, read_map
from tallyport.domain.filter_documents import read_filter
from tallyport.domain.imports import read_import
from tallyport.domain.paths import check_segment
from tallyport.domain.policies import (
    AuditLevel,
    Bandwidth,
    BandwidthWindow,
    BatchMode,
    ConflictResolution,
    DeletePropagation,
    DuplicateNames,
    EmptyContainers,
    FailurePolicy,
    ItemInspection,
    ItemOverwrite,
    LargeItem,
    LockPropagation,
    OnInitialize,
    PermissionsFailures,
    PermissionsPolicy,
    Policies,
    PropertiesPolicy,
    RestrictedContent,
    SpecialBits,
    Split,
    Symlinks,
    TagsPolicy,
    TransferType,
    VersioningPreserve,
    VersioningSelect,
)
from tallyport.domain.policies_json import policies_from_json, policies_to_json
from tallyport.domain.properties import read_metadata_map

__all__ = [
    "BlockErrors",
    "Endpoint",
    "MapUse",
    "Problem",
    "ReadBlock",
    "defaults_for",
    "policies_from_json",
    "policies_to_json",
    "read_transfer_block",
    "with_overrides",
]

Read = Callable[[Reader, Any, str], object]  # gives None after a problem


class Key(NamedTuple):
    """One key of the block that sets a policy."""

    policy: str  # field of Policies
    read: Read
    allowed: tuple[str, ...] = ()  # the words, for documentation; empty for numbers and the like


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBlock:
    """A transfer block, checked."""

    policies: Policies
    set_by: Mapping[str, str]  # dotted key: "job" or "default"
    source: Endpoint
    destination: Endpoint
    account_map: MapUse | None
    group_map: MapUse | None
    kept: Mapping[str, object] = field(default_factory=dict)  # dotted key: value as given, not acted on here
    warnings: tuple[str, ...] = ()


def defaults_for(transfer_type: TransferType) -> Policies:
    """Give the policies of a job that says nothing but its transfer type."""
    ignores = transfer_type is TransferType.COPY
    return Policies(
        transfer_type=transfer_type,
        delete_propagation=DeletePropagation.IGNORE_SOURCE if ignores else DeletePropagation.MIRROR,
    )


def read_transfer_block(
    document: object,
    *,
    job_type_default: TransferType = TransferType.SYNC,
    endpoints_required: bool = True,
    path: str = "/transfer",
) -> ReadBlock:
    """Read the JSON value of a transfer block. Raises :class:`BlockErrors` with every problem in it.

    ``job_type_default``: the transfer type of a block that names none. ``path`` is the block's own JSON path.
    """
    reader = Reader()
    found: dict[str, Any] = {}
    _read_tree(reader, document, path, TREE, "", found)
    policies, set_by = _assemble(reader, found, job_type_default)
    ends = {
        side: read_endpoint(reader, found.get(side), pointer(path, side), required=endpoints_required)
        for side in ("source", "destination")
    }
    maps = {
        name: read_map(reader, found[name], pointer(path, name), name) if name in found else None
        for name in ("account_map", "group_map")
    }
    _check_following(reader, policies, pointer(path, "symlinks"))
    policies = replace(
        policies,
        source_account=account_of(ends["source"]),
        destination_account=account_of(ends["destination"]),
    )
    reader.finish()
    kept = {key: value for key, value in found.items() if key not in KEYS and key not in (*ends, *maps, "type")}
    said = {key for key, value in found.items() if (key, value) != ("rendition", "original")}
    return ReadBlock(
        policies=policies,
        set_by=set_by,
        source=ends["source"],
        destination=ends["destination"],
        account_map=maps["account_map"],
        group_map=maps["group_map"],
        kept=kept,
        warnings=tuple(warnings_of(policies, defaults_for(policies.transfer_type), set_by, said, ends)),
    )


def _check_following(reader: Reader, policies: Policies, path: str) -> None:
    """Refuse to follow links in a job that writes or deletes at its source: it would reach one item by two paths."""
    kind = policies.transfer_type
    if policies.symlinks is Symlinks.FOLLOW_INSIDE and kind in (
        TransferType.SYNC,
        TransferType.MOVE,
        TransferType.MIGRATE,
    ):
        others = [word.value for word in Symlinks if word is not Symlinks.FOLLOW_INSIDE]
        what = f"a {kind} job changes its source, where a link is a second way to an item"
        reader.wrong(path, "not_together", what, others)


def with_overrides(policies: Policies, overrides: Mapping[str, str], *, path: str = "/transfer") -> Policies:
    """Change policies by dotted keys and text values, as a command line gives them (``limits.max_deletes=5``).

    The checks and problems are those of a transfer block. What belongs to an endpoint cannot be set here.
    """
    reader = Reader(spoken=True)
    changes: dict[str, Any] = {}
    for dotted, text in overrides.items():
        key = next((key for key in KEYS if dotted == key or dotted.startswith(f"{key}.")), None)
        dotted = SHORTHANDS.get(dotted, dotted)
        here = f"{path}/{dotted.replace('.', '/')}"
        if dotted in KEYS:
            key, value = dotted, text
        elif key is not None:
            value = _nested(dotted.removeprefix(f"{key}.").split("."), text)  # type: ignore[assignment]
            here = f"{path}/{key.replace('.', '/')}"
        if key is None:
            reader.unknown(here, dotted, KEYS)
            continue
        read = KEYS[key].read(reader, value, here)
        if read is not None:
            changes[KEYS[key].policy] = _accepted(key, read)
    changed = replace(policies, **changes)
    _check_following(reader, changed, f"{path}/symlinks")
    reader.finish()
    return changed


# -- the keys


def _word(policy: str, kind: Any) -> Key:
    return Key(policy, lambda reader, value, path: reader.word(value, path, kind), tuple(kind))


def _flag(policy: str, *, lenient: bool = False) -> Key:
    return Key(policy, lambda reader, value, path: reader.flag(value, path, lenient=lenient), ("true", "false"))


def _whole(policy: str, least: int, most: int | None = None) -> Key:
    return Key(policy, lambda reader, value, path: reader.whole(value, path, least=least, most=most))


def _chosen(policy: str, words: Mapping[str, object]) -> Key:
    def read(reader: Reader, value: object, path: str) -> object:
        word = reader.choice(value, path, list(words))
        return None if word is None else words[word]

    return Key(policy, read, tuple(words))


def _filter(policy: str) -> Key:
    return Key(policy, read_filter)


def _read_deletes(reader: Reader, value: object, path: str) -> object:
    """Read delete_propagation: a word, or a list of words as answers show it."""
    if not isinstance(value, list):
        return reader.word(value, path, DeletePropagation)
    words = {reader.word(member, here, DeletePropagation) for here, member in reader.items(value, path)}
    if not words:
        reader.wrong(path, "out_of_range", "names no way to propagate", list(DeletePropagation))
    if None in words or len(words) == 1:
        return words.pop() if len(words) == 1 else None
    if DeletePropagation.MIRROR in words:
        reader.wrong(path, "not_together", "mirror cannot stand with another word")
        return None
    return DeletePropagation.IGNORE_BOTH


def _read_quarantine(reader: Reader, value: object, path: str) -> object:
    """Read the name of a folder at the root of a side."""
    text = reader.text(value, path)
    name = None if text is None else text.strip("/")
    why = None if name is None else check_segment(name)
    if why is not None:
        reader.wrong(path, "unknown_value", f"must be the name of one folder: {why}")
        return None
    return name


def _read_bandwidth(reader: Reader, value: object, path: str) -> object:
    members = reader.members(value, path, ("bytes_per_second", "window"))
    rate = None
    if "bytes_per_second" in members:
        rate = reader.whole(members["bytes_per_second"], pointer(path, "bytes_per_second"), least=1)
    windows = []
    for here, member in reader.items(members.get("window", []), pointer(path, "window")):
        window = reader.members(member, here, ("time", "bytes_per_second"))
        for missing in {"time", "bytes_per_second"} - window.keys():
            reader.wrong(pointer(here, missing), "missing", "is needed")
        starts = read_time_of_day(reader, window.get("time", {}), pointer(here, "time"))
        limit = reader.whole(window.get("bytes_per_second", 1), pointer(here, "bytes_per_second"), least=1)
        windows.append(BandwidthWindow(starts=starts, bytes_per_second=limit or 1))
    return Bandwidth(bytes_per_second=rate, windows=tuple(windows))


def read_time_of_day(reader: Reader, value: object, path: str) -> float:
    """Read ``{hr, min, sec, ms}`` as seconds; what is left out is 0."""
    units = {"hr": (3600.0, 23), "min": (60.0, 59), "sec": (1.0, 59), "ms": (0.001, 999)}
    seconds = 0.0
    for name, member in reader.members(value, path, units).items():
        factor, most = units[name]
        seconds += factor * (reader.whole(member, pointer(path, name), least=0, most=most) or 0)
    return seconds


KEYS: Mapping[str, Key] = {
    "transfer_type": _chosen(
        "transfer_type", {"default": TransferType.SYNC, **{kind.value: kind for kind in TransferType}}
    ),
    "audit_level": _word("audit_level", AuditLevel),
    "batch_mode": _word("batch_mode", BatchMode),
    "conflict_resolution": _word("conflict_resolution", ConflictResolution),
    "delete_propagation": Key("delete_propagation", _read_deletes, tuple(DeletePropagation)),
    "failure_policy": _word("failure_policy", FailurePolicy),
    "large_item": _word("large_item", LargeItem),
    "lock_propagation": _word("lock_propagation", LockPropagation),
    "max_items_per_container": _whole("max_items_per_container", 0),  # 0 = no limit
    "performance.parallel_writes.requested": _whole("parallel_writes", 1, 256),
    "performance.parallel_writes.max": _whole("parallel_writes_max", 1, 256),
    "performance.split": _word("split", Split),
    "performance.upload": Key("upload", _read_bandwidth),
    "performance.download": Key("download", _read_bandwidth),
    "permissions.policy": _word("permissions_policy", PermissionsPolicy),
    "permissions.links": _flag("permissions_links"),
    "permissions.failures": _word("permissions_failures", PermissionsFailures),
    "preserve_owners": _flag("preserve_owners"),
    "timestamps": _flag("timestamps"),
    "empty_containers": _word("empty_containers", EmptyContainers),
    "duplicate_names": _word("duplicate_names", DuplicateNames),
    "item_overwrite": _word("item_overwrite", ItemOverwrite),
    "restricted_content": _word("restricted_content", RestrictedContent),
    "segment_transform": _flag("segment_transform", lenient=True),
    "encode_invalid_characters": _flag("encode_invalid_characters"),
    "segment_truncate": _flag("segment_truncate"),
    "versioning.preserve": _word("versioning_preserve", VersioningPreserve),
    "versioning.select": _word("versioning_select", VersioningSelect),
    "versioning.from_source.max": _whole("versioning_from_source_max", 1),
    "versioning.from_destination.max": _whole("versioning_from_destination_max", 1),
    "filter.source": _filter("filter_source"),
    "filter.destination": _filter("filter_destination"),
    "simulation_mode": _flag("simulation"),
    "on_initialize": _word("on_initialize", OnInitialize),
    "item_inspection_policy": _word("item_inspection", ItemInspection),
    "permissions.import": Key("permissions_import", read_import),
    "metadata_import": Key("metadata_import", read_import),
    "metadata_map": Key("metadata_map", read_metadata_map),
    "tags": _word("tags", TagsPolicy),
    # ours
    "properties": _word("properties", PropertiesPolicy),
    "special_bits": _word("special_bits", SpecialBits),
    "symlinks": _word("symlinks", Symlinks),
    "verify": _chosen("verify", {level.name.lower(): level for level in VerifyLevel if level is not VerifyLevel.NONE}),
    "durability": _word("durability", Durability),
    "quarantine": Key("quarantine", _read_quarantine),
    "full_look": _flag("full_look"),
    "names_from": Key("names_from", lambda reader, value, path: reader.text(value, path)),
    "limits.max_attempts": _whole("max_attempts", 1, 1000),
    "limits.max_deletes": _whole("max_deletes", 0),
    "limits.quarantine_days": Key(
        "quarantine_days", lambda reader, value, path: reader.number(value, path, least=0, most=36_500)
    ),
    "limits.max_delete_percent": Key(
        "max_delete_percent", lambda reader, value, path: reader.number(value, path, least=0, most=100)
    ),
}

KEPT = (
    "type",  # answers carry it
    "source",
    "destination",
    "account_map",
    "group_map",
    "rendition",
    "item_inspection_policy_next",
    "performance.retries",
)
SHORTHANDS: Mapping[str, str] = {"permissions": "permissions.policy"}  # a bare text stands for this member


def _tree(keys: tuple[str, ...]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for dotted in keys:
        *outer, last = dotted.split(".")
        node = tree
        for name in outer:
            node = node.setdefault(name, {})
        node[last] = None
    return tree


TREE = _tree((*KEYS, *KEPT))


def _read_tree(
    reader: Reader, value: object, path: str, tree: Mapping[str, Any], prefix: str, found: dict[str, Any]
) -> None:
    """Walk the block and read every key that is there into ``found``, by its dotted name."""
    for name, member in reader.members(value, path, tree).items():
        dotted, here = f"{prefix}{name}", pointer(path, name)
        if tree[name] is not None:
            if dotted in SHORTHANDS and isinstance(member, str):
                dotted = SHORTHANDS[dotted]
            else:
                _read_tree(reader, member, here, tree[name], f"{dotted}.", found)
                continue
        read = KEYS[dotted].read(reader, member, here) if dotted in KEYS else _keep(reader, dotted, member, here)
        if read is not None:
            found[dotted] = read


_SHAPES: Mapping[str, Read] = {
    "rendition": lambda reader, value, path: reader.choice(value, path, ["original", "rendition"]),
    "item_inspection_policy_next": lambda reader, value, path: reader.word(value, path, ItemInspection),
    "performance.retries": lambda reader, value, path: reader.whole(value, path, least=0),
    "type": lambda reader, value, path: reader.choice(value, path, ["transfer"]),
}


def _keep(reader: Reader, dotted: str, value: object, path: str) -> object:
    shape = _SHAPES.get(dotted)
    return value if shape is None else shape(reader, value, path)


def _accepted(key: str, value: object) -> object:
    """Turn a value as written into the policy's own: no limit is written 0."""
    return None if key == "max_items_per_container" and value == 0 else value


def _assemble(reader: Reader, found: Mapping[str, Any], type_default: TransferType) -> tuple[Policies, dict[str, str]]:
    transfer_type = found.get("transfer_type", type_default)
    given: dict[str, Any] = {KEYS[key].policy: _accepted(key, value) for key, value in found.items() if key in KEYS}
    given["transfer_type"] = transfer_type
    set_by = {key: "job" if key in found else "default" for key in KEYS}
    return replace(defaults_for(transfer_type), **given), set_by


def _nested(names: list[str], text: str) -> object:
    value: object = text
    for name in reversed(names):
        value = {name: value}
    return value
