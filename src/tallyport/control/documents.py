"""The document that describes a job: reading it, and writing it back so that a patch can be merged into it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tallyport.control import predecessors
from tallyport.control.refusals import Invalid
from tallyport.domain import folder_mapping, schedules, transfer_block
from tallyport.domain.documents import BlockErrors, Reader, pointer
from tallyport.domain.jobs import Job
from tallyport.domain.policies import Policies

COMMANDS = ("start", "paused")  # of a new job
KINDS = ("transfer", folder_mapping.KIND)
OTHER_KINDS: Mapping[str, str] = {
    "user_account_mapping": "no platform here lists accounts with their drives: map folders that are named for them",
    "network_home_drive_mapping": "home drives are folders here: map the folder they stand in",
}
LATER = ("scheduler", "retention", "discriminator")  # accepted, kept, without effect yet
KEYS: tuple[str, ...] = ("name", "kind", "description", "transfer", "schedule", "stop_policy", "category", "priority")
KEYS += ("status", "predecessor_ids", "on_predecessor_failure", "disabled")
BESIDE = "items that stand beside the first-level folders of the source belong to no child, and are not carried"


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """One endpoint as the document has it."""

    connection: str
    path: str


NOWHERE = End(connection="", path="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A job as somebody wants it, checked as far as the document alone allows."""

    kind: str = "transfer"
    name: str | None = None
    description: str | None = None
    disabled: bool = False
    children: Mapping[str, Any] = field(default_factory=dict)  # what a folder mapping says of its children alone
    transfer: Mapping[str, Any] = field(default_factory=dict)
    policies: Policies = field(default_factory=Policies)
    source: End = NOWHERE
    destination: End = NOWHERE
    schedule: Mapping[str, Any] = field(default_factory=dict)
    mode: str = "manual"
    stop_policy: Mapping[str, Any] = field(default_factory=dict)
    category: Mapping[str, Any] = field(default_factory=dict)
    priority: int = 0
    command: str | None = None
    predecessors: tuple[str, ...] = ()
    on_predecessor_failure: str = "hold"
    kept: Mapping[str, Any] = field(default_factory=dict)  # accepted, not acted on
    warnings: tuple[str, ...] = ()


def read(document: object) -> Draft:
    """Check a whole job document, or raise Invalid with everything that is wrong with it."""
    reader = Reader()
    given = reader.members(_without_misplaced(reader, document), "", (*KEYS, *LATER))
    draft = Draft(
        kind=_kind(reader, given),
        disabled=("disabled" in given and reader.flag(given["disabled"], "/disabled")) or False,
        name=_short_text(reader, given, "name", 500),
        description=_short_text(reader, given, "description", 10_000),
        transfer=_mapping(reader, given, "transfer"),
        schedule=_mapping(reader, given, "schedule"),
        stop_policy=_stop_policy(reader, given),
        category=_category(reader, given),
        priority=reader.whole(given.get("priority", 0), "/priority", least=-1_000_000, most=1_000_000) or 0,
        command=reader.choice(given["status"], "/status", list(COMMANDS)) if "status" in given else None,
        predecessors=predecessors.read(reader, given["predecessor_ids"]) if "predecessor_ids" in given else (),
        on_predecessor_failure=(
            predecessors.read_policy(reader, given["on_predecessor_failure"])
            if "on_predecessor_failure" in given
            else "hold"
        ),
        kept={key: given[key] for key in LATER if key in given},
        warnings=tuple(f"/{key}: has no effect in this version" for key in LATER if key in given),
    )
    if draft.kind == folder_mapping.KIND:
        draft = _read_children(reader, draft)
    if "transfer" in given:
        draft = _read_transfer(reader, draft)
    else:
        reader.wrong("/transfer", "missing", "a job needs a transfer block")
    draft = _read_schedule(reader, draft)
    _check_command(reader, draft)
    if reader.problems:
        raise Invalid(reader.problems)
    return draft


def _without_misplaced(reader: Reader, document: object) -> object:
    """Say where a key belongs that stands beside the transfer block; gives the document without such keys."""
    if not isinstance(document, dict):
        return document
    inner = {dotted.partition(".")[0] for dotted in (*transfer_block.KEYS, *transfer_block.KEPT)} - {"type"}
    misplaced = [key for key in document if key in inner and key not in KEYS]
    for key in misplaced:
        message = f'"{key}" belongs in the transfer block: /transfer/{key}'
        reader.wrong(pointer("", key), "unknown_key", message, (*KEYS, *LATER))
    return {key: value for key, value in document.items() if key not in misplaced}


def write(job: Job, category: str, waits_for: Sequence[str] = ()) -> dict[str, Any]:
    """Give the document of a stored job: what :func:`read` takes, defaults left out."""
    document: dict[str, Any] = {"name": job.name, "kind": job.kind, "transfer": shown_transfer(job)}
    if job.description is not None:
        document["description"] = job.description
    if job.schedule:
        document["schedule"] = dict(job.schedule)
    if job.stop_policy:
        document["stop_policy"] = dict(job.stop_policy)
    if job.disabled is not None:
        document["disabled"] = True
    if job.priority:
        document["priority"] = job.priority
    document["category"] = {"name": category}
    if waits_for:
        document["predecessor_ids"] = list(waits_for)
    if job.on_predecessor_failure != "hold":
        document["on_predecessor_failure"] = job.on_predecessor_failure
    kept = job.extra.get("kept")
    return document | (dict(kept) if isinstance(kept, Mapping) else {})


def shown_transfer(job: Job) -> dict[str, Any]:
    """Give the transfer block as it was sent: with what a folder mapping says of its children."""
    children = job.extra.get(folder_mapping.CHILDREN)
    return {**job.transfer, **(children if isinstance(children, Mapping) else {})}


def merge(target: Any, patch: Any) -> Any:
    """Apply a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def _short_text(reader: Reader, given: Mapping[str, object], key: str, longest: int) -> str | None:
    if key not in given:
        return None
    value = given[key]
    if not isinstance(value, str):
        reader.wrong_type(value, f"/{key}", "text")
    elif len(value) > longest:
        reader.wrong(f"/{key}", "out_of_range", f"must not be longer than {longest} characters")
    elif "\0" in value:
        reader.wrong(f"/{key}", "unknown_value", "cannot hold a NUL")
    else:
        return value
    return None


def _mapping(reader: Reader, given: Mapping[str, object], key: str) -> Mapping[str, Any]:
    value = given.get(key, {})
    if isinstance(value, dict):
        return value
    reader.wrong_type(value, f"/{key}", "an object")
    return {}


def _kind(reader: Reader, given: Mapping[str, object]) -> str:
    kind = given.get("kind", "transfer")
    if isinstance(kind, str) and kind in OTHER_KINDS:
        reader.wrong("/kind", "unknown_value", f"{kind!r} is not offered: {OTHER_KINDS[kind]}", KINDS)
        return "transfer"
    return reader.choice(kind, "/kind", list(KINDS)) or "transfer"


def _read_children(reader: Reader, draft: Draft) -> Draft:
    """Take what is said of the children out of the transfer block; a parent runs by itself unless it says otherwise."""
    own = {key: draft.transfer[key] for key in folder_mapping.OWN if draft.transfer.get(key) is not None}
    warnings: tuple[str, ...] = (f"/transfer/source: {BESIDE}",)
    if "schedule" in own:
        try:
            schedule = schedules.read_schedule(own["schedule"], path="/transfer/schedule")
            warnings += tuple(f"transfer.{told}" for told in schedule.warnings)
        except BlockErrors as error:
            reader.problems += error.problems
    if "stop_policy" in own:
        _stop_policy(reader, own, "/transfer/stop_policy")
    return replace(
        draft,
        transfer={key: value for key, value in draft.transfer.items() if key not in folder_mapping.OWN},
        schedule=draft.schedule or {"mode": schedules.Mode.AUTO.value},
        children=own,
        warnings=(*draft.warnings, *warnings),
    )


def _stop_policy(reader: Reader, given: Mapping[str, object], path: str = "/stop_policy") -> Mapping[str, Any]:
    limits = reader.members(given.get("stop_policy", {}), path, schedules.STOP_LIMITS)
    for key, value in limits.items():
        reader.whole(value, f"{path}/{key}", least=1, most=(1 << 31) - 1)
    return limits


def _category(reader: Reader, given: Mapping[str, object]) -> Mapping[str, Any]:
    wanted = reader.members(given.get("category", {}), "/category", ("id", "name"))
    if "name" in wanted:
        reader.text(wanted["name"], "/category/name")
    if "id" in wanted:
        reader.whole(wanted["id"], "/category/id", least=-1, most=(1 << 31) - 1)
    return wanted


def _read_transfer(reader: Reader, draft: Draft) -> Draft:
    try:
        block = transfer_block.read_transfer_block(dict(draft.transfer))
    except BlockErrors as error:
        reader.problems += error.problems
        return draft
    for side, end in (("source", block.source), ("destination", block.destination)):
        for key, value in (("uri", end.uri), ("item", end.item)):
            if value is not None:
                why = "no platform here finds an item by that: name the folder by its path from the connection's root"
                reader.wrong(f"/transfer/{side}/target/{key}", "unknown_value", why, ("path",))
    return replace(
        draft,
        policies=block.policies,
        source=End(connection=block.source.connection or "", path=block.source.path),
        destination=End(connection=block.destination.connection or "", path=block.destination.path),
        warnings=(*draft.warnings, *block.warnings),
    )


def _read_schedule(reader: Reader, draft: Draft) -> Draft:
    try:
        schedule = schedules.read_schedule(dict(draft.schedule))
    except BlockErrors as error:
        reader.problems += error.problems
        return draft
    return replace(draft, mode=schedule.mode.value, warnings=(*draft.warnings, *schedule.warnings))


def _check_command(reader: Reader, draft: Draft) -> None:
    if draft.command == "paused" and draft.mode != "auto":
        message = f"'paused' holds an automatic schedule, and the mode is {draft.mode!r}: use 'start', or mode 'auto'"
        reader.wrong("/status", "not_together", message, ("start",))
        reader.wrong("/schedule/mode", "not_together", message, ("auto",))
