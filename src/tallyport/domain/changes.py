"""What happened on one side since the baseline, and whether two entries hold the same content."""

from enum import IntEnum

from tallyport.domain.entries import Entry, Fingerprint, Kind


class Change(IntEnum):
    """One side against its fingerprint. Containers are only ever absent, new, same or deleted."""

    ABSENT = 0  # not there, and never was
    NEW = 1  # there, and not known
    SAME = 2
    TOUCHED = 3  # size and time as before, but the platform's tag differs: the content may be the same
    MODIFIED = 4
    DELETED = 5  # was there, is gone


# Named here once: looking a member up in its enum costs more than all comparisons below together.
_ABSENT, _NEW, _SAME, _TOUCHED = Change.ABSENT, Change.NEW, Change.SAME, Change.TOUCHED
_MODIFIED, _DELETED = Change.MODIFIED, Change.DELETED
_CONTAINER, _SYMLINK = Kind.CONTAINER, Kind.SYMLINK


def change(entry: Entry | None, known: Fingerprint | None) -> Change:
    """Compare what a side shows with what it showed when the item was last settled."""
    if entry is None:
        return _ABSENT if known is None else _DELETED
    if known is None:
        return _NEW
    if entry.kind is _CONTAINER:
        return _SAME
    size, modified, tag = known
    if entry.size != size or entry.modified != modified:
        return _MODIFIED
    if entry.tag == tag or not tag or not entry.tag:
        return _SAME
    return _TOUCHED


def same_content(one: Entry, other: Entry, one_hash: bytes | None, other_hash: bytes | None) -> bool | None:
    """Tell whether two entries hold equal content: yes, no, or None when only a hash could tell."""
    if one.kind is not other.kind:
        return False
    if one.kind is _SYMLINK:
        return one.target == other.target
    if one.size != other.size:
        return False
    if one.size == 0:
        return True
    if one_hash is None or other_hash is None:
        return None
    return one_hash == other_hash


def same_time(one: int, other: int, precision: int) -> bool:
    """Tell whether two times are equal as far as a clock of this precision (nanoseconds) can show."""
    return abs(one - other) < precision
