"""A visit that has begun and not ended, the items of it that are on their way, and what ends it early."""

from typing import NamedTuple

from tallyport.domain.entries import Entry, Side
from tallyport.engine.passage import Crossing, Listing
from tallyport.engine.work import Known, Row, VisitWork


class Ticket:
    """One item on its way."""

    __slots__ = ("d_name", "entry", "kept", "name", "processing", "reason", "row", "to", "tries", "visit")

    def __init__(
        self,
        visit: "Opened",
        entry: Entry,
        name: str,
        row: Known | None,
        reason: str,
        d_name: str,
        to: Side,
        processing: str,
        tries: int,
    ) -> None:
        self.visit = visit
        self.entry = entry  # what is carried, of the side it comes from
        self.name = name
        self.row = row
        self.reason = reason
        self.d_name = d_name
        self.to = to
        self.processing = processing
        self.tries = tries
        self.kept = ""  # where what it replaces is kept


class Glimpsed(NamedTuple):
    """An item whose source is to be looked at before it is decided on, and all else that is known of it."""

    name: str
    d_name: str
    destination: Entry | None
    seen: bool
    row: Known | None
    contents: int  # that the listing counted


class Opened:
    """A visit that has begun and not ended."""

    __slots__ = (
        "changed",
        "children",
        "container",
        "crossing",
        "deferred",
        "error",
        "filled",
        "glimpsed",
        "halted",
        "hidden",
        "is_clean",
        "items",
        "keeps",
        "left",
        "left_out",
        "listing",
        "losses",
        "names",
        "originals",
        "s_bytes",
        "s_files",
        "scanned",
        "signature",
        "slices",
        "taken",
        "too_many",
        "unchanged",
        "unchanged_bytes",
        "waiting",
        "why",
        "work",
        "wrote",
    )

    def __init__(self, work: VisitWork, crossing: Crossing) -> None:
        self.work = work
        self.crossing = crossing
        self.container: Entry | None = None  # the source's own entry
        self.listing: Listing | None = None
        self.left_out: dict[str, str] = {}  # sub-containers to go through although they are left out
        self.hidden = ""  # a name that is ours on both sides: nothing of it is seen
        self.items: list[Row] = []
        self.filled: list[Row] = []  # what a new container was filled with
        self.glimpsed: list[Glimpsed] = []  # items of the source that are to be looked at, together
        self.left: set[str] = set()  # names that the rules leave out
        self.children: list[tuple[str, str, bool, int]] = []
        self.deferred: list[Row] = []
        self.unchanged = 0
        self.unchanged_bytes = 0
        self.s_files = 0
        self.s_bytes = 0
        self.changed: list[Entry] = []  # all that is looked at, where the rest is known to be as it was
        self.originals = dict(work.originals)  # name → the name that it had before an earlier job renamed it
        self.names: tuple[str, ...] = ()  # whose rows are asked for, together with those of other visits
        self.waiting = 0  # items carried and not settled
        self.scanned = False
        self.halted: str | None = None
        self.why = ""  # with halted: whose trouble it is, and its last error
        self.error: tuple[str, str] | None = None
        self.too_many: str | None = None
        self.slices: list[tuple[bytes, bytes | None, bool]] = []  # for others to work: engine.slices
        self.signature: bytes | None = None  # of the last clean visit, found to hold still
        self.taken: set[str] | None = None  # keys of the names in use, where the destination cannot take all
        self.losses: list[tuple[str, str, str]] = []  # name (empty: the container), what, detail
        self.is_clean = True  # nothing failed, nothing is left for later
        self.wrote = False
        self.keeps = False  # something stays in it, although it is to go


class Halt(Exception):
    """The visit ends here and is to be made again: "stopped", or what is wrong with a connection."""
