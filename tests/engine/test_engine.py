"""Executions end to end over memory worlds: nothing lost, nothing done twice, every item accounted for."""

import sqlite3
import threading
import time
from typing import Any

import pytest
import sqlalchemy as sa

from tallyport.domain.errors import ErrorKind
from tallyport.domain.items import Status
from tallyport.domain.policies import DeletePropagation, FailurePolicy
from tallyport.domain.retries import Waits
from tallyport.engine.batch import Batch
from tallyport.store import failures, frontier, items, jobs, unresolved
from tallyport.testing.worlds import differences, picture, tree
from tests.engine.conftest import Port, copy
from tests.engine.test_visit import fault, faulty

WORLD = """
    a.txt 3b v1
    empty.txt 0b v1
    folder/
    folder/b.txt 40b v1
    folder/deep/c.txt 5b v2
    folder/deep/d.txt 6b v1
    hollow/
"""


def statuses(port: Port) -> dict[str, str]:
    with port.database.read() as tx:
        return {item.path: item.reason for item in items.iterate(tx, port.job.number)}


def many(folders: int, files: int) -> str:
    return "\n".join(f"d{n:03}/f{k:03}.txt {5 + k}b v1" for n in range(folders) for k in range(files))


def test_a_tree_is_carried_and_every_item_accounted_for(port: Port) -> None:
    tree(WORLD, port.source)
    port.start()
    execution = port.run()
    assert (execution.state, execution.result) == ("complete", "clean")
    assert differences(port.source, port.destination) == []
    assert (execution.files, execution.transferred, execution.failed) == (5, 5, 0)
    assert execution.bytes == execution.transferred_bytes == 54
    assert execution.folders == 4
    assert set(statuses(port)) == {
        "",
        "a.txt",
        "empty.txt",
        "folder",
        "folder/b.txt",
        "folder/deep",
        "folder/deep/c.txt",
        "folder/deep/d.txt",
        "hollow",
    }


def test_a_second_execution_changes_nothing(port: Port) -> None:
    tree(WORLD, port.source)
    port.start()
    port.run()
    before = picture(port.destination, times=True)
    again = port.run()
    assert (again.result, again.writes, again.unchanged, again.files) == ("no_changes", 0, 5, 5)
    assert picture(port.destination, times=True) == before


def test_what_changed_is_carried_alone(port: Port) -> None:
    tree(WORLD, port.source)
    port.start()
    port.run()
    tree("folder/b.txt 41b v2\nnew/e.txt 1b v1", port.source)
    again = port.run()
    assert (again.transferred, again.unchanged) == (2, 4)
    assert differences(port.source, port.destination) == []


def test_many_folders_are_worked_by_several_batches(port: Port) -> None:
    tree(many(60, 5), port.source)
    port.start(threads=3)
    execution = port.run(copy(parallel_writes=3))
    assert (execution.transferred, execution.folders) == (300, 61)
    assert differences(port.source, port.destination) == []
    with port.database.read() as tx:
        assert frontier.open_batches(tx) == []


def test_a_file_in_the_place_of_a_folder_fails_alone_and_a_retry_carries_it(port: Port) -> None:
    tree(WORLD, port.source)
    tree("a.txt/x 1b v1", port.destination)
    port.start()
    execution = port.run()
    assert (execution.state, execution.result, execution.failed) == ("complete", "errors", 1)
    with port.database.read() as tx:
        (failed,) = failures.page(tx, execution.id)
        assert (failed.path, failed.reason) == ("a.txt", "kind_conflict")
        assert unresolved.count(tx, port.job.number) == 1
    port.destination.delete("a.txt/x")
    port.destination.delete("a.txt")
    retry = port.run(trigger="retry", retry_of=execution.id, scope='{"unresolved": true}', state="created")
    assert (retry.transferred, retry.failed, retry.files) == (1, 0, 1)
    assert differences(port.source, port.destination) == []
    with port.database.read() as tx:
        assert unresolved.count(tx, port.job.number) == 0
        assert failures.count(tx, execution.id) == 1, "history does not change"


def test_containers_that_failed_are_counted_apart(port: Port) -> None:
    tree(WORLD, port.source)
    tree("a.txt/x 1b v1\nfolder 1b v1", port.destination)
    port.start()
    execution = port.run()
    assert (execution.failed, execution.failed_folders, execution.failed_files) == (2, 1, 1)
    again = port.run(trigger="retry", retry_of=execution.id, scope='{"unresolved": true}', state="created")
    assert (again.failed, again.failed_folders) == (2, 1)


def test_halt_stops_at_the_first_failure(port: Port) -> None:
    tree(many(40, 3), port.source)
    tree("\n".join(f"d{n:03}/f000.txt/x 1b v1" for n in range(40)), port.destination)
    port.start(threads=1)
    execution = port.run(copy(failure_policy=FailurePolicy.HALT, parallel_writes=1))
    assert execution.state == "failed"
    assert 0 < execution.failed < 40
    assert "failure policy" in (execution.info or "")


def test_pause_stops_soon_and_resume_finishes_without_doing_anything_twice(port: Port) -> None:
    tree(many(30, 4), port.source)
    port.slow(1, delay=0.005)
    port.start(threads=2)
    execution_id = port.begin()
    port.wait(execution_id, lambda found: found.transferred > 5)
    port.ask(execution_id, ("executing",), "pausing")
    asked = time.monotonic()
    paused = port.wait(execution_id, lambda found: found.state == "paused")
    assert time.monotonic() - asked < 5
    assert 0 < paused.transferred < 120
    with port.database.read() as tx:
        assert frontier.open_batches(tx) == []
    port.ask(execution_id, ("paused",), "ready")
    ended = port.wait(execution_id)
    assert (ended.result, ended.transferred, ended.files) == ("clean", 120, 120)
    assert ended.unchanged == 0
    assert differences(port.source, port.destination) == []


def test_cancel_ends_it_and_the_next_execution_goes_on(port: Port) -> None:
    tree(many(30, 4), port.source)
    port.slow(1, delay=0.005)
    port.start(threads=2)
    execution_id = port.begin()
    port.wait(execution_id, lambda found: found.transferred > 5)
    port.ask(execution_id, ("executing",), "canceling")
    canceled = port.wait(execution_id)
    assert canceled.state == "canceled"
    again = port.run()
    assert again.result == "clean"
    assert canceled.transferred + again.transferred == 120
    assert differences(port.source, port.destination) == []


@pytest.mark.parametrize("rounds", [4])
def test_an_engine_that_is_stopped_midway_goes_on_where_it_was(port: Port, rounds: int) -> None:
    tree(many(30, 4), port.source)
    port.slow(1, delay=0.003)
    port.start(threads=2)
    execution_id = port.begin()
    for turn in range(rounds):
        reached = 10 * (turn + 1)
        port.wait(execution_id, lambda found, reached=reached: found.transferred > reached or found.has_ended)
        port.stop()
        port.start(threads=2)
    ended = port.wait(execution_id)
    assert (ended.result, ended.transferred, ended.unchanged, ended.failed) == ("clean", 120, 0, 0)
    assert differences(port.source, port.destination) == []


def test_every_row_of_the_dispatcher_can_be_lost_midway(port: Port) -> None:
    """A new dispatcher knows nothing: reconcile hands over what the ledger says is open."""
    tree(many(20, 4), port.source)
    port.slow(1, delay=0.003)
    port.start(threads=2)
    execution_id = port.begin()
    port.wait(execution_id, lambda found: found.transferred > 5)
    port.stop()
    with port.database.read() as tx:
        assert frontier.open_batches(tx) or frontier.pending_visits(tx, execution_id, 1)
    port.start(threads=2)
    assert port.wait(execution_id).transferred == 80


def test_a_full_destination_waits_and_goes_on_when_there_is_room(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallyport.domain.retries.WAITS", Waits(1, 1))
    tree("a.txt 100b v1\nb.txt 100b v1\nc.txt 100b v1", port.source)
    port.slow(1, quota=150)
    port.start()
    execution_id = port.begin()
    waiting = port.wait(execution_id, lambda found: found.state == "waiting")
    assert waiting.wait_reason == "no_space"
    assert waiting.failed == 0
    port.slow(1, quota=1_000)
    ended = port.wait(execution_id)
    assert (ended.result, ended.transferred) == ("clean", 3)


def test_waits_in_vain_grow_and_one_item_begins_them_anew(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallyport.domain.retries.WAITS", Waits(0.05, 0.2))
    tree("a.txt 100b v1\nb.txt 100b v1", port.source)
    port.slow(1, quota=50)
    port.start()
    execution_id = port.begin()
    in_vain = port.wait(execution_id, lambda found: found.state == "waiting" and found.waits >= 3)
    assert in_vain.transferred == 0
    port.slow(1, quota=150)
    # however many waits came since: they are counted from the item that was carried
    port.wait(execution_id, lambda found: found.state == "waiting" and found.transferred == 1 == found.waited_at)
    port.slow(1, quota=1_000)
    assert port.wait(execution_id).transferred == 2


def test_a_connection_changed_while_a_run_waits_is_opened_as_it_is_now(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallyport.domain.retries.WAITS", Waits(0.05, 0.05))
    tree("a.txt 100b v1", port.source)
    port.slow(1, quota=50)
    port.start(threads=1)  # whoever failed is whoever goes on
    execution_id = port.begin()
    port.wait(execution_id, lambda found: found.state == "waiting")
    port.slow(1, quota=1_000)
    assert port.wait(execution_id).transferred == 1


@pytest.mark.parametrize("fails_in", [1, 2])
def test_a_folder_that_could_not_be_listed_once_is_still_known_to_be_ours(
    port: Port, monkeypatch: pytest.MonkeyPatch, fails_in: int
) -> None:
    tree("kept.txt 3b v1\nfickle/\nother/a.txt 2b v1", port.source)
    port.start()
    policies = copy(delete_propagation=DeletePropagation.MIRROR, max_delete_percent=100.0)
    if fails_in == 2:
        assert port.run(policies).result == "clean"
    with monkeypatch.context() as patch:
        faulty(patch, 0, [fault("children", "fickle", ErrorKind.NOT_FOUND)])
        assert port.run(policies).failed == 1
    port.source.delete("fickle")
    assert port.run(policies).result == "clean"
    assert differences(port.source, port.destination) == []


def test_a_batch_that_met_a_locked_ledger_is_worked_again(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Batch.run
    met: list[Batch] = []

    def locked(self: Batch) -> Any:
        if len(met) < 2:
            met.append(self)
            raise sa.exc.OperationalError("BEGIN IMMEDIATE", {}, sqlite3.OperationalError("database is locked"))
        return run(self)

    monkeypatch.setattr(Batch, "run", locked)
    tree(WORLD, port.source)
    port.start()
    execution = port.run()
    assert (execution.result, execution.transferred, len(met)) == ("clean", 5, 2)


def test_a_missing_source_fails_to_start_and_says_why(port: Port) -> None:
    with port.database.begin() as tx:
        jobs.change(tx, port.job.id, source_path="no/such/folder")
    port.start()
    execution = port.run()
    assert execution.state == "failed_to_start"
    assert "no/such/folder" in (execution.info or "")


def test_jobs_share_the_crew_and_all_end(port: Port) -> None:
    tree(many(10, 4), port.source)
    port.start(threads=2)
    first = port.begin()
    assert port.wait(first).result == "clean"
    assert port.run().result == "no_changes"


def test_simulation_writes_nothing_and_counts_the_same(port: Port) -> None:
    tree(WORLD, port.source)
    port.start()
    dry = port.run(copy(simulation=True), simulation=True)
    assert picture(port.destination) == ""
    assert (dry.state, dry.writes) == ("complete", 0)
    real = port.run()
    assert (dry.files, dry.transferred, dry.skipped, dry.failed) == (
        real.files,
        real.transferred,
        real.skipped,
        real.failed,
    )


def test_totals_equal_the_rows(port: Port) -> None:
    tree(many(12, 5), port.source)
    port.start()
    execution = port.run()
    with port.database.read() as tx:
        totals = items.totals(tx, port.job.number)
        files = [item for item in items.iterate(tx, port.job.number) if item.kind == 1]
    assert set(totals) == {Status.SUCCESS}
    assert len(files) == execution.transferred == execution.files


def test_batches_never_run_more_than_the_credit_window(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    running = 0
    most = 0
    lock = threading.Lock()
    real = Batch.run

    def counted(self: Any) -> Any:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            return real(self)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(Batch, "run", counted)
    tree(many(40, 3), port.source)
    port.slow(1, delay=0.001)
    port.start(threads=4)
    assert port.run(copy(parallel_writes=1)).transferred == 120
    assert most == 1
