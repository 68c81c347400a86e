"""What one process finds of how connections are best worked, shared with all others by the ledger.

    a connection is met ──▶ begin with what was found last, by anybody, within a day
    now and then        ──▶ write down what is found here, where that is news

So a worker that starts, and a server after a restart, need not try from few places again, nor run again into the limit
that made another halve them.
"""

import threading
import time
from collections.abc import Callable, Mapping

from tallyport.connectors import registry
from tallyport.connectors.width import Places, places_of
from tallyport.domain import width
from tallyport.domain.connections import Connection
from tallyport.store import widths
from tallyport.store.database import Database

PAUSE = 15.0  # seconds between two writes of one worker, at least
WRITES = 10  # a second that all workers together make, at most, about
STILL = 3600.0  # seconds after which it is said again that what was found still holds


class _Met:
    """A connection that is worked here, and what was last written down of it."""

    def __init__(self, places: Places, now: float) -> None:
        self.places = places
        self.told: int | None = None
        self.told_at = now  # calls of before are nothing new
        self.waits_until = 0.0

    def news(self, now: float) -> tuple[int | None, float] | None:
        """Give (places, seconds to wait) when that is worth a write."""
        found, waits = self.places.found, self.places.traffic.waits
        is_new = found is not None and found.at > self.told_at
        is_other = found is not None and found.places != self.told
        asks = waits >= 1 and abs(now + waits - self.waits_until) > 1
        is_news = asks or (is_new and (is_other or now - self.told_at >= STILL))
        return (None if found is None else found.places, waits) if is_news else None


class Widths:
    """What is found by one process."""

    def __init__(self, database: Database, owner: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._owner = owner
        self._clock = clock
        self._lock = threading.Lock()
        self._met: dict[str, _Met] = {}
        self._kept_at = clock()

    def meet(self, connection: Connection, settings: Mapping[str, object]) -> None:
        """Begin to work a connection, with what others found."""
        platform = registry.platform(connection.platform)
        if not platform.is_remote:
            return
        places = places_of(platform.id, settings)
        with self._lock:
            known = self._met.get(connection.id)
        if known is not None and known.places is places:
            return
        with self._database.read() as tx:
            noted = widths.newest(tx, self._database, connection.id)
        start = None if noted is None else width.start_of(noted.places, noted.age)
        if start is not None:
            places.begin_with(start)
        with self._lock:
            self._met[connection.id] = _Met(places, self._clock())

    def keep(self, workers: int = 1, *, at_once: bool = False) -> None:
        """Write down what is news, if it is time; ``workers`` is how many do so on this store."""
        now = self._clock()
        if not at_once and now - self._kept_at < max(PAUSE, workers / WRITES):
            return
        with self._lock:
            met = list(self._met.items())
        told = [(connection_id, one, news) for connection_id, one in met if (news := one.news(now)) is not None]
        if told:
            with self._database.begin() as tx:
                for connection_id, _, (places, waits) in told:
                    widths.note(tx, self._database, connection_id, self._owner, places, waits)
        self._kept_at = now
        for _, one, (places, waits) in told:
            one.told, one.told_at, one.waits_until = places, now, now + waits
