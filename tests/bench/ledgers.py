"""A large ledger to measure the API over: made once by bulk SQL, kept, and copied for each measurement.

``python -m tests.bench.ledgers FOLDER [ITEMS]`` makes it; what stands in FOLDER with as many items is used as it is.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import sys
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

from tallyport.domain.connections import Connection
from tallyport.domain.jobs import Job
from tallyport.store import connections, executions, jobs, rows
from tallyport.store.database import Database, open_database
from tallyport.store.ids import Ids
from tallyport.testing import trees

FOLDER = 1_000  # items of one folder
BESIDE = 100_000  # most files that another job carries meanwhile
REASONS = ("permission_denied", "locked")
TOLD = ("cannot read the file: permission denied", "cannot read the file: another program has it open")


@dataclass(frozen=True, slots=True)
class Ledger:
    """What a ledger holds: a job whose every item failed in its one execution, and the ends of a job beside."""

    folder: str
    items: int
    job: str
    execution: int
    source: str  # connection
    destination: str  # connection
    first_item: int
    last_item: int
    beside: int  # files of the source connection
    schema: str  # SHA-256 of the tables it was made with


def make(folder: str, count: int) -> Ledger:
    """Give the ledger that stands in a folder, made now unless it is there."""
    noted = os.path.join(folder, "ledger.json")
    if os.path.exists(noted):
        with open(noted, encoding="utf-8") as stream:
            known = json.load(stream)
        if (known.get("items"), known.get("schema")) == (count, _schema()):
            return Ledger(**known)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(os.path.join(folder, "data"))
    source = os.path.join(folder, "source")
    tree = trees.bench_tree(source, files=min(max(count // 5, 1_000), BESIDE), folders=100, smallest=1, largest=1_024)
    path = os.path.join(folder, "data", "ledger.db")
    database = open_database(f"sqlite:///{path}")
    try:
        made = _begin(database, folder, count, tree.files)
    finally:
        database.close()
    _fill(path, made)
    with open(noted, "w", encoding="utf-8") as stream:
        json.dump(asdict(made), stream)
    return made


def copy(ledger: Ledger, data: str) -> None:
    """Put a copy of the ledger into a data folder: what is measured changes it."""
    os.makedirs(data, exist_ok=True)
    shutil.copyfile(os.path.join(ledger.folder, "data", "ledger.db"), os.path.join(data, "ledger.db"))


def body(ledger: Ledger, name: str, *, start: bool = False) -> dict[str, Any]:
    """Give the document of a job from the ledger's source to a folder of its own."""
    transfer = {
        "transfer_type": "copy",
        "source": {"connection": {"id": ledger.source}},
        "destination": {"connection": {"id": ledger.destination}, "target": {"path": f"/{name.replace(' ', '-')}"}},
    }
    return {"name": name, "transfer": transfer} | ({"status": "start"} if start else {})


def _begin(database: Database, folder: str, count: int, beside: int) -> Ledger:
    at = rows.now()
    ends = []
    with database.begin() as tx:
        for name in ("source", "destination"):
            place = os.path.join(folder, name)
            os.makedirs(place, exist_ok=True)
            new = Connection(
                id=connections.new_id(),
                name=name,
                platform="fs",
                settings={"path": place},
                created_at=at,
                modified_at=at,
            )
            connections.add(tx, new)
            ends.append(new.id)
        block = {"transfer_type": "copy"} | {
            side: {"connection": {"id": one}} for side, one in zip(("source", "destination"), ends, strict=True)
        }
        job = Job(
            id=jobs.new_id(),
            name="large",
            transfer=block,
            source_connection=ends[0],
            destination_connection=ends[1],
            transfer_type="copy",
            created_at=at,
            modified_at=at,
        )
        job = jobs.add(tx, job)
        run = executions.add(tx, job_id=job.id, trigger="manual", policies="{}", state="ready")
        executions.move(tx, run.id, ("ready",), "executing")
        executions.change(tx, run.id, failed=count, files=count, folders=-(-count // FOLDER))
        executions.move(tx, run.id, ("executing",), "complete", result="errors", phase="complete")
    first = Ids(1).take()
    return Ledger(folder, count, job.id, run.id, ends[0], ends[1], first, first + _places(count) - 1, beside, _schema())


def _schema() -> str:
    """Name the tables as they are: a ledger of others is made anew."""
    return hashlib.sha256(files("tallyport.store").joinpath("schema.sql").read_bytes()).hexdigest()


def _places(count: int) -> int:
    """Count the identifiers: of the root, then of each folder and the items in it."""
    return 1 + -(-count // FOLDER) + count


def _fill(path: str, made: Ledger) -> None:
    """Write all rows: a number is all that differs from one to the next, so the database makes them itself."""
    with sqlite3.connect(path) as tx:
        number = tx.execute("SELECT number FROM jobs WHERE id = ?", (made.job,)).fetchone()[0]
        at = rows.now()
        fixed = {"job": number, "run": made.execution, "root": made.first_item, "at": at, "count": made.items}
        fixed |= {"size": FOLDER, "folders": -(-made.items // FOLDER)}
        tx.execute(_ROOT, fixed)
        tx.execute(_ROOT_CONTAINER, fixed)
        tx.execute(_FOLDERS, fixed)
        tx.execute(_CONTAINERS, fixed)
        words = dict(zip(("reason_0", "reason_1", "told_0", "told_1"), (*REASONS, *TOLD), strict=True))
        tx.execute(_FILES, fixed | words)
        tx.execute(_FAILURES, {"job": number, "run": made.execution, "at": at})
    with sqlite3.connect(path) as tx:
        tx.execute("ANALYZE")
        tx.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    tx.close()


_COLUMNS = (
    "(id, job, parent_id, name, kind, status, reason, attempts, level, message, s_size, s_modified, execution_id,"
    " settled_at)"
)
_COUNTED = "WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < {})"
_FOLDER_ID = ":root + 1 + n * (:size + 1)"
_FOLDER_NAME = "CAST(printf('folder-%06d', n) AS BLOB)"
_ROOT = (
    f"INSERT INTO items {_COLUMNS} VALUES (:root, :job, 0, x'', 2, 1, 'unchanged', 0, 0, NULL, NULL, NULL, :run, :at)"
)
_ROOT_CONTAINER = (
    "INSERT INTO containers (item_id, job, parent_id, path, d_path, execution_id)"
    " VALUES (:root, :job, 0, x'', x'', :run)"
)
_FOLDERS = (
    f"INSERT INTO items {_COLUMNS} {_COUNTED.format(':folders')}"
    f" SELECT {_FOLDER_ID}, :job, :root, {_FOLDER_NAME}, 2, 1, 'unchanged', 0, 0, NULL, NULL, NULL, :run, :at FROM n"
)
_CONTAINERS = (
    "INSERT INTO containers (item_id, job, parent_id, path, d_path, execution_id)"
    f" {_COUNTED.format(':folders')}"
    f" SELECT {_FOLDER_ID}, :job, :root, {_FOLDER_NAME}, {_FOLDER_NAME}, :run FROM n"
)
_FILES = (
    f"INSERT INTO items {_COLUMNS} {_COUNTED.format(':count')}"
    " SELECT :root + 2 + n + n / :size, :job, :root + 1 + (n / :size) * (:size + 1),"
    " CAST(printf('file-%07d.txt', n) AS BLOB), 1, 4, iif(n % 10, :reason_0, :reason_1), 1, 0,"
    " iif(n % 10, :told_0, :told_1), 512 + n % 1000, 1700000000000000000 + n, :run, :at FROM n"
)
_FAILURES = (
    "INSERT INTO failures (execution_id, item_id, path, kind, status, reason, message, size, modified, attempts,"
    " failed_at) SELECT :run, i.id, CAST(c.path || x'2f' || i.name AS BLOB), 1, 4, i.reason, i.message, i.s_size,"
    " i.s_modified, 1, :at FROM items i JOIN containers c ON c.item_id = i.parent_id WHERE i.job = :job AND i.kind = 1"
)


if __name__ == "__main__":
    stood = make(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
    print(f"a ledger of {stood.items:,} items stands in {stood.folder}")
