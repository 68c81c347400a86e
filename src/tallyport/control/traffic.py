"""How connections are worked: how many calls at once, and whether the platform asks to wait.

What this process does is known to the moment; of other workers, what they wrote down when it last changed.
"""

from collections.abc import Sequence
from typing import NamedTuple

from tallyport.connectors import registry, width
from tallyport.connectors.width import Traffic
from tallyport.control.desk import Desk
from tallyport.domain.connections import Connection
from tallyport.domain.errors import TallyportError
from tallyport.domain.width import start_of
from tallyport.store import connections, widths
from tallyport.store.widths import Noted

MOST = 1_000  # connections that are looked through


class Worked(NamedTuple):
    """A connection that something in this process works."""

    id: str
    name: str
    traffic: Traffic


class Shared(NamedTuple):
    """A connection as all who work it share it."""

    here: Traffic | None  # absent: nothing in this process works it
    workers: Sequence[widths.Worked]  # that live and wrote something down
    start: Noted | None  # what whoever opens it next begins with


def shared(desk: Desk, connection: Connection) -> Shared:
    """Say how one is worked, here and by every worker."""
    with desk.database.read() as tx:
        workers = widths.of_workers(tx, desk.database, connection.id)
        noted = widths.newest(tx, desk.database, connection.id)
    holds = noted is not None and start_of(noted.places, noted.age) is not None
    return Shared(traffic(desk, connection), workers, noted if holds else None)


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
