"""What holds for one run alone: emptying the destination before the first, inspecting more in the next."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tallyport.domain.policies import (
    FilterBlock,
    FilterRule,
    ItemInspection,
    OnInitialize,
    Policies,
    TransferType,
)
from tallyport.domain.transfer_block import defaults_for
from tallyport.store import jobs
from tests.engine.conftest import Port
from tests.engine.test_awkward_destinations import ledger, names, read, write

EVERYTHING = {"max_delete_percent": 100.0}


def purging(kind: TransferType = TransferType.COPY, **changes: Any) -> Policies:
    values = {"on_initialize": OnInitialize.PURGE_DESTINATION, **EVERYTHING, **changes}
    return dataclasses.replace(defaults_for(kind), **values)


def fill(port: Port) -> None:
    write(port.source, "a.txt", b"new")
    write(port.source, "both/b.txt", b"new")
    write(port.destination, "a.txt", b"old")
    write(port.destination, "both/old.txt", b"old")
    write(port.destination, "deep/er/c.txt", b"old")


@pytest.mark.parametrize("kind", [TransferType.COPY, TransferType.SYNC, TransferType.PUBLISH, TransferType.MIGRATE])
def test_the_destination_is_emptied_before_the_first_run_and_never_again(port: Port, kind: TransferType) -> None:
    fill(port)
    port.start()
    run = port.run(purging(kind))
    assert (run.state, run.failed) == ("complete", 0), run.info
    assert names(port.destination) == ["a.txt", "both/", "both/b.txt"]
    assert read(port.destination, "a.txt") == b"new"
    assert run.transferred == 2
    write(port.destination, "mine.txt", b"mine")
    port.run(purging(kind))
    if kind is not TransferType.PUBLISH:
        assert "mine.txt" in names(port.destination)


def test_purging_waits_for_a_person_beyond_the_limits(port: Port) -> None:
    fill(port)
    port.start()
    run = port.begin(purging(max_delete_percent=25.0))
    waiting = port.wait(run, lambda one: one.state == "waiting")
    assert waiting.wait_reason == "brake"
    assert len(names(port.destination)) == 6, "nothing is deleted, nothing is written"
    port.ask(run, ("waiting",), "ready")
    assert port.wait(run).state == "complete"
    assert names(port.destination) == ["a.txt", "both/", "both/b.txt"]


def test_a_simulation_of_a_purging_run_decides_as_the_run_does_and_purges_nothing(port: Port) -> None:
    fill(port)
    port.start()
    simulated = port.run(purging(simulation=True))
    assert simulated.transferred == 2
    assert len(names(port.destination)) == 6
    assert read(port.destination, "a.txt") == b"old"


def test_a_simulation_is_no_first_run_so_the_run_after_it_purges(port: Port) -> None:
    fill(port)
    port.start()
    port.run(purging(simulation=True), simulation=True)
    port.run(purging())
    assert names(port.destination) == ["a.txt", "both/", "both/b.txt"]
    write(port.destination, "mine.txt", b"mine")
    port.run(purging(simulation=True), simulation=True)
    port.run(purging())
    assert "mine.txt" in names(port.destination)


def test_what_was_purged_is_kept_where_asked(port: Port) -> None:
    fill(port)
    port.start()
    run = port.run(purging(quarantine=".kept"))
    assert f".kept/{run.id}/deep/er/c.txt" in names(port.destination)


HIDDEN = (FilterBlock(action="exclude", rules=(FilterRule(type="pattern", text="secret*", targets=("all",)),)),)


def inspecting(policy: str, **changes: Any) -> Policies:
    values = {"item_inspection": ItemInspection(policy), "filter_source": HIDDEN, **changes}
    return dataclasses.replace(defaults_for(TransferType.COPY), **values)


def world(port: Port) -> None:
    write(port.source, "a.txt")
    write(port.source, "secret/plain.txt")
    write(port.source, "secret/deep/plain.txt")
    write(port.destination, "theirs/x.txt")
    port.start()


@pytest.mark.parametrize(
    ("policy", "tracked"),
    [
        ("none", ["a.txt", "secret"]),
        ("shared", ["a.txt", "secret"]),
        ("filtered", ["a.txt", "secret", "secret/deep", "secret/deep/plain.txt", "secret/plain.txt"]),
        ("all", ["a.txt", "secret", "secret/deep", "secret/deep/plain.txt", "secret/plain.txt", "theirs"]),
    ],
)
def test_what_is_left_out_is_tracked_as_asked_and_never_carried(port: Port, policy: str, tracked: list[str]) -> None:
    world(port)
    run = port.run(inspecting(policy))
    rows = ledger(port)
    assert sorted(rows) == tracked
    assert names(port.destination) == ["a.txt", "theirs/", "theirs/x.txt"]
    assert {rows[path][:2] for path in tracked if path.startswith("secret")} == {(5, "ignored_pattern")}
    assert run.failed == 0
    assert run.skipped == len([path for path in tracked if path != "a.txt"])
    again = port.run(inspecting(policy))
    assert (again.writes, again.failed) == (0, 0)


@pytest.mark.parametrize("how", ["reset", "next"])
def test_inspecting_more_holds_for_the_next_run_alone(port: Port, how: str) -> None:
    world(port)
    with port.database.begin() as tx:
        if how == "reset":
            jobs.change(tx, port.job.id, reset="inspect_filtered")
        else:
            jobs.change(tx, port.job.id, transfer={"item_inspection_policy_next": "filtered"})
    assert port.run(inspecting("none")).skipped == 4
    assert port.run(inspecting("none", full_look=True)).skipped == 1
