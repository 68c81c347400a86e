"""The hot path between local folders: copy, hash, make visible, make durable. All on descriptors.

A file is written under a temporary name in its own folder, gets its metadata, is synced as the durability
level asks, appears by one rename, and its folder is synced: in this order, for every file. What a folder
holds is the matter of ``local_folders``, bytes are that of ``local_content``, big files that of
``local_parts``; the public names of all are given here too.
"""

import errno
import os
from collections.abc import Callable
from time import time_ns
from typing import NamedTuple, Self

from tallyport.connectors.hashing import ContentHash, digest
from tallyport.connectors.local_content import (
    BLOCK,
    RACY,
    SMALL,
    carry,
    changed,
    create,
    hash_file,
    is_as,
    is_racy,
    open_to_read,
    prove_still,
    write_all,
)
from tallyport.connectors.local_errors import ERRNO_KINDS, error_of, refusal, translate
from tallyport.connectors.local_folders import (
    check,
    entries,
    entry_at,
    entry_of,
    group_id,
    hard_link,
    make_folder,
    open_below,
    put_in_place,
    remove,
    rename_new,
    stamp,
    stamp_fd,
    sweep,
    tag_of,
    unlink_quietly,
    user_id,
)
from tallyport.connectors.local_parts import copy_range, finish
from tallyport.connectors.local_sync import sync_all, sync_file_systems, sync_folder, sync_folders
from tallyport.connectors.protocol import Facts
from tallyport.connectors.temporaries import TEMPORARY, is_temporary
from tallyport.domain.capabilities import Durability
from tallyport.domain.entries import Entry, Side
from tallyport.domain.errors import REMEDIES, ErrorKind, Scope, TallyportError

__all__ = [
    "ERRNO_KINDS",
    "TEMPORARY",
    "Landed",
    "Landing",
    "copy_range",
    "entries",
    "entry_at",
    "finish",
    "hard_link",
    "hash_file",
    "is_temporary",
    "make_folder",
    "open_below",
    "remove",
    "rename_new",
    "stamp",
    "stamp_fd",
    "sweep",
    "sync_all",
    "sync_folder",
    "translate",
]

FULL_FILES = 256
FULL_BYTES = 64 * 1024 * 1024
FEW = 8  # up to here files are synced one by one, above by one syncfs for the whole file system

_PERMISSIONS = 0o777
MOST_CREATIONS = 1000
_NAMELESS = os.O_WRONLY | os.O_TMPFILE | os.O_NOFOLLOW | os.O_CLOEXEC
_NEVER = frozenset(("", ".", ".."))  # names of no item
_SECOND = 1_000_000_000
_SOURCE, _DESTINATION = Side.SOURCE, Side.DESTINATION


class Landed(NamedTuple):
    """One item as it stands at the destination now."""

    entry: Entry
    hash: bytes  # of the content; empty for a symlink
    moved: int  # bytes written


class _Pending(NamedTuple):
    """One item written under its temporary name."""

    ticket: object
    temp_fd: int  # -1 for a symlink
    d_fd: int
    temporary: str
    name: str
    replaces: Entry | None
    new: bool
    facts: Facts
    hash: bytes
    moved: int


Outcome = tuple[object, Landed | TallyportError]
Dress = Callable[[int, int], None]


class Landing:
    """Files written under temporary names, waiting for one sync and their renames. For one thread.

    Every call of :meth:`copy` or :meth:`symlink` has one outcome, given by the next :meth:`settle`; only then
    is it visible and as durable as asked (with durability ``NONE`` it is visible at once). Nothing is raised
    for an item. Folders given as ``d_fd`` stay open until ``settle`` has returned. Leaving the ``with`` block
    removes what is unsettled.
    """

    def __init__(self, durability: Durability, token: str, *, mark: str = "") -> None:
        """``mark`` is in the names of temporaries, after the token, so that these alone can be swept."""
        check(token)
        self._durability = durability
        self._stem = f"{TEMPORARY}{token}-{mark}{os.urandom(4).hex()}-"
        self._count = 0
        self._pending: list[_Pending] = []
        self._bytes = 0
        self._outcomes: list[Outcome] = []
        self._folders: set[int] = set()
        self._halted = False
        self._umask = 0  # bits that creation was seen to take away
        self._creations: dict[tuple[object, ...], tuple[int, bool]] = {}
        self._uid = os.geteuid()
        self._gid = os.getegid()
        self._room = _room()
        self._is_instant = durability is Durability.NONE
        self._own_fd = _open_own_descriptors() if self._is_instant else -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    @property
    def full(self) -> bool:
        """Whether ``settle`` is due: enough is pending, or the destination itself failed (disk full)."""
        return len(self._pending) >= self._room or self._bytes >= FULL_BYTES or self._halted

    def copy(
        self,
        s_fd: int,
        entry: Entry,
        d_fd: int,
        name: str,
        *,
        facts: Facts,
        replaces: Entry | None,
        new: bool,
        ticket: object,
        dress: Dress | None = None,
    ) -> None:
        """Copy one file; ``entry`` is the source as listed in the folder ``s_fd``.

        ``dress`` is called with the descriptors of both once the content stands: what it sets nobody sees before
        it is complete, and what it raises is the outcome of the file.

        ``new`` says that this execution made the folder, so that nobody else is expected in it: where the
        file system cannot rename without replacing, looking first is then enough.

        What a small new file takes is written out here rather than called: a call costs as much as a system
        call saves (each is followed by cold caches).
        """
        source_fd = temp_fd = -1
        temporary = ""
        side = _SOURCE
        try:
            if "/" in name or "\0" in name or name in _NEVER:
                check(name)
            started = time_ns()
            source_fd = open_to_read(s_fd, entry.name)
            size = entry.size
            wanted, is_foreign = self._creations.get(facts[2:5]) or self._creation(facts)
            mode = 0o600 if is_foreign or dress is not None else wanted
            if size <= SMALL and (size <= BLOCK or not entry.sparse):
                # One fstat, after reading: still as listed, so nothing changed between listing and now. Inode
                # and ctime say it all: none of size, time and kind changes without them.
                data = os.pread(source_fd, size + 1, 0)
                st = os.fstat(source_fd)
                ctime = st.st_ctime_ns
                if len(data) != size or tag_of(st.st_ino, ctime) != entry.tag:
                    raise changed(name)
                content = digest(data)
                if started - ctime < RACY and is_racy(st, started):
                    prove_still(source_fd, st, name, content, 0, size)
                side = _DESTINATION
                temp_fd, temporary = self._create(d_fd, mode, replaces)
                moved = os.write(temp_fd, data)
                if moved != size:  # a nearly full disk
                    write_all(temp_fd, data[moved:])
                    moved = size
            else:
                st = os.fstat(source_fd)
                if not is_as(st, entry):
                    raise changed(name)
                side = _DESTINATION
                temp_fd, temporary = self._create(d_fd, mode, replaces)
                running = ContentHash()
                moved = carry(source_fd, temp_fd, 0, size, running, name, holes=entry.sparse)
                if moved != size:
                    os.ftruncate(temp_fd, size)
                content = running.digest()
                if not is_as(os.fstat(source_fd), entry):
                    raise changed(name)
                if is_racy(st, started):
                    prove_still(source_fd, st, name, content, 0, size)
            is_off = is_foreign or (wanted & self._umask != 0 and facts.mode is not None)
            if not self._is_instant and not is_off:  # nothing may change any more after the sync
                is_off = self._is_off(os.fstat(temp_fd), facts)
            if is_foreign:
                os.fchown(temp_fd, user_id(facts.owner), group_id(facts.group))
            if is_off:
                os.fchmod(temp_fd, wanted)
            if dress is not None:
                dress(source_fd, temp_fd)
            if facts.modified is not None:
                os.utime(temp_fd, ns=(st.st_atime_ns, facts.modified))
            if not self._is_instant:
                item = (ticket, temp_fd, d_fd, temporary, name, replaces, new, facts, content, moved)
                self._pending.append(_Pending._make(item))
                self._bytes += moved
                temp_fd, temporary = -1, ""
            elif temporary:
                closing_fd, temp_fd = temp_fd, -1
                os.close(closing_fd)  # before the rename: a network file system reports a failed write here
                put_in_place(d_fd, temporary, name, replaces, alone=new)
                temporary = ""
                self._outcomes.append((ticket, self._landed_at(d_fd, name, facts, content, size, moved)))
            else:
                os.link(str(temp_fd), name, src_dir_fd=self._own_fd, dst_dir_fd=d_fd)
                there = os.fstat(temp_fd)
                if there.st_mode & 0o7777 != wanted and self._is_off(there, facts):
                    stamp_fd(temp_fd, facts)
                    there = os.fstat(temp_fd)
                self._outcomes.append((ticket, Landed(entry_of(name, there), content, moved)))
        except (OSError, ValueError) as error:
            operation = "read" if side is _SOURCE else "write"
            self._refuse(ticket, error_of(error, operation, name, side), error)
        except TallyportError as error:
            self._refuse(ticket, error, error.__cause__)
        finally:
            if source_fd >= 0:
                os.close(source_fd)
            if temp_fd >= 0:
                os.close(temp_fd)
            if temporary:
                unlink_quietly(d_fd, temporary)

    def symlink(
        self,
        entry: Entry,
        d_fd: int,
        name: str,
        *,
        facts: Facts,
        replaces: Entry | None,
        new: bool,
        ticket: object,
    ) -> None:
        """Make a symlink with the text of ``entry``; nothing ever follows it."""
        temporary = self._temporary()
        try:
            check(name)
            os.symlink(entry.target or "", temporary, dir_fd=d_fd)
            try:
                stamp(d_fd, temporary, facts)
                pending = _Pending(ticket, -1, d_fd, temporary, name, replaces, new, facts, b"", 0)
                if self._is_instant:
                    self._outcomes.append((ticket, self._show(pending)))
                else:
                    self._pending.append(pending)
            except BaseException:
                unlink_quietly(d_fd, temporary)
                raise
        except (OSError, ValueError) as error:
            self._refuse(ticket, error_of(error, "make the symlink", name, _DESTINATION), error)
        except TallyportError as error:
            self._refuse(ticket, error, error.__cause__)

    def touch(self, d_fd: int) -> None:
        """Have the next ``settle`` sync this folder too: something was made, renamed or removed in it."""
        if not self._is_instant:
            self._folders.add(d_fd)

    def settle(self) -> list[Outcome]:
        """Sync what is pending, make it visible, sync the folders; give the outcome of every item.

        Raises when a folder given to ``touch`` cannot be synced.
        """
        pending, self._pending = self._pending, []
        folders, self._folders = self._folders, set()
        outcomes, self._outcomes = self._outcomes, []
        self._bytes = 0
        self._halted = False
        try:
            landed: list[tuple[_Pending, Landed | TallyportError]] = []
            unsynced = self._sync_files(pending)
            for position, item in enumerate(pending):
                landed.append((item, unsynced.get(position) or self._appear(item)))
            unsynced_folders = sync_folders(folders.union(item.d_fd for item in pending))
        finally:
            for item in pending:
                if item.temp_fd >= 0:
                    os.close(item.temp_fd)
        for item, result in landed:
            failure = unsynced_folders.get(item.d_fd)
            if isinstance(result, Landed) and failure is not None:
                result = error_of(failure, "sync the folder of", item.name, _DESTINATION)
            outcomes.append((item.ticket, result))
        for d_fd in folders & unsynced_folders.keys():
            raise error_of(unsynced_folders[d_fd], "sync the folder", "", _DESTINATION)
        return outcomes

    def discard(self) -> None:
        """Remove what was written and is not settled, and let go. Calling twice is harmless."""
        own_fd, self._own_fd = self._own_fd, -1
        if own_fd >= 0:
            os.close(own_fd)
        self.drop()

    def drop(self) -> None:
        """Remove what was written and is not settled; it has no outcome. The folders must still be open."""
        pending, self._pending = self._pending, []
        self._outcomes = []
        self._folders = set()
        self._bytes = 0
        self._halted = False
        for item in pending:
            if item.temp_fd >= 0:
                os.close(item.temp_fd)
            unlink_quietly(item.d_fd, item.temporary)

    def _temporary(self) -> str:
        self._count += 1
        return f"{self._stem}{self._count:x}"

    def _create(self, d_fd: int, mode: int, replaces: Entry | None) -> tuple[int, str]:
        """Make a file to write and give its temporary name; empty where it needs none to become visible.

        A file without a name (O_TMPFILE) is spared the temporary and the rename, and a crash leaves nothing. What
        must be durable gets a name all the same: every file system orders a sync and a rename, not a link.
        """
        if replaces is None and self._own_fd >= 0:
            try:
                return os.open(".", _NAMELESS, mode, dir_fd=d_fd), ""
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                    raise
            os.close(self._own_fd)
            self._own_fd = -1  # the file system cannot: do not ask again
        temporary = self._temporary()
        return create(d_fd, temporary, mode), temporary

    def _creation(self, facts: Facts) -> tuple[int, bool]:
        """Give the mode to create with, and whether owners must be changed before anybody may read it.

        Remembered in ``_creations`` by the facts that it depends on; a tree has few such combinations.
        """
        is_foreign = (facts.owner is not None and facts.owner != self._uid) or (
            facts.group is not None and facts.group != self._gid
        )
        wanted = 0o666 if facts.mode is None else facts.mode & _PERMISSIONS
        if facts.mode is None and is_foreign:
            wanted &= ~self._umask
        elif len(self._creations) < MOST_CREATIONS:
            self._creations[facts[2:5]] = wanted, is_foreign
        return wanted, is_foreign

    def _refuse(self, ticket: object, error: TallyportError, cause: BaseException | None) -> None:
        """Record a failure; what the destination as a whole lacks makes the landing ``full``."""
        error.__cause__ = cause
        if REMEDIES[error.kind][0] is Scope.CONNECTION:
            self._halted = True
        self._outcomes.append((ticket, error))

    def _sync_files(self, pending: list[_Pending]) -> dict[int, TallyportError]:
        """Bring content to disk; give the failure of each position that has one."""
        files = {position: item for position, item in enumerate(pending) if item.temp_fd >= 0}
        if (
            self._durability is Durability.GROUP
            and len(files) > FEW
            and sync_file_systems({item.d_fd for item in files.values()})
        ):
            return {}
        failed = sync_all({position: item.temp_fd for position, item in files.items()})
        errors: dict[int, TallyportError] = {}
        for position, cause in failed.items():
            item = files[position]
            errors[position] = error_of(cause, "write", item.name, _DESTINATION)
            unlink_quietly(item.d_fd, item.temporary)
        return errors

    def _appear(self, item: _Pending) -> Landed | TallyportError:
        """Rename one synced item; its temporary is removed when that fails."""
        try:
            return self._show(item)
        except (OSError, ValueError) as error:
            failure = error_of(error, "write", item.name, _DESTINATION)
            failure.__cause__ = error
        except TallyportError as error:
            failure = error
        unlink_quietly(item.d_fd, item.temporary)
        return failure

    def _show(self, item: _Pending) -> Landed:
        put_in_place(item.d_fd, item.temporary, item.name, item.replaces, alone=item.new)
        if item.temp_fd < 0:
            entry = entry_at(item.d_fd, item.name)
            if entry is None:
                raise refusal(ErrorKind.CHANGED_DURING_COPY, "write", item.name, "it was removed at once")
            return Landed(entry, item.hash, item.moved)
        return Landed(entry_of(item.name, os.fstat(item.temp_fd)), item.hash, item.moved)

    def _landed_at(self, d_fd: int, name: str, facts: Facts, content: bytes, size: int, moved: int) -> Landed:
        """See what was just renamed, by its name: no descriptor of it is open any more."""
        st = os.stat(name, dir_fd=d_fd, follow_symlinks=False)
        if self._is_off(st, facts):
            stamp(d_fd, name, facts)
            st = os.stat(name, dir_fd=d_fd, follow_symlinks=False)
        if (st.st_size != size or not _is_near(st.st_mtime_ns, facts.modified)) and (hash_file(d_fd, name) != content):
            raise refusal(
                ErrorKind.CHANGED_DURING_COPY, "write", name, "somebody else changed it at once", _DESTINATION
            )
        return Landed(entry_of(name, st), content, moved)

    def _is_off(self, st: os.stat_result, facts: Facts) -> bool:
        """Tell whether creation gave another mode than asked (umask, default ACL); remember what it takes."""
        if facts.mode is None:
            return False
        wanted = facts.mode & _PERMISSIONS
        if st.st_mode & 0o7777 == wanted:
            return False
        self._umask |= wanted & ~st.st_mode
        return True


def _is_near(modified: int, asked: int | None) -> bool:
    """Tell whether a time is the one asked for, as coarsely as file systems keep times; None asks for now."""
    return abs(modified - (time_ns() if asked is None else asked)) <= 2 * _SECOND


def _open_own_descriptors() -> int:
    """Open the folder in which the kernel shows this process its descriptors, or give -1 where there is none."""
    # root: opened once by path, and it is the kernel's: linkat takes a file without a name from here
    try:
        return os.open("/proc/self/fd", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1


def _room() -> int:
    """Give how many files may be pending: each holds a descriptor."""
    import resource

    return min(FULL_FILES, max(8, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4))
