"""D2, I4, I6: the ledger's disk is full: no outcome is lost, requests are answered, and it goes on with room."""

from __future__ import annotations

import os

import pytest

from tallyport.testing import compare, faults, trees
from tests.acceptance import product
from tests.acceptance.product import Refused, Server, text
from tests.acceptance.test_obstacles import disk

FILES = 8_000
ROOM = 1_500_000  # bytes: a run begins in it, and the outcomes of so many files do not fit into it


@pytest.mark.timeout(300)
def test_a_full_disk_of_the_ledger_stops_transfers_loses_no_outcome_and_requests_are_answered(place):
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    made = trees.bench_tree(source, files=FILES, folders=FILES // 20)
    os.mkdir(destination)
    mount, log = os.path.join(place, "disk"), os.path.join(place, "log")
    with disk(mount, 64 * trees.MIB):
        server = Server(os.path.join(mount, "data"), log)
        try:
            server.sign_in()
            server.start()
            job = server.job(source, destination)
            ballast = filled(mount)
            server.begin(job)
            assert faults.wait_until(lambda: "disk is full" in text(log), 120), server.words()
            for _ in range(20):
                state = server.state(job)
                assert state["status"] not in ("complete", "failed", "canceled")
                assert "is full" in state["info"], state
                assert server.answers()
            with pytest.raises(Refused, match=r'"disk": ?false'):
                server.call("GET", "/readyz")
            assert trees.count(destination).files < made.files
            os.unlink(ballast)
            assert server.wait(job)["status"] == "complete"
            counts = product.item_counts(server.data)
            server.stop()
        finally:
            server.kill()
    assert compare.differences(source, destination) == []
    assert compare.leftovers(destination) == []
    assert counts == {product.SUCCESS: made.items}


def filled(folder: str) -> str:
    """Fill a disk up to so many bytes."""
    path = os.path.join(folder, "ballast")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        free = os.statvfs(folder)
        os.posix_fallocate(descriptor, 0, free.f_bavail * free.f_frsize - ROOM)
    finally:
        os.close(descriptor)
    return path
