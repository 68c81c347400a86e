"""``tallyport doctor``: what could go wrong on this machine, before it does."""

import json
import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from pathlib import Path
from typing import NamedTuple

import click

from tallyport import __version__
from tallyport.cli.exits import Exit, finish
from tallyport.cli.options import data_folder, data_option, json_option

WAL_RESET_FIXED = (3, 51, 3)  # before, two writers on one file could lose a commit in a race
SMALLEST_SQLITE = (3, 35, 0)  # RETURNING
SMALLEST_POSTGRES = 140_000  # as the server numbers itself
LEAST_FREE = 256 * 1024 * 1024
LEAST_FILES = 1024
PACKAGES = ("sqlalchemy", "click", "msgspec", "xxhash", "fastapi", "uvicorn", "dbos", "httpx2", "cryptography")


class Finding(NamedTuple):
    """One thing looked at: ``ok``, ``note`` (good to know), ``warning`` or ``error``."""

    level: str
    topic: str
    text: str


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
    yield Finding("ok", "tallyport", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield Finding("ok", "packages", ", ".join(_packages()))
    yield sqlite_version(sqlite3.sqlite_version_info)
    for look in LOOKS:
        yield from look(data)


def sqlite_version(found: tuple[int, ...]) -> Finding:
    """Judge the version of SQLite."""
    shown = ".".join(map(str, found))
    if found < SMALLEST_SQLITE:
        return Finding(
            "error", "sqlite", f"{shown} is too old: {'.'.join(map(str, SMALLEST_SQLITE))} or newer is needed"
        )
    if found < WAL_RESET_FIXED:
        return Finding(
            "note",
            "sqlite",
            f"{shown} can lose a commit when two processes write one file (repaired in 3.51.3). Tallyport writes from "
            "one process, which its lock ensures: do not write to ledger.db with other programs while it runs",
        )
    return Finding("ok", "sqlite", shown)


def _packages() -> Iterator[str]:
    for name in PACKAGES:
        try:
            yield f"{name} {installed(name)}"
        except PackageNotFoundError:
            yield f"{name} missing"


def _folder(data: Path) -> Iterator[Finding]:
    place = next(folder for folder in (data, *data.parents) if folder.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding("error", "data", f"{data}: {place} cannot be written by this account")
        return
    free = shutil.disk_usage(place).free
    level = "warning" if free < LEAST_FREE else "ok"
    yield Finding(level, "data", f"{data}, {free / 1e9:,.1f} GB free")
    kind = file_system(place)
    if kind in ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p"):
        yield Finding(
            "error", "data", f"{data} is on {kind}: SQLite's log needs a local disk. Choose a local folder by --data"
        )
    elif kind in ("tmpfs", "ramfs"):
        yield Finding("warning", "data", f"{data} is on {kind}: the ledger is gone after a restart of the machine")
    if data.exists() and data.stat().st_mode & 0o077:
        yield Finding("warning", "data", f"others than its owner may look into {data}: chmod 700 {data}")


def _shared(_data: Path) -> Iterator[Finding]:
    """Look at the shared database and the workers on it."""
    from tallyport import app

    url = app.database_url()
    if url is None:
        return
    from tallyport.domain.errors import TallyportError
    from tallyport.store import rows, workers
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
        level = "warning" if silent > 30 or worker.trouble else "ok"
        words = f"{worker.id}, {worker.width} wide, beat {silent:.0f} s ago"
        words += f", reaches {worker.labels}" if worker.labels else ""
        words += f": {worker.trouble}" if worker.trouble else ""
        yield Finding(level, "workers", words)


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


def _limits(_data: Path) -> Iterator[Finding]:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    level = "warning" if soft < LEAST_FILES else "ok"
    yield Finding(level, "limits", f"{soft} open files (at most {hard}), {len(os.sched_getaffinity(0))} cores")
    size, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if size != resource.RLIM_INFINITY:
        yield Finding(
            "warning", "limits", f"files may not grow beyond {size:,} bytes (ulimit -f): larger ones will fail"
        )
    if os.geteuid() != 0:
        yield Finding(
            "note", "account", "not root: owners of files cannot be kept, and unreadable files will be reported"
        )


def _encoding(_data: Path) -> Iterator[Finding]:
    name = sys.getfilesystemencoding()
    if name.lower() != "utf-8":
        yield Finding("warning", "encoding", f"file names are read as {name}: set LANG=C.UTF-8")
    else:
        yield Finding("ok", "encoding", name)


LOOKS: tuple[Callable[[Path], Iterator[Finding]], ...] = (_folder, _ledger, _shared, _limits, _encoding)


def file_system(place: Path) -> str:
    """Give the type of the file system a folder is on, empty when the system does not say."""
    real = os.path.realpath(place)
    best, kind = "", ""
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as stream:
            for entry in stream:
                _, point, found, *_ = entry.split(" ")
                point = point.replace("\\040", " ")
                inside = real == point or real.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best):
                    best, kind = point, found
    except OSError:
        return ""
    return kind
