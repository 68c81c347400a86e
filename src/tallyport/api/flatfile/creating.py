"""Making and changing jobs from this dialect's bodies."""

from collections.abc import Mapping
from typing import Any

from tallyport.api.flatfile.words import MODES, PART_EXECUTIONS, TRIGGERS, TYPES
from tallyport.control import agents, jobs
from tallyport.control.desk import Caller, Desk
from tallyport.control.documents import merge
from tallyport.control.jobs import Done
from tallyport.control.pictures import Picture
from tallyport.control.refusals import Invalid, NotBuilt, invalid
from tallyport.domain.documents import Reader
from tallyport.domain.states import State

KEPT = (  # stored as given
    "destination",
    "config",
    "fileId",
    "mode",
    "input",
    "subject",
    "metadata",
    "info",
    "trigger",
    "environmentId",
    "spaceId",
    "predecessorIds",
)
KNOWN = ("type", "operation", "source", "managed", "status", "progress", "outcome", *KEPT)
LATER = ("part", "partData", "partExecution", "parentId")
STATES = {"created": State.CREATED, "ready": State.READY, "scheduled": State.SCHEDULED, "executing": State.EXECUTING}


def create(desk: Desk, document: Mapping[str, Any], caller: Caller) -> Done:
    """Make a job. ``operation: transfer`` is one that our workers drive, any other one for an outside agent."""
    if document.get("operation") == "transfer" and document.get("managed") is not False:
        return _create_transfer(desk, document, caller)
    if document.get("managed") is True:
        raise invalid("/managed", "only the operation 'transfer' is driven by our workers", ("false",))
    if any(key in document for key in ("predecessorIds", *LATER) if document.get(key)):
        raise NotBuilt("parts and predecessors of jobs are not in this version")
    kept = _read(document)
    word = kept.pop("status", None) or ("ready" if kept.get("trigger") == "immediate" else "created")
    name = f"{kept['type']}:{kept['operation']}"
    return Done(agents.create(desk, name, STATES[word], kept, caller))


def change(desk: Desk, before: Picture, definition: Mapping[str, Any], caller: Caller) -> Done:
    """Change what an agent's job keeps."""
    strange = definition.keys() - {"transfer", "kind"}
    if strange:
        raise invalid(f"/{min(strange)}", "an agent's job has no such setting", ("config", "info", "metadata"))
    if "transfer" in definition:
        return jobs.annotate(desk, before.job.id, {"config": definition["transfer"]}, caller)
    return Done(before)


def _create_transfer(desk: Desk, document: Mapping[str, Any], caller: Caller) -> Done:
    reader = Reader()
    given = reader.members(document, "", (*KNOWN, *LATER))
    reader.choice(given.get("type"), "/type", ["file"])
    word = reader.choice(given.get("status", "created"), "/status", ["created", "ready"])
    if reader.problems:
        raise Invalid(reader.problems)
    config = given.get("config")
    block: dict[str, Any] = dict(config) if isinstance(config, dict) else {}
    for side in ("source", "destination"):
        if isinstance(given.get(side), str):
            block[side] = merge(block.get(side) or {}, {"connection": {"id": given[side]}})
    subject = given.get("subject")
    params = subject.get("params") if isinstance(subject, dict) else None
    if isinstance(params, dict) and isinstance(params.get("path"), str):
        block["source"] = merge(block.get("source") or {}, {"target": {"path": params["path"]}})
    starts = word == "ready" or given.get("trigger") == "immediate"
    wanted: dict[str, Any] = {"transfer": block, "schedule": {"mode": "manual"}} | (
        {"status": "start"} if starts else {}
    )
    extra = {key: given[key] for key in ("metadata", "input", "info") if key in given}
    return jobs.create(desk, wanted, caller, extra=extra)


def _read(document: Mapping[str, Any]) -> dict[str, Any]:
    reader = Reader()
    given = reader.members(document, "", (*KNOWN, *LATER))
    kept: dict[str, Any] = {key: given[key] for key in ("type", "operation", "source", *KEPT) if key in given}
    reader.choice(given.get("type"), "/type", list(TYPES))
    for key in ("operation", "source"):
        reader.text(given.get(key), f"/{key}")
    for key, allowed in (("mode", MODES), ("trigger", TRIGGERS), ("partExecution", PART_EXECUTIONS)):
        if key in given:
            reader.choice(given[key], f"/{key}", list(allowed))
    for key in ("config", "input", "subject", "metadata", "outcome"):
        if key in given and not isinstance(given[key], dict):
            reader.wrong_type(given[key], f"/{key}", "an object")
    for key in ("info", "destination", "fileId", "environmentId", "spaceId"):
        if key in given:
            reader.text(given[key], f"/{key}")
    if "status" in given:
        kept["status"] = reader.choice(given["status"], "/status", list(STATES))
    run = {key: given[key] for key in ("progress", "outcome") if key in given}
    if "progress" in given:
        reader.whole(given["progress"], "/progress", least=0, most=100)
    if reader.problems:
        raise Invalid(reader.problems)
    return kept | ({"run": run} if run else {})
