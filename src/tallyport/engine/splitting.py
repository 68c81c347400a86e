"""Jobs that split themselves: before its first run a source is weighed, and dealt into parts where it is heavy.

    ready --look--> weighed, on a thread of its own --> waits for its parts, or begins whole

What was weighed is remembered by this process alone; after a restart it is weighed again.
"""

import logging
import time
from collections.abc import Callable
from functools import partial

from tallyport.connectors.opening import open_connection
from tallyport.connectors.surveying import weigh
from tallyport.domain import parts
from tallyport.domain.executions import SPLIT, Execution
from tallyport.domain.filters import judge_for
from tallyport.domain.jobs import Job
from tallyport.domain.manifests import children_of
from tallyport.domain.parts import Child
from tallyport.domain.policies_json import policies_from_json
from tallyport.engine.background import Background
from tallyport.store import beginnings, connections, executions, jobs, plans, splitting
from tallyport.store.database import Database
from tallyport.store.vault import Vault

log = logging.getLogger("tallyport.splitting")

WEIGH_SECONDS = 60.0  # what was found by then decides; a plan, where there is one, knows everything
AT_ONCE = 4  # sources that are weighed
MOST_REMEMBERED = 10_000  # executions; beyond it the oldest would be weighed again


class Splitter:
    """Weighs what begins for the first time and asks to be split."""

    def __init__(self, database: Database, vault: Vault, wake: Callable[[], None]) -> None:
        self._database = database
        self._vault = vault
        self._background = Background("splitter", AT_ONCE, wake)
        self.stop = self._background.stop
        self._settled: dict[int, None] = {}  # executions, the oldest first

    def holds(self, execution: Execution, job: Job) -> bool:
        """Say whether an execution may not begin yet, since it is being weighed, or was split. Returns at once."""
        is_first = job.executions == 0 and execution.started_at is None and execution.retry_of is None
        if not is_first or execution.scope is not None or job.part is not None or execution.id in self._settled:
            return False
        act, failed = partial(self._weigh, execution, job), partial(self._give_up, execution)
        self._background.begin(execution.id, act, failed)
        return True

    def _weigh(self, execution: Execution, job: Job) -> None:
        children = self._children(execution, job)
        if not self._background.is_stopping:
            self._split(execution, job, children)
            self._settle(execution)

    def _give_up(self, execution: Execution, error: Exception) -> None:
        """Let an execution begin whole; its begin says to the person what is wrong with the source."""
        log.info("weigh.failed: execution %d: %s", execution.id, error)
        self._settle(execution)

    def _settle(self, execution: Execution) -> None:
        self._settled[execution.id] = None
        if len(self._settled) > MOST_REMEMBERED:
            self._settled.pop(next(iter(self._settled)), None)

    def _children(self, execution: Execution, job: Job) -> list[Child]:
        with self._database.read() as tx:
            plan = plans.find(tx, job.id)
            source = connections.find(tx, job.source_connection or "")
        if known := children_of(plan.manifest):
            return known
        if source is None:
            return []
        policies = policies_from_json(execution.policies)
        until = time.monotonic() + WEIGH_SECONDS
        settings = self._vault.settings(source)
        connector = open_connection(
            *(source.platform, settings, job.source_path), read_only=True, act_as=policies.source_account
        )
        try:
            judge = judge_for(policies.filter_source, started=time.time_ns())
            children, _ = weigh(connector, judge, most=parts.MOST_CHILDREN, goes_on=lambda: self._goes_on(until))
        finally:
            connector.close()
        return children

    def _goes_on(self, until: float) -> bool:
        return not self._background.is_stopping and time.monotonic() < until

    def _split(self, execution: Execution, job: Job, children: list[Child]) -> None:
        count = parts.fitting(children) if children else 1
        if count < parts.LEAST or len(children) > parts.MOST_CHILDREN:
            return
        shares = parts.dealt(children, count)
        with self._database.begin() as tx:
            current = executions.find(tx, execution.id, lock=True)
            fresh = jobs.find(tx, job.id)
            if current is None or current.state != "ready" or current.is_split or fresh is None:
                return  # paused, canceled, or another process was faster
            splitting.make(tx, fresh, shares, by=current.created_by, parallel=True)
            executions.change(tx, current.id, scope=SPLIT)
            split = executions.find(tx, current.id)
            assert split is not None, "it was found above"
            beginnings.dispatch(tx, split, fresh)
            executions.change(tx, current.id, info=parts.BY_WEIGHT.format(len(shares)))
