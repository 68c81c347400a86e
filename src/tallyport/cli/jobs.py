"""``tallyport jobs``: the jobs of a server. Each command is one call of the API."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from tallyport.cli.connections import read_json
from tallyport.cli.exits import Exit, finish
from tallyport.cli.options import json_option
from tallyport.cli.remote import server, server_options
from tallyport.cli.showing import line, table

if TYPE_CHECKING:
    from tallyport.client import Job
    from tallyport.client.jobs import Jobs


@click.group()
def jobs() -> None:
    """Work with the jobs of a server. JOB is a job's id."""


@jobs.command("list")
@click.option("--status", help="Only in this state.")
@click.option("--search", metavar="TEXT", help="Only with this in their name.")
@json_option
@server_options
def list_(status: str | None, search: str | None, as_json: bool, url: str, token_file: str | None) -> None:
    """List jobs, newest first."""
    with server(url, token_file) as client:
        found = list(client.jobs.list(status=status, text=search))
    if as_json:
        click.echo(json.dumps({"jobs": [job.raw for job in found]}))
        return
    rows = [(job.id, _state(job), "-" if job.execution is None else job.execution, job.name) for job in found]
    for text in table(("ID", "STATE", "RUN", "NAME"), rows, right=(2,)):
        click.echo(text)


@jobs.command()
@click.argument("job")
@json_option
@server_options
def show(job: str, as_json: bool, url: str, token_file: str | None) -> None:
    """Show one job with the state of its newest run."""
    with server(url, token_file) as client:
        found = client.jobs.get(job)
        groups = client.jobs.failed(job) if found.has_ended and not as_json else ()
    if as_json:
        click.echo(json.dumps(found.raw))
        return
    click.echo(f"id     {found.id}\nname   {line(found.name)}\nstate  {_state(found)}")
    click.echo(f"run    {found.execution if found.execution is not None else 'none yet'}")
    if found.info:
        click.echo(f"info   {line(found.info)}")
    for warning in found.warnings:
        click.echo(f"note   {line(warning)}")
    for group in groups:
        click.echo(f"failed {group.count:,} x {line(group.reason)}")


@jobs.command()
@click.option("--file", "-f", "file", metavar="FILE.json", required=True, help="The job; - is standard input.")
@click.option("--source", metavar="ID", help="Connection in place of the file's.")
@click.option("--destination", metavar="ID", help="Connection in place of the file's.")
@click.option("--start", is_flag=True, help="Run it at once.")
@json_option
@server_options
def create(
    file: str,
    source: str | None,
    destination: str | None,
    start: bool,
    as_json: bool,
    url: str,
    token_file: str | None,
) -> None:
    """Make a job from a file and print its id.

    The file holds the body of `POST /v1/jobs`. What the server accepts and does not yet act on is named on
    standard error.
    """
    body = read_json(file)
    if source is not None or destination is not None:
        block = body.setdefault("transfer", {})
        for side, chosen in (("source", source), ("destination", destination)):
            if chosen is not None:
                block[side] = {**block.get(side, {}), "connection": {"id": chosen}}
    with server(url, token_file) as client:
        made = client.jobs.create(body, start=start)
    for warning in made.warnings:
        click.echo(f"note: {line(warning)}", err=True)
    click.echo(json.dumps(made.raw) if as_json else made.id)


def _verb(name: str, words: str, call: "Callable[[Jobs, str], Job]") -> None:
    @jobs.command(name, help=words)
    @click.argument("job")
    @json_option
    @server_options
    def command(job: str, as_json: bool, url: str, token_file: str | None) -> None:
        with server(url, token_file) as client:
            found = call(client.jobs, job)
        click.echo(json.dumps(found.raw) if as_json else f"{found.id} is {_state(found)}")


_verb("start", "Run a job now.", lambda jobs, job: jobs.start(job))
_verb("pause", "Stop a run after the items in flight.", lambda jobs, job: jobs.pause(job))
_verb("resume", "Go on with a paused run.", lambda jobs, job: jobs.resume(job))
_verb("cancel", "End the run under way for good. What it carried stays.", lambda jobs, job: jobs.cancel(job))


@jobs.command()
@click.argument("job")
@click.option("--reason", help="Only items that failed for this reason.")
@json_option
@server_options
def retry(job: str, reason: str | None, as_json: bool, url: str, token_file: str | None) -> None:
    """Try the unresolved items of a job again, and only those, in a new run."""
    with server(url, token_file) as client:
        found = client.jobs.retry(job, reason=reason)
    click.echo(json.dumps(found.raw) if as_json else f"{found.id} is {_state(found)}")


@jobs.command()
@click.argument("job")
@server_options
def delete(job: str, url: str, token_file: str | None) -> None:
    """Delete a job and hide its history. What it carried stays."""
    with server(url, token_file) as client:
        client.jobs.delete(job)
    click.echo(f"deleted {job}")


@jobs.command()
@click.argument("job")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Give up after so long.")
@json_option
@server_options
def watch(job: str, timeout: float | None, as_json: bool, url: str, token_file: str | None) -> None:
    """Show a job's run until it ends. The exit code is that of the run, as for `tallyport copy`."""
    from tallyport.cli.follow import Screen

    screen = Screen(verbose=True)
    last: list[str] = []

    def seen(found: "Job") -> None:
        text = f"run {found.execution or '-'}: {_state(found)}"
        if found.progress is not None:
            text += f", {found.progress} %"
        if found.info:
            text += f", {line(found.info)}"
        if screen.is_live:
            screen.draw(text)
        elif last[-1:] != [text]:
            screen.say(text)
            last[:] = [text]

    with server(url, token_file) as client:
        found = client.jobs.wait(job, timeout=timeout, seen=seen)
        groups = client.jobs.failed(job) if found.has_ended else ()
        screen.clear()
    if as_json:
        click.echo(json.dumps(found.raw))
    else:
        click.echo(f"{found.id} is {_state(found)}" + (f": {line(found.info)}" if found.info else ""))
        for group in groups:
            click.echo(f"  {group.count:,} x {line(group.reason)}")
    finish(_code(found, failed=bool(groups)))


def _code(job: "Job", *, failed: bool) -> Exit:
    if job.is_paused or job.state == "canceled":
        return Exit.INTERRUPTED
    if failed:
        return Exit.FAILED_ITEMS
    return Exit.DONE if job.state == "complete" else Exit.ERROR


def _state(job: "Job") -> str:
    return "paused" if job.is_paused else job.state
