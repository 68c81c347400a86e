"""What came of a run, as an exit code, as facts for a program, and as lines for a person."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from tallyport.cli.exits import Exit
from tallyport.cli.follow import Screen
from tallyport.cli.options import again
from tallyport.cli.showing import duration, items, line, number, size
from tallyport.domain import paths
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.domain.policies import FailurePolicy
from tallyport.domain.states import State
from tallyport.domain.transfer_block import policies_from_json
from tallyport.store import failures
from tallyport.store.database import Database

_SCANNED = 100_000  # failures looked at for the summary; `tallyport failed` looks at all
_SHOWN = 5


def tell(
    job: Job, run: Execution, report: dict[str, Any], *, as_json: bool, quiet: bool, screen: Screen, data: str | None
) -> Exit:
    """Say how a run of this process went, and what to do next; gives its exit code."""
    code = exit_code(run)
    if as_json:
        click.echo(json.dumps(report))
    elif not quiet:
        for text in said(job, run, report, data):
            click.echo(text)
    for text in next_step(run, code, data):
        screen.say(text)
    return code


def exit_code(run: Execution) -> Exit:
    """Give the exit code of a run that has ended or is paused."""
    match State(run.state):
        case State.COMPLETE | State.FAILED if run.simulation and run.failed:
            return Exit.BLOCKERS
        case State.COMPLETE if run.failed or run.result == "errors":
            return Exit.FAILED_ITEMS
        case State.COMPLETE:
            return Exit.DONE
        case State.FAILED if run.failed:
            halted = policies_from_json(run.policies).failure_policy is FailurePolicy.HALT
            return Exit.STOPPED if halted else Exit.FAILED_ITEMS  # the latter: nothing could be carried
        case State.PAUSED if run.wait_reason == "brake":
            return Exit.STOPPED
        case State.PAUSED | State.CANCELED:
            return Exit.INTERRUPTED
        case _:
            return Exit.ERROR


def facts(database: Database, run: Execution, data: Path, *, seconds: float | None = None) -> dict[str, Any]:
    """Give a run as the one JSON object that ends a command."""
    if seconds is None and run.started_at is not None:
        seconds = ((run.ended_at or run.started_at) - run.started_at) / 1e6
    with database.read() as tx:
        found = failures.groups(itertools.islice(failures.iterate(tx, run.id), _SCANNED)) if run.failed else []
    return {
        "run_id": run.id,
        "job_id": run.job_id,
        "status": run.state,
        "result": run.result,
        "simulation": run.simulation,
        "items": run.items,
        "bytes": run.bytes,
        "transferred": run.transferred,
        "transferred_bytes": run.transferred_bytes,
        "unchanged": run.unchanged,
        "skipped": run.skipped,
        "failed": run.failed,
        "deleted": run.deleted,
        "writes": run.writes,
        "folders": run.folders,
        "pending": run.pending,
        "seconds": round(seconds or 0.0, 3),
        "info": run.info,
        "data": str(data),
        "reasons": [
            {
                "reason": group.reason,
                "message": paths.display(group.message),
                "count": group.count,
                "bytes": group.bytes,
                "sample": [paths.display(path) for path in group.sample[:3]],
            }
            for group in found[:20]
        ],
    }


def next_step(run: Execution, code: Exit, data: str | None) -> Iterator[str]:
    """Say how to go on with a run that stopped before its end."""
    if run.state != State.PAUSED:
        return
    if code is Exit.STOPPED:
        yield f"nothing was deleted. To let it delete: {again(f'runs resume {run.id} --approve-deletes', data)}"
    else:
        yield f"stopped; what is done stays done. To go on: {again(f'runs resume {run.id}', data)}"


def said(job: Job, run: Execution, report: dict[str, Any], data: str | None) -> Iterator[str]:
    """Give the summary of a run, line by line."""
    verb = "would carry" if run.simulation else "carried"
    head = {
        State.COMPLETE: f"run {run.id} complete",
        State.FAILED: f"run {run.id} failed",
        State.FAILED_TO_START: f"run {run.id} could not start",
        State.CANCELED: f"run {run.id} canceled",
        State.PAUSED: f"run {run.id} paused",
    }[State(run.state)]
    seconds = float(report["seconds"])
    yield f"{head}: {items(run.items)} accounted for in {duration(seconds)}"
    yield (
        f"  {verb} {number(run.transferred)} ({size(run.transferred_bytes)}), unchanged {number(run.unchanged)}, "
        f"skipped {number(run.skipped)}, deleted {number(run.deleted)}, failed {number(run.failed)}"
    )
    if run.info and run.state not in (State.COMPLETE, State.PAUSED):
        yield f"  {line(run.info)}"
    if report["reasons"]:
        yield "failed, by cause:"
        for group in report["reasons"][:_SHOWN]:
            sample = line(group["sample"][0]) if group["sample"] else ""
            yield f"  {number(group['count'])} x {group['reason']}: {line(group['message'])}  (e.g. {sample})"
        if len(report["reasons"]) > _SHOWN:
            yield f"  and {len(report['reasons']) - _SHOWN} causes more"
        yield f"all of them: {again(f'failed {run.id}', data)}"
        if not run.simulation:
            yield f"try them again, once the cause is gone: {again(f'runs retry {run.id}', data)}"
