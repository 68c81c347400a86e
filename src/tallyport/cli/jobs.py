"""``tallyport jobs``: the jobs of a server. Each command is one call of the API."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from tallyport.cli.connections import read_json, read_list
from tallyport.cli.exits import Exit, Stop, finish
from tallyport.cli.options import json_option
from tallyport.cli.remote import server, server_options
from tallyport.cli.showing import line, table

if TYPE_CHECKING:
    from tallyport.client import Job
    from tallyport.client.jobs import Jobs


def _parts(ctx: click.Context, param: click.Parameter, value: str | None) -> int | str | None:
    """Read so many parts, or ``auto``."""
    return value if value is None or value == "auto" else click.IntRange(2, 1000)(value, param, ctx)


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
    for told in _children(found):
        click.echo(f"below  {told}")
    for warning in found.warnings:
        click.echo(f"note   {line(warning)}")
    for group in groups:
        click.echo(f"failed {group.count:,} x {line(group.reason)}")


def _children(found: "Job") -> Iterator[str]:
    """Tell how many children a folder mapping has, in which states, and what their newest runs did."""
    below = (found.raw.get("job") or {}).get("children")
    if not below:
        return
    states = ", ".join(f"{number:,} {state.replace('_', ' ')}" for state, number in below["by_state"].items())
    yield f"{below['count']:,} children" + (f": {states}" if states else "")
    stats = below["stats"]
    yield f"{stats['transferred']:,} items carried by their newest runs, {below['unresolved_items']:,} failed now"
    if below["with_errors"] or below["disabled"]:
        yield f"{below['with_errors']:,} ended with failed items, {below['disabled']:,} disabled"


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
@click.option("--scope", type=click.Choice(["unresolved", "failed", "pending", "all"]), help="Which items.")
@click.option("--item", "items", multiple=True, metavar="ID", help="Only this item. Can be given again.")
@click.option("--list", "listed", metavar="FILE.csv", help="Only the items of an edited CSV of failed items.")
@json_option
@server_options
def retry(
    job: str,
    reason: str | None,
    scope: str | None,
    items: tuple[str, ...],
    listed: str | None,
    as_json: bool,
    url: str,
    token_file: str | None,
) -> None:
    """Try the unresolved items of a job again, and only those, in a new run."""
    content = None if listed is None else _read_bytes(listed)
    with server(url, token_file) as client:
        if content is not None:
            count, resolved = client.jobs.retry_list(job, content)
            if not as_json:
                click.echo(f"{count} items are tried again, {resolved} are resolved already")
            found = client.jobs.get(job)
        else:
            found = client.jobs.retry(job, reason=reason, scope=scope, items=items or None)
    _tell(found, as_json)


@jobs.command()
@click.argument("job")
@click.option("--file", "-f", "file", metavar="FILE.json", help="What to change; - is standard input.")
@click.option("--name", help="The new name.")
@json_option
@server_options
def update(job: str, file: str | None, name: str | None, as_json: bool, url: str, token_file: str | None) -> None:
    """Change a job. A run under way keeps what it began with."""
    changes = _changes(file, name)
    if not changes:
        raise click.UsageError("give --file or --name")
    with server(url, token_file) as client:
        found = client.jobs.patch(job, changes)
    for warning in found.warnings:
        click.echo(f"note: {line(warning)}", err=True)
    _tell(found, as_json)


@jobs.command()
@click.argument("job")
@click.option("--file", "-f", "file", metavar="FILE.json", help="What is different; - is standard input.")
@click.option("--name", help="The name of the new job.")
@json_option
@server_options
def clone(job: str, file: str | None, name: str | None, as_json: bool, url: str, token_file: str | None) -> None:
    """Make a new job from this one and print its id."""
    with server(url, token_file) as client:
        made = client.jobs.clone(job, _changes(file, name))
    click.echo(json.dumps(made.raw) if as_json else made.id)


@jobs.command()
@click.argument("job")
@click.option(
    "--parts",
    callback=_parts,
    metavar="N|auto",
    help="So many parts, 2 to 1000, of about the same bytes; auto: as many as its weight asks for.",
)
@click.option("--file", "-f", "file", metavar="FILE.json", help="A list of parts: path, paths, filter.")
@click.option("--parallel", is_flag=True, help="All at once; otherwise one after the other.")
@json_option
@server_options
def split(
    job: str, parts: int | str | None, file: str | None, parallel: bool, as_json: bool, url: str, token_file: str | None
) -> None:
    """Split a job into parts and run it so."""
    if (parts is None) == (file is None):
        raise click.UsageError("give either --parts or --file")
    wanted: int | str | list[dict[str, Any]] = parts or 0 if file is None else read_list(file)
    with server(url, token_file) as client:
        found = client.jobs.split(job, wanted, parallel=parallel)
        below = list(client.jobs.parts(job))
    if as_json:
        click.echo(json.dumps({**found.raw, "parts": [part.raw for part in below]}))
        return
    for text in table(("PART", "STATE", "NAME"), [(part.id, _state(part), part.name) for part in below]):
        click.echo(text)


@jobs.command()
@click.argument("job")
@click.option("--anew", is_flag=True, help="Look at the source again.")
@json_option
@server_options
def plan(job: str, anew: bool, as_json: bool, url: str, token_file: str | None) -> None:
    """Show what a run would carry. Exit code 7 when something would not go as it is."""
    with server(url, token_file) as client:
        found = client.jobs.plan(job, anew=anew)
    manifest = found.get("manifest") or {}
    if as_json:
        click.echo(json.dumps(found))
    else:
        fields = ", ".join(str(one["sourceField"]["key"]) for one in found["fieldMapping"])
        click.echo(f"carries   {fields}")
        for text in _manifest(manifest):
            click.echo(text)
        if found.get("problem"):
            click.echo(f"problem   {line(str(found['problem']))}")
    stopped = sum(int((manifest.get(key) or {}).get("count", 0)) for key in ("tooLarge", "blocked"))
    finish(Exit.BLOCKERS if stopped else Exit.DONE)


@jobs.command()
@click.argument("job")
@click.option("--what", metavar="WHAT", help="Only items that lost this: modes, hard_links and so on.")
@json_option
@server_options
def losses(job: str, what: str | None, as_json: bool, url: str, token_file: str | None) -> None:
    """Show what the items of a job lost, and which items did."""
    with server(url, token_file) as client:
        totals = client.jobs.loss_totals(job)
        found = client.jobs.losses(job, what=what)
        if as_json:
            click.echo(f'{json.dumps({"losses": totals})[:-1]}, "items": [')
            for number, one in enumerate(found):  # item by item: there may be millions
                click.echo(("," if number else "") + json.dumps(one))
            click.echo("]}")
            return
        for one in totals:
            click.echo(f"lost      {one['what']} of {one['count']:,}: {line(str(one['why']))}")
        for one in found:
            click.echo(line(str(one["path"])))
            for lack in one["lost"]:
                click.echo(f"    {lack['what']}: {line(str(lack['detail']))}")


@jobs.command()
@click.argument("job")
@json_option
@server_options
def history(job: str, as_json: bool, url: str, token_file: str | None) -> None:
    """List the runs of a job, newest first."""
    with server(url, token_file) as client:
        found = list(client.jobs.history(job))
    if as_json:
        click.echo(json.dumps({"job_executions": found}))
        return
    rows = [
        (run["id"], run["status"], run["trigger"], run["stats"]["transferred"], run["stats"]["failed"]) for run in found
    ]
    for text in table(("RUN", "STATUS", "BEGUN BY", "CARRIED", "FAILED"), rows, right=(0, 3, 4)):
        click.echo(text)


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


def _tell(found: "Job", as_json: bool) -> None:
    click.echo(json.dumps(found.raw) if as_json else f"{found.id} is {_state(found)}")


def _changes(file: str | None, name: str | None) -> dict[str, Any]:
    changes: dict[str, Any] = {} if file is None else read_json(file)
    return changes if name is None else {**changes, "name": name}


def _read_bytes(file: str) -> bytes:
    try:
        with click.open_file(file, "rb") as stream:
            content = stream.read()
    except OSError as error:
        raise Stop(Exit.ERROR, f"cannot read {line(file)}: {error.strerror}") from error
    return bytes(content)


def _manifest(manifest: Mapping[str, Any]) -> Iterator[str]:
    if not manifest:
        return
    more = "" if manifest.get("complete") else ", and more: the look was cut short"
    yield f"source    {manifest['items']:,} items in {manifest['folders']:,} folders, {manifest['bytes']:,} bytes{more}"
    for key, word in (("tooLarge", "too large"), ("renamed", "renamed"), ("blocked", "blocked")):
        found = manifest.get(key) or {}
        if found.get("count"):
            yield f"{word:<9} {found['count']:,}, for instance {line(str(found['first'][0]['path']))}"
    for word, found in (manifest.get("names") or {}).items():
        if found["count"]:
            first = found["first"][0]
            becomes = "is not carried" if first["name"] is None else f"becomes {line(str(first['name']))}"
            yield f"names     {found['count']:,} x {word}: {line(str(first['path']))} {becomes}"
    for side, on in (manifest.get("measured") or {}).items():
        never = "never: the plan goes by what the platform declares, until `tallyport connections probe`"
        yield f"measured  {side} {line(str(on)) if on else never}"
    for loss in manifest.get("losses") or []:
        yield f"loses     {loss['what']} of {loss['count']:,} in {loss['of']:,}: {line(str(loss['why']))}"


def _state(job: "Job") -> str:
    return "paused" if job.is_paused else job.state
