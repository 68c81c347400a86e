"""Workers that reach different storage: a job goes to those with its labels, or says what it waits for. And caps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tallyport.testing import compare, faults, slow_storage, trees
from tallyport.testing.postgres import postgres_server
from tests.acceptance.fleet import Fleet
from tests.acceptance.product import tallyport

pytestmark = [pytest.mark.needs("pg_ctlcluster"), pytest.mark.timeout(300)]

# In a mount namespace of its own the worker finds the folder empty, as on a machine where nothing is mounted there.
ELSEWHERE = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$1" && shift && exec "$@"', "sh"]
CAP = 3


@pytest.fixture
def fleet(place: str) -> Iterator[Fleet]:
    with postgres_server() as server:
        made = Fleet(place, server, env=slow_storage.install(os.path.join(place, "platforms")))
        try:
            yield made
        finally:
            made.close()


def job_between(fleet: Fleet, *connections: dict, below: str = "/") -> str:
    ends = [fleet.server.call("POST", "/v1/connections", body)["connection"]["id"] for body in connections]
    sides = ("source", "destination")
    transfer: dict[str, Any] = {
        side: {"connection": {"id": end}, "target": {"path": "/"}} for side, end in zip(sides, ends, strict=True)
    }
    transfer["source"]["target"]["path"] = below
    transfer |= {"transfer_type": "copy", "performance": {"parallel_writes": {"requested": 8}}}
    body = {"name": "job", "kind": "transfer", "transfer": transfer, "schedule": {"mode": "manual"}}
    return str(fleet.server.call("POST", "/v1/jobs", body)["job"]["id"])


def folder(path: str, **more: object) -> dict:
    os.makedirs(path, exist_ok=True)
    return {"name": os.path.basename(path), "platform": {"id": "fs"}, "auth": {"path": path}, **more}


def run_of(fleet: Fleet, job: str) -> dict:
    shown = fleet.server.call("GET", f"/v1/jobs/{job}")["job"]
    found = shown.get("execution") or shown["previous_execution"]
    assert isinstance(found, dict)
    return found


def waits_for_nas(fleet: Fleet, job: str) -> bool:
    run = run_of(fleet, job)
    return run.get("wait_reason") == "worker" and "no worker that runs has the label nas" in run["info"]


def test_a_job_is_worked_only_by_workers_that_reach_both_its_sides(fleet: Fleet, place: str) -> None:
    storage = os.path.join(place, "storage")
    source, destination = os.path.join(storage, "source"), os.path.join(storage, "destination")
    made = trees.crash_tree(source, items=1_500, budget=20 * trees.MIB)
    fleet.add("--workers", "2", prefix=[*ELSEWHERE, storage] if os.geteuid() == 0 else ())
    job = job_between(fleet, folder(source, labels=["nas"]), folder(destination, labels=["nas"]))
    fleet.server.begin(job)
    assert faults.wait_until(lambda: waits_for_nas(fleet, job), 60), run_of(fleet, job)
    told = tallyport("doctor", data=fleet.data, env={"TALLYPORT_DATABASE": fleet.database}).out
    assert "nobody reaches the connection 'source': no worker that runs has the label nas" in told

    near = fleet.add("--workers", "1", "--label", "nas", "--label", "tape")
    begun = "SELECT count(*) FROM items WHERE status = 1"
    assert faults.wait_until(lambda: fleet.sql(begun)[0][0] > 1, 60)
    fleet.kill(near)  # in the middle, as far as anybody can tell: whoever is left does not reach what it leaves
    if fleet.server.state(job)["status"] != "complete":
        assert faults.wait_until(lambda: waits_for_nas(fleet, job), 60), run_of(fleet, job)
    fleet.add("--workers", "1", "--label", "nas")
    state = fleet.server.wait(job)
    assert state["status"] == "complete", state
    assert compare.differences(source, destination, modes=False, owners=False) == []
    counted = fleet.sql("SELECT files, transferred + unchanged, failed FROM executions")
    assert counted == [(made.files, made.files + made.symlinks, 0)]


def test_what_waits_for_a_worker_can_be_canceled_and_given_to_others(fleet: Fleet, place: str) -> None:
    source, destination = os.path.join(place, "source"), os.path.join(place, "destination")
    trees.crash_tree(source, items=30, budget=trees.MIB)
    fleet.add("--workers", "1")
    job = job_between(fleet, folder(source, labels=["nas"]), folder(destination))
    fleet.server.begin(job)
    assert faults.wait_until(lambda: waits_for_nas(fleet, job), 60), run_of(fleet, job)
    fleet.server.call("POST", f"/v1/jobs/{job}/cancel")
    assert fleet.server.wait(job)["status"] == "canceled"
    fleet.server.begin(job)
    assert faults.wait_until(lambda: waits_for_nas(fleet, job), 60), run_of(fleet, job)
    found = fleet.server.call("GET", "/v1/connections?q=source")["connections"][0]["id"]
    refused = fleet.server.call("PATCH", f"/v1/connections/{found}", {"labels": []})
    assert "labels" not in refused["connection"]
    assert fleet.server.wait(job)["status"] == "complete"
    assert compare.differences(source, destination, modes=False, owners=False) == []


def test_a_cap_holds_over_four_workers_and_two_jobs_and_a_dead_worker_frees_its_share(fleet: Fleet, place: str) -> None:
    log = os.path.join(place, "requests")
    slow, other = os.path.join(place, "slow"), os.path.join(place, "other")
    trees.crash_tree(os.path.join(slow, "out"), items=120, budget=trees.MIB)  # the other job writes beside it
    trees.crash_tree(other, items=120, budget=trees.MIB)
    body = slow_storage.connection(slow, delay=0.02, log=log) | {"max_transfers": CAP}
    reading = job_between(fleet, body, folder(os.path.join(place, "read")), below="/out")
    shared = fleet.server.call("GET", "/v1/connections?q=slow")["connections"][0]["id"]
    from_other = fleet.server.call("POST", "/v1/connections", folder(other))["connection"]["id"]
    transfer = {
        "transfer_type": "copy",
        "source": {"connection": {"id": from_other}, "target": {"path": "/"}},
        "destination": {"connection": {"id": shared}, "target": {"path": "/in"}},
        "performance": {"parallel_writes": {"requested": 8}},
    }
    document = {"name": "writes", "kind": "transfer", "transfer": transfer, "schedule": {"mode": "manual"}}
    writing = str(fleet.server.call("POST", "/v1/jobs", document)["job"]["id"])
    for _ in range(4):
        fleet.add("--workers", "1")
    for job in (writing, reading):
        fleet.server.begin(job)
    for job in (writing, reading):
        assert fleet.server.wait(job)["status"] == "complete"
    assert 0 < slow_storage.most_at_once(log) <= CAP

    os.mkdir(os.path.join(slow, "out", "more"))
    for number in range(200):
        with open(os.path.join(slow, "out", "more", str(number)), "w") as stream:
            stream.write(str(number))
    fleet.server.begin(reading)
    holders = "SELECT w.pid FROM batches b JOIN workers w ON w.id = b.owner WHERE b.state = 'running'"

    def have_begun() -> bool:
        return fleet.sql(holders) != [] or fleet.server.state(reading)["status"] == "complete"

    assert faults.wait_until(have_begun, 60)
    held = {pid for (pid,) in fleet.sql(holders)}
    for worker in [one for one in fleet.workers if one.program.pid in held]:
        fleet.kill(worker)
        fleet.add("--workers", "1")
    assert fleet.server.wait(reading)["status"] == "complete"
    assert fleet.sql("SELECT count(*) FROM executions WHERE failed > 0") == [(0,)]
    assert fleet.sql("SELECT coalesce(sum(seats), 0) FROM batches WHERE state <> 'done'") == [(0,)]
    assert len(os.listdir(os.path.join(place, "read", "more"))) == 200
