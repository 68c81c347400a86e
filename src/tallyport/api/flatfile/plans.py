"""The plan of a job as this dialect shows and takes it: edges between fields, and what no edge leads from or to."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tallyport.control.plans import Plan
from tallyport.control.refusals import Invalid
from tallyport.domain.documents import Reader, pointer
from tallyport.domain.plans import CHOSEN, FIELDS

KNOWN = ("fieldMapping", "unmappedSourceFields", "unmappedDestinationFields", "fileId", "jobId", "programId")
NEEDED = ("fieldMapping", "unmappedSourceFields", "unmappedDestinationFields")
_SURE = {"certainty": "absolute", "confidence": 1.0, "source": "policies"}
_MANIFEST = {"too_large": "tooLarge"}


def view(plan: Plan) -> dict[str, Any]:
    """Show a plan; of an agent's job the one that its agent made."""
    if not plan.picture.job.managed:
        made = plan.picture.job.extra.get("plan")
        return {**{key: [] for key in NEEDED}, **(made if isinstance(made, Mapping) else {})}
    edges = [key for key in plan.carried if key in plan.held]
    samples = _samples(plan.manifest)
    document: dict[str, Any] = {
        "fieldMapping": [
            {
                "sourceField": _field(key),
                "destinationField": _field(key),
                "preview": samples.get(key, []),
                "metadata": _SURE,
            }
            for key in edges
        ],
        "unmappedSourceFields": [{"sourceField": _field(key), "preview": []} for key in FIELDS if key not in edges],
        "unmappedDestinationFields": [
            {"destinationField": _field(key), "preview": []} for key in plan.held if key not in plan.carried
        ],
    }
    if plan.manifest is not None:
        document["manifest"] = {
            _MANIFEST.get(key, key): value for key, value in plan.manifest.items() if key != "children"
        }
    if plan.problem is not None:
        document["problem"] = plan.problem
    return document


class Change(NamedTuple):
    """What a sent plan asks for."""

    carried: tuple[str, ...]
    dropped: tuple[str, ...]


def read(document: object, job: str, source: str | None, *, whole: bool) -> Change:
    """Read a plan. ``whole``: it replaces the old one, so that what has no edge is not carried."""
    reader = Reader()
    given = reader.members(document, "", KNOWN)
    for key in NEEDED if whole else ():
        if key not in given:
            reader.wrong(f"/{key}", "missing", "is needed: a whole plan replaces the old one")
    if given.get("jobId", job) != job:
        reader.wrong("/jobId", "unknown_value", "is not the job of the path", (job,))
    if "fileId" in given and given["fileId"] != source:
        reader.wrong("/fileId", "unknown_value", "is not the source of the job", () if source is None else (source,))
    if "programId" in given:
        reader.text(given["programId"], "/programId")
    edges = _edges(reader, given.get("fieldMapping", []))
    dropped = _fields(reader, given.get("unmappedSourceFields", []), "/unmappedSourceFields", "sourceField")
    _fields(reader, given.get("unmappedDestinationFields", []), "/unmappedDestinationFields", "destinationField")
    for key in dropped:
        if FIELDS[key].always:
            reader.wrong("/unmappedSourceFields", "fixed", f"{key} always travels", CHOSEN)
        if key in edges:
            reader.wrong("/unmappedSourceFields", "not_together", f"{key} is in fieldMapping too")
    if reader.problems:
        raise Invalid(reader.problems)
    return Change(tuple(edges), tuple(key for key in CHOSEN if key not in edges) if whole else tuple(dropped))


def read_agents(document: object, job: str, before: object, *, whole: bool) -> dict[str, Any]:
    """Read the plan of an agent's job: its edges are the agent's, and kept as they are."""
    reader = Reader()
    given = reader.members(document, "", KNOWN)
    for key in NEEDED:
        if key in given:
            for path, one in reader.items(given[key], f"/{key}"):
                if not isinstance(one, dict):
                    reader.wrong_type(one, path, "an object")
        elif whole:
            reader.wrong(f"/{key}", "missing", "is needed: a whole plan replaces the old one")
    if given.get("jobId", job) != job:
        reader.wrong("/jobId", "unknown_value", "is not the job of the path", (job,))
    if reader.problems:
        raise Invalid(reader.problems)
    old = dict(before) if isinstance(before, Mapping) and not whole else {}
    return old | {key: value for key, value in given.items() if key in (*NEEDED, "programId")}


def _edges(reader: Reader, value: object) -> list[str]:
    found: list[str] = []
    for path, one in reader.items(value, "/fieldMapping"):
        edge = reader.members(one, path, ("sourceField", "destinationField", "preview", "enumDetails", "metadata"))
        here = _key(reader, edge.get("sourceField"), pointer(path, "sourceField"))
        there = _key(reader, edge.get("destinationField"), pointer(path, "destinationField"))
        if here is None or there is None:
            continue
        if here != there:
            message = f"{here} cannot become {there}: a field travels to the field of its name"
            reader.wrong(pointer(path, "destinationField"), "unknown_value", message, (here,))
        elif not FIELDS[here].always and here not in CHOSEN:
            reader.wrong(pointer(path, "sourceField"), "fixed", f"{here} cannot be carried", CHOSEN)
        elif "enumDetails" in edge:
            message = "who becomes whom is said by account_map and group_map of the job's config"
            reader.wrong(pointer(path, "enumDetails"), "fixed", message, ("account_map", "group_map"))
        else:
            found.append(here)
    return found


def _fields(reader: Reader, value: object, path: str, name: str) -> list[str]:
    found: list[str] = []
    for here, one in reader.items(value, path):
        member = reader.members(one, here, (name, "preview"))
        key = _key(reader, member.get(name), pointer(here, name))
        if key is not None:
            found.append(key)
    return found


def _key(reader: Reader, value: object, path: str) -> str | None:
    key = value.get("key") if isinstance(value, Mapping) else value
    return reader.choice(key, pointer(path, "key") if isinstance(value, Mapping) else path, list(FIELDS))


def _samples(manifest: Mapping[str, Any] | None) -> dict[str, list[str]]:
    if manifest is None:
        return {}
    shown = [str(one["path"]) for one in manifest["largest"][:3]]
    return {"path": shown, "name": [path.rpartition("/")[2] for path in shown]}


def _field(key: str) -> dict[str, str]:
    return {"key": key, "label": FIELDS[key].label, "type": FIELDS[key].type}
