"""The way from one connection to another, as a visit and a task see it.

A :class:`Passage` joins the two connections of an execution; a :class:`Crossing` is one container on both sides,
held open while it is visited. What is carried counts only once the passage has *settled* it: then it is visible
and as durable as the job asks. Two kinds exist: ``passage_local`` for two local trees; for the rest ``transfer``,
with ``crossing_stream``, opened by ``joining``.
Errors are :class:`~tallyport.domain.errors.TallyportError`. A passage is used by one thread.
"""

import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from tallyport.connectors.local_identity import Identity
from tallyport.connectors.protocol import Connector
from tallyport.domain.actions import Reason
from tallyport.domain.capabilities import Limits
from tallyport.domain.carrying import carriage_of
from tallyport.domain.connections import LOCAL_PLATFORMS
from tallyport.domain.entries import Entry, Fingerprint, Kind, Side
from tallyport.domain.errors import REMEDIES, ErrorKind, Scope, TallyportError, halt
from tallyport.domain.items import Status
from tallyport.domain.losses import Loss, bits_of, told
from tallyport.domain.paths import display
from tallyport.domain.policies import Policies, Symlinks
from tallyport.domain.shortfall import Shortfall
from tallyport.domain.standing import Standing
from tallyport.engine.carrier import Carrier, Maps
from tallyport.engine.lease import Guard
from tallyport.engine.throttle import Meter
from tallyport.engine.work import (
    DeleteWork,
    FinishWork,
    LinkWork,
    LockWork,
    PartWork,
    StampWork,
    TaskReport,
    Terms,
    VisitWork,
)

if TYPE_CHECKING:
    from tallyport.connectors.local import Local

R = TypeVar("R")

PAGE = 20_000  # entries of one container that are held at once


class Landed(NamedTuple):
    """One item as it stands at the receiving side now."""

    entry: Entry
    hash: bytes | None
    moved: int  # bytes written
    level: int | None = None  # of the proof; None = that of the passage
    processing: str = ""
    losses: tuple[Loss, ...] = ()  # what did not travel with it
    kept: str = ""  # where what it replaced is kept


Settled = tuple[Any, Any]
"""What was given as the ticket, and what came of it: Landed, rows of items (``fill``), or a TallyportError.

A lean passage gives a tuple with the first three members of Landed instead: made a hundred thousand times a run.
"""


UNBEGUN = object()  # in the place of an outcome: the passage was stopped before the item began


class Listing(Protocol):
    """The entries of one container as of one moment, our temporaries left out."""

    count: int

    def digest(self) -> bytes:
        """Give a hash of all that a decision could see of the entries; equal listings give equal digests."""

    def marks(self) -> "array[int]":
        """Give a hash of 64 bits for each of ``names``, of what the digest is of; of a listing of one page."""

    def some(self, positions: list[int]) -> list[Entry]:
        """Give the entries at these positions of ``names`` that are still there; of a listing of one page."""

    def pages(self) -> Iterator[list[Entry]]:
        """Give every entry that is still there once, in order of the bytes of their names, in pages."""

    def names(self) -> Iterator[str]:
        """Give all names, in any order."""

    def containers(self) -> list[str]:
        """Give the names of containers."""

    def totals(self) -> tuple[int, int, int]:
        """Give the numbers of entries that are no containers, of files, and of bytes in files."""


class Crossing(Protocol):
    """One container on both sides."""

    def container(self, side: Side) -> Entry | None:
        """Give the container itself, or None where it does not stand."""

    def listing(self, side: Side, *, counts: bool = True) -> Listing:
        """List one side; a container that does not stand there lists as empty.

        With ``counts`` each file has the number of its contents, where that matters and the platform tells it.
        """

    def recounted(self, listing: Any) -> Any:
        """Give the source's listing with ``counts``, where it was made without."""

    def counted(self, side: Side, entry: Entry) -> Entry:
        """Give a file with the number of its contents, where that matters and nobody counted them."""

    def look(self, side: Side, name: str) -> Entry | None:
        """See one entry."""

    def look_many(self, side: Side, names: Sequence[str]) -> Sequence[Entry | None]:
        """See several files, in the order they are named. What is no file any more is None."""

    def carry(self, to: Side, entry: Entry, name: str, *, replaces: Entry | None, ticket: Any) -> None:
        """Carry a file or symlink to one side. Raises nothing: what came of it is given by ``settle``."""

    def begin(self, entry: Entry, name: str) -> str:
        """Open an upload at the destination for a big file; gives what tasks keep of it, empty for a name of ours."""

    def make(self, to: Side, entry: Entry, name: str) -> Entry:
        """Make a container on one side, ready to be filled; one that stands there already is success."""

    def stamp(self, to: Side, entry: Entry, name: str) -> Entry:
        """Give what stands on one side the times and permissions of the entry."""

    def dress(self, to: Side, entry: Entry, name: str) -> tuple[Loss, ...]:
        """Give what stands on one side what the entry has besides content and times; says what was lost."""

    def rename(self, side: Side, name: str, new_name: str) -> None:
        """Rename on one side, over nothing."""

    def holds_earlier(self, to: Side, entry: Entry, there: Entry) -> bool:
        """Tell whether what stands on one side is an earlier content of the entry."""

    def content_hash(self, side: Side, entry: Entry, *, is_cold: bool = False) -> bytes:
        """Hash the content on one side; ``is_cold`` asks that it be read from the disk, where that can be had."""

    def sweep(self) -> None:
        """Remove the temporaries of this execution that a crash left here."""

    def seal(self) -> tuple[Entry | None, bool]:
        """Set the destination container's own times and permissions where they differ.

        Gives it as it stands, None where none is, and whether something was set.
        """

    def identity(self, *, has_containers: bool) -> bytes:
        """Give what tells the destination container from another one, and from itself after a change in it."""

    def fill(
        self, listing: Any, largest: int, ticket: Any, stopped: Callable[[], bool]
    ) -> tuple[list[Entry], bool] | None:
        """Carry the plain files up to a size of a new container at once, where there is a way to do that.

        Gives the entries left to be carried one by one, and whether all were gone through; the rows of what was
        carried come from ``settle`` with the ticket. None: nothing was done.
        """

    def put_back(self) -> None:
        """Give the destination container its times again, where this worker came late: others may have sealed it."""

    def close(self) -> None:
        """Let go. Nothing may be unsettled."""


class Passage(Protocol):
    """What joins the two connections of one execution."""

    source_limits: Limits
    destination_limits: Limits
    level: int  # domain.capabilities.VerifyLevel that a carried file reaches
    has_parts: bool  # big files can be carried in parts
    has_versions: bool  # the destination keeps the earlier contents that come, and the job carries them
    has_links: bool  # hard links can be made at the destination
    shortfalls: Mapping[Side, Shortfall]  # by the side that something is carried to: what it lacks of it
    guard: Guard  # called before anything is made visible
    seats: int  # items carried at one time at most; 0 = as many as suit the connections
    carrier: Carrier | None  # gives items what they have besides content; None where the job asks for nothing
    paces_itself: bool  # what it carries waits for its turn chunk by chunk

    def pace(self, meter: Meter | None, stopped: Callable[[], bool]) -> None:
        """Say by what the rate is limited from now on."""

    def cross(self, work: VisitWork) -> Crossing:
        """Open a container on both sides; the destination's is not touched when ``work`` says it is not there."""

    @property
    def full(self) -> bool:
        """Whether so much is unsettled that ``settle`` is due."""

    def settle(self) -> list[Settled]:
        """Make what was carried visible and durable; gives an outcome for each ticket since the last call."""

    def discard(self) -> None:
        """Give up what ``settle`` raised for: nothing of it stays, and it has no outcome. Crossings are still open."""

    def part(self, work: PartWork, stopped: Callable[[], bool]) -> TaskReport: ...

    def finish(self, work: FinishWork) -> TaskReport: ...

    def together(self, acts: Sequence[Callable[[], R]], sizes: Sequence[int]) -> Iterator[R]:
        """Do several things that do not depend on each other, and give what came of each as it comes."""

    def link(self, work: LinkWork) -> list[TaskReport]: ...

    def delete(self, work: DeleteWork) -> TaskReport: ...

    def stamp(self, work: StampWork) -> TaskReport: ...

    def look_at_lock(self, work: LockWork) -> TaskReport: ...

    def close(self) -> None: ...


def is_local(terms: Terms) -> bool:
    """Tell whether both sides are folders of this machine, which mover processes carry between."""
    return all(
        platform in LOCAL_PLATFORMS and not ('"versioning"' in settings and json.loads(settings)["versioning"])
        for platform, settings, _ in (terms.source, terms.destination)
    )


def accounts_of(terms: Terms, policies: Policies) -> tuple[Identity | None, Identity | None]:
    """Say as whom the source and the destination are worked: None where it is our own account."""
    if not policies.source_account and not policies.destination_account:
        return None, None
    from tallyport.connectors.acting import identity_on

    source = identity_on(terms.source[0], policies.source_account)
    return source, identity_on(terms.destination[0], policies.destination_account)


def is_lean(terms: Terms, policies: Policies) -> bool:
    """Tell whether the way between two local trees is taken, on descriptors alone.

    What is looked up by the whole path of an item goes the way of any two; so does what is done as two accounts.
    """
    has_paths = policies.symlinks is Symlinks.FOLLOW_INSIDE or policies.permissions_import or policies.metadata_import
    source, destination = accounts_of(terms, policies)
    return is_local(terms) and not has_paths and source == destination


def open_passage(terms: Terms, policies: Policies) -> Passage:
    """Open the right passage for a pair of connections."""
    if not is_lean(terms, policies):
        from tallyport.engine.joining import open_connections

        return open_connections(terms, policies)
    from tallyport.engine.passage_local import LocalPassage

    # Whoever works what is opened here is who it is opened as: see mover.Bench.
    source, destination = (
        _folder(*end, make=make) for end, make in ((terms.source, False), (terms.destination, not policies.simulation))
    )
    return LocalPassage(
        source,
        destination,
        policies=policies,
        token=terms.token,
        maps=terms.maps,
        quarantine=quarantine_of(terms.quarantine, terms.execution_id),
    )


def _folder(_: str, settings: str, path: str, *, make: bool) -> "Local":
    """Open a folder of this machine; what a probe found of it goes before what it shows."""
    from tallyport.connectors.local import Local

    document = json.loads(settings)
    folder = Local(document["path"], path.strip("/"), make=make)
    if len(document) > 1:  # loaded only where there may be something to read
        from tallyport.connectors import probing

        folder.limits = probing.apply(folder.limits, document.get(probing.MEASURED) or {})
    return folder


def carrier_of(
    policies: Policies,
    maps: str,
    source: Connector,
    destination: Connector,
    *,
    is_same_book: bool,
    native_kind: str = "",
    job: str = "",
) -> Carrier | None:
    """Give what carries owners, grants and properties, or None where the job carries none."""
    carriage = carriage_of(policies)
    if carriage.accounts:
        from tallyport.connectors.acting import acts_as

        sides = {Side.SOURCE: source, Side.DESTINATION: destination}
        own = tuple((side, who) for side, who in carriage.accounts if not acts_as(sides[side], who))
        carriage = replace(carriage, accounts=own)  # only those that are not done as they should be say so
    if not carriage.is_on or policies.simulation:
        return None
    chosen = Maps(maps, is_same_book=is_same_book)
    return Carrier(carriage, chosen, source, destination, native_kind=native_kind, job=job)


def planned_source(item: tuple[Any, ...]) -> Fingerprint:
    """Give what a pending item says of its source."""
    return Fingerprint(item[6], item[7], item[8])


def expected_at(name: str, item: tuple[Any, ...]) -> Entry | None:
    """Give what a pending item says stands at the destination, to be replaced."""
    return None if item[9] is None else Entry(name, Kind.FILE, item[9], item[10], item[11])


def task_error(task_id: int, error: TallyportError) -> TaskReport:
    """Report a task that failed, or one to be done again once the connection is well."""
    if REMEDIES[error.kind][0] is Scope.CONNECTION:
        return TaskReport(task_id, error=(str(error.kind), halt(error.kind, error)), halted=str(error.kind))
    return TaskReport(task_id, error=(str(error.kind), error.message))


def kept_as(place: str) -> str:
    """Say in an item's row where what it replaced is kept."""
    return f"what stood here is kept as {display(place)}" if place else ""


def quarantine_of(name: str | None, execution_id: int) -> str | None:
    """Give the folder, on each side, that keeps what an execution replaces and deletes."""
    return None if name is None else f"{name}/{execution_id}"


def item_done(
    item: tuple[Any, ...],
    entry: Entry,
    *,
    content: bytes | None,
    level: int,
    moved: int,
    losses: Sequence[Loss] = (),
    kept: str = "",
) -> tuple[Any, ...]:
    """Give a pending item its end: it stands at the destination as ``entry``."""
    name, kind, _, reason, item_id, _, s_size, s_modified, s_tag = item[:9]
    d_name, processing = item[15], item[16]
    status = Status.PROCESSED if processing else Status.SUCCESS
    return (
        name,
        kind,
        int(status),
        reason,
        item_id,
        0,
        s_size,
        s_modified,
        s_tag,
        entry.size,
        entry.modified,
        entry.tag,
        content,
        level,
        moved,
        d_name,
        processing,
        "; ".join(filter(None, (told(losses), kept_as(kept)))),
        1,
        (item[19] or 0) | bits_of(losses),
    )


def plain(losses: Iterable[Loss]) -> tuple[tuple[str, str], ...]:
    """Give losses as they cross a pipe."""
    return tuple((one.what, one.detail) for one in losses)


def is_still_used(work: DeleteWork, error: TallyportError) -> bool:
    """Tell whether a container stays at the source of a move because something is left in it: that is no failure."""
    is_left = work.side == Side.SOURCE and work.kind == Kind.CONTAINER and work.item[3] == Reason.MOVED
    return is_left and error.kind is ErrorKind.ALREADY_EXISTS


def item_kept(work: DeleteWork, error: TallyportError) -> tuple[Any, ...] | None:
    """Give a container its end that was to go, and in which something stands by now; None for any other failure."""
    if work.kind != Kind.CONTAINER or error.kind is not ErrorKind.ALREADY_EXISTS:
        return None
    return (*work.item[:2], int(Status.SKIPPED), str(Reason.NOT_EMPTY), work.item[4], 0, *work.item[6:19], None)


def others_of(work: LinkWork) -> list[Standing]:
    """Give the other names of a file that were carried before, with the content that it has now."""
    found = [Standing(*one) for one in work.standing]
    return [one for one in found if tuple(one.source) == tuple(work.items[0][6:8])]


def item_gone(item: tuple[Any, ...], side: str, *, kept: str = "") -> tuple[Any, ...]:
    """Give a pending delete its end. A moved item keeps its baseline, any other loses it."""
    is_moved = item[3] == Reason.MOVED
    facts = item[6:13] if is_moved else (None,) * 7
    wrote = 2 if side == Side.SOURCE else 1
    ended = (*item[:2], int(Status.SUCCESS), *item[3:5], 0)
    return (*ended, *facts, item[13], 0, *item[15:17], kept_as(kept), wrote, None if is_moved else 0)
