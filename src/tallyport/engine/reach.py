"""Which executions the engine of this process works, and what becomes of one that no worker reaches.

Only with labels: a worker looks after the executions whose connections it reaches, from the check of both sides to the
last sweep. The others it leaves alone, unless nobody is left to look after them.
"""

from tallyport.domain import labels
from tallyport.domain.jobs import Job
from tallyport.domain.states import Wait
from tallyport.engine import execution as life
from tallyport.engine.roster import Roster
from tallyport.store import connections, executions, frontier
from tallyport.store.database import Database
from tallyport.store.ids import Ids
from tallyport.store.phrases import sa


class Reach:
    """What one engine reaches. Without a roster there is nobody else, and it reaches everything."""

    def __init__(self, database: Database, ids: Ids, roster: Roster | None) -> None:
        self._database = database
        self._ids = ids
        self._roster = roster

    def need(self, job: Job) -> frozenset[str]:
        """Give the labels that a worker must have to work a job."""
        if self._roster is None:
            return frozenset()
        with self._database.read() as tx:
            ends = [connections.find(tx, side or "") for side in (job.source_connection, job.destination_connection)]
        return labels.needed(*(end.labels for end in ends if end is not None))

    def is_ours(self, need: frozenset[str]) -> bool:
        """Tell whether this process may work what needs these labels."""
        return self._roster is None or labels.serves(self._roster.labels, need)

    def attend(self, execution_id: int, need: frozenset[str]) -> None:
        """Look at an execution that is not ours: where nobody reaches both its sides, it waits and says for whom."""
        assert self._roster is not None, "alone, everything is ours"
        with self._database.begin() as tx:
            lacking = self._roster.lacking(tx, need)
            current = executions.find(tx, execution_id, lock=lacking is not None)
            if lacking is None or current is None or current.has_ended:
                return
            for batch in frontier.open_batches(tx, execution_id):
                if batch.state == "ready":
                    frontier.fence(tx, batch.id)
            if frontier.open_batches(tx, execution_id):
                return  # a worker that went silent has it until it is given up
            info = f"waits for a worker: {lacking}"
            if current.state in ("pausing", "canceling"):
                life.advance(tx, self._database, self._ids, current, lambda policies: 0)
            elif current.state in ("ready", "executing"):
                moved = executions.move(
                    *(tx, execution_id, ("ready", "executing"), "waiting"),
                    wait_until=None,
                    wait_reason=Wait.WORKER.value,
                    info=info,
                )
                if moved:
                    life.note(tx, self._database, self._ids, current, 4, "execution.waiting", info)
            elif current.info != info and (current.state == "planning" or current.wait_reason == Wait.WORKER):
                executions.change(tx, execution_id, info=info)

    def go_on(self, tx: sa.Connection, execution_id: int) -> None:
        """Let an execution go on that waited for a worker like us."""
        executions.move(tx, execution_id, ("waiting",), "ready", wait_reason=None, info=None)
