"""What a process finds of how a connection is best worked is where the next one begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallyport.connectors import width
from tallyport.connectors.width import places_of
from tallyport.domain.connections import Connection
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.width import DAY
from tallyport.engine.widths import PAUSE, STILL, WRITES, Widths
from tallyport.store import connections, widths
from tallyport.store.database import Database
from tallyport.store.phrases import sa
from tallyport.store.widths import Noted
from tests.clock import Clock
from tests.engine.pairs import End, Way, folder_of
from tests.engine.places import Places

SETTINGS = {"bucket": "b", "region": "r"}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be a process that has opened nothing yet."""
    monkeypatch.setattr(width, "_all", {})
    return


@pytest.fixture
def bucket(database: Database) -> Connection:
    made = Connection(
        id=connections.new_id(), name="bucket", platform="s3", settings=SETTINGS, created_at=1, modified_at=1
    )
    with database.begin() as tx:
        connections.add(tx, made)
    return made


def halved(times: int = 1) -> None:
    """Have the platform ask for a slower pace after a job asked for 64 places."""
    places = places_of("s3", SETTINGS)
    places.widen(64)
    for _ in range(times):
        places.trouble(TallyportError(ErrorKind.RATE_LIMITED, "slower"))


def noted(database: Database, connection: str) -> Noted | None:
    with database.read() as tx:
        return widths.newest(tx, database, connection)


def workers_noted(database: Database) -> list[str]:
    with database.read() as tx:
        return list(tx.exec_driver_sql("SELECT worker FROM widths ORDER BY worker").scalars())


def test_what_the_platform_halved_in_one_process_is_where_the_next_begins(
    database: Database, bucket: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = Widths(database, "ann")
    ann.meet(bucket, SETTINGS)
    assert places_of("s3", SETTINGS).count == 4, "nobody knows anything yet"
    halved()
    ann.keep(at_once=True)
    monkeypatch.setattr(width, "_all", {})
    bob = Widths(database, "bob")
    bob.meet(bucket, SETTINGS)
    places = places_of("s3", SETTINGS)
    assert places.count == 16
    places.widen(64)
    assert places.count == 16, "a job that asks for more does not run into the same limit again"
    bob.keep(at_once=True)
    assert workers_noted(database) == ["ann"], "no call of bob's says that this still holds"
    places.trouble(TallyportError(ErrorKind.RATE_LIMITED, "slower"))
    bob.keep(at_once=True)
    assert workers_noted(database) == ["ann", "bob"]
    assert (noted(database, bucket.id) or (0,))[0] == 8


def test_nothing_is_written_while_nothing_is_found_and_again_only_when_it_changed(
    database: Database, bucket: Connection
) -> None:
    clock = Clock()
    ann = Widths(database, "ann", clock=clock)
    ann.meet(bucket, SETTINGS)
    ann.keep(at_once=True)
    assert noted(database, bucket.id) is None
    halved()
    ann.keep(at_once=True)
    first = noted(database, bucket.id)
    assert first is not None
    clock.now += 10 * PAUSE
    ann.keep()
    again = noted(database, bucket.id)
    assert again is not None
    assert again.found_at == first.found_at


def test_it_is_written_at_most_so_often_and_less_often_the_more_workers_there_are(
    database: Database, bucket: Connection
) -> None:
    clock = Clock()
    ann = Widths(database, "ann", clock=clock)
    ann.meet(bucket, SETTINGS)
    halved()
    clock.now += PAUSE - 1
    ann.keep()
    assert noted(database, bucket.id) is None
    clock.now += 1
    ann.keep(WRITES * 100)
    assert noted(database, bucket.id) is None, "a thousand workers write every hundred seconds"
    ann.keep()
    assert (noted(database, bucket.id) or (0,))[0] == 16


def test_what_still_holds_is_said_again_before_it_is_too_old(database: Database, bucket: Connection) -> None:
    ann = Widths(database, "ann", clock=(clock := Clock(0.0)))
    ann.meet(bucket, SETTINGS)
    halved()
    ann.keep(at_once=True)
    with database.begin() as tx:
        tx.exec_driver_sql("UPDATE widths SET found_at = 1")
    clock.now += STILL
    ann.keep()
    found = noted(database, bucket.id)
    assert found is not None
    assert found.age < 60


@pytest.mark.parametrize("change", [f"found_at = found_at - {int((DAY + 9) * 1e6)}", "places = NULL"])
def test_what_is_too_old_or_was_never_found_is_no_start(database: Database, bucket: Connection, change: str) -> None:
    with database.begin() as tx:
        widths.note(tx, database, bucket.id, "ann", 9, 0.0)
        tx.exec_driver_sql(f"UPDATE widths SET {change}")
    Widths(database, "bob").meet(bucket, SETTINGS)
    assert places_of("s3", SETTINGS).count == 4


def test_what_could_not_be_written_is_written_later(
    database: Database, bucket: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = Widths(database, "ann")
    ann.meet(bucket, SETTINGS)
    halved()
    with monkeypatch.context() as away:

        def fails(*_: object) -> None:
            raise sa.exc.OperationalError("the database is away", None, Exception())

        away.setattr("tallyport.store.widths.note", fails)
        with pytest.raises(sa.exc.OperationalError):
            ann.keep(at_once=True)
    ann.keep(at_once=True)
    assert (noted(database, bucket.id) or (0,))[0] == 16


def test_a_folder_of_this_machine_has_nothing_to_find(database: Database) -> None:
    here = Connection(id="here", name="here", platform="fs", settings={"path": "/x"}, created_at=1, modified_at=1)
    Widths(database, "ann").meet(here, here.settings)
    assert not width.is_worked()


def test_a_run_at_a_platform_that_throttles_leaves_a_smaller_width_and_the_next_process_begins_with_it(
    database: Database, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, place = folder_of(tmp_path / "source", 12), places.new("s3")
    with place.troubled(place.refusing(2, 429, wait=1)) as (there, proxy):
        way = Way(database, End("fs", {"path": str(source)}), there.end)
        ended = way.run()
        assert (ended.result, ended.failed) == ("clean", 0), ended.info
        assert proxy.fired
        found = noted(database, way.job.destination_connection or "")
        assert found is not None
        assert found.places <= 2, "half of the four that it began with"
        monkeypatch.setattr(width, "_all", {})
        with way.engine() as engine:
            way.wait(engine, way.begin())
            assert places_of("s3", there.end.settings).count in (found.places, found.places + 1)
