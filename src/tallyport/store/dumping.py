"""A backup of a ledger on PostgreSQL, made by PostgreSQL's own ``pg_dump``: one picture, beside whoever works on it.

The programs are looked for on ``PATH``, where systems keep them beside each other by version, and in the wheel of the
bundled PostgreSQL. The oldest that knows the server is taken, since no older ``pg_restore`` reads what a newer
``pg_dump`` wrote.
"""

import glob
import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.store.bundled_postgres import WHEEL
from tallyport.store.database import Database, with_driver

_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
_DISPOSABLE = "dbos"  # schema of the dispatcher: made again from our tables


class Program(NamedTuple):
    """A ``pg_dump`` of this machine."""

    major: int
    path: str


def dump(database: Database, target: str) -> str:
    """Write the whole ledger into a new file that ``pg_restore`` reads; gives the program that did.

    ``CONFIG`` when no program of this machine fits the server, or what it says when it fails.
    """
    with database.read() as tx:
        server = int(tx.exec_driver_sql("SHOW server_version_num").scalar_one()) // 10_000
    program = fitting(server, found(candidates()))
    conninfo, secret = connecting(database.url)
    command = [program.path, "--format=custom", "--no-password", "--lock-wait-timeout=60s"]
    command += [f"--exclude-schema={_DISPOSABLE}", f"--dbname={conninfo}"]
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.PIPE,
            env={**os.environ, **secret},
            check=False,
        )
        if done.returncode != 0:
            said = " / ".join(done.stderr.decode("utf-8", "replace").strip().splitlines()[-3:])
            raise TallyportError(
                ErrorKind.CONFIG, f"{program.path} failed: {said or f'it ended with {done.returncode}'}"
            )
        stream.flush()
        os.fsync(stream.fileno())
    return program.path


def connecting(url: str) -> tuple[str, dict[str, str]]:
    """Give what ``pg_dump`` is told on its command line, and in its environment: the password, which nobody may see."""
    from psycopg.conninfo import make_conninfo
    from sqlalchemy import make_url

    parsed = make_url(with_driver(url))
    _, options = parsed.get_dialect()().create_connect_args(parsed)
    if "sslpassword" in options:
        raise TallyportError(
            ErrorKind.CONFIG,
            "the database URL holds sslpassword, which pg_dump takes on its command line alone, where others see it: "
            "call pg_dump by a service file (PGSERVICEFILE)",
        )
    password = options.pop("password", None)
    return make_conninfo(**options), {} if password is None else {"PGPASSWORD": str(password)}


def candidates() -> Iterator[str]:
    """Give every ``pg_dump`` there may be, each once."""
    places = [os.path.join(place, "pg_dump") for pattern in _PLACES for place in sorted(glob.glob(pattern))]
    wheel = importlib.util.find_spec(WHEEL)
    if wheel is not None and wheel.submodule_search_locations:
        places.append(str(Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin" / "pg_dump"))
    first = shutil.which("pg_dump")
    yield from dict.fromkeys(path for path in (first, *places) if path is not None and os.access(path, os.X_OK))


def found(paths: Iterable[str]) -> list[Program]:
    """Give those that run, with their versions."""
    programs: list[Program] = []
    for path in paths:
        try:
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=30).stdout
        except (OSError, subprocess.TimeoutExpired):
            continue
        version = re.search(r"\s(\d+)", said)
        if version is not None:
            programs.append(Program(int(version.group(1)), path))
    return programs


def fitting(server: int, programs: Iterable[Program]) -> Program:
    """Give the oldest program that knows a server of this major version; ``CONFIG``, with what to do, without one."""
    programs = list(programs)
    able = [program for program in programs if program.major >= server]
    if able:
        return min(able, key=lambda program: program.major)  # the first of several of one version
    there = ", ".join(f"{program.path} is of version {program.major}" for program in programs) or "there is none"
    raise TallyportError(
        ErrorKind.CONFIG,
        f"the ledger is on PostgreSQL {server}: its backup needs a pg_dump of version {server} or newer, and {there}. "
        f"Install one (Debian: apt-get install postgresql-client-{server}), put it on PATH, or take the one of "
        "pip install 'tallyport[bundled-postgres]'",
    )
