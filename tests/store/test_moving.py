"""A ledger moves to PostgreSQL whole, or not at all."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from tallyport.domain.connections import Connection
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.jobs import Job
from tallyport.store import connections, executions, frontier, items, jobs
from tallyport.store.database import Database, open_database
from tallyport.store.moving import move
from tallyport.store.tables import metadata
from tallyport.testing.postgres import PostgresServer

pytestmark = pytest.mark.needs("pg_ctlcluster")


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'ledger.db'}")
    with opened.begin() as tx:
        folder = Connection(
            id=connections.new_id(),
            name="x\\y\té\n",
            platform="fs",
            settings={"path": "/x"},
            created_at=1,
            modified_at=1,
        )
        connections.add(tx, folder)
        ends = {"source_connection": folder.id, "destination_connection": folder.id}
        job = jobs.add(tx, Job(id=jobs.new_id(), name="j", transfer_type="copy", created_at=1, modified_at=1, **ends))
        execution = executions.add(tx, job_id=job.id, trigger="cli", policies="{}", simulation=True)
        batch = frontier.add_batch(tx, execution.id, "enumerate")
        frontier.take_batch(tx, batch.id, batch.epoch, "local")
        frontier.add_visits(tx, opened, [(5, execution.id, 1, b"\xff\x00a", b"b", True, False, "", None)])
        frontier.claim_visits(tx, opened, execution.id, batch.id, 1)
        rows = [
            (
                *(n, job.number, 1, b"\xff\\" + str(n).encode(), 1, 1 if n % 7 else 3, "new_at_source", 0),
                *(n, -n, bytes(range(256)), None, None, None, None, 3, None, "", "tab\tand\\N", execution.id, 7, 5),
            )
            for n in range(5_000)
        ]
        items.upsert(tx, opened, rows)
    yield opened
    opened.close()


@pytest.fixture
def target(postgres: PostgresServer) -> Iterator[Database]:
    opened = open_database(postgres.create())
    yield opened
    opened.close()


def contents(database: Database) -> dict[str, list[tuple]]:
    with database.read() as tx:
        return {
            table.name: [tuple(row) for row in tx.execute(sa.select(table).order_by(*table.primary_key.columns))]
            for table in metadata.sorted_tables
        }


def test_every_row_arrives_as_it_was(source: Database, target: Database) -> None:
    told: dict[str, int] = {}
    assert move(source, target, told.__setitem__) == sum(told.values()) > 5_000
    assert contents(target) == contents(source)
    assert told["items"] == 5_000
    assert contents(target)["unresolved"] == [(1, 715)], "counted by the target as they came"


def test_numbers_go_on_after_those_that_were_copied(source: Database, target: Database) -> None:
    move(source, target)
    with target.begin() as tx:
        (job,) = jobs.page(tx)[0]
        assert executions.add(tx, job_id=job.id, trigger="cli", policies="{}").id == 2
        assert frontier.add_batch(tx, 1, "enumerate").id == 2


def test_a_target_that_holds_something_is_refused_and_stays_as_it_is(source: Database, target: Database) -> None:
    with target.begin() as tx:
        tx.execute(sa.insert(metadata.tables["categories"]).values(name="mine"))
    before = contents(target)
    with pytest.raises(TallyportError, match="not empty: it holds rows in categories") as caught:
        move(source, target)
    assert caught.value.kind is ErrorKind.CONFIG
    assert contents(target) == before


def test_a_move_that_fails_midway_leaves_nothing(source: Database, target: Database) -> None:
    def told(table: str, rows: int) -> None:
        if table == "items":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        move(source, target, told)
    assert all(rows == [] for rows in contents(target).values())


def test_there_is_no_way_back_to_a_file(source: Database, target: Database) -> None:
    with pytest.raises(TallyportError, match="no other way"):
        move(target, source)
