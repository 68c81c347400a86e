"""The signature of a container: one hash over what stands on both sides, equal as long as nothing changed."""

import struct

from tallyport.connectors.hashing import digest
from tallyport.engine.opened import Opened
from tallyport.engine.passage import Listing

_TOTALS = struct.Struct("<IIQ")  # ends a signature: items that are no containers, files, bytes of files


def sign(visit: Opened, salt: bytes) -> bytes:
    """Sign what stands on both sides now: 16 bytes, and the totals that need not be counted again."""
    listing = visit.listing
    if listing is None:
        raise AssertionError("signed after listing")
    others, files, size = listing.totals()
    return _seen(visit, listing, salt) + _TOTALS.pack(others & 0xFFFFFFFF, files & 0xFFFFFFFF, size)


def is_as_signed(visit: Opened, listing: Listing, signature: bytes, salt: bytes) -> bool:
    """Report a container as unchanged when it is as the last clean visit left it."""
    if len(signature) != 16 + _TOTALS.size or signature[:16] != _seen(visit, listing, salt):
        return False
    visit.unchanged, visit.s_files, visit.s_bytes = _TOTALS.unpack_from(signature, 16)
    visit.unchanged_bytes = visit.s_bytes
    visit.children = [(name, name, False, 0) for name in listing.containers()]
    visit.signature = signature
    return True


def _seen(visit: Opened, listing: Listing, salt: bytes) -> bytes:
    own = visit.container
    if own is None:
        raise AssertionError("a container that is not there is not signed")
    facts = f"{own.modified} {own.mode} {own.owner} {own.group}".encode()
    identity = visit.crossing.identity(has_containers=bool(listing.containers()))
    return digest(b"".join((salt, listing.digest(), digest(facts), identity)))
