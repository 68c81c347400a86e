"""The product as its users meet it: the command, the server, and what is left behind in the data folder."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tallyport.testing import faults
from tallyport.testing.servers import free_port

PROGRAM = [sys.executable, "-m", "tallyport"]
DONE, ERROR, USAGE, FAILED_ITEMS, STOPPED, INTERRUPTED = 0, 1, 2, 5, 6, 130
PASSWORD = "correct horse battery staple"  # every server under test is on loopback and lives for seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a command left: its exit status and its words."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def result(self) -> dict[str, Any]:
        """The last line of ``--json``."""
        lines = self.out.strip().splitlines()
        assert lines, f"nothing on standard output; status {self.status}; standard error:\n{self.err}"
        found = json.loads(lines[-1])
        assert isinstance(found, dict)
        return found

    def expect(self, *statuses: int) -> Ended:
        """Fail with everything that was said unless the status is one of these."""
        assert self.status in statuses, (
            f"status {self.status}, not {' or '.join(map(str, statuses))}\n{self.out}\n{self.err}"
        )
        return self


def environment(data: str, **more: str) -> dict[str, str]:
    """Give the variables a command runs under: none of ours from outside, and a data folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TALLYPORT_")}
    return {**kept, "TALLYPORT_DATA": data, "PYTHONWARNINGS": "default", **more}


def tallyport(
    *arguments: str,
    data: str,
    given: str | None = None,
    timeout: float = 240,
    prefix: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> Ended:
    """Run a command to its end."""
    begun = time.monotonic()
    done = subprocess.run(
        [*prefix, *PROGRAM, *arguments],
        env={**environment(data), **(env or {})},
        input=given,
        stdin=subprocess.DEVNULL if given is None else None,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=timeout,
        check=False,
    )
    return Ended(status=done.returncode, out=done.stdout, err=done.stderr, seconds=time.monotonic() - begun)


# Modes and owners travel only when asked for, as with the product we are compatible with. What is asked for also
# decides which way the engine takes, so that what must hold in any case is tried with both.
FAITHFUL = ["--policy", "permissions.policy=add", "--policy", "preserve_owners=true"]
PLAIN: list[str] = []


def copy(
    source: str, destination: str, *options: str, data: str, policies: Sequence[str] = FAITHFUL, **how: Any
) -> Ended:
    """Run ``tallyport copy``, by default so that everything travels that can; its result comes as JSON."""
    return tallyport("copy", source, destination, "--json", "-q", *policies, *options, data=data, **how)


class Refused(AssertionError):
    """An HTTP answer that is not a success."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"HTTP {status}: {body}")
        self.status = status
        self.body = body


class Server:
    """A running ``tallyport serve`` with an administrator's token."""

    def __init__(
        self,
        data: str,
        log: str,
        *,
        database: str | None = None,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.data = data
        self.options = options
        self.log = log
        self.database = database  # URL of a shared one
        self.env = {**(env or {}), **({"TALLYPORT_DATABASE": database} if database else {})}
        self.token = ""
        self.port = free_port()
        self.program: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *, patience: float = 60) -> float:
        """Start, wait until requests are served, and say how long that took."""
        begun = time.monotonic()
        with open(self.log, "ab") as log:
            self.program = faults.spawn(
                [
                    *(*PROGRAM, "serve", "--host", "127.0.0.1", "--port", str(self.port), "--data", self.data),
                    *self.options,
                ],
                env=environment(self.data, **self.env),
                stdout=log,
                stderr=log,
            )
        if not faults.wait_until(self.answers, patience):
            self.kill()
            raise AssertionError(f"the server did not answer within {patience} s:\n{self.words()}")
        return time.monotonic() - begun

    def answers(self) -> bool:
        """Tell whether the health check is good; fail if the server is gone."""
        assert self.program is not None
        assert self.program.poll() is None, f"the server ended with {self.program.returncode}:\n{self.words()}"
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def words(self) -> str:
        """Give the end of what the server said."""
        with open(self.log, errors="replace") as stream:
            return stream.read()[-4_000:]

    def stop(self) -> None:
        """Ask it to end, as a service manager does."""
        if self.program is not None and self.program.poll() is None:
            self.program.terminate()
            try:
                self.program.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError("the server did not end within 30 s of SIGTERM") from None
        self.program = None

    def kill(self, *, whole_group: bool = True) -> None:
        """Kill it with no warning."""
        if self.program is not None:
            faults.kill(self.program, whole_group=whole_group)
        self.program = None

    def sign_in(self) -> None:
        """Make an administrator and a token by the command line."""
        add = ["users", "add", "ada", "--role", "admin", "--password-stdin"]
        env = {"TALLYPORT_DATABASE": self.database} if self.database else {}
        tallyport(*add, data=self.data, given=PASSWORD + "\n", env=env).expect(DONE)
        made = tallyport("tokens", "create", "--user", "ada", data=self.data, env=env)
        self.token = made.expect(DONE).out.strip()
        assert re.fullmatch(r"\S+", self.token), f"not a token alone: {self.token!r}"

    def call(self, method: str, path: str, body: object = None, *, headers: Mapping[str, str] = {}) -> Any:
        """Make one request and return its JSON."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token}",
                "Accept": "application/json",
                "Content-Type": "application/json",
                **headers,
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            raise Refused(refusal.code, refusal.read().decode("utf-8", "replace")) from None

    def connect(self, name: str, path: str) -> str:
        """Make a connection to a folder and return its id."""
        body = {"name": name, "platform": {"id": "fs"}, "auth": {"path": path}}
        return str(self.call("POST", "/v1/connections", body)["connection"]["id"])

    def job(self, source: str, destination: str, **transfer: object) -> str:
        """Make a copy job between two folders and return its id."""
        body = {
            "name": "acceptance",
            "kind": "transfer",
            "transfer": {
                "transfer_type": "copy",
                "permissions": {"policy": "add"},
                "preserve_owners": True,
                "source": {"connection": {"id": self.connect("from", source)}, "target": {"path": "/"}},
                "destination": {
                    "connection": {"id": self.connect("to", destination)},
                    "target": {"path": "/"},
                },
                **transfer,
            },
            "schedule": {"mode": "manual"},
        }
        return str(self.call("POST", "/v1/jobs", body)["job"]["id"])

    def begin(self, job: str) -> None:
        """Start a job."""
        self.call("PATCH", f"/v1/jobs/{job}?start=1")

    def state(self, job: str) -> dict[str, Any]:
        """Give the Flatfile view of a job: one word of status, whatever runs or ran last."""
        found = self.call("GET", f"/v1/jobs/{job}")["data"]
        assert isinstance(found, dict)
        return found

    def wait(self, job: str, *, patience: float = 240, pause: float = 0.1) -> dict[str, Any]:
        """Wait until the job's execution has ended, and return the job; to look costs the server, each time."""
        end = time.monotonic() + patience
        while True:
            state = self.state(job)
            if state["status"] in ("complete", "failed", "canceled"):
                return state
            assert time.monotonic() < end, f"still {state['status']} after {patience} s: {state}\n{self.words()}"
            time.sleep(pause)

    def items(self, job: str) -> Iterator[dict[str, Any]]:
        """Page through all item records of a job."""
        path = f"/v1/transfers/items?job={job}&limit=1000"
        while path:
            page = self.call("GET", path)
            yield from page["item"]
            following = page["meta"].get("links", {}).get("next") if page["meta"].get("has_more") else None
            path = re.sub(r"^https?://[^/]+", "", following["href"]) if following else ""


class Worker:
    """A running ``tallyport worker``."""

    def __init__(
        self,
        data: str,
        log: str,
        database: str,
        *options: str,
        patience: float = 30.0,
        prefix: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        more = {"TALLYPORT_DATABASE": database, "TALLYPORT_WORKER_PATIENCE": str(patience), **(env or {})}
        with open(log, "ab") as output:
            self.program = faults.spawn(
                [*prefix, *PROGRAM, "worker", *options],
                env=environment(data, **more),
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        """Kill it and its movers with no warning."""
        for process in family(self.program.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.program.wait()

    def freeze(self) -> None:
        """Stop it and its movers as a machine that hangs does."""
        for process in family(self.program.pid):
            os.kill(process, signal.SIGSTOP)

    def thaw(self) -> None:
        for process in family(self.program.pid):
            os.kill(process, signal.SIGCONT)

    def stop(self) -> int:
        """Ask it to end, as a service manager does, and give its status."""
        self.program.terminate()
        return self.program.wait(60)


def family(pid: int) -> list[int]:
    """Give a process and all below it."""
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as stream:
        children = [int(word) for word in stream.read().split()]
    return [pid, *(one for child in children for one in family(child))]


@contextlib.contextmanager
def serving(folder: str) -> Iterator[Server]:
    """Run a server on a data folder below ``folder``, with an administrator signed in."""
    data = os.path.join(folder, "data")
    os.makedirs(data, exist_ok=True)
    server = Server(data, os.path.join(folder, "server.log"))
    server.start()
    try:
        server.sign_in()
        yield server
    finally:
        server.kill()


# What is in the ledger


def ledger_file(data: str) -> str:
    """Find the database of a data folder: the one that has a table of items."""
    for path in sorted(glob.glob(os.path.join(glob.escape(data), "**"), recursive=True)):
        if os.path.isfile(path) and is_database(path):
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
                if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'items'").fetchone():
                    return path
    raise AssertionError(f"no ledger below {data}: {os.listdir(data)}")


def is_database(path: str) -> bool:
    with open(path, "rb") as stream:
        return stream.read(16) == b"SQLite format 3\0"


def rows(data: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Ask the ledger, without the product."""
    uri = f"file:{ledger_file(data)}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=30)) as database:
        return database.execute(statement, values).fetchall()


def item_counts(data: str) -> dict[int, int]:
    """Count the item rows by status, the roots of jobs left out."""
    counted = rows(data, "SELECT status, count(*) FROM items WHERE parent_id <> 0 GROUP BY status")
    return dict(counted)


def totals(data: str) -> dict[str, int]:
    """Give the totals of the newest execution."""
    names = [
        "id",
        "files",
        "folders",
        "transferred",
        "unchanged",
        "skipped",
        "failed",
        "deleted",
        "writes",
        "pending",
    ]
    values = rows(data, f"SELECT {', '.join(names)} FROM executions ORDER BY id DESC LIMIT 1")[0]
    return dict(zip(names, values, strict=True))


def failed_items(data: str) -> list[dict[str, Any]]:
    """List the failed items of the last run, as the command does."""
    listed = json.loads(tallyport("failed", "last", "--format", "json", data=data).expect(DONE).out)
    assert isinstance(listed, list)
    return listed


SUCCESS, RETRY, FLAGGED, SKIPPED = 1, 3, 4, 5  # domain.items.Status, as stored


def reasons(data: str) -> list[tuple[str, str]]:
    """Give the name and the reason of each item that failed, from the ledger."""
    listed = rows(data, "SELECT name, reason FROM items WHERE status IN (3, 4) ORDER BY name")
    return [(os.fsdecode(name), reason) for name, reason in listed]


def text(path: str) -> str:
    """Give the content of a file, as text."""
    with open(path, errors="replace") as stream:
        return stream.read()


# Root may read and write everything; without these two rights it is bound by modes like anybody else.
AS_ANYBODY = (
    ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"]
    if os.geteuid() == 0
    else []
)
