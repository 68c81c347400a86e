"""What is counted for those who watch the server."""

import sqlalchemy as sa

from tallyport.control.desk import Desk
from tallyport.domain.states import State
from tallyport.store import jobs


def ready(desk: Desk) -> bool:
    """Tell whether the database answers."""
    try:
        with desk.database.read() as tx:
            jobs.page(tx, limit=1)
    except sa.exc.SQLAlchemyError:
        return False
    return True


def jobs_by_state(desk: Desk) -> dict[str, int]:
    """Count jobs by state."""
    with desk.database.read() as tx:
        return {state.value: jobs.page(tx, states=[state.value], limit=1)[1] for state in State}
