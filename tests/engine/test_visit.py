"""The loop that works one container: memory worlds for the rules, real folders for the rest."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tallyport.connectors.layers.faulty import Fault, Faulty
from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.domain.entries import Kind
from tallyport.domain.errors import ErrorKind
from tallyport.domain.policies import (
    EmptyContainers,
    FilterBlock,
    FilterRule,
    Policies,
    TransferType,
)
from tallyport.engine import transfer
from tallyport.engine.thread_crew import ThreadCrew
from tallyport.testing.worlds import differences, picture, tree
from tests.engine.desk import Desk, Outcome

WORLD = """
a.txt 3b v1
b.txt 5b v1
empty/
sub/c.txt 10b v1
sub/deep/d.txt 20b v1
"""

_numbers = itertools.count()


class World:
    """Two memory trees, a crew of one thread and a desk."""

    def __init__(self, crew: ThreadCrew, **policies: object) -> None:
        number = next(_numbers)
        self.names = (f"visit-source-{number}", f"visit-destination-{number}")
        self.source, self.destination = (Memory(Settings(store=name)) for name in self.names)
        self.crew = crew
        self.desk = self.make_desk(**policies)

    def make_desk(self, **policies: object) -> Desk:
        chosen = Policies(**{"transfer_type": TransferType.COPY, **policies})  # type: ignore[arg-type]
        ends = [("memory", json.dumps({"store": name}), "") for name in self.names]
        return Desk(ends[0], ends[1], chosen, group=3)

    def run(self, **options: bool) -> Outcome:
        return self.desk.run(self.crew, **options)

    def differences(self) -> list[str]:
        return differences(self.source, self.destination)


@pytest.fixture
def crew() -> Iterator[ThreadCrew]:
    made = ThreadCrew(1)
    made.start()
    yield made
    made.close()


@pytest.fixture
def world(crew: ThreadCrew) -> Callable[..., World]:
    def make(text: str = WORLD, **policies: object) -> World:
        made = World(crew, **policies)
        tree(text, made.source)
        return made

    return make


def test_a_new_tree_is_carried_whole(world) -> None:
    one = world()
    outcome = one.run()
    assert one.differences() == []
    assert (outcome.errors, dict(outcome.halted), outcome.lost) == ({}, {}, [])
    assert outcome.reasons()["sub/deep/d.txt"] == "new_at_source"
    assert {path for path, item in outcome.items.items() if item.status == 1} == {
        "", "a.txt", "b.txt", "empty", "sub", "sub/c.txt", "sub/deep", "sub/deep/d.txt",
    }  # fmt: skip
    assert (outcome.s_files, outcome.s_bytes, outcome.moved) == (4, 38, 38)
    assert outcome.items["a.txt"].hash is not None
    assert outcome.items["a.txt"].level == 3


def test_a_second_run_asks_the_ledger_nothing_and_writes_nothing(world) -> None:
    one = world()
    assert one.run().signed == 4
    before = picture(one.destination, times=True)
    outcome = one.run()
    assert (outcome.items, outcome.asked, outcome.wrote) == ({}, 0, 0)
    assert (outcome.unchanged, outcome.unchanged_bytes, outcome.visits, outcome.signed) == (4, 38, 4, 4)
    assert picture(one.destination, times=True) == before


def test_a_second_run_without_signatures_finds_the_same(world) -> None:
    one = world()
    one.run()
    one.desk.signatures.clear()
    outcome = one.run()
    assert (outcome.wrote, outcome.unchanged, outcome.asked) == (0, 4, 3)
    full = one.run(full=True)
    assert (full.wrote, full.unchanged) == (0, 4)


def test_changed_added_and_removed_files_are_found(world) -> None:
    one = world()
    one.run()
    tree("sub/c.txt 11b v2\nsub/new.txt 1b v1\nother/x.txt 2b v1", one.source)
    one.source.delete("b.txt")
    outcome = one.run()
    assert (
        outcome.reasons().items()
        >= {
            "sub/c.txt": "changed_at_source",
            "sub/new.txt": "new_at_source",
            "other/x.txt": "new_at_source",
            "b.txt": "deleted_at_source",
        }.items()
    )
    assert outcome.deletes == [("destination", "b.txt")]
    assert one.differences() == []
    assert one.run().wrote == 0


def test_a_full_look_puts_back_what_a_trusted_run_does_not_see(world) -> None:
    one = world(transfer_type=TransferType.PUBLISH)
    one.run()
    tree("sub/c.txt 9b v9\nextra.txt 1b v1\nempty/extra/x 1b v1", one.destination)
    outcome = one.run()
    assert one.differences() == []
    assert ("destination", "extra.txt") in outcome.deletes
    assert ("destination", "empty/extra") in outcome.deletes
    assert ("destination", "empty/extra/x") in outcome.deletes
    assert outcome.deletes.index(("destination", "empty/extra/x")) < outcome.deletes.index(
        ("destination", "empty/extra")
    )


def test_what_the_destination_holds_already_is_adopted_by_hash(world) -> None:
    one = world()
    tree("sub/c.txt 10b v1", one.destination)
    outcome = one.run()
    assert one.differences() == []
    assert outcome.reasons()["sub/c.txt"] in ("same_content", "metadata_changed")
    assert outcome.items["sub/c.txt"].moved == 0
    assert outcome.moved == 28


def test_sync_carries_both_ways(world) -> None:
    one = world(transfer_type=TransferType.SYNC)
    tree("there.txt 4b v1\nfar/there.txt 6b v1", one.destination)
    outcome = one.run()
    assert one.differences() == []
    assert outcome.reasons()["far/there.txt"] == "new_at_destination"
    one.destination.delete("a.txt")
    tree("sub/c.txt 12b v3", one.destination)
    outcome = one.run()
    assert one.differences() == []
    assert outcome.deletes == [("source", "a.txt")]
    assert one.run().wrote == 0


def test_sync_follows_a_deleted_container_down(world) -> None:
    one = world(transfer_type=TransferType.SYNC)
    one.run()
    one.destination.delete("sub/deep/d.txt")
    one.destination.delete("sub/deep")
    one.destination.delete("sub/c.txt")
    one.destination.delete("sub")
    outcome = one.run()
    assert one.differences() == []
    assert outcome.errors == {}
    assert outcome.deletes[-1] == ("source", "sub")


def test_a_move_empties_the_source_of_what_is_proved(world) -> None:
    one = world(transfer_type=TransferType.MOVE)
    outcome = one.run()
    assert picture(one.source).count("txt") == 0
    assert picture(one.destination).count("txt") == 4
    assert outcome.items["a.txt"].reason == "moved"
    assert outcome.errors == {}


def test_a_simulation_says_the_same_and_writes_nothing(world) -> None:
    one = world(simulation=True)
    dry = one.run()
    assert picture(one.destination) == ""
    real = World.make_desk(one)
    one.desk = real
    outcome = one.run()
    files = {path for path, item in outcome.items.items() if item.kind == Kind.FILE}
    assert {path: dry.items[path].reason for path in files} == {path: outcome.items[path].reason for path in files}
    assert dry.moved == outcome.moved
    assert dry.wrote == 0


def test_filters_leave_items_out_with_a_reason(world) -> None:
    rule = FilterBlock(action="exclude", rules=(FilterRule(type="pattern", text="*.txt"),))
    one = world(WORLD + "keep.md 1b v1", filter_source=(rule,))
    outcome = one.run()
    assert outcome.reasons()["a.txt"] == "ignored_pattern"
    assert outcome.items["a.txt"].status == 5
    assert "keep.md" in picture(one.destination)
    assert ".txt" not in picture(one.destination)
    assert one.run().wrote == 0


def test_empty_containers_can_be_left_out(world) -> None:
    one = world(empty_containers=EmptyContainers.SKIP)
    outcome = one.run()
    assert "empty" not in picture(one.destination)
    assert "d.txt" in picture(one.destination)
    assert outcome.items["empty"].reason == "ignored_empty_container_policy"
    assert outcome.items["sub/deep"].status == 1


def test_a_container_with_too_many_items_is_flagged_and_not_entered(world) -> None:
    one = world("x/1 1b v1\nx/2 1b v1\nx/3 1b v1\ny/1 1b v1", max_items_per_container=2)
    outcome = one.run()
    assert outcome.items["x"].reason == "too_many_items"
    assert outcome.items["x"].status == 4
    assert "y/1" in picture(one.destination)
    assert "x/1" not in picture(one.destination)


def test_special_files_are_left_out_and_never_opened(world) -> None:
    one = world()
    one.source.make_special("pipe")
    outcome = one.run()
    assert outcome.items["pipe"].reason == "ignored_item_type"
    assert outcome.items["pipe"].status == 5


def faulty(monkeypatch: pytest.MonkeyPatch, side: int, faults: list[Fault]) -> None:
    """Put faults between the engine and one side of every passage opened from now on."""
    real = transfer.StreamPassage.__init__

    def make(self, source, destination, **named):
        if side == 0:
            source = Faulty(source, faults)
        else:
            destination = Faulty(destination, faults)
        real(self, source, destination, **named)

    monkeypatch.setattr(transfer.StreamPassage, "__init__", make)


def fault(operation: str, path: str, kind: ErrorKind, **more: Any) -> Fault:
    return Fault(operation=operation, path=path, kind=kind, **more)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (ErrorKind.PERMISSION_DENIED, 3),
        (ErrorKind.IO_ERROR, 3),
        (ErrorKind.NOT_FOUND, 0),
        (ErrorKind.LOCKED, 3),
    ],
)
def test_an_item_that_fails_does_not_stop_the_others(world, monkeypatch, kind, status) -> None:
    one = world()
    faulty(monkeypatch, 0, [fault("read", "a.txt", kind)])
    outcome = one.run()
    assert (outcome.items["a.txt"].reason, outcome.items["a.txt"].status) == (str(kind), status)
    assert outcome.items["a.txt"].message
    assert "a.txt" not in picture(one.destination)
    assert "b.txt" in picture(one.destination)
    monkeypatch.undo()
    one.run()
    assert one.differences() == []


def test_a_container_that_cannot_be_listed_is_reported_and_nothing_below_it_is_touched(world, monkeypatch) -> None:
    one = world(transfer_type=TransferType.PUBLISH)
    one.run()
    faulty(monkeypatch, 0, [fault("children", "sub", ErrorKind.PERMISSION_DENIED)])
    outcome = one.run()
    assert outcome.errors["sub"][0] == "permission_denied"
    assert outcome.deletes == []
    assert one.differences() == []


@pytest.mark.parametrize("kind", [ErrorKind.NO_SPACE, ErrorKind.UNAVAILABLE, ErrorKind.READ_ONLY])
def test_trouble_of_a_connection_halts_and_a_later_run_goes_on(world, monkeypatch, kind) -> None:
    one = world()
    faulty(monkeypatch, 1, [fault("write", "b.txt", kind)])
    outcome = one.run()
    assert set(outcome.halted) == {str(kind)}
    assert outcome.items["a.txt"].status == 1, "what landed before is told"
    assert "b.txt" not in outcome.items
    monkeypatch.undo()
    outcome = one.run(resume=True)
    assert one.differences() == []
    assert outcome.items.get("a.txt") is None or outcome.items["a.txt"].moved == 0


def test_a_file_that_keeps_changing_is_tried_three_times_then_fails(world, monkeypatch) -> None:
    one = world()
    tries = 0
    real = Memory.read

    def read(self, path, **named):
        nonlocal tries
        if path == "a.txt" and self.settings.store.startswith("visit-source"):
            tries += 1
            tree(f"a.txt {3 + tries}b v{tries}", one.source)
        return real(self, path, **named)

    monkeypatch.setattr(Memory, "read", read)
    outcome = one.run()
    assert outcome.items["a.txt"].reason == "changed_during_copy"
    assert tries == 3
    assert "a.txt" not in picture(one.destination)


def test_a_place_taken_meanwhile_is_decided_on_again(world, monkeypatch) -> None:
    one = world()
    real = Memory.write

    def write(self, path, content, facts, **named):
        if path == "a.txt" and "there" not in done:
            done.add("there")
            tree("a.txt 3b v1", one.destination)
        return real(self, path, content, facts, **named)

    done: set[str] = set()
    monkeypatch.setattr(Memory, "write", write)
    outcome = one.run()
    assert one.differences() == []
    assert outcome.items["a.txt"].status == 1


def test_a_stop_midway_reports_what_landed_and_the_rest_comes_later(world) -> None:
    one = world("\n".join(f"f{number:03}.txt 1b v1" for number in range(50)))
    real = Memory.write
    count = 0

    def write(self, path, content, facts, **named):
        nonlocal count
        count += 1
        if count == 20:
            one.crew.stop(0)
        return real(self, path, content, facts, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Memory, "write", write)
        outcome = one.run()
    assert dict(outcome.halted) == {"stopped": 1}
    assert sum(item.status == 1 for item in outcome.items.values() if item.kind == 1) == 20
    one.crew.clear(0)
    outcome = one.run(resume=True)
    assert one.differences() == []
    assert outcome.moved == 30


def test_temporaries_of_a_crash_are_swept_when_the_visit_is_made_again(world) -> None:
    one = world()
    one.run()
    one.destination.leave_temporary("", "token7")
    one.desk.unfinished = [one.desk.visit(1, "", "", fresh=False)]
    outcome = one.run(resume=True)
    assert outcome.errors == {}
    with one.destination._tree.lock:
        assert not one.destination._view.container("", "look").temporaries


def test_names_that_the_destination_cannot_take_are_made_to_fit(crew) -> None:
    one = World(crew)
    awkward = json.dumps({"store": one.names[1], "forbidden_characters": "/\0:?", "case_insensitive": True})
    from tallyport.connectors.memory_tree import forget

    forget(one.names[1])
    one.destination = Memory(Settings(store=one.names[1], forbidden_characters="/\0:?", case_insensitive=True))
    one.desk.destination = ("memory", awkward, "")
    tree("what?.txt 1b v1\nA.txt 2b v1\na.txt 3b v1\nx:y/z.txt 1b v1", one.source)
    outcome = one.run()
    assert outcome.items["what?.txt"].d_name == "what_.txt"
    assert outcome.items["what?.txt"].status == 2
    assert "renamed" in outcome.items["what?.txt"].processing
    assert outcome.items["a.txt"].d_name == "a(1).txt"
    assert "x_y/z.txt" in picture(one.destination)
    again = one.run()
    assert (again.wrote, again.unchanged) == (0, 4)
    again = one.run(full=True)
    assert (again.wrote, again.unchanged) == (0, 4)


def test_hard_links_and_symlinks_keep_what_they_are(world) -> None:
    one = world()
    one.source.make_hard_link("sub/also-a.txt", "a.txt")
    from tallyport.connectors.protocol import Facts

    one.source.make_symlink("to-a", "a.txt", Facts())
    outcome = one.run()
    assert outcome.errors == {}
    there = one.destination.stat("a.txt")
    assert there is not None
    assert there.links == 2
    link = one.destination.stat("to-a")
    assert link is not None
    assert link.target == "a.txt"
    assert {outcome.items["a.txt"].reason, outcome.items["sub/also-a.txt"].reason} == {"new_at_source", "linked"}
    assert one.run().wrote == 0


def test_reports_are_bounded(world, monkeypatch) -> None:
    from tallyport.engine import visit

    monkeypatch.setattr(visit, "REPORT", 10)
    monkeypatch.setattr(transfer, "FULL", 10)
    one = world("\n".join(f"f{number:03}.txt 1b v1" for number in range(95)))
    outcome = one.run()
    assert one.differences() == []
    assert outcome.largest_report <= 20
    assert outcome.visits == 1


def test_a_retry_looks_at_its_names_alone(world) -> None:
    one = world()
    one.run()
    tree("a.txt 4b v2\nb.txt 6b v2", one.source)
    visit = one.desk.visit(1, "", "", fresh=False)._replace(only=("a.txt",))
    one.desk.unfinished = [visit]
    outcome = one.run(resume=True)
    assert list(outcome.items) == ["a.txt"]
    assert outcome.items["a.txt"].reason == "changed_at_source"
