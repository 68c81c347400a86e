"""One worker among several on a shared database: it beats, and takes work away from those that do not.

    every BEAT seconds: beat; renew the lease; fence batches whose holder has not beaten for PATIENCE seconds

A clock of the database that jumps is no silence: who has not beaten by the new time is judged a patience later.
Whoever was given up wrongly finds its batch fenced at its next commit, and its lease over before it shows anything.
"""

import logging
import os
import random
import socket
import threading
from collections.abc import Callable, Collection, Iterable

import tallyport
from tallyport.domain import labels
from tallyport.engine.lease import clock
from tallyport.store import frontier, workers
from tallyport.store.database import Database
from tallyport.store.frontier import BatchRow
from tallyport.store.phrases import sa
from tallyport.store.workers import WorkerRow

log = logging.getLogger("tallyport.roster")

BEAT = 5.0  # seconds
PATIENCE = 30.0  # seconds without a beat after which a worker is given up
SWEEPERS = 10  # workers that sweep at each beat, about
JUMP = 0.1  # of the patience: more than this gained at once, and the database's clock was set ahead
MEMORY = 24 * 3600.0  # seconds that a worker which is gone stays on the list


def task_id(batch: BatchRow) -> str:
    """Name one hand-over of a batch. A ledger that was restored gives its numbers again, but never at the same time."""
    return f"batch-{batch.id}-e{batch.epoch}-{batch.created_at:x}"


class Roster:
    """The place of one process among the workers."""

    def __init__(
        self,
        database: Database,
        *,
        labels: Collection[str] = (),
        beat: float = BEAT,
        patience: float = PATIENCE,
    ) -> None:
        self.owner = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
        self._database = database
        self.labels = frozenset(labels)
        self._beat_seconds = beat
        self._patience = patience
        self._width = 0
        self._draining = False
        self._trouble: str | None = None
        self._renew: Callable[[int], None] = lambda end: None
        self._orphaned: Callable[[Iterable[str]], None] = lambda tasks: None
        self._beaten = 0  # by our own clock
        self._beat_at = 0  # the same moment by the database's clock
        self._doubts_until = 0  # nobody is judged before, by our own clock
        self._others = 1  # workers that live, as of the last sweep
        self._beats_to_sweep = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._live, name="roster", daemon=True)

    def join(self, *, width: int, renew: Callable[[int], None], orphaned: Callable[[Iterable[str]], None]) -> None:
        """Beat for the first time, before any work is taken, and go on beating.

        ``renew`` is told the end of the lease, ``orphaned`` the tasks of batches that were taken away.
        """
        self._width = width
        self._renew = renew
        self._orphaned = orphaned
        self._database.outlast(self._beat, stopped=self._ending.is_set)
        self._thread.start()

    def drain(self) -> None:
        """Say that this worker takes nothing more."""
        self._draining = True

    def leave(self) -> None:
        """End, off the list."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(self._beat_seconds)
        try:
            with self._database.begin() as tx:
                workers.leave(tx, self.owner)
        except sa.exc.DBAPIError:
            log.warning("roster.left_without_a_word")  # the others find out by the missing beat

    def trouble(self, message: str | None) -> None:
        """Say what this worker cannot do, for people; None when all is well."""
        self._trouble = message

    def width(self, tx: sa.Connection, need: Collection[str] = ()) -> int:
        """Give the width of all workers that live and have these labels."""
        return sum(width for has, width in workers.able(tx, self._since(tx)) if labels.serves(has, need))

    def lacking(self, tx: sa.Connection, need: Collection[str]) -> str | None:
        """Say why nobody who lives may do what needs these labels, or None when somebody may."""
        able = [has for has, _ in workers.able(tx, self._since(tx))]
        return None if any(labels.serves(has, need) for has in able) else labels.lacking(need, able)

    def living(self, tx: sa.Connection) -> set[str]:
        """Give the ids of the workers that live."""
        return workers.living(tx, self._since(tx))

    def count(self) -> int:
        """Count the workers that live."""
        with self._database.read() as tx:
            return len(self.living(tx))

    def sweep(self) -> list[str]:
        """Fence the batches of workers that are gone; gives the tasks that nobody works any more.

        A process that has itself not beaten in time judges nobody.
        """
        if clock() - self._beaten > self._patience * 1e9 or clock() < self._doubts_until:
            return []
        with self._database.begin() as tx:
            workers.bring_back(tx, workers.now(tx, self._database))
            self._others = len(self.living(tx))
            lost = workers.orphans(tx, self._database, self._since(tx))
            for batch in lost:
                log.warning("batch.orphaned", extra={"batch": batch.id, "owner": batch.owner})
                frontier.fence(tx, batch.id)
            workers.forget(tx, workers.now(tx, self._database) - int(MEMORY * 1e6))
        return [task_id(batch) for batch in lost]

    @property
    def others(self) -> int:
        """How many workers live, this one included."""
        return self._others

    def is_due(self) -> bool:
        """Say whether it is our turn to sweep: about ten workers do at each beat, however many there are."""
        self._beats_to_sweep -= 1
        if self._beats_to_sweep > 0:
            return False
        self._beats_to_sweep = random.randint(1, max(1, 2 * self._others // SWEEPERS))
        return True

    def _since(self, tx: sa.Connection) -> int:
        return workers.now(tx, self._database) - int(self._patience * 1e6)

    def _live(self) -> None:
        while not self._ending.wait(self._beat_seconds):
            try:
                self._beat()
                if self.is_due():
                    self._orphaned(self.sweep())
            except Exception:  # the top of a thread: an outage passes, and the lease says how long we go on meanwhile
                log.exception("roster.failed")

    def _beat(self) -> None:
        begun = clock()
        pid = os.getpid()
        row = WorkerRow(
            *(
                self.owner,
                socket.gethostname(),
                pid,
                tallyport.__version__,
                labels.write(self.labels),
                self._width,
                0,
                0,
            ),
            self._draining,
            self._trouble,
        )
        with self._database.begin() as tx:
            at = workers.beat(tx, self._database, row)
        ahead = (at - self._beat_at) * 1_000 - (clock() - self._beaten)  # what the database's clock gained on ours
        if self._beaten and ahead > self._patience * JUMP * 1e9:
            self._doubts_until = clock() + int(self._patience * 1e9)
            log.warning("roster.clock_jumped", extra={"seconds": round(ahead / 1e9)})
        self._beaten, self._beat_at = begun, at
        # over before the others give us up: they count from when the database saw the beat, which is later
        self._renew(begun + int(self._patience * 0.8e9))
