"""What a decision may know besides the pair: policies and limits, worked into lookup tables once an execution."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from tallyport.domain.actions import (
    Action,
    Adopt,
    Delete,
    Enter,
    Flag,
    Forget,
    MakeContainer,
    Reason,
    Skip,
    Transfer,
)
from tallyport.domain.capabilities import Limits
from tallyport.domain.changes import Change
from tallyport.domain.entries import Pair, Side
from tallyport.domain.filters import Judge, asks_for_times, judge_for
from tallyport.domain.policies import (
    ConflictResolution,
    DeletePropagation,
    EmptyContainers,
    ItemOverwrite,
    Policies,
    Symlinks,
    TransferType,
)

Guard = Callable[[Transfer, Pair, "Rules"], Action]


class Meet(Enum):
    """Both sides have it and neither is known to come from the other: compare."""

    MEET = "meet"


class Winner(Enum):
    """Who wins where both sides changed."""

    SOURCE = "source"
    DESTINATION = "destination"
    LATEST = "latest"
    BOTH = "both"  # sync: the newer wins; copy: the source. The other is kept under another name
    NOBODY = "nobody"  # flagged


Cell = Action | Meet
Cells = tuple[Cell, ...]  # by 6 * source change + destination change

MEET = Meet.MEET
FORWARD = Transfer(Side.DESTINATION, Reason.CHANGED_AT_SOURCE, None, True)
RESTORE = Transfer(Side.DESTINATION, Reason.CHANGED_AT_DESTINATION, None, True)
REMAKE = Transfer(Side.DESTINATION, Reason.DELETED_AT_DESTINATION)
SEND = Transfer(Side.DESTINATION, Reason.NEW_AT_SOURCE)
RESEND = Transfer(Side.DESTINATION, Reason.CHANGED_AT_SOURCE)
FETCH = Transfer(Side.SOURCE, Reason.NEW_AT_DESTINATION)
REFETCH = Transfer(Side.SOURCE, Reason.CHANGED_AT_DESTINATION)
BACKWARD = Transfer(Side.SOURCE, Reason.CHANGED_AT_DESTINATION, None, True)
FOLLOW_SOURCE = Delete(Side.DESTINATION, Reason.DELETED_AT_SOURCE)
FOLLOW_DESTINATION = Delete(Side.SOURCE, Reason.DELETED_AT_DESTINATION)
EXTRA = Delete(Side.DESTINATION, Reason.NOT_AT_SOURCE)
EMPTIES_SOURCE = frozenset({TransferType.MOVE, TransferType.MIGRATE})
EMPTY_SOURCE = Delete(Side.SOURCE, Reason.MOVED)
REST = Skip(Reason.UNCHANGED)
FOREIGN = Skip(Reason.IGNORED_ONE_WAY_TRANSFER)
CHANGED_THERE = Skip(Reason.DESTINATION_CHANGED)
GONE_THERE = Skip(Reason.DELETED_AT_DESTINATION)
GONE_HERE = Skip(Reason.DELETED_AT_SOURCE)
FORGET = Forget(Reason.DELETED_BOTH)

# What files do: the heart of the product. Columns are transfer types; delete_propagation is applied after.
FILES: Mapping[tuple[Change, Change], tuple[Cell, Cell, Cell, Cell]] = {
    # source        destination        sync                copy           publish        move and migrate
    (Change.NEW, Change.ABSENT):      (SEND,               SEND,          SEND,          SEND),
    (Change.ABSENT, Change.NEW):      (FETCH,              FOREIGN,       EXTRA,         FOREIGN),
    (Change.NEW, Change.NEW):         (MEET,               MEET,          MEET,          MEET),
    (Change.SAME, Change.SAME):       (REST,               REST,          REST,          EMPTY_SOURCE),
    (Change.MODIFIED, Change.SAME):   (FORWARD,            FORWARD,       FORWARD,       FORWARD),
    (Change.SAME, Change.MODIFIED):   (BACKWARD,           CHANGED_THERE, RESTORE,       CHANGED_THERE),
    (Change.MODIFIED, Change.MODIFIED): (MEET,             MEET,          MEET,          MEET),
    (Change.MODIFIED, Change.DELETED): (RESEND,            RESEND,        RESEND,        RESEND),
    (Change.DELETED, Change.MODIFIED): (REFETCH,           CHANGED_THERE, FOLLOW_SOURCE, GONE_HERE),
    (Change.DELETED, Change.SAME):    (FOLLOW_SOURCE,      FOLLOW_SOURCE, FOLLOW_SOURCE, GONE_HERE),
    (Change.SAME, Change.DELETED):    (FOLLOW_DESTINATION, GONE_THERE,    REMAKE,        REMAKE),
    (Change.DELETED, Change.DELETED): (FORGET,             FORGET,        FORGET,        FORGET),
    (Change.ABSENT, Change.ABSENT):   (FORGET,             FORGET,        FORGET,        FORGET),
}  # fmt: skip

MAKE = MakeContainer(Side.DESTINATION, Reason.NEW_AT_SOURCE)
MAKE_AGAIN = MakeContainer(Side.DESTINATION, Reason.DELETED_AT_DESTINATION)
MAKE_BACK = MakeContainer(Side.SOURCE, Reason.NEW_AT_DESTINATION)
MAKE_BACK_AGAIN = MakeContainer(Side.SOURCE, Reason.DELETED_AT_SOURCE)
MERGE = Enter(Reason.SAME_CONTENT)
VISIT = Enter(Reason.UNCHANGED)

# What containers do. They have no content, so they never conflict: equal names are merged.
CONTAINERS: Mapping[tuple[Change, Change], tuple[Cell, Cell, Cell, Cell]] = {
    # source        destination        sync                copy           publish        move, migrate, taxonomy
    (Change.NEW, Change.ABSENT):      (MAKE,               MAKE,          MAKE,          MAKE),
    (Change.ABSENT, Change.NEW):      (MAKE_BACK,          FOREIGN,       EXTRA,         FOREIGN),
    (Change.NEW, Change.NEW):         (MERGE,              MERGE,         MERGE,         MERGE),
    (Change.SAME, Change.SAME):       (VISIT,              VISIT,         VISIT,         VISIT),
    (Change.DELETED, Change.SAME):    (FOLLOW_SOURCE,      FOLLOW_SOURCE, FOLLOW_SOURCE, GONE_HERE),
    (Change.SAME, Change.DELETED):    (FOLLOW_DESTINATION, MAKE_AGAIN,    MAKE_AGAIN,    MAKE_AGAIN),
    (Change.DELETED, Change.DELETED): (FORGET,             FORGET,        FORGET,        FORGET),
    (Change.ABSENT, Change.ABSENT):   (FORGET,             FORGET,        FORGET,        FORGET),
}  # fmt: skip

_COLUMN = {
    TransferType.SYNC: 0,
    TransferType.COPY: 1,
    TransferType.PUBLISH: 2,
    TransferType.MOVE: 3,
    TransferType.MIGRATE: 3,
    TransferType.TAXONOMY: 3,
}

# Deletes that a policy stills, and what stands in the cell instead: for files, for containers.
_STILLED: Mapping[tuple[TransferType, DeletePropagation], Mapping[Cell, tuple[Cell, Cell]]] = {
    (TransferType.SYNC, DeletePropagation.MIRROR): {},
    (TransferType.SYNC, DeletePropagation.IGNORE_SOURCE): {FOLLOW_SOURCE: (GONE_HERE, MAKE_BACK_AGAIN)},
    (TransferType.SYNC, DeletePropagation.IGNORE_DESTINATION): {FOLLOW_DESTINATION: (GONE_THERE, MAKE_AGAIN)},
    (TransferType.SYNC, DeletePropagation.IGNORE_BOTH): {
        FOLLOW_SOURCE: (GONE_HERE, MAKE_BACK_AGAIN),
        FOLLOW_DESTINATION: (GONE_THERE, MAKE_AGAIN),
    },
    (TransferType.COPY, DeletePropagation.MIRROR): {},
    **{
        (TransferType.COPY, ignoring): {FOLLOW_SOURCE: (GONE_HERE, GONE_HERE)}
        for ignoring in DeletePropagation
        if ignoring is not DeletePropagation.MIRROR
    },
}

_SYNC_WINNERS = {
    ConflictResolution.COPY: Winner.BOTH,
    ConflictResolution.LATEST: Winner.LATEST,
    ConflictResolution.SOURCE: Winner.SOURCE,
    ConflictResolution.DESTINATION: Winner.DESTINATION,
    ConflictResolution.FAILURE: Winner.NOBODY,
}
_FIXED_WINNERS = {
    TransferType.PUBLISH: Winner.SOURCE,
    TransferType.MOVE: Winner.LATEST,
    TransferType.MIGRATE: Winner.SOURCE,
    TransferType.TAXONOMY: Winner.SOURCE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """All that ``decide`` may know besides the pair. Made by :func:`rules_for`, once an execution."""

    policies: Policies
    source: Limits
    destination: Limits
    started: int  # nanoseconds; ages count from it
    files: Cells
    containers: Cells
    winner: Winner  # both changed since the baseline, or one sync pair met another
    winner_unknown: Winner  # both there and nothing known of them
    guards: tuple[Guard, ...]  # only those that can fire
    judge_source: Judge | None
    judge_destination: Judge | None  # sync only
    judges_times: bool  # a filter asks for a time
    symlinks: Action | None  # None = carried as links
    overwrite_veto: Action | None
    time_precision: int  # nanoseconds, of the coarser side
    clock_bound: int  # nanoseconds; times of the two sides that lie closer do not tell which is newer. 0 = one clock
    max_attempts: int
    one_way: bool
    carries_files: bool  # taxonomy does not
    removes_source: bool  # after a Transfer, Stamp or Adopt is proved, the source's item goes
    trusts_baseline: bool  # a destination may be left unseen where the source is as the baseline says
    stamps_source: bool  # times or permissions can be carried there without content
    stamps_destination: bool
    skips_empty_containers: bool  # the engine's to do: after filters, make no container that would be empty


def rules_for(
    policies: Policies,
    source: Limits,
    destination: Limits,
    *,
    started: int,
    first_run: bool = False,
    one_clock: bool = False,
) -> Rules:
    """Work policies and limits into rules. Raises nothing: what cannot act was said when the job was made.

    ``started`` is nanoseconds since 1970. ``first_run``: no execution of this job that was not a simulation
    ended before. Then nobody can have changed anything since, and in one-way jobs conflict_resolution has
    nothing to say: item_overwrite alone does. ``one_clock``: both sides are one server, whatever its clock shows.
    """
    from tallyport.domain.guards import guards_for  # it needs Rules

    kind = policies.transfer_type
    one_way = kind is not TransferType.SYNC
    winner = _FIXED_WINNERS.get(kind) or _SYNC_WINNERS[policies.conflict_resolution]
    precision = max(source.time_precision, destination.time_precision)
    skew = 0 if one_clock else source.clock_skew + destination.clock_skew
    empties = kind in EMPTIES_SOURCE
    return Rules(
        policies=policies,
        source=source,
        destination=destination,
        started=started,
        files=_cells(FILES, policies, 0),
        containers=_cells(CONTAINERS, policies, 1),
        winner=winner,
        winner_unknown=Winner.SOURCE if first_run and kind is TransferType.COPY else winner,
        guards=guards_for(policies, source, destination),
        judge_source=judge_for(policies.filter_source, started=started),
        judge_destination=None if one_way else judge_for(policies.filter_destination, started=started),
        judges_times=asks_for_times(policies.filter_source) or asks_for_times(policies.filter_destination),
        symlinks=SYMLINKS[policies.symlinks],
        overwrite_veto=_OVERWRITE[policies.item_overwrite],
        time_precision=precision,
        clock_bound=skew + precision if skew else 0,
        max_attempts=policies.max_attempts,
        one_way=one_way,
        carries_files=kind is not TransferType.TAXONOMY,
        removes_source=empties,
        trusts_baseline=kind in (TransferType.COPY, TransferType.TAXONOMY) and not policies.full_look,
        stamps_source=not one_way and _stamps(policies, source),
        stamps_destination=_stamps(policies, destination),
        skips_empty_containers=policies.empty_containers is EmptyContainers.SKIP,
    )


def _stamps(policies: Policies, limits: Limits) -> bool:
    return (policies.timestamps and limits.sets_times) or limits.permissions


_OVERWRITE: Mapping[ItemOverwrite, Action | None] = {
    ItemOverwrite.OVERWRITE: None,
    ItemOverwrite.SKIP: Skip(Reason.IGNORED_OVERWRITE_POLICY),
    ItemOverwrite.FAIL: Flag(Reason.OVERWRITE_REFUSED, "something of this name is there, and item_overwrite is fail"),
}

SYMLINKS: Mapping[Symlinks, Action | None] = {
    Symlinks.COPY: None,
    Symlinks.FOLLOW_INSIDE: Flag(
        Reason.SYMLINK_REFUSED, "the symlink leads nowhere, out of the root, or back to a folder it lies in"
    ),
    Symlinks.SKIP: Skip(Reason.IGNORED_SYMLINK_POLICY),
    Symlinks.FAIL: Flag(Reason.SYMLINK_REFUSED, "the job does not take symlinks (symlinks: fail)"),
}

ADOPT = Adopt(Reason.SAME_CONTENT)


def _cells(
    table: Mapping[tuple[Change, Change], tuple[Cell, Cell, Cell, Cell]], policies: Policies, which: int
) -> Cells:
    kind = policies.transfer_type
    stilled = _STILLED.get((kind, policies.delete_propagation), {})
    cells: list[Cell] = [FORGET] * 36
    for (source, destination), row in table.items():
        cell = row[_COLUMN[kind]]
        cells[6 * source + destination] = stilled[cell][which] if cell in stilled else cell
    return tuple(cells)
