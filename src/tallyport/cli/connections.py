"""``tallyport connections``: the saved accounts of a server."""

import json
from typing import Any

import click

from tallyport.cli.exits import Exit, Stop
from tallyport.cli.options import json_option
from tallyport.cli.remote import server, server_options
from tallyport.cli.showing import line, table


@click.group()
def connections() -> None:
    """Work with the connections of a server."""


@connections.command("list")
@click.option("--platform", help="Only of this platform, such as fs.")
@json_option
@server_options
def list_(platform: str | None, as_json: bool, url: str, token_file: str | None) -> None:
    """List connections by name."""
    with server(url, token_file) as client:
        found = list(client.connections.list(platform=platform))
    if as_json:
        click.echo(json.dumps({"connections": [connection.raw for connection in found]}))
        return
    rows = [(connection.id, connection.platform, connection.name) for connection in found]
    for text in table(("ID", "PLATFORM", "NAME"), rows):
        click.echo(text)


@connections.command()
@click.argument("platform")
@click.option("--path", help="Folder, for platforms that have one: fs.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="One setting. Secrets: --auth-file.")
@click.option("--auth-file", metavar="FILE.json", help="Settings as a JSON object; - is standard input.")
@click.option("--name", help="What to call it.")
@click.option("--label", "labels", multiple=True, metavar="WORD", help="A worker must have it; repeatable.")
@click.option("--max-transfers", type=click.IntRange(1), help="At one time, over all jobs and workers.")
@click.option("--make", is_flag=True, help="Make the folder when it is missing.")
@json_option
@server_options
def add(
    platform: str,
    path: str | None,
    settings: tuple[str, ...],
    auth_file: str | None,
    name: str | None,
    labels: tuple[str, ...],
    max_transfers: int | None,
    make: bool,
    as_json: bool,
    url: str,
    token_file: str | None,
) -> None:
    """Save a connection and print its id. The server opens it first: a wrong one is not saved.

    \b
    Example:
      tallyport connections add fs --path /data/projects --name projects
    """
    auth: dict[str, Any] = read_json(auth_file) if auth_file else {}
    for text in settings:
        key, equals, value = text.partition("=")
        if not equals:
            raise Stop(Exit.USAGE, f"--set {line(text)} is not KEY=VALUE")
        auth[key] = value
    if path is not None:
        auth["path"] = path
    with server(url, token_file) as client:
        made = client.connections.create(
            platform, auth, name=name, labels=labels, max_transfers=max_transfers, make=make
        )
    click.echo(json.dumps(made.raw) if as_json else made.id)


@connections.command()
@click.argument("connection")
@json_option
@server_options
def show(connection: str, as_json: bool, url: str, token_file: str | None) -> None:
    """Show one connection, by its id or name."""
    with server(url, token_file) as client:
        found = client.connections.get(_named(client, connection))
        traffic = client.connections.traffic(found.id)
    if as_json:
        click.echo(json.dumps({**found.raw, "traffic": traffic}))
        return
    click.echo(f"id        {found.id}\nplatform  {found.platform}\nname      {line(found.name)}")
    body = found.raw.get("connection", found.raw)
    if body.get("labels"):
        click.echo(f"labels    {line(', '.join(body['labels']))}")
    if body.get("max_transfers"):
        click.echo(f"at once   {body['max_transfers']} transfers")
    for one in traffic["workers"]:
        waits = f", and it asks to wait for {one['wait_seconds']:.0f} s" if one["wait_seconds"] >= 1 else ""
        suits = f"{one['places']} calls at once suit it" if one["places"] else "tries how many calls at once suit it"
        click.echo(f"worker    {line(one['worker'])}: {suits}{waits}")
    if traffic["start"]:
        click.echo(f"begins    with {traffic['start']['places']} calls at once")


@connections.command()
@click.argument("connection")
@click.option("--name", help="What to call it.")
@click.option("--label", "labels", multiple=True, metavar="WORD", help="In place of its labels; repeatable.")
@click.option("--no-labels", is_flag=True, help="Every worker reaches it.")
@click.option("--max-transfers", type=click.IntRange(0), help="At one time, over all jobs and workers; 0: no cap.")
@json_option
@server_options
def change(
    connection: str,
    name: str | None,
    labels: tuple[str, ...],
    no_labels: bool,
    max_transfers: int | None,
    as_json: bool,
    url: str,
    token_file: str | None,
) -> None:
    """Change who may work a connection, by its id or name; a run under way goes on with its next batches."""
    if labels and no_labels:
        raise click.UsageError("--label and --no-labels exclude each other")
    fields: dict[str, Any] = {} if name is None else {"name": name}
    if labels or no_labels:
        fields["labels"] = list(labels)
    if max_transfers is not None:
        fields["max_transfers"] = max_transfers or None
    with server(url, token_file) as client:
        changed = client.connections.change(_named(client, connection), **fields)
    click.echo(json.dumps(changed.raw) if as_json else changed.id)


@connections.command()
@click.argument("connection")
@click.option("--path", default="/", help="Where in the connection canaries may be written. Default: its root.")
@json_option
@server_options
def probe(connection: str, path: str, as_json: bool, url: str, token_file: str | None) -> None:
    """Measure what a connection really keeps, by its id or name.

    Canaries are written below the path and removed. What is found corrects what the platform declares, from the next
    run on: a server that says it kept a condition, and did not, is found out here.
    """
    with server(url, token_file) as client:
        found = client.connections.probe(_named(client, connection), path=path)
    if as_json:
        click.echo(json.dumps({"measured": found}))
        return
    for text in table(("FACT", "MEASURED"), [(name, str(value).lower()) for name, value in found.items()]):
        click.echo(text)


def _named(client: Any, connection: str) -> str:
    """Give the id of a connection that is given by its id or its name."""
    found = [one.id for one in client.connections.list(text=connection) if one.name == connection]
    return found[0] if len(found) == 1 else connection


@connections.command()
@click.argument("connection")
@server_options
def rm(connection: str, url: str, token_file: str | None) -> None:
    """Remove a connection that no job uses. Its content is not touched."""
    with server(url, token_file) as client:
        client.connections.delete(connection)
    click.echo(f"removed {connection}")


def read_json(name: str) -> dict[str, Any]:
    """Read a JSON object from a file, or from standard input for ``-``."""
    found = _read(name)
    if not isinstance(found, dict):
        raise Stop(Exit.USAGE, f"{line(name)} does not hold a JSON object")
    return found


def read_list(name: str) -> list[dict[str, Any]]:
    """Read a JSON list of objects from a file, or from standard input for ``-``."""
    found = _read(name)
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Stop(Exit.USAGE, f"{line(name)} does not hold a JSON list of objects")
    return found


def _read(name: str) -> Any:
    try:
        with click.open_file(name, encoding="utf-8") as stream:
            found = json.load(stream)
    except FileNotFoundError as error:
        raise Stop(Exit.NOT_FOUND, f"the file {line(name)} does not exist") from error
    except OSError as error:
        raise Stop(Exit.ERROR, f"cannot read {line(name)}: {error.strerror}") from error
    except ValueError as error:
        raise Stop(Exit.USAGE, f"{line(name)} is not JSON: {error}") from error
    return found
