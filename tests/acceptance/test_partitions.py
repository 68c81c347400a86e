"""A worker on a host of its own, cut off from the database, from storage, from both, then healed: nothing is lost."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tallyport.testing import compare, faults, networks
from tallyport.testing.postgres import postgres_server
from tallyport.testing.share_servers import DavServer, wsgidav
from tests.acceptance.fleet import PATIENCE, Fleet

pytestmark = [pytest.mark.needs("pg_ctlcluster"), pytest.mark.nightly, pytest.mark.timeout(900)]

FILES = 600
PRIVATE = {"TALLYPORT_ALLOW_PRIVATE_NETWORKS": "1"}


@pytest.fixture
def dav() -> Iterator[DavServer]:
    with wsgidav() as server:
        yield server


@pytest.fixture
def fleet(place: str) -> Iterator[Fleet]:
    with postgres_server() as server:
        made = Fleet(place, server, env=PRIVATE)
        try:
            yield made
        finally:
            made.close()


@pytest.mark.parametrize("cut", ["database", "storage", "both"])
def test_a_worker_that_is_cut_off_and_healed_loses_nothing(fleet: Fleet, dav: DavServer, place: str, cut: str) -> None:
    if (why := networks.lacking()) is not None:
        pytest.skip(why)
    source = os.path.join(dav.folder, "source")
    for number in range(FILES):
        folder = os.path.join(source, f"d{number % 25:02}")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, str(number)), "wb") as stream:
            stream.write(str(number).encode() * (1 + number % 2_000))
    destination = os.path.join(place, "destination")
    os.mkdir(destination)
    port = urlsplit(dav.url).port or 0
    name = f"tallyport-{os.getpid()}"
    with networks.host(name, [fleet.postgres.port, port]) as (to_database, to_storage):
        url = f"http://{to_storage.address}:{to_storage.port}"  # of this host, so that everybody here reaches it too
        fleet.add("--workers", "1")
        far = f"postgresql://tallyport@{to_database.address}:{to_database.port}/{urlsplit(fleet.database).path[1:]}"
        fleet.add("--workers", "1", "--database", far, prefix=["ip", "netns", "exec", name])
        assert faults.wait_until(lambda: fleet.sql("SELECT count(*) FROM workers") == [(2,)], 90)
        bodies = (
            {
                "name": "dav",
                "platform": {"id": "webdav"},
                "auth": {**dav.settings, "url": url, "allow_plain_http": True},
            },
            {"name": "here", "platform": {"id": "fs"}, "auth": {"path": destination}},
        )
        ends = [fleet.server.call("POST", "/v1/connections", body)["connection"]["id"] for body in bodies]
        transfer = {
            "transfer_type": "copy",
            "source": {"connection": {"id": ends[0]}, "target": {"path": "/source"}},
            "destination": {"connection": {"id": ends[1]}, "target": {"path": "/"}},
            "performance": {"parallel_writes": {"requested": 4}},
        }
        body = {"name": "cut", "kind": "transfer", "transfer": transfer, "schedule": {"mode": "manual"}}
        job = str(fleet.server.call("POST", "/v1/jobs", body)["job"]["id"])
        fleet.server.begin(job)
        assert faults.wait_until(lambda: fleet.sql("SELECT count(*) FROM items WHERE status = 1")[0][0] > 20, 90)
        cables = {"database": [to_database], "storage": [to_storage], "both": [to_database, to_storage]}[cut]
        for cable in cables:
            cable.cut()
        time.sleep(2 * PATIENCE)  # given up by the other, where the database does not hear from it
        for cable in cables:
            cable.heal()
        state = fleet.server.wait(job, patience=400)
    assert state["status"] == "complete", state
    assert compare.differences(source, destination, modes=False, owners=False, times=False, holes=False) == []
    assert compare.leftovers(destination) == []
    counted = fleet.sql("SELECT files, transferred + unchanged, failed FROM executions")
    assert counted == [(FILES, FILES, 0)]
