"""The dispatcher on DBOS Transact: durable tasks in a database file of their own beside the ledger.

The only module that imports dbos; documented calls only. A batch is a workflow without steps, begun on a thread of ours
the moment it is submitted: nothing is looked for in a queue, so that a process without work costs nothing. There is one
schedule. Deleting DBOS's file loses nothing: ``Engine.reconcile`` submits what our tables hold.
"""

import logging
import sqlite3
import threading
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetWorkflowID, error

from tallyport.engine.dispatch import Handler, TaskRef, Tick
from tallyport.engine.lanes import Lanes

log = logging.getLogger("tallyport.dispatcher")

_TAKEN_AWAY = (
    error.DBOSAwaitedWorkflowCancelledError,
    error.DBOSNonExistentWorkflowError,
    error.DBOSWorkflowCancelledError,
    error.DBOSWorkflowConflictIDError,
)  # the last two are no Exception: uncaught they would end the thread and keep its place
APPLICATION_VERSION = "tallyport-1"  # constant on purpose: a task may outlive an upgrade


class DbosDispatcher:
    """Works batches as tasks of DBOS. One per process: DBOS itself is one per process."""

    def __init__(self, url: str, *, executor: str = "local", width: int = 4) -> None:
        """``width`` is how many tasks of each queue are worked at once, whatever other processes do."""
        self._url = url
        self._executor = executor
        self._lanes = Lanes(width, self._call)
        self._run: Any = None
        self._stopped = threading.Event()

    def start(self, handler: Handler, tick: Tick) -> None:
        for noisy in ("dbos", "apscheduler"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        config: DBOSConfig = {
            "name": "tallyport",
            "system_database_url": self._url,
            "executor_id": self._executor,
            "application_version": APPLICATION_VERSION,
            "enable_otlp": False,
            "log_level": "WARNING",
        }
        if self._url.startswith("sqlite"):
            config["system_database_engine"] = _sqlite_engine(self._url)
        DBOS(config=config)

        @DBOS.workflow(name="batch")
        def batch(task_id: str, queue: str, batch_id: int, epoch: int) -> None:
            if not self._stopped.is_set():
                handler(TaskRef(task_id, queue, batch_id, epoch))

        @DBOS.workflow(name="tick")
        def ticking(_scheduled: datetime, _context: Any) -> None:
            if not self._stopped.is_set():
                tick()

        self._run = batch
        DBOS.listen_queues([])
        DBOS.launch()
        DBOS.apply_schedules([{"schedule_name": "tick", "workflow_fn": ticking, "schedule": "*/5 * * * * *"}])

    def submit(self, tasks: Iterable[TaskRef]) -> None:
        self._lanes.add(tasks)

    def _call(self, task: TaskRef) -> None:
        try:
            with SetWorkflowID(task.task_id):
                self._run(task.task_id, task.queue, task.batch_id, task.epoch)
        except _TAKEN_AWAY:
            log.info("task.taken_away: %s", task.task_id)  # from a process that was given up: the ledger fenced it

    def cancel(self, task_ids: Iterable[str]) -> None:
        if ids := list(task_ids):
            self._lanes.drop(ids)
            DBOS.cancel_workflows(ids)

    def purge(self) -> None:
        ended = DBOS.list_workflows(
            status=["SUCCESS", "ERROR", "CANCELLED"], limit=500, load_input=False, load_output=False
        )
        if ended:
            DBOS.delete_workflows([status.workflow_id for status in ended])

    def stop(self, grace: float) -> None:
        self._stopped.set()
        self._lanes.close(grace)
        DBOS.destroy(workflow_completion_timeout_sec=int(grace), destroy_registry=True)


def _sqlite_engine(url: str) -> sa.Engine:
    Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"check_same_thread": False})

    def prepare(raw: sqlite3.Connection, _record: object) -> None:
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("PRAGMA synchronous=NORMAL")  # survives kill -9; after a power cut reconcile rebuilds
        raw.execute("PRAGMA busy_timeout=10000")

    sa.event.listen(engine, "connect", prepare)
    return engine
