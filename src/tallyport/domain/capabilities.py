"""What a connection can do and how much.

Abilities are derived from what a connector class implements (``connectors/protocol.py``); numbers and truths
are declared here per platform.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class VerifyLevel(IntEnum):
    """How an item was proved, weakest first. The name is shown, the number is stored."""

    NONE = 0  # nothing was written (skipped, adopted by fingerprint)
    SIZE = 1  # size at the destination equals
    ACK = 2  # the destination reported the hash
    HASH = 3  # the same hash over the bytes read and the bytes written, while moving
    READBACK = 4  # read again from the destination, possibly from its cache
    COLD = 5  # read again after flush and eviction


class Durability(StrEnum):
    """When a written item may be called done."""

    NONE = "none"  # no sync; survives the process, not the machine
    GROUP = "group"  # one sync for a group of items, then renames, then one folder sync, then the ledger
    EACH = "each"  # every item synced by itself


class LengthUnit(StrEnum):
    """What a platform counts the length of a name in."""

    BYTES = "bytes"  # of UTF-8
    UTF16 = "utf16"  # code units
    CHARACTERS = "characters"  # code points


UNMEASURED_SKEW = 2_000_000_000  # nanoseconds; clocks that are set over the network agree better than this


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Numbers and truths of one platform, corrected per connection by a probe."""

    time_precision: int = 1  # nanoseconds; 1 = exact
    clock_skew: int = 0  # nanoseconds by which its clock may be off this machine's; 0 = it is this machine's
    max_size: int | None = None  # bytes of one file
    max_name: int = 255  # of one segment, in ``name_unit``
    max_path: int | None = None  # of a whole path, in ``name_unit``
    name_unit: LengthUnit = LengthUnit.BYTES
    case_sensitive: bool = True
    forbidden_characters: str = "/\0"
    reserved_names: frozenset[str] = frozenset()  # lower case; refused alone and before a dot (``con.txt``)
    unicode_only: bool = False  # refuses names whose bytes are not UTF-8
    forbidden_endings: str = ""  # characters a name may not end with
    normalises_names: bool = False  # the platform changes NFC/NFD
    slow_hash: bool = True  # a hash costs a read of the content
    lists_sorted: bool = False
    versions: bool = False
    max_versions: int | None = None  # contents of one file that are kept, the current one among them
    symlinks: bool = False
    hard_links: bool = False  # several names of one file, that can be told and made
    permissions: bool = False
    owners: bool = False
    locks: bool = False
    sets_times: bool = True  # an item's time of last change can be given to it
    refused_extensions: frozenset[str] = frozenset()  # lower case, no dot: file types the platform refuses
    best_verify: VerifyLevel = VerifyLevel.COLD
    atomic_replace: bool = True
    creates_only: bool = True  # a write that must be new never replaces, whoever else writes
    replaces_checked: bool = True  # a write over a known entry never replaces another
    dates_containers: bool = True  # a container's time can be set and is kept
    hash_types: tuple[str, ...] = ()  # hashes the platform reports: md5, sha256, crc32c, ...
    checks_way: bool = True  # what is damaged on its way is refused: TLS, SSH, signatures, hashes
    checks_ranges: bool = True  # in a range that is read, too: a hash of the whole says nothing of it
    acknowledges: bool = False  # a write is compared with a hash that the platform reports (level ack)
    part_min: int = 1  # bytes of a part of an upload
    part_max: int | None = None
    parts_max: int | None = None
    lists_at_once: bool = True  # what was written is listed at once
    containers_implied: bool = False  # there while something is in it; only an empty one has to be made
