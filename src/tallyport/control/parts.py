"""Splitting a job: its parts are jobs of their own, and what is done to the whole is done to them."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from tallyport.connectors.opening import open_connection
from tallyport.connectors.surveying import weigh
from tallyport.control import access, agents
from tallyport.control.desk import Caller, Desk
from tallyport.control.pictures import Picture, find_job, look
from tallyport.control.refusals import Conflict, Invalid, Problem, invalid
from tallyport.domain import agent_runs, folder_mapping, paths, transfer_block
from tallyport.domain import parts as rules
from tallyport.domain.documents import BlockErrors, Reader, pointer
from tallyport.domain.executions import SPLIT
from tallyport.domain.filters import judge_for
from tallyport.domain.jobs import Job
from tallyport.domain.manifests import children_of
from tallyport.domain.parts import Child, Share
from tallyport.domain.predecessors import OnFailure
from tallyport.domain.states import FINAL, Call, State, Verdict, Wait, allowed
from tallyport.store import beginnings, connections, endings, executions, jobs, plans, predecessors, rows, splitting

_ELSEWHERE = (
    "have the job planned, which such a worker does, and split it then; let it split itself at its first run "
    "(performance.split: auto); or name the parts"
)
LOOK_SECONDS = 5.0  # for weighing what stands below the source, when no plan has


def split(
    desk: Desk, job_id: str, by: Caller, *, wanted: int | str | Sequence[Mapping[str, Any]], parallel: bool
) -> Picture:
    """Split a job into parts and let them run as its work: by number, one for each object, or ``auto``.

    ``auto`` makes as many as the measured weight of the source asks for. A job that is only scheduled keeps its parts
    until its time comes.
    """
    with desk.database.read() as tx:
        job = find_job(tx, job_id)
        access.require_job(tx, job, by)
        _judge(tx, job)
        plan = plans.find(tx, job_id)
    if isinstance(wanted, str) and not job.managed:
        raise invalid(
            "/parts", "must be a number or a list: nothing is known of what an agent's job works", code="auto"
        )
    if isinstance(wanted, int | str):
        number = wanted if isinstance(wanted, int) else None
        shares = _numbered(number) if number and not job.managed else _shares(desk, job, number, plan.manifest)
    else:
        shares = _read(job, wanted)
    with desk.database.begin() as tx:
        job = find_job(tx, job_id)
        _judge(tx, job)
        for old in jobs.parts(tx, job_id):  # of an earlier run
            jobs.change(tx, old.id, deleted_at=rows.now())
        _make(desk, tx, job, shares, by, parallel=parallel)
        _begin(tx, job, by, note=_note(wanted, shares))
        desk.note(tx, job_id, "job.split", f"split into {len(shares)} parts by {by.name}")
        picture = look(tx, find_job(tx, job_id))
    desk.nudge()
    return picture


def cancel(tx: sa.Connection, job: Job) -> None:
    """Cancel the open parts of a job."""
    for part in _open(tx, job):
        active = executions.active(tx, part.id)
        if not part.managed:
            agents.stop(tx, part, None)
        elif active is not None:
            endings.stop(tx, active, info="canceled with the job it is a part of")
        else:
            jobs.change(tx, part.id, state=State.CANCELED.value)


def pause(tx: sa.Connection, job: Job) -> None:
    """Pause the open parts of a job."""
    for part in _open(tx, job):
        active = executions.active(tx, part.id)
        if not part.managed:
            jobs.change(tx, part.id, state=State.PAUSED.value, lease_until=None)
        elif active is not None and allowed(Call.PAUSE, State(active.state)) is Verdict.YES:
            began = active.state in (State.EXECUTING, State.WAITING)
            executions.move(tx, active.id, (active.state,), (State.PAUSING if began else State.PAUSED).value)


def resume(tx: sa.Connection, job: Job) -> None:
    """Let the paused parts of a job go on."""
    for part in _open(tx, job):
        active = executions.active(tx, part.id)
        if not part.managed and part.state == State.PAUSED:
            jobs.change(tx, part.id, state=State.READY.value)
        elif active is not None and active.state in (State.PAUSED, State.PAUSING):
            executions.move(tx, active.id, (active.state,), State.READY.value)


def _open(tx: sa.Connection, job: Job) -> list[Job]:
    return [part for part in jobs.parts(tx, job.id) if State(part.state) not in FINAL]


def _judge(tx: sa.Connection, job: Job) -> None:
    if job.part is not None or job.kind == folder_mapping.KIND:
        message = "a part of a job cannot be split"
        if job.part is None:
            message = "a folder mapping carries nothing that could be split: split its children"
        raise Conflict(message, [Problem("status", "conflict", message)])
    active = executions.active(tx, job.id) if job.managed else None
    was_split = bool(job.extra.get("split_pending")) or (active is not None and active.is_split)
    state = State(agent_runs.current(job, rows.now()).state)
    if allowed(Call.SPLIT, state, managed=job.managed, was_split=was_split) is Verdict.NO:
        why = "it was split already" if was_split else f"it is {job.state.replace('_', ' ')}"
        message = f"a job is split once for each run, before anything is carried, and {why}"
        raise Conflict(message, [Problem("status", "conflict", message)])


def _shares(desk: Desk, job: Job, wanted: int | None, manifest: Mapping[str, Any] | None) -> list[Share]:
    children = children_of(manifest) or _children(desk, job, whole=wanted is None)
    if len(children) > rules.MOST_CHILDREN:
        message = f"more than {rules.MOST_CHILDREN} entries stand below the source: name the parts instead"
        raise invalid("/parts", message, code="out_of_range")
    if not children:
        raise Conflict("nothing stands below the source, so there is nothing to split")
    count = rules.fitting(children) if wanted is None else wanted
    if count < rules.LEAST:
        items, size = sum(child.items for child in children), sum(child.bytes for child in children)
        raise Conflict(f"{items} items of {size} bytes below the source are no more than one part: it stays whole")
    return rules.dealt(children, count)


def _children(desk: Desk, job: Job, *, whole: bool) -> list[Child]:
    """Weigh what stands below the source: by bytes when a short look sees them all, else all alike, or not at all."""
    with desk.database.read() as tx:
        source = connections.find(tx, job.source_connection or "")
    if source is None:
        raise Conflict("a connection of this job was deleted")
    try:
        desk.require_reach(source)
    except Conflict as error:
        raise Conflict(f"{error}, so it cannot weigh the source: {_ELSEWHERE}") from error
    policies = transfer_block.read_transfer_block(dict(job.transfer)).policies
    settings, act_as = desk.vault.settings(source), policies.source_account
    connector = open_connection(source.platform, settings, job.source_path, read_only=True, act_as=act_as)
    until = time.monotonic() + LOOK_SECONDS
    judge = judge_for(policies.filter_source, started=time.time_ns())
    try:
        children, is_whole = weigh(
            connector, judge, most=rules.MOST_CHILDREN, goes_on=lambda: time.monotonic() <= until
        )
    finally:
        connector.close()
    if is_whole or len(children) > rules.MOST_CHILDREN:
        return children
    if whole:
        message = f"the source cannot be weighed within {LOOK_SECONDS:.0f} s: have the job planned first"
        raise Conflict(message)
    return [Child(child.name, 1, 0) for child in children]


def _numbered(wanted: int) -> list[Share]:
    return [Share(data={"part": number, "total": wanted}) for number in range(wanted)]


def _read(job: Job, wanted: Sequence[Mapping[str, Any]]) -> list[Share]:
    if not job.managed:
        return [Share(data=dict(one)) for one in wanted]
    reader = Reader()
    shares: list[Share] = []
    for number, one in enumerate(wanted):
        here = pointer("/parts", number)
        given = reader.members(one, here, ("path", "paths", "filter"))
        if "path" in given and "paths" in given:
            reader.wrong(here, "not_together", "path and paths exclude each other")
        key = "path" if "path" in given else "paths"
        texts = reader.texts(given[key], pointer(here, key)) if key in given else None
        clean = None if texts is None else tuple(_clean(reader, text, pointer(here, key)) for text in texts)
        filters = _filters(reader, job, given["filter"], pointer(here, "filter")) if "filter" in given else ()
        if not given:
            reader.wrong(here, "missing", "names what the part gets", ("path", "paths", "filter"))
        shares.append(Share(data=dict(one), paths=clean, filters=filters))
    named = [share.paths for share in shares if share.paths is not None and not share.filters]
    if not reader.problems and (twice := rules.overlap(named)) is not None:
        reader.wrong("/parts", "overlap", f"/{twice[1]} lies in /{twice[0]}: no item may belong to two parts")
    if reader.problems:
        raise Invalid(reader.problems)
    return shares


def _clean(reader: Reader, text: str, path: str) -> str:
    segments = [segment for segment in text.split("/") if segment]
    for segment in segments:
        if (problem := paths.check_segment(segment)) is not None:
            reader.wrong(path, "unknown_value", problem)
    return "/".join(segments)


def _filters(reader: Reader, job: Job, value: object, path: str) -> tuple[Mapping[str, Any], ...]:
    """Read the filter of one part by the rules of a transfer block's."""
    block = value.get("source") if isinstance(value, Mapping) and "source" in value else value
    blocks = block if isinstance(block, list) else [block]
    try:
        transfer_block.read_transfer_block({**job.transfer, "filter": {"source": blocks}})
    except BlockErrors as error:
        for problem in error.problems:
            reader.problems.append(problem._replace(path=f"{path}{problem.path.removeprefix('/transfer/filter')}"))
        return ()
    return tuple(blocks)


def _make(desk: Desk, tx: sa.Connection, job: Job, shares: Sequence[Share], by: Caller, *, parallel: bool) -> None:
    if job.managed:
        for number, part in enumerate(splitting.make(tx, job, shares, by=by.name, parallel=parallel)):
            desk.note(tx, part.id, "job.created", f"part {number + 1} of {len(shares)} of job {job.name!r}")
        return
    after: str | None = None
    kept = {key: value for key, value in job.extra.items() if key not in ("run", "metadata", "info")}
    for number, share in enumerate(shares):
        columns = splitting.columns_of(job, number) | {"on_predecessor_failure": OnFailure.RUN.value}
        extra = kept | splitting.said_of(share, parallel=parallel)
        part = agents.add(desk, tx, splitting.name_of(job, number, len(shares)), extra, by, **columns)
        if after is not None and not parallel:
            predecessors.replace(tx, part.id, [after])
        after = part.id


def _begin(tx: sa.Connection, job: Job, by: Caller, *, note: str | None) -> None:
    if not job.managed:
        waiting = {"wait_reason": Wait.PARTS.value, "started_at": agent_runs.run(job).get("started_at", rows.now())}
        jobs.change(tx, job.id, **agent_runs.changed(job, State.WAITING, waiting | {"info": note}))
        for part in jobs.parts(tx, job.id):
            agents.make_ready(tx, part)
        return
    active = executions.active(tx, job.id)
    if active is None and job.state == State.SCHEDULED:
        jobs.change(tx, job.id, extra={**job.extra, "split_pending": True})
        return
    if active is None:
        active = beginnings.queue(tx, job, trigger="manual", by=by.name, scope=SPLIT)
    else:
        executions.change(tx, active.id, scope=SPLIT)
    run = executions.find(tx, active.id)
    assert run is not None, "it was stored above"
    if run.state != State.WAITING and not beginnings.dispatch(tx, run, job):
        raise Conflict("the execution changed meanwhile: ask again")
    if note is not None:
        executions.change(tx, run.id, info=note)


def _note(wanted: int | str | Sequence[Mapping[str, Any]], shares: Sequence[Share]) -> str | None:
    if isinstance(wanted, int) and len(shares) < wanted:
        return f"{len(shares)} parts instead of {wanted}: no more entries stand below the source"
    if isinstance(wanted, str):
        return rules.BY_WEIGHT.format(len(shares))
    return None
