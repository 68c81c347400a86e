"""The way between any two connections: content is streamed, hashed on the way past, and proved.

A write is invisible until it is complete. The source is looked at once more before the last byte is handed over,
so that a file which changed while it was read is never stored.
"""

import json
import marshal
from collections.abc import Callable, Iterator
from typing import Any

from tallyport.connectors.hashing import ContentHash, digest
from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import (
    Connector,
    Facts,
    Hashes,
    Links,
    Moves,
    Precondition,
    Stamps,
    Sweeps,
    Syncs,
)
from tallyport.domain.actions import Reason
from tallyport.domain.capabilities import Durability, VerifyLevel
from tallyport.domain.entries import Entry, Kind, Side, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.naming import is_converted
from tallyport.domain.paths import display, join, segments, split, to_bytes
from tallyport.domain.policies import Policies, TransferType
from tallyport.engine.archive import zipped
from tallyport.engine.lease import Guard, free
from tallyport.engine.passage import (
    PAGE,
    Landed,
    Settled,
    expected_at,
    item_done,
    item_gone,
    planned_source,
    task_error,
)
from tallyport.engine.throttle import Meter
from tallyport.engine.work import (
    DeleteWork,
    FinishWork,
    LinkWork,
    PartWork,
    StampWork,
    TaskReport,
    Terms,
    VisitWork,
)

_SOURCE, _DESTINATION = Side.SOURCE, Side.DESTINATION
_ABSENT = Precondition(absent=True)
FULL = 256  # items that wait for one sync


def open_connections(terms: Terms, policies: Policies) -> "StreamPassage":
    """Open both connections of an execution and the way between them."""
    source = open_connection(
        terms.source[0],
        json.loads(terms.source[1]),
        terms.source[2],
        read_only=policies.simulation or policies.transfer_type in _SOURCE_STAYS,
        token=terms.token,
    )
    destination = open_connection(
        terms.destination[0],
        json.loads(terms.destination[1]),
        terms.destination[2],
        make=True,
        read_only=policies.simulation,
        token=terms.token,
    )
    return StreamPassage(source, destination, policies=policies, token=terms.token)


_SOURCE_STAYS = (TransferType.COPY, TransferType.PUBLISH, TransferType.TAXONOMY)


class StreamPassage:
    """Two connections of any platforms."""

    has_parts = False
    paces_itself = True

    def __init__(self, source: Connector, destination: Connector, *, policies: Policies, token: str) -> None:
        self.source = source
        self.destination = destination
        self.source_limits = source.limits
        self.destination_limits = destination.limits
        self.has_links = isinstance(destination, Links)
        self.is_dry = policies.simulation
        self.both_ways = policies.transfer_type is TransferType.SYNC
        self.token = token
        self._policies = policies
        self._reads_back = policies.verify >= VerifyLevel.READBACK
        self.level = int(VerifyLevel.READBACK if self._reads_back else VerifyLevel.HASH)
        self._outcomes: list[Settled] = []
        self.guard: Guard = free
        self._is_unsynced = False
        self._meter: Meter | None = None
        self._stopped: Callable[[], bool] = bool

    def connector(self, side: Side) -> Connector:
        return self.source if side is _SOURCE else self.destination

    def facts_of(self, entry: Entry, to: Connector, *, content: bytes | None = None) -> Facts:
        """Give what travels with an entry under the job's policies, as far as the platform keeps it."""
        limits, policies = to.limits, self._policies
        owner, group = (entry.owner, entry.group) if policies.preserve_owners and limits.owners else (None, None)
        return Facts(
            entry.size if entry.kind is Kind.FILE else None,
            entry.modified if policies.timestamps else None,
            entry.mode if limits.permissions else None,
            owner,
            group,
            content,
        )

    def pace(self, meter: Meter | None, stopped: Callable[[], bool]) -> None:
        self._meter, self._stopped = meter, stopped

    def cross(self, work: VisitWork) -> "StreamCrossing":
        return StreamCrossing(self, work)

    @property
    def full(self) -> bool:
        return len(self._outcomes) >= FULL

    def settle(self) -> list[Settled]:
        outcomes, self._outcomes = self._outcomes, []
        if self._is_unsynced and self._policies.durability is not Durability.NONE:
            self._is_unsynced = False
            for connector in (self.destination, self.source) if self.both_ways else (self.destination,):
                if isinstance(connector, Syncs):
                    connector.sync()
        return outcomes

    def landed(self, ticket: Any, outcome: Landed | TallyportError) -> None:
        """Keep an outcome for the next ``settle``."""
        self._is_unsynced = True
        self._outcomes.append((ticket, outcome))

    def changed(self) -> None:
        """Have the next ``settle`` sync."""
        self._is_unsynced = True

    def carry(self, to: Side, path: str, entry: Entry, receiving: str, replaces: Entry | None) -> Landed:
        """Carry one file or symlink; raises when nothing was stored."""
        giving, taking = self.connector(to.other), self.connector(to)
        when = _ABSENT if replaces is None else Precondition(entry=replaces)
        if entry.kind is Kind.SYMLINK:
            if not isinstance(taking, Links):
                raise _error(ErrorKind.UNSUPPORTED, "make the symlink", receiving, "the platform has none")
            facts = self.facts_of(entry, taking)._replace(mode=None)
            return Landed(taking.make_symlink(receiving, entry.target or "", facts, when=when), None, 0)
        running = ContentHash()
        moved = 0

        facts, content = self.facts_of(entry, taking), self._checked(giving, path, entry)
        if to is _DESTINATION and is_converted(entry.name, self._policies, self.destination_limits):
            facts, content = facts._replace(size=None), zipped(entry.name, entry.modified, content)

        def sent() -> Iterator[bytes]:
            nonlocal moved
            for chunk in content:
                running.update(chunk)
                moved += len(chunk)
                if self._meter is not None:
                    self._meter.take(len(chunk), self._stopped)
                yield chunk

        stored = taking.write(receiving, sent(), facts, when=when)
        expected = running.digest()
        level = self._prove(taking, receiving, stored, expected, moved)
        return Landed(stored, expected, moved, level)

    def _checked(self, giving: Connector, path: str, entry: Entry) -> Iterator[bytes]:
        """Read a file, keeping the last piece back until it is known that nobody changed it meanwhile."""
        held: bytes | None = None
        with giving.read(path) as chunks:
            for chunk in chunks:
                if held is not None:
                    yield held
                held = chunk
        now = giving.stat(path)
        if now is None or now.kind is not entry.kind or fingerprint(now) != fingerprint(entry):
            raise _error(ErrorKind.CHANGED_DURING_COPY, "read", path, "it changed while it was read")
        self.guard()
        if held is not None:
            yield held

    def _prove(self, taking: Connector, path: str, stored: Entry, expected: bytes, moved: int) -> int:
        """Prove what was stored at the level asked for, as far as the platform allows; gives the level."""
        if stored.size != moved:
            self._unwrite(taking, path, stored)
            raise _error(ErrorKind.CORRUPT, "write", path, f"{moved} bytes were sent and {stored.size} are stored")
        if stored.hash is not None and stored.hash != expected:
            self._unwrite(taking, path, stored)
            raise _error(ErrorKind.CORRUPT, "write", path, "the platform reports another hash than was sent")
        if self._reads_back and hash_of(taking, path) != expected:
            self._unwrite(taking, path, stored)
            raise _error(ErrorKind.CORRUPT, "prove", path, "what was read back is not what was sent")
        return self.level

    def _unwrite(self, taking: Connector, path: str, stored: Entry) -> None:
        try:
            taking.delete(path, expect=stored)
        except TallyportError:
            pass  # the item fails as corrupt, whatever else

    # -- tasks

    def part(self, work: PartWork, stopped: Callable[[], bool]) -> TaskReport:
        return task_error(
            work.task_id, _error(ErrorKind.UNSUPPORTED, "write", work.d_path, "the platform takes no parts")
        )

    def finish(self, work: FinishWork) -> TaskReport:
        return task_error(
            work.task_id, _error(ErrorKind.UNSUPPORTED, "write", work.d_path, "the platform takes no parts")
        )

    def link(self, work: LinkWork) -> list[TaskReport]:
        reports: list[TaskReport] = []
        made: tuple[str, bytes | None] | None = None
        carried: list[tuple[int, tuple[Any, ...], str, bytes | None, int, int]] = []
        for position, task_id in enumerate(work.task_ids):
            path, d_path, item = work.paths[position], work.d_paths[position], work.items[position]
            replaces = expected_at(split(d_path)[1], item) if work.replaces[position] else None
            try:
                entry = self.source.stat(path)
                if entry is None:
                    raise _error(ErrorKind.NOT_FOUND, "read", path, "it vanished since it was listed")
                if fingerprint(entry) != planned_source(item):
                    raise _error(ErrorKind.CHANGED_DURING_COPY, "read", path, "it changed since it was listed")
                if made is not None and isinstance(self.destination, Links):
                    when = _ABSENT if replaces is None else Precondition(entry=replaces)
                    self.destination.make_hard_link(d_path, made[0], when=when)
                    item = (*item[:3], str(Reason.LINKED), *item[4:])
                    carried.append((task_id, item, d_path, made[1], self.level, 0))
                else:
                    landed = self.carry(_DESTINATION, path, entry, d_path, replaces)
                    made = d_path, landed.hash
                    carried.append((task_id, item, d_path, landed.hash, landed.level or 0, landed.moved))
            except TallyportError as error:
                reports.append(task_error(task_id, error))
        self.changed()
        self.settle()
        for task_id, item, d_path, content, level, moved in carried:
            entry = self.destination.stat(d_path)
            if entry is None:
                gone = _error(ErrorKind.NOT_FOUND, "link", d_path, "it vanished at once")
                reports.append(task_error(task_id, gone))
                continue
            done = item_done(item, entry, content=content, level=level, moved=moved)
            reports.append(TaskReport(task_id, done))
        return reports

    def delete(self, work: DeleteWork) -> TaskReport:
        connector = self.source if work.side == _SOURCE else self.destination
        kind = Kind(work.kind)
        expect = None
        if work.expect is not None and kind is not Kind.CONTAINER:
            expect = Entry(split(work.path)[1], kind, *work.expect)
        try:
            if expect is not None and not expect.tag and work.side == _SOURCE and kind is Kind.FILE:
                expect = self._still_as_carried(work.path, expect, work.item)
            connector.delete(work.path, expect=expect)
            if isinstance(connector, Syncs) and self._policies.durability is not Durability.NONE:
                connector.sync()
        except TallyportError as error:
            return task_error(work.task_id, error)
        return TaskReport(work.task_id, item_gone(work.item, work.side))

    def _still_as_carried(self, path: str, expect: Entry, item: tuple[Any, ...]) -> Entry:
        """Give one of several names of a source's file as it is, if it holds what was proved at the destination.

        Each removal of a name changes the tag of the others. A platform without tags has size and time alone.
        """
        entry = self.source.stat(path)
        if entry is None or entry.kind is not expect.kind or not entry.tag:
            return expect
        is_as_listed = fingerprint(entry)[:2] == fingerprint(expect)[:2]
        if not is_as_listed or item[12] is None or hash_of(self.source, path) != item[12]:
            raise _error(ErrorKind.CHANGED_DURING_COPY, "remove", path, "it changed since it was carried")
        return entry

    def stamp(self, work: StampWork) -> TaskReport:
        try:
            self.stamp_container(work.path, work.d_path)
        except TallyportError as error:
            return task_error(work.task_id, error)
        return TaskReport(work.task_id)

    def stamp_container(self, path: str, d_path: str) -> tuple[Entry | None, bool]:
        """Give a container at the destination the times and permissions of its source, where they differ."""
        there = self.destination.stat(d_path)
        here = self.source.stat(path)
        if there is None or here is None or not isinstance(self.destination, Stamps):
            return there, False
        facts = self.facts_of(here, self.destination)
        precision = self.destination_limits.time_precision
        is_dated = facts.modified is None or abs(facts.modified - there.modified) < precision
        if is_dated and (facts.mode is None or facts.mode == there.mode):
            return there, False
        return self.destination.stamp(d_path, facts), True

    def close(self) -> None:
        self.source.close()
        self.destination.close()


class StreamCrossing:
    """One container on both sides, by paths."""

    def __init__(self, passage: StreamPassage, work: VisitWork) -> None:
        self._passage = passage
        self._work = work
        self._source: Entry | None = None
        self._stands = False  # at the destination
        if work.gone != "source":
            self._source = passage.source.stat(work.path)
            if self._source is None:
                raise _error(ErrorKind.NOT_FOUND, "open", work.path, "there is no such container")
        if not work.s_only and work.gone != "destination" and not (passage.is_dry and work.d_fresh):
            there = passage.destination.stat(work.d_path)
            self._stands = there is not None and there.kind is Kind.CONTAINER

    def _path(self, side: Side, name: str) -> str:
        return join(self._work.path if side is _SOURCE else self._work.d_path, name)

    def _ready(self, side: Side) -> None:
        """Make a missing destination container, and those above it."""
        if side is _SOURCE or self._stands:
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

    def listing(self, side: Side) -> "StreamListing":
        if side is _SOURCE:
            stands = self._source is not None
        else:
            stands = self._stands
        connector = self._passage.connector(side)
        path = self._work.path if side is _SOURCE else self._work.d_path
        return StreamListing(list(connector.children(path)) if stands else [])

    def look(self, side: Side, name: str) -> Entry | None:
        if side is _DESTINATION and not self._stands:
            return None
        return self._passage.connector(side).stat(self._path(side, name))

    def fill(
        self, listing: Any, largest: int, ticket: Any, stopped: Callable[[], bool]
    ) -> tuple[list[Entry], bool] | None:
        return None

    def carry(self, to: Side, entry: Entry, name: str, *, replaces: Entry | None, ticket: Any) -> None:
        outcome: Landed | TallyportError
        try:
            self._ready(to)
            outcome = self._passage.carry(to, self._path(to.other, entry.name), entry, self._path(to, name), replaces)
        except TallyportError as error:
            outcome = error
        self._passage.landed(ticket, outcome)

    def make(self, to: Side, entry: Entry, name: str) -> Entry:
        self._ready(to)
        self._passage.changed()
        connector = self._passage.connector(to)
        return connector.make_container(self._path(to, name), self._passage.facts_of(entry, connector))

    def stamp(self, to: Side, entry: Entry, name: str) -> Entry:
        connector = self._passage.connector(to)
        path = self._path(to, name)
        if isinstance(connector, Stamps):
            self._passage.changed()
            return connector.stamp(path, self._passage.facts_of(entry, connector))
        there = connector.stat(path)
        if there is None:
            raise _error(ErrorKind.NOT_FOUND, "stamp", path, "it vanished")
        return there

    def rename(self, side: Side, name: str, new_name: str) -> None:
        connector = self._passage.connector(side)
        if not isinstance(connector, Moves):
            raise _error(ErrorKind.UNSUPPORTED, "rename", name, "the platform cannot rename")
        self._passage.changed()
        connector.rename(self._path(side, name), self._path(side, new_name))

    def content_hash(self, side: Side, entry: Entry, *, is_cold: bool = False) -> bytes:
        return hash_of(self._passage.connector(side), self._path(side, entry.name))

    def sweep(self) -> None:
        passage = self._passage
        if self._stands and isinstance(passage.destination, Sweeps):
            passage.destination.sweep(self._work.d_path, passage.token)
        if passage.both_ways and self._source is not None and isinstance(passage.source, Sweeps):
            passage.source.sweep(self._work.path, passage.token)

    def seal(self) -> tuple[Entry | None, bool]:
        if not self._stands:
            return None, False
        if self._source is None:
            return self._passage.destination.stat(self._work.d_path), False
        return self._passage.stamp_container(self._work.path, self._work.d_path)

    def identity(self, *, has_containers: bool) -> bytes:
        there = self._passage.destination.stat(self._work.d_path) if self._stands else None
        return b"nothing" if there is None else f"{there.modified} {there.tag.hex()}".encode()

    def close(self) -> None:
        """Hold nothing."""


class StreamListing:
    """The children of a container, held whole: a platform lists them but once."""

    def __init__(self, entries: list[Entry]) -> None:
        entries.sort(key=lambda entry: to_bytes(entry.name))
        self._entries = entries
        self.count = len(entries)

    def digest(self) -> bytes:
        return digest(marshal.dumps(self.seen(), 2))

    def seen(self) -> list[tuple[Any, ...]]:
        return [
            (entry.name, int(entry.kind), entry.size, entry.modified, entry.tag, entry.mode, entry.target)
            if entry.kind is not Kind.CONTAINER
            else (entry.name, int(entry.kind))
            for entry in self._entries
        ]

    def some(self, positions: list[int]) -> list[Entry]:
        return [self._entries[position] for position in positions]

    def pages(self) -> Iterator[list[Entry]]:
        for start in range(0, self.count, PAGE):
            yield self._entries[start : start + PAGE]

    def names(self) -> Iterator[str]:
        return (entry.name for entry in self._entries)

    def containers(self) -> list[str]:
        return [entry.name for entry in self._entries if entry.kind is Kind.CONTAINER]

    def totals(self) -> tuple[int, int, int]:
        sizes = [entry.size for entry in self._entries if entry.kind is Kind.FILE]
        others = sum(entry.kind is not Kind.CONTAINER for entry in self._entries)
        return others, len(sizes), sum(sizes)


def hash_of(connector: Connector, path: str) -> bytes:
    """Give the content hash, by the platform's own means where it has them, else by reading."""
    if isinstance(connector, Hashes):
        return connector.content_hash(path)
    running = ContentHash()
    with connector.read(path) as chunks:
        for chunk in chunks:
            running.update(chunk)
    return running.digest()


def _error(kind: ErrorKind, operation: str, path: str, why: str) -> TallyportError:
    message = f"cannot {operation} {display(path) or 'the root'}: {why}"
    return TallyportError(kind, message, path=path, operation=operation)
