"""``tallyport runs``: what was run in a data folder, and how to go on with it."""

import dataclasses
import json
import time
from typing import Any

import click

from tallyport.cli.exits import Exit, Stop, finish
from tallyport.cli.options import again, data_folder, data_option, json_option, ledger
from tallyport.domain.executions import Execution


@click.group()
def runs() -> None:
    """List, show, resume, retry and report runs. RUN is the number a command printed, or `last`."""


@runs.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most this many.")
@click.option("--offset", type=click.IntRange(0), default=0, help="Leave out the newest ones.")
@json_option
@data_option
def list_(limit: int, offset: int, as_json: bool, data: str | None) -> None:
    """List runs, newest first."""
    from tallyport.cli.showing import duration, moment, number, size, table
    from tallyport.store import executions

    with ledger(data) as database, database.read() as tx:
        found, total = executions.page(tx, offset=offset, limit=limit)
        names = {run.job_id: _job_name(tx, run) for run in found}
    if as_json:
        rows = [{**_fields(run), "job": names[run.job_id]} for run in found]
        click.echo(json.dumps({"runs": rows, "total": total}))
        return
    if not found:
        click.echo("no runs yet: tallyport copy SRC DST")
        return
    head = ("RUN", "STATE", "STARTED (UTC)", "TOOK", "ITEMS", "CARRIED", "BYTES", "FAILED", "JOB")
    rows_ = [
        (
            run.id,
            run.state if run.result in (None, "clean", "no_changes") else f"{run.state}, {run.result}",
            moment(run.started_at),
            duration(_seconds(run)) if run.started_at else "-",
            number(run.items),
            number(run.transferred),
            size(run.transferred_bytes),
            number(run.failed),
            names[run.job_id] + (" (simulation)" if run.simulation else ""),
        )
        for run in found
    ]
    for text in table(head, rows_, right=(0, 3, 4, 5, 6, 7)):
        click.echo(text)
    if total > offset + len(found):
        click.echo(f"{total - offset - len(found)} more: {again(f'runs list --offset {offset + limit}', data)}")


@runs.command()
@click.argument("run")
@json_option
@data_option
def show(run: str, as_json: bool, data: str | None) -> None:
    """Show one run with its totals."""
    from tallyport.cli.outcome import facts, said
    from tallyport.cli.showing import line, moment
    from tallyport.domain.transfer_block import policies_from_json
    from tallyport.store import jobs

    folder = data_folder(data)
    with ledger(data) as database:
        with database.read() as tx:
            found = find_run(tx, run)
            job = jobs.find(tx, found.job_id, deleted=True)
        report = facts(database, found, folder, seconds=_seconds(found))
    assert job is not None
    if as_json:
        click.echo(json.dumps({**report, **_fields(found), "job": job.name}))
        return
    policies = policies_from_json(found.policies)
    click.echo(f"job      {line(job.name)} ({job.id})")
    click.echo(
        f"run      {found.id}, attempt {found.attempt}" + (f", retry of {found.retry_of}" if found.retry_of else "")
    )
    click.echo(f"state    {found.state}" + (f", {found.result}" if found.result else "") + f", phase {found.phase}")
    click.echo(f"time     {moment(found.started_at)} to {moment(found.ended_at)} UTC")
    click.echo(
        f"policies {policies.transfer_type}, verify {policies.verify.name.lower()}, durability {policies.durability}"
    )
    if found.state in _ENDED_WORDS:
        for text in said(job, found, report, data):
            click.echo(text)
    else:
        click.echo(f"so far   {found.items} items accounted for, {found.failed} failed")
        click.echo(f"go on    {again(f'runs resume {found.id}', data)}")


@runs.command()
@click.argument("run")
@click.option(
    "--approve-deletes", is_flag=True, help="Let a run that the brake stopped delete what it found to delete."
)
@click.option("--movers", type=click.IntRange(1, 64), help="Processes that carry. Default: one per core.")
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Lines of progress even where there is no terminal.")
@data_option
def resume(
    run: str,
    approve_deletes: bool,
    movers: int | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    data: str | None,
) -> None:
    """Go on with a run that was paused, interrupted or killed."""

    def begin(tx: Any, found: Execution) -> Execution:
        return _resume(tx, found, approve_deletes=approve_deletes)

    finish(_drive(run, begin, movers=movers, as_json=as_json, quiet=quiet, verbose=verbose, data=data))


@runs.command()
@click.argument("run")
@click.option("--reason", "reasons", multiple=True, help="Only items that failed for this reason. Repeatable.")
@click.option("--movers", type=click.IntRange(1, 64), help="Processes that carry. Default: one per core.")
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@click.option("-v", "--verbose", is_flag=True, help="Lines of progress even where there is no terminal.")
@data_option
def retry(
    run: str,
    reasons: tuple[str, ...],
    movers: int | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    data: str | None,
) -> None:
    """Try the unresolved items of a run's job again, and only those, in a new run."""

    def begin(tx: Any, found: Execution) -> Execution:
        return _retry(tx, found, reasons)

    finish(_drive(run, begin, movers=movers, as_json=as_json, quiet=quiet, verbose=verbose, data=data))


@runs.command()
@click.argument("run")
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@data_option
def undo(run: str, as_json: bool, quiet: bool, data: str | None) -> None:
    """Put back what a run replaced and deleted, as its quarantine holds it.

    Where something else stands since, nothing is touched, and the item counts as failed.
    """
    _work_quarantine(run, "undo", as_json=as_json, quiet=quiet, data=data)


@runs.command()
@click.argument("run")
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
@data_option
def purge(run: str, as_json: bool, quiet: bool, data: str | None) -> None:
    """Empty the quarantine of a run for good: it cannot be undone any more."""
    _work_quarantine(run, "purge", as_json=as_json, quiet=quiet, data=data)


@runs.command()
@click.argument("run")
@data_option
def cancel(run: str, data: str | None) -> None:
    """End a run that was paused or interrupted, for good. What it carried stays."""
    from tallyport import app
    from tallyport.cli.one_shot import abandon
    from tallyport.store import executions

    with app.embedded(data_folder(data)) as embedded:
        with embedded.database.begin() as tx:
            found = find_run(tx, run)
            if found.has_ended:
                raise Stop(Exit.ERROR, f"run {found.id} has ended: it is {found.state}")
            abandon(tx, found)
        embedded.nudge()
        while True:
            with embedded.database.read() as tx:
                now = executions.find(tx, found.id)
            if now is None or now.has_ended:
                break
            time.sleep(0.02)
    click.echo(f"run {found.id} is canceled")


@runs.command()
@click.argument("run")
@json_option
@data_option
def reconcile(run: str, as_json: bool, data: str | None) -> None:
    """Count both ends of a run's job now, and say whether every item is there or reported."""
    from tallyport.app import own_vault
    from tallyport.cli.reconcile import as_lines
    from tallyport.control.reconciling import reconcile as count
    from tallyport.domain.transfer_block import policies_from_json
    from tallyport.store import jobs

    with ledger(data) as database:
        with database.read() as tx:
            found = find_run(tx, run)
            job = jobs.find(tx, found.job_id, deleted=True)
        assert job is not None
        counted = count(database, job, policies_from_json(found.policies), own_vault(data_folder(data)))
    if as_json:
        click.echo(json.dumps(counted.document()))
    else:
        for text in as_lines(counted):
            click.echo(text)
    finish(Exit.DONE if counted.adds_up else Exit.FAILED_ITEMS)


@runs.command()
@click.argument("run")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@data_option
def report(run: str, form: str, data: str | None) -> None:
    """Report a run: what was asked, what came of it, how it was proved, what failed and why."""
    from tallyport.cli.report import as_document, as_lines

    folder = data_folder(data)
    with ledger(data) as database:
        with database.read() as tx:
            found = find_run(tx, run)
        document = as_document(database, found, folder)
    if form == "json":
        click.echo(json.dumps(document, indent=2))
    else:
        for text in as_lines(document):
            click.echo(text)


_ENDED_WORDS = frozenset({"canceled", "complete", "failed", "failed_to_start", "paused"})


def find_run(tx: Any, run: str) -> Execution:
    """Give a run by its number, or the newest for ``last``."""
    from tallyport.store import executions

    if run == "last":
        newest, _ = executions.page(tx, limit=1)
        found = newest[0] if newest else None
    elif run.isdecimal() and len(run) < 19:
        found = executions.find(tx, int(run))
    else:
        raise Stop(Exit.USAGE, f"{run!r} is not a run: give its number, or `last`")
    if found is None:
        raise Stop(Exit.NOT_FOUND, f"there is no run {run} in this data folder: see `tallyport runs list`")
    return found


def _resume(tx: Any, found: Execution, *, approve_deletes: bool) -> Execution:
    from tallyport.cli.one_shot import resume as go_on
    from tallyport.domain.policies_json import policies_from_json
    from tallyport.domain.stops import braked_tasks
    from tallyport.store import executions, frontier

    if found.has_ended:
        what = "runs retry" if found.failed else "runs show"
        said = (
            f"run {found.id} has ended ({found.state}): there is nothing to resume. See `tallyport {what} {found.id}`"
        )
        raise Stop(Exit.ERROR, said)
    if found.wait_reason == "brake":
        kind = policies_from_json(found.policies).transfer_type
        wanted = frontier.count_tasks(tx, found.id, braked_tasks(kind))
        if not approve_deletes:
            raise Stop(
                Exit.STOPPED,
                f"run {found.id} would delete {wanted:,} items, more than its job allows: look at them, then "
                f"`tallyport runs resume {found.id} --approve-deletes`",
            )
        executions.change(tx, found.id, approved_deletes=wanted, wait_reason=None)
    return go_on(tx, found)


def _work_quarantine(run: str, verb: str, *, as_json: bool, quiet: bool, data: str | None) -> None:
    def begin(tx: Any, found: Execution) -> Execution:
        from tallyport.control.executions import queue_undo
        from tallyport.control.refusals import Refusal
        from tallyport.store import jobs

        job = jobs.find(tx, found.job_id, deleted=True)
        assert job is not None
        try:
            return queue_undo(tx, job, found, "cli", verb=verb)
        except Refusal as refusal:
            raise Stop(Exit.ERROR, str(refusal)) from refusal

    finish(_drive(run, begin, movers=None, as_json=as_json, quiet=quiet, verbose=False, data=data))


def _retry(tx: Any, found: Execution, reasons: tuple[str, ...]) -> Execution:
    from tallyport.domain.actions import Reason
    from tallyport.domain.transfer_block import policies_from_json, policies_to_json
    from tallyport.store import executions

    for word in reasons:
        if word not in set(Reason):
            raise Stop(Exit.USAGE, f"{word!r} is not a reason: see `tallyport failed {found.id} --by-reason`")
    open_run = executions.active(tx, found.job_id)
    if open_run is not None:
        raise Stop(
            Exit.ERROR, f"run {open_run.id} of the same job has not ended: `tallyport runs resume {open_run.id}` first"
        )
    if found.simulation:
        raise Stop(Exit.ERROR, f"run {found.id} is a simulation: it carried nothing that could be tried again")
    policies = dataclasses.replace(policies_from_json(found.policies), simulation=False)
    return executions.add(
        tx,
        job_id=found.job_id,
        trigger="retry",
        retry_of=found.id,
        scope=json.dumps({"reasons": list(reasons)} if reasons else {}),
        policies=policies_to_json(policies),
        created_by="cli",
        state="ready",
    )


def _drive(
    run: str, begin: Any, *, movers: int | None, as_json: bool, quiet: bool, verbose: bool, data: str | None
) -> Exit:
    """Let a run begin or go on in this process, wait for it and say how it went."""
    from tallyport import app
    from tallyport.cli.follow import Follower, Interrupts, Screen
    from tallyport.cli.outcome import facts, tell
    from tallyport.store import jobs

    began = time.monotonic()
    folder = data_folder(data)
    screen = Screen(quiet=quiet, verbose=verbose)
    with ledger(data) as database, database.read() as tx:
        find_run(tx, run)  # a wrong number is said before the engine starts
    with Interrupts(screen) as interrupts, app.embedded(folder, movers=movers) as embedded:
        with embedded.database.begin() as tx:
            wanted = begin(tx, find_run(tx, run))
            job = jobs.find(tx, wanted.job_id, deleted=True)
        assert job is not None
        embedded.nudge()
        ended = Follower(embedded, wanted.id, screen, interrupts).wait()
        report_ = facts(embedded.database, ended, folder, seconds=time.monotonic() - began)
    return tell(job, ended, report_, as_json=as_json, quiet=quiet, screen=screen, data=data)


def _seconds(run: Execution) -> float:
    if run.started_at is None:
        return 0.0
    return ((run.ended_at or time.time_ns() // 1000) - run.started_at) / 1e6


def _job_name(tx: Any, run: Execution) -> str:
    from tallyport.store import jobs

    job = jobs.find(tx, run.job_id, deleted=True)
    return "-" if job is None else job.name


def _fields(run: Execution) -> dict[str, Any]:
    hidden = {"policies", "token", "scope"}
    return {field.name: getattr(run, field.name) for field in dataclasses.fields(run) if field.name not in hidden}
