"""The seam between the engine and every platform.

A connector is one account on one platform, seen as a tree below a root. It holds no policy, no retry and no
knowledge of jobs; layers (``layers/``) add what is common. Every error that leaves a connector is a
:class:`~tallyport.domain.errors.TallyportError` with a kind. All methods may be called from several threads.
Paths are those of ``domain/paths.py``; the root is the empty text.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, runtime_checkable

from tallyport.domain.access import Access, Principal
from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Entry
from tallyport.domain.errors import TallyportError
from tallyport.domain.locks import Lock
from tallyport.domain.versions import Version


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


class Page(NamedTuple):
    """Some entries of a container and where to go on."""

    entries: tuple[Entry, ...]
    cursor: str | None  # storable; None = this was the last page


class SmallRead(NamedTuple):
    """One file to be read whole."""

    path: str
    entry: Entry  # as it was seen: the content of that very entry is wanted. Given back never glimpsed: as it is now
    mark: Any = None  # what its caller knows it by


def _free() -> None:
    """Let everything be written."""


class SmallWrite(NamedTuple):
    """One file whose whole content is in memory."""

    path: str
    content: bytes
    facts: Facts
    when: Precondition
    mark: Any = None  # what its caller knows it by
    guard: Callable[[], None] = _free  # asked right before it is sent; what it raises is what comes of it


Read = tuple[SmallRead, bytes | TallyportError]
Written = tuple[SmallWrite, Entry | TallyportError]


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


@runtime_checkable
class Pages(Protocol):
    """Lists a container in pages whose place can be stored and taken up by another process."""

    def page(self, path: str, cursor: str | None = None) -> Page:
        """Give the next entries. A cursor that the platform forgot is ``CHANGED_DURING_COPY``: begin again."""


@runtime_checkable
class Pins(Protocol):
    """Reads one content to its end, whatever is written meanwhile: nobody has to look again afterwards."""

    def read_entry(
        self, path: str, entry: Entry, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Open the content of that very entry. Another one, or none, is ``CHANGED_DURING_COPY``."""


@runtime_checkable
class Glimpses(Protocol):
    """Lists a container for less than ``children``, where that has to look at each item."""

    def glimpses(self, path: str) -> Iterator[Entry]:
        """Give each child once, as ``children`` does, but glimpsed where more would cost more.

        Glimpsed are files with one name. Such an entry has its name, its size and its tag. Its ``modified`` is another
        one after each change of the item, of its metadata too; nothing else of it is known.
        """

    def look_many(self, paths: Sequence[str]) -> Sequence[Entry | None]:
        """Look at several files, in the order they are asked for. What is no file any more is None."""


@runtime_checkable
class Bunches(Protocol):
    """Reads and writes many small files on the calling thread, with several requests on their way at once.

    What comes of each is given as it comes, in any order; one that fails does not stop the others. None among what is
    asked for says that no more may begin before one has ended; None is given back where none is under way.
    """

    def read_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        """Read files, each as ``Pins.read_entry`` does.

        One that was only glimpsed is given back with its entry as it was seen with the content.
        """

    def write_many(self, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
        """Write files, each as ``write`` does."""


@runtime_checkable
class Copies(Protocol):
    """Can copy content inside the connection without moving it through us."""

    def copy(self, path: str, to: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        """Copy a file; invisible until complete. Facts that are None stay as the platform copies them."""


@runtime_checkable
class Uploads(Protocol):
    """Takes a big file in parts, from any worker and in any order, and goes on after a crash.

    Part sizes keep to ``limits.part_min``, ``part_max`` and ``parts_max``; only the last may be shorter.
    """

    def begin_upload(self, path: str, facts: Facts, *, token: str) -> str:
        """Open an upload and give its handle: text, storable, at most 2 000 characters.

        ``token`` is the execution's: what is left behind by a crash before the handle was stored is swept by it.
        """

    def put_part(self, path: str, handle: str, number: int, offset: int, content: Iterable[bytes], size: int) -> bytes:
        """Store part ``number`` (from 0), which starts at ``offset``; the same part again replaces it.

        Gives a receipt of at most 200 bytes, needed to finish. Another number of bytes than ``size`` stores nothing.
        """

    def finish_upload(
        self, path: str, handle: str, receipts: Sequence[bytes], facts: Facts, *, when: Precondition = ANYTHING
    ) -> Entry:
        """Make the whole visible at once. A handle that is gone is NOT_FOUND."""

    def abandon_upload(self, path: str, handle: str) -> None:
        """Free what the parts take. Gone already is success."""


@runtime_checkable
class Forgets(Protocol):
    """Finds uploads of a file that were opened and got no part: a crash came before their handle was stored.

    For platforms whose open uploads carry no ``token`` of ours, so that a sweep cannot know them.
    """

    def forget_uploads(self, path: str) -> int:
        """Abandon them. Asked for only where an upload of this file may have been begun so."""


@runtime_checkable
class Versions(Protocol):
    """Keeps earlier contents of a file. Writing one content after the other makes versions."""

    def versions(self, path: str) -> Sequence[Version]:
        """Give all contents, oldest first, the current one last."""

    def read_version(
        self, path: str, version: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]: ...


@runtime_checkable
class Counts(Protocol):
    """Counts beside a listing how many contents each file has, for less than ``versions`` of each."""

    def counted(self, path: str, *, glimpsed: bool = False) -> Iterator[Entry]:
        """Give each child once, as ``children`` does, files with the number of ``versions`` as their ``contents``.

        With ``glimpsed`` as ``glimpses`` does, where there are any. A file that came or went while both were
        looked at, or that the platform refuses to count, is given without a number (0).
        """


@runtime_checkable
class Grants(Protocol):
    """Knows who may do what."""

    def access(self, path: str) -> Access: ...

    def set_access(self, path: str, access: Access, *, remove_others: bool = False) -> Access:
        """Set owner and group where they are not None, and add the grants; gives all as read back.

        ``remove_others`` also takes away grants of the item's own that ``access`` lacks. What the platform did
        not keep is found by comparing: it is no error.
        """


@runtime_checkable
class Principals(Protocol):
    """Can look accounts and groups up."""

    def principals(self, like: Principal) -> Iterator[Principal]:
        """Give the principals of that kind which have each text that ``like`` has (empty texts match all)."""


@runtime_checkable
class Locks(Protocol):
    """Can see and set locks."""

    def lock_of(self, path: str) -> Lock | None: ...

    def lock(self, path: str, lock: Lock) -> Lock:
        """Lock it, for ``lock.owner`` where the platform can; gives the lock as held. Locked already is LOCKED.

        With a mark our changes of the item are let through from then on, and a lock that has it is given as it is.
        """

    def hold(self, path: str, mark: str) -> None:
        """Have our changes of an item let through by the lock with that mark, where there is one.

        For a lock that another process made.
        """

    def unlock(self, path: str, lock: Lock) -> None:
        """Take a lock of ours away, by its token. Gone already is success; somebody else's may be LOCKED."""


@runtime_checkable
class Properties(Protocol):
    """Keeps named values with an item: user xattrs, object metadata, dead properties."""

    def properties(self, path: str) -> Mapping[str, bytes]: ...

    def set_properties(self, path: str, values: Mapping[str, bytes | None]) -> Mapping[str, bytes]:
        """Set values, remove those that are None, leave others; gives all as read back."""
