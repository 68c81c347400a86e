"""``tallyport worker``."""

import click

from tallyport.cli.exits import Exit, Stop


@click.command()
@click.option("--database", metavar="URL", envvar="TALLYPORT_DATABASE", help="PostgreSQL that the server works on.")
def worker(database: str | None) -> None:
    """Run one more worker beside a server on PostgreSQL. Not in this release."""
    raise Stop(
        Exit.ERROR,
        "workers of their own come with PostgreSQL support, which is not in this release. "
        "`tallyport serve` carries in its own process; more movers: `tallyport serve --workers N`",
    )
