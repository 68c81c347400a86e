"""What stands in a folder, seen and changed through its descriptor alone.

Nothing here looks a path up: the caller holds a descriptor of the folder and gives one name below it, so a
folder swapped for a symlink on the way leads nowhere. Names are checked, because they may come from a
platform that allows ``../x``.
"""

import errno
import os
import stat
import struct
from collections.abc import Callable, Iterator

from tallyport.connectors import local_calls
from tallyport.connectors.local_errors import refusal, translate
from tallyport.connectors.protocol import Facts
from tallyport.connectors.temporaries import TEMPORARY, is_temporary
from tallyport.domain.entries import Entry, Fingerprint, Kind
from tallyport.domain.errors import ErrorKind
from tallyport.domain.paths import check_segment, segments

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PASSAGE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC  # needs no right to list
_INSPECT = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_PERMISSIONS = 0o777  # setuid, setgid and sticky never travel: the source may not be trusted with them
_FILE, _CONTAINER, _SYMLINK, _SPECIAL = Kind.FILE, Kind.CONTAINER, Kind.SYMLINK, Kind.SPECIAL
_KINDS = [_SPECIAL] * 16
_KINDS[stat.S_IFREG >> 12] = _FILE
_KINDS[stat.S_IFDIR >> 12] = _CONTAINER
_KINDS[stat.S_IFLNK >> 12] = _SYMLINK

tag_of: Callable[[int, int], bytes] = struct.Struct("<Qq").pack  # (inode, ctime in nanoseconds)
_new = tuple.__new__  # spares the argument handling of Entry(...), once an entry


def entries(fd: int) -> Iterator[Entry]:
    """Give each entry of the folder once, ours unfinished left out; what vanishes meanwhile is left out too.

    One listing at a time for one descriptor: they share its position.
    """
    with os.scandir(fd) as found:
        for item in found:
            name = item.name
            if name[:11] == TEMPORARY and is_temporary(name):
                continue
            try:
                st = item.stat(follow_symlinks=False)
                entry = entry_of(name, st)
                if entry.kind is _SYMLINK:
                    entry = entry._replace(target=os.readlink(name, dir_fd=fd))
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno == errno.EINVAL:  # no symlink any more
                    continue
                raise
            yield entry


def entry_at(fd: int, name: str) -> Entry | None:
    """Give the entry of that name, or None when there is none."""
    check(name)
    try:
        entry = entry_of(name, os.stat(name, dir_fd=fd, follow_symlinks=False))
        if entry.kind is _SYMLINK:
            entry = entry._replace(target=os.readlink(name, dir_fd=fd))
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:  # was a symlink a moment ago
            return entry_of(name, os.stat(name, dir_fd=fd, follow_symlinks=False))
        raise
    return entry


def entry_of(name: str, st: os.stat_result) -> Entry:
    """Make an entry of a stat; the target of a symlink is not in it."""
    mode = st.st_mode
    kind = _KINDS[mode >> 12]
    size = links = 0
    link_id = None
    if kind is _FILE:
        size = st.st_size
        links = st.st_nlink
        if links > 1:
            link_id = (st.st_dev, st.st_ino)
    elif kind is _SYMLINK:
        size = st.st_size
    return _new(
        Entry,
        (
            name,
            kind,
            size,
            st.st_mtime_ns,
            tag_of(st.st_ino, st.st_ctime_ns),
            mode & 0o7777,
            st.st_uid,
            st.st_gid,
            links or 1,
            link_id,
            None,
            None,
            None,
            st.st_atime_ns,
            False,
            name[:1] == ".",
            kind is _FILE and st.st_blocks * 512 < size,
            False,
            0,
        ),
    )


def check(name: str) -> None:
    """Refuse a name that would lead out of its folder."""
    if "/" in name or "\0" in name or name in ("", ".", ".."):
        raise refusal(ErrorKind.INVALID_NAME, "use the name", name, check_segment(name) or "not a name")


def same(entry: Entry | None, expected: Fingerprint | Entry) -> bool:
    """Tell whether the entry still is the one that was seen."""
    return (
        entry is not None
        and entry.size == expected.size
        and entry.modified == expected.modified
        and entry.tag == expected.tag
    )


def open_below(root_fd: int, path: str, *, make: bool = False) -> int:
    """Open a folder below the root, segment by segment and through no symlink. The caller closes it."""
    names = segments(path)
    for name in names:
        check(name)
    with translate("open the folder", path):
        fd = os.open(".", _PASSAGE if names else _DIRECTORY, dir_fd=root_fd)
        for position, name in enumerate(names, 1):
            flags_last = _DIRECTORY if position == len(names) else _PASSAGE
            parent_fd = fd
            try:
                fd = _step(parent_fd, name, flags_last, make)
            finally:
                os.close(parent_fd)
    return fd


def _step(parent_fd: int, name: str, flags: int, make: bool) -> int:
    """Open one folder in another, made first when it is missing and ``make`` says so."""
    try:
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=parent_fd)
    except FileNotFoundError:
        if not make:
            raise
    try:
        os.mkdir(name, dir_fd=parent_fd)
    except FileExistsError:
        pass  # made by somebody else meanwhile
    return os.open(name, flags | os.O_NOFOLLOW, dir_fd=parent_fd)


def make_folder(d_fd: int, name: str, mode: int = 0o700) -> Entry:
    """Make a folder that can be filled whatever ``mode`` says; a folder that is there already is success.

    Its real mode and times are stamped once nothing changes in it any more.
    """
    check(name)
    with translate("make the folder", name):
        try:
            os.mkdir(name, (mode & _PERMISSIONS) | 0o700, dir_fd=d_fd)
        except FileExistsError:
            entry = entry_at(d_fd, name)
            if entry is not None and entry.kind is not _CONTAINER:
                raise
        else:
            entry = entry_at(d_fd, name)
    if entry is None:
        raise refusal(ErrorKind.NOT_FOUND, "make the folder", name, "it vanished again")
    return entry


def open_to_inspect(fd: int, name: str) -> int:
    """Open a file or folder for what it has besides content; the caller closes it and knows it is no FIFO."""
    check(name)
    return os.open(name, _INSPECT, dir_fd=fd)


def stamp(fd: int, name: str, facts: Facts) -> Entry:
    """Set owners, mode and times of what stands under a name, without following it. Content stays."""
    check(name)
    with translate("set times and permissions of", name):
        before = os.stat(name, dir_fd=fd, follow_symlinks=False)
        kind = _KINDS[before.st_mode >> 12]
        if kind is _FILE or kind is _CONTAINER:
            try:
                item_fd = os.open(name, _INSPECT, dir_fd=fd)
            except PermissionError:  # ours, but not readable: the system acts on the name, not through it
                _stamp_name(fd, name, before, facts)
            else:
                try:
                    stamp_fd(item_fd, facts)
                finally:
                    os.close(item_fd)
        elif kind is _SYMLINK:
            _stamp_name(fd, name, before, facts._replace(mode=None))
        else:
            raise refusal(ErrorKind.UNSUPPORTED, "stamp", name, "it is a FIFO, a socket or a device")
        entry = entry_at(fd, name)
    if entry is None:
        raise refusal(ErrorKind.NOT_FOUND, "stamp", name, "it vanished")
    return entry


def stamp_fd(fd: int, facts: Facts) -> None:
    """Set owners, then mode, then times of what is open; only what differs is written."""
    st = os.fstat(fd)
    uid, gid, mode, times = _changes(st, facts)
    if uid != -1 or gid != -1:
        os.fchown(fd, uid, gid)
        st = os.fstat(fd)  # changing owners may have taken mode bits away
        _, _, mode, _ = _changes(st, facts)
    if mode is not None:
        os.fchmod(fd, mode)
    if times is not None:
        os.utime(fd, ns=times)


def _stamp_name(fd: int, name: str, st: os.stat_result, facts: Facts) -> None:
    uid, gid, mode, times = _changes(st, facts)
    if uid != -1 or gid != -1:
        os.chown(name, uid, gid, dir_fd=fd, follow_symlinks=False)
    if mode is not None:
        os.chmod(name, mode, dir_fd=fd, follow_symlinks=False)
    if times is not None:
        os.utime(name, ns=times, dir_fd=fd, follow_symlinks=False)


def _changes(st: os.stat_result, facts: Facts) -> tuple[int, int, int | None, tuple[int, int] | None]:
    """Compare what is with what shall be: uid and gid (-1 = leave), mode and times (None = leave)."""
    uid = user_id(facts.owner)
    gid = group_id(facts.group)
    mode = None
    if facts.mode is not None:
        mode = facts.mode & _PERMISSIONS
        if stat.S_ISDIR(st.st_mode):
            mode |= st.st_mode & stat.S_ISGID  # inherited from the folder above, not brought by the source
        if mode == st.st_mode & 0o7777:
            mode = None
    times = None
    if facts.modified is not None and facts.modified != st.st_mtime_ns:
        times = (st.st_atime_ns, facts.modified)
    return -1 if uid == st.st_uid else uid, -1 if gid == st.st_gid else gid, mode, times


def user_id(owner: str | int | None) -> int:
    """Give the number of an account here, -1 for none asked. An unknown name is an error, never root."""
    if owner is None or isinstance(owner, int):
        return -1 if owner is None else owner
    import pwd

    try:
        return pwd.getpwnam(owner).pw_uid
    except KeyError:
        raise refusal(
            ErrorKind.UNSUPPORTED, "set the owner", owner, "no account of that name on this machine"
        ) from None


def group_id(group: str | int | None) -> int:
    """Give the number of a group here, -1 for none asked."""
    if group is None or isinstance(group, int):
        return -1 if group is None else group
    import grp

    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise refusal(ErrorKind.UNSUPPORTED, "set the group", group, "no group of that name on this machine") from None


def remove(fd: int, name: str, kind: Kind, expect: Fingerprint | Entry | None) -> None:
    """Remove a file, symlink or empty folder. Gone already is success.

    Nothing is removed that is of another kind or, with ``expect``, has another fingerprint:
    CHANGED_DURING_COPY.
    """
    check(name)
    with translate("remove", name):
        entry = entry_at(fd, name)
        if entry is None:
            return
        if entry.kind is not kind or (expect is not None and not same(entry, expect)):
            raise refusal(ErrorKind.CHANGED_DURING_COPY, "remove", name, "it changed after the decision was taken")
        try:
            if kind is _CONTAINER:
                os.rmdir(name, dir_fd=fd)
            else:
                os.unlink(name, dir_fd=fd)
        except FileNotFoundError:
            pass


def sweep(fd: int, token: str) -> int:
    """Remove what a crash left unfinished in this folder under that token; give the number."""
    start = f"{TEMPORARY}{token}-"
    removed = 0
    with translate("sweep", ""), os.scandir(fd) as found:
        names = [item.name for item in found if item.name.startswith(start)]
        for name in names:
            try:
                os.unlink(name, dir_fd=fd)
                removed += 1
            except (FileNotFoundError, IsADirectoryError):
                pass
    return removed


def hard_link(
    existing_fd: int, existing: str, d_fd: int, name: str, *, replaces: Entry | None, temporary: str
) -> Entry:
    """Make ``name`` another name of an existing file, replacing only what was expected there."""
    check(existing)
    check(name)
    with translate("link", name):
        if replaces is None:
            _link(existing_fd, existing, d_fd, name)
        elif _are_one(entry_at(existing_fd, existing), here := entry_at(d_fd, name)) and same(here, replaces):
            pass  # it is that name already; a link more would change its ctime
        else:
            _link(existing_fd, existing, d_fd, temporary)
            try:
                put_in_place(d_fd, temporary, name, replaces)
            finally:  # also after success: renaming one link of a file over another does nothing
                unlink_quietly(d_fd, temporary)
        entry = entry_at(d_fd, name)
    if entry is None:
        raise refusal(ErrorKind.NOT_FOUND, "link", name, "it vanished again")
    return entry


def _are_one(one: Entry | None, other: Entry | None) -> bool:
    """Tell whether two entries are names of one file."""
    return one is not None and other is not None and one.link_id is not None and one.link_id == other.link_id


def _link(existing_fd: int, existing: str, d_fd: int, name: str) -> None:
    os.link(existing, name, src_dir_fd=existing_fd, dst_dir_fd=d_fd, follow_symlinks=False)


def put_in_place(
    d_fd: int, temporary: str, name: str, replaces: Fingerprint | Entry | None, *, alone: bool = False
) -> None:
    """Make a finished temporary visible under its name: over nothing, or over exactly what is replaced."""
    if replaces is None:
        rename_new(d_fd, temporary, d_fd, name, alone=alone)
        return
    here = entry_at(d_fd, name)
    if not same(here, replaces) or (here is not None and here.kind is _CONTAINER):
        what = "it vanished" if here is None else "something else stands there now"
        raise refusal(ErrorKind.ALREADY_EXISTS, "replace", name, what)
    os.rename(temporary, name, src_dir_fd=d_fd, dst_dir_fd=d_fd)


def rename_new(from_fd: int, name: str, to_fd: int, new_name: str, *, alone: bool = False) -> None:
    """Rename; a taken name is FileExistsError, in one step where the file system can.

    Elsewhere a link and an unlink do the same, or, with ``alone`` (nobody else is expected), a look first.
    """
    number = local_calls.rename_noreplace(from_fd, os.fsencode(name), to_fd, os.fsencode(new_name))
    if number == 0:
        return
    if number not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(number, os.strerror(number))
    if not alone:
        try:  # a link is never made over anything
            os.link(name, new_name, src_dir_fd=from_fd, dst_dir_fd=to_fd, follow_symlinks=False)
            os.unlink(name, dir_fd=from_fd)
            return
        except FileExistsError:
            raise
        except OSError:
            pass  # a folder, or a file system without hard links (vfat, many FUSE)
    if entry_at(to_fd, new_name) is not None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    os.rename(name, new_name, src_dir_fd=from_fd, dst_dir_fd=to_fd)


def unlink_quietly(fd: int, name: str) -> None:
    """Remove one of our temporaries; a missing one is fine, and so is a file system that refuses now."""
    try:
        os.unlink(name, dir_fd=fd)
    except OSError:
        pass  # the sweep of the next visit removes it
