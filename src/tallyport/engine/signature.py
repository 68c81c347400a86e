"""The signature of a container: what stood on both sides at the end of its last clean visit.

First a hash over all of it, equal as long as nothing changed. Behind it, of a container that is not huge, the names
with a hash of each entry: where the first hash differs, they tell which entries are still as they were, so that a
change costs the rows of what changed.
"""

import marshal
import struct
from array import array
from collections.abc import Collection
from typing import NamedTuple

from tallyport.connectors.hashing import digest
from tallyport.engine.opened import Opened
from tallyport.engine.passage import Listing

MOST = 2_000  # entries of a container whose listing is kept

_HASH = 16
_TOTALS = struct.Struct("<IIQ")  # items that are no containers, files, bytes of files
_SALT = 8
_RECORD = _HASH + _TOTALS.size + _SALT  # where the listing begins


class Changes(NamedTuple):
    """What is other than it was, by the listing that a signature holds."""

    positions: list[int]  # in the listing: entries that are new or changed
    gone: list[str]  # names that were there


def sign(visit: Opened, salt: bytes) -> bytes:
    """Sign what stands on both sides now, with the totals that need not be counted again."""
    listing = visit.listing
    if listing is None:
        raise AssertionError("signed after listing")
    others, files, size = listing.totals()
    signed = _seen(visit, listing, salt) + _TOTALS.pack(others & 0xFFFFFFFF, files & 0xFFFFFFFF, size)
    if not 0 < listing.count <= MOST:
        return signed
    return signed + digest(salt)[:_SALT] + _record(listing, visit.left)


def is_as_signed(visit: Opened, listing: Listing, signature: bytes, salt: bytes) -> bool:
    """Report a container as unchanged when it is as the last clean visit left it."""
    if len(signature) < _HASH + _TOTALS.size or signature[:_HASH] != _seen(visit, listing, salt):
        return False
    visit.unchanged, visit.s_files, visit.s_bytes = _TOTALS.unpack_from(signature, _HASH)
    visit.unchanged_bytes = visit.s_bytes
    visit.children = [(name, name, False, 0) for name in listing.containers() if name != visit.hidden]
    visit.signature = signature
    return True


def changes_since(listing: Listing, signature: bytes, salt: bytes) -> Changes | None:
    """Say what changed in a listing since it was signed under the same rules; None where that is not known.

    What is not said to be changed was settled on both sides at the end of that visit, and its row says so.
    """
    is_known = len(signature) > _RECORD and signature[_RECORD - _SALT : _RECORD] == digest(salt)[:_SALT]
    if not is_known or listing.count > MOST:
        return None
    try:
        before, raw = marshal.loads(signature[_RECORD:])
        marks_before = array("q", raw)
    except (EOFError, TypeError, ValueError):  # written by a program that is not this one
        return None
    if len(marks_before) != len(before):
        return None
    names, marks = list(listing.names()), listing.marks()
    if names == before:
        gone: list[str] = []
        positions = [at for at, mark in enumerate(marks) if mark != marks_before[at]]
    else:
        known = dict(zip(before, marks_before, strict=True))
        positions = [at for at, name in enumerate(names) if known.pop(name, None) != marks[at]]
        gone = list(known)
    return Changes(positions, gone)


def _record(listing: Listing, left: Collection[str]) -> bytes:
    """Write a listing down, but for what was left out by the rules: that is decided on each time."""
    names, marks = list(listing.names()), listing.marks()
    if left:
        kept = [at for at, name in enumerate(names) if name not in left]
        names, marks = [names[at] for at in kept], array("q", [marks[at] for at in kept])
    return marshal.dumps((names, marks.tobytes()), 2)


def _seen(visit: Opened, listing: Listing, salt: bytes) -> bytes:
    own = visit.container
    if own is None:
        raise AssertionError("a container that is not there is not signed")
    facts = f"{own.modified} {own.mode} {own.owner} {own.group}".encode()
    identity = visit.crossing.identity(has_containers=bool(listing.containers()))
    return digest(b"".join((salt, listing.digest(), digest(facts), identity)))
