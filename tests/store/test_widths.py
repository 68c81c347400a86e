"""What workers found of a connection: the newest is what others begin with, each living worker's is shown."""

from __future__ import annotations

import pytest

from tallyport.domain.jobs import Job
from tallyport.domain.width import DAY
from tallyport.store import widths, workers
from tallyport.store.database import Database
from tallyport.store.phrases import sa
from tallyport.store.workers import WorkerRow


def note(database: Database, connection: str, worker: str, places: int | None, waits: float = 0.0) -> None:
    with database.begin() as tx:
        widths.note(tx, database, connection, worker, places, waits)


def back(database: Database, worker: str, seconds: float) -> None:
    with database.begin() as tx:
        statement = database.sql("UPDATE widths SET found_at = found_at - ? WHERE worker = ?")
        tx.exec_driver_sql(statement, (int(seconds * 1e6), worker))


def newest(database: Database, connection: str) -> tuple[int, float] | None:
    with database.read() as tx:
        found = widths.newest(tx, database, connection)
    return None if found is None else (found.places, found.age)


def test_the_newest_of_all_workers_is_what_others_begin_with(database: Database, job: Job) -> None:
    connection = job.source_connection or ""
    assert newest(database, connection) is None
    note(database, connection, "ann", 12)
    note(database, connection, "bob", 5)
    note(database, connection, "cid", None, 30.0)
    back(database, "ann", 10)
    found = newest(database, connection)
    assert found is not None
    assert found[0] == 5
    assert 0 <= found[1] < 60
    note(database, connection, "ann", 9)
    back(database, "bob", 10)
    assert (newest(database, connection) or (0,))[0] == 9, "a worker has one row, which tells its last word"


def test_what_is_too_old_goes_with_the_next_note(database: Database, job: Job) -> None:
    connection = job.source_connection or ""
    note(database, connection, "ann", 12)
    back(database, "ann", DAY + 5)
    assert (newest(database, connection) or (0, 0))[1] > DAY
    note(database, connection, "bob", 5)
    with database.read() as tx:
        assert tx.exec_driver_sql("SELECT worker FROM widths").scalars().all() == ["bob"]
    with database.begin() as tx:
        widths.forget(tx, database, connection)
    assert newest(database, connection) is None


@pytest.mark.parametrize("places", [0, -1, 1_025])
def test_a_number_that_makes_no_sense_is_not_stored(database: Database, job: Job, places: int) -> None:
    with pytest.raises(sa.exc.IntegrityError):
        note(database, job.source_connection or "", "ann", places)


def test_workers_that_live_are_shown_with_what_they_found_and_wait_for(database: Database, job: Job) -> None:
    connection = job.source_connection or ""
    with database.begin() as tx:
        for name in ("ann", "bob", "gone"):
            workers.beat(tx, database, WorkerRow(name, f"host of {name}", 1, "1", "", 2, 0, 0, False, None))
        statement = database.sql("UPDATE workers SET beat_at = beat_at - ? WHERE id = ?")
        tx.exec_driver_sql(statement, (widths.HEARD * 1_000_000 + 1, "gone"))
    note(database, connection, "ann", 12)
    note(database, connection, "bob", None, 60.0)
    note(database, connection, "gone", 3)
    note(database, connection, "local", 3)
    with database.read() as tx:
        ann, bob = widths.of_workers(tx, database, connection)
    assert (ann.worker, ann.host, ann.places, ann.waits) == ("ann", "host of ann", 12, 0.0)
    assert (bob.worker, bob.places) == ("bob", None)
    assert 50 < bob.waits <= 60
