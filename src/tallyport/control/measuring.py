"""What a connection really keeps: measured when somebody asks, and remembered with it."""

from typing import NamedTuple

from tallyport.connectors import probing
from tallyport.control import access
from tallyport.control.connections import find, refusal
from tallyport.control.desk import Caller, Desk
from tallyport.domain.connections import Connection
from tallyport.domain.errors import TallyportError
from tallyport.store import connections
from tallyport.store.probes import ProbeBook


class Measured(NamedTuple):
    """A connection and what was found of it."""

    connection: Connection
    facts: dict[str, object]


def measure(desk: Desk, connection_id: str, path: str, by: Caller) -> Measured:
    """Measure a connection on canaries below a path, and remember the answer: it holds from the next run."""
    with desk.database.read() as tx:
        connection = find(tx, connection_id)
        access.require(tx, [connection_id], by)
        desk.require_reach(connection)
    try:
        book = ProbeBook(desk.database, connection.id)
        facts = probing.probe(connection.platform, desk.vault.settings(connection), path, book=book)
    except TallyportError as error:
        raise refusal(error, "path") from error
    with desk.database.begin() as tx:
        connections.measured(tx, connection_id, facts)
        return Measured(find(tx, connection_id), facts)
