"""Which job waits for which."""

from collections.abc import Sequence

from tallyport.domain.jobs import Job
from tallyport.domain.predecessors import OnFailure, Predecessor, Verdict, verdict
from tallyport.domain.states import State
from tallyport.store.names import jobs, predecessors
from tallyport.store.phrases import sa


def replace(tx: sa.Connection, job_id: str, ids: Sequence[str]) -> None:
    """Set the predecessors of a job, in their order."""
    tx.execute(sa.delete(predecessors).where(predecessors.c.job_id == job_id))
    if ids:
        rows = [{"job_id": job_id, "predecessor_id": one, "place": place} for place, one in enumerate(ids)]
        tx.execute(sa.insert(predecessors), rows)


def ids_of(tx: sa.Connection, job_id: str) -> list[str]:
    """Give the ids of a job's predecessors."""
    query = sa.select(predecessors.c.predecessor_id).where(predecessors.c.job_id == job_id)
    return list(tx.execute(query.order_by(predecessors.c.place)).scalars())


def ids_of_each(tx: sa.Connection, job_ids: Sequence[str]) -> dict[str, list[str]]:
    """Give the ids of the predecessors of several jobs; a job without any is left out."""
    query = sa.select(predecessors.c.job_id, predecessors.c.predecessor_id).where(
        predecessors.c.job_id.in_(list(job_ids))
    )
    found: dict[str, list[str]] = {}
    for job_id, predecessor in tx.execute(query.order_by(predecessors.c.job_id, predecessors.c.place)):
        found.setdefault(job_id, []).append(predecessor)
    return found


def of(tx: sa.Connection, job_id: str) -> list[Predecessor]:
    """Give a job's predecessors as they are now."""
    query = (
        sa.select(jobs.c.id, jobs.c.name, jobs.c.state, jobs.c.deleted_at)
        .join(predecessors, predecessors.c.predecessor_id == jobs.c.id)
        .where(predecessors.c.job_id == job_id)
        .order_by(predecessors.c.place)
    )
    return [Predecessor(row.id, row.name, State(row.state), row.deleted_at is not None) for row in tx.execute(query)]


def successors(tx: sa.Connection, job_id: str) -> list[str]:
    """Give the ids of the jobs that name a job as a predecessor."""
    query = sa.select(predecessors.c.job_id).where(predecessors.c.predecessor_id == job_id)
    return list(tx.execute(query.order_by(predecessors.c.job_id)).scalars())


def judge(tx: sa.Connection, job: Job) -> Verdict:
    """Say whether a job may begin now."""
    return verdict(of(tx, job.id), OnFailure(job.on_predecessor_failure))
