"""A restart finds its work at once, however many items the ledger holds."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time

import pytest

from tallyport.testing import compare, faults, trees
from tallyport.testing.servers import free_port
from tests.acceptance import product

FILES = 8_000
# Seconds from the start of the process to the first item carried. Where a million rows are tried nothing else
# should run; the short version stands beside other tests on a busy machine.
LIMIT = {100_000: 10.0, 1_000_000: 5.0}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "count", [100_000, pytest.param(1_000_000, marks=pytest.mark.nightly)], ids=["100 000", "1 000 000"]
)
@pytest.mark.parametrize("how", ["one-shot", "server"])
def test_a_restart_goes_on_within_seconds(place, data, count, how):
    """A killed run with a million rows in its ledger carries its next item within five seconds."""
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    trees.bench_tree(source, files=FILES, folders=FILES // 20)
    begun = faults.spawn(
        [*product.PROGRAM, "copy", source, destination, "-q", *product.FAITHFUL],
        env=product.environment(data),
    )
    assert faults.wait_until(lambda: files_in(destination) > FILES // 20, 60)
    faults.kill(begun)
    add_rows(data, count)
    before = files_in(destination)
    assert before < FILES * 9 // 10, "the run was over before it was killed"

    start = time.monotonic()
    if how == "one-shot":
        run = str(product.totals(data)["id"])
        command = [*product.PROGRAM, "runs", "resume", run, "-q"]
    else:
        port = str(free_port())
        command = [*product.PROGRAM, "serve", "--host", "127.0.0.1", "--port", port, "--data", data]
    program = faults.spawn(command, env=product.environment(data))
    try:
        assert faults.wait_until(lambda: files_in(destination) > before, 60), "nothing went on"
        seconds = time.monotonic() - start
        assert faults.wait_until(lambda: files_in(destination) == FILES, 120)
        if how == "one-shot":
            assert program.wait(60) == 0
    finally:
        faults.kill(program)
    print(f"went on after {seconds:.2f} s with {count} rows")
    assert seconds <= LIMIT[count]
    assert compare.differences(source, destination, times=False, modes=False) == []


def files_in(folder: str) -> int:
    """Count finished files, two levels deep; quick enough to ask often."""
    found = 0
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                found += sum(1 for name in os.listdir(entry.path) if not name.startswith("."))
    return found


def add_rows(data: str, count: int) -> None:
    """Fill the ledger with settled items of the same job, in containers of a thousand."""
    with contextlib.closing(sqlite3.connect(product.ledger_file(data), isolation_level=None)) as database:
        job, execution, at = database.execute(
            "SELECT job, execution_id, settled_at FROM items ORDER BY id LIMIT 1"
        ).fetchone()
        database.execute("PRAGMA synchronous=OFF")
        database.execute("BEGIN")
        database.execute(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
            " INSERT INTO items (id, job, parent_id, name, kind, status, reason, attempts,"
            " s_size, s_modified, s_tag, d_size, d_modified, d_tag, hash, level, execution_id, settled_at)"
            " SELECT i, ?, 1 + i / 1000, CAST('file-' || i || '.dat' AS BLOB), 1, 1, 'new_at_source', 1,"
            " 4096, 1600000000000000000, randomblob(16), 4096, 1600000000000000000, randomblob(16),"
            " randomblob(16), 3, ?, ? FROM n",
            (count, job, execution, at),
        )
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
