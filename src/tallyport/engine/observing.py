"""A ledger that is older than what it tells of looks at the world again, instead of trusting itself."""

import logging

from tallyport.domain.executions import Execution
from tallyport.store import beginnings, executions, identity, jobs
from tallyport.store.database import Database
from tallyport.store.phrases import sa

log = logging.getLogger("tallyport.engine")

_GOES_ON = frozenset({"ready", "waiting", "executing"})
_INFO = "the ledger was restored from a backup: what was done since is looked at by the next run"


def observe_again(database: Database) -> bool:
    """Find out whether the ledger was restored, and distrust it then: the next run of each job forgets what it knew.

    What both sides hold is found equal and adopted, or carried; nothing that is missing on one side counts as deleted.
    Runs that were under way end, and begin anew.
    """
    with database.begin() as tx:
        if not identity.is_another(tx, database):
            return False
        log.warning("ledger.restored")
        for execution in executions.opened(tx):
            _begin_anew(tx, execution)
        jobs.reset_all(tx)
        return True


def _begin_anew(tx: sa.Connection, execution: Execution) -> None:
    job = jobs.find(tx, execution.job_id, deleted=True)
    if job is None or not job.managed or execution.is_split or execution.state == "planning":
        return  # an agent's, its parts' or a person's turn
    state = execution.state
    if not executions.move(tx, execution.id, (state,), "canceled", phase="complete", info=_INFO):
        return
    fresh = jobs.find(tx, job.id)
    if state in _GOES_ON and fresh is not None and fresh.transfer:  # a command's own job begins when it is called again
        trigger = "manual" if execution.trigger == "retry" else execution.trigger
        beginnings.queue(tx, fresh, trigger=trigger, by=execution.created_by)
