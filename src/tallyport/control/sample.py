"""Something to try the server on: two folders beside the ledger, a connection to each, and a job between them."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import Facts
from tallyport.control import connections, jobs
from tallyport.control.connections import Draft
from tallyport.control.desk import Caller, Desk
from tallyport.control.jobs import Done
from tallyport.control.refusals import Conflict
from tallyport.domain.connections import Connection

NAMES = ("Sample source", "Sample destination")
JOB = "Sample job"
FOLDER = "sample"  # beside the ledger
BLOCKED = "Finance/budget.txt"  # a folder stands in its place at the destination: this item fails
_DAY = 86_400_000_000_000  # nanoseconds
_FIRST = 1_700_000_000_000_000_000  # of the days on which the files were changed


class Part(NamedTuple):
    """One folder of the sample."""

    path: str
    files: tuple[str, ...]
    size: int  # bytes of its largest file


PARTS = (
    Part("Finance", ("budget.txt", "invoices 2024.csv", "invoices 2025.csv"), 40_000),
    Part("Projects", (), 0),
    Part("Projects/Bridge", tuple(f"drawing {number:02}.dwg" for number in range(12)), 300_000),
    Part("Projects/Harbour", tuple(f"survey {number:02}.txt" for number in range(12)), 60_000),
    Part("Photos", tuple(f"IMG_{number:04}.jpg" for number in range(16)), 500_000),
    Part("Names", ("Grüße.txt", "日本語.txt", "100 % done?.txt", "=1+1.csv", "<b>bold<b>.html", "it's.txt"), 2_000),
    Part("Empty folder", (), 0),
)


def make(desk: Desk, by: Caller) -> Done:
    """Make the folders, the connections and the job; nothing is started.

    Refused where the ledger has no folder of its own, and where a sample stands already: it may have been worked on.
    """
    if desk.database.path is None:
        raise Conflict("sample data stands beside a ledger on this machine, and this server's is a shared database")
    root = os.path.join(os.path.dirname(os.path.abspath(desk.database.path)), FOLDER)
    places = [os.path.join(root, name) for name in ("source", "destination")]
    found, _ = connections.page(desk, platform="fs", text=None, offset=0, limit=1_000)
    if any(one.settings.get("path") in places for one in found):
        raise Conflict(f"the sample is there already: delete its job and its connections to {root} to make it anew")
    ends = [_connected(desk, name, place, by) for name, place in zip(NAMES, places, strict=True)]
    _fill(ends[0])
    _block(ends[1])
    transfer = {"transfer_type": "copy"} | {
        side: {"connection": {"id": one.id}, "target": {"path": "/"}}
        for side, one in zip(("source", "destination"), ends, strict=True)
    }
    return jobs.create(desk, {"name": JOB, "kind": "transfer", "transfer": transfer}, by)


def _connected(desk: Desk, name: str, place: str, by: Caller) -> Connection:
    return connections.create(desk, Draft(name, "fs", {"path": place}), by, make=True)


def _fill(end: Connection) -> None:
    connector = open_connection(end.platform, end.settings, "/")
    try:
        for day, part in enumerate(PARTS):
            if connector.stat(part.path) is None:
                connector.make_container(part.path, Facts())
            for number, name in enumerate(part.files):
                size = part.size * (number + 1) // len(part.files)
                facts = Facts(size=size, modified=_FIRST + (30 * day + number) * _DAY)
                connector.write(f"{part.path}/{name}", _content(name, size), facts)
    finally:
        connector.close()


def _block(end: Connection) -> None:
    connector = open_connection(end.platform, end.settings, "/")
    try:
        for path in (BLOCKED.rpartition("/")[0], BLOCKED):
            if connector.stat(path) is None:
                connector.make_container(path, Facts())
    finally:
        connector.close()


def _content(name: str, size: int) -> Iterator[bytes]:
    line = f"This is {name}, made to try the server.\n".encode()
    yield (line * (size // len(line) + 1))[:size]
