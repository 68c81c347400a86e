"""The console over a large ledger: how long each page takes, and what 50 open dashboards cost a transfer.

``python -m tests.bench.console pages FOLDER [ITEMS]`` and ``... dashboards FOLDER [FILES] [ROUNDS]`` measure alone.
"""

from __future__ import annotations

import contextlib
import heapq
import http.client
import os
import random
import re
import selectors
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from tallyport.client import Client
from tests.bench import ledgers, measure, watchers

TIMES = 20  # requests of each page
GOAL = 0.300  # seconds, at the 95th of a hundred
LENGTH = 512  # bytes of a file that is carried while dashboards are open
KEPT = 500  # where few failed: one item in so many
DASHBOARDS = 50
COST = 1.05  # of the time without dashboards
EVERY = 5.0  # seconds between two requests of one dashboard, as its page makes them
SETTLED = 8.0  # seconds that dashboards are open before a transfer begins, longer than EVERY
PATIENCE = 120.0  # seconds for items to be counted aside


class Visitor:
    """Somebody signed in before a running server, on one connection that is kept."""

    def __init__(self, url: str, token: str) -> None:
        self._connection = http.client.HTTPConnection(url.partition("://")[2], timeout=120)
        self._headers = {"Cookie": f"tallyport={token}"}

    def get(self, path: str) -> tuple[float, str]:
        """Give how long a page took, and its text."""
        begun = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        took = time.perf_counter() - begun
        assert answer.status == 200, f"{path} answered {answer.status}: {text[:500]}"
        return took, text

    def settled(self, path: str) -> None:
        """Ask for a page until what it shows is counted."""
        until = time.monotonic() + PATIENCE
        while "Counting the items" in self.get(path)[1]:
            assert time.monotonic() < until, f"{path} was still counting after {PATIENCE:g} s"
            time.sleep(0.2)

    def close(self) -> None:
        self._connection.close()


def addresses(ledger: ledgers.Ledger) -> list[str]:
    """Give every page that shows a job, its items or all jobs, with the filters that read most."""
    job, run = f"/console/jobs/{ledger.job}", ledger.execution
    tabs = ("overview", "live", "items", "failed", "audit", "policies", "schedule", "runs", "validation", "report")
    items = (
        "status=remediation",
        f"outcome=carried&execution={run}",
        "outcome=good",
        "outcome=deleted",
        "status=skipped,ignored",
        f"q={ledger.items - 1:07}",
        "q=nothing-has-this-name",
        "reason=moved&type=file",
        f"cursor={ledger.last_item - 50}",
    )
    return [
        *(f"{job}/{tab}" for tab in tabs),
        *(f"{job}/breakdown?for={which}" for which in ("report", "validation")),
        f"{job}/failed/group?reason=permission_denied",
        f"{job}/failed/group?reason=permission_denied&cursor={ledger.last_item - 5_000}",
        *(f"{job}/items?{one}" for one in items),
        f"/console/items/{ledger.last_item}",
        f"/console/jobs/new?from={ledger.job}",
        f"{job}/edit",
        "/console/",
        "/console/summary",
        "/console/jobs",
        "/console/jobs?failed=1",
        "/console/failed",
        "/console/failed?reason=permission_denied",
        "/console/failed?q=nothing-has-this-name",
        *(f"/console/{one}" for one in ("approvals", "connections", "maps", "schedules", "reports", "categories")),
        *(f"/console/{one}" for one in ("users", "webhooks", "secrets", "audit", "settings", "about", "me")),
        f"/console/connections/{ledger.source}",
    ]


def carried(path: str, ledger: ledgers.Ledger) -> None:
    """Turn a ledger in which everything failed into one in which little did."""
    with sqlite3.connect(path) as tx:
        few = f"kind = 1 AND id % {KEPT} <> 0"
        tx.execute(f"DELETE FROM failures WHERE item_id % {KEPT} <> 0")
        tx.execute(f"UPDATE items SET status = 1, reason = 'new_at_source', message = NULL WHERE {few}")
        (failed,) = tx.execute("SELECT count(*) FROM items WHERE status = 4").fetchone()
        tx.execute("UPDATE executions SET transferred = files - ?, failed = ?", (failed, failed))
    with sqlite3.connect(path) as tx:
        tx.execute("ANALYZE")
        tx.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    tx.close()


@contextlib.contextmanager
def before(folder: str, ledger: ledgers.Ledger, *, few_failed: bool) -> Iterator[Visitor]:
    """Serve a copy of a ledger to somebody signed in."""
    data = os.path.join(folder, "few" if few_failed else "all")
    ledgers.copy(ledger, data)
    if few_failed:
        carried(os.path.join(data, "ledger.db"), ledger)
    with watchers.serving(data) as (_, url, token):
        visitor = Visitor(url, token)
        try:
            yield visitor
        finally:
            visitor.close()


def pages(folder: str, count: int, say: Callable[[str], None], *, times: int = TIMES) -> dict[str, list[list[float]]]:
    """Measure every page, where everything failed and where little did; gives the seconds of each."""
    ledger = ledgers.make(os.path.join(folder, "ledger"), count)
    found: dict[str, list[list[float]]] = {}
    for few_failed in (False, True):
        with before(folder, ledger, few_failed=few_failed) as visitor:
            for path in addresses(ledger):
                visitor.settled(path)
                took = sorted(visitor.get(path)[0] for _ in range(times))
                name = path.replace(ledger.job, "JOB").replace(ledger.source, "CONNECTION").removeprefix("/console")
                name = re.sub(r"\d{15,}", "ID", name)
                found.setdefault(name, []).append(took)
                say(f"{1e3 * statistics.median(took):7.0f} ms median {1e3 * late(took):7.0f} ms p95  {name}")
    return found


def late(took: list[float]) -> float:
    """Give the 95th of a hundred."""
    return sorted(took)[max(int(0.95 * len(took)) - 1, 0)]


def page_lines(found: dict[str, list[list[float]]], count: int) -> list[list[str]]:
    """Arrange the pages beside their goal."""
    rows = [[f"over {count:,} items", "all failed: median", "p95", "few failed: median", "p95", "goal", ""]]
    for name, both in found.items():
        cells = [f"{1e3 * value:.0f} ms" for took in both for value in (statistics.median(took), late(took))]
        missed = [late(took) for took in both if late(took) > GOAL]
        rows.append([name, *cells, f"p95 <= {1e3 * GOAL:.0f} ms", "missed" if missed else "met"])
    return rows


# What open dashboards cost


def dashboards(folder: str, files: int, rounds: int, say: Callable[[str], None]) -> watchers.Figures:
    """Run a job again and again into new folders, by turns with open dashboards and without.

    Dashboards are opened, page and chart, before the transfer begins and have asked again by then: what is measured is
    what open ones cost, not the first load of so many pages within a second. Nobody watches for as long before the
    others. The folder of a run is gone before the next one.
    """
    figures = watchers.Figures()
    source = os.path.join(folder, "source")
    for number in range(files):
        place = os.path.join(source, f"{number // watchers.FOLDER:04d}")
        if number % watchers.FOLDER == 0:
            os.makedirs(place)
        with open(os.path.join(place, f"{number:07d}"), "wb") as stream:
            stream.write(number.to_bytes(8, "little") * (LENGTH // 8))
    with (
        watchers.serving(os.path.join(folder, "data")) as (process, url, token),
        Client(url, token, timeout=120) as client,
    ):
        target = os.path.join(folder, "to")
        transfer(client, process, source, target, url, token, 0)
        shutil.rmtree(target)
        for number in range(rounds):
            for count in (0, DASHBOARDS) if number % 2 else (DASHBOARDS, 0):
                seconds, spent, asked = transfer(client, process, source, target, url, token, count)
                shutil.rmtree(target)
                (figures.watched if count else figures.alone).append((seconds, spent))
                figures.received = asked
                say(f"{count} dashboards, {asked} requests: {seconds:.2f} s, {spent:.2f} s CPU")
    return figures


def transfer(
    client: Client, process: subprocess.Popen[bytes], source: str, target: str, url: str, token: str, count: int
) -> tuple[float, float, int]:
    """Run one job; gives its seconds, the server's processor seconds, and how often dashboards asked."""
    ends = [client.connections.create("fs", {"path": path}, make=True) for path in (source, target)]
    job = client.jobs.create(name="watched", source=ends[0], destination=ends[1], transfer_type="copy")
    with watching(url, token, count) as asked:
        time.sleep(SETTLED)
        spent, begun = measure.processor_time(process.pid), time.monotonic()
        client.jobs.start(job)
        client.jobs.wait(job, timeout=600)
        seconds, spent = time.monotonic() - begun, measure.processor_time(process.pid) - spent
    return seconds, spent, asked()


@contextlib.contextmanager
def watching(url: str, token: str, count: int) -> Iterator[Callable[[], int]]:
    """Hold dashboards open in a process of their own."""
    told: list[int] = [0]
    if not count:
        yield lambda: 0
        return
    words = [sys.executable, "-m", "tests.bench.console", "watch", url, str(count)]
    own = {**os.environ, "WATCH": token, "PYTHONPATH": watchers.ROOT}
    reader = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=own, cwd=watchers.ROOT)
    assert reader.stdout is not None
    assert reader.stdin is not None
    assert reader.stdout.readline() == b"open\n"
    try:
        yield lambda: told[0]
    finally:
        reader.stdin.close()
        told[0] = int(reader.stdout.readline())
        reader.stdout.close()
        reader.wait(60)


def watch(url: str, count: int) -> None:
    """Be so many open dashboards, each asking on a connection of its own, until standard input closes."""
    host, _, port = url.partition("://")[2].partition(":")
    kept = [http.client.HTTPConnection(host, int(port), timeout=120) for _ in range(count)]
    headers = {"Cookie": f"tallyport={os.environ['WATCH']}", "HX-Request": "true"}

    def ask(number: int, path: str) -> None:
        try:
            kept[number].request("GET", path, headers=headers)
            answer = kept[number].getresponse()
        except ConnectionError:  # kept too long: as a browser does, on a new connection
            kept[number].close()
            kept[number].request("GET", path, headers=headers)
            answer = kept[number].getresponse()
        answer.read()
        assert answer.status == 200, (path, answer.status)

    for number in range(count):
        ask(number, "/console/")
        ask(number, "/v1/throughput?after=0")
    print("open", flush=True)
    waiting = selectors.DefaultSelector()
    waiting.register(sys.stdin, selectors.EVENT_READ)
    begun = time.monotonic()
    due = [(begun + EVERY * number / count, number) for number in range(count)]  # when, and which dashboard
    asked = 0
    while True:
        at, number = heapq.heappop(due)
        if waiting.select(max(at - time.monotonic(), 0)):
            print(asked, flush=True)
            return
        ask(number, "/console/summary")
        asked += 1
        heapq.heappush(due, (at + EVERY * random.uniform(0.9, 1.1), number))


def main(words: list[str]) -> None:
    """Measure alone, or be dashboards."""

    def say(line: str) -> None:
        print(line, flush=True)

    match words:
        case ["watch", url, many]:
            watch(url, int(many))
        case ["pages", folder, *more]:
            count = int(more[0]) if more else 1_000_000
            show(page_lines(pages(folder, count, say), count))
        case ["dashboards", folder, *more]:
            files, rounds = (int(more[0]) if more else 300_000), (int(more[1]) if len(more) > 1 else 3)
            show(dashboard_lines(dashboards(folder, files, rounds, say), files))
        case _:
            print(__doc__, file=sys.stderr)


def dashboard_lines(figures: watchers.Figures, files: int) -> list[list[str]]:
    """Arrange what dashboards cost beside the goal."""
    rows = [[f"{files:,} files", "wall s", "CPU s of the server", "goal", ""]]
    for name, found in (("nobody watches", figures.alone), (f"{DASHBOARDS} open dashboards", figures.watched)):
        rows.append([name, f"{watchers.middle(found, 0):.2f}", f"{watchers.middle(found, 1):.2f}", "", ""])
    ratios = [watchers.middle(figures.watched, n) / watchers.middle(figures.alone, n) for n in (0, 1)]
    verdict = "met" if ratios[0] <= COST else f"missed by {ratios[0] / COST - 1:.0%}"
    return [*rows, ["ratio", f"{ratios[0]:.3f}", f"{ratios[1]:.3f}", f"<= {COST:g}", verdict]]


def show(rows: list[list[Any]]) -> None:
    """Print a table as the pages of documentation have it."""
    head, *body = rows
    print("\n".join(f"| {' | '.join(map(str, row))} |" for row in [head, ["---"] * len(head), *body]))


if __name__ == "__main__":
    main(sys.argv[1:])
