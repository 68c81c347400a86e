"""A lock or check-out that somebody holds on an item, and what becomes of one that a job made again."""

import uuid
from enum import StrEnum
from typing import NamedTuple

from tallyport.domain.access import Principal
from tallyport.domain.entries import Side

_OURS = uuid.UUID("5a0b6c1e-4d0f-5e0a-9d55-1f6f1d2c7b31")  # name space of the marks


class Lock(NamedTuple):
    """Who keeps others from changing an item."""

    owner: Principal | None = None  # None: the platform does not say
    until: int | None = None  # nanoseconds since 1970; None: until it is taken away
    token: str = ""  # the platform's own name of the lock
    mark: str = ""  # ours, by which a job knows its own locks again; empty: somebody else's, or not told


class Fate(StrEnum):
    """What becomes of a lock of ours."""

    KEEP = "keep"
    RENEW = "renew"  # it ended of itself, or is in the name of somebody who holds the source's no more
    RELEASE = "release"  # the source gave its lock up


def mark_of(job: str, side: Side, path: str) -> str:
    """Name the lock that a job sets at one side, on the item that has this path at the source.

    The same each time: a process that was killed between a lock and the ledger's row of it finds its own lock.
    """
    return str(uuid.uuid5(_OURS, f"{job} {side} ".encode().hex() + path.encode("utf-8", "surrogatepass").hex()))


def fate(*, given: Lock | None, held: Lock | None, owner: Principal | None = None) -> Fate:
    """Say what becomes of a lock of ours, by the one that is given (of the item it was made after) and the one held.

    ``owner`` is in whose name it is to be; None asks for nobody.
    """
    if given is None:
        return Fate.RELEASE
    if held is None:
        return Fate.RENEW
    is_anothers = owner is not None and held.owner is not None and not _is_one(owner, held.owner)
    return Fate.RENEW if is_anothers else Fate.KEEP


def _is_one(one: Principal, other: Principal) -> bool:
    """Tell whether two are one, by whichever text both have; platforms keep some of them alone."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in ("id", "name", "email", "username")]
    said = [asked == there for asked, there in pairs if asked and there]
    return any(said) or not said
