"""How connections are worked at this moment: how many calls at once, and whether the platform asks to wait."""

from typing import NamedTuple

from tallyport.connectors import registry, width
from tallyport.connectors.width import Traffic
from tallyport.control.desk import Desk
from tallyport.domain.connections import Connection
from tallyport.domain.errors import TallyportError
from tallyport.store import connections

MOST = 1_000  # connections that are looked through


class Worked(NamedTuple):
    """A connection that something in this process works."""

    id: str
    name: str
    traffic: Traffic


def traffic(desk: Desk, connection: Connection) -> Traffic | None:
    """Say how one is worked; None where nothing in this process works it."""
    if not width.is_worked():
        return None
    try:
        platform, settings = registry.platform(connection.platform), desk.vault.settings(connection)
    except TallyportError:
        return None  # a platform that is not installed, a secret that cannot be read: nothing works it
    return width.traffic_of(platform.id, settings)


def worked(desk: Desk) -> list[Worked]:
    """Say how each connection is worked that something in this process works."""
    if not width.is_worked():
        return []
    with desk.database.read() as tx:
        known, _ = connections.page(tx, limit=MOST)
    told = ((one, traffic(desk, one)) for one in known)
    return [Worked(one.id, one.name, found) for one, found in told if found is not None]
