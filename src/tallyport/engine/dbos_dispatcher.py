"""The dispatcher on DBOS Transact: durable queues in a database file of their own beside the ledger.

The only module that imports dbos; documented calls only. A batch is a workflow without steps; there are two fixed
queues, those of the labels of this worker, and one schedule. Deleting DBOS's file loses nothing: ``Engine.reconcile``
submits what our tables hold.
"""

import logging
import sqlite3
import threading
from collections.abc import Collection, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, SetWorkflowID

from tallyport.domain import labels as reach
from tallyport.engine.dispatch import QUEUES, Handler, TaskRef, Tick

APPLICATION_VERSION = "tallyport-1"  # constant on purpose: a task may outlive an upgrade
POLL_SECONDS = 0.1


class DbosDispatcher:
    """Hands batches over through DBOS. One per process: DBOS itself is one per process."""

    def __init__(
        self,
        url: str,
        *,
        executor: str = "local",
        width: int = 4,
        poll: float = POLL_SECONDS,
        labels: Collection[str] = (),
    ) -> None:
        self._url = url
        self._labelled = reach.queues(labels)
        # Seconds between looks at each queue. Many queues of labels are looked at less often each.
        self._polls = dict.fromkeys(QUEUES, poll)
        self._polls |= dict.fromkeys(self._labelled, poll * max(1.0, len(self._labelled) / len(QUEUES)))
        self._executor = executor
        self._width = width
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
        DBOS.listen_queues(list(self._polls))
        DBOS.launch()
        for name, poll in self._polls.items():
            DBOS.register_queue(
                name,
                worker_concurrency=self._width,
                polling_interval_sec=poll,
                on_conflict="always_update",
            )
        DBOS.apply_schedules([{"schedule_name": "tick", "workflow_fn": ticking, "schedule": "*/5 * * * * *"}])

    def submit(self, tasks: Iterable[TaskRef]) -> None:
        for task in tasks:
            with SetWorkflowID(task.task_id):
                DBOS.enqueue_workflow(task.queue, self._run, task.task_id, task.queue, task.batch_id, task.epoch)

    def cancel(self, task_ids: Iterable[str]) -> None:
        if ids := list(task_ids):
            DBOS.cancel_workflows(ids)

    def running(self) -> list[tuple[str, str]]:
        found = DBOS.list_workflows(status="PENDING", name="batch")
        return [(status.workflow_id, status.executor_id or "") for status in found]

    def purge(self) -> None:
        ended = DBOS.list_workflows(
            status=["SUCCESS", "ERROR", "CANCELLED"], limit=500, load_input=False, load_output=False
        )
        if ended:
            DBOS.delete_workflows([status.workflow_id for status in ended])

    def stop(self, grace: float) -> None:
        self._stopped.set()
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
