"""Jobs that split themselves: before its first run a source is weighed, and dealt into parts where it is heavy.

    ready --look--> weighed, on a thread of its own --> waits for its parts, or begins whole

What was weighed is remembered by this process alone; after a restart it is weighed again.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tallyport.connectors.opening import open_connection
from tallyport.connectors.surveying import weigh
from tallyport.domain import parts
from tallyport.domain.errors import TallyportError
from tallyport.domain.executions import SPLIT, Execution
from tallyport.domain.filters import judge_for
from tallyport.domain.jobs import Job
from tallyport.domain.manifests import children_of
from tallyport.domain.parts import Child
from tallyport.domain.policies_json import policies_from_json
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
        self._wake = wake
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._weighed: dict[int, bool] = {}  # execution: whether it is settled; False while it is being weighed
        self._threads: ThreadPoolExecutor | None = None

    def holds(self, execution: Execution, job: Job) -> bool:
        """Say whether an execution may not begin yet, since it is being weighed, or was split. Returns at once."""
        is_first = job.executions == 0 and execution.started_at is None and execution.retry_of is None
        if not is_first or execution.scope is not None or job.part is not None:
            return False
        with self._lock:
            if (is_settled := self._weighed.get(execution.id)) is not None:
                return not is_settled
            if self._stopping.is_set():
                return True
            if len(self._weighed) >= MOST_REMEMBERED:
                del self._weighed[next(iter(self._weighed))]
            self._weighed[execution.id] = False
            if self._threads is None:
                self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="splitter")
            self._threads.submit(self._settle, execution, job)
        return True

    def stop(self) -> None:
        """Give up what is being weighed."""
        self._stopping.set()
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)

    def _settle(self, execution: Execution, job: Job) -> None:
        try:
            children = self._children(execution, job)
            if not self._stopping.is_set():
                self._split(execution, job, children)
        except TallyportError as error:
            log.info("weigh.failed: execution %d: %s", execution.id, error.message)  # its begin says it to the person
        except Exception:  # the top of a thread: it begins whole
            log.exception("split.failed")
        finally:
            with self._lock:
                self._weighed[execution.id] = True
            self._wake()

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
        return not self._stopping.is_set() and time.monotonic() < until

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
