"""The API over a large ledger while a job writes: a page of items, a new job, a stream of failed items."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tallyport.domain.connections import Connection
from tallyport.domain.jobs import Job
from tallyport.store import connections, executions, failures, items, jobs, rows
from tallyport.store.database import Database, open_database
from tallyport.store.ids import Ids
from tallyport.testing import trees
from tests.bench import programs

ROUNDS = 200  # requests of each kind
PAGE_GOAL, CREATE_GOAL = 0.100, 0.050  # seconds, at the 95th of a hundred
STREAM_GOAL = 20_000  # rows a second
GROWTH_GOAL = 30 * 10**6  # bytes that the server may hold more while it streams
FOLDER = 1_000  # items of one folder


class Figures:
    """What was measured."""

    def __init__(self) -> None:
        self.page: list[float] = []
        self.create: list[float] = []
        self.rows = 0.0
        self.growth = 0
        self.written = 0  # items the other job carried meanwhile

    def lines(self, count: int) -> list[list[str]]:
        """Arrange them beside their goals."""
        page, create = late(self.page), late(self.create)
        return [
            [f"over {count:,} items, a job writing", "median", "p95", "goal", ""],
            ["GET /v1/transfers/items, 100 items", *times(self.page), "p95 <= 100 ms", verdict(page <= PAGE_GOAL)],
            ["POST /v1/jobs", *times(self.create), "p95 <= 50 ms", verdict(create <= CREATE_GOAL)],
            [
                f"GET /Job/N/FailedItems, {count:,} rows",
                f"{self.rows:,.0f} rows/s",
                "",
                f">= {STREAM_GOAL:,} rows/s",
                verdict(self.rows >= STREAM_GOAL),
            ],
            [
                "memory of the server after the first fifth of it",
                f"+{self.growth / 1e6:.0f} MB",
                "",
                f"<= +{GROWTH_GOAL / 1e6:.0f} MB",
                verdict(self.growth <= GROWTH_GOAL),
            ],
            ["items the other job carried meanwhile", f"{self.written:,}", "", "> 0", verdict(self.written > 0)],
        ]


def measured(folder: str, count: int, say: Callable[[str], None]) -> Figures:
    """Fill a ledger with items, serve it, and measure while another job writes."""
    data = os.path.join(folder, "data")
    os.makedirs(data)
    tree = trees.bench_tree(
        os.path.join(folder, "source"), files=max(count // 5, 1_000), folders=100, smallest=1, largest=trees.KIB
    )
    database = open_database(f"sqlite:///{os.path.join(data, 'ledger.db')}")
    owner, run, ends = fill(database, folder, count)
    database.close()
    say(f"a ledger of {count:,} items, {os.path.getsize(os.path.join(data, 'ledger.db')) / 1e6:.0f} MB")
    figures = Figures()
    with serving(data) as (server, port, process):
        writer = ask(server, "POST", "/v1/jobs", body(ends, "the writer", start=True))["job"]["id"]
        say(f"a job that carries {tree.files:,} files beside")
        wait_until_it_writes(server, writer)
        cursors = [str(random.Random(1).randrange(1, count)) for _ in range(ROUNDS)]
        for number in range(ROUNDS):
            query = f"/v1/transfers/items?job={owner}&limit=100&cursor={cursors[number]}"
            figures.page.append(timed(server, "GET", query))
            figures.create.append(timed(server, "POST", "/v1/jobs", body(ends, f"job {number}")))
        figures.rows, figures.growth = streamed(port, server, run, count, process.pid)
        found = ask(server, "GET", f"/v1/jobs/{writer}?profile=flatfile")["data"]
        figures.written = int((found.get("result") or {}).get("transferred", 0))
    return figures


def fill(database: Database, folder: str, count: int) -> tuple[str, int, tuple[str, str]]:
    """Store a job whose every item failed in its one execution."""
    at = rows.now()
    ends = []
    ids = Ids(1)
    with database.begin() as tx:
        for name in ("source", "destination"):
            os.makedirs(os.path.join(folder, name), exist_ok=True)
            made = Connection(
                id=connections.new_id(),
                name=name,
                platform="fs",
                settings={"path": os.path.join(folder, name)},
                created_at=at,
                modified_at=at,
            )
            connections.add(tx, made)
            ends.append(made.id)
        values = {"source_connection": ends[0], "destination_connection": ends[1], "transfer_type": "copy"}
        block = body((ends[0], ends[1]), "large")["transfer"]
        job = jobs.add(tx, Job(id=jobs.new_id(), name="large", transfer=block, created_at=at, modified_at=at, **values))
        run = executions.add(tx, job_id=job.id, trigger="manual", policies="{}", state="ready")
        executions.move(tx, run.id, ("ready",), "executing")
        root = ids.take()
        items.upsert(tx, database, [folder_row(root, job.number, 0, b"", run.id)])
        items.add_containers(tx, database, [(root, job.number, 0, b"", b"", run.id)])
    told = "cannot read the file: permission denied"
    for start in range(0, count, FOLDER):
        inside = b"folder-%06d" % (start // FOLDER)
        with database.begin() as tx:
            parent = ids.take()
            items.upsert(tx, database, [folder_row(parent, job.number, root, inside, run.id)])
            items.add_containers(tx, database, [(parent, job.number, root, inside, inside, run.id)])
            new = ids.block(min(FOLDER, count - start))
            numbered = [(item, b"file-%06d.txt" % number) for number, item in enumerate(new)]
            denied = "permission_denied"
            tail = (None, None, None, None, 0, None, None, told, run.id, at)
            items.upsert(
                tx,
                database,
                [(item, job.number, parent, file, 1, 4, denied, 1, 512, 5, b"tag", *tail) for item, file in numbered],
            )
            failures.write(
                tx,
                database,
                [(run.id, item, inside + b"/" + file, 1, 4, denied, told, 512, 5, 1, at) for item, file in numbered],
            )
    with database.begin() as tx:
        executions.change(tx, run.id, failed=count, files=count)
        executions.move(tx, run.id, ("executing",), "complete", result="errors", phase="complete")
        tx.exec_driver_sql("ANALYZE")
    return job.id, run.id, (ends[0], ends[1])


def folder_row(item: int, job: int, parent: int, name: bytes, run: int) -> tuple[object, ...]:
    return (item, job, parent, name, 2, 1, "unchanged", 0, *(None,) * 7, 0, None, None, None, run, 1)


def body(ends: tuple[str, str], name: str, *, start: bool = False) -> dict[str, Any]:
    transfer = {
        "transfer_type": "copy",
        "source": {"connection": {"id": ends[0]}},
        "destination": {"connection": {"id": ends[1]}, "target": {"path": f"/{name.replace(' ', '-')}"}},
    }
    return {"name": name, "transfer": transfer} | ({"status": "start"} if start else {})


class Server:
    """One connection that is kept, as a client keeps it."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.line = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def send(self, method: str, path: str, document: object = None) -> bytes:
        self.line.request(method, path, None if document is None else json.dumps(document), self.headers)
        answer = self.line.getresponse()
        content = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {content[:500]!r}")
        return content


@contextmanager
def serving(data: str) -> Iterator[tuple[Server, int, subprocess.Popen[bytes]]]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("TALLYPORT_")}
    env["TALLYPORT_DATA"] = data
    add = [*programs.OURS, "users", "add", "bench", "--role", "admin", "--password-stdin"]
    subprocess.run(add, input=b"a-long-enough-password", env=env, check=True, stdout=subprocess.DEVNULL)
    token = subprocess.run(
        [*programs.OURS, "tokens", "create", "--user", "bench"], env=env, check=True, capture_output=True, text=True
    ).stdout.strip()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    process = subprocess.Popen([*programs.OURS, "serve", "--port", str(port)], env=env, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield Server(port, token), port, process
    finally:
        process.terminate()
        process.wait(60)


def ask(server: Server, method: str, path: str, document: object = None) -> Any:
    return json.loads(server.send(method, path, document))


def timed(server: Server, method: str, path: str, document: object = None) -> float:
    begun = time.perf_counter()
    server.send(method, path, document)
    return time.perf_counter() - begun


def wait_until_it_writes(server: Server, job: str) -> None:
    for _ in range(600):
        found = ask(server, "GET", f"/v1/jobs/{job}?profile=flatfile")["data"]
        result: object = found.get("result")
        if isinstance(result, dict) and result.get("transferred"):
            return
        time.sleep(0.1)
    raise RuntimeError("the job beside does not write")


def streamed(port: int, server: Server, run: int, count: int, pid: int) -> tuple[float, int]:
    """Read all failed items; give rows a second and how much more memory the server held."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    before = highest = seen = 0
    begun = time.perf_counter()
    line.request("GET", f"/Job/{run}/FailedItems", headers=server.headers)
    answer = line.getresponse()
    while block := answer.read(1 << 20):
        seen += block.count(b'"entity"')
        if seen < count // 5:  # until then the database fills its cache, which is bounded
            before = resident(pid)
        highest = max(highest, resident(pid))
    seconds = time.perf_counter() - begun
    if abs(seen - count) > count // 1_000:  # a key may lie across two blocks
        raise RuntimeError(f"{seen} rows of {count} came")
    return count / seconds, highest - before


def resident(pid: int) -> int:
    """Give the memory that one process holds."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as stream:
        return int(stream.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def late(seconds: list[float]) -> float:
    """Give the 95th of a hundred."""
    return sorted(seconds)[max(0, int(len(seconds) * 0.95) - 1)]


def times(seconds: list[float]) -> list[str]:
    return [f"{sorted(seconds)[len(seconds) // 2] * 1e3:.1f} ms", f"{late(seconds) * 1e3:.1f} ms"]


def verdict(is_met: bool) -> str:
    return "met" if is_met else "missed"


if __name__ == "__main__":
    sys.exit("run it as: python3 dev.py bench api")
