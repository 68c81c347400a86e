"""``tallyport worker``."""

import click

from tallyport.cli.exits import Exit, Stop, finish
from tallyport.cli.options import data_folder, labels_of, labels_option


@click.command()
@click.option(
    "--database",
    metavar="URL",
    envvar="TALLYPORT_DATABASE",
    show_envvar=True,
    help="PostgreSQL that the server works on: postgresql://USER@HOST/NAME",
)
@click.option("--data", metavar="DIR", default=None, help="Folder of this machine's key for connection secrets.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that carry. Default: one per core.")
@labels_option
def worker(database: str | None, data: str | None, workers: int | None, labels: tuple[str, ...]) -> None:
    """Run one more worker on the database of a server, on this machine or another.

    It takes batches of every job as they come, and may be stopped or killed at any time: what it held is worked by
    another. Clocks of machines need not agree. All of them need the same key for connection secrets. Jobs between
    connections with labels go to workers that have all of them.
    """
    from tallyport import app

    if database is None:
        raise Stop(Exit.USAGE, "a worker needs the server's database: --database postgresql://USER@HOST/NAME")
    if database.startswith("sqlite"):
        raise Stop(
            Exit.USAGE,
            "a SQLite ledger has one process at a time, and `tallyport serve` carries in its own: "
            "more movers there with `tallyport serve --workers N`; several machines need PostgreSQL",
        )
    finish(Exit(app.work(database, data_folder(data), workers, labels_of(labels))))
