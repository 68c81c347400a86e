"""The seam between the engine and every platform.

A connector is one account on one platform, seen as a tree below a root. It holds no policy, no retry and no
knowledge of jobs; layers (``layers.py``) add what is common. Every error that leaves a connector is a
:class:`~tallyport.domain.errors.TallyportError` with a kind. All methods may be called from several threads.
Paths are those of ``domain/paths.py``; the root is the empty text.
"""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, runtime_checkable

from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Entry


class Facts(NamedTuple):
    """What travels with the content. ``None`` leaves a fact as the platform sets it."""

    size: int | None = None  # announced size; a writer that gets another number of bytes stores nothing
    modified: int | None = None  # nanoseconds
    mode: int | None = None
    owner: str | int | None = None
    group: str | int | None = None
    hash: bytes | None = None  # xxh3-128 of the whole content when it is known before the write


class Precondition(NamedTuple):
    """What must hold at the destination when the write becomes visible; broken ⇒ ``ALREADY_EXISTS``."""

    absent: bool = False  # nothing of that name
    entry: Entry | None = None  # still this very entry


ANYTHING = Precondition()  # whatever is there


@runtime_checkable
class Connector(Protocol):
    """What every platform can do."""

    limits: Limits
    location: str  # native root for people: ``/mnt/share``, ``s3://bucket/prefix``; no secret in it

    def stat(self, path: str) -> Entry | None:
        """Give the entry, or None when nothing is there."""

    def children(self, path: str) -> Iterator[Entry]:
        """Give each child once, in any order, our temporaries hidden. Raises rather than give a partial list."""

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[Iterator[bytes]]:
        """Open the content from ``offset``; chunks of any size up to 1 MiB."""

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        """Store content; invisible until complete, all or nothing. Gives the entry as stored."""

    def make_container(self, path: str, facts: Facts) -> Entry:
        """Make it; a container that is there already is success, anything else of that name is ALREADY_EXISTS."""

    def delete(self, path: str, *, expect: Entry | None = None) -> None:
        """Remove a file, symlink or *empty* container. Gone already is success.

        With ``expect``, nothing is removed unless its fingerprint still holds (``CHANGED_DURING_COPY``).
        """

    def close(self) -> None:
        """Release what is held. Calling twice is harmless."""


@runtime_checkable
class Stamps(Protocol):
    """Can set times, mode and owners of what exists."""

    def stamp(self, path: str, facts: Facts) -> Entry: ...


@runtime_checkable
class Moves(Protocol):
    """Can rename inside the connection. Replaces nothing: a taken name is ALREADY_EXISTS."""

    def rename(self, path: str, to: str) -> Entry: ...


@runtime_checkable
class Hashes(Protocol):
    """Can give the xxh3-128 of content (see ``domain.hashing``) more cheaply than a transfer, or by reading it."""

    def content_hash(self, path: str) -> bytes: ...


@runtime_checkable
class Links(Protocol):
    """Knows symlinks and hard links."""

    def make_symlink(self, path: str, target: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry: ...

    def make_hard_link(self, path: str, existing: str, *, when: Precondition = ANYTHING) -> Entry: ...


@runtime_checkable
class Syncs(Protocol):
    """Can make what was written durable."""

    def sync(self) -> None: ...


@runtime_checkable
class Sweeps(Protocol):
    """Can remove temporaries that a crash left in one container. Only names that carry ``token`` are touched."""

    def sweep(self, path: str, token: str) -> int: ...
