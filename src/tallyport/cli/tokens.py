"""``tallyport tokens``: access tokens for the API."""

import click

from tallyport.cli.options import data_option


@click.group()
def tokens() -> None:
    """Make an access token for an account."""


@tokens.command()
@click.option("--user", "name", required=True, metavar="NAME", help="Account the token speaks for.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="S",
    help="Less than the role allows: read, run, manage, admin, audit. Repeatable.",
)
@data_option
def create(name: str, scopes: tuple[str, ...], data: str | None) -> None:
    """Make a token and print it, alone, on standard output. It is shown this once; the ledger keeps its hash."""
    from tallyport.cli.users import accounts
    from tallyport.control.users import create_token

    with accounts(data) as database:
        token = create_token(database, name, " ".join(scopes))
    click.echo(token)
