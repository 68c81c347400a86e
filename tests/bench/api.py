"""The API over a large ledger while a job writes: pages of items, new jobs, streams of failed items.

The ledger is made once (``tests.bench.ledgers``), kept in the bench folder, and copied for each run.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tallyport.testing.servers import free_port
from tests.bench import ledgers, programs
from tests.bench.ledgers import Ledger

ROUNDS = 100  # requests of each kind
PAGE_GOAL, CREATE_GOAL = 0.100, 0.050  # seconds, at the 95th of a hundred
STREAM_GOAL = 20_000  # rows a second
GROWTH_GOAL = 30 * 10**6  # bytes that the server may hold more while it streams
SKIPPED = 100_000  # most items that an offset passes over
FORMS = {"JSON": "application/json", "XML": "application/xml", "CSV": "text/csv"}
MARKS = {"JSON": b'"entity"', "XML": b"<failedItems ", "CSV": b"\r\n"}


class Stream(NamedTuple):
    """What one stream of all failed items cost."""

    rate: float  # rows a second
    growth: int  # bytes that the server held more


class Figures:
    """What was measured."""

    def __init__(self) -> None:
        self.pages: dict[str, list[float]] = {}
        self.create: list[float] = []
        self.streams: dict[str, Stream] = {}
        self.written = 0  # items the other job carried meanwhile
        self.is_writing = False  # it did so until the end

    def lines(self, count: int) -> list[list[str]]:
        """Arrange them beside their goals."""
        found = [[f"over {count:,} items, a job writing", "median", "p95", "goal", ""]]
        for name, seconds in self.pages.items():
            is_met = late(seconds) <= PAGE_GOAL
            found.append([f"100 items {name}", *times(seconds), "p95 <= 100 ms", verdict(is_met)])
        found.append(["POST /v1/jobs", *times(self.create), "p95 <= 50 ms", verdict(late(self.create) <= CREATE_GOAL)])
        for name, one in self.streams.items():
            goal = f">= {STREAM_GOAL:,} rows/s"
            rate = f"{one.rate:,.0f} rows/s"
            found.append([f"all failed items as {name}", rate, "", goal, verdict(one.rate >= STREAM_GOAL)])
            goal = f"<= +{GROWTH_GOAL / 1e6:.0f} MB"
            grown = f"+{one.growth / 1e6:.0f} MB"
            found.append(["memory after the first fifth of it", grown, "", goal, verdict(one.growth <= GROWTH_GOAL)])
        ended = "" if self.is_writing else "it ended before"
        found.append(["items the other job carried meanwhile", f"{self.written:,}", "", "> 0", ended])
        return found


def measured(
    folder: str, count: int, say: Callable[[str], None], *, rounds: int = ROUNDS, alone: bool = False
) -> Figures:
    """Serve a copy of a ledger and measure while another job writes; ``alone``: nothing writes."""
    ledger = ledgers.make(folder, count)
    data = os.path.join(folder, "run")
    shutil.rmtree(data, ignore_errors=True)
    shutil.rmtree(os.path.join(folder, "destination"), ignore_errors=True)
    os.makedirs(os.path.join(folder, "destination"))
    ledgers.copy(ledger, data)
    say(f"a ledger of {count:,} items, {os.path.getsize(os.path.join(data, 'ledger.db')) / 1e6:.0f} MB")
    figures = Figures()
    try:
        with serving(data) as (server, port, process):
            writer = None
            if not alone:
                writer = Writer(server, ledger)
                say(f"jobs that carry {ledger.beside:,} files beside")
            _ask(server, ledger, figures, writer, rounds)
            for name in FORMS:
                figures.streams[name] = streamed(port, server, ledger, name, process.pid)
                say(f"{name}: {figures.streams[name].rate:,.0f} rows/s")
                if writer is not None:
                    writer.keep_on()
            if writer is not None:
                figures.written, figures.is_writing = writer.carried, writer.is_writing
    finally:
        shutil.rmtree(data, ignore_errors=True)
    return figures


def _ask(server: Server, ledger: Ledger, figures: Figures, writer: Writer | None, rounds: int) -> None:
    """Ask for pages and make jobs, by turns."""
    chance = random.Random(1)
    for number in range(rounds):
        for name, query in questions(ledger, chance).items():
            taken = timed(server, "GET", f"/v1/transfers/items?limit=100&{query}")
            figures.pages.setdefault(name, []).append(taken)
        figures.create.append(timed(server, "POST", "/v1/jobs", ledgers.body(ledger, f"job {number}")))
        if writer is not None and number % 10 == 0:
            writer.keep_on()


def questions(ledger: Ledger, chance: random.Random) -> dict[str, str]:
    """Give the ways to ask for a page, each at another place."""
    job = f"job={ledger.job}"
    after = chance.randrange(ledger.first_item, ledger.last_item)
    return {
        "by cursor": f"{job}&cursor={after}",
        "by offset": f"{job}&offset={chance.randrange(min(SKIPPED, ledger.items))}",
        "of a status": f"{job}&status=failed&cursor={after}",
        "of a reason": f"{job}&reason=locked&cursor={after}",
        "of a type": f"{job}&type=container&cursor={after}",
        "with a common text": f"{job}&q=file&cursor={after}",
        "with a rare text": f"{job}&q={chance.randrange(ledger.items):07d}.txt",
        "flagged, of all jobs": f"status=failed&{job}",
    }


class Writer:
    """A job that carries files while others ask; when one is done, the next begins."""

    def __init__(self, server: Server, ledger: Ledger) -> None:
        self._server = server
        self._ledger = ledger
        self._jobs: list[str] = []
        self.carried = 0
        self._begin()
        for _ in range(600):
            if self._carries() or not self.is_writing:
                return
            time.sleep(0.1)
        raise RuntimeError("the job beside does not write")

    def keep_on(self) -> None:
        """Begin another job when the last one has ended."""
        if self._carries() and not self.is_writing:
            self._begin()

    def _begin(self) -> None:
        body = ledgers.body(self._ledger, f"the writer {len(self._jobs)}", start=True)
        self._jobs.append(str(ask(self._server, "POST", "/v1/jobs", body)["job"]["id"]))
        self.is_writing = True
        self._before = self.carried

    def _carries(self) -> bool:
        found = ask(self._server, "GET", f"/v1/jobs/{self._jobs[-1]}?profile=flatfile")["data"]
        self.is_writing = found["status"] not in ("complete", "failed", "canceled")
        self.carried = self._before + int((found.get("result") or {}).get("transferred", 0))
        return self.carried > self._before


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
    port = free_port()
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


def streamed(port: int, server: Server, ledger: Ledger, form: str, pid: int) -> Stream:
    """Read all failed items; give rows a second and how much more memory the server held."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    before = highest = seen = 0
    begun = time.perf_counter()
    line.request("GET", f"/Job/{ledger.execution}/FailedItems", headers={**server.headers, "Accept": FORMS[form]})
    answer = line.getresponse()
    while block := answer.read(1 << 20):
        seen += block.count(MARKS[form])
        if seen < ledger.items // 5:  # until then the database fills its cache, which is bounded
            before = resident(pid)
        highest = max(highest, resident(pid))
    seconds = time.perf_counter() - begun
    server.line.close()  # it was idle for too long
    if abs(seen - ledger.items) > ledger.items // 1_000 + 1:  # a mark may lie across two blocks
        raise RuntimeError(f"{seen} rows of {ledger.items} came")
    return Stream(ledger.items / seconds, highest - before)


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
