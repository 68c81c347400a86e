"""Taking batches from a store that other processes take from too: never more than there is room for here.

    the maker of a batch rings its own bell; everybody looks a few times a second
    ready --take_ready--> running, ours --dispatcher--> begun by ``Engine._work``

What is ours in the store and in nobody's hand here, since its thread fell over an outage or the dispatcher never began
it, is given back with a beat.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from tallyport.domain import labels
from tallyport.engine.dispatch import QUEUES, TaskRef
from tallyport.engine.roster import Roster, task_id
from tallyport.store import frontier
from tallyport.store.database import Database
from tallyport.store.frontier import BatchRow
from tallyport.store.phrases import sa

log = logging.getLogger("tallyport.taking")

TAKE_SECONDS = 0.2  # between looks for batches that another process made
BEGINS = 30.0  # seconds within which a dispatcher begins what it was given, or never does


class Taker:
    """Takes for one worker, and knows what it has in hand."""

    def __init__(
        self,
        database: Database,
        roster: Roster,
        width: int,
        submit: Callable[[list[TaskRef]], None],
        may_take: Callable[[], bool],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``width`` is how many batches of each queue are in hand at once; ``submit`` has them worked."""
        self._database = database
        self._roster = roster
        self._width = width
        self._submit = submit
        self._may_take = may_take
        self._clock = clock
        self._in_hand: dict[int, str] = {}  # batch: its queue
        self._taken_at: dict[int, float] = {}  # of those in hand that are not begun
        self._taking = threading.Lock()  # while a batch is ours in the store and not yet in hand
        self._lock = threading.Lock()
        self._bell = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="taker", daemon=True)

    def start(self) -> None:
        """Begin to take."""
        self._thread.start()

    def stop(self, grace: float) -> None:
        """Take nothing more."""
        self._ending.set()
        self._bell.set()
        if self._thread.is_alive():
            self._thread.join(grace)

    def nudge(self) -> None:
        """Look now."""
        self._bell.set()

    @contextmanager
    def holding(self, task: TaskRef) -> Iterator[None]:
        """Have a batch in hand; afterwards there is room again."""
        with self._lock:
            self._in_hand[task.batch_id] = task.queue
            self._taken_at.pop(task.batch_id, None)
        try:
            yield
        finally:
            with self._lock:
                self._in_hand.pop(task.batch_id, None)
            self._bell.set()

    def take(self) -> list[BatchRow]:
        """Take what is ready and has room, and have it worked."""
        with self._lock:
            held = Counter(self._in_hand.values())
        room = {queue: self._width - held[queue] for queue in QUEUES if held[queue] < self._width}
        if not room or not self._may_take():
            return []
        with self._database.read() as tx:
            if not frontier.are_ready(tx):
                return []
        served = labels.served(self._roster.labels)
        with self._taking:
            with self._database.begin() as tx:
                taken = [
                    batch
                    for queue, free in room.items()
                    for batch in frontier.take_ready(tx, self._database, self._roster.owner, queue, served, free)
                ]
            with self._lock:
                self._in_hand.update((batch.id, batch.queue) for batch in taken)
                self._taken_at.update((batch.id, self._clock()) for batch in taken)
        self._submit(tasks(taken))
        return taken

    def give_back(self) -> None:
        """Let go of batches that are ours in the store and in nobody's hand here."""
        with self._lock:
            for batch_id in [batch_id for batch_id, at in self._taken_at.items() if self._clock() - at > BEGINS]:
                del self._in_hand[batch_id], self._taken_at[batch_id]
        with self._taking, self._database.begin() as tx:
            for batch in frontier.open_batches(tx, owner=self._roster.owner):
                with self._lock:
                    is_in_hand = batch.id in self._in_hand
                if not is_in_hand:
                    log.warning("batch.given_back: %d", batch.id)
                    frontier.fence(tx, batch.id)

    def let_go(self) -> None:
        """Give back whatever is ours: this process ends."""
        with self._lock:
            self._in_hand.clear()
            self._taken_at.clear()
        try:
            self.give_back()
        except sa.exc.DBAPIError:
            log.info("let_go.deferred")  # found by whoever looks when we are gone

    def _run(self) -> None:
        while not self._ending.is_set():
            self._bell.wait(take_seconds(self._roster.others))
            self._bell.clear()
            try:
                self.take()
            except sa.exc.DBAPIError:  # an outage passes; we look again
                log.info("take.deferred")
            except Exception:  # the top of a thread
                log.exception("take.failed")


def take_seconds(workers: int) -> float:
    """Say how often each of so many workers looks for batches: a hundred times a second, all together."""
    return max(TAKE_SECONDS, workers / 100)


def tasks(batches: Iterable[BatchRow]) -> list[TaskRef]:
    """Make the tasks of batches."""
    return [TaskRef(task_id(batch), batch.queue, batch.id, batch.epoch) for batch in batches]
