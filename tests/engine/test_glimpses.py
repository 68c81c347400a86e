"""A source that shows little of an item to who only lists it: new items are seen as they are read, others looked at."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.memory_tree import forget
from tallyport.connectors.protocol import Facts
from tallyport.connectors.registry import platform
from tallyport.connectors.s3 import open_s3
from tallyport.domain.entries import Entry, fingerprint
from tallyport.domain.errors import ErrorKind
from tallyport.domain.items import Status
from tallyport.domain.policies import FilterBlock, FilterRule, Policies, TransferType
from tallyport.engine.thread_crew import ThreadCrew
from tallyport.testing import object_servers
from tallyport.testing.worlds import picture, tree
from tests.engine.desk import Desk, Outcome

WORLD = """
a.txt 3b v1
b.txt 5b v1
empty.txt 0b v1
sub/c.txt 10b v1
sub/deep/d.txt 20b v1
"""
FILES = ("a.txt", "b.txt", "empty.txt", "sub/c.txt", "sub/deep/d.txt")


def times_of(memory: Memory) -> dict[str, int]:
    found = {path: memory.stat(path) for path in FILES}
    return {path: entry.modified for path, entry in found.items() if entry is not None}


class World:
    """Two memory trees, the first of which has to be looked at; ``looks`` tells what was, in one go each."""

    def __init__(self, crew: ThreadCrew, monkeypatch: pytest.MonkeyPatch, **policies: object) -> None:
        self.source = Memory(Settings(store="glimpsed-source", glimpses=True))
        self.destination = Memory(Settings(store="glimpsed-destination"))
        self.crew = crew
        ends = [
            ("memory", json.dumps({"store": "glimpsed-source", "glimpses": True}), ""),
            ("memory", json.dumps({"store": "glimpsed-destination"}), ""),
        ]
        chosen = Policies(**{"transfer_type": TransferType.COPY, **policies})  # type: ignore[arg-type]
        self.desk = Desk(ends[0], ends[1], chosen, group=3)
        self.looks: list[list[str]] = []
        look_many = Memory.look_many

        def looked(memory: Memory, paths: Sequence[str]) -> Sequence[Entry | None]:
            self.looks.append(list(paths))
            return look_many(memory, paths)

        monkeypatch.setattr(Memory, "look_many", looked)
        tree(WORLD, self.source)

    def run(self, **options: bool) -> Outcome:
        self.looks.clear()
        return self.desk.run(self.crew, **options)

    def is_the_same(self) -> bool:
        return picture(self.source, times=True) == picture(self.destination, times=True)


@pytest.fixture
def crew() -> Iterator[ThreadCrew]:
    made = ThreadCrew(1)
    made.start()
    yield made
    made.close()
    forget("glimpsed-source")
    forget("glimpsed-destination")


@pytest.fixture
def world(crew: ThreadCrew, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(crew, monkeypatch)


def test_what_is_new_is_carried_without_a_look_and_known_as_it_is(world: World) -> None:
    outcome = world.run()
    assert world.looks == []
    assert world.is_the_same()
    for path in FILES:
        item, entry = outcome.items[path], world.source.stat(path)
        assert entry is not None
        assert (item.s_size, item.s_modified, item.s_tag) == tuple(fingerprint(entry))


def test_a_second_run_looks_at_nothing(world: World) -> None:
    world.run()
    outcome = world.run()
    assert (outcome.unchanged, outcome.wrote, outcome.asked, world.looks) == (5, 0, 0, [])


@pytest.mark.parametrize("full", [False, True])
def test_what_was_carried_before_is_looked_at_together(world: World, full: bool) -> None:
    world.run()
    world.desk.signatures.clear()
    outcome = world.run(full=full)
    assert (outcome.unchanged, outcome.wrote) == (5, 0)
    assert sorted(map(sorted, world.looks)) == [["a.txt", "b.txt", "empty.txt"], ["sub/c.txt"], ["sub/deep/d.txt"]]


def test_what_stands_at_the_destination_already_is_compared_with_what_a_look_shows(world: World) -> None:
    tree("a.txt 3b v1\nb.txt 5b v9", world.destination)
    outcome = world.run()
    assert [sorted(names) for names in world.looks] == [["a.txt", "b.txt"]]
    assert (outcome.reasons()["a.txt"], outcome.reasons()["empty.txt"]) == ("metadata_changed", "new_at_source")
    assert world.is_the_same()


@pytest.mark.parametrize("change", ["content", "time", "properties"])
def test_only_what_changed_is_looked_at(world: World, change: str) -> None:
    world.run()
    if change == "content":
        tree("sub/c.txt 11b v2", world.source)
    elif change == "time":
        world.source.stamp("sub/c.txt", Facts(modified=77))
    else:
        world.source.set_properties("sub/c.txt", {"colour": b"red"})
    outcome = world.run()
    assert world.looks == [["sub/c.txt"]]
    assert world.is_the_same()
    assert outcome.reasons().get("sub/c.txt") == (None if change == "properties" else "changed_at_source")
    assert world.run().wrote == 0
    assert world.looks == []


def test_what_vanished_since_it_was_listed_is_gone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.run()
    world.desk.signatures.clear()
    look_many = Memory.look_many

    def vanishing(memory: Memory, paths: Sequence[str]) -> Sequence[Entry | None]:
        for path in paths:
            if path == "b.txt":
                world.source.delete(path)
        return look_many(memory, paths)

    monkeypatch.setattr(Memory, "look_many", vanishing)
    outcome = world.run()
    assert outcome.deletes == [("destination", "b.txt")]
    assert world.is_the_same()


def test_what_was_replaced_since_it_was_listed_is_carried_as_it_is_now(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    glimpses = Memory.glimpses
    changed = False

    def changing(memory: Memory, path: str) -> Iterator[Entry]:
        nonlocal changed
        found = list(glimpses(memory, path))
        if not changed:
            changed = True
            tree("a.txt 30b v7", world.source)
        return iter(found)

    monkeypatch.setattr(Memory, "glimpses", changing)
    outcome = world.run()
    assert world.is_the_same()
    entry = world.source.stat("a.txt")
    assert entry is not None
    assert (outcome.items["a.txt"].s_size, outcome.items["a.txt"].s_tag) == (30, entry.tag)


def test_what_vanished_since_it_was_listed_and_was_never_carried_fails_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    glimpses = Memory.glimpses

    def vanishing(memory: Memory, path: str) -> Iterator[Entry]:
        found = list(glimpses(memory, path))
        if not path:
            world.source.delete("a.txt")
        return iter(found)

    monkeypatch.setattr(Memory, "glimpses", vanishing)
    outcome = world.run()
    assert outcome.items["a.txt"].reason == str(ErrorKind.NOT_FOUND)
    assert world.destination.stat("a.txt") is None
    assert world.destination.stat("b.txt") is not None


def test_a_file_that_is_too_big_for_a_bunch_is_known_as_it_is(world: World, tmp_path: Path) -> None:
    world.desk.destination = ("fs", json.dumps({"path": str(tmp_path)}), "")
    world.source.write("big", [b"x" * 200_000], Facts(modified=12_000))
    outcome = world.run()
    assert outcome.items["big"].s_modified == 12_000
    assert (tmp_path / "big").stat().st_mtime_ns == 12_000
    assert world.run().wrote == 0


def test_a_file_that_goes_in_parts_is_looked_at_before_it_is_planned(crew: ThreadCrew) -> None:
    """Tasks carry its parts and keep its row; the desk of these tests gives out parts of local files alone."""
    size, modified = 13 * 1024 * 1024, 1_500_000_000_123_456_789
    with object_servers.moto() as server:
        ends = [("s3", json.dumps(server.settings() | {"prefix": name}), "") for name in ("from", "to")]
        with closing(open_s3(platform("s3").read_settings(json.loads(ends[0][1])))) as source:
            source.write("big", [b"x" * size], Facts(size, modified))
            seen = source.stat("big")
        outcome = Desk(ends[0], ends[1], Policies(transfer_type=TransferType.COPY), part_size=6 * 1024 * 1024).run(crew)
    assert seen is not None
    item = outcome.items["big"]
    assert item.status == Status.PENDING
    assert (item.s_size, item.s_modified, item.s_tag) == (size, modified, seen.tag)


def test_a_filter_on_dates_sees_the_times_of_items(crew: ThreadCrew, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = FilterRule(type="date", range_type="range", since=50, until=150, targets=("modified_on",))
    world = World(crew, monkeypatch, filter_source=(FilterBlock(action="exclude", rules=(rule,)),))
    for name, modified in (("old", 40), ("between", 100), ("new", 200)):
        world.source.write(name, [b"x"], Facts(modified=modified))
    outcome = world.run()
    assert outcome.reasons()["between"] == "ignored_date"
    assert [world.destination.stat(name) is None for name in ("old", "between", "new")] == [False, True, False]


def test_a_simulation_says_what_the_run_does(crew: ThreadCrew, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(crew, monkeypatch)
    tree("a.txt 3b v1\nb.txt 5b v9", world.destination)
    policies = world.desk.policies
    world.desk.policies = dataclasses.replace(policies, simulation=True)
    told = world.run()
    world.desk.policies = policies
    did = world.run()
    assert {path: told.reasons()[path] for path in FILES} == {path: did.reasons()[path] for path in FILES}
    assert (told.s_files, told.s_bytes) == (did.s_files, did.s_bytes)


def test_a_move_takes_away_what_was_seen_with_its_content(crew: ThreadCrew, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(crew, monkeypatch, transfer_type=TransferType.MOVE)
    modified = times_of(world.source)
    outcome = world.run()
    assert {path for side, path in outcome.deletes if side == "source"} >= set(FILES)
    assert all(world.source.stat(path) is None for path in FILES)
    assert times_of(world.destination) == modified
