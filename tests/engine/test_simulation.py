"""A simulation tells what the run that follows does: same items, same reasons, same totals; and writes nothing."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallyport.connectors.memory_tree import forget
from tallyport.connectors.protocol import Facts
from tallyport.domain.entries import Kind
from tallyport.domain.executions import Execution
from tallyport.domain.foretelling import Told, foretells
from tallyport.domain.items import Status
from tallyport.domain.policies import (
    ConflictResolution,
    DeletePropagation,
    EmptyContainers,
    FilterBlock,
    FilterRule,
    ItemOverwrite,
    TransferType,
)
from tallyport.domain.transfer_block import defaults_for
from tallyport.store import failures, items
from tests.engine.conftest import Port
from tests.engine.test_awkward_destinations import names, read, write

NAMES = ("a", "b.tmp", "d/x", "d/y", "e/f/z")
SIDE = st.dictionaries(st.sampled_from(NAMES), st.sampled_from((b"one", b"two", b"longer")), max_size=4)


def lay(connector: Any, picture: dict[str, bytes]) -> None:
    for path in NAMES:
        if path not in picture:
            connector.delete(path) if connector.stat(path) is not None else None
    for path, content in picture.items():
        write(connector, path, content, modified=10**18 + len(content) * 10**9)


def told(port: Port) -> dict[str, tuple[str, bool]]:
    """Give what the ledger says of each file: why, and whether it was left out or failed."""
    with port.database.read() as tx:
        found = items.iterate(tx, port.job.number, statuses=tuple(range(7)), reasons=(), kinds=(1,))
        return {row.path: (row.reason, int(row.status) in (3, 4, 5, 6)) for row in found}


def rows_of(port: Port) -> dict[str, Told]:
    """Give what the ledger says of each item."""
    with port.database.read() as tx:
        found = items.iterate(tx, port.job.number, statuses=tuple(range(7)), reasons=(), kinds=(1, 2, 3, 4))
        return {row.path: Told(Kind(row.kind), Status(row.status), row.reason) for row in found if row.path}


def differing(simulated: dict[str, Told], run: dict[str, Told]) -> dict[str, tuple[Told | None, Told | None]]:
    """Give the items of which a simulation said something else than the run that followed."""
    pairs = {path: (simulated.get(path), run.get(path)) for path in simulated.keys() | run.keys()}
    return {path: (one, two) for path, (one, two) in pairs.items() if not (one and two and foretells(one, two))}


def seen(port: Port) -> tuple[Any, Any]:
    return tuple(
        {name: b"" if name.endswith("/") else read(side, name) for name in names(side)}
        for side in (port.source, port.destination)
    )  # type: ignore[return-value]


TOTALS = ("transferred", "transferred_bytes", "skipped", "failed", "unchanged", "files", "deleted")


def totals_of(run: Execution) -> dict[str, int]:
    return {total: getattr(run, total) for total in TOTALS}


def end_of(run: Execution) -> tuple[str, str | None]:
    return run.state, run.result


BUT_FOR_FOLDERS: dict[tuple[str, str | None], tuple[str, str | None]] = {
    # A run that gives a folder its time has written something; what it writes beside items no simulation foresees.
    ("complete", "clean"): ("complete", "no_changes"),
    ("complete", "errors"): ("failed", None),
}


@pytest.mark.nightly
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(TransferType),
    st.tuples(SIDE, SIDE),
    st.tuples(SIDE, SIDE),
    st.sampled_from(ConflictResolution),
    st.sampled_from(DeletePropagation),
    st.sampled_from(ItemOverwrite),
    st.sampled_from(EmptyContainers),
    st.booleans(),
)
def test_a_simulation_equals_the_run_that_follows(
    kind: Any, first: Any, second: Any, conflict: Any, deletes: Any, overwrite: Any, empty: Any, filtered: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        port = Port(Path(folder))
        try:
            blocks = (FilterBlock(action="exclude", rules=(FilterRule(type="extension", extensions=(".tmp",)),)),)
            changes: dict[str, Any] = {
                "item_overwrite": overwrite,
                "empty_containers": empty,
                "max_delete_percent": 100.0,
                "filter_source": blocks if filtered else (),
            }
            if kind in (TransferType.SYNC, TransferType.COPY):
                changes |= {"conflict_resolution": conflict, "delete_propagation": deletes}
            chosen = dataclasses.replace(defaults_for(kind), **changes)
            lay(port.source, first[0])
            lay(port.destination, first[1])
            port.start()
            port.run(chosen)
            lay(port.source, second[0])
            lay(port.destination, second[1])
            before = seen(port)
            simulated = port.run(dataclasses.replace(chosen, simulation=True), simulation=True)
            assert seen(port) == before, "a simulation writes nothing"
            said = rows_of(port)
            real = port.run(chosen)
            assert totals_of(simulated) == totals_of(real)
            assert differing(said, rows_of(port)) == {}
            assert end_of(simulated) in {end_of(real), BUT_FOR_FOLDERS.get(end_of(real))}
        finally:
            port.stop()
            port.database.close()
            for store in port.stores:
                forget(store)


@pytest.mark.parametrize("kind", [TransferType.MOVE, TransferType.MIGRATE])
@pytest.mark.parametrize("empty", EmptyContainers)
def test_a_simulated_move_says_what_leaves_the_source_and_what_stays(
    kind: TransferType, empty: EmptyContainers, port: Port
) -> None:
    rule = FilterRule(type="extension", extensions=(".tmp",))
    chosen = dataclasses.replace(
        defaults_for(kind),
        empty_containers=empty,
        filter_source=(FilterBlock(action="exclude", rules=(rule,)),),
        item_overwrite=ItemOverwrite.SKIP,
    )
    lay(port.source, {"a": b"one", "d/x": b"two", "d/y": b"one", "e/f/z": b"two"})
    write(port.source, "kept/b.tmp", b"1", modified=10**18)
    write(port.source, "kept/deep/x", b"1", modified=10**18)
    write(port.source, "own/x", b"1", modified=10**18)
    write(port.destination, "own/x", b"other", modified=10**18)
    port.source.make_container("empty", Facts())
    port.start()
    for _ in range(2):
        before = seen(port)
        simulated = port.run(dataclasses.replace(chosen, simulation=True), simulation=True)
        assert seen(port) == before
        said = rows_of(port)
        real = port.run(chosen)
        assert differing(said, rows_of(port)) == {}
        assert totals_of(simulated) == totals_of(real)
    left = {path: row.reason for path, row in said.items()}
    assert (left["a"], left["d/x"], left["d"], left["kept/deep"]) == ("moved",) * 4
    assert (left["kept"], left["own"]) == ("unchanged", "unchanged")
    expected = ["kept/", "kept/b.tmp", "own/", "own/x"]
    assert names(port.source) == (expected if empty is EmptyContainers.CREATE else ["empty/", *expected])


@pytest.mark.parametrize("kind", [TransferType.MOVE, TransferType.MIGRATE])
def test_a_simulated_move_foresees_that_a_folder_goes_whose_flagged_file_is_gone(
    kind: TransferType, port: Port
) -> None:
    chosen = dataclasses.replace(defaults_for(kind), item_overwrite=ItemOverwrite.FAIL)
    lay(port.source, {"d/x": b"one"})
    lay(port.destination, {"d/x": b"two"})
    port.start()
    port.run(chosen)
    lay(port.source, {})
    lay(port.destination, {"d/x": b"one"})
    port.run(dataclasses.replace(chosen, simulation=True), simulation=True)
    said = rows_of(port)
    port.run(chosen)
    assert differing(said, rows_of(port)) == {}
    assert said["d"].reason == "moved"
    assert names(port.source) == []


@pytest.mark.parametrize("kind", [TransferType.MOVE, TransferType.MIGRATE])
def test_a_simulated_move_of_what_is_there_already_is_not_nothing_to_do(kind: TransferType, port: Port) -> None:
    for side in (port.source, port.destination):
        lay(side, {"a": b"one", "d/x": b"two"})
    port.start()
    chosen = defaults_for(kind)
    simulated = port.run(dataclasses.replace(chosen, simulation=True), simulation=True)
    real = port.run(chosen)
    assert (simulated.result, real.result, simulated.transferred, real.transferred) == ("clean", "clean", 0, 0)
    again = [port.run(dataclasses.replace(chosen, simulation=it), simulation=it).result for it in (True, False)]
    assert again == ["no_changes", "no_changes"]


@pytest.mark.parametrize("content", [b"one", b""])
@pytest.mark.parametrize("kind", [TransferType.MOVE, TransferType.MIGRATE])
def test_what_a_move_carries_again_after_it_was_deleted_there_is_moved(
    kind: TransferType, content: bytes, port: Port
) -> None:
    chosen = defaults_for(kind)
    lay(port.source, {"a": content})
    port.start()
    port.run(chosen)
    lay(port.source, {"a": content})
    lay(port.destination, {})
    simulated = port.run(dataclasses.replace(chosen, simulation=True), simulation=True)
    said = rows_of(port)
    real = port.run(chosen)
    for execution in (simulated, real):
        assert (execution.transferred, execution.transferred_bytes, execution.deleted) == (1, len(content), 0)
    moved = {"a": Told(Kind.FILE, Status.SUCCESS, "moved")}
    assert said == rows_of(port) == moved
    assert seen(port) == ({}, {"a": content})
    again = port.run(chosen)
    assert (again.result, again.transferred, again.deleted, again.writes) == ("no_changes", 0, 0, 0)
    assert rows_of(port) == moved


def test_an_empty_file_that_is_made_again_is_transferred_and_not_deleted(port: Port) -> None:
    chosen = defaults_for(TransferType.PUBLISH)
    lay(port.source, {"a": b""})
    port.start()
    port.run(chosen)
    lay(port.destination, {})
    simulated = port.run(dataclasses.replace(chosen, simulation=True), simulation=True)
    real = port.run(chosen)
    assert [(one.transferred, one.deleted) for one in (simulated, real)] == [(1, 0), (1, 0)]
    assert simulated.writes == 0
    assert seen(port) == ({"a": b""}, {"a": b""})


def test_a_simulation_leaves_a_flagged_item_flagged(port: Port) -> None:
    chosen = dataclasses.replace(
        defaults_for(TransferType.PUBLISH), item_overwrite=ItemOverwrite.FAIL, max_delete_percent=100.0
    )
    lay(port.source, {"a": b"one"})
    lay(port.destination, {"a": b"other", "d/x": b"one", "e/f/z": b"two"})
    port.start()
    port.run(chosen)
    lay(port.destination, {"a": b"other", "d/x": b"one", "e/f/z": b"two"})
    before = seen(port)
    simulated = port.run(dataclasses.replace(chosen, simulation=True), simulation=True)
    assert seen(port) == before
    real = port.run(chosen)
    for total in ("transferred", "deleted", "failed", "skipped"):
        assert getattr(simulated, total) == getattr(real, total), total
    assert real.deleted >= 2
    assert told(port)["a"] == ("overwrite_refused", True)


def test_a_flagged_item_keeps_the_cause_for_which_it_was_flagged(port: Port) -> None:
    chosen = dataclasses.replace(defaults_for(TransferType.COPY), item_overwrite=ItemOverwrite.FAIL)
    lay(port.source, {"a": b"one"})
    lay(port.destination, {"a": b"other"})
    port.start()
    for _ in range(3):
        port.run(chosen)
        with port.database.read() as tx:
            (item,) = [item for item in items.iterate(tx, port.job.number) if item.path == "a"]
            (failure,) = failures.iterate(tx, port.find_last().id)
        assert (item.status, item.reason) == (4, "overwrite_refused")
        assert (failure.reason, failure.message) == ("overwrite_refused", item.message)
        assert "item_overwrite is fail" in (item.message or "")


def test_a_folder_with_something_further_down_is_not_empty(port: Port) -> None:
    chosen = dataclasses.replace(
        defaults_for(TransferType.COPY),
        empty_containers=EmptyContainers.SKIP,
        filter_source=(FilterBlock(action="exclude", rules=(FilterRule(type="extension", extensions=(".tmp",)),)),),
    )
    for path in ("p/q/r/f", "u/x.tmp", "keep"):
        write(port.source, path, b"x", modified=10**18)
    for path in ("r", "r/s", "r/s/t"):
        port.source.make_container(path, Facts())
    for path in ("p/q/r", "p/q", "p"):
        port.source.stamp(path, Facts(modified=10**17))
    port.start()
    simulated = port.run(dataclasses.replace(chosen, simulation=True), simulation=True)
    left_out = {"r", "r/s", "r/s/t", "u"}
    assert containers_left_out(port) == left_out
    real = port.run(chosen)
    assert containers_left_out(port) == left_out
    assert names(port.destination) == ["keep", "p/", "p/q/", "p/q/r/", "p/q/r/f"]
    assert (simulated.skipped, real.skipped) == (5, 5)
    for path in ("p/q/r", "p/q", "p"):
        made = port.destination.stat(path)
        assert made is not None
        assert made.modified == 10**17
    again = port.run(chosen)
    assert (again.skipped, again.writes) == (5, 0)


def containers_left_out(port: Port) -> set[str]:
    with port.database.read() as tx:
        found = items.iterate(tx, port.job.number, statuses=(5,), reasons=(), kinds=(2,))
        return {row.path for row in found if row.reason == "ignored_empty_container_policy"}


def test_a_simulation_of_a_sync_goes_through_folders_that_only_the_destination_has(port: Port) -> None:
    chosen = dataclasses.replace(
        defaults_for(TransferType.SYNC), delete_propagation=DeletePropagation.IGNORE_BOTH, max_delete_percent=100.0
    )
    lay(port.source, {"d/x": b"one"})
    lay(port.destination, {"e/f/z": b"two"})
    port.start()
    for _ in range(2):
        before = seen(port)
        simulated = port.run(dataclasses.replace(chosen, simulation=True), simulation=True)
        assert seen(port) == before
        real = port.run(chosen)
        for total in ("transferred", "skipped", "failed", "unchanged"):
            assert getattr(simulated, total) == getattr(real, total), total
        assert real.failed == 0
        for path in ("e/f/z", "e/f", "e"):  # deleted there, and made again by a sync that repeats no deletes
            port.source.delete(path)
