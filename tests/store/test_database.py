"""The store opens quickly, has one writer, and its snapshot equals its migrations."""

import gc
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext

from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.store import migrations
from tallyport.store.database import HEAD, Database, is_outage, open_database, trouble
from tallyport.store.tables import metadata
from tallyport.testing.faults import spoil
from tallyport.testing.postgres import PostgresServer
from tools.schema import TARGET, snapshot


def schema_of(path: Path) -> dict[str, str]:
    with sqlite3.connect(path) as raw:
        rows = raw.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'schema_version'")
        return {name: " ".join(sql.split()) for name, sql in rows}


def test_the_packaged_snapshot_is_fresh() -> None:
    assert TARGET.read_text("utf-8") == snapshot()


def test_the_snapshot_equals_all_migrations(tmp_path: Path) -> None:
    open_database(f"sqlite:///{tmp_path / 'snapshot.db'}").close()
    migrated = Database(f"sqlite:///{tmp_path / 'migrated.db'}")
    migrations.upgrade(migrated)
    with migrated.read() as tx:
        context = MigrationContext.configure(getattr(tx, "real", tx), opts={"version_table": "schema_version"})
        assert context.get_current_revision() == HEAD
    migrated.close()
    assert schema_of(tmp_path / "migrated.db") == schema_of(tmp_path / "snapshot.db")


def test_the_packaged_head_is_the_newest_migration() -> None:
    assert migrations.head() == HEAD


def test_a_newer_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    database = open_database(url)
    with database.begin() as tx:
        tx.exec_driver_sql("UPDATE schema_version SET version_num = '9999'")
    database.close()
    with pytest.raises(TallyportError, match="install the newer release") as caught:
        open_database(url)
    assert caught.value.kind is ErrorKind.CONFIG


def test_readers_cannot_write(database: Database) -> None:
    with database.read() as tx, pytest.raises(sa.exc.DBAPIError):
        tx.exec_driver_sql("DELETE FROM items")


def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.begin() as tx:
        tx.execute(sa.insert(metadata.tables["categories"]).values(name="x"))
        raise ZeroDivisionError
    with database.read() as tx:
        assert tx.execute(sa.select(sa.func.count()).select_from(metadata.tables["categories"])).scalar() == 0


def test_an_impossible_row_is_refused(database: Database) -> None:
    with pytest.raises(sa.exc.IntegrityError), database.begin() as tx:
        tx.exec_driver_sql(
            "INSERT INTO executions (job_id, attempt, trigger, state, policies, token, created_at)"
            " VALUES ('x', 1, 'cli', 'complete', '{}', 't', 1)"
        )


@pytest.mark.needs("pg_ctlcluster")
def test_what_a_thread_has_in_hand_when_the_store_closes_is_closed_when_it_is_given_back(
    postgres: PostgresServer,
) -> None:
    url = postgres.create()
    store = open_database(url)
    in_hand, may_end = threading.Event(), threading.Event()

    def work() -> None:
        with store.read() as tx:
            tx.exec_driver_sql("SELECT 1")
            in_hand.set()
            assert may_end.wait(60)

    thread = threading.Thread(target=work)
    thread.start()
    assert in_hand.wait(60)
    store.close()
    with pytest.raises(RuntimeError, match="closed"), store.begin():
        pass
    with pytest.raises(RuntimeError, match="closed"), store.read():
        pass
    may_end.set()
    thread.join(60)
    gc.collect()  # a connection that was only dropped would warn here, which is an error
    others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as watcher:
        assert until(lambda: watcher.execute(others).fetchone() == (0,))


def until(holds: Callable[[], bool], seconds: float = 60.0) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_a_damaged_file_is_said_and_not_written_into_any_more(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_database(f"sqlite:///{path}").close()
    spoil(str(path), "audit")
    database = open_database(f"sqlite:///{path}")
    with pytest.raises(TallyportError, match="is damaged") as caught, database.begin() as tx:
        tx.exec_driver_sql("DELETE FROM audit")
    assert caught.value.kind is ErrorKind.CONFIG
    assert str(path) in caught.value.message
    with pytest.raises(TallyportError, match="is damaged"), database.begin() as tx:
        tx.exec_driver_sql("UPDATE jobs SET name = 'x'")
    database.close()


def test_a_write_that_finds_no_room_is_told_to_whoever_reads_until_there_is_some(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'ledger.db'}")
    with database.begin() as tx:
        pages = tx.exec_driver_sql("PRAGMA page_count").scalar()
        tx.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    assert database.trouble is None
    with pytest.raises(sa.exc.OperationalError, match="full"), database.begin() as tx:
        tx.exec_driver_sql("CREATE TABLE more (text)")
        tx.exec_driver_sql("INSERT INTO more VALUES (?)", ("x" * 100_000,))
    assert "is full" in (database.trouble or "")
    with database.read() as tx:
        assert trouble(tx) == database.trouble
    with database.begin() as tx:
        tx.exec_driver_sql("PRAGMA max_page_count=1000000")
        tx.exec_driver_sql("CREATE TABLE more (text)")
    assert database.trouble is None
    with database.read() as tx:
        assert trouble(tx) is None
    database.close()


def test_a_ledger_whose_schema_no_longer_fits_a_statement_is_no_outage(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'ledger.db'}")
    with database.begin() as tx:
        spoilt = "CREATE TRIGGER spoilt AFTER UPDATE ON jobs BEGIN UPDATE jobs SET name = NGW.name; END"
        tx.exec_driver_sql(spoilt)
    with pytest.raises(sa.exc.OperationalError, match="NGW") as caught, database.begin() as tx:
        tx.exec_driver_sql("UPDATE jobs SET name = 'x'")
    assert not is_outage(caught.value)
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None, timeout=0)
    with database.begin(), pytest.raises(sqlite3.OperationalError, match="locked") as locked:
        other.execute("BEGIN IMMEDIATE")
    assert is_outage(sa.exc.OperationalError("BEGIN IMMEDIATE", {}, locked.value))
    other.close()
    database.close()


@pytest.mark.needs("pg_ctlcluster")
def test_a_write_that_finds_no_room_is_told_by_every_process_of_one_postgresql(postgres: PostgresServer) -> None:
    url = postgres.create()
    writes, reads, elsewhere = open_database(url), open_database(url), open_database(postgres.create())
    full = "DO $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$"
    try:
        for _ in range(2):
            with pytest.raises(sa.exc.OperationalError, match="no room"), writes.begin() as tx:
                tx.exec_driver_sql(full)
            for database in (writes, reads):
                with database.read() as tx:
                    assert "the disk of the database is full" in (trouble(tx) or "")
            with elsewhere.read() as tx:
                assert trouble(tx) is None, "a database of its own has a disk of its own"
        with writes.begin() as tx:
            tx.exec_driver_sql("UPDATE jobs SET name = name")
        for database in (writes, reads):
            with database.read() as tx:
                assert trouble(tx) is None
        with pytest.raises(sa.exc.OperationalError, match="no room"), writes.begin() as tx:
            tx.exec_driver_sql(full)
    finally:
        writes.close()
    with reads.read() as tx:
        assert trouble(tx) is None, "what a process showed goes with it"
    reads.close()
    elsewhere.close()
