"""What was found at a job's source before a run, and whether a person approved it."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from tallyport.store import rows
from tallyport.store.names import plans
from tallyport.store.phrases import sa


class Plan(NamedTuple):
    """What is kept of a job's plan; its policies are the job's own."""

    manifest: Mapping[str, Any] | None
    approved: bool
    made_at: int | None


NONE = Plan(None, False, None)


def find(tx: sa.Connection, job_id: str) -> Plan:
    """Give what is kept, or nothing."""
    row = tx.execute(sa.select(plans).where(plans.c.job_id == job_id)).first()
    return NONE if row is None else Plan(json.loads(row.manifest) if row.manifest else None, row.approved, row.made_at)


def keep(tx: sa.Connection, job_id: str, **values: Any) -> None:
    """Set columns of a job's plan; ``manifest`` as a mapping, or None to have it made anew."""
    if "manifest" in values:
        given = values["manifest"]
        values |= {"manifest": None if given is None else json.dumps(given), "made_at": rows.now() if given else None}
    if not tx.execute(sa.update(plans).where(plans.c.job_id == job_id).values(**values)).rowcount:
        tx.execute(sa.insert(plans).values(job_id=job_id, **values))
