"""Who carries: what a crew is asked and told, whether mover processes or threads."""

import mmap
import queue
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from tallyport.engine.lease import Lease
from tallyport.engine.mover import Work
from tallyport.engine.throttle import Accounts, Rates
from tallyport.engine.work import Terms

KnownCallback = Callable[[int, str, int, Sequence[str]], Sequence[tuple[Any, ...]]]
"""Takes a visit, gives its rows: after a name, at most so many; with names, the rows of these alone."""

Event = tuple[Any, ...]
"""``("report", VisitReport)``, ``("task", TaskReport)``, then ``("done", group id)`` or ``("lost", group id, why)``."""


class Crew(Protocol):
    """Who works groups."""

    def start(self) -> None:
        """Begin; returns at once."""

    def submit(
        self,
        terms: Terms,
        works: Sequence[Work],
        *,
        known: KnownCallback,
        reports: "queue.SimpleQueue[Event]",
        slot: int,
        seats: int = 0,
    ) -> int:
        """Have a group worked and return its number. Everything that comes of it goes on ``reports``.

        ``known`` gives the rows of a visited container in order of their names' bytes; it is called in another
        thread. ``seats``: so many items are carried at one time at most; 0 is no cap. Exactly one ``done`` or ``lost``
        ends a group, after all its reports.
        """

    def stop(self, slot: int) -> None:
        """Let the groups of this slot finish their present item and end as ``stopped``."""

    def clear(self, slot: int) -> None:
        """Let groups of this slot work again."""

    def limit(self, execution_id: int, rates: Rates) -> None:
        """Set how many bytes a second its workers carry together for an execution, from now on."""

    def renew(self, end: int) -> None:
        """Let work become visible until ``end`` (a time of ``lease.clock``), where the crew works under a lease."""

    @property
    def load(self) -> int:
        """Groups submitted and not ended."""

    @property
    def width(self) -> int:
        """Groups that can be worked at once."""

    def close(self) -> None:
        """End; groups under way finish their present item. Calling twice is harmless."""


class Group:
    """Works that are dealt together."""

    __slots__ = ("id", "known", "reports", "seats", "slot", "terms", "works")

    def __init__(
        self,
        number: int,
        terms: Terms,
        works: Sequence[Work],
        known: KnownCallback,
        reports: "queue.SimpleQueue[Event]",
        slot: int,
        seats: int = 0,
    ) -> None:
        self.id = number
        self.terms = terms
        self.works = works
        self.known = known
        self.reports = reports
        self.slot = slot
        self.seats = seats


class Steered:
    """What a crew is told while it works: stops by slot, rates, how long its lease is."""

    def __init__(self, flags: "bytearray | mmap.mmap", accounts: Accounts, lease: Lease) -> None:
        self._flags = flags
        self._accounts = accounts
        self._lease = lease

    def stop(self, slot: int) -> None:
        self._flags[slot] = 1

    def clear(self, slot: int) -> None:
        self._flags[slot] = 0

    def limit(self, execution_id: int, rates: Rates) -> None:
        self._accounts.limit(execution_id, rates)

    def renew(self, end: int) -> None:
        self._lease.renew(end)
