"""What may be done with one item, each with its reason from a closed list.

An action is a value; nothing here acts. ``Action`` is a closed union, matched exhaustively by the engine.
"""

from enum import StrEnum
from typing import NamedTuple

from tallyport.domain.entries import Side


class Reason(StrEnum):
    """Why an item got its action or its outcome. Stored, shown and documented; never renamed.

    Words that begin with ``ignored_`` follow the public vocabulary of ignore reasons.
    """

    # -- nothing to do
    UNCHANGED = "unchanged"  # neither side moved since the baseline
    SAME_CONTENT = "same_content"  # both sides hold it, equal; adopted without a transfer
    DELETED_BOTH = "deleted_both"  # gone from both sides; forgotten
    DELETED_AT_DESTINATION = "deleted_at_destination"  # one-way: not made again until the source changes
    DESTINATION_CHANGED = "destination_changed"  # one-way: changed at the destination alone
    DESTINATION_NEWER = "destination_newer"  # one-way: both changed, the newer one is there already
    DESTINATION_WINS = "destination_wins"  # one-way: both changed, conflict_resolution keeps the destination's
    STAYS_FLAGGED = "stays_flagged"  # failed before and not worth another try until a person asks for one
    # -- something to do
    NEW_AT_SOURCE = "new_at_source"
    NEW_AT_DESTINATION = "new_at_destination"
    CHANGED_AT_SOURCE = "changed_at_source"
    CHANGED_AT_DESTINATION = "changed_at_destination"
    METADATA_CHANGED = "metadata_changed"  # content equal, times or permissions differ
    DELETED_AT_SOURCE = "deleted_at_source"
    RETRIED = "retried"  # a person asked for it again
    LINKED = "linked"  # made as a hard link of its group
    MOVED = "moved"  # transferred and verified, then removed from the source
    CHANGED_BOTH = "changed_both"  # both sides changed; settled by conflict_resolution or the transfer type
    NOT_AT_SOURCE = "not_at_source"  # publish: the destination mirrors the source, extras go
    PURGED = "purged"  # on_initialize: stood at the destination before the first run
    # -- left out
    IGNORED_ONE_WAY_TRANSFER = "ignored_one_way_transfer"
    IGNORED_OVERWRITE_POLICY = "ignored_overwrite_policy"
    IGNORED_LARGE_ITEM_POLICY = "ignored_large_item_policy"
    IGNORED_EMPTY_CONTAINER_POLICY = "ignored_empty_container_policy"
    IGNORED_ITEM_TYPE = "ignored_item_type"  # FIFO, socket, device
    IGNORED_SYMLINK_POLICY = "ignored_symlink_policy"
    IGNORED_EXTENSION = "ignored_extension"
    IGNORED_PATTERN = "ignored_pattern"
    IGNORED_SIZE = "ignored_size"
    IGNORED_DATE = "ignored_date"
    IGNORED_SHARED = "ignored_shared"
    IGNORED_HIDDEN = "ignored_hidden"
    IGNORED_PREDEFINED = "ignored_predefined"
    IGNORED_PATH = "ignored_path"
    IGNORED_MATCH_FAIL = "ignored_match_fail"  # matches no rule of an include block
    IGNORED_RESTRICTED_CONTENT_POLICY = "ignored_restricted_content_policy"
    IGNORED_DUPLICATE_NAME = "ignored_duplicate_name"  # its name is taken at the destination
    IGNORED_BY_USER = "ignored_by_user"
    NOT_EMPTY = "not_empty"  # a container that was to go, and in which something stays
    # -- went wrong
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    PERMISSION_DENIED = "permission_denied"
    LOCKED = "locked"
    INVALID_NAME = "invalid_name"
    TOO_LARGE = "too_large"
    UNSUPPORTED = "unsupported"
    CORRUPT = "corrupt"
    CHANGED_DURING_COPY = "changed_during_copy"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    TIMEOUT = "timeout"
    UNAUTHENTICATED = "unauthenticated"
    NO_SPACE = "no_space"
    READ_ONLY = "read_only"
    IO_ERROR = "io_error"
    CONFIG = "config"
    CANCELLED = "cancelled"
    UNEXPECTED = "unexpected"
    CONFLICT = "conflict"
    TIMES_TOO_CLOSE = "times_too_close"  # the newer one should win, and two clocks cannot tell which it is
    KIND_CONFLICT = "kind_conflict"  # a file where the other side has a container, or the reverse
    TOO_MANY_ITEMS = "too_many_items"  # container above max_items_per_container
    NOT_LISTED = "not_listed"  # its container could not be listed: unknown, so nothing is done below it
    SYMLINK_REFUSED = "symlink_refused"
    OVERWRITE_REFUSED = "overwrite_refused"


# How a settled item counts: known equal, gone from a side, or else carried.
EQUAL = frozenset({Reason.UNCHANGED, Reason.SAME_CONTENT, Reason.DESTINATION_CHANGED})
GONE = frozenset(
    {Reason.PURGED, Reason.NOT_AT_SOURCE, Reason.DELETED_AT_SOURCE, Reason.DELETED_AT_DESTINATION, Reason.MOVED}
)


class Transfer(NamedTuple):
    """Carry content and metadata to one side. ``keep_as`` first renames what is there."""

    to: Side
    reason: Reason
    name: str | None = None  # name at the receiving side when it is not the item's own
    replaces: bool = False  # something is there and is to be replaced
    keep_as: str | None = None


class MakeContainer(NamedTuple):
    """Make a container on one side, then visit it."""

    to: Side
    reason: Reason
    name: str | None = None


class Enter(NamedTuple):
    """The container stands on both sides, or need not be made: visit it."""

    reason: Reason


class Stamp(NamedTuple):
    """Content is equal; carry times and permissions only."""

    to: Side
    reason: Reason


class Adopt(NamedTuple):
    """Both sides are equal: remember their fingerprints, write nothing."""

    reason: Reason


class Delete(NamedTuple):
    """Remove from one side. Carried out after everything else, within the delete brake.

    A container is visited first, with the other side as absent, and goes when it is empty at the end. With
    ``MOVED`` the record must say that the item was verified at the job's level; else it stays.
    """

    side: Side
    reason: Reason


class Forget(NamedTuple):
    """Gone from both sides: drop the record."""

    reason: Reason


class Skip(NamedTuple):
    """Leave alone, on purpose."""

    reason: Reason


class Flag(NamedTuple):
    """Ask a person: counts as failed."""

    reason: Reason
    message: str = ""


class Inspect(NamedTuple):
    """A fact is missing: fetch the content hash of these sides and decide again."""

    sides: frozenset[Side]


class Look(NamedTuple):
    """A side was not looked at, or only glimpsed, and must be seen: fetch its entry and decide again."""

    side: Side = Side.DESTINATION


Action = Transfer | MakeContainer | Enter | Stamp | Adopt | Delete | Forget | Skip | Flag | Inspect | Look
