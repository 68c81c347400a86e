"""What a connector sees, what we remember of it, and the pair that a decision looks at.

Times are nanoseconds since 1970 UTC in ``int``, sizes bytes in ``int``. ``None`` means the platform has no
such fact. The classes are named tuples: they are made a million times in one run.
"""

from enum import IntEnum, StrEnum
from typing import NamedTuple


class Kind(IntEnum):
    """What an entry is. The number is stored."""

    FILE = 1  # content in bytes
    CONTAINER = 2  # holds entries
    SYMLINK = 3  # text that names another entry; never followed out of the root
    SPECIAL = 4  # FIFO, socket or device: reported, never opened


class Side(StrEnum):
    """One end of a job."""

    SOURCE = "source"
    DESTINATION = "destination"

    @property
    def other(self) -> "Side":
        return Side.DESTINATION if self is Side.SOURCE else Side.SOURCE


class Fingerprint(NamedTuple):
    """Cheap facts that reveal change. Compared only with a fingerprint of the same side.

    ``tag`` is the platform's own token (ETag; on POSIX inode and ctime), opaque, empty where there is none.
    """

    size: int
    modified: int
    tag: bytes = b""


class Entry(NamedTuple):
    """One file or container as a connector sees it now."""

    name: str
    kind: Kind
    size: int = 0
    modified: int = 0
    tag: bytes = b""
    mode: int | None = None  # POSIX permission bits, 12 bits
    owner: str | int | None = None
    group: str | int | None = None
    links: int = 1  # hard links; above 1 the file may be one of a group
    link_id: tuple[int, int] | None = None  # (device, inode), only when links > 1
    target: str | None = None  # text of a symlink
    hash: bytes | None = None  # content hash in the job's algorithm, only when the platform gives it freely
    created: int | None = None
    accessed: int | None = None
    shared: bool = False  # shared with the account, not owned by it
    hidden: bool = False
    sparse: bool = False  # allocates less than its size
    glimpsed: bool = False  # as a cheap listing shows it: ``modified`` is another clock's, other facts are not known
    contents: int = 0  # that a file has, earlier ones and the present one; 0 = nobody counted them


class Baseline(NamedTuple):
    """Both fingerprints as of the last settled state. A missing side was never settled."""

    source: Fingerprint | None
    destination: Fingerprint | None
    hash: bytes | None = None  # content hash both sides had then


class Pair(NamedTuple):
    """Everything about one path that a decision may see.

    ``facts_asked`` holds the sides whose hash was fetched on request: asked once, never again. Without
    ``destination_seen`` the destination was not looked at, and ``destination`` None says nothing. A baseline is
    there only when an action on the item succeeded; a record of another kind than the entry is no baseline.
    """

    path: str  # of the source side, from the root
    source: Entry | None
    destination: Entry | None
    baseline: Baseline | None = None
    facts_asked: frozenset[Side] = frozenset()
    attempts: int = 0  # failed tries so far, over all executions
    flagged: bool = False
    ignored: bool = False
    destination_seen: bool = True


def fingerprint(entry: Entry) -> Fingerprint:
    """Take the fingerprint of an entry."""
    return Fingerprint(entry.size, entry.modified, entry.tag)
