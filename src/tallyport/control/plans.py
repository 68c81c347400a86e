"""Plans of jobs: what travels and how sure that is, what a look at the source found, and a person's changes to it."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tallyport.connectors import probing
from tallyport.connectors.opening import open_connection
from tallyport.connectors.surveying import side_of, survey
from tallyport.control import access, executions, jobs
from tallyport.control.desk import Caller, Desk
from tallyport.control.pictures import Picture, find_job, look
from tallyport.control.refusals import Conflict
from tallyport.domain import plans as rules
from tallyport.domain import transfer_block
from tallyport.domain.capabilities import Limits
from tallyport.domain.connections import Connection, place_of
from tallyport.domain.errors import TallyportError
from tallyport.domain.forecast import Side
from tallyport.domain.policies import Policies
from tallyport.domain.policies_json import policies_from_json
from tallyport.domain.states import Call
from tallyport.store import jobs as store_jobs
from tallyport.store import plans
from tallyport.store.original_names import names_of

LOOK_SECONDS = 10.0  # a plan that is asked for without one having been made


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan as shown."""

    picture: Picture
    policies: Policies
    carried: tuple[str, ...]
    held: tuple[str, ...]  # what the destination can hold
    manifest: Mapping[str, Any] | None
    problem: str | None = None  # why nobody could look


def show(desk: Desk, job_id: str, by: Caller, *, anew: bool = False) -> Plan:
    """Give a job's plan: of a run under way what it began with, else what the next one will do.

    Looks at the source when nobody has, for a short while; what did not fit in is said to be incomplete.
    """
    with desk.database.read() as tx:
        picture = look(tx, find_job(tx, job_id))
        access.require_job(tx, picture.job, by)
        kept = plans.find(tx, job_id)
    policies = _policies(picture)
    if not picture.job.managed:
        return Plan(picture=picture, policies=policies, carried=(), held=(), manifest=None)
    carried = rules.carried(policies)
    manifest, problem = kept.manifest, None
    held = tuple(rules.FIELDS)
    try:
        held = rules.held(_side(desk, picture.destination))
        is_running = picture.active is not None and picture.active.started_at is not None
        if (manifest is None or anew) and not is_running:
            manifest = _look(desk, picture, policies)
            with desk.database.begin() as tx:
                _keep(tx, picture, manifest)
    except TallyportError as error:
        problem = error.message
    return Plan(picture=picture, policies=policies, carried=carried, held=held, manifest=manifest, problem=problem)


def keep(desk: Desk, job_id: str, document: Mapping[str, Any], by: Caller) -> Plan:
    """Keep the plan that an outside agent made of its job."""
    with desk.database.begin() as tx:
        job = find_job(tx, job_id)
        executions.judge(job, Call.EDIT_PLAN)
        store_jobs.change(tx, job_id, extra={**job.extra, "plan": dict(document)})
        desk.note(tx, job_id, "job.planned", f"plan changed by {by.name}")
    return show(desk, job_id, by)


def change(desk: Desk, job_id: str, by: Caller, *, carried: Sequence[str], dropped: Sequence[str]) -> Plan:
    """Have fields carried, and others no more: by the next run, or by the one that was planned."""
    with desk.database.read() as tx:
        job = find_job(tx, job_id)
        executions.judge(job, Call.EDIT_PLAN)
        run = executions.find_active(tx, job)
        policies = transfer_block.read_transfer_block(dict(job.transfer)).policies
    wanted = [key for key in (*rules.carried(policies), *carried) if key not in dropped]
    if patch := rules.patch(wanted, policies):
        jobs.change(desk, job_id, {"transfer": patch}, by)
        if run is not None:  # planned, not begun: it begins with the plan as it is approved
            executions.freeze_anew(desk, job_id, run.id)
    return show(desk, job_id, by)


def limits_of(desk: Desk, connection: Connection | None) -> Limits:
    """Give what a job's destination takes; raises TallyportError when it cannot be reached."""
    return _side(desk, connection).limits


def _policies(picture: Picture) -> Policies:
    """Give the frozen policies of a run under way, else those the next run will have."""
    if picture.active is not None and picture.active.policies != "{}":
        return policies_from_json(picture.active.policies)
    if not picture.job.managed:
        return Policies()
    return transfer_block.read_transfer_block(dict(picture.job.transfer)).policies


def _side(desk: Desk, connection: Connection | None) -> Side:
    if connection is None:
        return Side(Limits())
    connector = open_connection(connection.platform, _as_measured(desk, connection), "/", read_only=True)
    try:
        return side_of(connector)
    finally:
        connector.close()


def _as_measured(desk: Desk, connection: Connection) -> dict[str, Any]:
    return {**desk.vault.settings(connection), probing.MEASURED: probing.read(connection.measured)}


def _look(desk: Desk, picture: Picture, policies: Policies) -> Mapping[str, Any]:
    source = picture.source
    if source is None:
        raise Conflict("a connection of this job was deleted")
    desk.require_reach(source, picture.destination)
    there = _side(desk, picture.destination)
    settings, act_as = _as_measured(desk, source), policies.source_account
    connector = open_connection(source.platform, settings, picture.job.source_path, read_only=True, act_as=act_as)
    until = time.monotonic() + LOOK_SECONDS
    try:
        manifest = survey(
            connector,
            there.limits,
            policies,
            now=time.time_ns(),
            goes_on=lambda: time.monotonic() < until,
            there=there,
            originals=names_of(
                desk.database, policies, place_of(source.platform, source.settings, picture.job.source_path)
            ),
        )
    finally:
        connector.close()
    sides = [(name, side) for name, side in (("source", source), ("destination", picture.destination)) if side]
    return dict(json.loads(json.dumps({**manifest.document(), "measured": probing.measured_on(*sides)})))


def _keep(tx: sa.Connection, picture: Picture, manifest: Mapping[str, Any]) -> None:
    """Remember what was found, unless the job is being planned: that plan looks at everything."""
    if manifest["complete"] and (picture.active is None or picture.active.state != "planning"):
        plans.keep(tx, picture.job.id, manifest=manifest)
