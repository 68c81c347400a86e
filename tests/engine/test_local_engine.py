"""Executions between two real folders, through mover processes."""

import dataclasses
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from tallyport.connectors.hashing import digest
from tallyport.connectors.local import Local
from tallyport.connectors.local_content import SMALL
from tallyport.connectors.local_folders import tag_of
from tallyport.domain.capabilities import Durability, VerifyLevel
from tallyport.domain.connections import Connection
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.policies import Policies, TransferType
from tallyport.domain.transfer_block import defaults_for
from tallyport.engine import staging
from tallyport.engine.dispatch import InlineDispatcher
from tallyport.engine.engine import Crews, Engine
from tallyport.engine.mover_pool import MoverPool
from tallyport.engine.passage_local import LocalPassage
from tallyport.engine.staging import Stage
from tallyport.engine.thread_crew import ThreadCrew
from tallyport.engine.work import DeleteWork, TaskReport
from tallyport.store import connections, executions, frontier, items, jobs, tables
from tallyport.testing.compare import differences, snapshot
from tallyport.testing.trees import sample_tree
from tests.engine.conftest import Port, copy


class LocalPort(Port):
    """The same port between two folders."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.here, self.there = folder / "source", folder / "destination"
        self.pool: MoverPool | None = None
        with self.database.begin() as tx:
            for number, path in (
                (self.job.source_connection, self.here),
                (self.job.destination_connection, self.there),
            ):
                connections.change(tx, number or "", platform="fs", settings={"path": str(path)})

    def start(self, threads: int = 2) -> Engine:
        self.pool = MoverPool(threads)
        self.engine = Engine(self.database, InlineDispatcher(4, 0.2), Crews(self.pool, ThreadCrew(1)))
        self.engine.start()
        return self.engine

    def rows(self) -> dict[str, int]:
        """Every item that is no container, with its status."""
        with self.database.read() as tx:
            return {item.path: item.status for item in items.iterate(tx, self.job.number) if item.kind != 2}

    def names(self) -> set[str]:
        """Every path at the source that is no folder."""
        found = set()
        for folder, folders, files in os.walk(self.here):
            links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
            found |= {os.path.relpath(os.path.join(folder, name), self.here) for name in files + links}
        return found


@pytest.fixture
def local(tmp_path: Path) -> Iterator[LocalPort]:
    made = LocalPort(tmp_path)
    yield made
    made.stop()
    made.database.close()


@pytest.mark.parametrize("durability", list(Durability))
def test_every_item_of_an_awkward_tree_is_carried_and_recorded(local: LocalPort, durability: Durability) -> None:
    sample_tree(str(local.here), files=600, seed=7, sparse_size=8 << 20)
    local.start()
    execution = local.run(copy(durability=durability))
    assert (execution.state, execution.result, execution.failed) == ("complete", "clean", 0), execution
    assert list(differences(str(local.here), str(local.there))) == []
    assert set(local.rows()) == local.names(), "each path at the source has its row"
    assert execution.transferred == len(local.names())
    again = local.run(copy(durability=durability))
    assert (again.result, again.writes, again.unchanged) == ("no_changes", 0, len(local.names()))


def test_a_killed_mover_loses_nothing(local: LocalPort) -> None:
    sample_tree(str(local.here), files=1_500, seed=3, sparse_size=8 << 20)
    local.start()
    execution_id = local.begin()
    for _ in range(4):
        before = local.find(execution_id)
        local.wait(execution_id, lambda found, before=before: found.transferred > before.transferred or found.has_ended)
        assert local.pool is not None
        for pid in local.pool.pids[:1]:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    ended = local.wait(execution_id)
    assert (ended.state, ended.failed) == ("complete", 0), ended
    assert list(differences(str(local.here), str(local.there))) == []
    assert set(local.rows()) == local.names()
    assert not [name for _, _, files in os.walk(local.there) for name in files if name.startswith(".tallyport-")]


def test_a_big_file_goes_in_parts_and_a_pause_keeps_them(local: LocalPort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallyport.engine.ends.PART_SIZE", 1 << 20)
    local.here.mkdir()
    (local.here / "big.bin").write_bytes(os.urandom(9 << 20))
    (local.here / "small.txt").write_text("x")
    local.start()
    execution = local.run()
    assert (execution.result, execution.transferred) == ("clean", 2), execution
    assert list(differences(str(local.here), str(local.there))) == []


def test_move_between_folders_empties_the_source_and_keeps_metadata(local: LocalPort, tmp_path: Path) -> None:
    sample_tree(str(local.here), files=300, seed=5, sparse_size=4 << 20)
    kept = tmp_path / "kept"
    os.system(f"cp -a {local.here} {kept}")
    local.start()
    execution = local.run(dataclasses.replace(defaults_for(TransferType.MOVE), max_items_per_container=None))
    assert execution.result == "clean", execution
    assert [name for _, _, files in os.walk(local.here) for name in files] == []
    assert list(differences(str(kept), str(local.there))) == []


def move(**changes: object) -> Policies:
    """The policies of a move with some choices."""
    return dataclasses.replace(defaults_for(TransferType.MOVE), max_items_per_container=None, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("level", [VerifyLevel.HASH, VerifyLevel.READBACK, VerifyLevel.COLD])
def test_a_move_takes_what_stood_at_the_destination_already_once_both_sides_were_read(
    local: LocalPort, level: VerifyLevel
) -> None:
    """So it is after a crash between a copy and its record: empty files and hard links too."""
    sample_tree(str(local.here), files=200, seed=6, sparse_size=1 << 20)
    (local.here / "one").write_text("three names")
    for name in ("two", "three"):
        os.link(local.here / "one", local.here / name)
    os.symlink("one", local.here / "sign")
    os.link(local.here / "sign", local.here / "sign too", follow_symlinks=False)
    (local.here / "empty").touch()
    os.system(f"cp -a {local.here} {local.there}")
    local.start()
    execution = local.run(move(verify=level))
    assert (execution.failed, local.names()) == (0, set()), local.rows()
    assert execution.state == "complete"


def test_a_name_of_a_file_whose_other_names_went_before_is_known_again(local: LocalPort) -> None:
    """Each removal of a name changes the tag of the others: only reading them tells that they are as they were."""
    local.here.mkdir()
    (local.here / "one").write_text("three names")
    for name in ("two", "three"):
        os.link(local.here / "one", local.here / name)
    local.start()
    assert local.run().result == "clean"
    (local.here / "two").unlink()
    execution = local.run(move())
    assert (execution.failed, local.names()) == (0, set())


def test_a_changed_name_of_a_file_stays_though_size_and_time_are_as_they_were(local: LocalPort) -> None:
    local.here.mkdir()
    (local.here / "one").write_text("three names")
    os.link(local.here / "one", local.here / "two")
    at = (local.here / "one").stat().st_mtime_ns
    local.start()
    assert local.run().result == "clean"
    policies = move()
    source = Local(str(local.here))
    passage = LocalPassage(source, Local(str(local.there)), policies=policies, token="token1")
    (local.here / "one").write_text("other bytes")
    os.utime(local.here / "one", ns=(at, at))
    content = digest(b"three names")
    item = ("one", 1, 1, "moved", 7, 0, 11, at, b"", 11, at, b"", content, 3, 0, None, "", "", 0)
    report = passage.delete(DeleteWork(1, "source", "one", 1, (11, at, b""), item))
    assert report.error is not None
    assert report.error[0] == "changed_during_copy"
    assert local.names() == {"one", "two"}
    passage.close()


def test_a_move_keeps_what_rotted_at_the_destination(local: LocalPort) -> None:
    """The ledger's proof is of a lower level than the job asks for: both sides are read before the source goes."""
    local.here.mkdir()
    (local.here / "good").write_text("as it was")
    (local.here / "rotten").write_text("as it was")
    local.start()
    assert local.run().result == "clean"
    (local.there / "rotten").write_text("as it is!")
    seen = (local.there / "rotten").stat()
    with local.database.begin() as tx:
        tx.execute(
            sa.update(tables.items)
            .where(tables.items.c.name == b"rotten")
            .values(d_modified=seen.st_mtime_ns, d_tag=tag_of(seen.st_ino, seen.st_ctime_ns))
        )
    execution = local.run(move(verify=VerifyLevel.READBACK))
    assert (execution.failed, local.names()) == (1, {"rotten"})
    assert local.run(move()).failed == 1
    assert local.names() == {"rotten"}


def test_a_second_run_of_a_move_leaves_the_times_of_folders_alone(local: LocalPort) -> None:
    """At the source the folders' times are those of our own deletes."""
    sample_tree(str(local.here), files=200, seed=9, sparse_size=1 << 20)
    local.start()
    assert local.run(move()).result == "clean"
    before = snapshot(str(local.there))
    again = local.run(move())
    assert (again.result, snapshot(str(local.there))) == ("no_changes", before)


def test_an_unreadable_folder_fails_alone_and_nothing_below_it_is_deleted(local: LocalPort) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads every folder; tests/acceptance does this as another user")
    sample_tree(str(local.here), files=100, seed=2)
    local.start()
    local.run()
    closed = next(path for path in local.here.iterdir() if path.is_dir())
    closed.chmod(0)
    again = local.run(dataclasses.replace(defaults_for(TransferType.PUBLISH)))
    closed.chmod(0o755)
    assert again.failed == 1
    assert again.deleted == 0


def test_connections_stay_what_they_were(local: LocalPort) -> None:
    with local.database.read() as tx:
        found = connections.find(tx, local.job.source_connection or "")
    assert isinstance(found, Connection)
    assert found.platform == "fs"


def test_what_a_run_that_failed_left_half_done_is_swept_by_the_next(local: LocalPort) -> None:
    local.here.mkdir()
    for name in ("a.txt", "b.txt"):
        (local.here / name).write_text(name)
    (local.here / "folder").mkdir()
    (local.here / "folder" / "c.txt").write_text("c")
    local.start()
    assert local.run().result == "clean"
    local.stop()
    failed = local.begin()
    with local.database.begin() as tx:
        token = tx.execute(sa.select(tables.executions.c.token).where(tables.executions.c.id == failed)).scalar()
        root = tx.execute(sa.select(tables.jobs.c.root_item_id)).scalar()
        begun = (9, failed, root, b"", b"", False, False, "", None)
        frontier.add_visits(tx, local.database, [begun])
        tx.execute(sa.update(tables.visits).values(attempts=1))
        executions.move(tx, failed, ("ready",), "failed", info="its movers ended")
    (local.there / f".tallyport-{token}-1").write_text("half")
    (local.there / "folder" / ".tallyport-of-somebody-else").write_text("theirs")
    local.start()
    after = local.run()
    assert (after.state, after.transferred, after.failed) == ("complete", 0, 0)
    assert sorted(os.listdir(local.there)) == ["a.txt", "b.txt", "folder"]
    assert sorted(os.listdir(local.there / "folder")) == [".tallyport-of-somebody-else", "c.txt"]


def test_names_of_one_file_that_changed_are_all_carried_and_stay_one_file(local: LocalPort) -> None:
    local.here.mkdir()
    (local.here / "a").write_text("one")
    for name in ("b", "c"):
        os.link(local.here / "a", local.here / name)
    local.start()
    assert local.run().transferred == 3
    (local.here / "a").write_text("two, and longer")
    again = local.run()
    assert (again.result, again.transferred, again.failed) == ("clean", 3, 0)
    assert differences(str(local.here), str(local.there)) == []
    assert os.stat(local.there / "a").st_nlink == 3


def test_what_a_task_could_not_replace_is_carried_by_the_next_run(
    local: LocalPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan that failed is no baseline: the old content at the destination is not taken for the new."""
    monkeypatch.setattr("tallyport.engine.ends.PART_SIZE", 1 << 20)
    local.here.mkdir()
    (local.here / "big.bin").write_bytes(b"1" * (3 << 20))
    crews = Crews(ThreadCrew(1), ThreadCrew(1))
    local.engine = Engine(local.database, InlineDispatcher(4, 0.2), crews)
    local.engine.start()
    assert local.run().result == "clean"
    real = LocalPassage.finish
    monkeypatch.setattr(
        LocalPassage, "finish", lambda self, work: TaskReport(work.task_id, error=("permission_denied", "not today"))
    )
    (local.here / "big.bin").write_bytes(b"2" * (3 << 20))
    failed = local.run()
    assert (failed.failed, failed.transferred) == (1, 0)
    monkeypatch.setattr(LocalPassage, "finish", real)
    after = local.run()
    assert (after.transferred, after.failed) == (1, 0)
    assert differences(str(local.here), str(local.there)) == []


@contextmanager
def nothing_is_shown() -> Iterator[None]:
    """Have every stage fail to take its place."""

    def fails(self: Stage) -> None:
        raise TallyportError(ErrorKind.IO_ERROR, "the disk has a bad day")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Stage, "publish", fails)
        yield


def test_what_a_container_that_failed_left_is_swept_when_it_is_tried_again(local: LocalPort) -> None:
    """A run that ended with errors has no frontier any more, and still tells where something may lie about."""
    (local.here / "folder").mkdir(parents=True)
    (local.here / "folder" / "a.txt").write_text("a")
    local.engine = Engine(local.database, InlineDispatcher(4, 0.2), Crews(ThreadCrew(1), ThreadCrew(1)))
    local.engine.start()
    with nothing_is_shown():
        assert local.run().failed > 0
    assert [name for name in os.listdir(local.there) if "-stage-" in name] != []
    after = local.run()
    assert (after.state, after.failed) == ("complete", 0)
    assert differences(str(local.here), str(local.there)) == []
    assert os.listdir(local.there) == ["folder"]


@pytest.mark.parametrize("content", ["just written", "large"])
def test_what_is_in_a_stage_that_could_not_be_shown_is_not_done(
    local: LocalPort, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    """Files that are carried with more care land in the stage as well, and are as far from being seen."""
    (local.here / "folder").mkdir(parents=True)
    (local.here / "folder" / "a.bin").write_bytes(b"a" * (3 * SMALL if content == "large" else 1))
    (local.here / "folder" / "b.txt").write_text("b")
    if content == "just written":
        monkeypatch.setattr(staging, "RACY", 1 << 62)
    local.engine = Engine(local.database, InlineDispatcher(4, 0.2), Crews(ThreadCrew(1), ThreadCrew(1)))
    local.engine.start()
    with nothing_is_shown():
        assert local.run().failed > 0
    assert not (local.there / "folder" / "a.bin").exists()
    after = local.run()
    assert (after.state, after.failed) == ("complete", 0)
    assert differences(str(local.here), str(local.there)) == []


def test_a_reset_of_links_looks_at_every_link_again(local: LocalPort) -> None:
    local.here.mkdir()
    (local.here / "link").symlink_to("a.txt")
    local.start()
    assert local.run().result == "clean"
    with local.database.begin() as tx:
        jobs.change(tx, local.job.id, reset="link_remediation")
    again = local.run()
    assert (again.reset, again.full, again.result) == ("link_remediation", True, "no_changes")
    assert os.readlink(local.there / "link") == "a.txt"
    with local.database.read() as tx:
        assert jobs.find(tx, local.job.id).reset is None  # type: ignore[union-attr]
