"""What is failed in a job, by reason: counted at once where little is, else aside and kept for a moment."""

from tallyport.control.aside import Aside
from tallyport.control.desk import Desk
from tallyport.control.pictures import find_job
from tallyport.store import failures, unresolved
from tallyport.store.failures import ReasonCount

AT_ONCE = 20_000  # failed items
_STALE = 2.0  # seconds


class Reasons:
    """Counts what is failed now. One per server."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._at_once = at_once
        self._kept: Aside[list[ReasonCount]] = Aside("reasons", _STALE)

    def of_job(self, desk: Desk, job_id: str) -> list[ReasonCount] | None:
        """Give the reasons of a job, largest first, or None while they are being counted: ask again in a second."""
        with desk.database.read() as tx:
            job = find_job(tx, job_id)
            if unresolved.count(tx, job.number) <= self._at_once:
                return failures.count_by_reason(tx, job.number)

        def count() -> list[ReasonCount]:
            with desk.database.read() as tx:
                return failures.count_by_reason(tx, job.number)

        return self._kept.of(job.number, count)
