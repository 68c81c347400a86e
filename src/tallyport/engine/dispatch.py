"""The port between our batches and whatever hands them to a worker.

The dispatcher is disposable: our tables are the truth, and ``Engine.reconcile`` rebuilds every task from them.
"""

import queue
import threading
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

QUEUES = ("enumerate", "transfer")  # each has a width of its own in every worker


class TaskRef(NamedTuple):
    """One hand-over. The id holds the epoch, so a later hand-over of the same batch is another task."""

    task_id: str
    queue: str
    batch_id: int
    epoch: int


Handler = Callable[[TaskRef], None]
Tick = Callable[[], None]


class Dispatcher(Protocol):
    """Hands tasks to handlers at least once. The same id submitted twice runs once."""

    def start(self, handler: Handler, tick: Tick) -> None:
        """Begin: ``handler`` works a task on a thread of ours, ``tick`` is called about every five seconds."""

    def submit(self, tasks: Iterable[TaskRef]) -> None:
        """Hand over; returns at once."""

    def cancel(self, task_ids: Iterable[str]) -> None:
        """Take back what has not begun. What runs goes on until it looks at its execution."""

    def purge(self) -> None:
        """Forget tasks that ended."""

    def stop(self, grace: float) -> None:
        """Begin nothing more; wait up to ``grace`` seconds for what runs."""


class InlineDispatcher:
    """Tasks in the memory of this process, for one-shot commands and tests: recovery is ``reconcile`` alone."""

    def __init__(self, threads: int = 4, tick_seconds: float = 5.0) -> None:
        self._threads = threads
        self._tick_seconds = tick_seconds
        self._waiting: queue.SimpleQueue[TaskRef | None] = queue.SimpleQueue()
        self._seen: set[str] = set()
        self._cancelled: set[str] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._workers: list[threading.Thread] = []
        self._ticker: threading.Thread | None = None

    def start(self, handler: Handler, tick: Tick) -> None:
        for number in range(self._threads):
            worker = threading.Thread(target=self._work, args=(handler,), name=f"batch-{number}", daemon=True)
            worker.start()
            self._workers.append(worker)
        self._ticker = threading.Thread(target=self._ticking, args=(tick,), name="tick", daemon=True)
        self._ticker.start()

    def submit(self, tasks: Iterable[TaskRef]) -> None:
        for task in tasks:
            with self._lock:
                if task.task_id in self._seen:
                    continue
                self._seen.add(task.task_id)
            self._waiting.put(task)

    def cancel(self, task_ids: Iterable[str]) -> None:
        with self._lock:
            self._cancelled.update(task_ids)

    def purge(self) -> None:
        """Nothing to forget: an id is seen once in this process."""

    def stop(self, grace: float) -> None:
        self._stopping.set()
        for _ in self._workers:
            self._waiting.put(None)
        for worker in self._workers:
            worker.join(grace)
        if self._ticker is not None:
            self._ticker.join(grace)  # it may be in the store, which is closed next

    def _work(self, handler: Handler) -> None:
        while (task := self._waiting.get()) is not None and not self._stopping.is_set():
            with self._lock:
                if task.task_id in self._cancelled:
                    continue
            handler(task)

    def _ticking(self, tick: Tick) -> None:
        while not self._stopping.wait(self._tick_seconds):
            tick()
