"""Locks that a job makes again: kept in the ledger, let our own changes through, and taken away after the source's."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.protocol import Facts
from tallyport.control.executions import queue_undo
from tallyport.domain.access import Principal, PrincipalKind
from tallyport.domain.entries import Side
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.locks import Lock, mark_of
from tallyport.domain.policies import AuditLevel, LockPropagation, Policies, TransferType
from tallyport.domain.transfer_block import defaults_for
from tallyport.engine.carrier import Carrier
from tallyport.engine.work import Held, LockWork
from tallyport.store import audit, executions, jobs, locks
from tests.engine.conftest import Port, copy

ALICE = Principal(PrincipalKind.ACCOUNT, name="alice")
BOB = Principal(PrincipalKind.ACCOUNT, name="bob")
MIRRORING = copy(lock_propagation=LockPropagation.MIRROR_LOCK)


def mirroring(kind: TransferType, **changes: Any) -> Policies:
    given: dict[str, Any] = {"lock_propagation": LockPropagation.MIRROR_LOCK, "max_delete_percent": 100.0} | changes
    return dataclasses.replace(defaults_for(kind), **given)


def held(port: Port) -> list[str]:
    with port.database.read() as tx:
        return [row.d_path for page in locks.pages(tx, port.job.number) for row in page]


def put(memory: Memory, name: str, content: bytes) -> None:
    """Write as whoever holds the lock there, if anybody does."""
    lock = memory.lock_of(name) if memory.stat(name) is not None else None
    if lock is not None:
        memory.unlock(name, lock)
    memory.write(name, [content], Facts())
    if lock is not None:
        memory.lock(name, lock)


def content_of(memory: Memory, name: str) -> bytes:
    with memory.read(name) as chunks:
        return b"".join(chunks)


def is_locked(memory: Memory, name: str) -> bool:
    """Tell whether somebody else is kept out."""
    try:
        memory.write(name, [b"by a stranger"], Facts())
    except TallyportError as error:
        return error.kind is ErrorKind.LOCKED
    return False


def locked_world(port: Port) -> Lock:
    """Give the lock that Alice holds at the source, mirrored by a first run."""
    for name in ("a.txt", "b.txt"):
        put(port.source, name, name.encode())
    lock = port.source.lock("a.txt", Lock(ALICE))
    port.start()
    first = port.run(MIRRORING)
    assert (first.transferred, first.failed) == (2, 0)
    assert held(port) == ["a.txt"]
    assert is_locked(port.destination, "a.txt")
    return lock


def test_a_lock_that_the_source_gave_up_is_given_up_by_the_next_run_although_nothing_else_changed(port: Port) -> None:
    lock = locked_world(port)
    again = port.run(MIRRORING)
    assert (again.result, held(port)) == ("no_changes", ["a.txt"])
    port.source.unlock("a.txt", lock)
    released = port.run(MIRRORING)
    assert (released.state, released.failed, held(port)) == ("complete", 0, [])
    assert port.destination.lock_of("a.txt") is None
    with port.database.read() as tx:
        told = [row.path for row in audit.page(tx, job_id=port.job.id) if row.event == "item.lock_released"]
    assert told == ["a.txt"]


def test_a_lock_of_somebody_else_at_the_destination_stays(port: Port) -> None:
    lock = locked_world(port)
    put(port.destination, "b.txt", b"b.txt")
    theirs = port.destination.lock("b.txt", Lock(BOB))
    ours = port.destination.lock_of("a.txt")
    assert ours is not None
    port.destination.unlock("a.txt", ours)  # an administrator broke ours, and Bob took one
    bobs = port.destination.lock("a.txt", Lock(BOB))
    port.source.unlock("a.txt", lock)
    run = port.run(MIRRORING)
    assert (run.failed, held(port)) == (0, [])
    assert port.destination.lock_of("a.txt") == bobs
    assert port.destination.lock_of("b.txt") == theirs


def test_a_lock_of_ours_that_ended_of_itself_is_made_again_while_the_source_is_locked(port: Port) -> None:
    locked_world(port)
    ours = port.destination.lock_of("a.txt")
    assert ours is not None
    port.destination.unlock("a.txt", ours)
    run = port.run(MIRRORING)
    assert (run.failed, held(port)) == (0, ["a.txt"])
    assert is_locked(port.destination, "a.txt")


def test_a_lock_that_was_made_anew_in_place_of_the_one_that_is_written_down_is_given_up_too(port: Port) -> None:
    lock = locked_world(port)
    ours = port.destination.lock_of("a.txt")
    assert ours is not None
    port.destination.unlock("a.txt", ours)  # as a server does with the content that is replaced
    assert port.destination.lock("a.txt", Lock(mark=ours.mark)).token != ours.token
    port.source.unlock("a.txt", lock)
    run = port.run(MIRRORING)
    assert (run.failed, held(port)) == (0, [])
    assert port.destination.lock_of("a.txt") is None


def test_locks_are_looked_at_when_nothing_is_carried_any_more(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    locked_world(port)
    put(port.source, "a.txt", b"changed by who holds it")
    phases: list[str] = []
    look = Carrier.look_at_lock

    def noted(carrier: Carrier, work: LockWork) -> tuple[Held, ...]:
        with port.database.read() as tx:
            found = executions.active(tx, port.job.id)
        assert found is not None
        phases.append(found.phase)
        return look(carrier, work)

    monkeypatch.setattr(Carrier, "look_at_lock", noted)
    run = port.run(MIRRORING)
    assert (run.transferred, run.failed, phases) == (1, 0, ["times"])


def test_a_lock_is_looked_at_by_no_simulation_and_no_job_that_ignores_locks(port: Port) -> None:
    lock = locked_world(port)
    port.source.unlock("a.txt", lock)
    for policies in (dataclasses.replace(MIRRORING, simulation=True), copy()):
        port.run(policies, simulation=policies.simulation)
        assert (held(port), is_locked(port.destination, "a.txt")) == (["a.txt"], True)


def test_a_locked_file_that_changed_is_replaced_by_us_and_stays_locked_for_others(port: Port) -> None:
    locked_world(port)
    put(port.source, "a.txt", b"changed by who holds it")
    port.stop()
    port.start()  # another process: what it knows is in the ledger and on the platform
    run = port.run(MIRRORING)
    assert (run.transferred, run.failed) == (1, 0)
    assert content_of(port.destination, "a.txt") == b"changed by who holds it"
    assert is_locked(port.destination, "a.txt")
    assert held(port) == ["a.txt"]


def test_publish_deletes_what_it_locked_itself(port: Port) -> None:
    lock = locked_world(port)
    port.source.unlock("a.txt", lock)
    port.source.delete("a.txt")
    run = port.run(mirroring(TransferType.PUBLISH))
    assert (run.deleted, run.failed) == (1, 0), run
    assert port.destination.stat("a.txt") is None
    assert held(port) == []
    again = port.run(mirroring(TransferType.PUBLISH))
    assert (again.result, again.writes) == ("no_changes", 0)


@pytest.mark.parametrize("quarantine", [None, ".kept"])
def test_what_a_quarantine_keeps_of_a_locked_file_needs_nobody_to_unlock_it(port: Port, quarantine: str | None) -> None:
    locked_world(port)
    put(port.source, "a.txt", b"changed by who holds it")
    run = port.run(copy(lock_propagation=LockPropagation.MIRROR_LOCK, quarantine=quarantine))
    assert (run.transferred, run.failed) == (1, 0)
    assert content_of(port.destination, "a.txt") == b"changed by who holds it"
    assert is_locked(port.destination, "a.txt")


def test_move_leaves_a_locked_file_until_its_lock_is_given_up_and_then_leaves_no_lock(port: Port) -> None:
    put(port.source, "a.txt", b"a")
    lock = port.source.lock("a.txt", Lock(ALICE))
    port.start()
    moving = mirroring(TransferType.MOVE)
    port.run(moving)
    assert port.source.stat("a.txt") is not None
    assert is_locked(port.destination, "a.txt")
    port.source.unlock("a.txt", lock)
    port.run(moving)
    assert port.source.stat("a.txt") is None
    port.run(moving)
    assert (held(port), is_locked(port.destination, "a.txt")) == ([], False)


def test_whoever_was_killed_between_a_lock_and_its_row_finds_the_lock_again(port: Port) -> None:
    """The write and the lock came through, the commit did not: nothing of either is in the ledger."""
    with port.database.read() as tx:
        job = jobs.find(tx, port.job.id)
    assert job is not None
    put(port.source, "a.txt", b"same")
    lock = port.source.lock("a.txt", Lock(ALICE))
    put(port.destination, "a.txt", b"same")
    port.destination.lock("a.txt", Lock(mark=mark_of(job.id, Side.DESTINATION, "a.txt")))
    put(port.source, "b.txt", b"newer than what was carried")
    port.source.lock("b.txt", Lock(ALICE))
    put(port.destination, "b.txt", b"carried")
    port.destination.lock("b.txt", Lock(mark=mark_of(job.id, Side.DESTINATION, "b.txt")))
    port.start()
    run = port.run(mirroring(TransferType.PUBLISH))
    assert run.failed == 0
    assert content_of(port.destination, "b.txt") == b"newer than what was carried"
    assert sorted(held(port)) == ["a.txt", "b.txt"]
    port.source.unlock("a.txt", lock)
    port.run(mirroring(TransferType.PUBLISH))
    assert held(port) == ["b.txt"]
    assert not is_locked(port.destination, "a.txt")


@pytest.mark.parametrize("is_released", [False, True])
def test_a_run_that_falls_between_a_lock_and_its_row_leaves_no_lock_that_nobody_knows(
    port: Port, monkeypatch: pytest.MonkeyPatch, is_released: bool
) -> None:
    """The lock stands and the transaction with its row is lost; the source may give its own up before the next run."""
    put(port.source, "a.txt", b"1")
    lock = port.source.lock("a.txt", Lock(ALICE))
    fallen: list[bool] = []

    def fall(*arguments: Any) -> None:
        if arguments[4] and not fallen:
            fallen.append(is_locked(port.destination, "a.txt"))
            raise RuntimeError("killed here")
        write(*arguments)

    write = locks.write
    monkeypatch.setattr(locks, "write", fall)
    port.start()
    assert port.run(MIRRORING).state == "failed"
    assert (fallen, held(port)) == ([True], []), "the lock was made, and nothing was written down"
    if is_released:
        port.source.unlock("a.txt", lock)
    run = port.run(MIRRORING)
    expected = ([], False) if is_released else (["a.txt"], True)
    assert (run.failed, (held(port), is_locked(port.destination, "a.txt"))) == (0, expected)


def test_a_lock_that_another_holds_now_is_in_their_name(port: Port) -> None:
    policies = copy(lock_propagation=LockPropagation.MIRROR_OWNER)
    with port.database.begin() as tx:
        jobs.change(tx, port.job.id, transfer={"account_map": {"map_by": {"passthrough": True}}})
    put(port.source, "a.txt", b"a")
    lock = port.source.lock("a.txt", Lock(ALICE))
    port.start()
    port.run(policies)
    first = port.destination.lock_of("a.txt")
    assert first is not None
    assert first.owner == ALICE
    port.source.unlock("a.txt", lock)
    port.source.lock("a.txt", Lock(BOB))
    port.run(policies)
    found = port.destination.lock_of("a.txt")
    assert found is not None
    assert found.owner == BOB


def test_two_jobs_do_not_take_each_other_s_locks_for_their_own(port: Port) -> None:
    locked_world(port)
    put(port.source, "a.txt", b"changed")
    stranger = Memory(Settings(store=port.stores[1]))
    stranger.hold("a.txt", mark_of("another job", Side.DESTINATION, "a.txt"))
    assert is_locked(stranger, "a.txt")


def test_a_source_that_is_gone_gives_no_lock_up(port: Port) -> None:
    """Its root is away, not its locks."""
    locked_world(port)
    with port.database.begin() as tx:
        jobs.change(tx, port.job.id, source_path="not-mounted")
    run = port.run(MIRRORING)
    assert run.state == "failed_to_start"
    assert (held(port), is_locked(port.destination, "a.txt")) == (["a.txt"], True)


def test_locks_are_gone_through_in_pages(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_PAGE", 3)
    names = [f"{number:02}" for number in range(10)]
    for name in names:
        put(port.source, name, b"x")
        port.source.lock(name, Lock(ALICE))
    port.start()
    port.run(MIRRORING)
    assert sorted(held(port)) == names
    for name in names[::2]:
        found = port.source.lock_of(name)
        assert found is not None
        port.source.unlock(name, found)
    port.run(copy(lock_propagation=LockPropagation.MIRROR_LOCK, audit_level=AuditLevel.NONE))
    assert sorted(held(port)) == names[1::2]


def test_what_a_run_replaced_under_its_own_lock_can_be_put_back(port: Port) -> None:
    locked_world(port)
    put(port.source, "a.txt", b"changed by who holds it")
    run = port.run(copy(lock_propagation=LockPropagation.MIRROR_LOCK, quarantine=".kept"))
    with port.database.begin() as tx:
        job = jobs.find(tx, port.job.id)
        assert job is not None
        undone = queue_undo(tx, job, run, "test", verb="undo")
    assert port.engine is not None
    port.engine.nudge()
    assert port.wait(undone.id).failed == 0
    assert content_of(port.destination, "a.txt") == b"a.txt"


def test_nobody_renames_what_somebody_else_locked(port: Port) -> None:
    put(port.destination, "a.txt", b"a")
    port.destination.lock("a.txt", Lock(BOB))
    with pytest.raises(TallyportError) as caught:
        port.destination.rename("a.txt", "b.txt")
    assert caught.value.kind is ErrorKind.LOCKED


def test_a_copy_is_kept_of_what_changed_on_both_sides_under_our_own_lock(port: Port) -> None:
    put(port.source, "a.txt", b"a")
    port.source.lock("a.txt", Lock(ALICE))
    port.start()
    syncing = mirroring(TransferType.SYNC)
    port.run(syncing)
    put(port.destination, "a.txt", b"theirs")
    put(port.source, "a.txt", b"newer")
    run = port.run(syncing)
    assert run.failed == 0, run
    assert content_of(port.destination, "a.txt") == b"newer"
    assert b"theirs" in {content_of(port.destination, entry.name) for entry in port.destination.children("")}
    assert is_locked(port.destination, "a.txt")
