"""Folder mappings with the engine at work: one child for each folder, whatever happens on the way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_tree import forget
from tallyport.control import executions, jobs
from tallyport.control.desk import OWNER
from tallyport.control.refusals import Conflict
from tallyport.domain import folder_mapping as rules
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.jobs import Job
from tallyport.engine import folder_mapping as mapper
from tallyport.store import audit, folder_mapping
from tallyport.store import jobs as store
from tallyport.testing.worlds import differences, tree
from tests.engine.conftest import Port
from tests.engine.test_split import Board, topics

WORLD = """
    beside.txt 3b v1
    Ann/a.txt 5b v1
    Ben/deep/b.txt 7b v1
    Cleo/
"""


@pytest.fixture
def board(port: Port) -> Board:
    return Board(port)


def mapping(board: Board, *, schedule: dict[str, Any] | None = None, **block: Any) -> str:
    """Make a parent that looks when it is asked to, and children that run as soon as they are made."""
    block.setdefault("schedule", {"mode": "auto", "repeat_interval": {"value": 1, "unit": "d"}})
    return board.make("home", kind="folder_mapping", transfer=block, schedule=schedule or {"mode": "manual"})


def children(board: Board, parent_id: str) -> dict[str, Job]:
    with board.port.database.read() as tx:
        found = folder_mapping.page(tx, parent_id, limit=10_000)
    return {rules.folder_of(child).name: child for child in found}


def run(board: Board, parent_id: str) -> Any:
    before = board.job(parent_id).executions
    executions.start(board.desk, parent_id, OWNER)
    board.until(parent_id, lambda job: job.executions > before)
    return board.run_of(parent_id)


def lines(board: Board, parent_id: str, event: str) -> list[str]:
    with board.port.database.read() as tx:
        return [line.message for line in audit.page(tx, job_id=parent_id, limit=1_000) if line.event == event]


def test_every_first_level_folder_gets_one_child_that_carries_it(board: Board) -> None:
    tree(WORLD, board.port.source)
    board.port.start()
    parent = mapping(board)
    first = run(board, parent)
    made = children(board, parent)
    assert sorted(made) == ["Ann", "Ben", "Cleo"]
    assert (first.state, first.result, first.folders, first.writes) == ("complete", "clean", 3, 3)
    assert (
        first.info == "3 folders: 3 children made or changed, 0 left out; 1 items beside the folders belong to no child"
    )
    assert [made["Ann"].source_path, made["Ann"].destination_path, made["Ann"].name] == ["Ann", "Ann", "home / Ann"]
    for child in made.values():
        board.end(child.id)
    board.port.source.delete("beside.txt")  # belongs to no child
    assert differences(board.port.source, board.port.destination) == []
    assert "job:created" in topics(board.port, made["Ann"].id)
    again = run(board, parent)
    assert (again.result, again.writes, again.info) == (
        "no_changes",
        0,
        "3 folders: 0 children made or changed, 0 left out",
    )
    assert children(board, parent).keys() == made.keys()


def test_new_folders_gain_children_and_those_that_are_gone_keep_theirs_aside(board: Board) -> None:
    tree(WORLD, board.port.source)
    board.port.start()
    parent = mapping(board)
    run(board, parent)
    for child in children(board, parent).values():
        board.end(child.id)
    board.port.source.delete("Cleo")
    tree("Dora/d.txt 9b v1", board.port.source)
    second = run(board, parent)
    made = children(board, parent)
    assert sorted(made) == ["Ann", "Ben", "Cleo", "Dora"]
    assert second.writes == 2
    gone = made["Cleo"]
    assert (gone.disabled, gone.state, gone.executions) == (rules.GONE, "complete", 1)
    assert lines(board, parent, "mapping.put_aside") == [f"home / Cleo: {rules.GONE}: it runs no more"]
    with pytest.raises(Conflict, match="the job is disabled: its folder is gone"):
        executions.start(board.desk, gone.id, OWNER)
    tree("Cleo/c.txt 2b v1", board.port.source)
    run(board, parent)
    back = children(board, parent)["Cleo"]
    assert (back.id, back.disabled) == (gone.id, None)
    assert executions.start(board.desk, back.id, OWNER).job.state == "ready"


def test_a_child_that_a_person_disabled_stays_so_while_its_folder_is_there(board: Board) -> None:
    tree(WORLD, board.port.source)
    board.port.start()
    parent = mapping(board)
    run(board, parent)
    ann = children(board, parent)["Ann"].id
    board.end(ann)
    jobs.change(board.desk, ann, {"disabled": True}, OWNER)
    assert run(board, parent).result == "no_changes"
    assert board.job(ann).disabled == "by local"
    jobs.change(board.desk, ann, {"disabled": False}, OWNER)
    assert board.job(ann).disabled is None


class Broken:
    """Children of a container, cut off after some."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.children = Memory.children

    def __call__(self, connector: Memory, path: str) -> Iterator[Entry]:
        for number, entry in enumerate(self.children(connector, path)):
            if number == self.after:
                raise TallyportError(ErrorKind.PERMISSION_DENIED, "the rest of the list was refused")
            yield entry


def test_a_list_without_its_end_changes_nothing_and_says_so(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(WORLD, board.port.source)
    board.port.start()
    parent = mapping(board, schedule={"mode": "manual"})
    run(board, parent)
    before = children(board, parent)
    tree("Aaron/d.txt 9b v1", board.port.source)
    broken = Broken(2)
    monkeypatch.setattr(Memory, "children", lambda self, path: broken(self, path))
    failed = run(board, parent)
    assert failed.state == "failed"
    assert failed.info.startswith("the folders could not be listed to their end, so no child was changed: ")
    assert "the rest of the list was refused" in failed.info
    assert children(board, parent).keys() == before.keys()
    assert all(child.disabled is None for child in children(board, parent).values())


def test_a_source_that_is_not_there_disables_no_child(board: Board) -> None:
    tree("homes/Ann/a.txt 5b v1", board.port.source)
    board.port.start()
    source = {"connection": {"id": board.port.job.source_connection}, "target": {"path": "/homes"}}
    parent = mapping(board, source=source)
    run(board, parent)
    board.port.source.delete("homes/Ann/a.txt")
    board.port.source.delete("homes/Ann")
    board.port.source.delete("homes")
    assert run(board, parent).state == "failed"
    assert children(board, parent)["Ann"].disabled is None


def test_a_run_that_the_end_of_the_process_cut_short_is_ended_by_the_next_without_twins(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree("\n".join(f"f{n:03}/a.txt 3b v1" for n in range(20)), board.port.source)
    monkeypatch.setattr(mapper, "CHUNK", 3)
    board.port.start()
    parent = mapping(board, schedule={"mode": "manual"})
    made, cut = folder_mapping.make, threading.Event()

    def dies(tx: Any, job: Job, folders: Any) -> list[Job]:
        if len(folder_mapping.known(tx, job)) >= 6:
            cut.set()
            raise SystemExit  # as a process that is killed: nothing of the transaction stays
        return made(tx, job, folders)

    monkeypatch.setattr(folder_mapping, "make", dies)
    executions.start(board.desk, parent, OWNER)
    assert cut.wait(30)
    board.port.stop()
    before = children(board, parent)
    assert (len(before), board.job(parent).state) == (6, "executing")
    monkeypatch.setattr(folder_mapping, "make", made)
    board.port.start()
    assert board.end(parent).result == "clean"
    after = children(board, parent)
    assert len(after) == 20
    assert {name: child.id for name, child in after.items() if name in before} == {
        name: child.id for name, child in before.items()
    }


def test_a_changed_parent_reaches_its_children_but_not_what_they_say_of_their_own(board: Board) -> None:
    tree(WORLD, board.port.source)
    parent = mapping(board, schedule={"mode": "manual"}, conflict_resolution="latest")
    board.port.start()
    run(board, parent)
    ann, ben = (children(board, parent)[name].id for name in ("Ann", "Ben"))
    for child in children(board, parent).values():
        board.end(child.id)
    jobs.change(board.desk, ann, {"transfer": {"conflict_resolution": "source"}, "priority": 7}, OWNER)
    patch = {"transfer": {"audit_level": "trace", "schedule": {"mode": "manual"}, "stop_policy": {"on_execute": 9}}}
    jobs.change(board.desk, parent, {**patch, "category": {"name": "wave 1"}}, OWNER)
    changed = board.job(ann)
    assert (changed.transfer["audit_level"], changed.transfer["conflict_resolution"]) == ("trace", "source")
    assert (changed.priority, changed.schedule_mode, changed.stop_policy) == (7, "manual", {"on_execute": 9})
    assert (changed.next_run_at, changed.category_id) == (None, board.job(parent).category_id)
    assert board.job(ben).transfer["conflict_resolution"] == "latest"
    assert (changed.source_path, changed.transfer["source"]["target"]) == ("Ann", {"path": "/Ann"})  # type: ignore[index]
    assert run(board, parent).result == "no_changes"


def test_a_child_whose_own_settings_do_not_go_with_those_of_its_parent_keeps_them_and_it_is_said(board: Board) -> None:
    tree(WORLD, board.port.source)
    board.port.start()
    parent = mapping(board, schedule={"mode": "manual"})
    run(board, parent)
    ann = children(board, parent)["Ann"].id
    board.end(ann)
    jobs.change(board.desk, ann, {"transfer": {"symlinks": "follow_inside"}}, OWNER)
    jobs.change(board.desk, parent, {"transfer": {"transfer_type": "move"}}, OWNER)
    assert board.job(ann).transfer_type == "copy"
    assert board.job(children(board, parent)["Ben"].id).transfer_type == "move"
    run(board, parent)
    assert "keeps its own settings" in lines(board, parent, "mapping.changed")[-1]


def test_a_deleted_parent_takes_its_children_along_and_a_deleted_child_comes_back(board: Board) -> None:
    tree(WORLD, board.port.source)
    board.port.start()
    parent = mapping(board)
    run(board, parent)
    old = children(board, parent)
    for child in old.values():
        board.end(child.id)
    jobs.delete(board.desk, old["Ann"].id, OWNER)
    assert run(board, parent).writes == 1
    assert children(board, parent)["Ann"].id != old["Ann"].id
    board.end(children(board, parent)["Ann"].id)
    jobs.delete(board.desk, parent, OWNER)
    assert children(board, parent) == {}
    with board.port.database.read() as tx:
        assert store.find(tx, parent) is None
        assert store.find(tx, old["Ben"].id, deleted=True) is not None
    assert board.port.destination.stat("Ben/deep/b.txt") is not None


def test_folders_that_would_be_one_at_the_destination_share_no_child(board: Board) -> None:
    forget(board.port.stores[1])
    board.port.slow(1, case_insensitive=True, forbidden_characters="/\0:")
    tree("Ann/a 1b v1\nann/b 1b v1\na:b/c 1b v1", board.port.source)
    board.port.start()
    parent = mapping(board, schedule={"mode": "manual"}, segment_transform=True)
    first = run(board, parent)
    made = children(board, parent)
    assert sorted(made) == ["Ann", "a:b"]
    assert made["a:b"].destination_path != "a:b"
    assert (first.result, first.skipped) == ("warnings", 1)
    assert lines(board, parent, "mapping.left_out") == [
        "has no child: the destination has one folder for it and for 'Ann'"
    ]
    assert run(board, parent).writes == 0


def test_filters_choose_the_folders_and_are_counted_from_each_childs_own(board: Board) -> None:
    tree(WORLD + "    Ben/deep/skip/x.txt 1b v1\n", board.port.source)
    board.port.start()
    excluded = {"action": "exclude", "rules": [{"type": "filter_path", "paths": ["/Cleo", "/Ben/deep/skip"]}]}
    parent = mapping(board, filter={"source": [excluded]})
    run(board, parent)
    made = children(board, parent)
    assert sorted(made) == ["Ann", "Ben"]
    assert "filter" not in made["Ann"].transfer or made["Ann"].transfer["filter"] == {"source": []}
    assert made["Ben"].transfer["filter"]["source"][0]["rules"][0]["paths"] == ["/deep/skip"]  # type: ignore[index]
    for child in made.values():
        board.end(child.id)
    assert board.port.destination.stat("Ben/deep/b.txt") is not None
    assert board.port.destination.stat("Ben/deep/skip") is None


def test_a_simulated_mapping_makes_children_that_write_nothing(board: Board) -> None:
    tree(WORLD, board.port.source)
    board.port.start()
    parent = mapping(board, simulation_mode=True)
    run(board, parent)
    for child in children(board, parent).values():
        board.end(child.id)
        assert board.run_of(child.id).simulation
    assert list(board.port.destination.children("")) == []


def test_a_parent_without_a_schedule_looks_by_itself_and_its_children_wait_for_a_person(board: Board) -> None:
    tree(WORLD, board.port.source)
    board.port.start()
    parent = board.make("home", kind="folder_mapping")
    board.until(parent, lambda job: job.executions == 1)
    assert board.job(parent).next_run_at is not None
    assert {child.state for child in children(board, parent).values()} == {"created"}
    assert {child.schedule_mode for child in children(board, parent).values()} == {"manual"}


def test_a_paused_mapping_goes_on_and_a_canceled_one_ends(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    tree("\n".join(f"f{n:03}/a.txt 3b v1" for n in range(9)), board.port.source)
    monkeypatch.setattr(mapper, "CHUNK", 2)
    reached, go = threading.Event(), threading.Event()
    begun = mapper.Mapper._make

    def holds(self: Any, *given: Any) -> None:
        reached.set()
        assert go.wait(30)
        begun(self, *given)

    monkeypatch.setattr(mapper.Mapper, "_make", holds)
    board.port.start()
    parent = mapping(board, schedule={"mode": "manual"})
    executions.start(board.desk, parent, OWNER)
    assert reached.wait(30)
    executions.pause(board.desk, parent, OWNER)
    go.set()
    board.until(parent, lambda job: job.state == "paused")
    assert children(board, parent) == {}
    reached.clear()
    go.clear()
    executions.resume(board.desk, parent, OWNER)
    assert reached.wait(30)
    executions.cancel(board.desk, parent, OWNER)
    go.set()
    assert board.until(parent, lambda job: job.state == "canceled").executions == 1
    assert children(board, parent) == {}


def test_many_folders_are_mapped_in_small_transactions(board: Board) -> None:
    number = 3 * mapper.CHUNK + 1
    tree("\n".join(f"f{n:04}/" for n in range(number)), board.port.source)
    board.port.start()
    parent = mapping(board, schedule={"mode": "manual"}, **{"transfer_type": "copy"})
    jobs.change(board.desk, parent, {"transfer": {"schedule": None}}, OWNER)
    assert run(board, parent).writes == number
    assert len(children(board, parent)) == number
