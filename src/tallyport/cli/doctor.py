"""``tallyport doctor``: what could go wrong on this machine, before it does."""

import json
from collections.abc import Iterator
from pathlib import Path

import click

from tallyport.cli.exits import Exit, finish
from tallyport.cli.options import data_folder, data_option, json_option
from tallyport.control.doctor import SMALLEST_POSTGRES, Finding, machine


@click.command()
@json_option
@data_option
def doctor(as_json: bool, data: str | None) -> None:
    """Look for what could go wrong on this machine. Ends with 1 when something will not work."""
    findings = list(examine(data_folder(data)))
    if as_json:
        click.echo(json.dumps({"findings": [finding._asdict() for finding in findings]}))
    else:
        for finding in findings:
            click.echo(f"{finding.level:<8} {finding.topic:<10} {finding.text}")
    finish(Exit.ERROR if any(finding.level == "error" for finding in findings) else Exit.DONE)


def examine(data: Path) -> Iterator[Finding]:
    """Look at everything, one thing after the other."""
    from tallyport import app
    from tallyport.store import bundled_postgres

    yield from machine(data)
    url = app.database_url()
    if url is None and bundled_postgres.is_made(data):
        if (why := bundled_postgres.not_running(data)) is not None:
            yield Finding("note", "database", f"{why}; nothing else can be said of the ledger until then")
            return
        url = bundled_postgres.url(data)
    elif url is None:
        yield from _ledger(data)
        return
    if (data / "ledger.db").exists():
        yield Finding("note", "ledger", f"{data / 'ledger.db'} is not used: TALLYPORT_DATABASE names another database")
    yield from _shared(url)


def _shared(url: str) -> Iterator[Finding]:
    """Look at the shared database and the workers on it."""
    from tallyport.domain import labels
    from tallyport.domain.errors import TallyportError
    from tallyport.store import connections, rows, workers
    from tallyport.store.database import open_database

    try:
        database = open_database(url)
    except TallyportError as error:
        yield Finding("error", "database", error.message)
        return
    try:
        with database.read() as tx:
            version = int(tx.exec_driver_sql("SHOW server_version_num").scalar_one())
            apart = (rows.now() - workers.now(tx, database)) / 1e6
            found = workers.everyone(tx)
            now = workers.now(tx, database)
            named = connections.labelled(tx)
    finally:
        database.close()
    level = "ok" if version >= SMALLEST_POSTGRES else "error"
    yield Finding(level, "database", f"PostgreSQL {version // 10_000}.{version % 10_000}; 14 or newer is needed")
    if abs(apart) > 5:
        yield Finding(
            "note", "clock", f"this machine's clock is {apart:+.0f} s from the database's: times shown differ"
        )
    if not found:
        yield Finding("warning", "workers", "none: nothing is carried until `tallyport worker` runs somewhere")
    for worker in found:
        silent = (now - worker.beat_at) / 1e6
        level = "warning" if not -5 < silent <= 30 or worker.trouble else "ok"
        words = f"{worker.id}, {worker.width} wide, beat "
        words += f"{silent:.0f} s ago" if silent > -5 else "before the database's clock was set back"
        words += f", reaches {worker.labels}" if worker.labels else ""
        words += f": {worker.trouble}" if worker.trouble else ""
        yield Finding(level, "workers", words)
    able = [labels.read(one.labels) for one in found if now - one.beat_at <= 30_000_000 and not one.draining]
    for connection in named:
        if found and not any(labels.serves(one, connection.labels) for one in able):
            told = labels.lacking(connection.labels, able)
            yield Finding("warning", "workers", f"nobody reaches the connection {connection.name!r}: {told}")


def _ledger(data: Path) -> Iterator[Finding]:
    file = data / "ledger.db"
    if not file.exists():
        yield Finding("ok", "ledger", "none yet; the first run makes it")
        return
    from tallyport import app
    from tallyport.store import executions

    with app.open_store(data) as database, database.read() as tx:
        _, total = executions.page(tx, limit=1)
        opened = executions.opened(tx)
    yield Finding("ok", "ledger", f"{file.stat().st_size / 1e6:,.1f} MB, {total} runs")
    for run in opened:
        yield Finding(
            "note", "ledger", f"run {run.id} is {run.state}: `tallyport runs resume {run.id}` goes on with it"
        )
