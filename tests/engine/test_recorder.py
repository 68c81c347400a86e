"""What is recorded is the same, in one transaction or in many."""

from __future__ import annotations

from typing import Any

import pytest

from tallyport.domain.entries import Kind
from tallyport.domain.items import Status
from tallyport.engine import recorder
from tallyport.engine.tally import Scene
from tallyport.engine.work import ItemResult, VisitReport, parted
from tallyport.store import executions, frontier, items, losses
from tallyport.store.database import Database
from tallyport.store.frontier import VisitRow
from tests.engine.conftest import Port
from tests.engine.test_awkward_destinations import names, write


@pytest.mark.parametrize(("is_shared", "is_awaited"), [(True, False), (True, True), (False, True)])
def test_a_run_that_gives_way_to_people_records_everything(
    port: Port, monkeypatch: Any, *, is_shared: bool, is_awaited: bool
) -> None:
    monkeypatch.setattr(Database, "is_shared", property(lambda _self: is_shared))
    monkeypatch.setattr(Database, "is_awaited", property(lambda _self: is_awaited))
    monkeypatch.setattr(recorder, "PIECE", 1)
    wanted = {f"folder-{n}/{m}.txt" for n in range(12) for m in range(12)}
    for name in sorted(wanted):
        write(port.source, name, b"x")
    port.start()
    run = port.run()
    assert (run.state, run.result, run.transferred, run.files) == ("complete", "clean", 144, 144), run.info
    assert {name for name in names(port.destination) if not name.endswith("/")} == wanted
    with port.database.read() as tx:
        known = items.page(tx, port.job.number, limit=1_000)
    assert {row.path for row in known if row.kind == 1} == wanted
    assert port.run().result == "no_changes"


class Recording(recorder.Recorder):
    """A recorder of one visit of the root, claimed for the given time."""

    def __init__(self, port: Port, attempts: int, **scene: bool) -> None:
        with port.database.begin() as tx:
            run = executions.add(tx, job_id=port.job.id, trigger="cli", policies="{}")
            batch = frontier.add_batch(tx, run.id, "enumerate")
            frontier.take_batch(tx, batch.id, batch.epoch, "me")
        self.port, self.run = port, run.id
        seen = Scene(run.id, port.job.id, port.job.number, "token", 1 << 20, 3, **{"simulation": False, **scene})
        super().__init__(port.database, port.database.ids(), seen, batch.id, batch.epoch)
        self.again(attempts)

    def again(self, attempts: int) -> None:
        """Have the visit claimed anew, as after a kill."""
        self.expect([VisitRow(5, 1, "", "", True, False, "", None, attempts, None, 0, 0)], [])

    def commit_all(self) -> int:
        """Commit what was added; gives the number of transactions."""
        transactions = 0
        while self.has_more:
            with self.port.database.begin() as tx:
                self.commit(tx)
            transactions += 1
        return transactions

    def counted(self) -> dict[str, int]:
        """The outcomes that the execution counts, each with how many items have it."""
        with self.port.database.begin() as tx:
            run = executions.find(tx, self.run)
        assert run is not None
        outcomes = ("transferred", "unchanged", "skipped", "failed", "deleted", "pending")
        return {name: getattr(run, name) for name in outcomes if getattr(run, name)}

    def forget(self) -> None:
        """Have the job know nothing."""
        with self.port.database.begin() as tx:
            items.forget(tx, self.port.job.number)

    def record(self, *reports: VisitReport) -> tuple[Any, ...]:
        """Write reports; gives what the ledger holds then, without what differs from one execution to the next."""
        for report in reports:
            self.add(report)
        transactions = self.commit_all()
        assert (self.weight, self.outstanding()) == (0, 0)
        with self.port.database.begin() as tx:
            run = executions.find(tx, self.run)
            assert run is not None
            known = items.page(tx, self.port.job.number, limit=1_000)
            lost = sorted((row.item_id, row.what) for row in losses.iterate(tx, self.run))
            names = {row.id: row.path for row in known}
            items.forget(tx, self.port.job.number)
        totals = tuple(
            getattr(run, name) for name in ("files", "bytes", "transferred", "transferred_bytes", "unchanged", "failed")
        )
        rows = [(row.path, row.status, row.reason, row.s_size, row.hash) for row in known]
        return totals, sorted(rows), [(names[item_id], what) for item_id, what in lost], transactions


def told(number: int, *, filled: bool) -> VisitReport:
    """A report of a container with so many files, the fifth of which failed and the last of which lost its owner."""
    sides = (3, 7, b"t", 3, 8, b"u")
    one = ItemResult("", Kind.FILE, Status.SUCCESS, "new_at_source", 0, 0, *sides, b"h", 3, 3, wrote=1)
    results = [one._replace(name=f"f{n:03}") for n in range(number)]
    results[4] = one._replace(name="f004", status=Status.RETRY, reason="locked", moved=0, message="it is open")
    lost = ((results[-1].name, "owner", "nobody is called so"),)
    shown = tuple((f"g{n:03}".encode(), *sides, b"h") for n in range(number)) if filled else ()
    many = number + len(shown)
    given = tuple(tuple(result) for result in results)
    return VisitReport(
        5, given, (), (), 2, 9, True, b"s", s_bytes=many * 3 + 9, s_files=many + 2, filled=shown, level=3, losses=lost
    )


@pytest.mark.parametrize("attempts", [1, 2])
@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize("most", [1, 7, 20, 30])
def test_a_report_in_parts_says_what_it_said(
    port: Port, monkeypatch: Any, most: int, filled: bool, attempts: int
) -> None:
    whole = Recording(port, attempts).record(told(20, filled=filled))
    assert whole[0][:2] == ((42, 129) if filled else (22, 69))
    assert whole[2:] == ([("f019", "owner")], 1)
    monkeypatch.setattr(Database, "is_shared", property(lambda _self: True))
    monkeypatch.setattr(Database, "is_awaited", property(lambda _self: True))
    monkeypatch.setattr(recorder, "PIECE", most)
    found = Recording(port, attempts).record(told(20, filled=filled))
    assert found[:3] == whole[:3]
    pieces = -(-(40 if filled else 20) // most)
    assert pieces <= found[3] <= pieces * 2 + 1, "each transaction is brief"


OUTCOMES: list[tuple[dict[str, bool], Status, str]] = [
    ({}, Status.SUCCESS, "new_at_source"),
    ({}, Status.SUCCESS, "unchanged"),
    ({}, Status.SKIPPED, "ignored_one_way_transfer"),
    ({}, Status.RETRY, "locked"),
    ({"remakes": True}, Status.SUCCESS, "deleted_at_destination"),
    ({"simulation": True}, Status.PENDING, "new_at_source"),
    ({"simulation": True}, Status.SUCCESS, "not_at_source"),
    ({"simulation": True}, Status.SUCCESS, "unchanged"),
    ({"simulation": True, "removes_source": True, "remakes": True}, Status.SUCCESS, "unchanged"),
    ({"simulation": True, "removes_source": True, "remakes": True}, Status.PENDING, "deleted_at_destination"),
    ({"simulation": True, "removes_source": True, "remakes": True}, Status.SUCCESS, "not_at_source"),
]


@pytest.mark.parametrize(("scene", "status", "reason"), OUTCOMES)
def test_what_is_told_again_after_a_kill_counts_once(
    port: Port, scene: dict[str, bool], status: Status, reason: str
) -> None:
    sides = (0, 7, b"t", 0, 8, b"u")  # an empty file: no bytes tell that it was carried
    item = ItemResult("one", Kind.FILE, status, reason, 0, 0, *sides, b"h", 3, message="it is so", wrote=0)

    def totals(*attempts: bool) -> dict[str, int]:
        """Each attempt tells of the item; whether it comes to its end."""
        recording = Recording(port, 1, **scene)
        for n, is_last in enumerate(attempts):
            recording.again(n + 1)
            recording.add(VisitReport(5, (tuple(item),), (), (), 0, 0, is_last, b"s"))
            recording.commit_all()
        counted = recording.counted()
        recording.forget()
        return counted

    assert totals(False, True) == totals(True)
    assert sum(totals(True).values()) == 1


def test_what_ends_a_visit_stays_with_the_last_part() -> None:
    report = told(20, filled=True)._replace(
        error=("locked", "x"), container=("c",), uses=((1,),), locks=(("s", "", "", ""),)
    )
    first, rest = parted(report, 25)
    assert (len(first.items), len(first.filled), len(rest.items), len(rest.filled)) == (20, 5, 0, 15)
    assert first == VisitReport(
        5, report.items, (), (), 0, 0, False, filled=report.filled[:5], level=3, losses=report.losses
    )
    assert rest == report._replace(items=(), filled=report.filled[5:], losses=())
