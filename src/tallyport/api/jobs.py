"""The routes that the dialects of ``/v1/jobs`` share."""

import json
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from tallyport.api import csv_rows, envelopes, paging, patches
from tallyport.api.dryviq.words import STANDINGS
from tallyport.api.envelopes import Profile
from tallyport.api.etags import expected_version, is_known
from tallyport.api.flatfile import creating
from tallyport.api.flatfile.words import STATUS, STATUSES, SYNONYMS
from tallyport.api.times import iso, moment
from tallyport.api.wiring import Called, Desked, Document, flag, json_response, only_known, text, words
from tallyport.control import agents, executions, jobs, reading
from tallyport.control.desk import Caller, Desk, Right
from tallyport.control.jobs import Done
from tallyport.control.pictures import Picture
from tallyport.control.refusals import Conflict, NotFound, Problem, Refusal, invalid
from tallyport.domain import block_schema, paths, transfer_block
from tallyport.domain.jobs import Standing
from tallyport.domain.states import State

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

COLUMNS: tuple[str, ...] = ("id", "name", "kind", "transfer_type", "category", "source", "source_path", "destination")
COLUMNS += ("destination_path", "state", "result", "unresolved_items", "last_run", "next_run", "created_on")
COMMANDS = ("start", "pause", "resume", "cancel", "reset")


@router.get("", summary="List jobs")
def list_jobs(request: Request, desk: Desked) -> Response:
    part = paging.slice_of(request, 100)
    wanted = _wanted(request)
    pictures, total = reading.jobs_page(desk, wanted, offset=part.offset, limit=part.limit)
    return envelopes.jobs(request, pictures, part, total, envelopes.profile_of(request))


@router.get(".csv", summary="Jobs as CSV")
def jobs_csv(request: Request, desk: Desked) -> Response:
    rows = map(_cells, reading.every_job(desk, _wanted(request)))
    return csv_rows.stream(COLUMNS, rows, "jobs.csv", bom=flag(request.query_params, "bom"))


@router.post("", status_code=201, summary="Create a job")
def create_job(request: Request, desk: Desked, caller: Called, document: Document) -> Response:
    profile = envelopes.profile_of(request, document)
    plan = flag(request.query_params, "plan")
    with creating.spoken(document) as canonical:
        if envelopes.is_agent_job(document):
            done = creating.create(desk, canonical, caller, plan=plan)
        else:
            done = jobs.create(desk, canonical, caller, plan=plan)
    headers = {"Location": f"/v1/jobs/{done.picture.job.id}"}
    return envelopes.job(request, done.picture, profile, status=201, warnings=done.warnings, headers=headers)


@router.post("/check", summary="Say what a job's document means; stores nothing")
def check_job(desk: Desked, caller: Called, document: Document) -> Response:
    draft = jobs.check(desk, document, caller)
    shown = {
        "warnings": list(draft.warnings),
        "schedule_mode": draft.mode,
        "policies": json.loads(transfer_block.policies_to_json(draft.policies)),
    }
    return json_response({"status": 200, "type": "job_check", "job_check": shown, "data": shown})


@router.get("/schema", summary="JSON schema of the transfer block")
def show_schema() -> Response:
    return json_response(block_schema.block_schema(), kind="application/schema+json")


@router.patch("", summary="Change many jobs, or start, pause, resume, cancel or reset them")
def command_jobs(request: Request, desk: Desked, caller: Called, document: Document) -> Response:
    only_known(request)
    named = [name for name in COMMANDS if name in request.query_params]
    with creating.spoken(document) as canonical:
        asked = patches.read(canonical or {})
    if named and not asked.is_empty:
        raise invalid("", "change jobs and command them in two requests", code="not_together")
    if not named and asked.is_empty:
        raise invalid("start", "name a command, or send a change", COMMANDS, code="missing")
    if asked.changes_definition:
        caller.require(Right.MANAGE)
    wanted = _wanted(request)
    if wanted == reading.WantedJobs() and not flag(request.query_params, "all"):
        raise invalid("all", "without a filter this is every job: add a filter, or all=1", code="missing")
    changed, refused = 0, []
    for job_id in reading.job_ids(desk, wanted):
        try:
            if named:
                _command(request, desk, caller, job_id)
            else:
                _change(request, desk, caller, job_id, asked)
            changed += 1
        except Refusal as error:
            refused.append({"id": job_id, "code": error.code, "reason": error.message})
    meta = {"total_count": changed + len(refused), "changed": changed, "refused": refused}
    return json_response({"status": 200, "type": "jobs", "meta": meta})


@router.get("/{job}", summary="Show a job")
def show_job(request: Request, desk: Desked, job: str) -> Response:
    picture = reading.job(desk, job)
    if is_known(request, picture.job.version):
        return Response(status_code=304, headers={"ETag": f'"{picture.job.version}"'})
    return envelopes.job(request, picture, envelopes.profile_of(request), warnings=picture.job.warnings)


@router.patch("/{job}", summary="Change a job, or start, pause, resume, cancel or reset it")
def change_job(request: Request, desk: Desked, caller: Called, job: str, document: Document) -> Response:
    with creating.spoken(document) as canonical:
        return _changed_job(request, desk, caller, job, canonical)


def _changed_job(request: Request, desk: Desk, caller: Caller, job: str, document: Any) -> Response:
    asked = patches.read(document)
    has_command = any(name in request.query_params for name in COMMANDS)
    if asked.is_empty and not has_command:
        raise invalid("", "nothing is asked for", patches.KNOWN, code="missing")
    if has_command and not asked.is_empty:
        raise invalid("", "change a job and command it in two requests", code="not_together")
    profile = envelopes.profile_of(request)
    if has_command:
        expected_version(request, reading.job(desk, job).job.version)
        done = _command(request, desk, caller, job)
    else:
        done = _change(request, desk, caller, job, asked)
    return envelopes.job(request, done.picture, profile, warnings=done.warnings)


@router.delete("/{job}", summary="Delete a job; its history stays")
def delete_job(request: Request, desk: Desked, caller: Called, job: str) -> Response:
    profile = envelopes.profile_of(request)
    expected_version(request, reading.job(desk, job).job.version)
    jobs.delete(desk, job, caller)
    document: dict[str, Any] = {"data": {"success": True}}
    if profile is not Profile.FLATFILE:
        document = {"status": 200, "type": "job", "job": {"id": job, "status": "deleted"}, **document}
    return json_response(document)


@router.post("/{job}/clone", status_code=201, summary="Make a new job from this one", tags=["jobs"])
def clone_job(request: Request, desk: Desked, caller: Called, job: str, document: Document) -> Response:
    done = jobs.clone(desk, job, document, caller)
    headers = {"Location": f"/v1/jobs/{done.picture.job.id}"}
    return envelopes.job(
        request, done.picture, envelopes.profile_of(request), status=201, warnings=done.warnings, headers=headers
    )


def _cells(picture: Picture) -> tuple[object, ...]:
    job, run = picture.job, picture.execution
    return (
        job.id,
        job.name,
        job.kind,
        job.transfer_type,
        picture.category,
        None if picture.source is None else picture.source.name,
        f"/{paths.display(job.source_path)}",
        None if picture.destination is None else picture.destination.name,
        f"/{paths.display(job.destination_path)}",
        job.state,
        job.result,
        picture.unresolved,
        iso(None if run is None else run.started_at),
        iso(job.next_run_at),
        iso(job.created_at),
    )


def _command(request: Request, desk: Desk, caller: Caller, job: str) -> Done:
    query = request.query_params
    named = [name for name in COMMANDS if name in query and (name == "reset" or flag(query, name))]
    if len(named) > 1 and named != ["start", "reset"]:
        raise invalid(named[0], f"{named[0]} and {named[1]} exclude each other", code="not_together")
    done = Done(reading.job(desk, job))
    if "reset" in named:
        caller.require(Right.MANAGE)
        done = jobs.reset(desk, job, query["reset"] or "1", caller)
    verbs = {
        "start": executions.start,
        "pause": executions.pause,
        "resume": executions.resume,
        "cancel": executions.cancel,
    }
    for name in named:
        if name in verbs:
            done = Done(verbs[name](desk, job, caller))
    return done


def _change(request: Request, desk: Desk, caller: Caller, job: str, asked: patches.Asked) -> Done:
    version = expected_version(request, None)
    before = reading.job(desk, job)
    if version is not None:
        expected_version(request, before.job.version)
    if asked.changes_definition:
        caller.require(Right.MANAGE)
    done = Done(before)
    if asked.target is not None:
        done = Done(_reach(desk, caller, before, asked.target))
    elif asked.verb is not None:
        verbs = {"resume": executions.resume, "pause": executions.pause, "cancel": executions.cancel}
        done = Done(verbs[asked.verb](desk, job, caller))
    elif set(asked.definition) - {"kind"}:
        if before.job.managed:
            done = jobs.change(desk, job, asked.definition, caller, version=version)
        else:
            done = creating.change(desk, before, asked.definition, caller)
    if asked.progress is not None:
        done = done._replace(picture=agents.report_progress(desk, job, asked.progress))
    if asked.notes or asked.estimate is not None:
        noted = jobs.annotate(desk, job, asked.notes, caller, estimate=asked.estimate)
        done = done._replace(picture=noted.picture)
    if asked.acknowledges:
        done = done._replace(picture=executions.acknowledge_outcome(desk, job, caller))
    return done


def _reach(desk: Desk, caller: Caller, before: Picture, target: str) -> Picture:
    """Bring a job to a state that one of its calls leads to."""
    job = before.job
    if target == "canceled":
        return executions.cancel(desk, job.id, caller)
    if target == STATUS[State(job.state)]:
        return before
    if target == "ready" or (target == "executing" and job.managed):
        return executions.start(desk, job.id, caller)
    if not job.managed and target == "executing":
        return agents.ack(desk, job.id, caller, {})
    if not job.managed and target in ("complete", "failed"):
        return agents.finish(desk, job.id, caller, agents.CALLS[target], {})
    message = f"a client cannot bring this job from {job.state} to {target}"
    raise Conflict(message, [Problem("status", "conflict", message, ("canceled", "ready", "executing"))])


def _wanted(request: Request) -> reading.WantedJobs:
    query = request.query_params
    states: list[State] = []
    for word in words(query, "state"):
        if word not in set(State):
            raise invalid("state", f"{word[:40]!r} is not a state", tuple(State))
        states.append(State(word))
    direction = query.get("sortDirection", "desc")
    if direction not in ("asc", "desc"):
        raise invalid("sortDirection", f"{direction!r} is not a direction", ("asc", "desc"))
    category = query.get("category")
    return reading.WantedJobs(
        states=tuple(sorted(set(states))),
        standings=_standings(request, words(query, "status")),
        kind=query.get("kind"),
        text=text(query, "q"),
        category=None if category is None else _category(category),
        parent=query.get("parentId", query.get("parent")),
        top_level=flag(query, "excludeChildJobs"),
        active=flag(query, "active") if "active" in query else None,
        connection=query.get("source"),
        destination=query.get("destination"),
        transfer_type=query.get("transfer_type"),
        unresolved=flag(query, "failed") if "failed" in query else None,
        since=moment(query["since"], "since") if "since" in query else None,
        type=query.get("type"),
        operation=query.get("operation"),
        environment=query.get("environmentId"),
        space=query.get("spaceId"),
        file=query.get("fileId"),
        workbook=query.get("workbookId"),
        ascending=direction == "asc",
    )


def _standings(request: Request, given: list[str]) -> tuple[Standing, ...] | None:
    """Read words for how jobs stand: those of the dialect that is asked for, else of either."""
    profile = envelopes.profile_of(request)
    known: dict[str, tuple[Standing, ...]] = {}
    if profile is not Profile.FLATFILE:
        known |= STANDINGS
    if profile is not Profile.DRYVIQ:
        for word in STATUSES:
            own = Standing(frozenset(state.value for state, shown in STATUS.items() if shown == word))
            known[word] = (*known.get(word, ()), own)
    found: list[Standing] = []
    for word in given:
        word = SYNONYMS.get(word, word) if word not in known else word
        if word not in known:
            raise invalid("status", f"{word[:40]!r} is not a status", tuple(sorted(known)))
        found += known[word]
    return tuple(found) if given else None


def _category(text: str) -> int:
    if text.removeprefix("-").isdigit() and len(text) < 10:
        return int(text)
    raise NotFound(f"there is no category {text!r}: a category is named by its id here")
