"""The real engine over two memory worlds that people change between runs, against what is promised of it.

M1 settles: after a run without failures the next one changes nothing, whatever the order. M2 no lost update: a
content that is gone was replaced or deleted by an item whose reason says so, and never under a policy that forbids
it. M3 a simulation tells the run that follows. M4 a lost record deletes nothing. M5 what a filter leaves out is
touched on neither side, as a brute-force look at the names says. M6 a job in parts comes to what the whole comes to:
no two parts share an item, none is left out, and neither order nor number changes the end.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tallyport.connectors.memory_tree import forget
from tallyport.domain.policies import (
    ConflictResolution,
    DeletePropagation,
    FilterBlock,
    FilterRule,
    ItemOverwrite,
    Policies,
    TransferType,
)
from tallyport.domain.transfer_block import defaults_for
from tallyport.store import items, jobs
from tests.engine.conftest import Port
from tests.engine.test_awkward_destinations import names, read, write
from tests.engine.test_simulation import differing, rows_of
from tests.engine.test_split import Board, paths_of

NAMES = ("a", "b.tmp", "d/x", "d/y.tmp", "d/z", "e/f/z")
SIDES = st.sampled_from(("source", "destination"))
STAYS = (TransferType.COPY, TransferType.PUBLISH, TransferType.TAXONOMY)
TAKES = {  # reasons under which a content may go, at either side
    *("changed_at_source", "changed_at_destination", "changed_both", "retried", "new_at_source", "new_at_destination"),
    *("deleted_at_source", "deleted_at_destination", "not_at_source", "moved", "deleted_both"),
}
SECOND = 10**9


def blocks(action: str, pattern: str) -> tuple[FilterBlock, ...]:
    rule = FilterRule(type="pattern", text=pattern, targets=("item",))
    return (FilterBlock(action=action, rules=(rule,)),)


def left_out(policies: Policies, path: str) -> bool:
    """Judge one file as a person would, by its name alone."""
    name = path.rpartition("/")[2]
    for block in policies.filter_source:
        fits = any(fnmatch.fnmatchcase(name, rule.text) for rule in block.rules)
        if fits is (block.action == "exclude"):
            return True
    return False


class Machine(RuleBasedStateMachine):
    """Two worlds, a job between them, and people."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.port = Port(Path(self.folder))
        self.clock = 1_000
        self.was_lost = False

    @initialize(
        kind=st.sampled_from(TransferType),
        conflict=st.sampled_from(ConflictResolution),
        deletes=st.sampled_from(DeletePropagation),
        overwrite=st.sampled_from(ItemOverwrite),
        filters=st.sampled_from([(), blocks("exclude", "*.tmp"), blocks("include", "[a-x]*")]),
        threads=st.integers(1, 3),
        glimpses=st.booleans(),
    )
    def begin(
        self, kind: Any, conflict: Any, deletes: Any, overwrite: Any, filters: Any, threads: int, glimpses: bool
    ) -> None:
        self.port.slow(0, glimpses=glimpses)
        changes: dict[str, Any] = {"item_overwrite": overwrite, "filter_source": filters, "max_delete_percent": 100.0}
        if kind in (TransferType.SYNC, TransferType.COPY):
            changes |= {"conflict_resolution": conflict, "delete_propagation": deletes}
        if kind is TransferType.SYNC:
            changes["filter_destination"] = filters
        self.policies = dataclasses.replace(defaults_for(kind), **changes)
        self.port.start(threads)

    def teardown(self) -> None:
        self.port.stop()
        self.port.database.close()
        for store in self.port.stores:
            forget(store)
        shutil.rmtree(self.folder)

    # -- what people do

    @rule(side=SIDES, path=st.sampled_from(NAMES))
    def write(self, side: str, path: str) -> None:
        self.clock += 1
        write(getattr(self.port, side), path, b"%d" % self.clock, modified=self.clock * SECOND)

    @rule(path=st.sampled_from(NAMES))
    def write_the_same_on_both(self, path: str) -> None:
        self.clock += 1
        for side in (self.port.source, self.port.destination):
            write(side, path, b"%d" % self.clock, modified=self.clock * SECOND)

    @rule(side=SIDES, path=st.sampled_from(NAMES))
    def remove(self, side: str, path: str) -> None:
        world = getattr(self.port, side)
        if world.stat(path) is not None:
            world.delete(path)

    @rule()
    def lose_the_record(self) -> None:
        with self.port.database.begin() as tx:
            items.forget(tx, self.port.job.number)
            jobs.change(tx, self.port.job.id, root_item_id=None)
        self.was_lost = True

    # -- runs

    @rule()
    def run(self) -> None:
        before = self.seen()
        simulated = self.port.run(dataclasses.replace(self.policies, simulation=True), simulation=True)
        assert self.seen() == before, "M3: a simulation writes nothing"
        said = rows_of(self.port)
        run = self.port.run(self.policies)
        assert self.totals(simulated) == self.totals(run), "M3: a simulation tells the run that follows"
        assert differing(said, rows_of(self.port)) == {}, "M3: a simulation's rows are those of the run that follows"
        self.judge(before, run)

    @rule()
    @precondition(lambda self: self.port.engine is not None)
    def run_through_a_crash(self) -> None:
        before = self.seen()
        number = self.port.begin(self.policies)
        self.port.stop()
        self.port.start(2)
        self.judge(before, self.port.wait(number))

    def judge(self, before: tuple[dict[str, bytes], ...], run: Any) -> None:
        after, kind = self.seen(), self.policies.transfer_type
        reasons = self.reasons()
        if kind in STAYS:
            assert after[0] == before[0], "a source that is only read is as it was"
        for side in (0, 1):
            for path, content in before[side].items():
                if left_out(self.policies, path) and (side == 0 or kind is not TransferType.PUBLISH):
                    assert after[side].get(path) == content, f"M5: {path} is filtered, and was touched"
                if after[side].get(path) == content or content in (*after[0].values(), *after[1].values()):
                    continue
                assert reasons.get(path, ("deleted_both",))[0] in TAKES, f"M2: {path} lost {content!r}: {reasons}"
                if path in after[side]:
                    assert self.policies.item_overwrite is ItemOverwrite.OVERWRITE, "M2: replaced under a veto"
                if self.was_lost:
                    assert path in after[side] or kind is TransferType.PUBLISH, "M4: deleted without a record"
        self.was_lost = False
        self.settle()

    def settle(self) -> None:
        """M1: a copy kept of a conflict travels in the run after; then nothing moves any more."""
        for _ in range(2):
            self.port.run(self.policies)
        before = self.seen()
        run = self.port.run(self.policies)
        assert self.seen() == before, "M1: a run on unchanged trees changed something"
        assert (run.transferred, run.deleted, run.writes) == (0, 0, 0), run
        plain = self.policies.transfer_type is TransferType.SYNC and not run.failed and not run.skipped
        if plain and self.policies.delete_propagation is DeletePropagation.MIRROR:
            taking_part = [{path for path in side if not left_out(self.policies, path)} for side in before]
            assert [{path: side[path] for path in paths} for side, paths in zip(before, taking_part, strict=True)] == [
                {path: before[0][path] for path in taking_part[0]}
            ] * 2, "M1: a sync that left nothing out ends equal"

    # -- looking

    def seen(self) -> tuple[dict[str, bytes], ...]:
        return tuple(
            {name: read(side, name) for name in names(side) if not name.endswith("/")}
            for side in (self.port.source, self.port.destination)
        )

    def reasons(self) -> dict[str, tuple[str, int]]:
        with self.port.database.read() as tx:
            found = items.iterate(tx, self.port.job.number, statuses=tuple(range(7)), reasons=(), kinds=(1,))
            return {row.path: (row.reason, int(row.status)) for row in found}

    def totals(self, run: Any) -> dict[str, int]:
        wanted = ("transferred", "transferred_bytes", "skipped", "failed", "unchanged", "files", "deleted")
        return {total: getattr(run, total) for total in wanted}


def world_of(connector: Any) -> dict[str, bytes]:
    return {name: b"" if name.endswith("/") else read(connector, name) for name in names(connector)}


NAME = st.sampled_from(("a", "b", "c", "d.tmp", "\u00e9"))
TREES = st.dictionaries(st.lists(NAME, min_size=1, max_size=3).map("/".join), st.binary(max_size=3), min_size=1)


def can_be_parted(found: dict[str, bytes]) -> bool:
    """Tell whether it is a tree with more than one thing at its top."""
    several = len({path.partition("/")[0] for path in found}) > 1
    return several and not any(other.startswith(f"{path}/") for path in found for other in found)


@settings(deadline=None, suppress_health_check=list(HealthCheck), max_examples=6)
@given(found=TREES.filter(can_be_parted), wanted=st.integers(2, 4), parallel=st.booleans(), threads=st.integers(1, 3))
def test_a_job_in_parts_comes_to_what_the_whole_comes_to_in_any_order(
    found: dict[str, bytes], wanted: int, parallel: bool, threads: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        port = Port(Path(folder))
        try:
            for path, content in found.items():
                write(port.source, path, content, modified=SECOND)
            port.start(threads)
            board = Board(port)
            whole = board.make()
            board.split(whole, wanted, parallel=parallel)
            dealt = [set(paths_of(part)) for part in board.parts(whole)]
            assert sum(map(len, dealt)) == len(set().union(*dealt)), "M6: an item belongs to two parts"
            board.end(whole)
            assert (board.run_of(whole).result, board.run_of(whole).failed) == ("clean", 0)
            assert world_of(port.destination) == world_of(port.source), "M6: the parts together are the whole"
            run = port.run()
            assert (run.transferred, run.writes, run.failed) == (0, 0, 0), "M6: the whole would have done more"
        finally:
            port.stop()
            port.database.close()
            for store in port.stores:
                forget(store)


USUAL = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


def test_what_is_promised_holds_whatever_people_do() -> None:
    run_state_machine_as_test(Machine, settings=settings(USUAL, max_examples=20, stateful_step_count=12))


@pytest.mark.nightly
@pytest.mark.timeout(7_200)
def test_what_is_promised_holds_for_long() -> None:
    examples = int(os.environ.get("TALLYPORT_EXAMPLES", "300"))
    run_state_machine_as_test(Machine, settings=settings(USUAL, max_examples=examples, stateful_step_count=20))


@pytest.mark.parametrize("kind", list(TransferType))
def test_what_is_ours_on_either_side_is_no_item_of_any_job(kind: TransferType, tmp_path: Path) -> None:
    """Another job probes a connection, or is in the midst of a write, while this one lists the same folder."""
    port = Port(tmp_path)
    try:
        ours = (".tallyport-probe-0a1b2c3d/new", ".tallyport-abc123-1")
        for side in (port.source, port.destination):
            for path in ours:
                write(side, path, b"canary", modified=SECOND)
        write(port.source, "a", b"1", modified=SECOND)
        port.start()
        run = port.run(dataclasses.replace(defaults_for(kind), max_delete_percent=100.0))
        with port.database.read() as tx:
            rows = items.iterate(tx, port.job.number, statuses=tuple(range(7)), reasons=(), kinds=(1, 2))
            assert {row.path for row in rows} <= {"", "a"}
        assert (run.failed, run.skipped) == (0, int(kind is TransferType.TAXONOMY))  # that one carries no files
        for side in (port.source, port.destination):
            assert [read(side, path) for path in ours] == [b"canary"] * 2
    finally:
        port.stop()
        port.database.close()
        for store in port.stores:
            forget(store)
