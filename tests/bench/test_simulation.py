"""The fleet's rules hold over simulated time: no batch is lost, windows are kept, jobs share, the dead are found."""

import pytest

from tallyport.engine.batch import COMMIT_SECONDS, MOST_COMMIT_SECONDS, commit_seconds
from tallyport.engine.engine import LOOK_SECONDS, look_seconds
from tallyport.engine.roster import BEAT, PATIENCE
from tests.bench.simulation import Plan, simulate


@pytest.mark.parametrize("seed", range(3))
def test_a_fleet_that_loses_workers_ends_every_job_with_nothing_lost(seed: int) -> None:
    plan = Plan(
        workers=16,
        items=400_000,
        jobs=3,
        per_container=500,
        item_seconds=0.004,
        deaths_an_hour=1_200.0,
        window=5,
        seed=seed,
    )
    found = simulate(plan)
    assert found["jobs_that_lost_items"] == 0
    assert found["window_kept"]
    assert found["workers_lost"] > 0
    assert found["recovery_seconds_most"] <= PATIENCE + 3 * BEAT


def test_equal_jobs_end_within_a_fifth_of_each_other() -> None:
    found = simulate(Plan(12, 600_000, 3, 500, 0.004, 0.0, 4, 1))
    assert found["first_to_last_job"] <= 1.2


def test_what_the_fleet_asks_of_the_database_grows_slower_than_the_fleet() -> None:
    few, many = (simulate(Plan(size, 20_000 * size, 2, 500, 0.004, 0.0, size // 2, 1)) for size in (8, 64))
    per_worker = [found["statements_a_second"] / found["workers"] for found in (few, many)]
    assert per_worker[1] <= per_worker[0]


def test_a_job_of_few_containers_is_shared_by_the_whole_fleet() -> None:
    """Ten containers a worker, of two seconds each: nobody holds many while others have nothing."""
    found = simulate(Plan(100, 1_000_000, 2, 1_000, 0.002, 0.0, 50, 1))
    assert found["seconds"] <= 2 * 10 * 2


def test_commits_and_looks_become_rarer_with_the_number_of_those_who_make_them() -> None:
    assert commit_seconds(1) == commit_seconds(16) == COMMIT_SECONDS
    assert commit_seconds(64) == 4 * COMMIT_SECONDS
    assert commit_seconds(10_000) == MOST_COMMIT_SECONDS
    assert look_seconds(1) == LOOK_SECONDS
    assert 1_000 / look_seconds(1_000) == pytest.approx(2.0)
