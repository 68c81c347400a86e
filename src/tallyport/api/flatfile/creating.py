"""Making and changing jobs from this dialect's bodies."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from tallyport.api.flatfile.words import MODES, PART_EXECUTIONS, TRIGGERS, TYPES
from tallyport.control import agents, jobs, predecessors
from tallyport.control.desk import Caller, Desk
from tallyport.control.documents import merge
from tallyport.control.jobs import Done
from tallyport.control.pictures import Picture
from tallyport.control.refusals import Invalid, invalid
from tallyport.domain.documents import Problem, Reader
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
)
KNOWN = ("type", "operation", "source", "managed", "status", "progress", "outcome", *KEPT)
WAITING = {"predecessorIds": "predecessor_ids", "onPredecessorFailure": "on_predecessor_failure"}
OF_PARTS = ("part", "partData", "partExecution", "parentId")
TRANSFERS = ("transfer", "file:transfer", "plan")  # operations that our workers drive; the last is planned first
STATES = {"created": State.CREATED, "ready": State.READY, "scheduled": State.SCHEDULED, "executing": State.EXECUTING}


@contextlib.contextmanager
def spoken(document: Any) -> Iterator[Any]:
    """Give a body with our names for what this dialect names otherwise; refusals name what was sent."""
    if not isinstance(document, Mapping) or not document.keys() & WAITING.keys():
        yield document
        return
    try:
        yield {WAITING.get(key, key): value for key, value in document.items()}
    except Invalid as error:
        ours = {f"/{name}": f"/{key}" for key, name in WAITING.items()}
        raise Invalid([_renamed(problem, ours) for problem in error.problems]) from error


def _renamed(problem: Problem, ours: Mapping[str, str]) -> Problem:
    path = next((sent + problem.path[len(name) :] for name, sent in ours.items() if problem.path.startswith(name)), "")
    return problem._replace(path=path or problem.path)


def create(desk: Desk, document: Mapping[str, Any], caller: Caller, *, plan: bool = False) -> Done:
    """Make a job. ``operation: transfer`` is one that our workers drive, any other one for an outside agent."""
    if document.get("operation") in TRANSFERS and document.get("managed") is not False:
        return _create_transfer(desk, document, caller, plan=plan or document["operation"] == "plan")
    if document.get("managed") is True:
        raise invalid("/managed", "only the operation 'transfer' is driven by our workers", ("false",))
    if plan:
        raise invalid("plan", "only a transfer is planned by us: of another job its agent makes the plan")
    kept = _read(document)
    word = kept.pop("status", None) or ("ready" if kept.get("trigger") == "immediate" else "created")
    name = f"{kept['type']}:{kept['operation']}"
    return Done(agents.create(desk, name, STATES[word], kept, caller, belongs=_belongs(document)))


def change(desk: Desk, before: Picture, definition: Mapping[str, Any], caller: Caller) -> Done:
    """Change what an agent's job keeps."""
    strange = definition.keys() - {"transfer", "kind", *WAITING.values()}
    if strange:
        raise invalid(f"/{min(strange)}", "an agent's job has no such setting", ("config", "info", "metadata"))
    if definition.keys() & set(WAITING.values()):
        before = agents.rearrange(desk, before.job.id, _belongs(definition), caller)
    if "transfer" in definition:
        return jobs.annotate(desk, before.job.id, {"config": definition["transfer"]}, caller)
    return Done(before)


def _create_transfer(desk: Desk, document: Mapping[str, Any], caller: Caller, *, plan: bool) -> Done:
    reader = Reader()
    given = reader.members(document, "", (*KNOWN, *WAITING.values()))
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
    wanted |= {key: given[key] for key in WAITING.values() if key in given}
    extra = {key: given[key] for key in ("metadata", "input", "info") if key in given}
    return jobs.create(desk, wanted, caller, extra=extra, plan=plan)


def _belongs(document: Mapping[str, Any]) -> agents.Belongs:
    """Read what a job waits for, and what it is a part of."""
    reader = Reader()
    waits_for = policy = None
    if "predecessor_ids" in document:
        waits_for = predecessors.read(reader, document["predecessor_ids"] or [])
    if "on_predecessor_failure" in document:
        policy = predecessors.read_policy(reader, document["on_predecessor_failure"])
    parent = reader.text(document["parentId"], "/parentId") if document.get("parentId") is not None else None
    part = reader.whole(document["part"], "/part") if document.get("part") is not None else None
    if part is not None and parent is None:
        reader.wrong("/parentId", "missing", "a part names the job it is a part of")
    if reader.problems:
        raise Invalid(reader.problems)
    return agents.Belongs(waits_for, policy, parent, part)


def _read(document: Mapping[str, Any]) -> dict[str, Any]:
    reader = Reader()
    given = reader.members(document, "", (*KNOWN, *WAITING.values(), *OF_PARTS))
    kept: dict[str, Any] = {key: given[key] for key in ("type", "operation", "source", *KEPT) if key in given}
    reader.choice(given.get("type"), "/type", list(TYPES))
    for key in ("operation", "source"):
        reader.text(given.get(key), f"/{key}")
    for key, allowed in (("mode", MODES), ("trigger", TRIGGERS), ("partExecution", PART_EXECUTIONS)):
        if key in given:
            reader.choice(given[key], f"/{key}", list(allowed))
    for key, name in (("partData", "part_data"), ("partExecution", "part_execution")):
        if key in given:
            kept[name] = given[key]
    for key in ("config", "input", "subject", "metadata", "outcome", "partData"):
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
