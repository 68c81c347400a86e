"""``tallyport serve``."""

import click

from tallyport.cli.exits import Exit, finish
from tallyport.cli.options import data_folder, labels_of, labels_option


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=9090, show_default=True, help="Port to listen on.")
@click.option(
    "--data", metavar="DIR", default=None, help="Folder of the ledger. Default: TALLYPORT_DATA, else the user's."
)
@click.option(
    "--database",
    metavar="URL",
    envvar="TALLYPORT_DATABASE",
    show_envvar=True,
    help="Database instead of the SQLite file in the data folder.",
)
@click.option(
    "--bundled-postgres",
    is_flag=True,
    help="Run a PostgreSQL in the data folder instead of the SQLite file. Needs tallyport[bundled-postgres].",
)
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that carry. Default: one per core.")
@labels_option
@click.option("--no-worker", is_flag=True, help="Serve the API alone; other processes carry.")
def serve(
    host: str,
    port: int,
    data: str | None,
    database: str | None,
    bundled_postgres: bool,
    workers: int | None,
    labels: tuple[str, ...],
    no_worker: bool,
) -> None:
    """Run the server: API, scheduler and workers in one process.

    It answers `GET /healthz` without a token as soon as it serves. Accounts and tokens: `tallyport users add`,
    `tallyport tokens create`.
    """
    from tallyport import app

    if workers is not None and no_worker:
        raise click.UsageError("--workers and --no-worker exclude each other")
    if bundled_postgres and database is not None:
        raise click.UsageError("--bundled-postgres and --database (or TALLYPORT_DATABASE) exclude each other")
    code = app.serve(
        *(host, port, data_folder(data)),
        database_url=database,
        workers=workers,
        no_worker=no_worker,
        labels=labels_of(labels),
        bundled_postgres=bundled_postgres,
    )
    finish(Exit(code))
