"""What a patch of a job means for its execution that is under way."""

from __future__ import annotations

from tallyport.domain.policies import Bandwidth, ConflictResolution
from tallyport.domain.policies_json import policies_from_json
from tallyport.store import executions, frontier
from tests.api.world import World


def policies(world: World, job: str):
    return policies_from_json(world.latest(job).policies)


def started(world: World) -> str:
    job = world.job()
    assert world.patch(f"/v1/jobs/{job}?start=1").status_code == 200
    return job


def test_rates_and_parallel_writes_reach_the_running_execution(world: World) -> None:
    job = started(world)
    new = {"performance": {"parallel_writes": {"requested": 7, "max": 5}, "upload": {"bytes_per_second": 9}}}
    assert world.patch(f"/v1/jobs/{job}", json={"kind": "transfer", "transfer": new}).status_code == 200
    found = policies(world, job)
    assert found.parallel_at_most == 5
    assert found.upload == Bandwidth(bytes_per_second=9)
    assert world.latest(job).revision == 1


def test_what_decides_stays_as_the_execution_began(world: World) -> None:
    job = started(world)
    answer = world.patch(f"/v1/jobs/{job}", json={"transfer": {"conflict_resolution": "source"}})
    assert answer.status_code == 200
    assert policies(world, job).conflict_resolution is ConflictResolution.COPY
    assert world.latest(job).revision == 0


def braked(world: World, deletes: int) -> str:
    """Leave a job's execution as the engine does that may not delete so much."""
    job = started(world)
    run = world.latest(job).id
    with world.database.begin() as tx:
        base = (1, 1, b"a", b"a", 0, 0, 0, 0, None, b"", "pending")
        tasks = [(n + 1, run, "delete_destination", n + 10, *base[1:]) for n in range(deletes)]
        frontier.add_tasks(tx, world.database, tasks)
        executions.change(tx, run, files=100_000, started_at=1)
        assert executions.move(tx, run, ("ready",), "waiting", wait_reason="brake", info="too many")
    return job


def test_a_raised_limit_lets_a_braked_execution_go_on(world: World) -> None:
    job = braked(world, 1_200)
    assert world.patch(f"/v1/jobs/{job}", json={"transfer": {"limits": {"max_deletes": 1_199}}}).status_code == 200
    assert world.latest(job).state == "waiting", "still not enough"
    assert world.patch(f"/v1/jobs/{job}", json={"transfer": {"limits": {"max_deletes": 1_200}}}).status_code == 200
    assert world.latest(job).state == "ready"


def test_a_person_may_approve_what_waits_for_the_brake(world: World) -> None:
    job = braked(world, 1_200)
    assert world.patch(f"/v1/jobs/{job}?resume=1").status_code == 200
    assert world.latest(job).state == "ready"
