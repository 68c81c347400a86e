"""A server with a PostgreSQL of its own: one command, and `kill -9` of the one or the other loses nothing."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator

import pytest

from tallyport.testing import compare, faults, trees
from tests.acceptance.product import Server, tallyport

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def open_place() -> Iterator[str]:
    """A folder that PostgreSQL's account may pass through; pytest's own are for root alone."""
    with tempfile.TemporaryDirectory(prefix="bundled-") as folder:
        os.chmod(folder, 0o755)
        yield folder


@pytest.fixture
def server(open_place: str) -> Iterator[Server]:
    data = os.path.join(open_place, "data")
    os.mkdir(data)
    made = Server(data, os.path.join(open_place, "server.log"), options=("--bundled-postgres", "--workers", "1"))
    made.start()
    try:
        yield made
    finally:
        postmaster = pid_of(data)
        made.kill()
        if postmaster is not None and is_alive(postmaster):
            os.kill(postmaster, signal.SIGQUIT)
            assert faults.wait_until(lambda: not is_alive(postmaster), 30)


def pid_of(data: str) -> int | None:
    try:
        with open(os.path.join(data, "postgresql", "postmaster.pid"), encoding="ascii") as stream:
            return int(stream.readline())
    except FileNotFoundError:
        return None


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_job_outlives_kills_of_the_server_and_of_its_postgresql(server: Server, open_place: str) -> None:
    source, destination = os.path.join(open_place, "source"), os.path.join(open_place, "destination")
    made = trees.crash_tree(source, items=1_500, budget=20 * trees.MIB)
    os.mkdir(destination)
    server.sign_in()  # commands find the ledger by the data folder alone
    job = server.job(source, destination)
    server.begin(job)
    first = pid_of(server.data)
    assert first is not None
    os.kill(first, signal.SIGKILL)  # its server starts it again
    assert faults.wait_until(lambda: pid_of(server.data) not in (None, first), 60)
    server.kill(whole_group=False)
    assert is_alive(pid_of(server.data) or 0)  # it outlives its server, until the next one stops it
    server.start()
    state = server.wait(job)
    assert state["status"] == "complete", state
    assert compare.differences(source, destination, modes=False, owners=False) == []
    assert " wide, beat " in tallyport("doctor", data=server.data).out
    assert os.stat(os.path.join(server.data, "postgresql.log")).st_mode & 0o077 == 0
    listed = tallyport("runs", "list", data=server.data).out
    assert f"{made.files + made.symlinks:,}" in listed
    last = pid_of(server.data)
    server.stop()
    assert pid_of(server.data) is None
    assert not is_alive(last or 0)
    refused = tallyport("serve", "--port", "0", data=server.data)
    assert refused.status == 1
    assert "--bundled-postgres" in refused.err


def test_a_cluster_that_was_never_finished_is_made_anew(open_place: str) -> None:
    data = os.path.join(open_place, "data")
    os.makedirs(os.path.join(data, "postgresql.new", "base"))
    one = Server(data, os.path.join(open_place, "server.log"), options=("--bundled-postgres", "--no-worker"))
    one.start()
    one.stop()
    assert os.listdir(data).count("postgresql") == 1
    assert not os.path.exists(os.path.join(data, "postgresql.new"))


def test_two_databases_are_refused() -> None:
    done = tallyport("serve", "--bundled-postgres", data="/nowhere", env={"TALLYPORT_DATABASE": "postgresql://x/y"})
    assert done.status == 2
    assert "exclude each other" in done.err
