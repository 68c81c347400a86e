"""The way between any two connections: content is streamed, hashed on the way past, and proved.

A write is invisible until it is complete. What a proof is, is told in ``proof_stream``; what is left to do after the
visits, big files and further names among it, in ``tasks_stream``.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar, cast

from tallyport.connectors import width
from tallyport.connectors.bunches import look_closely
from tallyport.connectors.counting import Counting
from tallyport.connectors.hashing import ContentHash
from tallyport.connectors.layers.layer import find
from tallyport.connectors.protocol import (
    Connector,
    Copies,
    Facts,
    Links,
    Precondition,
    Stamps,
    Syncs,
    Versions,
)
from tallyport.connectors.quarantine import Keeper
from tallyport.connectors.width import Holding
from tallyport.domain.capabilities import Durability, VerifyLevel
from tallyport.domain.entries import Entry, Kind, Side
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.naming import is_converted
from tallyport.domain.policies import EmptyContainers, Policies, TransferType
from tallyport.domain.shortfall import shortfalls
from tallyport.domain.versions import goes_in_series
from tallyport.engine import tasks_stream, uploads
from tallyport.engine.archive import zipped
from tallyport.engine.bunch import Bunch, Small, carries_bunches, is_small
from tallyport.engine.crossing_stream import StreamCrossing, error_of, hash_of
from tallyport.engine.deleting_stream import delete
from tallyport.engine.lease import Guard, free
from tallyport.engine.passage import (
    Landed,
    Settled,
    carrier_of,
    task_error,
)
from tallyport.engine.pool import Pool
from tallyport.engine.proof_stream import Proof, take_back, unwrite
from tallyport.engine.throttle import Meter
from tallyport.engine.version_series import Series
from tallyport.engine.work import (
    DeleteWork,
    FinishWork,
    LinkWork,
    LockWork,
    PartWork,
    StampWork,
    TaskReport,
    VisitWork,
)

_SOURCE, _DESTINATION = Side.SOURCE, Side.DESTINATION
_ABSENT = Precondition(absent=True)
FULL = 256  # items that wait for one sync

R = TypeVar("R")


class Inside(NamedTuple):
    """A connection that is both ends, at its root: content can be copied there without passing through us."""

    connector: Copies
    source: str  # where the two ends are below its root
    destination: str


class StreamPassage:
    """Two connections of any platforms."""

    paces_itself = True

    def __init__(
        self,
        source: Connector,
        destination: Connector,
        *,
        policies: Policies,
        token: str,
        inside: Inside | None = None,
        maps: str = "",
        is_same_book: bool = False,
        quarantine: str | None = None,
        job: str = "",
    ) -> None:
        self._inside = inside
        self.carrier = carrier_of(policies, maps, source, destination, is_same_book=is_same_book, job=job)
        self.source = source
        self.destination = destination
        self.source_limits = source.limits
        self.destination_limits = destination.limits
        self.has_links = isinstance(destination, Links) and destination.limits.hard_links
        self.skips_empty = policies.empty_containers is EmptyContainers.SKIP
        both_know = isinstance(source, Versions) and isinstance(destination, Versions)
        self.has_versions = goes_in_series(policies, destination.limits, both_know=both_know)
        self.shortfalls = shortfalls(source.limits, destination.limits, policies, has_versions=self.has_versions)
        self.has_parts = uploads.takes_parts(destination) and not self.has_versions
        self.is_dry = policies.simulation
        self.both_ways = policies.transfer_type is TransferType.SYNC
        gives = () if policies.simulation else tuple(Side) if self.both_ways else (_SOURCE,)
        shortfall_of = {side: self.shortfalls[side.other] for side in gives}
        self.counting = {side: Counting(self.connector(side), shortfall_of.get(side)) for side in Side}
        self.token = token
        self._policies = policies
        self._proof = Proof(policies.verify)
        self.level = self._proof.level
        self._outcomes: list[Settled] = []
        self.guard: Guard = free
        self.seats = 0
        ends = {_SOURCE: source, _DESTINATION: destination}
        self.keepers = {} if quarantine is None else {side: Keeper(end, quarantine) for side, end in ends.items()}
        self._is_unsynced = False
        self._meter: Meter | None = None
        self._stopped: Callable[[], bool] = bool
        self._pool = self._opened_pool()
        self._bunch = None if self._pool is None else Bunch(self, self._pool)
        self._bunches = {side: self._takes_bunches(side) for side in Side}

    def _opened_pool(self) -> Pool | None:
        """Give threads for connections that are waited for; between others there is nothing to wait for."""
        held = [find(connector, Holding) for connector in (self.source, self.destination)]
        places = list({id(one.places): one.places for one in held if one is not None}.values())
        if not places:
            return None
        wanted, most = self._policies.parallel_writes, self._policies.parallel_writes_max
        for one in places:
            one.widen(wanted)
        return Pool(places, most or max(wanted, width.AUTOMATIC))

    def connector(self, side: Side) -> Connector:
        return self.source if side is _SOURCE else self.destination

    def facts_of(self, entry: Entry, to: Connector, *, content: bytes | None = None) -> Facts:
        """Give what travels with an entry under the job's policies, as far as the platform keeps it.

        Owners are not among it: they go through the maps, as the carrier sets them.
        """
        limits, policies = to.limits, self._policies
        giving = self.source_limits if to is self.destination else self.destination_limits
        is_dated = policies.timestamps and (giving.dates_containers or entry.kind is not Kind.CONTAINER)
        return Facts(
            entry.size if entry.kind is Kind.FILE else None,
            entry.modified if is_dated else None,
            entry.mode if limits.permissions else None,
            hash=content,
        )

    def pace(self, meter: Meter | None, stopped: Callable[[], bool]) -> None:
        self._meter, self._stopped = meter, stopped

    def cross(self, work: VisitWork) -> StreamCrossing:
        return StreamCrossing(self, work)

    @property
    def full(self) -> bool:
        flying = 0 if self._pool is None else self._pool.flying
        return len(self._outcomes) + flying + len(self._bunch or ()) >= FULL

    def settle(self) -> list[Settled]:
        self._carry_bunch()
        if self._pool is not None:
            self._pool.drain()
        outcomes, self._outcomes = self._outcomes, []
        if self._is_unsynced and self._policies.durability is not Durability.NONE:
            self._is_unsynced = False
            for connector in (self.destination, self.source) if self.both_ways else (self.destination,):
                if isinstance(connector, Syncs):
                    connector.sync()
        return outcomes

    def discard(self) -> None:
        self._outcomes = []

    def landed(self, ticket: Any, outcome: Landed | TallyportError) -> None:
        """Keep an outcome for the next ``settle``."""
        self._is_unsynced = True
        self._outcomes.append((ticket, outcome))

    def changed(self) -> None:
        """Have the next ``settle`` sync."""
        self._is_unsynced = True

    def send(self, to: Side, path: str, entry: Entry, receiving: str, replaces: Entry | None, ticket: Any) -> None:
        """Carry one item, in a thread where there is something to wait for; its outcome comes with ``settle``."""
        if self._bunch is not None and self._fits_bunch(to, entry, replaces):
            self._bunch.add(Small(to, path, entry, receiving, replaces, ticket))
            if self._bunch.full:
                self._carry_bunch()
            return
        self._send(to, path, entry, receiving, replaces, ticket)

    def _takes_bunches(self, to: Side) -> bool:
        """Tell whether small files can go to a side together: nothing goes with them that is looked up for each."""
        is_plain = self.carrier is None and self._inside is None and not self.has_versions
        if self._proof.reads_back(self.connector(to)) and find(self.connector(to), Holding) is not None:
            return False  # reading back is waited for, file by file: many threads are faster
        return is_plain and all(map(carries_bunches, (self.source, self.destination)))

    def _fits_bunch(self, to: Side, entry: Entry, replaces: Entry | None) -> bool:
        if not self._bunches[to] or not is_small(entry, replaces, self.connector(to).limits):
            return False
        if (replaces is not None and self.keepers) or (self._meter is not None and self._meter.is_limited):
            return False
        if self.counting[to.other].is_owed(entry):
            return False
        return to is _SOURCE or not is_converted(entry.name, self._policies, self.destination_limits)

    def _carry_bunch(self) -> None:
        if self._bunch:
            for small, trouble in self._bunch.carry(self._stopped, self._pace, seats=self.seats):
                self._send(*small, after=trouble)

    def _send(
        self,
        to: Side,
        path: str,
        entry: Entry,
        receiving: str,
        replaces: Entry | None,
        ticket: Any,
        *,
        after: TallyportError | None = None,
    ) -> None:
        stopped, pool, counting = self._stopped, self._pool, self.counting[to.other]

        def act() -> int:
            def carry() -> Landed:
                nonlocal entry
                if entry.glimpsed:
                    entry = ticket.entry = look_closely(self.connector(to.other), path, entry)
                if counting.is_owed(entry):
                    entry = ticket.entry = counting.counted(path, entry)
                return self.carry(to, path, entry, receiving, replaces)

            try:
                landed = self.patiently(carry, after=after)
                if landed.kept:
                    ticket.kept = landed.kept
            except TallyportError as error:
                self.landed(ticket, error)
                raise
            except (Exception, GeneratorExit) as error:  # the top of a thread: the item fails, the others go on
                why = f"an error nobody foresaw, {type(error).__name__}: {error}"
                self.landed(ticket, error_of(ErrorKind.UNEXPECTED, "carry", path, why))
                return 0
            self.landed(ticket, landed)
            return landed.moved

        if pool is not None:
            pool.start(act, stopped, seats=self.seats)
            return
        try:
            act()
        except TallyportError:
            pass  # kept with the ticket

    def patiently(self, act: Callable[[], R], *, after: TallyportError | None = None) -> R:
        """Do something again while a connection has a passing trouble."""
        return act() if self._pool is None else self._pool.patiently(act, self._stopped, after=after)

    def together(self, acts: Sequence[Callable[[], R]], sizes: Sequence[int]) -> Iterator[R]:
        """Do several things, at once where there is something to wait for."""
        if self._pool is None:
            return (act() for act in acts)
        return self._pool.together(acts, sizes, self._stopped, seats=self.seats)

    def carry(self, to: Side, path: str, entry: Entry, receiving: str, replaces: Entry | None) -> Landed:
        """Carry one file or symlink that was seen; raises when nothing was stored."""
        if replaces is not None:
            self.present(to, path, receiving)
        if replaces is None or not self.keepers:
            return self._carry(to, path, entry, receiving, replaces)
        keeper = self.keepers[to]
        replaces, place = keeper.keep(receiving, replaces)
        try:
            return self._carry(to, path, entry, receiving, replaces)._replace(kept=place)
        except TallyportError:
            if replaces is None:
                keeper.put_back(receiving, place)
            raise

    def present(self, to: Side, path: str, receiving: str) -> None:
        """Have changes of what stands at one side let through by a lock that this job made on it."""
        if self.carrier is not None:
            self.carrier.present(to, path, receiving)

    def _carry(self, to: Side, path: str, entry: Entry, receiving: str, replaces: Entry | None) -> Landed:
        self.guard()
        if self.carrier is not None and entry.kind is Kind.FILE:
            self.carrier.check_lock(to, path)
        giving, taking = self.connector(to.other), self.connector(to)
        when = _ABSENT if replaces is None else Precondition(entry=replaces)
        if entry.kind is Kind.SYMLINK:
            if not isinstance(taking, Links):
                raise error_of(ErrorKind.UNSUPPORTED, "make the symlink", receiving, "the platform has none")
            facts = self.facts_of(entry, taking)._replace(mode=None)
            made = taking.make_symlink(receiving, entry.target or "", facts, when=when)
            return self.with_companions(to, path, entry, receiving, Landed(made, None, 0), is_new=replaces is None)
        earlier = 0
        if (
            self.has_versions
            and taking.limits.versions
            and not is_converted(entry.name, self._policies, self.destination_limits)
        ):
            when, earlier = self.series(to, path, receiving).carry_earlier(self.facts_of(entry, taking), when)
        elif to is _DESTINATION and self._inside is not None and self._may_copy(entry):
            landed = self._copy(self._inside, path, entry, receiving, when)
            return self.with_companions(to, path, entry, receiving, landed, is_new=replaces is None)
        running = ContentHash()
        moved = 0

        facts, content = self.facts_of(entry, taking), self.checked(giving, path, entry)
        if to is _DESTINATION and is_converted(entry.name, self._policies, self.destination_limits):
            facts, content = facts._replace(size=None), zipped(entry.name, entry.modified, content)

        def sent() -> Iterator[bytes]:
            nonlocal moved
            for chunk in content:
                running.update(chunk)
                moved += len(chunk)
                self._pace(len(chunk))
                yield chunk

        stored = taking.write(receiving, sent(), facts, when=when)
        expected = running.digest()
        level = self.prove(taking, receiving, stored, expected, moved)
        landed = Landed(stored, expected, moved + earlier, level)
        return self.with_companions(to, path, entry, receiving, landed, is_new=replaces is None)

    def with_companions(
        self, to: Side, path: str, entry: Entry, receiving: str, landed: Landed, *, is_new: bool
    ) -> Landed:
        """Give what was stored its owner, grants and properties; without what may not be lacking it does not stay."""
        if self.carrier is None:
            return landed
        taking = self.connector(to)
        try:
            losses = self.carrier.carry(to, path, entry, receiving)
        except TallyportError:
            if is_new:
                take_back(taking, receiving, landed.entry)
            raise
        there = taking.stat(receiving)  # setting them may have changed its tag, which is its mark from now on
        return landed._replace(entry=there or landed.entry, losses=losses)

    def series(self, to: Side, path: str, receiving: str) -> Series:
        """Give the contents of one file on their way to a side."""
        return Series(self.connector(to.other), self.connector(to), to, path, receiving, self._policies, self._pace)

    def _pace(self, size: int) -> None:
        if self._meter is not None:
            self._meter.take(size, self._stopped)

    def _may_copy(self, entry: Entry) -> bool:
        """Tell whether a copy that we do not see is proved as well as the job asks: by the hash that goes with it."""
        proof = VerifyLevel.ACK if entry.hash is None else VerifyLevel.HASH
        is_converted_there = is_converted(entry.name, self._policies, self.destination_limits)
        return self._policies.verify <= proof and not is_converted_there

    def _copy(self, inside: Inside, path: str, entry: Entry, receiving: str, when: Precondition) -> Landed:
        """Have the platform copy a file by itself."""
        taking = self.destination
        self.guard()
        facts = self.facts_of(entry, taking)
        there = "/".join(filter(None, (inside.destination, receiving)))
        if self.carrier is not None and not when.absent:
            self.carrier.present(_DESTINATION, path, receiving, cast(Connector, inside.connector), there)
        stored = inside.connector.copy("/".join(filter(None, (inside.source, path))), there, facts, when=when)
        now = self.source.stat(path)
        if now is None or now.tag != entry.tag or now.size != entry.size:
            unwrite(taking, receiving, stored)
            raise error_of(ErrorKind.CHANGED_DURING_COPY, "copy", path, "it changed while it was copied")
        if stored.size != entry.size or (entry.hash is not None and stored.hash != entry.hash):
            unwrite(taking, receiving, stored)
            raise error_of(ErrorKind.CORRUPT, "copy", receiving, "the copy is not what was copied")
        level = VerifyLevel.ACK if entry.hash is None else VerifyLevel.HASH
        return Landed(stored, entry.hash, entry.size, int(level))

    def checked(
        self, giving: Connector, path: str, entry: Entry, offset: int = 0, length: int | None = None
    ) -> Iterator[bytes]:
        """Read a file or a range of it that nobody changes meanwhile, as the job has it proved."""
        return self._proof.checked(giving, path, entry, offset, length, self.guard)

    def prove(self, taking: Connector, path: str, stored: Entry, expected: bytes, moved: int) -> int:
        """Prove what was stored, or take it away; gives the level."""
        return self._proof.prove(taking, path, stored, expected, moved)

    # -- tasks

    def part(self, work: PartWork, stopped: Callable[[], bool]) -> TaskReport:
        return tasks_stream.part(self, work)

    def finish(self, work: FinishWork) -> TaskReport:
        return tasks_stream.finish(self, work)

    def link(self, work: LinkWork) -> list[TaskReport]:
        return tasks_stream.link(self, work)

    def hash_there(self, path: str) -> bytes:
        """Hash what stands at the destination."""
        return hash_of(self.destination, path)

    def delete(self, work: DeleteWork) -> TaskReport:
        end = self.connector(Side(work.side))
        keeper = self.keepers[Side(work.side)] if self.keepers else None
        syncs = self._policies.durability is not Durability.NONE
        return delete(end, work, keeper=keeper, present=self.present, syncs=syncs)

    def look_at_lock(self, work: LockWork) -> TaskReport:
        if self.carrier is None:
            return TaskReport(work.task_id)
        try:
            self._require_roots()
            return TaskReport(work.task_id, locks=self.carrier.look_at_lock(work))
        except TallyportError as error:
            return task_error(work.task_id, error)

    def _require_roots(self) -> None:
        """Refuse to look for items below a root that is gone: that would not mean that they are."""
        for connector in (self.source, self.destination):
            if connector.stat("") is None:
                raise error_of(ErrorKind.NOT_FOUND, "look at", "", "it is gone")

    def stamp(self, work: StampWork) -> TaskReport:
        try:
            self.stamp_container(work.path, work.d_path)
        except TallyportError as error:
            return task_error(work.task_id, error)
        return TaskReport(work.task_id)

    def stamp_container(self, path: str, d_path: str, here: Entry | None = None) -> tuple[Entry | None, bool]:
        """Give a container at the destination the times and permissions of its source, where they differ."""
        there = self.destination.stat(d_path)
        here = here or self.source.stat(path)
        if there is None or here is None or not isinstance(self.destination, Stamps):
            return there, False
        facts = self.facts_of(here, self.destination)
        if not self.destination_limits.dates_containers:
            facts = facts._replace(modified=None)
        precision = self.destination_limits.time_precision
        is_dated = facts.modified is None or abs(facts.modified - there.modified) < precision
        if is_dated and (facts.mode is None or facts.mode == there.mode):
            return there, False
        return self.destination.stamp(d_path, facts), True

    def close(self) -> None:
        if self._pool is not None:
            self._pool.drain()
        if self.carrier is not None:
            self.carrier.close()
        self.source.close()
        self.destination.close()
        if self._inside is not None:
            cast(Connector, self._inside.connector).close()
