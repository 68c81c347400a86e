"""The keys of the transfer block as a form and a JSON schema have them: kind of value, words, default, meaning."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tallyport.domain import schedules
from tallyport.domain.block_words import KEY_WORDS
from tallyport.domain.policies import TransferType
from tallyport.domain.transfer_block import KEYS, defaults_for, policies_to_json

# Which step of describing a job asks for a key. What is not named here is a behaviour.
POLICIES = (
    "conflict_resolution",
    "delete_propagation",
    "item_overwrite",
    "duplicate_names",
    "empty_containers",
    "large_item",
    "restricted_content",
    "symlinks",
    "failure_policy",
    "timestamps",
    "preserve_owners",
    "permissions.policy",
    "permissions.links",
    "permissions.failures",
    "versioning.preserve",
    "versioning.select",
    "versioning.from_source.max",
    "versioning.from_destination.max",
    "lock_propagation",
)
APART = ("transfer_type", "simulation_mode", "filter.source", "filter.destination")  # asked for in a way of their own
_NUMBERS = {int: "integer", float: "number"}


class BlockField(NamedTuple):
    """One key."""

    key: str
    kind: str  # word flag integer number text object
    allowed: tuple[str, ...]
    default: object  # of a job that says nothing but its type; plain JSON
    words: str
    is_policy: bool

    @property
    def label(self) -> str:
        """Give the key as people read it."""
        return self.key.replace(".", ", ").replace("_", " ").capitalize()


def block_fields(transfer_type: TransferType = TransferType.SYNC) -> Sequence[BlockField]:
    """Give every key, policies first."""
    defaults = json.loads(policies_to_json(defaults_for(transfer_type)))
    ordered = [key for key in POLICIES if key in KEYS] + [key for key in KEYS if key not in POLICIES]
    return [
        BlockField(
            key,
            _kind(key, defaults[KEYS[key].policy]),
            KEYS[key].allowed,
            defaults[KEYS[key].policy],
            KEY_WORDS.get(key, "").replace("; see the tables below", ""),
            key in POLICIES,
        )
        for key in ordered
    ]


def block_schema() -> Mapping[str, Any]:
    """Give the JSON schema of a transfer block."""
    root: dict[str, Any] = {"type": "object", "properties": {}}
    for field in block_fields():
        *outer, last = field.key.split(".")
        place = root
        for name in outer:
            place = place["properties"].setdefault(name, {"type": "object", "title": name, "properties": {}})
        place["properties"][last] = _property(field)
    for side in ("source", "destination"):
        root["properties"][side] = _END
    root["properties"] |= {"schedule": _SCHEDULE, "stop_policy": _STOP_POLICY}
    return root


def _kind(key: str, default: object) -> str:
    known = KEYS[key]
    if known.allowed == ("true", "false"):
        return "flag"
    if known.allowed:
        return "word"
    if type(default) in _NUMBERS:
        return _NUMBERS[type(default)]
    if key.endswith(".max"):
        return "integer"
    if key == "limits.quarantine_days":
        return "number"
    return "text" if key in ("quarantine", "names_from") else "object"


def _property(field: BlockField) -> dict[str, Any]:
    kinds = {"word": "string", "flag": "boolean", "text": "string"}
    made: dict[str, Any] = {"type": kinds.get(field.kind, field.kind), "title": field.label, "description": field.words}
    if field.kind == "word":
        made["enum"] = list(field.allowed)
    if field.kind == "flag":
        made["format"] = "checkbox"
    if field.key.startswith("filter."):
        made |= FILTER_SCHEMA
    if field.default is not None and field.kind != "object":
        made["default"] = field.default
    return made


_END = {
    "type": "object",
    "properties": {
        "connection": {"type": "object", "properties": {"id": {"type": "string"}}},
        "target": {"type": "object", "properties": {"path": {"type": "string"}}},
    },
}
_OF_CHILDREN = "of the children of a folder mapping; a job of another kind has it beside the transfer block"
_COUNT = {"type": "integer", "minimum": 1}
_INTERVAL = {
    "type": "object",
    "properties": {
        "value": {"type": "number", "exclusiveMinimum": 0},
        "unit": {"type": "string", "enum": list(schedules.UNITS)},
    },
    "required": ["value", "unit"],
    "additionalProperties": False,
}
_TIME = {
    "type": "object",
    "properties": {
        name: {"type": "integer", "minimum": 0, "maximum": most}
        for name, most in (("hr", 23), ("min", 59), ("sec", 59), ("ms", 999))
    },
    "additionalProperties": False,
}
_DAY = {"type": "string", "enum": list(schedules.DAYS)}
_TIMES: Mapping[str, Mapping[str, Any]] = {
    "days": {"oneOf": [_DAY, {"type": "array", "items": _DAY, "minItems": 1}]},
    **{name: {"type": "number", "minimum": 0} for name in ("start_date", "end_date", "end")},
    **dict.fromkeys(("start_window", "end_window", "run_at"), _TIME),
    "cron": {"type": "string"},
    "time_zone": {"type": "string"},
    "repeat_interval": _INTERVAL,
    "repeat_count": _COUNT,
    "missed_runs": {"type": "string", "enum": [word.value for word in schedules.MissedRuns]},
}
_SCHEDULE = {
    "type": "object",
    "title": "Schedule",
    "description": f"When a job runs, {_OF_CHILDREN}",
    "properties": {
        "mode": {"type": "string", "enum": [word.value for word in schedules.Mode]},
        **_TIMES,
        "max_execution": _INTERVAL,
    },
    "additionalProperties": False,
}
_STOP_POLICY = {
    "type": "object",
    "title": "Stop policy",
    "description": f"After how many runs a job is done for good, {_OF_CHILDREN}",
    "properties": dict.fromkeys(schedules.STOP_LIMITS, _COUNT),
    "additionalProperties": False,
}
_TEXTS = {"type": "array", "format": "table", "items": {"type": "string"}, "minItems": 1}


def _rule(name: str, title: str, **properties: Any) -> dict[str, Any]:
    fixed = {"type": {"type": "string", "enum": [f"filter_{name}"], "default": f"filter_{name}", "title": "Kind"}}
    needed = ["type", *(key for key, value in properties.items() if value.get("minItems") or value.get("minLength"))]
    made = {"type": "object", "title": title, "properties": fixed | properties, "required": needed}
    return made | {"additionalProperties": False}


_RULES = [
    _rule("extension", "Extensions", extensions=_TEXTS | {"title": "Extensions, for instance tmp"}),
    _rule("pattern", "Names like", text={"type": "string", "minLength": 1, "title": "Pattern, for instance ~$*"}),
    _rule(
        "size",
        "Size",
        min={"type": "integer", "minimum": 0, "title": "At least, bytes"},
        max={"type": "integer", "minimum": 0, "title": "At most, bytes"},
    ),
    _rule("path", "Paths", paths=_TEXTS | {"title": "Paths from the source, with a leading /"}),
    _rule("hidden", "Hidden items"),
    _rule("shared", "Shared with the account by others"),
]
FILTER_SCHEMA: dict[str, Any] = {
    "type": "array",
    "title": "Blocks",
    "format": "tabs-top",
    "items": {
        "type": "object",
        "title": "Block",
        "properties": {
            "action": {"type": "string", "enum": ["exclude", "include"], "default": "exclude", "title": "Action"},
            "rules": {
                "type": "array",
                "title": "Rules",
                "minItems": 1,
                "items": {"title": "Rule", "oneOf": _RULES},
            },
        },
        "required": ["action", "rules"],
        "additionalProperties": False,
    },
}
"""The common rules of a filter as a form has them; a date or a predefined group is given as raw JSON."""
