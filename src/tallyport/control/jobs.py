"""Jobs: make, change, clone, delete."""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import sqlalchemy as sa

from tallyport.control import documents, endpoints, executions, folder_mapping, honoured, maps, parts, predecessors
from tallyport.control.desk import Caller, Desk
from tallyport.control.pictures import Picture, find_job, look
from tallyport.control.refusals import Conflict, Invalid, NotFound, Problem, Stale, invalid
from tallyport.domain import agent_runs, differences, paths
from tallyport.domain import folder_mapping as mapping
from tallyport.domain.connections import Connection
from tallyport.domain.jobs import Job
from tallyport.domain.states import State
from tallyport.store import beginnings, endings, jobs, original_names, plans, rows
from tallyport.store import executions as runs

RESETS = (
    *("soft", "hard", "stats", "permissions", "full", "link_remediation"),
    *("inspect_filtered", "inspect_shared", "inspect_all"),
)
AS_THEY_ARE = "links inside documents are carried as they are; the next run looks at symbolic and hard links again"


class Done(NamedTuple):
    """What came of a verb: the job as it is now, and what the caller should know."""

    picture: Picture
    warnings: tuple[str, ...] = ()


def create(
    desk: Desk, document: object, by: Caller, *, extra: Mapping[str, object] | None = None, plan: bool = False
) -> Done:
    """Store a job; ``status: start`` or an automatic schedule queues its first execution.

    With ``plan`` the first execution begins with a plan of what it would do, and goes on when a person starts it;
    one that was asked to start needs nobody.
    """
    draft = documents.read(document)
    with desk.database.begin() as tx:
        source, destination = endpoints.check(tx, draft, by)
        maps.check(tx, draft.transfer, source.id, destination.id)
        draft = _warned(draft, source, destination)
        at = rows.now()
        job = Job(
            id=jobs.new_id(),
            kind=draft.kind,
            disabled=f"by {by.name}" if draft.disabled else None,
            name=draft.name or f"{source.name} to {destination.name}",
            state=State.CREATED.value,
            source_connection=source.id,
            source_path=draft.source.path,
            destination_connection=destination.id,
            destination_path=draft.destination.path,
            transfer_type=draft.policies.transfer_type.value,
            created_at=at,
            created_by=by.name,
            modified_at=at,
            **_values(tx, draft, {} if extra is None else extra),
        )
        _check_names(tx, draft, job.id, source)
        job = jobs.add(tx, job)
        desk.note(tx, job.id, "job.created", f"job {job.name!r} made by {by.name}")
        predecessors.settle(tx, job.id, draft.predecessors)
        if plan:
            plans.keep(tx, job.id, manifest=None, approved=draft.command == "start")
            beginnings.queue(tx, job, trigger="manual", by=by.name, state=State.PLANNING.value)
        else:
            _set_going(desk, tx, job, draft, by)
        picture = look(tx, find_job(tx, job.id))
    desk.nudge()
    return Done(picture, draft.warnings)


def check(desk: Desk, document: object, by: Caller) -> documents.Draft:
    """Say what a job's document means without storing anything; raises what :func:`create` would raise."""
    draft = documents.read(document)
    with desk.database.read() as tx:
        source, destination = endpoints.check(tx, draft, by)
        maps.check(tx, draft.transfer, source.id, destination.id)
        _check_names(tx, draft, "", source)
        draft = _warned(draft, source, destination)
    return draft


def change(desk: Desk, job_id: str, patch: object, by: Caller, *, version: int | None = None) -> Done:
    """Merge a patch into the job's document and check the whole again.

    A running execution keeps its frozen copy, but for rates, parallel writes and the limits of the delete brake.
    """
    with desk.database.begin() as tx:
        old = find_job(tx, job_id)
        if version is not None and version != old.version:
            raise Stale(f"the job is at version {old.version}, not {version}")
        before = _document(tx, old)
        merged = documents.merge(before, patch)
        if isinstance(patch, Mapping) and patch.get("category"):
            merged["category"] = patch["category"]  # by id or by name: never both
        draft = documents.read(merged)
        _keep_endpoints(old, draft)
        source, destination = endpoints.check(tx, draft, by)
        maps.check(tx, draft.transfer, source.id, destination.id)
        _check_names(tx, draft, job_id, source)
        draft = _warned(draft, source, destination)
        values = _values(tx, draft, old.extra)
        values["name"] = draft.name or old.name
        values["transfer_type"] = draft.policies.transfer_type.value
        if draft.disabled != (old.disabled is not None):
            values["disabled"] = f"by {by.name}" if draft.disabled else None
        warnings = list(draft.warnings)
        rescheduled = isinstance(patch, Mapping) and "schedule" in patch
        if rescheduled and draft.command is None and old.held:
            values["held"] = False
            warnings.append("/schedule: the schedule changed without status 'paused', so the job is no longer held")
        if rescheduled and draft.mode != old.schedule_mode and draft.mode != "auto":
            values |= {"held": False, "next_run_at": None}
        if values["stop_policy"] != dict(old.stop_policy):
            values["closed"] = False
        jobs.change(tx, job_id, **values)
        predecessors.settle(tx, job_id, draft.predecessors)
        changes = differences.of_documents(before, _document(tx, find_job(tx, job_id)))
        _note(desk, tx, job_id, "job.changed", f"job changed by {by.name}", changes)
        executions.revise(desk, tx, find_job(tx, job_id), draft.policies, by)
        enabled = old.disabled is not None and not draft.disabled
        _reschedule(desk, tx, find_job(tx, job_id), draft, by, rescheduled=rescheduled or enabled)
        picture = look(tx, find_job(tx, job_id))
    if old.kind == mapping.KIND:
        folder_mapping.pass_on(desk, job_id)
    desk.nudge()
    return Done(picture, tuple(warnings))


def clone(desk: Desk, job_id: str, overrides: object, by: Caller) -> Done:
    """Make a new job from an old one's document with a patch merged in."""
    with desk.database.read() as tx:
        old = find_job(tx, job_id)
        if not old.managed:
            raise Conflict("a job that an outside agent works cannot be cloned: make it anew, as its agent wants it")
        document = _document(tx, old)
    if not (isinstance(overrides, Mapping) and overrides.get("name")):
        document["name"] = f"{old.name} (copy)"
    return create(desk, documents.merge(document, overrides or {}), by)


def delete(desk: Desk, job_id: str, by: Caller) -> None:
    """Hide a job; its history stays. An active execution is canceled first.

    The children of a folder mapping go with it, before it: asked again after the process died, it goes on.
    """
    with desk.database.read() as tx:
        job = find_job(tx, job_id)
    if job.kind == mapping.KIND:
        folder_mapping.close(desk, job)
        for child in folder_mapping.children_of(desk, job_id):
            with contextlib.suppress(NotFound):  # somebody else was faster
                delete(desk, child.id, by)
    with desk.database.begin() as tx:
        job = find_job(tx, job_id)
        active = runs.active(tx, job_id)
        if active is not None:
            executions.stop(tx, active)
        parts.cancel(tx, job)
        desk.note(tx, job_id, "job.deleted", f"job {job.name!r} deleted by {by.name}")
        for part in jobs.parts(tx, job_id):
            jobs.change(tx, part.id, deleted_at=rows.now())
        jobs.change(tx, job_id, deleted_at=rows.now(), next_run_at=None, lease_until=None)
        endings.job_ended(tx, job)
    desk.nudge()


def reset(desk: Desk, job_id: str, which: str, by: Caller) -> Done:
    """Set a flag that acts on the next execution."""
    kind = "full" if which == "1" else which
    if kind not in RESETS:
        raise invalid("reset", f"{which!r} is not a reset", RESETS)
    with desk.database.begin() as tx:
        job = find_job(tx, job_id)
        jobs.change(tx, job_id, reset=kind, **_reopened(tx, job))
        desk.note(tx, job_id, "job.reset", f"{kind} reset before the next execution, by {by.name}")
        told = (f"/reset: {AS_THEY_ARE}",) if kind == "link_remediation" else ()
        return Done(look(tx, find_job(tx, job_id)), told)


def _reopened(tx: sa.Connection, job: Job) -> dict[str, bool]:
    """Open a job again that an error category closed; one that met its stop policy stays closed."""
    last = None if job.execution_id is None else runs.find(tx, job.execution_id)
    return {"closed": False} if last is not None and last.halted_by is not None else {}


def annotate(desk: Desk, job_id: str, notes: Mapping[str, object], by: Caller, *, estimate: str | None = None) -> Done:
    """Keep free values (text, metadata) with a job, and when its agent thinks that it will be done."""
    with desk.database.begin() as tx:
        job = find_job(tx, job_id)
        if estimate is not None and job.managed:
            notes = documents.merge(dict(notes), {"metadata": {"estimatedCompletionAt": estimate}})
        extra = documents.merge(dict(job.extra), notes)
        if not job.managed:  # what an agent said of its run stands before what is said of the job
            said: dict[str, object] = {"estimated_completion_at": estimate} if estimate is not None else {}
            said |= {"info": notes["info"]} if "info" in notes and agent_runs.run(job) else {}
            extra = agent_runs.merged(replace(job, extra=extra), said) if said else extra
        jobs.change(tx, job_id, extra=extra)
        changes = differences.of_documents(job.extra, extra)
        _note(desk, tx, job_id, "job.annotated", f"notes changed by {by.name}", changes)
        return Done(look(tx, find_job(tx, job_id)))


def _note(
    desk: Desk, tx: sa.Connection, job_id: str, event: str, message: str, changes: Mapping[str, list[object]]
) -> None:
    said = f"{message}: {differences.told(changes)}" if changes else message
    desk.note(tx, job_id, event, said, changes=changes)


def _document(tx: sa.Connection, job: Job) -> dict[str, Any]:
    picture = look(tx, job)
    return documents.write(job, picture.category, picture.waits_for)


def _warned(draft: documents.Draft, source: Connection, destination: Connection) -> documents.Draft:
    """Add what this pair of platforms cannot do of what the job asks for."""
    found = honoured.warnings_of(draft.policies, source, destination)
    return replace(draft, warnings=(*draft.warnings, *found))


def _check_names(tx: sa.Connection, draft: documents.Draft, job_id: str, source: Connection) -> None:
    """Refuse original names of a job that did not write what this one reads."""
    why = original_names.refusal(tx, draft.policies.names_from, job_id, source, draft.source.path)
    if why is not None:
        raise Invalid([Problem("/transfer/names_from", "not_found", why)])


def _values(tx: sa.Connection, draft: documents.Draft, extra: Mapping[str, object]) -> dict[str, Any]:
    kept: dict[str, object] = {"kept": dict(draft.kept)} if draft.kept else {}
    kept |= {mapping.CHILDREN: dict(draft.children)} if draft.children else {}
    return {
        "description": draft.description,
        "transfer": dict(draft.transfer),
        "schedule": dict(draft.schedule),
        "schedule_mode": draft.mode,
        "stop_policy": dict(draft.stop_policy),
        "category_id": _category(tx, draft.category),
        "priority": draft.priority,
        "on_predecessor_failure": draft.on_predecessor_failure,
        "warnings": draft.warnings,
        "extra": {key: value for key, value in extra.items() if key not in ("kept", mapping.CHILDREN)} | kept,
    }


def _category(tx: sa.Connection, wanted: Mapping[str, Any]) -> int | None:
    if "name" in wanted:
        found = jobs.category_named(tx, wanted["name"])
        return None if found == -1 else found
    if wanted.get("id", -1) == -1:
        return None
    if wanted["id"] not in jobs.category_names(tx):
        raise NotFound(f"there is no category {wanted['id']}")
    return int(wanted["id"])


def _keep_endpoints(old: Job, draft: documents.Draft) -> None:
    pairs = (
        ("source", draft.source, documents.End(connection=old.source_connection or "", path=old.source_path)),
        (
            "destination",
            draft.destination,
            documents.End(connection=old.destination_connection or "", path=old.destination_path),
        ),
    )
    problems = [
        Problem(f"/transfer/{side}", "fixed", "connections and paths of a job are fixed: clone the job instead")
        for side, wanted, had in pairs
        if wanted not in (had, replace(had, path=paths.display(had.path)))  # as the block of a child has it
    ]
    if draft.kind != old.kind:
        problems.append(Problem("/kind", "fixed", "the kind of a job is fixed: make another", (old.kind,)))
    if problems:
        raise Invalid(problems)


def _set_going(desk: Desk, tx: sa.Connection, job: Job, draft: documents.Draft, by: Caller) -> None:
    """Queue the first run of a new job, or wait for its schedule or for a person."""
    if draft.command == "paused":
        jobs.change(tx, job.id, held=True, state=State.SCHEDULED.value)
    elif draft.command == "start":
        executions.queue(tx, job, by, trigger="manual")
    elif draft.mode == "auto":
        beginnings.schedule(tx, job, by=by.name)


def _reschedule(
    desk: Desk, tx: sa.Connection, job: Job, draft: documents.Draft, by: Caller, *, rescheduled: bool
) -> None:
    """Carry out the command of a patch, and what a changed schedule means."""
    if draft.command == "start":
        executions.begin(desk, tx, job, by)
    elif draft.command == "paused":
        executions.hold(desk, tx, job, by)
    elif rescheduled and draft.mode == "auto" and runs.active(tx, job.id) is None and not job.closed:
        beginnings.schedule(tx, job, by=by.name)
