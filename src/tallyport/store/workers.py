"""Workers that share a database: who beats, and what those held that beat no more.

Times are the database's own, so that the clocks of the machines need not agree.
"""

from typing import Any, NamedTuple

from tallyport.domain import labels
from tallyport.store import rows
from tallyport.store.database import Database
from tallyport.store.frontier import BatchRow
from tallyport.store.names import batches, workers
from tallyport.store.phrases import sa


class WorkerRow(NamedTuple):
    """One process that works batches. Times are microseconds since 1970 UTC by the database's clock."""

    id: str
    host: str
    pid: int
    version: str
    labels: str  # space separated
    width: int
    started_at: int
    beat_at: int
    draining: bool
    trouble: str | None


def now(tx: sa.Connection, database: Database) -> int:
    """Give the database's time in microseconds since 1970 UTC."""
    if database.is_sqlite:
        return rows.now()
    return int(tx.exec_driver_sql("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").scalar_one())


def beat(tx: sa.Connection, database: Database, worker: WorkerRow) -> int:
    """Say that a worker lives, and give when that is; the first time makes its row."""
    at = now(tx, database)
    values = {"beat_at": at, "draining": worker.draining, "trouble": worker.trouble}
    if tx.execute(sa.update(workers).where(workers.c.id == worker.id).values(**values)).rowcount == 0:
        tx.execute(sa.insert(workers).values(**worker._asdict() | values | {"started_at": at}))
    return at


def leave(tx: sa.Connection, worker_id: str) -> None:
    """Take a worker that ends off the list."""
    tx.execute(sa.delete(workers).where(workers.c.id == worker_id))


def everyone(tx: sa.Connection) -> list[WorkerRow]:
    """Give all workers, oldest first, those that beat no more too."""
    query = sa.select(workers).order_by(workers.c.started_at, workers.c.id)
    return [WorkerRow(**row) for row in tx.execute(query).mappings()]


def living(tx: sa.Connection, since: int) -> set[str]:
    """Give the ids of the workers that beat since then."""
    return set(tx.execute(sa.select(workers.c.id).where(workers.c.beat_at >= since)).scalars())


def able(tx: sa.Connection, since: int) -> list[tuple[frozenset[str], int]]:
    """Give labels and width of the workers that beat since then and take work."""
    query = sa.select(workers.c.labels, workers.c.width).where(workers.c.beat_at >= since, sa.not_(workers.c.draining))
    return [(labels.read(row.labels), row.width) for row in tx.execute(query)]


def bring_back(tx: sa.Connection, to: int) -> None:
    """Have whoever beat later than now beat now: the database's clock was set back, and patience begins again."""
    tx.execute(sa.update(workers).where(workers.c.beat_at > to).values(beat_at=to))


def forget(tx: sa.Connection, before: int) -> None:
    """Drop the rows of workers that have not beaten since then."""
    tx.execute(sa.delete(workers).where(workers.c.beat_at < before))


def orphans(tx: sa.Connection, database: Database, since: int) -> list[BatchRow]:
    """Give running batches whose holder has not beaten since then; their rows are locked."""
    columns: list[sa.Column[Any]] = [batches.c[name] for name in BatchRow._fields]
    alive = sa.select(workers.c.id).where(workers.c.beat_at >= since)
    query = sa.select(*columns).where(batches.c.state == "running", batches.c.owner.not_in(alive))
    if not database.is_sqlite:
        query = query.with_for_update(skip_locked=True)
    return [BatchRow(*row) for row in tx.execute(query.order_by(batches.c.id))]
