"""The store says what an outage is, and outlasts one."""

import threading

import pytest
import sqlalchemy as sa

from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.store.database import away, open_database
from tallyport.testing.postgres import PostgresServer, postgres_server

pytestmark = pytest.mark.needs("pg_ctlcluster")


def count(database) -> int:
    with database.read() as tx:
        return tx.exec_driver_sql("SELECT count(*) FROM categories").scalar_one()


def test_work_goes_on_after_the_server_was_away() -> None:
    with postgres_server() as server:
        database = open_database(server.create())
        assert database.outlast(lambda: count(database)) == 0
        server.stop()
        back = threading.Timer(0.5, server.start)
        back.start()
        assert database.outlast(lambda: count(database)) == 0
        back.join()
        database.close()


def test_whoever_stops_does_not_wait_for_the_server() -> None:
    with postgres_server() as server:
        database = open_database(server.create())
        server.stop()
        with pytest.raises(sa.exc.OperationalError):
            database.outlast(lambda: count(database), stopped=lambda: True)
        database.close()


def test_a_mistake_is_no_outage(postgres: PostgresServer) -> None:
    database = open_database(postgres.create())
    with pytest.raises(sa.exc.ProgrammingError), database.begin() as tx:
        database.outlast(lambda: tx.exec_driver_sql("SELECT nonsense"))
    database.close()


def test_a_server_that_is_not_there_is_said_without_the_password() -> None:
    with pytest.raises(TallyportError, match="cannot reach the database") as caught:
        open_database("postgresql://somebody:secret@127.0.0.1:1/nothing")
    assert caught.value.kind is ErrorKind.UNAVAILABLE
    assert "secret" not in caught.value.message


def test_a_url_of_another_kind_is_refused_with_the_ones_that_are() -> None:
    with pytest.raises(TallyportError, match="postgresql://USER@HOST/NAME") as caught:
        open_database("mysql://somebody:secret@host/name")
    assert caught.value.kind is ErrorKind.CONFIG
    assert "secret" not in caught.value.message


def test_processes_that_start_at_once_make_the_tables_once(postgres: PostgresServer) -> None:
    url = postgres.create()
    opened = []
    threads = [threading.Thread(target=lambda: opened.append(open_database(url))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 6
    for database in opened:
        database.close()


def test_a_server_that_answers_and_refuses_is_not_away(postgres: PostgresServer) -> None:
    with pytest.raises(TallyportError) as refused:
        open_database(postgres.url("no-such-database"))
    assert away(refused.value) is None
    with pytest.raises(TallyportError) as absent:
        open_database("postgresql://somebody:secret@127.0.0.1:1/nothing")
    assert "cannot reach the database" in (away(absent.value) or "")
    assert "secret" not in (away(absent.value) or "")
    assert away(ValueError("a mistake")) is None
