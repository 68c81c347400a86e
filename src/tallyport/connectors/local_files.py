"""The hot path between local folders: copy, hash, make visible, make durable. All on descriptors.

A file is written under a temporary name in its own folder, gets its metadata, is synced as the durability
level asks, appears by one rename, and its folder is synced: in this order, for every file. What a folder
holds is the matter of ``local_folders``, bytes are that of ``local_content``; their public names are given
here too.
"""

import errno
import os
from collections.abc import Collection, Iterable
from time import time_ns
from typing import NamedTuple, Self

from tallyport.connectors import local_calls
from tallyport.connectors.hashing import PART, ContentHash, digest
from tallyport.connectors.local_content import (
    BLOCK,
    SMALL,
    carry,
    changed,
    content_hash,
    create,
    is_as,
    is_racy,
    open_file,
    open_to_read,
    prove_still,
    write_all,
)
from tallyport.connectors.local_errors import ERRNO_KINDS, error_of, refusal, translate
from tallyport.connectors.local_folders import (
    TEMPORARY,
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
    unlink_quietly,
    user_id,
)
from tallyport.connectors.protocol import Facts
from tallyport.domain.capabilities import Durability
from tallyport.domain.entries import Entry, Fingerprint, Kind, Side
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
SYNCS_IN_FLIGHT = 32

_OUT = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PERMISSIONS = 0o777
_SECOND = 1_000_000_000
_NONE, _SOURCE, _DESTINATION = Durability.NONE, Side.SOURCE, Side.DESTINATION


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


class Landing:
    """Files written under temporary names, waiting for one sync and their renames. For one thread.

    Every call of :meth:`copy` or :meth:`symlink` has one outcome, given by the next :meth:`settle`; only then
    is it visible and as durable as asked (with durability ``NONE`` it is visible at once). Nothing is raised
    for an item. Folders given as ``d_fd`` stay open until ``settle`` has returned. Leaving the ``with`` block
    removes what is unsettled.
    """

    def __init__(self, durability: Durability, token: str) -> None:
        check(token)
        self._durability = durability
        self._stem = f"{TEMPORARY}{token}-{os.urandom(4).hex()}-"
        self._count = 0
        self._pending: list[_Pending] = []
        self._bytes = 0
        self._outcomes: list[Outcome] = []
        self._folders: set[int] = set()
        self._halted = False
        self._umask = 0  # bits that creation was seen to take away
        self._uid = os.geteuid()
        self._gid = os.getegid()
        self._room = _room()

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
    ) -> None:
        """Copy one file; ``entry`` is the source as listed in the folder ``s_fd``.

        ``new`` says that this execution made the folder, so that nobody else is expected in it: where the
        file system cannot rename without replacing, looking first is then enough.
        """
        self._count += 1
        temporary = f"{self._stem}{self._count:x}"
        source_fd = temp_fd = -1
        created = False
        side = _SOURCE
        try:
            check(name)
            started = time_ns()
            source_fd = open_to_read(s_fd, entry.name)
            size = entry.size
            wanted, is_foreign = self._creation(facts)
            if size <= SMALL and (size <= BLOCK or not entry.sparse):
                # One fstat, after reading: still as listed, so nothing changed between listing and now.
                data = os.pread(source_fd, size + 1, 0)
                st = os.fstat(source_fd)
                if len(data) != size or not is_as(st, entry):
                    raise changed(name)
                content = digest(data)
                if is_racy(st, started):
                    prove_still(source_fd, st, name, content, 0, size)
                side = _DESTINATION
                temp_fd = create(d_fd, temporary, 0o600 if is_foreign else wanted)
                created = True
                if os.write(temp_fd, data) != size:
                    os.lseek(temp_fd, 0, os.SEEK_SET)
                    write_all(temp_fd, data)
                moved = size
            else:
                st = os.fstat(source_fd)
                if not is_as(st, entry):
                    raise changed(name)
                side = _DESTINATION
                temp_fd = create(d_fd, temporary, 0o600 if is_foreign else wanted)
                created = True
                running = ContentHash()
                moved = carry(source_fd, temp_fd, 0, size, running, name, holes=entry.sparse)
                if moved != size:
                    os.ftruncate(temp_fd, size)
                content = running.digest()
                if not is_as(os.fstat(source_fd), entry):
                    raise changed(name)
                if is_racy(st, started):
                    prove_still(source_fd, st, name, content, 0, size)
            if is_foreign:
                os.fchown(temp_fd, user_id(facts.owner), group_id(facts.group))
                os.fchmod(temp_fd, wanted)
            elif wanted & self._umask and facts.mode is not None:
                os.fchmod(temp_fd, wanted)
            if facts.modified is not None:
                os.utime(temp_fd, ns=(st.st_atime_ns, facts.modified))
            if self._durability is _NONE:
                closing_fd, temp_fd = temp_fd, -1
                os.close(closing_fd)  # before the rename: a network file system reports a failed write here
                put_in_place(d_fd, temporary, name, replaces, alone=new)
                created = False
                self._outcomes.append((ticket, self._landed_at(d_fd, name, facts, content, size, moved)))
            else:
                self._pending.append(
                    _Pending(ticket, temp_fd, d_fd, temporary, name, replaces, new, facts, content, moved)
                )
                self._bytes += moved
                temp_fd = -1
                created = False
        except (OSError, UnicodeError) as error:
            operation = "read" if side is _SOURCE else "write"
            self._refuse(ticket, error_of(error, operation, name, side), error)
        except TallyportError as error:
            self._refuse(ticket, error, error.__cause__)
        finally:
            if source_fd >= 0:
                os.close(source_fd)
            if temp_fd >= 0:
                os.close(temp_fd)
            if created:
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
        self._count += 1
        temporary = f"{self._stem}{self._count:x}"
        try:
            check(name)
            os.symlink(entry.target or "", temporary, dir_fd=d_fd)
            try:
                stamp(d_fd, temporary, facts)
                pending = _Pending(ticket, -1, d_fd, temporary, name, replaces, new, facts, b"", 0)
                if self._durability is _NONE:
                    self._outcomes.append((ticket, self._show(pending)))
                else:
                    self._pending.append(pending)
            except BaseException:
                unlink_quietly(d_fd, temporary)
                raise
        except (OSError, UnicodeError) as error:
            self._refuse(ticket, error_of(error, "make the symlink", name, _DESTINATION), error)
        except TallyportError as error:
            self._refuse(ticket, error, error.__cause__)

    def touch(self, d_fd: int) -> None:
        """Have the next ``settle`` sync this folder too: something was made, renamed or removed in it."""
        if self._durability is not _NONE:
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
            unsynced_folders = _sync_folders(folders.union(item.d_fd for item in pending))
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
        """Remove what was written and is not settled."""
        pending, self._pending = self._pending, []
        for item in pending:
            if item.temp_fd >= 0:
                os.close(item.temp_fd)
            unlink_quietly(item.d_fd, item.temporary)

    def _creation(self, facts: Facts) -> tuple[int, bool]:
        """Give the mode to create with, and whether owners must be changed before anybody may read it."""
        is_foreign = (facts.owner is not None and facts.owner != self._uid) or (
            facts.group is not None and facts.group != self._gid
        )
        if facts.mode is not None:
            return facts.mode & _PERMISSIONS, is_foreign
        return (0o666 & ~self._umask if is_foreign else 0o666), is_foreign

    def _refuse(self, ticket: object, error: TallyportError, cause: BaseException | None) -> None:
        """Record a failure; what the destination as a whole lacks makes the landing ``full``."""
        error.__cause__ = cause
        if REMEDIES[error.kind][0] is Scope.CONNECTION:
            self._halted = True
        self._outcomes.append((ticket, error))

    def _sync_files(self, pending: list[_Pending]) -> dict[int, TallyportError]:
        """Bring content to disk; give the failure of each position that has one."""
        files = {position: item for position, item in enumerate(pending) if item.temp_fd >= 0}
        if self._durability is Durability.GROUP and len(files) > FEW and _sync_file_systems(files.values()):
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
        except (OSError, UnicodeError) as error:
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
        st = os.fstat(item.temp_fd)
        if self._is_off(st, item.facts):
            stamp_fd(item.temp_fd, item.facts)
            os.fsync(item.temp_fd)
            st = os.fstat(item.temp_fd)
        return Landed(entry_of(item.name, st), item.hash, item.moved)

    def _landed_at(self, d_fd: int, name: str, facts: Facts, content: bytes, size: int, moved: int) -> Landed:
        """See what was just renamed, by its name: no descriptor of it is open any more."""
        st = os.stat(name, dir_fd=d_fd, follow_symlinks=False)
        if self._is_off(st, facts):
            stamp(d_fd, name, facts)
            st = os.stat(name, dir_fd=d_fd, follow_symlinks=False)
        if (st.st_size != size or not _is_near(st.st_mtime_ns, facts.modified)) and (
            hash_file(d_fd, name) != content
        ):
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


def copy_range(
    s_fd: int,
    name: str,
    d_fd: int,
    temporary: str,
    *,
    offset: int,
    length: int,
    expect: Fingerprint,
    durability: Durability,
) -> bytes:
    """Copy one part of a big file into its temporary and give the part's digest; holes are kept.

    Parts may come in any order, again, and from several processes at once. Parts are ``hashing.PART`` long.
    """
    if length > PART:
        raise ValueError(f"a part has at most {PART} bytes")
    check(name)
    with translate("read", name, _SOURCE):
        started = time_ns()
        source_fd = open_to_read(s_fd, name)
    try:
        st = os.fstat(source_fd)
        if not is_as(st, expect) or offset + length > st.st_size:
            raise changed(name)
        holes = st.st_blocks * 512 < st.st_size
        with translate("write", name, _DESTINATION):
            temp_fd = _open_part(d_fd, temporary)
            try:
                running = ContentHash()
                carry(source_fd, temp_fd, offset, offset + length, running, name, holes=holes)
                content = running.digest()
                if durability is not _NONE:
                    os.fdatasync(temp_fd)
            finally:
                os.close(temp_fd)
        if not is_as(os.fstat(source_fd), expect):
            raise changed(name)
        if is_racy(st, started):
            prove_still(source_fd, st, name, content, offset, offset + length)
        return content
    finally:
        os.close(source_fd)


def finish(
    d_fd: int,
    temporary: str,
    name: str,
    *,
    facts: Facts,
    replaces: Entry | None,
    durability: Durability,
) -> Entry:
    """Give a temporary of parts its size and metadata, sync it, make it visible and sync its folder."""
    check(name)
    with translate("write", name, _DESTINATION):
        temp_fd = _open_part(d_fd, temporary, make=False)
        try:
            if facts.size is not None and os.fstat(temp_fd).st_size != facts.size:
                os.ftruncate(temp_fd, facts.size)
            stamp_fd(temp_fd, facts)
            if durability is not _NONE:
                os.fsync(temp_fd)
            put_in_place(d_fd, temporary, name, replaces)
            entry = entry_of(name, os.fstat(temp_fd))
        finally:
            os.close(temp_fd)
        if durability is not _NONE:
            sync_folder(d_fd)
    return entry


def hash_file(fd: int, name: str) -> bytes:
    """Hash the content of a file by reading it; one that changes meanwhile is CHANGED_DURING_COPY."""
    with translate("read", name):
        source_fd, st = open_file(fd, name)
        try:
            content = content_hash(source_fd, 0, st.st_size, name, holes=st.st_blocks * 512 < st.st_size)
            if os.fstat(source_fd).st_ctime_ns != st.st_ctime_ns:
                raise changed(name)
        finally:
            os.close(source_fd)
    return content


def sync_folder(d_fd: int) -> None:
    """Bring the names in a folder to disk."""
    try:
        os.fsync(d_fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):
            raise  # those three: a file system that knows no sync of folders


def sync_all(fds: dict[int, int]) -> dict[int, OSError]:
    """Sync many files at once, each by itself; give the failures. Keys are the caller's."""
    if len(fds) <= 1:
        return {key: failure for key, fd in fds.items() if (failure := _sync(fd)) is not None}
    from concurrent.futures import ThreadPoolExecutor  # 10 ms that a process which never syncs does not pay

    with ThreadPoolExecutor(min(SYNCS_IN_FLIGHT, len(fds))) as pool:
        failures = pool.map(_sync, fds.values())
        return {key: failure for key, failure in zip(fds, failures, strict=True) if failure is not None}


def _sync(fd: int) -> OSError | None:
    try:
        os.fsync(fd)
    except OSError as error:
        return error
    return None


def _sync_folders(folder_fds: Iterable[int]) -> dict[int, OSError]:
    failures = {}
    for d_fd in folder_fds:
        try:
            sync_folder(d_fd)
        except OSError as error:
            failures[d_fd] = error
    return failures


def _sync_file_systems(items: Collection[_Pending]) -> bool:
    """Sync every file system that holds an item, once; False when that failed or cannot be done.

    The folder's descriptor is older than the writes, so the kernel reports a failed one to it (since 5.8). It
    does not say which: then each file is asked.
    """
    folder_fds = {item.d_fd for item in items}
    file_systems = {os.fstat(d_fd).st_dev: d_fd for d_fd in folder_fds}
    return all(local_calls.syncfs(d_fd) == 0 for d_fd in file_systems.values())


def _open_part(d_fd: int, temporary: str, *, make: bool = True) -> int:
    """Open the temporary of a big file, made when missing; refuse what is not a file of ours alone."""
    check(temporary)
    flags = _OUT | os.O_CREAT if make else _OUT
    temp_fd = os.open(temporary, flags, 0o600, dir_fd=d_fd)
    st = os.fstat(temp_fd)
    if entry_of(temporary, st).kind is not Kind.FILE or st.st_nlink != 1 or st.st_uid != os.geteuid():
        os.close(temp_fd)
        raise refusal(ErrorKind.ALREADY_EXISTS, "write", temporary, "it is not a file made by us")
    return temp_fd


def _is_near(modified: int, asked: int | None) -> bool:
    """Tell whether a time is the one asked for, as coarsely as file systems keep times; None asks for now."""
    return abs(modified - (time_ns() if asked is None else asked)) <= 2 * _SECOND


def _room() -> int:
    """Give how many files may be pending: each holds a descriptor."""
    import resource

    return max(8, min(FULL_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4))
