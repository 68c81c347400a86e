"""``tallyport tokens``: access tokens for the API."""

import json

import click

from tallyport.cli.options import data_option, json_option
from tallyport.cli.showing import moment, table


@click.group()
def tokens() -> None:
    """Make, list, rotate and revoke access tokens of a data folder."""


@tokens.command()
@click.option("--user", "name", required=True, metavar="NAME", help="Account the token speaks for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="S",
    help="Less than the role allows: read, run, manage, admin, audit. Repeatable.",
)
@click.option("--name", "label", metavar="TEXT", help="What it is for; shown in lists.")
@click.option("--days", type=click.IntRange(1, 3_650), help="It ends after so many days. Default: it does not end.")
@data_option
def create(name: str, scopes: tuple[str, ...], label: str | None, days: int | None, data: str | None) -> None:
    """Make a token and print it, alone, on standard output. It is shown this once; the ledger keeps its hash."""
    from tallyport.cli.users import accounts
    from tallyport.control import tokens as control
    from tallyport.control.desk import OWNER, Desk

    length = None if days is None else days * 24 * 60 * 60
    chosen = [word for scope in scopes for word in scope.split()]
    with accounts(data) as database:
        desk = Desk(database=database)
        made = control.create(desk, OWNER, user=name, name=label, scopes=chosen, expires_in=length)
    click.echo(made.text)


@tokens.command("list")
@click.option("--user", "name", metavar="NAME", help="Only of this account.")
@json_option
@data_option
def list_(name: str | None, as_json: bool, data: str | None) -> None:
    """List the tokens and sessions that hold, without their text."""
    from tallyport.cli.users import accounts
    from tallyport.control import tokens as control
    from tallyport.control.desk import OWNER, Desk
    from tallyport.store.users import Token

    found: list[Token] = []
    with accounts(data) as database:
        while page := control.page(Desk(database=database), OWNER, user=name, offset=len(found), limit=1_000)[0]:
            found += page
    if as_json:
        click.echo(json.dumps({"tokens": [one._asdict() for one in found]}))
        return
    rows = [
        (one.id, one.user, one.kind, one.name or "", one.scopes or "all", moment(one.used_at), moment(one.expires_at))
        for one in found
    ]
    for text in table(("ID", "USER", "KIND", "NAME", "SCOPES", "LAST USED (UTC)", "ENDS (UTC)"), rows):
        click.echo(text)


@tokens.command()
@click.argument("token")
@data_option
def rotate(token: str, data: str | None) -> None:
    """Put a new token in the place of the one with this id, which ends at once, and print it, alone."""
    from tallyport.cli.users import accounts
    from tallyport.control import tokens as control
    from tallyport.control.desk import OWNER, Desk

    with accounts(data) as database:
        made = control.rotate(Desk(database=database), token, OWNER)
    click.echo(made.text)


@tokens.command()
@click.argument("token")
@data_option
def revoke(token: str, data: str | None) -> None:
    """End the token with this id at once."""
    from tallyport.cli.users import accounts
    from tallyport.control import tokens as control
    from tallyport.control.desk import OWNER, Desk

    with accounts(data) as database:
        control.revoke(Desk(database=database), token, OWNER)
    click.echo(f"revoked {token}")
