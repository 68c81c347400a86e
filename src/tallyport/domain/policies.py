"""The user's choices: one enum per policy, and the frozen bundle a job runs under.

Words follow the public transfer block; the glossary says what each means. Reading a transfer block and the
defaults by transfer type are in ``domain/transfer_block.py``.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from tallyport.domain.capabilities import Durability, VerifyLevel
from tallyport.domain.imports import ImportSource
from tallyport.domain.properties import PropertyMapping


class TransferType(StrEnum):
    COPY = "copy"  # one way; the source is never changed
    SYNC = "sync"  # both ways
    PUBLISH = "publish"  # one way; the destination mirrors the source, extras are deleted
    MOVE = "move"  # one way; the source is emptied after everything is verified
    MIGRATE = "migrate"  # one way; each source item is deleted once verified
    TAXONOMY = "taxonomy"  # containers only


class AuditLevel(StrEnum):
    NONE = "none"
    TRACE = "trace"
    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class Split(StrEnum):
    NONE = "none"
    AUTO = "auto"  # at its first run, into as many parts as the measured weight of the source asks for


class BatchMode(StrEnum):
    NONE = "none"
    INITIAL = "initial"
    ALWAYS = "always"


class ConflictResolution(StrEnum):
    COPY = "copy"  # keep both
    LATEST = "latest"
    SOURCE = "source"
    DESTINATION = "destination"
    FAILURE = "failure"  # flag the file


class DeletePropagation(StrEnum):
    MIRROR = "mirror"
    IGNORE_SOURCE = "ignore_source"
    IGNORE_DESTINATION = "ignore_destination"
    IGNORE_BOTH = "ignore_both"


class FailurePolicy(StrEnum):
    CONTINUE = "continue"
    HALT = "halt"


class LargeItem(StrEnum):
    FAIL = "fail"
    SKIP = "skip"


class LockPropagation(StrEnum):
    IGNORE = "ignore"
    MIRROR_LOCK = "mirror_lock"
    MIRROR_OWNER = "mirror_owner"


class PermissionsPolicy(StrEnum):
    NONE = "none"
    ADD = "add"
    DIFF = "diff"


class PermissionsFailures(StrEnum):
    EXCEPTIONS = "exceptions"
    DENY = "deny"
    ALL = "all"
    NONE = "none"


class PropertiesPolicy(StrEnum):
    AUTO = "auto"  # as permissions.policy: added when that is not none
    NONE = "none"
    ADD = "add"  # added at the destination, none removed


class SpecialBits(StrEnum):
    """setuid, setgid, sticky and file capabilities, between folders of one machine."""

    NONE = "none"
    RESTORE = "restore"


class TagsPolicy(StrEnum):
    NONE = "none"
    ADD = "add"


class EmptyContainers(StrEnum):
    CREATE = "create"
    SKIP = "skip"


class DuplicateNames(StrEnum):
    RENAME = "rename"
    WARN = "warn"


class ItemOverwrite(StrEnum):
    OVERWRITE = "overwrite"
    SKIP = "skip"
    FAIL = "fail"


class RestrictedContent(StrEnum):
    CONVERT = "convert"
    FAIL = "fail"
    WARN = "warn"
    SKIP = "skip"


class VersioningPreserve(StrEnum):
    NATIVE = "native"
    NONE = "none"


class VersioningSelect(StrEnum):
    ALL = "all"
    LATEST = "latest"


class OnInitialize(StrEnum):
    NONE = "none"
    PURGE_DESTINATION = "purge_destination"


class ItemInspection(StrEnum):
    NONE = "none"
    FILTERED = "filtered"
    SHARED = "shared"
    ALL = "all"


class Symlinks(StrEnum):
    COPY = "copy"  # as a link
    FOLLOW_INSIDE = "follow_inside"  # as what it names, when that lies inside the root
    SKIP = "skip"
    FAIL = "fail"


LIVE = ("parallel_writes", "parallel_writes_max", "upload", "download", "max_deletes", "max_delete_percent")
"""Policies that a running execution takes up when its job is changed; all others stay as it began with them."""

UNDECIDING = (*LIVE, "split", "quarantine_days", "audit_level", "batch_mode", "failure_policy", "durability")
"""Policies that no decision on an item depends on: a change of them makes no settled item look new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BandwidthWindow:
    """From ``starts`` (seconds after the execution's start) to midnight of that day, at most this rate."""

    starts: float
    bytes_per_second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Bandwidth:
    """Rate limit of one direction. ``None`` is unlimited."""

    bytes_per_second: int | None = None
    windows: tuple[BandwidthWindow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterRule:
    """One rule inside a filter block; ``type`` names it, the other fields are its parameters."""

    type: str  # extension pattern size date shared hidden group path
    extensions: tuple[str, ...] = ()
    text: str = ""
    targets: tuple[str, ...] = ()
    min: int | None = None
    max: int | None = None
    range_type: str = "day"
    value: int | None = None
    since: int | None = None  # nanoseconds
    until: int | None = None  # nanoseconds
    groups: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterBlock:
    """Rules under one action: ``include`` keeps what matches any rule, ``exclude`` drops it."""

    action: str  # include exclude
    rules: tuple[FilterRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policies:
    """Every choice of one job, defaults filled in. Frozen into an execution when it starts."""

    transfer_type: TransferType = TransferType.SYNC
    audit_level: AuditLevel = AuditLevel.INFO
    batch_mode: BatchMode = BatchMode.ALWAYS
    conflict_resolution: ConflictResolution = ConflictResolution.COPY
    delete_propagation: DeletePropagation = DeletePropagation.MIRROR
    failure_policy: FailurePolicy = FailurePolicy.CONTINUE
    large_item: LargeItem = LargeItem.FAIL
    lock_propagation: LockPropagation = LockPropagation.IGNORE
    max_items_per_container: int | None = 10_000  # None = no limit
    parallel_writes: int = 2
    parallel_writes_max: int | None = None
    split: Split = Split.NONE
    upload: Bandwidth = field(default_factory=Bandwidth)
    download: Bandwidth = field(default_factory=Bandwidth)
    permissions_policy: PermissionsPolicy = PermissionsPolicy.NONE
    permissions_links: bool = False
    permissions_failures: PermissionsFailures = PermissionsFailures.EXCEPTIONS
    preserve_owners: bool = False
    properties: PropertiesPolicy = PropertiesPolicy.AUTO
    metadata_map: tuple[PropertyMapping, ...] = ()
    tags: TagsPolicy = TagsPolicy.NONE
    special_bits: SpecialBits = SpecialBits.NONE
    source_account: str = ""  # as whom the connection of that side is to act (impersonate_as)
    destination_account: str = ""
    timestamps: bool = True
    empty_containers: EmptyContainers = EmptyContainers.CREATE
    duplicate_names: DuplicateNames = DuplicateNames.RENAME
    item_overwrite: ItemOverwrite = ItemOverwrite.OVERWRITE
    restricted_content: RestrictedContent = RestrictedContent.CONVERT
    segment_transform: bool = True
    encode_invalid_characters: bool = False
    segment_truncate: bool = False
    names_from: str | None = None  # id of the job that wrote the source: what it renamed gets its original name again
    versioning_preserve: VersioningPreserve = VersioningPreserve.NATIVE
    versioning_select: VersioningSelect = VersioningSelect.ALL
    versioning_from_source_max: int | None = None
    versioning_from_destination_max: int | None = None
    filter_source: tuple[FilterBlock, ...] = ()
    filter_destination: tuple[FilterBlock, ...] = ()
    simulation: bool = False
    on_initialize: OnInitialize = OnInitialize.NONE
    item_inspection: ItemInspection = ItemInspection.NONE
    symlinks: Symlinks = Symlinks.COPY
    # ours
    verify: VerifyLevel = VerifyLevel.HASH
    durability: Durability = Durability.GROUP
    quarantine: str | None = None
    quarantine_days: float | None = None  # after which a server empties the quarantine of a run; None = never
    max_attempts: int = 3
    max_deletes: int = 1_000
    max_delete_percent: float = 25.0
    permissions_import: ImportSource | None = None  # grants come from there, and not from the source's items
    metadata_import: ImportSource | None = None  # properties come from there too
    full_look: bool = False  # list the destination even where the baseline could be trusted

    @property
    def parallel_at_most(self) -> int:
        """Writes at one time: those requested, within the job's own maximum."""
        most = self.parallel_writes_max
        return self.parallel_writes if most is None else min(self.parallel_writes, most)
