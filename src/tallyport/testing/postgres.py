"""A PostgreSQL server for tests: on loopback, a free port, a folder of its own, gone with the process."""

import contextlib
import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from typing import Any

from tallyport.testing.servers import free_port

USER = "tallyport"
_SETTINGS = (
    "fsync=off",  # the machine is not going to lose power in a test
    "full_page_writes=off",
    "max_connections=200",
    "shared_buffers=64MB",
    "unix_socket_directories=",
    "log_min_messages=fatal",
)


def binaries() -> str | None:
    """Give the folder of the newest PostgreSQL programs on this machine, or None."""
    found = glob.glob("/usr/lib/postgresql/*/bin/postgres") or glob.glob("/usr/pgsql-*/bin/postgres")
    newest = max(found, key=lambda path: int("".join(filter(str.isdigit, path.split("/bin/")[0])) or 0), default=None)
    newest = newest or shutil.which("postgres")
    return None if newest is None else os.path.dirname(os.path.realpath(newest))


class PostgresServer:
    """One server. ``url(name)`` names a database on it; ``stop`` and ``start`` make outages."""

    def __init__(self, folder: str) -> None:
        found = binaries()
        if found is None:
            raise RuntimeError("no PostgreSQL on this machine: install it (Debian: apt-get install postgresql)")
        self._programs = found
        self._data = os.path.join(folder, "data")
        self._process: subprocess.Popen[bytes] | None = None
        self._account = _account()
        os.mkdir(self._data, 0o700)
        if self._account is not None:
            os.chmod(folder, 0o755)
            os.chown(self._data, self._account.pw_uid, self._account.pw_gid)
        self._run("initdb", "-D", self._data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        self.port = free_port()

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = [part for setting in _SETTINGS for part in ("-c", setting)]
        self._process = subprocess.Popen(
            [
                os.path.join(self._programs, "postgres"),
                *("-D", self._data, "-h", "127.0.0.1", "-p", str(self.port)),
                *options,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._data,
            **self._identity(),
        )
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise RuntimeError(f"PostgreSQL ended with status {self._process.returncode}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                if self._answers():
                    return
            time.sleep(0.02)
        raise RuntimeError("PostgreSQL did not answer within 30 s")

    def stop(self, *, at_once: bool = True) -> None:
        """Stop; ``at_once`` cuts every connection, as an outage does."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
            process.wait(30)

    def create(self, name: str | None = None) -> str:
        """Make a database and give its URL."""
        import psycopg

        name = name or f"t{uuid.uuid4().hex[:16]}"
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{name}"

    def conninfo(self, name: str) -> str:
        return f"host=127.0.0.1 port={self.port} user={USER} dbname={name}"

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.conninfo("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        command = [os.path.join(self._programs, program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd="/", **self._identity())

    def _identity(self) -> dict[str, Any]:  # PostgreSQL refuses to run as root
        if self._account is None:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        server = PostgresServer(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("root cannot run PostgreSQL, and there is no other account")
