"""Breakdowns of jobs, counted aside and kept: whoever asks never waits for a large job to be read."""

from tallyport.control.aside import Aside
from tallyport.control.desk import Desk
from tallyport.control.pictures import find_job
from tallyport.store import breakdowns, rows
from tallyport.store.breakdowns import Breakdown

_STALE = 20.0  # seconds after which a count is made anew when somebody asks


class Breakdowns:
    """Counts in one thread at a time. One per server."""

    def __init__(self) -> None:
        self._kept: Aside[Breakdown] = Aside("breakdown", _STALE)

    def of_job(self, desk: Desk, job_id: str) -> Breakdown | None:
        """Give the breakdown of a job, or None while it is being counted: ask again in a second."""
        with desk.database.read() as tx:
            job = find_job(tx, job_id)

        def count() -> Breakdown:
            with desk.database.read() as tx:
                return breakdowns.of_job(tx, job, rows.now())

        return self._kept.of((job.number, job.execution_id, job.version), count)
