"""One container on both sides of any two connections, by paths."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tallyport.connectors.hashing import ContentHash
from tallyport.connectors.protocol import (
    Connector,
    Copies,
    Facts,
    Glimpses,
    Hashes,
    Moves,
    Precondition,
    Stamps,
    Sweeps,
)
from tallyport.domain.entries import Entry, Kind, Side
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.losses import Loss
from tallyport.domain.paths import display, join, segments, split
from tallyport.engine import uploads
from tallyport.engine.listing_stream import StreamListing
from tallyport.engine.work import (
    VisitWork,
)

if TYPE_CHECKING:
    from tallyport.engine.transfer import StreamPassage

_SOURCE, _DESTINATION = Side.SOURCE, Side.DESTINATION
_ABSENT = Precondition(absent=True)


class StreamCrossing:
    """One container on both sides, by paths."""

    def __init__(self, passage: "StreamPassage", work: VisitWork) -> None:
        self._passage = passage
        self._work = work
        self._source: Entry | None = None
        self._stands = False  # at the destination
        self._is_implied = passage.destination.limits.containers_implied
        self._has_children = False  # made there, or going to be, by what is carried into them
        if work.gone != "source":
            self._source = passage.source.stat(work.path)
            if self._source is None:
                raise error_of(ErrorKind.NOT_FOUND, "open", work.path, "there is no such container")
        is_new = work.d_fresh and (passage.is_dry or (self._is_implied and not work.resumed))
        if not work.s_only and work.gone != "destination" and not is_new:
            there = passage.destination.stat(work.d_path)
            self._stands = there is not None and there.kind is Kind.CONTAINER

    def _path(self, side: Side, name: str) -> str:
        return join(self._work.path if side is _SOURCE else self._work.d_path, name)

    def _ready(self, side: Side) -> None:
        """Make a missing destination container, and those above it."""
        if side is _SOURCE or self._stands:
            return
        if self._is_implied:
            self._stands = True
            return
        path = ""
        for segment in segments(self._work.d_path):
            path = join(path, segment)
            self._passage.destination.make_container(path, Facts())
        self._stands = True

    def container(self, side: Side) -> Entry | None:
        if side is _SOURCE:
            return self._source
        return self._passage.destination.stat(self._work.d_path) if self._stands else None

    def listing(self, side: Side, *, counts: bool = True) -> "StreamListing":
        if side is _SOURCE:
            stands = self._source is not None
        else:
            stands = self._stands
        path = self._work.path if side is _SOURCE else self._work.d_path
        if not stands:
            return StreamListing(())
        return StreamListing(self._passage.counting[side].listing(path, glimpsed=side is _SOURCE, counts=counts))

    def recounted(self, listing: Any) -> Any:
        return self.listing(_SOURCE) if self._passage.counting[_SOURCE].lists else listing

    def counted(self, side: Side, entry: Entry) -> Entry:
        return self._passage.counting[side].counted(self._path(side, entry.name), entry)

    def look(self, side: Side, name: str) -> Entry | None:
        if side is _DESTINATION and not self._stands:
            return None
        return self._passage.connector(side).stat(self._path(side, name))

    def look_many(self, side: Side, names: Sequence[str]) -> Sequence[Entry | None]:
        connector = self._passage.connector(side)
        if isinstance(connector, Glimpses):
            return connector.look_many([self._path(side, name) for name in names])
        return [self.look(side, name) for name in names]

    def fill(
        self, listing: Any, largest: int, ticket: Any, stopped: Callable[[], bool]
    ) -> tuple[list[Entry], bool] | None:
        return None

    def carry(self, to: Side, entry: Entry, name: str, *, replaces: Entry | None, ticket: Any) -> None:
        try:
            self._ready(to)
        except TallyportError as error:
            self._passage.landed(ticket, error)
            return
        self._passage.send(to, self._path(to.other, entry.name), entry, self._path(to, name), replaces, ticket)

    def begin(self, entry: Entry, name: str) -> str:
        self._ready(_DESTINATION)
        return uploads.begin(self._passage, self._path(_DESTINATION, name), entry, again=self._work.resumed)

    def make(self, to: Side, entry: Entry, name: str) -> Entry:
        if self._is_implied and to is _DESTINATION:
            self._has_children = True  # it is made by what comes into it, or by its own visit when nothing does
            return Entry(name, Kind.CONTAINER)
        self._ready(to)
        self._passage.changed()
        connector = self._passage.connector(to)
        path = self._path(to, name)
        made = connector.make_container(path, self._passage.facts_of(entry, connector))
        if self._passage.carrier is None:
            return made
        # Before anything is in it, so that nobody sees what they should not; what fails here holds back what is below.
        self._passage.carrier.carry(to, self._path(to.other, entry.name), entry, path)
        return connector.stat(path) or made

    def stamp(self, to: Side, entry: Entry, name: str) -> Entry:
        connector = self._passage.connector(to)
        path = self._path(to, name)
        if entry.kind is Kind.FILE:
            self._passage.present(to, self._path(to.other, entry.name), path)
        if isinstance(connector, Stamps):
            self._passage.changed()
            stamped = connector.stamp(path, self._passage.facts_of(entry, connector))
            if self._passage.carrier is None:
                return stamped
        if self._passage.carrier is not None:
            losses = self._passage.carrier.carry(to, self._path(to.other, entry.name), entry, path)
            self._passage.carrier.note(losses)
        there = connector.stat(path)
        if there is None:
            raise error_of(ErrorKind.NOT_FOUND, "stamp", path, "it vanished")
        return there

    def dress(self, to: Side, entry: Entry, name: str) -> tuple[Loss, ...]:
        self._passage.changed()
        if self._passage.carrier is None:
            return ()
        if entry.kind is Kind.FILE:
            self._passage.present(to, self._path(to.other, entry.name), self._path(to, name))
        return self._passage.carrier.carry(to, self._path(to.other, entry.name), entry, self._path(to, name))

    def holds_earlier(self, to: Side, entry: Entry, there: Entry) -> bool:
        if not self._passage.has_versions or entry.kind is not Kind.FILE or there.kind is not Kind.FILE:
            return False
        series = self._passage.series(to, self._path(to.other, entry.name), self._path(to, there.name))
        return series.holds_earlier()

    def rename(self, side: Side, name: str, new_name: str) -> None:
        connector = self._passage.connector(side)
        path, to = self._path(side, name), self._path(side, new_name)
        self._passage.present(side, self._path(_SOURCE, name), path)
        self._passage.changed()
        if isinstance(connector, Moves):
            connector.rename(path, to)
            return
        entry = connector.stat(path)
        if not isinstance(connector, Copies) or entry is None or entry.kind is not Kind.FILE:
            raise error_of(ErrorKind.UNSUPPORTED, "rename", name, "the platform cannot rename")
        connector.copy(path, to, Facts(), when=_ABSENT)
        connector.delete(path, expect=entry)

    def content_hash(self, side: Side, entry: Entry, *, is_cold: bool = False) -> bytes:
        return hash_of(self._passage.connector(side), self._path(side, entry.name))

    def sweep(self) -> None:
        passage = self._passage
        if self._stands and isinstance(passage.destination, Sweeps):
            passage.destination.sweep(self._work.d_path, passage.token)
        if passage.both_ways and self._source is not None and isinstance(passage.source, Sweeps):
            passage.source.sweep(self._work.path, passage.token)

    def _seal_implied(self) -> tuple[Entry | None, bool]:
        """Make an empty container where nothing else does; one that holds something is there already."""
        passage, path = self._passage, self._work.d_path
        if self._source is None or self._work.s_only:
            return (passage.destination.stat(path) if self._stands else None), False
        there, has_made = passage.destination.stat(path), False
        if there is None and self._has_children:
            there = Entry(split(path)[1], Kind.CONTAINER)
        if there is None:
            if passage.skips_empty:
                return None, False
            there, has_made = passage.destination.make_container(path, Facts()), True
        if passage.carrier is not None and not self._work.carried:
            passage.carrier.note(passage.carrier.miss(_DESTINATION, self._work.path, self._source))
        return there, has_made

    def seal(self) -> tuple[Entry | None, bool]:
        if self._is_implied:
            return self._seal_implied()
        if not self._stands:
            return None, False
        passage, work = self._passage, self._work
        if self._source is None:
            return passage.destination.stat(work.d_path), False
        if passage.carrier is not None and not work.carried:
            passage.carrier.note(passage.carrier.carry(_DESTINATION, work.path, self._source, work.d_path))
            passage.changed()
            return passage.stamp_container(work.path, work.d_path)[0], True
        return passage.stamp_container(work.path, work.d_path)

    def put_back(self) -> None:
        if self._stands and not self._is_implied and self._source is not None and not self._passage.is_dry:
            self._passage.stamp_container(self._work.path, self._work.d_path, self._source)

    def identity(self, *, has_containers: bool) -> bytes:
        there = self._passage.destination.stat(self._work.d_path) if self._stands else None
        return b"nothing" if there is None else f"{there.modified} {there.tag.hex()}".encode()

    def close(self) -> None:
        """Hold nothing."""


def hash_of(connector: Connector, path: str, offset: int = 0, length: int | None = None) -> bytes:
    """Give the hash of content or of a range of it, by the platform's own means where it has them, else by reading."""
    if isinstance(connector, Hashes) and not offset and length is None:
        return connector.content_hash(path)
    running = ContentHash()
    with connector.read(path, offset=offset, length=length) as chunks:
        for chunk in chunks:
            running.update(chunk)
    return running.digest()


def error_of(kind: ErrorKind, operation: str, path: str, why: str) -> TallyportError:
    message = f"cannot {operation} {display(path) or 'the root'}: {why}"
    return TallyportError(kind, message, path=path, operation=operation)
