"""Seats at connections with a cap: who holds how many, counted under a lock on the connections."""

from tallyport.domain.seats import Capped, Claimant
from tallyport.store.names import batches, connections, executions, jobs
from tallyport.store.phrases import sa


def capped(tx: sa.Connection, job_id: str) -> list[Capped]:
    """Give the ends of a job that have a cap. Nobody else counts their seats before this transaction ends."""
    ends = sa.select(jobs.c.source_connection, jobs.c.destination_connection).where(jobs.c.id == job_id)
    row = tx.execute(ends).first()
    if row is None:
        return []
    query = (
        sa.select(connections.c.id, connections.c.max_transfers)
        .where(connections.c.id.in_(sorted({end for end in row if end})), connections.c.max_transfers.isnot(None))
        .order_by(connections.c.id)  # everybody locks in one order
        .with_for_update()
    )
    return [Capped(end.max_transfers, _claimants(tx, end.id)) for end in tx.execute(query).all()]


def _claimants(tx: sa.Connection, connection_id: str) -> list[Claimant]:
    out = batches.c.state != "done"
    # a batch of before the cap was set has no seats; it has something under way all the same
    held = sa.case((out, sa.case((batches.c.seats > 0, batches.c.seats), else_=1)), else_=0)
    query = (
        sa.select(
            executions.c.id,
            sa.func.coalesce(sa.func.sum(sa.case((batches.c.id.isnot(None), held), else_=0)), 0),
            sa.func.coalesce(sa.func.max(batches.c.id), 0),
        )
        .join(jobs, jobs.c.id == executions.c.job_id)
        .outerjoin(batches, batches.c.execution_id == executions.c.id)
        .where(
            executions.c.ended_at.is_(None),
            sa.or_(jobs.c.source_connection == connection_id, jobs.c.destination_connection == connection_id),
        )
        .group_by(executions.c.id)
        .having(sa.or_(executions.c.state == "executing", sa.func.sum(sa.case((out, 1), else_=0)) > 0))
    )
    return [Claimant(int(row[0]), int(row[1]), int(row[2])) for row in tx.execute(query)]
