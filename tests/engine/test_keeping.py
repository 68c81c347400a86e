"""A container that is to go, and in which something stays, is left out with a reason: told before, and again after."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallyport.domain.policies import (
    DeletePropagation,
    FilterBlock,
    FilterRule,
    OnInitialize,
    Policies,
    TransferType,
)
from tallyport.domain.transfer_block import defaults_for
from tallyport.store import audit, items
from tests.engine.conftest import Port
from tests.engine.test_awkward_destinations import names, read, write
from tests.engine.test_local_engine import LocalPort

SECOND = 10**9
KEPT = ("not_empty", 5)


def keeping(kind: TransferType, **changes: object) -> Policies:
    """Choose policies under which files named ``z`` are left out, and everything may be deleted."""
    rule = FilterRule(type="pattern", text="z", targets=("item",))
    filters = (FilterBlock(action="exclude", rules=(rule,)),)
    both = {"filter_destination": filters} if kind is TransferType.SYNC else {}
    chosen: dict[str, object] = {"filter_source": filters, "max_delete_percent": 100.0, **both, **changes}
    return dataclasses.replace(defaults_for(kind), **chosen)  # type: ignore[arg-type]


def containers(port: Port) -> dict[str, tuple[str, int]]:
    with port.database.read() as tx:
        found = items.iterate(tx, port.job.number, statuses=tuple(range(7)), reasons=(), kinds=(2,))
        return {row.path: (row.reason, int(row.status)) for row in found if row.path}


def told(port: Port, policies: Policies) -> list[dict[str, int]]:
    """Simulate, run, and run again; gives the totals of each."""
    wanted = ("skipped", "failed", "deleted", "transferred", "pending")
    simulated = port.run(dataclasses.replace(policies, simulation=True), simulation=True)
    runs = [simulated, port.run(policies), port.run(policies)]
    return [{name: getattr(run, name) for name in wanted} for run in runs]


def test_a_simulation_and_every_run_say_alike_that_a_folder_stays_with_what_a_filter_keeps(port: Port) -> None:
    for path in ("e/f/z", "e/g/x", "h/x"):
        write(port.destination, path, b"1", modified=SECOND)
    write(port.source, "a", b"1", modified=SECOND)
    port.start()
    simulated, run, again = told(port, keeping(TransferType.PUBLISH))
    assert simulated == run
    assert run == {"skipped": 2, "failed": 0, "deleted": 4, "transferred": 1, "pending": 0}
    assert again == {"skipped": 2, "failed": 0, "deleted": 0, "transferred": 0, "pending": 0}
    assert {path: containers(port)[path] for path in ("e", "e/f")} == {"e": KEPT, "e/f": KEPT}
    assert sorted(names(port.destination)) == ["a", "e/", "e/f/", "e/f/z"]
    with port.database.read() as tx:
        lines = audit.page(tx, job_id=port.job.id, execution_id=port.find_last().id, limit=100)
    assert {line.path for line in lines if (line.event, line.message) == ("item.skipped", "not_empty")} == {"e", "e/f"}
    ends = [line.message for line in lines if line.event == "execution.complete"]
    assert ends
    assert "2 left out" in ends[0]


def test_the_folder_goes_once_nothing_is_left_in_it(port: Port) -> None:
    write(port.destination, "e/f/z", b"1", modified=SECOND)
    port.start()
    told(port, keeping(TransferType.PUBLISH))
    port.destination.delete("e/f/z")
    run = port.run(keeping(TransferType.PUBLISH))
    assert (run.deleted, run.skipped, run.failed) == (2, 0, 0)
    assert names(port.destination) == []


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_folder_deleted_on_one_side_of_a_sync_stays_on_the_other_with_what_a_filter_keeps(
    port: Port, side: str
) -> None:
    write(port.source, "e/f/x", b"1", modified=SECOND)
    port.start()
    policies = keeping(TransferType.SYNC, delete_propagation=DeletePropagation.MIRROR)
    port.run(policies)
    here, other = port.source, port.destination
    if side == "destination":
        here, other = other, here
    for path in ("e/f/x", "e/f", "e"):
        here.delete(path)
    write(other, "e/f/z", b"kept", modified=SECOND)
    simulated, run, again = told(port, policies)
    assert simulated == run
    assert (run["deleted"], run["failed"]) == (1, 0)
    assert (again["deleted"], again["failed"], again["skipped"]) == (0, 0, run["skipped"])
    assert (containers(port)["e"], containers(port)["e/f"]) == (KEPT, KEPT)
    assert (names(here), read(other, "e/f/z")) == ([], b"kept")


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalPort]:
    made = LocalPort(tmp_path)
    for side in (made.here, made.there):
        side.mkdir()
    yield made
    made.stop()
    made.database.close()


def test_an_emptied_destination_keeps_the_folder_of_what_cannot_be_emptied(local: LocalPort) -> None:
    (local.there / "e").mkdir()
    os.mkfifo(local.there / "e/pipe")
    (local.there / "x").write_text("1")
    (local.here / "a").write_text("1")
    local.start()
    purging = dataclasses.replace(keeping(TransferType.COPY), on_initialize=OnInitialize.PURGE_DESTINATION)
    simulated = local.run(dataclasses.replace(purging, simulation=True), simulation=True)
    run = local.run(purging)
    assert (simulated.transferred, simulated.failed) == (run.transferred, run.failed) == (1, 0)
    assert (run.deleted, run.skipped) == (1, 1)
    assert sorted(entry.name for entry in local.there.iterdir()) == ["a", "e"]
    assert containers(local)["e"] == KEPT
    again = local.run(purging)
    assert (again.skipped, again.writes, containers(local)["e"]) == (0, 0, KEPT)


@pytest.mark.parametrize("quarantine", [None, ".kept"])
def test_what_appeared_in_a_folder_after_the_decision_stays_with_its_folder(
    local: LocalPort, quarantine: str | None
) -> None:
    (local.there / "e/f").mkdir(parents=True)
    for path in ("e/f/x", "e/x"):
        (local.there / path).write_text("1")
    (local.here / "a").write_text("1")
    local.start()
    policies = keeping(TransferType.PUBLISH, max_deletes=1, quarantine=quarantine)
    number = local.begin(policies)
    assert local.wait(number, lambda one: one.state == "waiting").wait_reason == "brake"
    (local.there / "e/f/late").write_text("late")
    local.ask(number, ("waiting",), "ready")
    run = local.wait(number)
    assert (run.deleted, run.skipped, run.failed, run.pending) == (2, 2, 0, 0)
    assert (containers(local)["e"], containers(local)["e/f"]) == (KEPT, KEPT)
    assert [path.name for path in (local.there / "e/f").iterdir()] == ["late"]
