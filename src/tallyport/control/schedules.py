"""Which jobs run by themselves."""

from tallyport.control.desk import Desk
from tallyport.domain.jobs import Job
from tallyport.store import jobs

MOST = 500


def scheduled(desk: Desk, *, limit: int = MOST) -> list[Job]:
    """Give jobs that will run by themselves, the next one first."""
    with desk.database.read() as tx:
        return jobs.scheduled(tx, limit=limit)
