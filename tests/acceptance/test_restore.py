"""A ledger restored from an old backup looks at the world again: no false `done`, and nothing is deleted."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tallyport import app
from tallyport.store import executions
from tallyport.testing import compare
from tallyport.testing.postgres import PostgresServer, binaries, postgres_server
from tests.acceptance.product import Server, tallyport, text

pytestmark = pytest.mark.timeout(240)


class Ledger:
    """A server and a way to put back what its ledger was."""

    def __init__(self, server: Server, backup: Callable[[], None], restore: Callable[[], None]) -> None:
        self.server = server
        self.backup = backup
        self.restore = restore


def on_sqlite(place: str) -> Ledger:
    data, file = os.path.join(place, "data"), os.path.join(place, "backup.db")
    os.makedirs(data)
    server = Server(data, os.path.join(place, "server.log"), options=("--workers", "1"))

    def restore() -> None:
        for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
            if os.path.exists(os.path.join(data, name)):
                os.unlink(os.path.join(data, name))
        shutil.copyfile(file, os.path.join(data, "ledger.db"))

    return Ledger(server, lambda: tallyport("db", "backup", file, "--force", data=data).expect(0) and None, restore)


def on_postgres(place: str, postgres: PostgresServer, *, in_place: bool = False) -> Ledger:
    """``in_place`` loads the backup over the tables that are there, instead of into a new database."""
    data, file, name = os.path.join(place, "data"), os.path.join(place, "backup.dump"), "ledger"
    os.makedirs(data)
    url = postgres.create(name)
    server = Server(data, os.path.join(place, "server.log"), database=url, options=("--workers", "1"))

    def run(program: str, *arguments: str) -> None:
        where = ("-h", "127.0.0.1", "-p", str(postgres.port), "-U", "tallyport")
        subprocess.run([os.path.join(binaries() or "", program), *where, *arguments], check=True)

    def backup() -> None:
        tallyport("db", "backup", file, "--force", data=data, env={"TALLYPORT_DATABASE": url}).expect(0)

    def restore() -> None:
        if in_place:
            run("pg_restore", "--clean", "--if-exists", "--single-transaction", "-d", name, file)
            return
        run("dropdb", name)
        run("createdb", name)
        run("pg_restore", "-d", name, file)

    return Ledger(server, backup, restore)


on_postgresql = pytest.mark.needs("pg_ctlcluster")


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=on_postgresql),
        pytest.param("postgres, in place", marks=on_postgresql),
    ]
)
def ledger(request: pytest.FixtureRequest, place: str) -> Iterator[Ledger]:
    if request.param == "sqlite":
        made = on_sqlite(place)
        try:
            yield made
        finally:
            made.server.kill()
        return
    with postgres_server() as postgres:
        made = on_postgres(place, postgres, in_place="in place" in request.param)
        try:
            yield made
        finally:
            made.server.kill()


def write(folder: str, name: str, content: str, *, at: int) -> None:
    path = os.path.join(folder, name)
    with open(path, "w") as stream:
        stream.write(content)
    os.utime(path, (at, at))


@pytest.mark.parametrize("kind", ["copy", "sync"])
def test_what_happened_since_the_backup_is_found_again(ledger: Ledger, place: str, kind: str) -> None:
    server = ledger.server
    one, other = os.path.join(place, "one"), os.path.join(place, "other")
    for folder in (one, other):
        os.mkdir(folder)
    for name in ("changed", "deleted", "kept", "lost"):
        write(one, name, "first", at=1_600_000_000)
    folder_times = (1_600_000_000, 1_600_000_000)
    os.utime(one, folder_times)
    server.start()
    server.sign_in()
    how = {"delete_propagation": "mirror"} if kind == "sync" else {}
    job = server.job(one, other, transfer_type=kind, **how)

    def run() -> dict:
        server.begin(job)
        state = server.wait(job)
        assert state["status"] == "complete", state
        return server.call("GET", f"/v1/jobs/{job}")["job"]["previous_execution"]

    run()
    ledger.backup()

    # The world goes on, and the job with it.
    write(one, "changed", "second", at=1_700_000_000)
    write(one, "new", "new", at=1_700_000_000)
    os.unlink(os.path.join(one, "deleted"))
    run()
    server.stop()
    # Now one side is as it was when the backup was made, and the other is not.
    write(one, "changed", "first", at=1_600_000_000)
    os.utime(one, folder_times)
    write(other, "deleted", "wanted after all", at=1_600_000_000)
    os.unlink(os.path.join(other, "lost"))

    ledger.restore()
    server.start()
    done = run()
    assert done["stats"]["destination"].get("deleted", 0) == 0
    assert text(os.path.join(other, "deleted")) == "wanted after all"
    assert text(os.path.join(one, "lost")) == text(os.path.join(other, "lost")) == "first"
    assert text(os.path.join(other, "new")) == "new"
    if kind == "copy":
        assert text(os.path.join(other, "changed")) == "first"  # not done only because it was once
    else:
        run()  # it kept both contents of what differed; the other one's name is carried now
        assert text(os.path.join(one, "changed")) == text(os.path.join(other, "changed"))
        assert compare.differences(one, other, modes=False, owners=False) == []
    assert run()["result"] == "no_changes"


def test_a_run_that_was_under_way_in_the_backup_begins_anew(ledger: Ledger, place: str) -> None:
    server = ledger.server
    one, other = os.path.join(place, "one"), os.path.join(place, "other")
    for folder in (one, other):
        os.mkdir(folder)
    for number in range(20):
        write(one, str(number), str(number), at=1_600_000_000)
    server.start()
    server.sign_in()
    job = server.job(one, other)
    server.stop()
    ledger.backup()  # while nobody works on it
    server.start()
    server.begin(job)
    ledger.backup()  # at whatever point the run is
    server.wait(job)
    server.stop()
    os.unlink(os.path.join(other, "7"))
    ledger.restore()
    server.start()
    if server.state(job)["status"] == "complete":  # the backup was made after its end
        server.begin(job)
    assert server.wait(job)["status"] == "complete"
    assert compare.differences(one, other, modes=False, owners=False) == []


def test_a_command_whose_run_was_under_way_in_the_backup_is_called_again(place: str) -> None:
    one, other, data = (os.path.join(place, name) for name in ("one", "other", "data"))
    for folder in (one, other):
        os.mkdir(folder)
    for number in range(20):
        write(one, str(number), str(number), at=1_600_000_000)
    ledger = on_sqlite(place)
    tallyport("copy", one, other, data=data).expect(0)
    with app.open_store(Path(data)) as database, database.begin() as tx:
        (first,), _ = executions.page(tx, limit=1)
        executions.add(tx, job_id=first.job_id, trigger="cli", policies=first.policies, state="ready")
    ledger.backup()  # as if the command had been killed
    ledger.restore()
    os.unlink(os.path.join(other, "7"))
    tallyport("copy", one, other, data=data).expect(0)
    assert compare.differences(one, other, modes=False, owners=False) == []
