"""Threads for tasks: of each queue so many at once, the others wait in memory in the order in which they came."""

import logging
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable

from tallyport.engine.dispatch import Handler, TaskRef

log = logging.getLogger("tallyport.lanes")


class Lanes:
    """Works tasks. One that waits or is worked is not taken a second time; a thread lives while there is work."""

    def __init__(self, width: int, work: Handler) -> None:
        self._width = width
        self._work = work
        self._waiting: dict[str, deque[TaskRef]] = defaultdict(deque)
        self._known: set[str] = set()
        self._busy: Counter[str] = Counter()  # threads of each queue
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._is_closed = False

    def add(self, tasks: Iterable[TaskRef]) -> None:
        """Let tasks be worked, each as soon as its queue has a thread for it; returns at once."""
        for task in tasks:
            with self._lock:
                if self._is_closed or task.task_id in self._known:
                    continue
                self._known.add(task.task_id)
                self._waiting[task.queue].append(task)
                if self._busy[task.queue] == self._width:
                    continue
                self._busy[task.queue] += 1
                thread = threading.Thread(target=self._run, args=(task.queue,), name=f"{task.queue} lane", daemon=True)
                self._threads.add(thread)
            thread.start()

    def drop(self, task_ids: Collection[str]) -> None:
        """Forget those of some tasks that have not begun."""
        with self._lock:
            for waiting in self._waiting.values():
                for task in [task for task in waiting if task.task_id in task_ids]:
                    waiting.remove(task)
                    self._known.discard(task.task_id)

    def close(self, grace: float) -> None:
        """Begin nothing more; wait up to ``grace`` seconds for what runs."""
        with self._lock:
            self._is_closed = True
            running = list(self._threads)
        for thread in running:
            thread.join(grace)

    def _run(self, queue: str) -> None:
        while (task := self._next(queue)) is not None:
            try:
                self._work(task)
            except Exception:  # the top of a thread: the ledger says what is still to be done
                log.exception("task.failed: %s", task.task_id)
            finally:
                with self._lock:
                    self._known.discard(task.task_id)

    def _next(self, queue: str) -> TaskRef | None:
        with self._lock:
            if self._waiting[queue] and not self._is_closed:
                return self._waiting[queue].popleft()
            self._busy[queue] -= 1
            self._threads.discard(threading.current_thread())
            return None
