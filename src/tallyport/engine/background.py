"""What is done for an execution beside carrying, on threads of its own: a plan, a split, the children of a mapping."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tallyport.domain.errors import TallyportError
from tallyport.store.database import is_outage

log = logging.getLogger("tallyport.background")

LATER_SECONDS = 1.0  # until something is done again that an outage of the database cut short


class Background:
    """Does one kind of thing, for several executions at once. What the end of the process cuts short is done anew."""

    def __init__(self, name: str, most: int, wake: Callable[[], None]) -> None:
        """``most`` are done at once; ``wake`` has the executions looked at again after each."""
        self._name = name
        self._most = most
        self.wake = wake
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._under_way: set[int] = set()
        self._threads: ThreadPoolExecutor | None = None

    @property
    def is_stopping(self) -> bool:
        """Tell whether what is under way is to be given up."""
        return self._stopping.is_set()

    def is_busy(self, execution_id: int) -> bool:
        """Tell whether something is under way for an execution."""
        return execution_id in self._under_way

    def begin(self, execution_id: int, act: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        """Have something done for an execution, unless it is under way already. Returns at once.

        ``failed`` is told what ended it, which a person has to see. An outage of the database is not: it passes, and
        a later look begins again.
        """
        with self._lock:
            if execution_id in self._under_way or self._stopping.is_set():
                return
            self._under_way.add(execution_id)
            if self._threads is None:
                self._threads = ThreadPoolExecutor(self._most, thread_name_prefix=self._name)
            self._threads.submit(self._do, execution_id, act, failed)

    def stop(self) -> None:
        """Give up what is under way."""
        self._stopping.set()
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)

    def _do(self, execution_id: int, act: Callable[[], None], failed: Callable[[Exception], None]) -> None:
        try:
            try:
                act()
            except Exception as error:
                if is_outage(error):
                    raise
                if not isinstance(error, TallyportError):  # nobody foresaw it
                    log.exception("%s.failed", self._name)
                failed(error)
        except Exception as error:  # the top of a thread
            if is_outage(error):
                log.info("%s.deferred: %d", self._name, execution_id)
                self._stopping.wait(LATER_SECONDS)
            else:
                log.exception("%s.failed", self._name)
        finally:
            with self._lock:
                self._under_way.discard(execution_id)
            self.wake()
