"""What travels between the engine, its movers and the recorder.

Everything here crosses a pipe as plain tuples (``marshal``), a hundred thousand times a run: named tuples of
builtin values only, converted by ``tuple(x)`` and ``Type._make``.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from tallyport.domain.actions import Reason
from tallyport.domain.items import Status
from tallyport.domain.paths import from_bytes

_SUCCESS, _NEW = int(Status.SUCCESS), str(Reason.NEW_AT_SOURCE)

Row = tuple[Any, ...]
"""An :class:`ItemResult` as it travels."""


AS_IT_WAS = b""  # in place of a signature that is known already, and may be long


class Known(NamedTuple):
    """One item row as a visit needs it: what the ledger remembers of a name in the visited container."""

    name: str  # at the source (at the destination for items that only it has)
    item_id: int
    kind: int  # domain.entries.Kind
    status: int  # domain.items.Status
    attempts: int
    s_size: int | None  # source fingerprint of the last settled state; None = side never settled
    s_modified: int | None
    s_tag: bytes | None
    d_size: int | None
    d_modified: int | None
    d_tag: bytes | None
    hash: bytes | None
    d_name: str | None  # name at the destination when it differs
    level: int = 0  # domain.capabilities.VerifyLevel of its last proof


class VisitWork(NamedTuple):
    """One container to visit, or one page range of a huge one."""

    visit_id: int
    item_id: int  # of the container itself
    path: str  # at the source, from the endpoint's root
    d_path: str  # at the destination
    d_fresh: bool  # made by this execution and never visited before: nothing to list there
    resumed: bool  # begun before and not ended: list the destination, sweep temporaries
    full: bool  # list the destination although the baseline could be trusted
    signature: bytes | None  # of the last clean visit; equal now ⇒ nothing below changed but sub-containers
    s_only: bool = False  # the container is not made at the destination (filtered, simulation, taxonomy rules)
    only: tuple[str, ...] | None = None  # retry: look at these names alone
    attempt: int = 0  # of the visit
    gone: str = ""  # the side that no longer has the container: what is below is decided with nothing there
    purges: bool = False  # the destination is emptied before the first run
    left_out: str = ""  # reason for which the container, and all that is in it, is left out
    blank: bool = False  # the ledger has no row below: known rows are not asked for
    carried: bool = False  # the container itself was carried before: its owner and grants stay as they are
    slice: bytes = b""  # a range of a huge container (engine.slices); empty: all of it
    may_slice: bool = False  # a huge container may be cut in slices, for others to work
    sliced: str | None = None  # name through which an earlier attempt did so
    originals: tuple[tuple[str, str], ...] = ()  # (name, original name), as an earlier job renamed it (names_from)
    original: str | None = None  # of the container itself, likewise


class ItemResult(NamedTuple):
    """What came of one item. Becomes its row; ``settle`` has been applied already."""

    name: str
    kind: int
    status: int  # domain.items.Status
    reason: str  # domain.actions.Reason
    item_id: int  # 0 for an item the ledger does not know yet
    attempts: int
    s_size: int | None = None
    s_modified: int | None = None
    s_tag: bytes | None = None
    d_size: int | None = None
    d_modified: int | None = None
    d_tag: bytes | None = None
    hash: bytes | None = None
    level: int = 0  # domain.capabilities.VerifyLevel reached by this outcome
    moved: int = 0  # bytes written for it in this execution
    d_name: str | None = None
    processing: str = ""  # comma-joined processing words
    message: str = ""  # for people, when it failed or was left out
    wrote: int = 0  # 1 when the destination was changed by this outcome, 2 when the source was
    lost: int | None = None  # bits of domain.losses.Fact that it lacks where it was carried to; None = as they were


class Deferred(NamedTuple):
    """Work that one visit found and another task does: see ``Later``."""

    task: str  # big link delete_source delete_destination stamp
    name: str
    kind: int
    size: int
    device: int  # group key of hard links, else 0
    inode: int
    item: tuple[object, ...]  # the pending ItemResult, as a tuple
    replaces: bool
    reason: str  # why the task does it; the item's row keeps its own until then
    temporary: str = ""  # of a big file, where the platform gave it: the handle of its upload


class VisitReport(NamedTuple):
    """What a visit tells so far. Only a report with ``last`` ends it; everything in it is already durable."""

    visit_id: int
    items: tuple[tuple[object, ...], ...]  # ItemResult tuples; empty when nothing changed
    children: tuple[tuple[str, str, bool, int], ...]  # sub-containers to visit: name, d_name, d_fresh, item_id or 0
    deferred: tuple[tuple[object, ...], ...]  # Deferred tuples
    unchanged: int  # files found unchanged and therefore not in items
    unchanged_bytes: int
    last: bool
    signature: bytes | None = None  # of a clean visit: nothing failed, nothing deferred; AS_IT_WAS when nothing changed
    error: tuple[str, str] | None = None  # (ErrorKind, message): the container could not be visited
    halted: str | None = None  # "stopped" or an ErrorKind of connection scope: unfinished, visit again later
    s_bytes: int = 0  # bytes of source files seen
    s_files: int = 0
    container: tuple[object, ...] | None = None  # ItemResult tuple of the container itself, with last
    filled: tuple[Row, ...] = ()  # new files that a new container was filled with at once: Filled tuples
    level: int = 0  # domain.capabilities.VerifyLevel of those
    losses: tuple[tuple[str, str, str], ...] = ()  # name (empty: the container), what, detail
    uses: tuple[tuple[object, ...], ...] = ()  # who was met and became whom: engine.carrier.Use
    left_out: tuple[tuple[str, str], ...] = ()  # sub-containers left out and yet gone through: name, reason
    slices: tuple[tuple[bytes, bytes | None, bool], ...] = ()  # slice, last name in it, whether nothing stands there
    locks: tuple[tuple[str, str, str, str], ...] = ()  # made again: Held
    keeps: bool = False  # something stays in a container that is to go
    why: str = ""  # with halted: whose trouble it is, and its last error


def parted(report: VisitReport, most: int) -> tuple[VisitReport, VisitReport]:
    """Part a report after so many items; gives them, and a report of all the rest: what ends the visit stays there."""
    items, filled = report.items[:most], report.filled[: max(0, most - len(report.items))]
    names = {item[0] for item in items}
    first = VisitReport(
        report.visit_id,
        *(items, (), (), 0, 0, False),
        filled=filled,
        level=report.level,
        losses=tuple(one for one in report.losses if one[0] in names),
    )
    rest = report._replace(
        items=report.items[len(items) :],
        filled=report.filled[len(filled) :],
        losses=tuple(one for one in report.losses if one[0] not in names),
    )
    return first, rest


class Filled(NamedTuple):
    """One plain file that came with a new container: all of its result that is not the same for every one."""

    name: bytes
    s_size: int
    s_modified: int
    s_tag: bytes
    d_size: int
    d_modified: int
    d_tag: bytes
    hash: bytes


def results_of(filled: Iterable[Row], level: int) -> tuple[Row, ...]:
    """Write files that came with a new container as whole item results."""
    return tuple(
        (from_bytes(row[0]), 1, _SUCCESS, _NEW, 0, 0, *row[1:], level, row[1], None, "", "", 1, 0) for row in filled
    )


class Terms(NamedTuple):
    """What a mover must know of an execution, once; sent with its first group."""

    execution_id: int
    token: str  # of the execution: marks its temporaries
    source: tuple[str, str, str]  # platform id, JSON of the connection's settings, path below its root
    destination: tuple[str, str, str]
    policies: str  # JSON of the frozen policies (domain.transfer_block.policies_to_json)
    started: int  # nanoseconds, for rules that look at age
    part_size: int  # bytes; files above this go in parts
    revision: int  # grows when limits of a running job change
    quarantine: str | None = None
    first_run: bool = False  # no execution of this job that was not a simulation ended before
    tries: int = 0  # the most that any error category allows; fewer than the job's own count as those
    places: str = ""  # both ends without their secrets: what marks of them are made of
    regrants: bool = False  # reset=permissions: grants alone are applied again
    maps: str = ""  # JSON of the account map and the group map, empty where the job has none
    job: str = ""  # whose execution it is: locks that it makes again are known by it
    names: tuple[str, str] = ("", "")  # of both connections, as a person knows them

    def __repr__(self) -> str:
        """Show what may be shown: the settings of both ends may hold secrets."""
        return f"Terms(execution_id={self.execution_id}, places={self.places!r})"


class PartWork(NamedTuple):
    """Carry one range of a big file into its temporary at the destination."""

    task_id: int
    path: str
    d_path: str
    temporary: str  # name of the temporary beside ``d_path``; recorded before the first part
    offset: int
    length: int
    source: tuple[int, int, bytes]  # fingerprint at planning; another one ⇒ CHANGED_DURING_COPY


class FinishWork(NamedTuple):
    """All parts stand: prove, set metadata, make visible."""

    task_id: int
    path: str
    d_path: str
    temporary: str
    size: int
    hashes: tuple[bytes, ...]  # of the parts in order
    source: tuple[int, int, bytes]
    replaces: bool
    item: tuple[object, ...]  # the pending ItemResult
    d_container_item: int  # whose folder times are set again afterwards


class LinkWork(NamedTuple):
    """A group of names of one file (hard links): the first is carried, the others become links to it."""

    task_ids: tuple[int, ...]
    paths: tuple[str, ...]
    d_paths: tuple[str, ...]
    items: tuple[tuple[object, ...], ...]  # pending ItemResults
    replaces: tuple[bool, ...]
    attempt: int = 1  # above 1: an earlier one may have left temporaries
    standing: tuple[tuple[Any, ...], ...] = ()  # domain.standing.Standing: names that were carried before


class DeleteWork(NamedTuple):
    """Remove one item from one side, if it still is what was decided on."""

    task_id: int
    side: str
    path: str
    kind: int
    expect: tuple[int, int, bytes] | None
    item: tuple[object, ...]
    temporary: str = ""  # the handle of an upload to abandon instead
    s_path: str = ""  # the item's path at the source, by which a lock of ours on it is known


class StampWork(NamedTuple):
    """Set a container's times and permissions once nothing changes in it any more."""

    task_id: int
    path: str
    d_path: str
    sweeps: bool = False  # and remove the temporaries that a slice of it left behind


class LockWork(NamedTuple):
    """Look whether a lock that this job made again is still to be held, and take it away where it is not."""

    task_id: int
    side: str  # at which it is held
    path: str
    d_path: str
    token: str


Held = tuple[str, str, str, str]
"""A lock of ours as it is now: side it is at, path at the source, path at the destination, token (empty: gone)."""


class TaskReport(NamedTuple):
    """What came of one task (part, finish, link member, delete, stamp). Durable when reported."""

    task_id: int
    item: tuple[object, ...] | None = None  # ItemResult tuple, where the task settles an item
    hash: bytes | None = None  # of a part
    error: tuple[str, str] | None = None  # (ErrorKind, message)
    halted: str | None = None  # "stopped" or an ErrorKind of connection scope: not done, try again later
    losses: tuple[tuple[str, str], ...] = ()  # what, detail
    uses: tuple[tuple[object, ...], ...] = ()
    locks: tuple[tuple[str, str, str, str], ...] = ()  # what is held now: Held
