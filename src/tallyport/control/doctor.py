"""What could go wrong on this machine, before it does."""

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

from tallyport import __version__
from tallyport.control.desk import Desk
from tallyport.store import bundled_postgres, executions

WAL_RESET_FIXED = (3, 51, 3)  # before, two writers on one file could lose a commit in a race
SMALLEST_SQLITE = (3, 35, 0)  # RETURNING
SMALLEST_POSTGRES = 140_000  # as the server numbers itself
LEAST_FREE = 256 * 1024 * 1024
NO_ROOM = 16 * 1024 * 1024
LEAST_FILES = 1024
PACKAGES = ("sqlalchemy", "click", "msgspec", "xxhash", "fastapi", "uvicorn", "dbos", "httpx2", "cryptography")


class Finding(NamedTuple):
    """One thing looked at: ``ok``, ``note`` (good to know), ``warning`` or ``error``."""

    level: str
    topic: str
    text: str


def machine(data: Path) -> Iterator[Finding]:
    """Look at this machine and at the data folder, one thing after the other."""
    yield Finding("ok", "tallyport", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
    yield Finding("ok", "packages", ", ".join(_packages()))
    yield sqlite_version(sqlite3.sqlite_version_info)
    for look in LOOKS:
        yield from look(data)


def examine(desk: Desk) -> Iterator[Finding]:
    """Look at the machine that serves, and at its ledger."""
    path = desk.database.path
    if path is not None:
        yield from machine(Path(path).parent)
    else:
        yield Finding("ok", "tallyport", f"{__version__}, Python {platform.python_version()}, {platform.platform()}")
        yield Finding("ok", "packages", ", ".join(_packages()))
        yield Finding("ok", "database", "PostgreSQL, shared; `tallyport doctor` looks at its workers")
    if desk.database.trouble is not None:
        yield Finding("error", "ledger", desk.database.trouble)
    with desk.database.read() as tx:
        _, total = executions.page(tx, limit=1)
        opened = len(executions.opened(tx))
    yield Finding("ok", "ledger", f"{total} runs, {opened} of them under way")


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
    if free < NO_ROOM:
        text = f"{data}: {free / 1e6:,.1f} MB are free, too little for the ledger: transfers wait until there is room"
        yield Finding("error", "data", text)
    else:
        yield Finding("warning" if free < LEAST_FREE else "ok", "data", f"{data}, {free / 1e9:,.1f} GB free")
    kind = file_system(place)
    if kind in ("nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p"):
        yield Finding(
            "error", "data", f"{data} is on {kind}: SQLite's log needs a local disk. Choose a local folder by --data"
        )
    elif kind in ("tmpfs", "ramfs"):
        yield Finding("warning", "data", f"{data} is on {kind}: the ledger is gone after a restart of the machine")
    mode = 0o711 if bundled_postgres.is_made(data) else 0o700  # PostgreSQL's account passes through
    if data.exists() and data.stat().st_mode & 0o777 & ~mode:
        yield Finding("warning", "data", f"others than its owner may look into {data}: chmod {mode:o} {data}")


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


LOOKS: tuple[Callable[[Path], Iterator[Finding]], ...] = (_folder, _limits, _encoding)


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
