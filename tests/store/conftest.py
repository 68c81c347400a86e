"""A fresh ledger for each test, on SQLite and on PostgreSQL, and a job in it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tallyport.domain.connections import Connection
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.store import connections, executions, jobs
from tallyport.store.database import Database, open_database


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs("pg_ctlcluster"))])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'ledger.db'}"
    else:
        url = request.getfixturevalue("postgres").create()
    opened = open_database(url)
    yield opened
    opened.close()


@pytest.fixture
def job(database: Database) -> Job:
    with database.begin() as tx:
        folder = Connection(
            id=connections.new_id(), name="folder", platform="fs", settings={"path": "/x"}, created_at=1, modified_at=1
        )
        connections.add(tx, folder)
        return jobs.add(
            tx,
            Job(
                id=jobs.new_id(),
                name="copy",
                transfer_type="copy",
                source_connection=folder.id,
                destination_connection=folder.id,
                created_at=1,
                modified_at=1,
            ),
        )


@pytest.fixture
def execution(database: Database, job: Job) -> Execution:
    with database.begin() as tx:
        return executions.add(tx, job_id=job.id, trigger="cli", policies="{}")
