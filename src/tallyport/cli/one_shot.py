"""A migration between two folders in one process: the job, the run, and the way to its end."""

import dataclasses
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import click

from tallyport.cli.exits import Exit, Stop
from tallyport.cli.follow import Follower, Interrupts, Screen
from tallyport.cli.options import data_folder
from tallyport.cli.outcome import facts, tell
from tallyport.cli.places import Place, places
from tallyport.cli.showing import line
from tallyport.domain.block_warnings import warnings_of
from tallyport.domain.capabilities import VerifyLevel
from tallyport.domain.connections import Connection
from tallyport.domain.errors import TallyportError
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.domain.policies import Policies, TransferType
from tallyport.domain.states import Call, State, after
from tallyport.domain.transfer_block import (
    BlockErrors,
    Problem,
    defaults_for,
    policies_from_json,
    policies_to_json,
    read_transfer_block,
    with_overrides,
)
from tallyport.store import connections, executions, jobs, rows
from tallyport.store.database import Database


class Prepared(NamedTuple):
    """A job with a run that is ready to go on."""

    job: Job
    execution: Execution
    notes: tuple[str, ...] = ()  # what the person should know before it runs
    warnings: tuple[str, ...] = ()  # choices that cannot act between these ends


def transfer(
    transfer_type: str,
    source: str,
    destination: str,
    *,
    job_file: str | None,
    overrides: Sequence[str],
    names_from: int | None,
    simulate: bool,
    verify: str | None,
    movers: int | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    data: str | None,
) -> Exit:
    """Carry one folder to another and say how it went."""
    began = time.monotonic()
    screen = Screen(quiet=quiet, verbose=verbose)
    try:
        places(source, destination)  # a wrong end is said before anything starts
        block = read_job_file(job_file) if job_file else {}
        chosen = read_overrides(overrides)
        policies_of(transfer_type, block, chosen, verify=verify)  # a bad policy is said before anything starts
        folder = data_folder(data)
        from tallyport import app  # the composition root loads the engine: not before the call is known to be good

        with Interrupts(screen) as interrupts, app.embedded(folder, movers=movers) as embedded:
            if names_from is not None:
                chosen["names_from"] = _job_of(embedded.database, names_from)
            job, execution, notes, warnings = prepare(
                embedded.database, transfer_type, source, destination, block, chosen, verify=verify, simulation=simulate
            )
            for note in notes:
                screen.say(note)
            for warning in warnings:
                screen.say(f"warning: {warning}")
            embedded.nudge()
            ended = Follower(embedded, execution.id, screen, interrupts).wait()
            report = facts(embedded.database, ended, folder, seconds=time.monotonic() - began)
            report["warnings"] = list(warnings)
    except (Stop, TallyportError) as error:
        if as_json:
            click.echo(json.dumps(_nothing(error, time.monotonic() - began)))
        raise
    return tell(job, ended, report, as_json=as_json, quiet=quiet, screen=screen, data=data)


def prepare(
    database: Database,
    transfer_type: str,
    source: str,
    destination: str,
    block: Mapping[str, Any] | None = None,
    overrides: Mapping[str, str] | None = None,
    *,
    verify: str | None = None,
    simulation: bool = False,
    name: str | None = None,
) -> Prepared:
    """Find or make the job between two folders and give it a run that may begin.

    A job of the same type between the same folders is gone on with, so that its ledger says what is there already.
    A run of it that has not ended is resumed, under the policies it began with.
    """
    from tallyport.control import honoured  # it knows the platforms: imported once a call is known to be good

    ends = places(source, destination)
    policies = policies_of(transfer_type, block or {}, overrides or {}, verify=verify)
    if simulation and not policies.simulation:
        policies = dataclasses.replace(policies, simulation=True)
    with database.begin() as tx:
        from_, to = (_connection(tx, end) for end in ends)
        warnings = (*block_warnings(policies, block or {}, overrides or {}), *honoured.warnings_of(policies, from_, to))
        job = jobs.same_endpoints(tx, transfer_type, (from_.id, ends[0].path), (to.id, ends[1].path))
        if job is None:
            at = rows.now()
            job = jobs.add(
                tx,
                Job(
                    id=jobs.new_id(),
                    name=name or f"{transfer_type} {ends[0].shown} to {ends[1].shown}",
                    source_connection=from_.id,
                    source_path=ends[0].path,
                    destination_connection=to.id,
                    destination_path=ends[1].path,
                    transfer_type=transfer_type,
                    transfer=dict(block or {}),
                    created_at=at,
                    created_by="cli",
                    modified_at=at,
                ),
            )
        elif block and dict(block) != dict(job.transfer):
            jobs.change(tx, job.id, transfer=dict(block))
        if policies.names_from:
            _check_names(tx, job, policies.names_from, from_)
        notes: list[str] = []
        open_run = executions.active(tx, job.id)
        if open_run is not None and open_run.simulation and not policies.simulation:
            abandon(tx, open_run)
            open_run = None
        if open_run is None:
            frozen = policies_to_json(policies)
            execution = executions.add(
                tx,
                job_id=job.id,
                trigger="cli",
                policies=frozen,
                simulation=policies.simulation,
                created_by="cli",
                state="ready",
            )
            return Prepared(job, execution, warnings=warnings)
        if policies.simulation and not open_run.simulation:
            raise Stop(
                Exit.ERROR,
                f"run {open_run.id} between these folders has not ended: before a simulation, resume it "
                f"(tallyport runs resume {open_run.id}) or cancel it (tallyport runs cancel {open_run.id})",
            )
        notes.append(f"run {open_run.id} between these folders has not ended: going on with it")
        if policies_from_json(open_run.policies) != policies:
            notes.append(f"run {open_run.id} keeps the policies it began with; the new ones hold from the next run")
        return Prepared(job, resume(tx, open_run), tuple(notes), warnings)


def _job_of(database: Database, run: int) -> str:
    """Give the id of the job that a run belongs to."""
    with database.read() as tx:
        found = executions.find(tx, run)
    if found is None:
        raise Stop(Exit.NOT_FOUND, f"--names-from {run}: there is no such run in this data folder")
    return found.job_id


def _check_names(tx: Any, job: Job, names_from: str, source: Connection) -> None:
    """Refuse original names of a job that did not write what this one reads."""
    from tallyport.store import original_names  # it needs all of SQLAlchemy: loaded only where it is asked for

    why = original_names.refusal(tx, names_from, job.id, source, job.source_path)
    if why is not None:
        raise Stop(Exit.USAGE, f"names_from: {why}")


def resume(tx: Any, execution: Execution) -> Execution:
    """Let a run that has not ended go on."""
    state = State(execution.state)
    if state is State.CANCELING:
        raise Stop(Exit.ERROR, f"run {execution.id} is being canceled: try again in a moment")
    call = Call.RESUME if state in (State.PAUSED, State.PAUSING) else Call.START
    wanted = after(call, state)
    if wanted is not state:
        executions.move(tx, execution.id, (state.value,), wanted.value)
    found = executions.find(tx, execution.id)
    assert found is not None
    return found


def abandon(tx: Any, execution: Execution) -> None:
    """Cancel a run that has not ended: at once when nothing is out, else as soon as the work in hand is safe."""
    state = State(execution.state)
    executions.move(tx, execution.id, (state.value,), after(Call.CANCEL, state).value)


def read_job_file(name: str) -> dict[str, Any]:
    """Give the transfer block of a file that holds one, or a whole job."""
    try:
        with open(name, "rb") as stream:
            found = json.loads(stream.read())
    except FileNotFoundError as error:
        raise Stop(Exit.NOT_FOUND, f"the job file {line(name)} does not exist") from error
    except OSError as error:
        raise Stop(Exit.ERROR, f"cannot read the job file {line(name)}: {error.strerror}") from error
    except ValueError as error:
        raise Stop(Exit.USAGE, f"the job file {line(name)} is not JSON: {error}") from error
    if isinstance(found, dict) and isinstance(found.get("transfer"), dict):
        found = found["transfer"]
    if not isinstance(found, dict):
        raise Stop(Exit.USAGE, f"the job file {line(name)} holds neither a transfer block nor a job")
    return found


def read_overrides(given: Sequence[str]) -> dict[str, str]:
    """Read ``key=value`` options; the last of one key wins."""
    found: dict[str, str] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise Stop(Exit.USAGE, f"--policy {line(text)} is not KEY=VALUE, as in --policy conflict_resolution=latest")
        found[key.strip()] = value
    return found


def policies_of(
    transfer_type: str, block: Mapping[str, Any], overrides: Mapping[str, str], *, verify: str | None = None
) -> Policies:
    """Give the policies of a one-shot. The number of items in a folder has no limit unless one is asked for."""
    # The two folders of the command line are the endpoints, whatever a file says.
    own = {key: value for key, value in block.items() if key not in ("source", "destination")}
    if own.get("transfer_type", transfer_type) not in (transfer_type, "default"):
        raise Stop(
            Exit.USAGE,
            f"the job file says transfer_type {own['transfer_type']}: call `tallyport {own['transfer_type']}`",
        )
    try:
        read = read_transfer_block({**own, "transfer_type": transfer_type}, endpoints_required=False)
        policies = read.policies
        if "max_items_per_container" not in block:
            policies = dataclasses.replace(policies, max_items_per_container=None)
        policies = with_overrides(policies, overrides)
    except BlockErrors as errors:
        raise Stop(
            Exit.USAGE, "\n  ".join(["the policies cannot be used:", *map(_problem, errors.problems)])
        ) from errors
    if policies.transfer_type is not TransferType(transfer_type):
        raise Stop(Exit.USAGE, f"--policy transfer_type: call `tallyport {policies.transfer_type}` instead")
    return dataclasses.replace(policies, verify=VerifyLevel[verify.upper()]) if verify else policies


def block_warnings(policies: Policies, block: Mapping[str, Any], overrides: Mapping[str, str]) -> tuple[str, ...]:
    """Give a sentence for each choice of a one-shot that cannot act as it reads."""
    own = {key: value for key, value in block.items() if key not in ("source", "destination", "transfer_type")}
    read = read_transfer_block({**own, "transfer_type": policies.transfer_type.value}, endpoints_required=False)
    chosen = {*overrides, *(key for key, who in read.set_by.items() if who == "job" and key != "transfer_type")}
    set_by = {key: "job" if key in chosen else "default" for key in read.set_by}
    found = {*chosen, *read.kept, *(key for key in ("account_map", "group_map") if key in own)}
    ends = {"source": read.source, "destination": read.destination}
    return tuple(warnings_of(policies, defaults_for(policies.transfer_type), set_by, found, ends))


def _problem(problem: Problem) -> str:
    allowed = f" (one of: {', '.join(map(str, problem.allowed))})" if problem.allowed else ""
    return f"{problem.path.removeprefix('/transfer/').replace('/', '.')}: {problem.message}{allowed}"


def _connection(tx: Any, end: Place) -> Connection:
    """Find the connection of an end; one that is not saved under a name is made."""
    if end.saved is not None:
        named = connections.named(tx, end.saved)
        if len(named) != 1:
            how = "no connection" if not named else "more than one connection"
            why = f"{how} of the name {line(end.saved)} is saved in this data folder"
            raise Stop(Exit.NOT_FOUND, f"{line(end.shown)}: {why} (tallyport connections add, on its server)")
        return named[0]
    found = connections.same(tx, end.platform, dict(end.settings))
    if found is None:
        at = rows.now()
        found = Connection(
            id=connections.new_id(),
            name=end.shown if end.platform == "fs" else f"{end.platform} {next(iter(end.settings.values()))}",
            platform=end.platform,
            settings=end.settings,
            created_at=at,
            created_by="cli",
            modified_at=at,
        )
        connections.add(tx, found)
    return found


def _nothing(error: Stop | TallyportError, seconds: float) -> dict[str, Any]:
    """Give the last line of a command that never had a run."""
    return {
        "run_id": None,
        "status": "failed_to_start",
        "items": 0,
        "bytes": 0,
        "failed": 0,
        "skipped": 0,
        "seconds": round(seconds, 3),
        "error": error.message,
    }
