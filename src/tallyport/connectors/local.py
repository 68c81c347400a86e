"""Folders of this machine: disks, and whatever is mounted (NFS, CIFS, FUSE).

The root is opened once by its path; everything after that is reached below its descriptor, through no
symlink, so that nobody who can change the tree leads us out of it. A symlink is an item, never a way. FIFOs,
sockets and devices are reported and never opened. setuid, setgid and sticky bits do not travel. The tag of an
entry is inode and ctime: every change of content or metadata shows, also one that puts size and mtime back.

What is unfinished stands beside its place under a name that begins with ``.tallyport-``; listings hide those.

Traps: some network file systems report a failed write only at close or sync, so both come before the rename;
NFS has no RENAME_NOREPLACE and takes a link and an unlink instead; vfat keeps times to 2 seconds.
See open(2), openat(2), rename(2), fsync(2), symlink(7).
"""

import itertools
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field

from tallyport.connectors import local_calls, local_identity, mounts
from tallyport.connectors.bunches import one_by_one
from tallyport.connectors.hashing import ContentHash
from tallyport.connectors.local_access import LocalAccess, properties, set_properties
from tallyport.connectors.local_book import Book, SystemBook
from tallyport.connectors.local_bunch import Folder
from tallyport.connectors.local_content import CHUNK, changed, create, evict, hash_file, open_file, write_all
from tallyport.connectors.local_errors import error_of, refusal, translate
from tallyport.connectors.local_folders import (
    check,
    entries,
    entry_at,
    entry_of,
    hard_link,
    make_folder,
    open_below,
    open_to_inspect,
    put_in_place,
    remove,
    rename_new,
    stamp,
    stamp_fd,
    sweep,
    unlink_quietly,
)
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition, Read, SmallRead, SmallWrite, Written
from tallyport.connectors.temporaries import TEMPORARY
from tallyport.domain.access import Access, Principal
from tallyport.domain.capabilities import UNMEASURED_SKEW, Durability, Limits
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, display, segments, split


def _wrong_path(path: str) -> str | None:
    if not path.startswith("/"):
        return "must be absolute: begin with a slash"
    if "\0" in path:
        return "cannot hold a NUL character"
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the folder is."""

    path: str = field(metadata={"help": "absolute path of the folder on this machine", "check": _wrong_path})
    versioning: bool = field(
        default=False, metadata={"help": "earlier contents of `a.txt` stand beside it as `a.txt[1]`, `a.txt[2]`, ..."}
    )


def open_local(settings: Settings, path: str = ROOT, *, make: bool = False) -> "Local":
    """Open a folder below the connection's own, as the registry asks for it."""
    if settings.versioning:
        from tallyport.connectors.local_versions import VersionedFolder

        return VersionedFolder(settings.path, path, make=make)
    return Local(settings.path, path, make=make)


class Local:
    """One folder as a connection. ``root_fd`` and :meth:`open_container` serve the fast path.

    ``token`` marks what is unfinished, so that :meth:`sweep` finds it after a crash. With a ``durability``
    other than ``NONE`` each written item is synced before it becomes visible; ``sync`` then covers the names.
    ``book`` knows the accounts of this machine; tests bring their own.
    """

    tells = frozenset({"accessed_on"})  # see control/honoured.py

    def __init__(
        self,
        path: str,
        below: str = ROOT,
        *,
        make: bool = False,
        token: str = "local",
        durability: Durability = Durability.NONE,
        book: Book | None = None,
    ) -> None:
        check(token)
        self.local_access = LocalAccess(book or SystemBook())
        self.token = token
        self.durability = durability
        self.location = os.path.join(display(os.path.normpath(path)), display(below)).rstrip("/") or "/"
        self._run = os.urandom(4).hex()
        self._numbers = itertools.count(1)
        with local_identity.acting(None):  # the connection's root is ours to open; below it whoever acts is asked
            base_fd = _open_root(path, make=make)
        try:
            self.root_fd = open_below(base_fd, below, make=make)
        finally:
            os.close(base_fd)
        self.limits = Limits(
            time_precision=mounts.time_step(self.root_fd),
            max_name=os.fpathconf(self.root_fd, "PC_NAME_MAX"),
            symlinks=True,
            hard_links=True,
            permissions=True,
            owners=os.geteuid() == 0 and not local_identity.is_acting(),
            clock_skew=UNMEASURED_SKEW if mounts.is_over_network(self.root_fd) else 0,
        )

    def open_container(self, path: str) -> int:
        """Give a descriptor of a folder below the root; the caller closes it."""
        return open_below(self.root_fd, path)

    # -- what every platform can do

    def stat(self, path: str) -> Entry | None:
        if path == ROOT:
            with translate("look at", path):
                return entry_of(ROOT, os.fstat(self.root_fd))
        try:
            with self._beside(path, "look at") as (fd, name):
                return entry_at(fd, name)
        except TallyportError as error:
            if error.kind is ErrorKind.NOT_FOUND:  # its container is not there, or is no container
                return None
            raise

    def children(self, path: str) -> Iterator[Entry]:
        """Give each child once; the folder is opened now, so that a missing one is told at once."""
        return self._listing(path, self.open_container(path))

    def read(self, path: str, *, offset: int = 0, length: int | None = None) -> AbstractContextManager[Iterator[bytes]]:
        return self._reading(path, offset, length)

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        with self._beside(path, "write", foreign=True) as (d_fd, name):
            return self._write(d_fd, name, path, content, facts, when)

    def _write(
        self, d_fd: int, name: str, path: str, content: Iterable[bytes], facts: Facts, when: Precondition
    ) -> Entry:
        check(name)
        temporary = self._temporary()
        with translate("write", path):
            temp_fd = create(d_fd, temporary, 0o600 if facts.mode is not None else 0o666)
        try:
            self._fill(temp_fd, content, facts, path)
            with translate("write", path):
                stamp_fd(temp_fd, facts)
                if self.durability is not Durability.NONE:
                    os.fsync(temp_fd)
                os.close(os.dup(temp_fd))  # has a network file system tell now of a failed write
                _put(d_fd, temporary, name, when)
                return entry_of(name, os.fstat(temp_fd))
        except BaseException:
            unlink_quietly(d_fd, temporary)
            raise
        finally:
            os.close(temp_fd)

    def make_container(self, path: str, facts: Facts) -> Entry:
        """Make it with the mode asked for, yet such that it can be filled: a later stamp sets it exactly."""
        if path == ROOT:
            return entry_of(ROOT, os.fstat(self.root_fd))
        with self._beside(path, "make") as (d_fd, name):
            entry = entry_at(d_fd, name)
            if entry is not None and entry.kind is Kind.CONTAINER:
                return entry
            entry = make_folder(d_fd, name, 0o777 if facts.mode is None else facts.mode)
            fillable = None if facts.mode is None else facts.mode | stat.S_IRWXU
            return stamp(d_fd, name, facts._replace(mode=fillable))

    def delete(self, path: str, *, expect: Entry | None = None) -> None:
        if path == ROOT:
            raise refusal(ErrorKind.UNSUPPORTED, "delete", path, "it is the root of the connection")
        try:
            with self._beside(path, "delete") as (fd, name):
                entry = entry_at(fd, name)
                if entry is not None:
                    remove(fd, name, entry.kind if expect is None else expect.kind, expect)
        except TallyportError as error:
            if error.kind is not ErrorKind.NOT_FOUND:  # its container is gone: so is it
                raise

    def following(self) -> "Local | None":
        """Give this folder read through its symlinks, in the place of this; None where that cannot be had."""
        from tallyport.connectors.local_following import FollowingFolder

        return FollowingFolder.after(self)

    def close(self) -> None:
        root_fd, self.root_fd = self.root_fd, -1
        if root_fd >= 0:
            os.close(root_fd)

    # -- abilities

    def read_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        with closing(Folder(self.root_fd, self._write)) as folder:
            yield from one_by_one("read", reads, folder.read)

    def write_many(self, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
        with closing(Folder(self.root_fd, self._write)) as folder:
            yield from one_by_one("write", writes, folder.write)

    def stamp(self, path: str, facts: Facts) -> Entry:
        if path == ROOT:
            with translate("stamp", path):
                stamp_fd(self.root_fd, facts)
                return entry_of(ROOT, os.fstat(self.root_fd))
        with self._beside(path, "stamp") as (fd, name):
            return stamp(fd, name, facts)

    def rename(self, path: str, to: str) -> Entry:
        if path == ROOT or to.startswith(f"{path}/"):
            raise refusal(ErrorKind.UNSUPPORTED, "rename", path, f"it cannot become {display(to)!r}")
        with self._beside(path, "rename") as (from_fd, name), self._beside(to, "rename") as (to_fd, new_name):
            check(name)
            check(new_name)
            rename_new(from_fd, name, to_fd, new_name)
            return _standing(to_fd, new_name)

    def content_hash(self, path: str) -> bytes:
        with self._beside(path, "hash") as (fd, name):
            return hash_file(fd, name)

    def cold_hash(self, path: str) -> bytes:
        """Give the hash of content as the disk has it, and not only the memory of this machine."""
        with self._beside(path, "hash") as (fd, name):
            evict(fd, name)
            return hash_file(fd, name)

    def make_symlink(self, path: str, target: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        with self._beside(path, "link") as (d_fd, name):
            check(name)
            temporary = self._temporary()
            os.symlink(target, temporary, dir_fd=d_fd)
            try:
                stamp(d_fd, temporary, facts)
                _put(d_fd, temporary, name, when)
            except BaseException:
                unlink_quietly(d_fd, temporary)
                raise
            return _standing(d_fd, name)

    def make_hard_link(self, path: str, existing: str, *, when: Precondition = ANYTHING) -> Entry:
        with self._beside(path, "link") as (d_fd, name), self._beside(existing, "link") as (from_fd, old):
            check(name)
            entry = entry_at(from_fd, old)
            if entry is None:
                raise refusal(ErrorKind.NOT_FOUND, "link", old, "there is nothing of that name")
            if entry.kind not in (Kind.FILE, Kind.SYMLINK):
                raise refusal(ErrorKind.UNSUPPORTED, "link", old, "only files have second names")
            replaces = when.entry if when.absent or when.entry is not None else entry_at(d_fd, name)
            return hard_link(from_fd, old, d_fd, name, replaces=replaces, temporary=self._temporary())

    def sync(self) -> None:
        """Bring everything on the root's file system to disk."""
        with translate("sync", ROOT):
            number = local_calls.syncfs(self.root_fd)
            if number:
                raise OSError(number, os.strerror(number))

    def sweep(self, path: str, token: str) -> int:
        fd = self.open_container(path)
        try:
            return sweep(fd, token)
        finally:
            os.close(fd)

    def access(self, path: str) -> Access:
        with self._open_item(path, "see the access of") as (fd, st):
            return self.local_access.owners(st) if fd < 0 else self.local_access.read(fd)

    def set_access(self, path: str, access: Access, *, remove_others: bool = False) -> Access:
        """Set what a POSIX file system can say; a symlink has but owner and group."""
        with self._open_item(path, "set the access of") as (fd, _):
            if fd >= 0:
                self.local_access.set(fd, access, remove_others=remove_others)
                return self.local_access.read(fd)
        uid, gid = self.local_access.numbers(access)
        with self._beside(path, "set the owner of") as (d_fd, name):
            if uid != -1 or gid != -1:
                os.chown(name, uid, gid, dir_fd=d_fd, follow_symlinks=False)
            return self.local_access.owners(os.stat(name, dir_fd=d_fd, follow_symlinks=False))

    def principals(self, like: Principal) -> Iterator[Principal]:
        return self.local_access.book.principals(like)

    def properties(self, path: str) -> Mapping[str, bytes]:
        with self._open_item(path, "see the properties of") as (fd, _):
            return {} if fd < 0 else properties(fd)

    def set_properties(self, path: str, values: Mapping[str, bytes | None]) -> Mapping[str, bytes]:
        """Set user xattrs; what the file system refuses is missing from what is given back."""
        with self._open_item(path, "set the properties of") as (fd, _):
            return {} if fd < 0 else set_properties(fd, values)

    # -- behind them

    @contextmanager
    def _open_item(self, path: str, operation: str) -> Iterator[tuple[int, os.stat_result]]:
        """Open a file or folder to look at what it has besides content; -1 for anything else."""
        if path == ROOT:
            with translate(operation, path):
                yield self.root_fd, os.fstat(self.root_fd)
            return
        with self._beside(path, operation) as (d_fd, name):
            check(name)
            st = os.stat(name, dir_fd=d_fd, follow_symlinks=False)
            if not (stat.S_ISREG(st.st_mode) or stat.S_ISDIR(st.st_mode)):
                yield -1, st
                return
            fd = open_to_inspect(d_fd, name)
            try:
                yield fd, st
            finally:
                os.close(fd)

    @contextmanager
    def _beside(self, path: str, operation: str, *, foreign: bool = False) -> Iterator[tuple[int, str]]:
        """Open the container of a path; errors in the block get the path, ``foreign`` ones pass as they are."""
        if path == ROOT:
            raise refusal(ErrorKind.ALREADY_EXISTS, operation, path, "it is the root of the connection")
        for segment in segments(path):
            check(segment)
        container, name = split(path)
        fd = open_below(self.root_fd, container)
        try:
            yield fd, name
        except (OSError, ValueError) as error:
            if foreign:
                raise
            raise error_of(error, operation, path) from error
        except TallyportError as error:
            if error.path == name:
                error.path = path
            raise
        finally:
            os.close(fd)

    def _temporary(self) -> str:
        return f"{TEMPORARY}{self.token}-{self._run}-{next(self._numbers):x}"

    def _listing(self, path: str, fd: int) -> Iterator[Entry]:
        try:
            with translate("list", path):
                yield from entries(fd)
        finally:
            os.close(fd)

    @contextmanager
    def _reading(self, path: str, offset: int, length: int | None) -> Iterator[Iterator[bytes]]:
        with self._beside(path, "read", foreign=True) as (fd, name), translate("read", path):
            source_fd, st = open_file(fd, name)
        try:
            yield _chunks(source_fd, st, path, offset, length)
        finally:
            os.close(source_fd)

    def _fill(self, temp_fd: int, content: Iterable[bytes], facts: Facts, path: str) -> None:
        """Write everything, or raise when it is not what was announced."""
        running = None if facts.hash is None else ContentHash()
        size = 0
        for chunk in content:
            size += len(chunk)
            if running is not None:
                running.update(chunk)
            with translate("write", path):
                write_all(temp_fd, chunk)
        if facts.size is not None and size != facts.size:
            what = f"{facts.size} bytes were announced and {size} came"
            raise refusal(ErrorKind.CHANGED_DURING_COPY, "write", path, what)
        if running is not None and running.digest() != facts.hash:
            raise refusal(ErrorKind.CORRUPT, "write", path, "the content does not have the announced hash")


def _open_root(path: str, *, make: bool) -> int:
    """Open the connection's folder; the one place where a path is looked up, symlinks in it included."""
    # root: opened once by path
    why = _wrong_path(path)
    if why is not None:
        message = f"the folder {display(path)!r} cannot be used: its path {why}"
        raise TallyportError(ErrorKind.CONFIG, message, path=path, operation="open")
    try:
        if make:
            os.makedirs(path, exist_ok=True)
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        message = f"there is no folder {display(path)}: make it, mount it, or correct the path"
        raise TallyportError(ErrorKind.NOT_FOUND, message, path=path, operation="open") from error
    except (NotADirectoryError, FileExistsError) as error:
        message = f"{display(path)} is no folder: give the folder that holds it"
        raise TallyportError(ErrorKind.CONFIG, message, path=path, operation="open") from error
    except (OSError, UnicodeError) as error:
        raise error_of(error, "open the folder", path) from error


def _put(d_fd: int, temporary: str, name: str, when: Precondition) -> None:
    """Make a temporary visible under the condition that was asked for."""
    if when.absent:
        put_in_place(d_fd, temporary, name, None)
    elif when.entry is not None:
        put_in_place(d_fd, temporary, name, when.entry)
    else:
        os.rename(temporary, name, src_dir_fd=d_fd, dst_dir_fd=d_fd)


def _standing(fd: int, name: str) -> Entry:
    """Give the entry of what was just put there."""
    entry = entry_at(fd, name)
    if entry is None:
        raise refusal(ErrorKind.NOT_FOUND, "look at", name, "it vanished again")
    return entry


def _chunks(source_fd: int, st: os.stat_result, path: str, offset: int, length: int | None) -> Iterator[bytes]:
    """Give a range of an open file; one that changes while it is read raises instead of ending."""
    end = st.st_size if length is None else min(st.st_size, offset + length)
    while offset < end:
        with translate("read", path):
            chunk = os.pread(source_fd, min(CHUNK, end - offset), offset)
        if not chunk:
            raise changed(path)
        offset += len(chunk)
        if offset >= end and _is_rewritten(os.fstat(source_fd), st):
            raise changed(path)
        yield chunk


def _is_rewritten(now: os.stat_result, before: os.stat_result) -> bool:
    """Tell whether a file changed under its reader. Losing its name to a newer file is no change."""
    if now.st_size != before.st_size or now.st_mtime_ns != before.st_mtime_ns:
        return True
    return now.st_ctime_ns != before.st_ctime_ns and now.st_nlink == before.st_nlink
