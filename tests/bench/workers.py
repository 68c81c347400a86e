"""Measures how much faster more worker processes are where storage is waited for.

    python -m tests.bench.workers [--counts 1,2,4] [--delay 0.2] [--folders 30] [--files 50] [--fixed] [--writes 64]

One PostgreSQL, one server that carries nothing, so many workers of one mover each. Every request to the source waits
for ``--delay`` seconds, the destination is a folder. The rate is of the run alone, by the ledger's own times. Twice the
workers get twice the folders, so that what a run needs to get going weighs the same in each; with ``--fixed`` they
share the same ones.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from typing import NamedTuple

from tallyport.testing import faults, slow_storage
from tallyport.testing.postgres import postgres_server
from tests.acceptance.fleet import Fleet


class Measured(NamedTuple):
    """One run."""

    workers: int
    seconds: float
    items: int

    @property
    def rate(self) -> float:
        return self.items / self.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", default="1,2,4")
    parser.add_argument("--delay", type=float, default=0.2)
    parser.add_argument("--folders", type=int, default=30, help="for each worker")
    parser.add_argument("--files", type=int, default=50, help="in each folder")
    parser.add_argument("--fixed", action="store_true", help="as many folders for all workers together")
    parser.add_argument("--writes", type=int, default=64, help="parallel writes that the job asks for")
    parser.add_argument("--shared", default="/dev/shm", help="where to work")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="workers-", dir=options.shared) as folder:
        found = []
        for count in map(int, options.counts.split(",")):
            source = os.path.join(folder, f"source of {count}")
            make(source, options.folders * (1 if options.fixed else count), options.files)
            found.append(measured(folder, source, count, options.delay, options.writes))
    print("\n| workers | s | items/s | growth |\n| ---: | ---: | ---: | ---: |")
    for one in found:
        print(f"| {one.workers} | {one.seconds:.1f} | {one.rate:.0f} | {one.rate / found[0].rate:.2f} x |")


def make(source: str, folders: int, files: int) -> None:
    """Make folders of files of one KiB each."""
    for number in range(folders):
        place = os.path.join(source, f"{number:05}")
        os.makedirs(place)
        for name in range(files):
            with open(os.path.join(place, f"{name:05}"), "wb") as stream:
                stream.write(b"x" * 1024)


def measured(folder: str, source: str, count: int, delay: float, writes: int) -> Measured:
    """Copy the tree with so many workers."""
    place = os.path.join(folder, f"with {count}")
    os.mkdir(place)
    with postgres_server() as server:
        fleet = Fleet(place, server, env=slow_storage.install(os.path.join(folder, "platforms")))
        try:
            for _ in range(count):
                fleet.add("--workers", "1")
            assert faults.wait_until(lambda: fleet.sql("SELECT count(*) FROM workers") == [(count,)], 60)
            return copied(fleet, place, source, count, delay, writes)
        finally:
            fleet.close()


def copied(fleet: Fleet, place: str, source: str, count: int, delay: float, writes: int) -> Measured:
    destination = os.path.join(place, "destination")
    os.mkdir(destination)
    bodies = (
        slow_storage.connection(source, delay=delay),
        {"name": "to", "platform": {"id": "fs"}, "auth": {"path": destination}},
    )
    ends = [fleet.server.call("POST", "/v1/connections", body)["connection"]["id"] for body in bodies]
    transfer = {
        "transfer_type": "copy",
        "source": {"connection": {"id": ends[0]}, "target": {"path": "/"}},
        "destination": {"connection": {"id": ends[1]}, "target": {"path": "/"}},
        "performance": {"parallel_writes": {"requested": writes}},
    }
    body = {"name": "job", "kind": "transfer", "transfer": transfer, "schedule": {"mode": "manual"}}
    job = str(fleet.server.call("POST", "/v1/jobs", body)["job"]["id"])
    fleet.server.begin(job)
    state = fleet.server.wait(job)
    assert state["status"] == "complete", state
    ((took, items, failed),) = fleet.sql("SELECT ended_at - started_at, transferred, failed FROM executions")
    assert failed == 0
    made = Measured(count, took / 1e6, items)
    print(f"{count} workers: {made.items} items in {made.seconds:.1f} s, {made.rate:.0f} items/s", flush=True)
    return made


if __name__ == "__main__":
    main()
