"""Turns reports into rows: items, failures, children, tasks, totals and audit of a batch in one transaction.

Everything a report holds is already durable at its destination, so the order write < sync < rename < folder sync <
ledger holds by construction. A commit of a holder that was fenced changes nothing.
"""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from tallyport.engine.commit import Commit
from tallyport.engine.open_visit import OpenVisit
from tallyport.engine.tally import Scene
from tallyport.engine.work import TaskReport, VisitReport, parted
from tallyport.store import frontier
from tallyport.store.database import Database, is_outage
from tallyport.store.frontier import TaskRow, VisitRow
from tallyport.store.ids import Ids
from tallyport.store.phrases import sa

T = TypeVar("T")

PIECE = 250  # rows that are written before the next look at who waits, about


class Fenced(Exception):
    """This batch was given to another holder."""


class _State(NamedTuple):
    """What a recorder holds, as of one moment."""

    reports: list[VisitReport | TaskReport]
    weight: int
    visits: dict[int, OpenVisit]
    tasks: dict[int, TaskRow]


class Recorder:
    """Collects the reports of one batch and writes them."""

    def __init__(self, database: Database, ids: Ids, scene: Scene, batch_id: int, epoch: int) -> None:
        self._database = database
        self._ids = ids
        self._scene = scene
        self._batch = (batch_id, epoch)
        self._visits: dict[int, OpenVisit] = {}
        self._tasks: dict[int, TaskRow] = {}
        self._reports: list[VisitReport | TaskReport] = []
        self._commits = 0  # of this holder, as the batch's row counts them
        self.weight = 0  # rows waiting to be written

    def expect(self, visits: list[VisitRow], tasks: list[TaskRow]) -> None:
        """Remember what was claimed: reports name it by id."""
        self._visits.update((row.id, OpenVisit(row)) for row in visits)
        self._tasks.update((row.id, row) for row in tasks)

    def add(self, report: VisitReport | TaskReport) -> None:
        """Take a report; it is written at the next commit."""
        self._reports.append(report)
        self.weight += _weight(report)

    def outstanding(self) -> int:
        """Count visits and tasks that were claimed and have not ended."""
        return len(self._visits) + len(self._tasks)

    def commit(self, tx: sa.Connection) -> bool:
        """Write what was taken so far; tells whether work was queued. Raises :class:`Fenced`, writing nothing.

        Where people write beside, it goes in pieces, and once one of them waits the rest is left for another
        transaction: see :attr:`has_more`.
        """
        if not frontier.holds(tx, self._database, *self._batch):
            raise Fenced
        has_queued = False
        while True:
            reports = self._piece()
            commit = Commit(tx, self._database, self._ids, self._scene, self._visits, self._tasks)
            has_queued = commit.write(reports) or has_queued
            if not self._reports or self._database.is_awaited:
                return has_queued

    @property
    def has_more(self) -> bool:
        """Tell whether something waits to be written."""
        return bool(self._reports)

    def _piece(self) -> list[VisitReport | TaskReport]:
        """Take what is written in one go: everything, or about so many rows of it."""
        place = weight = 0
        if self._database.is_shared:
            while place < len(self._reports) and weight < PIECE:
                self._part(place, PIECE - weight)
                weight += _weight(self._reports[place])
                place += 1
        else:
            place, weight = len(self._reports), self.weight
        piece, self._reports = self._reports[:place], self._reports[place:]
        self.weight -= weight
        return piece

    def _part(self, place: int, most: int) -> None:
        """Make two of a report of more items: a container's thousand come in one."""
        report = self._reports[place]
        if isinstance(report, VisitReport) and len(report.items) + len(report.filled) > most:
            self._reports[place : place + 1] = parted(report, most)
            self.weight += 1

    def surely(self, act: Callable[[], T], *, lost: T, stopped: Callable[[], bool]) -> T:
        """Do a transaction that calls :meth:`commit` once, outlasting a store that cannot be reached meanwhile.

        A commit whose answer was lost is not made twice: the batch's row counts them. Then ``lost`` is given.
        Raises :class:`Fenced` when the batch was given away, and the error itself once ``stopped`` says so.
        """
        if self._database.is_sqlite:
            return act()
        while True:
            before = self._state()
            try:
                done = act()
            except sa.exc.DBAPIError as error:
                if not is_outage(error) or stopped():
                    raise
            else:
                self._commits += 1
                return done
            counted = self._database.outlast(self._counted, stopped=stopped)
            if counted is None:
                raise Fenced
            if counted > self._commits:
                self._commits = counted
                return lost
            self._reports, self.weight, self._visits, self._tasks = before

    def _counted(self) -> int | None:
        with self._database.read() as tx:
            return frontier.commits(tx, *self._batch)

    def _state(self) -> _State:
        visits = {number: visit.copy() for number, visit in self._visits.items()}
        return _State(list(self._reports), self.weight, visits, dict(self._tasks))


def _weight(report: VisitReport | TaskReport) -> int:
    return 1 + (len(report.items) + len(report.filled) if isinstance(report, VisitReport) else 0)
