"""Making the parts of a job that one of our workers works: jobs of their own, each with its share of the whole."""

from collections.abc import Mapping, Sequence
from typing import Any

from tallyport.domain import transfer_block
from tallyport.domain.jobs import Job
from tallyport.domain.parts import Share
from tallyport.domain.policies import FailurePolicy
from tallyport.domain.predecessors import OnFailure
from tallyport.store import jobs, predecessors, rows
from tallyport.store.phrases import sa


def name_of(job: Job, number: int, total: int) -> str:
    """Name a part."""
    return f"{job.name} (part {number + 1} of {total})"[:500]


def said_of(share: Share, *, parallel: bool) -> dict[str, object]:
    """Give what a part says about itself."""
    how = "parallel" if parallel else "sequential"
    return {"part_data": dict(share.data), "part_execution": how, "part_weight": share.weight}


def columns_of(job: Job, number: int) -> dict[str, Any]:
    """Give the columns that tie a part to its whole."""
    return {"parent_id": job.id, "part": number, "priority": job.priority}


def make(tx: sa.Connection, job: Job, shares: Sequence[Share], *, by: str | None, parallel: bool) -> list[Job]:
    """Store the parts of a job. Without ``parallel`` each waits for the one before it."""
    made: list[Job] = []
    for number, share in enumerate(shares):
        made.append(jobs.add(tx, _part(job, number, len(shares), share, by, parallel=parallel)))
        if number and not parallel:
            predecessors.replace(tx, made[number].id, [made[number - 1].id])
    return made


def _part(job: Job, number: int, total: int, share: Share, by: str | None, *, parallel: bool) -> Job:
    extra = said_of(share, parallel=parallel)
    if share.paths is not None:
        extra["part_paths"] = list(share.paths)
    transfer = dict(job.transfer)
    if share.filters:
        given = transfer.get("filter")
        own = dict(given) if isinstance(given, Mapping) else {}
        transfer["filter"] = own | {"source": [*own.get("source", ()), *share.filters]}
    halts = transfer_block.read_transfer_block(transfer).policies.failure_policy is FailurePolicy.HALT
    at = rows.now()
    return Job(
        id=jobs.new_id(),
        kind=job.kind,
        name=name_of(job, number, total),
        source_connection=job.source_connection,
        source_path=job.source_path,
        destination_connection=job.destination_connection,
        destination_path=job.destination_path,
        transfer_type=job.transfer_type,
        transfer=transfer,
        category_id=job.category_id,
        extra=extra,
        created_at=at,
        created_by=by,
        modified_at=at,
        on_predecessor_failure=(OnFailure.FAIL if halts else OnFailure.RUN).value,
        **columns_of(job, number),
    )
