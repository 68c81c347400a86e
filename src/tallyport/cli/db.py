"""``tallyport db``: care for the database of a data folder."""

import contextlib
import os
import sqlite3
from typing import TYPE_CHECKING

import click

from tallyport.cli.exits import Exit, Stop
from tallyport.cli.options import data_option, ledger
from tallyport.cli.showing import line, size

if TYPE_CHECKING:
    from tallyport.store.database import Database

_PAGES = 4_096  # copied at a time: a writer waits at most for so many


@click.group()
def db() -> None:
    """Back up, move and upgrade the ledger."""


@db.command()
@click.argument("file", type=click.Path(path_type=str))
@click.option("--force", is_flag=True, help="Replace FILE when it exists.")
@data_option
def backup(file: str, force: bool, data: str | None) -> None:
    """Copy the ledger to FILE, whole and consistent, while a server or a run works on it.

    To restore: stop everything that uses the data folder, put FILE in the place of its database, and start again. The
    next run of each job then looks at both sides as if for the first time.

    On PostgreSQL it is pg_dump that does it, of the server's version or newer; pg_restore loads FILE.
    """

    if os.path.exists(file) and not force:
        raise Stop(Exit.ERROR, f"{line(file)} exists: choose another name, or --force")
    with ledger(data) as database:
        taken = _dump(database, file) if database.path is None else _copy(database.path, file)
    click.echo(f"{line(file)}: {size(taken)}")


@db.command(name="copy")
@click.option("--to", "url", required=True, metavar="URL", help="Empty database: postgresql://USER@HOST/NAME")
@data_option
def copy_to(url: str, data: str | None) -> None:
    """Copy the ledger of a data folder to PostgreSQL, to go on there.

    Nothing may work on the data folder meanwhile. A run that was under way goes on from where it was, once a server
    or a worker is started with --database. The data folder stays as it is; keep it, or its secret.key, for the key of
    connection secrets. From one PostgreSQL to another: `db backup`, pg_restore, and `db trust` there.
    """
    from tallyport import app
    from tallyport.store import bundled_postgres
    from tallyport.store.database import open_database
    from tallyport.store.moving import move

    folder = app.data_folder(data)
    if app.database_url() is not None or bundled_postgres.is_made(folder):
        raise Stop(
            Exit.ERROR,
            "the ledger is on PostgreSQL: call `tallyport db backup FILE` while nothing works on it, load FILE into "
            "the other database by pg_restore, and call `tallyport db trust` there. To copy a data folder that is on "
            "SQLite, unset TALLYPORT_DATABASE",
        )
    if not (folder / "ledger.db").exists():
        raise Stop(Exit.NOT_FOUND, f"there is no ledger in {folder}: name its data folder by --data")

    def told(table: str, rows: int) -> None:
        if rows:
            click.echo(f"{table:<16} {rows:>12,}", err=True)

    with app.owned(folder), app.open_store(folder) as source, contextlib.closing(open_database(url)) as target:
        total = move(source, target, told)
    click.echo(f"{total:,} rows copied. Go on with: TALLYPORT_DATABASE=... tallyport serve")


@db.command()
@data_option
def trust(data: str | None) -> None:
    """Say that this ledger is the newest, although it was moved.

    A ledger that was dumped and loaded, or whose file was copied, is taken for an older one that was restored: the
    next run of each job looks at both sides as if for the first time. Call this before the first start to spare that,
    only when nothing worked on the original since.
    """
    from tallyport.store import identity

    with ledger(data) as database, database.begin() as tx:
        identity.confirm(tx, database)
    click.echo("the ledger counts as the newest")


@db.command()
@data_option
def distrust(data: str | None) -> None:
    """Say that this ledger is an older one that was restored.

    After a recovery to a point in time, or a snapshot of the disk: nothing else tells the ledger. The next start has
    every job look at both sides as if for the first time. `db backup` and `pg_dump` do not need it.
    """
    from tallyport.store import identity

    with ledger(data) as database, database.begin() as tx:
        identity.distrust(tx)
    click.echo("the next start looks at the world again")


@db.command()
@data_option
def check(data: str | None) -> None:
    """Look whether the ledger is sound, and set right what it counts by itself.

    On SQLite nothing may work on the data folder meanwhile; on PostgreSQL servers and workers may go on.
    """
    from tallyport import app
    from tallyport.store import jobs, unresolved

    with contextlib.ExitStack() as held:
        if app.database_url() is None and (app.data_folder(data) / "ledger.db").exists():
            held.enter_context(app.owned(app.data_folder(data)))
        database = held.enter_context(ledger(data))
        with database.begin() as tx:
            if database.is_sqlite:
                verdict = tx.exec_driver_sql("PRAGMA quick_check").scalar()
                if verdict != "ok":
                    raise Stop(Exit.ERROR, f"the ledger is damaged: {verdict}. Put a backup in its place")
            differing = unresolved.recount(tx, database)
            names = [jobs.numbered(tx, one.job) for one in differing]
        for one, job in zip(differing, names, strict=True):
            name = f"job number {one.job}" if job is None else line(job.name)
            click.echo(f"{name}: {one.found:,} items are failed, not {one.kept:,}: set right", err=True)
        click.echo("the ledger is sound" if not differing else f"set right in {len(differing):,} jobs")


@db.command()
@data_option
def migrate(data: str | None) -> None:
    """Bring the ledger to the schema of this release. Every start does it too; this does nothing else."""
    from tallyport.store.database import HEAD

    with ledger(data):
        click.echo(f"the ledger has schema {HEAD}")


def _dump(database: "Database", target: str) -> int:
    from tallyport.store import dumping

    temporary = f"{target}.{os.getpid()}.part"
    try:
        dumping.dump(database, temporary)
        taken = os.stat(temporary).st_size
        os.replace(temporary, target)
    except OSError as error:
        raise Stop(Exit.ERROR, f"cannot back up to {line(target)}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    return taken


def _copy(source: str, target: str) -> int:
    temporary = f"{target}.{os.getpid()}.part"
    try:
        with (
            contextlib.closing(sqlite3.connect(f"file:{_quoted(source)}?mode=ro", uri=True)) as old,
            contextlib.closing(sqlite3.connect(temporary)) as new,
        ):
            old.backup(new, pages=_PAGES, sleep=0.01)
            # One file that holds everything: no write-ahead log beside it.
            new.execute("PRAGMA journal_mode=DELETE")
            _mark(new)
            verdict = new.execute("PRAGMA quick_check").fetchone()[0]
        if verdict != "ok":
            raise Stop(Exit.ERROR, f"the copy is not sound, and was not kept: {verdict}")
        with open(temporary, "rb") as stream:
            os.fsync(stream.fileno())
            taken = os.fstat(stream.fileno()).st_size
        os.replace(temporary, target)
    except (OSError, sqlite3.Error) as error:
        raise Stop(Exit.ERROR, f"cannot back up to {line(target)}: {error}") from error
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    return taken


def _mark(copy: sqlite3.Connection) -> None:
    """Have the copy know that it is one: put in the place of its original, it looks at the world again."""
    from tallyport.store.identity import BACKUP

    with copy:
        copy.execute("DELETE FROM identity")
        copy.execute("INSERT INTO identity (id, text) VALUES (1, ?)", (BACKUP,))


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(os.fsencode(os.path.abspath(path)))
