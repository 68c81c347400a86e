"""Between two folders of this machine, in threads of the test: what lands, how, and what a crash leaves."""

from __future__ import annotations

import dataclasses
import errno
import gc
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tallyport.domain.capabilities import Durability, VerifyLevel
from tallyport.domain.policies import DeletePropagation, Policies, TransferType
from tallyport.engine import listing_local, passage, passage_local, seen, staging
from tallyport.engine.opened import Opened
from tallyport.engine.thread_crew import ThreadCrew
from tallyport.testing import trees
from tallyport.testing.compare import differences, leftovers, snapshot
from tests.engine.desk import Desk, Outcome

KIB, MIB = 1024, 1024 * 1024


class Place:
    """A source and a destination folder, a crew of one thread and a desk."""

    def __init__(self, folder: str, crew: ThreadCrew, **policies: object) -> None:
        self.source = os.path.join(folder, "source")
        self.destination = os.path.join(folder, "destination")
        self.crew = crew
        chosen = Policies(**{"transfer_type": TransferType.COPY, **policies})  # type: ignore[arg-type]
        ends = [("fs", json.dumps({"path": path}), "") for path in (self.source, self.destination)]
        self.desk = Desk(ends[0], ends[1], chosen, group=4)

    def run(self, **options: bool) -> Outcome:
        return self.desk.run(self.crew, **options)

    def write(self, path: str, content: bytes = b"content") -> str:
        whole = os.path.join(self.source, path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "wb") as stream:
            stream.write(content)
        return whole

    def equal(self, **options: bool) -> None:
        assert differences(self.source, self.destination, **options) == []
        assert leftovers(self.destination) == []


@pytest.fixture
def crew() -> Iterator[ThreadCrew]:
    made = ThreadCrew(1)
    made.start()
    yield made
    made.close()


@pytest.fixture
def place(tmp_path, crew):
    def make(**policies: object) -> Place:
        return Place(str(tmp_path), crew, **policies)

    return make


@pytest.mark.parametrize("durability", list(Durability))
def test_a_tree_with_everything_in_it_lands_equal(place, durability) -> None:
    one = place(durability=durability)
    made = trees.sample_tree(one.source, files=240, sparse_size=8 * MIB)
    outcome = one.run()
    one.equal()
    assert (outcome.errors, outcome.lost, dict(outcome.halted)) == ({}, [], {})
    assert outcome.s_files == made.files
    assert outcome.s_bytes == made.bytes
    assert {item.level for item in outcome.items.values() if item.kind == 1} == {3}
    before = snapshot(one.destination)
    again = one.run()
    assert (again.wrote, snapshot(one.destination)) == (0, before)
    assert again.unchanged == made.files + made.symlinks


def test_an_unchanged_tree_costs_no_question_and_no_write(place) -> None:
    one = place()
    made = trees.bench_tree(one.source, files=300, folders=12)
    first = one.run()
    assert first.signed == 13
    before = snapshot(one.destination)
    outcome = one.run()
    assert (outcome.asked, outcome.items, outcome.unchanged) == (0, {}, made.files)
    assert snapshot(one.destination) == before
    one.desk.signatures.clear()
    outcome = one.run()
    assert (outcome.wrote, outcome.unchanged) == (0, made.files)
    assert snapshot(one.destination) == before


def test_a_new_folder_is_filled_out_of_sight_and_appears_whole(place, monkeypatch) -> None:
    one = place()
    trees.bench_tree(one.source, files=40, folders=2)
    seen: list[list[str]] = []
    real = staging.Stage.publish

    def publish(self: staging.Stage) -> None:
        folder = f"/proc/self/fd/{self.parent_fd}/{self.name}"
        seen.append(os.listdir(folder))
        real(self)
        seen.append(os.listdir(folder))

    monkeypatch.setattr(staging.Stage, "publish", publish)
    one.run()
    assert [len(names) for names in seen] == [0, 20, 0, 20]
    one.equal()


def test_a_visit_that_ended_leaves_nothing_to_the_collector(place) -> None:
    """Movers seldom collect: what a visit held goes when it ends, or memory grows with the items."""
    one = place()
    trees.bench_tree(one.source, files=60, folders=6)
    gc.collect()
    gc.disable()
    try:
        one.run()
        held = [thing for thing in gc.get_objects() if isinstance(thing, (staging.Stage, Opened))]
    finally:
        gc.enable()
    assert held == []


def test_a_folder_that_somebody_fills_meanwhile_keeps_what_was_put_there(place, monkeypatch) -> None:
    one = place()
    trees.bench_tree(one.source, files=4, folders=1)
    real = staging.Stage.publish

    def publish(self: staging.Stage) -> None:
        with open(f"/proc/self/fd/{self.parent_fd}/{self.name}/foreign", "w") as stream:
            stream.write("kept")
        real(self)

    monkeypatch.setattr(staging.Stage, "publish", publish)
    outcome = one.run()
    assert outcome.errors == {}
    folder = os.path.join(one.destination, "folder-0000")
    assert len(os.listdir(folder)) == 5
    assert leftovers(one.destination) == []


def test_a_stage_that_a_crash_left_is_removed_by_the_next_visit(place, monkeypatch) -> None:
    one = place()
    trees.bench_tree(one.source, files=40, folders=2)

    def crash(self: staging.Stage) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(staging.Stage, "publish", crash)
        # a BaseException ends the thread as a kill would end a process: nothing is cleaned up
        passages = []
        real = passage_local.LocalPassage.cross

        def cross(self, work):
            passages.append(self)
            return real(self, work)

        patch.setattr(passage_local.LocalPassage, "cross", cross)
        from tallyport.engine.mover import Bench
        from tallyport.engine.throttle import Accounts
        from tallyport.engine.work import VisitWork

        one.desk.execution = 1
        bench = Bench(one.desk.terms(), Accounts())
        reports: list[object] = []
        root = VisitWork(1, 1, "", "", False, False, False, None)
        asked: dict[str, Any] = {
            "known": lambda *_: (),
            "report": reports.append,
            "task": reports.append,
            "stopped": lambda: False,
        }
        bench.work([root], **asked)
        folder = VisitWork(2, 7, "folder-0000", "folder-0000", True, False, False, None)
        with pytest.raises(KeyboardInterrupt):
            bench.work([folder], **asked)
    assert len(leftovers(one.destination)) >= 1
    bench = Bench(one.desk.terms(), Accounts())
    bench.work([folder._replace(d_fresh=False, resumed=True)], **asked)
    bench.work([folder._replace(item_id=8, path="folder-0001", d_path="folder-0001")], **asked)
    bench.close()
    one.equal(times=False)


def test_the_times_of_folders_above_stay_right(place) -> None:
    one = place()
    for number in range(5):
        one.write(f"a/b/c{number}/file.txt")
        one.write(f"a/d{number}/file.txt")
    for number, path in enumerate(("", "a", "a/b", "a/b/c1", "a/d2")):
        os.utime(os.path.join(one.source, path), ns=(1, 1_000_000_000 + number))
    one.run()
    one.equal()
    assert one.run().signed == 13


def test_changes_are_carried_and_nothing_else_is_touched(place) -> None:
    one = place()
    trees.bench_tree(one.source, files=60, folders=3)
    one.run()
    before = snapshot(one.destination)
    one.write("folder-0001/file-0000021.dat", b"changed")
    one.write("folder-0002/new.dat", b"new")
    os.remove(os.path.join(one.source, "folder-0000/file-0000003.dat"))
    outcome = one.run()
    one.equal()
    assert outcome.reasons()["folder-0001/file-0000021.dat"] == "changed_at_source"
    touched = {path for path, facts in snapshot(one.destination).items() if before.get(path) != facts}
    assert {path for path in touched if path.endswith(".dat")} == {
        "folder-0001/file-0000021.dat",
        "folder-0002/new.dat",
    }


def test_a_change_costs_the_rows_of_what_changed_alone(place) -> None:
    one = place()
    for number in range(40):
        one.write(f"a/{number:02}.txt", b"old")
    one.write("a/sub/x.txt")
    os.mkfifo(os.path.join(one.source, "a", "pipe"))
    one.run()
    assert one.run().asked_of == set()
    one.write("a/03.txt", b"newer")
    one.write("a/new.txt")
    os.unlink(os.path.join(one.source, "a", "05.txt"))
    outcome = one.run()
    assert outcome.asked_of == {"03.txt", "new.txt", "05.txt", "pipe"}
    assert (outcome.unchanged, outcome.s_files) == (38 + 1, 38 + 1 + 2)
    files = {path: reason for path, reason in outcome.reasons().items() if "." in path or "pipe" in path}
    assert files == {
        "a/03.txt": "changed_at_source", "a/new.txt": "new_at_source",
        "a/05.txt": "deleted_at_source", "a/pipe": "ignored_item_type",
    }  # fmt: skip


def test_a_deleted_file_is_missed_by_a_mirror_though_few_rows_are_asked_for(place) -> None:
    one = place(delete_propagation=DeletePropagation.MIRROR)
    for number in range(20):
        one.write(f"a/{number:02}.txt")
    one.run()
    os.unlink(os.path.join(one.source, "a", "05.txt"))
    outcome = one.run()
    assert outcome.asked_of == {"05.txt"}
    assert outcome.deletes == [("destination", "a/05.txt")]
    one.equal()


def test_a_folder_whose_listing_breaks_off_is_told_and_loses_nothing_at_the_destination(place, monkeypatch) -> None:
    one = place(delete_propagation=DeletePropagation.MIRROR)
    for number in range(12):
        one.write(f"a/{number:02}.txt")
        one.write(f"b/{number:02}.txt")
    one.run()
    before = snapshot(one.destination)
    for folder in ("a", "b"):
        os.unlink(os.path.join(one.source, folder, "05.txt"))
    broken = {entry.inode() for entry in os.scandir(os.path.join(one.source, "a"))}
    real = listing_local._stat

    def stats(items: Any) -> Any:
        kept = list(items)
        if any(item.inode() in broken for item in kept):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(kept)

    monkeypatch.setattr(listing_local, "_stat", stats)
    outcome = one.run()
    assert set(outcome.errors) == {"a"}
    assert outcome.deletes == [("destination", "b/05.txt")]
    assert before.keys() - snapshot(one.destination).keys() == {"b/05.txt"}
    monkeypatch.undo()
    assert one.run().deletes == [("destination", "a/05.txt")]
    one.equal()


@pytest.mark.parametrize("instead", ["file", "link", "nothing"])
def test_a_folder_that_is_no_longer_one_when_it_is_visited_loses_nothing_at_the_destination(
    place, monkeypatch, instead
) -> None:
    one = place(delete_propagation=DeletePropagation.MIRROR)
    for number in range(5):
        one.write(f"a/{number}.txt")
    one.write("b/other.txt")
    one.run()
    before = snapshot(one.destination)
    os.utime(os.path.join(one.source, "a"))
    real = passage_local.LocalPassage.cross

    def cross(self: Any, work: Any) -> Any:
        folder = os.path.join(one.source, "a")
        if work.path == "a" and os.path.isdir(folder) and not os.path.islink(folder):
            os.rename(folder, os.path.join(one.source, "..", "elsewhere"))
            if instead == "file":
                one.write("a", b"a file now")
            elif instead == "link":
                os.symlink("b", folder)
        return real(self, work)

    monkeypatch.setattr(passage_local.LocalPassage, "cross", cross)
    outcome = one.run()
    assert set(outcome.errors) == {"a"}
    assert outcome.deletes == []
    assert snapshot(one.destination).keys() == before.keys()


def test_other_policies_look_at_every_row_again(place) -> None:
    one = place()
    for number in range(20):
        one.write(f"a/{number:02}.txt")
    one.run()
    one.write("a/03.txt", b"newer")
    one.desk.policies = dataclasses.replace(one.desk.policies, max_attempts=9)
    outcome = one.run()
    assert (outcome.asked_of, outcome.unchanged, outcome.wrote) == (set(), 19, 1)
    assert outcome.asked > 0


def test_a_full_look_sees_what_changed_at_the_destination_alone(place) -> None:
    one = place(transfer_type=TransferType.PUBLISH)
    trees.bench_tree(one.source, files=20, folders=2)
    one.run()
    path = os.path.join(one.destination, "folder-0001/file-0000011.dat")
    with open(path, "ab") as stream:
        stream.write(b"foreign")
    os.makedirs(os.path.join(one.destination, "folder-0000/extra/deep"))
    outcome = one.run(full=True)
    one.equal()
    assert outcome.errors == {}
    assert outcome.items["folder-0001/file-0000011.dat"].reason == "changed_at_destination"


def test_a_resumed_visit_adopts_by_hash_what_landed_before_the_crash(place) -> None:
    one = place()
    trees.bench_tree(one.source, files=30, folders=1)
    one.run()
    inodes = snapshot(os.path.join(one.destination, "folder-0000"))
    open(os.path.join(one.destination, "folder-0000/.tallyport-token7-left"), "w").close()
    one.desk.rows = {1: one.desk.rows[1]}
    one.desk.signatures.clear()
    item = one.desk.by_path["folder-0000"]
    one.desk.unfinished = [one.desk.visit(item, "folder-0000", "folder-0000", fresh=False)]
    outcome = one.run(resume=True)
    assert {entry.reason for path, entry in outcome.items.items() if path.endswith(".dat")} == {"same_content"}
    assert outcome.moved == 0
    assert leftovers(one.destination) == []
    assert snapshot(os.path.join(one.destination, "folder-0000")).keys() == inodes.keys()
    one.equal()


def test_big_files_go_in_parts_and_holes_stay_holes(place) -> None:
    one = place()
    one.desk.part_size = MIB
    with trees.Builder(one.source, seed=5) as build:
        build.file("a/big.bin", 3 * MIB + 17)
        build.sparse("a/sparse.img", 32 * MIB)
        build.file("a/exactly.bin", 2 * MIB)
        build.finish()
    outcome = one.run()
    one.equal()
    assert outcome.items["a/big.bin"].status == 1
    assert outcome.items["a/big.bin"].level == 3
    assert outcome.errors == {}
    again = one.run()
    assert (again.wrote, again.unchanged) == (0, 3)
    one.write("a/big.bin", os.urandom(2 * MIB + 1))
    assert one.run().items["a/big.bin"].reason == "changed_at_source"
    one.equal()


def test_hard_links_stay_one_file(place) -> None:
    one = place()
    first = one.write("a/first", b"one file")
    os.makedirs(os.path.join(one.source, "b"))
    os.link(first, os.path.join(one.source, "b/second"))
    os.link(first, os.path.join(one.source, "b/third"))
    outcome = one.run()
    one.equal(links=True)
    assert sorted(item.reason for item in outcome.items.values() if item.kind == 1) == [
        "linked",
        "linked",
        "new_at_source",
    ]
    assert (one.run().wrote, one.run(full=True).wrote) == (0, 0)


def test_special_and_unreadable_files_fail_alone_with_a_reason(place) -> None:
    one = place()
    one.write("a/fine.txt")
    os.mkfifo(os.path.join(one.source, "a/pipe"))
    os.symlink("a", os.path.join(one.source, "loop"))
    outcome = one.run()
    assert outcome.items["a/pipe"].reason == "ignored_item_type"
    assert os.readlink(os.path.join(one.destination, "loop")) == "a"
    assert os.path.exists(os.path.join(one.destination, "a/fine.txt"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_folder_is_reported(place) -> None:
    one = place()
    one.write("a/secret/x")
    os.chmod(os.path.join(one.source, "a/secret"), 0)
    outcome = one.run()
    assert outcome.errors["a/secret"][0] == "permission_denied"


def test_a_read_only_folder_can_be_filled_and_ends_read_only(place) -> None:
    one = place()
    one.write("locked/file.txt")
    os.chmod(os.path.join(one.source, "locked"), 0o555)
    one.run()
    assert stat.S_IMODE(os.stat(os.path.join(one.destination, "locked")).st_mode) == 0o555
    os.chmod(os.path.join(one.source, "locked"), 0o755)
    one.write("locked/more.txt")
    os.chmod(os.path.join(one.source, "locked"), 0o555)
    one.run()
    one.equal()


@pytest.mark.parametrize("level", [VerifyLevel.READBACK, VerifyLevel.COLD])
def test_what_was_written_can_be_read_back(place, level) -> None:
    one = place(verify=level)
    trees.bench_tree(one.source, files=12, folders=2)
    outcome = one.run()
    one.equal()
    assert {item.level for item in outcome.items.values() if item.kind == 1} == {int(level)}


def test_what_reads_back_wrong_is_removed_and_fails_as_corrupt(place, monkeypatch) -> None:
    one = place(verify=VerifyLevel.READBACK)
    one.write("a/good.txt", b"good")
    one.write("a/rotten.txt", b"rotten")
    real = passage_local.hash_file  # type: ignore[attr-defined]
    monkeypatch.setattr(
        passage_local, "hash_file", lambda fd, name: b"wrong" if name == "rotten.txt" else real(fd, name)
    )
    outcome = one.run()
    assert outcome.items["a/rotten.txt"].reason == "corrupt"
    assert os.listdir(os.path.join(one.destination, "a")) == ["good.txt"]


def test_a_huge_container_goes_in_pages(place, monkeypatch) -> None:
    for module in (passage, listing_local, seen):
        monkeypatch.setattr(module, "PAGE", 1_000)
    one = place(max_items_per_container=None)
    one.desk.policies = one.desk.policies
    trees.bench_tree(one.source, files=5_300, folders=1, smallest=0, largest=3)
    real = seen.Rows.__init__
    monkeypatch.setattr(seen.Rows, "__init__", lambda self, known, work: real(self, known, work, page=700))
    outcome = one.run()
    one.equal()
    assert outcome.signed == 2
    assert outcome.largest_report <= 1_300
    again = one.run()
    assert (again.asked, again.unchanged) == (0, 5_300)
    one.desk.signatures.clear()
    one.write("folder-0000/file-0002500.dat", b"changed")
    os.remove(os.path.join(one.source, "folder-0000/file-0004000.dat"))
    outcome = one.run()
    assert (outcome.unchanged, outcome.wrote) == (5_298, 2)
    one.desk.signatures.clear()
    full = one.run(full=True)
    assert (full.unchanged, full.wrote) == (5_299, 0)
    one.equal()


def test_what_a_destination_folder_lost_is_not_made_again_without_a_change(place) -> None:
    one = place()
    trees.bench_tree(one.source, files=20, folders=2)
    one.run()
    subprocess.run(["rm", "-r", os.path.join(one.destination, "folder-0001")], check=True)
    outcome = one.run()
    assert outcome.errors == {}
    one.write("folder-0001/new.txt")
    outcome = one.run()
    assert outcome.errors == {}
    assert os.listdir(os.path.join(one.destination, "folder-0001")) == ["new.txt"]


def test_links_that_were_made_before_a_crash_and_never_recorded_are_found(place, monkeypatch) -> None:
    one = place()
    first = one.write("a.bin", b"linked content")
    os.link(first, os.path.join(one.source, "b.bin"))
    os.link(first, os.path.join(one.source, "c.bin"))
    real = passage_local.LocalPassage.link

    def twice(self, work):
        real(self, work)  # what came of it is lost with the process
        return real(self, work)

    monkeypatch.setattr(passage_local.LocalPassage, "link", twice)
    outcome = one.run()
    assert outcome.errors == {}
    assert {item.status for name, item in outcome.items.items() if name.endswith(".bin")} == {1}
    one.equal()


def test_a_name_of_a_link_that_somebody_took_meanwhile_is_left_alone(place, monkeypatch) -> None:
    one = place()
    first = one.write("a.bin", b"linked content")
    os.link(first, os.path.join(one.source, "b.bin"))
    real = passage_local.LocalPassage.link

    def late(self, work):
        with open(os.path.join(one.destination, "b.bin"), "wb") as stream:
            stream.write(b"somebody else!")
        return real(self, work)

    monkeypatch.setattr(passage_local.LocalPassage, "link", late)
    one.run()
    with open(os.path.join(one.destination, "b.bin"), "rb") as stream:
        assert stream.read() == b"somebody else!"


def test_what_a_killed_link_left_half_done_is_swept_when_it_is_made_again(place, monkeypatch) -> None:
    one = place()
    first = one.write("folder/a.bin", b"linked content")
    os.link(first, os.path.join(one.source, "folder/b.bin"))
    theirs = os.path.join(one.destination, "folder", ".tallyport-token7-lffff-another task's")
    real = passage_local.LocalPassage.link
    half: list[str] = []

    def again(self, work):
        folder = os.path.join(one.destination, "folder")
        half.extend(os.path.join(folder, f".tallyport-{self.token}-l{number:x}-0-1") for number in work.task_ids)
        for path in (*half, theirs):
            with open(path, "wb") as stream:
                stream.write(b"half")
        return real(self, work._replace(attempt=2))

    monkeypatch.setattr(passage_local.LocalPassage, "link", again)
    outcome = one.run()
    assert outcome.errors == {}
    assert [path for path in half if os.path.exists(path)] == []
    assert os.path.exists(theirs)
