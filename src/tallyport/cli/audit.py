"""``tallyport audit``: what people did."""

import csv
import json
import sys

import click

from tallyport.cli.exits import Exit, finish
from tallyport.cli.options import json_option
from tallyport.cli.remote import server, server_options
from tallyport.cli.showing import table


@click.group()
def audit() -> None:
    """Read the record of what people did to a server."""


@audit.command("list")
@click.option("--actor", help="Who acted.")
@click.option("--action", help="An action, or the beginning of one, such as user.")
@click.option("--object", "object_", metavar="KIND:ID", help="What was acted on.")
@click.option("--since", metavar="TIME", help="Not before this time, such as 2026-11-01.")
@click.option("--until", metavar="TIME", help="Before this time.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Most lines.")
@click.option("--csv", "as_csv", is_flag=True, help="Answer in CSV.")
@json_option
@server_options
def list_(
    actor: str | None,
    action: str | None,
    object_: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    as_csv: bool,
    as_json: bool,
    url: str,
    token_file: str | None,
) -> None:
    """List what people did, the newest first."""
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    with server(url, token_file) as client:
        lines = client.audit.iterate(actor=actor, action=action, object=object_, since=since, until=until)
        found = [one for one, _ in zip(lines, range(limit), strict=False)]
    if as_json:
        click.echo(json.dumps({"audit": [one.raw for one in found]}))
        return
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("time", "actor", "action", "object", "name", "changes"))
        for one in found:
            cells = (one.recorded_at, one.actor, one.action, one.object, one.name or "", json.dumps(one.changes))
            writer.writerow([f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell for cell in cells])
        return
    rows = [(one.recorded_at, one.actor, one.action, one.object, one.name or "") for one in found]
    for text in table(("TIME (UTC)", "WHO", "WHAT", "OBJECT", "NAME"), rows):
        click.echo(text)


@audit.command()
@json_option
@server_options
def verify(as_json: bool, url: str, token_file: str | None) -> None:
    """Say whether a line was changed or taken away. Ends with 1 when it was."""
    with server(url, token_file) as client:
        broken = client.audit.first_broken()
    if as_json:
        click.echo(json.dumps({"intact": broken is None, "first_broken": broken}))
    else:
        click.echo("the record is whole" if broken is None else f"the record is broken at line {broken}")
    finish(Exit.DONE if broken is None else Exit.ERROR)
