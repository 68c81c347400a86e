"""Quarantine: what a run replaces and deletes is kept, and put back by undoing the run."""

from __future__ import annotations

from typing import Any

import pytest

from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.memory_tree import forget
from tallyport.control import housekeeping
from tallyport.control.executions import queue_undo
from tallyport.control.refusals import Conflict
from tallyport.domain.policies import Policies, TransferType
from tallyport.domain.transfer_block import defaults_for
from tallyport.store import failures, items
from tests.engine.conftest import Port
from tests.engine.test_awkward_destinations import names, read, write

FAST = 10**18


def policies(kind: TransferType, **changes: Any) -> Policies:
    import dataclasses

    given = {"quarantine": ".kept", "max_delete_percent": 100.0, **changes}
    return dataclasses.replace(defaults_for(kind), **given)


def contents(connector: Any) -> dict[str, bytes]:
    return {name: b"/" if name.endswith("/") else read(connector, name) for name in names(connector)}


def work(port: Port, run_id: int, verb: str = "undo") -> Any:
    run = port.find(run_id)
    with port.database.begin() as tx:
        made = queue_undo(tx, port.job, run, "test", verb=verb)
    assert port.engine is not None
    port.engine.nudge()
    return port.wait(made.id)


@pytest.fixture(params=["links", "renames", "neither"])
def world(request: Any, port: Port) -> Port:
    """Worlds that keep a second name, move away, or can only copy."""
    settings = {
        "links": {},
        "renames": {"hard_links": False, "symlinks": False},
        "neither": {"hard_links": False, "symlinks": False, "moves": False},
    }[request.param]
    for side in (0, 1):
        forget(port.stores[side])
        port.slow(side, **settings)
    port.source, port.destination = (Memory(Settings(store=store, **settings)) for store in port.stores)
    return port


def test_what_publish_replaces_and_deletes_is_kept_and_put_back(world: Port) -> None:
    write(world.source, "a.txt", b"new")
    write(world.source, "sub/b.txt", b"new b")
    write(world.destination, "a.txt", b"old", modified=FAST + 5)
    write(world.destination, "sub/extra.txt", b"extra")
    write(world.destination, "gone/deep/c.txt", b"c")
    world.destination.make_container("empty", _facts())
    before = contents(world.destination)
    world.start()
    run = world.run(policies(TransferType.PUBLISH))
    assert run.result == "clean", run.info
    after = contents(world.destination)
    place = f".kept/{run.id}"
    assert {name for name in after if not name.startswith(".kept")} == {"a.txt", "sub/", "sub/b.txt"}
    assert after[f"{place}/a.txt"] == b"old"
    assert after[f"{place}/gone/deep/c.txt"] == b"c"
    assert f"{place}/empty/" in after
    with world.database.read() as tx:
        row = items.at_path(tx, world.job.number, "a.txt")
    assert row is not None
    assert row.message == f"what stood here is kept as {place}/a.txt"

    undone = work(world, run.id)
    assert (undone.state, undone.failed) == ("complete", 0), undone.info
    now = contents(world.destination)
    restored = {name: data for name, data in now.items() if not name.startswith(".kept")}
    assert restored == before | {"sub/b.txt": b"new b"}, "what the run only added stays"


def test_a_later_run_does_not_see_the_quarantine(world: Port) -> None:
    write(world.source, "a.txt", b"new")
    write(world.destination, "extra.txt", b"extra")
    world.start()
    first = world.run(policies(TransferType.PUBLISH))
    assert first.deleted == 1
    again = world.run(policies(TransferType.PUBLISH, full_look=True))
    assert (again.deleted, again.writes) == (0, 0)
    assert contents(world.destination)[f".kept/{first.id}/extra.txt"] == b"extra"


def test_sync_keeps_on_the_side_it_writes_to_and_carries_no_quarantine_over(port: Port) -> None:
    write(port.source, "a.txt", b"one")
    write(port.source, "b.txt", b"one")
    port.start()
    sync = policies(TransferType.SYNC)
    port.run(sync)
    write(port.destination, "a.txt", b"two", modified=FAST + 10**10)
    port.destination.delete("b.txt")
    run = port.run(sync)
    assert contents(port.source) == {
        ".kept/": b"/",
        f".kept/{run.id}/": b"/",
        f".kept/{run.id}/a.txt": b"one",
        f".kept/{run.id}/b.txt": b"one",
        "a.txt": b"two",
    }
    assert contents(port.destination) == {"a.txt": b"two"}
    again = port.run(sync)
    assert (again.transferred, again.deleted) == (0, 0)
    assert work(port, run.id).failed == 0
    found = contents(port.source)
    assert (found["a.txt"], found["b.txt"]) == (b"one", b"one")


def test_what_changed_since_is_refused_and_stays_kept(port: Port) -> None:
    for name in ("a.txt", "b.txt"):
        write(port.source, name, b"new")
        write(port.destination, name, b"old", modified=FAST + 5)
    port.start()
    run = port.run(policies(TransferType.PUBLISH))
    write(port.destination, "a.txt", b"somebody's", modified=FAST + 10**12)
    undone = work(port, run.id)
    assert (undone.result, undone.failed, undone.transferred) == ("errors", 1, 1)
    now = contents(port.destination)
    assert now["a.txt"] == b"somebody's"
    assert now["b.txt"] == b"old"
    assert now[f".kept/{run.id}/a.txt"] == b"old"
    with port.database.read() as tx:
        found = list(failures.iterate(tx, undone.id))
    assert [one.path for one in found] == ["a.txt"]
    assert "something else stands there" in found[0].message


def test_undoing_twice_changes_nothing_more(port: Port) -> None:
    write(port.source, "a.txt", b"new")
    write(port.destination, "a.txt", b"old", modified=FAST + 5)
    port.start()
    run = port.run(policies(TransferType.PUBLISH))
    assert work(port, run.id).writes == 1
    before = contents(port.destination)
    assert work(port, run.id).writes == 0
    assert contents(port.destination) == before


def test_purging_empties_the_quarantine_for_good(port: Port) -> None:
    write(port.source, "a.txt", b"new")
    write(port.destination, "a.txt", b"old", modified=FAST + 5)
    write(port.destination, "sub/x.txt", b"old")
    port.start()
    run = port.run(policies(TransferType.PUBLISH))
    assert work(port, run.id, "purge").deleted == 2
    assert names(port.destination) == ["a.txt"]


def test_a_crash_between_keeping_and_replacing_converges(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content was kept, then everything ended; the next attempt keeps it once, as it was."""
    write(port.source, "a.txt", b"new")
    write(port.destination, "a.txt", b"old", modified=FAST + 5)
    from tallyport.connectors.quarantine import Keeper

    port.start()
    expected = port.destination.stat("a.txt")
    assert expected is not None
    run_id = port.find(port.begin(policies(TransferType.PUBLISH))).id
    run = port.wait(run_id)
    assert contents(port.destination)[f".kept/{run_id}/a.txt"] == b"old"
    keeper = Keeper(port.destination, ".kept/x")
    now = port.destination.stat("a.txt")
    assert now is not None
    first = keeper.keep("a.txt", now)
    again = Keeper(port.destination, ".kept/x").keep("a.txt", now)
    assert first[1] == again[1]
    assert run.result == "clean"


def test_a_run_that_kept_nothing_cannot_be_undone(port: Port) -> None:
    port.start()
    run = port.run(policies(TransferType.PUBLISH, quarantine=None))
    with pytest.raises(Conflict, match="kept nothing"):
        work(port, run.id)


def _facts():
    from tallyport.connectors.protocol import Facts

    return Facts()


@pytest.mark.parametrize("kind", [TransferType.COPY, TransferType.SYNC, TransferType.PUBLISH])
def test_an_item_of_the_quarantines_name_is_reported_and_nothing_of_it_is_touched(
    port: Port, kind: TransferType
) -> None:
    write(port.source, "a.txt", b"a")
    write(port.source, ".kept", b"no folder of ours")
    port.start()
    for _ in range(2):
        run = port.run(policies(kind))
        assert run.failed == 1, run
        with port.database.read() as tx:
            (item,) = [item for item in items.iterate(tx, port.job.number) if item.path == ".kept"]
        assert (item.status, item.reason) == (4, "invalid_name")
        assert "quarantine" in (item.message or "")
    assert contents(port.destination) == {"a.txt": b"a"}
    assert contents(port.source) == {"a.txt": b"a", ".kept": b"no folder of ours"}


def test_what_was_carried_before_its_name_became_the_quarantines_is_not_taken_for_gone(port: Port) -> None:
    write(port.source, ".kept/theirs.txt", b"theirs")
    port.start()
    port.run(policies(TransferType.PUBLISH, quarantine=None))
    assert contents(port.destination)[".kept/theirs.txt"] == b"theirs"
    port.run(policies(TransferType.PUBLISH))
    assert contents(port.destination)[".kept/theirs.txt"] == b"theirs"
    assert contents(port.source)[".kept/theirs.txt"] == b"theirs"


def test_a_quarantine_is_emptied_once_its_days_are_over(port: Port) -> None:
    day = housekeeping.DAY
    for number in (1, 2):
        write(port.source, f"{number}.txt", b"new")
        write(port.destination, f"{number}.txt", b"old", modified=FAST + 5)
    write(port.source, "3.txt", b"new")
    port.start()
    kept = policies(TransferType.PUBLISH, quarantine_days=7)
    first = port.run(kept)
    port.source.delete("1.txt")
    second = port.run(policies(TransferType.PUBLISH))  # kept for good
    ended = port.find(first.id).ended_at
    assert ended is not None
    assert housekeeping.purge_quarantines(port.database, ended + 7 * day - 1) == 0
    assert housekeeping.purge_quarantines(port.database, ended + 7 * day + 1) == 1
    assert housekeeping.purge_quarantines(port.database, ended + 8 * day) == 0, "the job is busy, and it is queued"
    assert port.engine is not None
    port.engine.nudge()
    purge = port.wait(port.find_last().id)
    assert (purge.state, purge.trigger) == ("complete", "purge")
    there = contents(port.destination)
    assert f".kept/{first.id}/1.txt" not in there
    assert there[f".kept/{second.id}/1.txt"] == b"new"
    assert housekeeping.purge_quarantines(port.database, ended + 999 * day) == 0
