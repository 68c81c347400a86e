"""Events: read in either direction, acknowledged."""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from tallyport.control.desk import Caller, Desk
from tallyport.control.pictures import find_job
from tallyport.control.refusals import NotFound
from tallyport.domain.events import Labels
from tallyport.store import events
from tallyport.store.events import Event


class Wanted(NamedTuple):
    """Which events."""

    job_id: str | None = None
    topics: frozenset[str] = frozenset()
    domain: str | None = None
    environment: str | None = None
    space: str | None = None
    since: int | None = None  # microseconds
    acknowledged: bool = False  # those too
    of_jobs: bool | None = None  # True: not what clients told of something else


class Part(Protocol):
    """Which part of a list."""

    @property
    def offset(self) -> int: ...
    @property
    def limit(self) -> int: ...


def show(desk: Desk, event_id: int) -> Event:
    """Give one event."""
    with desk.database.read() as tx:
        found = events.find(tx, event_id)
    if found is None:
        raise NotFound(f"there is no event {event_id}, or not any more")
    return found


def tell(desk: Desk, topic: str, about: Labels, job_id: str | None, told: Mapping[str, object], by: Caller) -> Event:
    """Tell an event to everybody who listens."""
    with desk.database.begin() as tx:
        if job_id is not None:
            find_job(tx, job_id)
        return events.tell(tx, topic, about, job_id, told)


def acknowledge(desk: Desk, event_id: int, by: Caller) -> None:
    """Note that somebody dealt with an event. Said twice it is the same."""
    with desk.database.begin() as tx:
        if not events.acknowledge(tx, event_id, by.name):
            raise NotFound(f"there is no event {event_id}, or not any more")


def following(
    desk: Desk, wanted: Wanted, *, after: int, limit: int, hidden: Collection[str]
) -> tuple[list[Event], bool]:
    """Give what was written after an event, oldest first, and whether there is more."""
    with desk.database.read() as tx:
        found = events.page(tx, after=after, hidden=hidden, limit=limit + 1, **wanted._asdict())
    return found[:limit], len(found) > limit


def newest(
    desk: Desk, wanted: Wanted, part: Part, *, before: int | None, hidden: Collection[str]
) -> tuple[list[Event], bool]:
    """Give the newest events first, and whether there is more."""
    with desk.database.read() as tx:
        found = events.page(
            tx,
            before=before,
            hidden=hidden,
            offset=part.offset,
            limit=part.limit + 1,
            newest_first=True,
            **wanted._asdict(),
        )
    return found[: part.limit], len(found) > part.limit


def count(desk: Desk, wanted: Wanted, *, hidden: Collection[str]) -> int:
    """Count them."""
    with desk.database.read() as tx:
        return events.count(tx, hidden=hidden, **wanted._asdict())
