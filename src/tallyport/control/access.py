"""Who may use which connection. One that is not restricted is open to everybody whose role covers the call."""

from collections.abc import Iterable

import sqlalchemy as sa

from tallyport.control.desk import Caller, Right
from tallyport.control.refusals import NotAllowed
from tallyport.domain.jobs import Job
from tallyport.store import connections


def require(tx: sa.Connection, connection_ids: Iterable[str | None], by: Caller) -> None:
    """Refuse unless the caller may use all of these connections. Administrators may use every one."""
    wanted = [one for one in connection_ids if one is not None]
    if by.may(Right.ADMIN) or not wanted:
        return
    closed = connections.closed_to(tx, wanted, by.user_id)
    if closed:
        raise NotAllowed(f"{by.name} may not use the connection {closed[0]!r}: it is open to some people only")


def require_job(tx: sa.Connection, job: Job, by: Caller) -> None:
    """Refuse unless the caller may use both connections of a job."""
    require(tx, (job.source_connection, job.destination_connection), by)
