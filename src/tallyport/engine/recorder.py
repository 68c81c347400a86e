"""Turns reports into rows: items, failures, children, tasks, totals and audit of a batch in one transaction.

Everything a report holds is already durable at its destination, so the order write < sync < rename < folder sync <
ledger holds by construction. A commit of a holder that was fenced changes nothing.
"""

import sqlalchemy as sa

from tallyport.engine.commit import Commit, OpenVisit
from tallyport.engine.tally import Scene
from tallyport.engine.work import TaskReport, VisitReport
from tallyport.store import frontier
from tallyport.store.database import Database
from tallyport.store.frontier import TaskRow, VisitRow
from tallyport.store.ids import Ids


class Fenced(Exception):
    """This batch was given to another holder."""


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
        self.weight = 0  # rows waiting to be written

    def expect(self, visits: list[VisitRow], tasks: list[TaskRow]) -> None:
        """Remember what was claimed: reports name it by id."""
        self._visits.update((row.id, OpenVisit(row)) for row in visits)
        self._tasks.update((row.id, row) for row in tasks)

    def add(self, report: VisitReport | TaskReport) -> None:
        """Take a report; it is written at the next commit."""
        self._reports.append(report)
        self.weight += 1 + (len(report.items) if isinstance(report, VisitReport) else 0)

    def outstanding(self) -> int:
        """Count visits and tasks that were claimed and have not ended."""
        return len(self._visits) + len(self._tasks)

    def commit(self, tx: sa.Connection) -> bool:
        """Write everything taken so far; tells whether work was queued. Raises :class:`Fenced`, writing nothing."""
        if not frontier.holds(tx, self._database, *self._batch):
            raise Fenced
        reports, self._reports, self.weight = self._reports, [], 0
        return Commit(tx, self._database, self._ids, self._scene, self._visits, self._tasks).write(reports)
