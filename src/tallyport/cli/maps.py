"""``tallyport maps``: the account maps and group maps of a server."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from tallyport.cli.connections import read_json
from tallyport.cli.exits import Exit, Stop
from tallyport.cli.options import json_option
from tallyport.cli.remote import server, server_options
from tallyport.cli.showing import line, table

if TYPE_CHECKING:
    from tallyport.client import Client
    from tallyport.client.maps import Maps

SIDES = ("source", "destination")


@click.group()
def maps() -> None:
    """Say who an account or group of one side is on the other. --groups means group maps."""


def groups_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--groups``."""
    return click.option("--groups", is_flag=True, help="Group maps, not account maps.")(command)


@maps.command("list")
@click.option("--search", metavar="TEXT", help="Only with this in their name.")
@groups_option
@json_option
@server_options
def list_(search: str | None, groups: bool, as_json: bool, url: str, token_file: str | None) -> None:
    """List maps by name."""
    with server(url, token_file) as client:
        found = list(_maps(client, groups).list(text=search))
    if as_json:
        click.echo(json.dumps({"maps": found}))
        return
    rows = [(one["id"], one["exceptions"]["total_count"], line(one["name"])) for one in found]
    for text in table(("ID", "PAIRS", "NAME"), rows, right=(1,)):
        click.echo(text)


@maps.command()
@click.option("--name", required=True, help="What to call it.")
@click.option("-f", "--file", "document", metavar="FILE.json", help="The map as a JSON object; - is standard input.")
@click.option("--rule", "rules", multiple=True, metavar="RULE", help="A rule of map_by, such as email. Repeatable.")
@click.option("--unmapped", type=click.Choice(["skip", "default", "fail"]), help="What becomes of the unmapped.")
@click.option("--default", "default", metavar="NAME", help="Account or group that takes the place of the unmapped.")
@click.option("--pairs", metavar="FILE.csv", help="Explicit pairs as CSV; - is standard input.")
@groups_option
@json_option
@server_options
def add(
    name: str,
    document: str | None,
    rules: tuple[str, ...],
    unmapped: str | None,
    default: str | None,
    pairs: str | None,
    groups: bool,
    as_json: bool,
    url: str,
    token_file: str | None,
) -> None:
    """Save a map and print its id.

    \b
    Example:
      tallyport maps add --name people --rule email --rule name --pairs people.csv
    """
    body: dict[str, Any] = read_json(document) if document else {}
    if rules:
        body["map_by"] = dict.fromkeys(rules, True)
    if unmapped is not None:
        body["unmapped_policy"] = unmapped
    if default is not None:
        body["destination"] = {**(body.get("destination") or {}), "default": {"name": default}}
    content = None if pairs is None else read_bytes(pairs)
    with server(url, token_file) as client:
        chosen = _maps(client, groups)
        made = chosen.create(body, name=name)
        if content is not None:
            try:
                chosen.import_csv(made["id"], content)
            except BaseException:
                chosen.delete(made["id"])  # a map without the pairs it was made for is of no use
                raise
    click.echo(json.dumps(made) if as_json else made["id"])


@maps.command()
@click.argument("map_id", metavar="MAP")
@groups_option
@json_option
@server_options
def show(map_id: str, groups: bool, as_json: bool, url: str, token_file: str | None) -> None:
    """Show one map."""
    with server(url, token_file) as client:
        found = _maps(client, groups).get(map_id)
    if as_json:
        click.echo(json.dumps(found))
        return
    rules = ", ".join(rule for rule, holds in found.get("map_by", {}).items() if holds) or "none"
    click.echo(f"id        {found['id']}\nname      {line(found['name'])}\nrules     {rules}")
    click.echo(f"unmapped  {found.get('unmapped_policy', 'the default, where there is one, else skip')}")
    click.echo(f"pairs     {found['exceptions']['total_count']}")
    for side in SIDES:
        end = found.get(side) or {}
        if "default" in end:
            click.echo(f"default   {line(_who(end['default']))} ({side})")
        for one in end.get("exclusions", []):
            click.echo(f"excluded  {line(_who(one['sid']))} ({side})")


@maps.command("import")
@click.argument("map_id", metavar="MAP")
@click.argument("file", metavar="FILE.csv")
@click.option("--replace", is_flag=True, help="Put them in the place of all that are there.")
@groups_option
@server_options
def import_(map_id: str, file: str, replace: bool, groups: bool, url: str, token_file: str | None) -> None:
    """Add the explicit pairs of a CSV file, all of them or none."""
    content = read_bytes(file)
    with server(url, token_file) as client:
        count = _maps(client, groups).import_csv(map_id, content, append=not replace)
    click.echo(f"{count} pairs")


@maps.command()
@click.argument("map_id", metavar="MAP")
@groups_option
@server_options
def export(map_id: str, groups: bool, url: str, token_file: str | None) -> None:
    """Print the explicit pairs of a map as CSV."""
    with server(url, token_file) as client:
        click.echo(_maps(client, groups).export_csv(map_id), nl=False)


@maps.command()
@click.argument("map_id", metavar="MAP")
@click.argument("side", type=click.Choice(SIDES))
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@groups_option
@server_options
def exclude(map_id: str, side: str, names: tuple[str, ...], groups: bool, url: str, token_file: str | None) -> None:
    """Leave accounts or groups out of owners and grants, by name."""
    with server(url, token_file) as client:
        count = _maps(client, groups).exclude(map_id, side, [{"name": name} for name in names])
    click.echo(f"{count} excluded")


@maps.command()
@click.argument("map_id", metavar="MAP")
@groups_option
@server_options
def rm(map_id: str, groups: bool, url: str, token_file: str | None) -> None:
    """Remove a map that no job uses."""
    with server(url, token_file) as client:
        _maps(client, groups).delete(map_id)
    click.echo(f"removed {map_id}")


@maps.command()
@click.argument("job")
@json_option
@server_options
def resolved(job: str, as_json: bool, url: str, token_file: str | None) -> None:
    """Say who was met on the items of a job, and became whom."""
    with server(url, token_file) as client:
        found = list(client.resolutions(job))
    if as_json:
        click.echo(json.dumps({"security_map": found}))
        return
    rows = [
        (
            line(_who(one["source"])),
            one["resolution"],
            line(_who(one["destination"])) if one["destination"] else "-",
            one["permissions"],
            line(one["message"] or ""),
        )
        for one in found
    ]
    for text in table(("WHO", "HOW", "BECAME", "ITEMS", "WHY"), rows, right=(3,)):
        click.echo(text)


def read_bytes(name: str) -> bytes:
    """Read a file, or standard input for ``-``."""
    try:
        with click.open_file(name, "rb") as stream:
            return bytes(stream.read())
    except FileNotFoundError as error:
        raise Stop(Exit.NOT_FOUND, f"the file {line(name)} does not exist") from error
    except OSError as error:
        raise Stop(Exit.ERROR, f"cannot read {line(name)}: {error.strerror}") from error


def _maps(client: "Client", groups: bool) -> "Maps":
    return client.group_maps if groups else client.account_maps


def _who(principal: dict[str, str]) -> str:
    for text in ("name", "email", "username", "caption", "id"):
        if principal.get(text):
            return principal[text]
    return "-"
