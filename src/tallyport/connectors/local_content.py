"""Bytes of local files: read, hashed on the way, written; holes stay holes.

Content is read at positions (``pread``): that takes nothing from a FIFO or terminal that was swapped in for
the file, it fails with ESPIPE.
"""

import errno
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator

from tallyport.connectors.hashing import ContentHash, digest
from tallyport.connectors.local_errors import error_of, refusal, translate
from tallyport.connectors.local_folders import check, tag_of
from tallyport.connectors.local_identity import is_acting
from tallyport.domain.entries import Entry, Fingerprint, Side
from tallyport.domain.errors import ErrorKind

BLOCK = 4096  # a hole smaller than this is none
SMALL = 64 * 1024  # up to here one read and one write
CHUNK = 256 * 1024  # read, hashed and written while it is in the processor's cache
RACY = 20_000_000  # nanoseconds: two changes closer than the kernel's clock tick can leave the same ctime

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ZEROS = memoryview(bytes(256 * 1024))  # stays in the processor's cache while a large hole is hashed


class _Own(threading.local):
    """What each thread has for itself."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(CHUNK))


_own = _Own()
_read_quietly = _READ | os.O_NOATIME  # only the owner of a file may ask for it: dropped at the first refusal


def open_to_read(fd: int, name: str) -> int:
    """Open what was listed as a file; never waits, never follows. What it is must be seen by fstat."""
    global _read_quietly
    try:
        return os.open(name, _read_quietly, dir_fd=fd)
    except PermissionError as error:
        if error.errno != errno.EPERM or _read_quietly == _READ:
            raise
    source_fd = os.open(name, _READ, dir_fd=fd)
    if not is_acting():  # what another account is refused, ours may be let
        _read_quietly = _READ
    return source_fd


def open_file(fd: int, name: str) -> tuple[int, os.stat_result]:
    """Open a regular file to read and give its stat; anything else is UNSUPPORTED and is not opened."""
    check(name)
    kind = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
    source_fd = -1
    if stat.S_ISREG(kind):
        source_fd = open_to_read(fd, name)
        st = os.fstat(source_fd)
        if stat.S_ISREG(st.st_mode):
            return source_fd, st
        os.close(source_fd)
    raise refusal(ErrorKind.UNSUPPORTED, "read", name, "it is no regular file")


def read_listed(fd: int, name: str, entry: Entry) -> bytes:
    """Read a small file whole that is as it was listed; another one is CHANGED_DURING_COPY.

    One look, after reading: inode and ctime say it all, none of size, time and kind changes without them.
    """
    started = time.time_ns()
    source_fd = open_to_read(fd, name)
    try:
        data = os.pread(source_fd, entry.size + 1, 0)
        st = os.fstat(source_fd)
        if len(data) != entry.size or tag_of(st.st_ino, st.st_ctime_ns) != entry.tag:
            raise changed(name)
        if started - st.st_ctime_ns < RACY and is_racy(st, started):
            prove_still(source_fd, st, name, digest(data), 0, entry.size)
        return data
    finally:
        os.close(source_fd)


def create(d_fd: int, temporary: str, mode: int) -> int:
    """Make a new file to write; a name that is there already is FileExistsError."""
    return os.open(temporary, _CREATE, mode, dir_fd=d_fd)


def is_as(st: os.stat_result, expected: Entry | Fingerprint) -> bool:
    """Tell whether an open file is a regular file and still the one that was listed."""
    return (
        st.st_mtime_ns == expected.modified
        and st.st_size == expected.size
        and tag_of(st.st_ino, st.st_ctime_ns) == expected.tag
        and stat.S_ISREG(st.st_mode)
    )


def is_racy(st: os.stat_result, started: int) -> bool:
    """Tell whether a file changed so shortly before we read it that a later change may not show."""
    return 0 <= started - st.st_ctime_ns < RACY


def prove_still(source_fd: int, st: os.stat_result, name: str, read: bytes, start: int, end: int) -> None:
    """Wait until a change of a racy file would show in its ctime, then read again: same hash or error."""
    time.sleep(RACY / 1e9)
    again = content_hash(source_fd, start, end, name, holes=False)
    if again != read or os.fstat(source_fd).st_ctime_ns != st.st_ctime_ns:
        raise changed(name)


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write at the current position; a short write (a nearly full disk) goes on until the system says why."""
    written = os.write(fd, data)
    while written < len(data):
        data = memoryview(data)[written:]
        written = os.write(fd, data)


def carry(
    source_fd: int,
    out_fd: int,
    start: int,
    end: int,
    running: ContentHash,
    name: str,
    *,
    holes: bool,
    guard: Callable[[], None] | None = None,
) -> int:
    """Copy a range to the same place of another file, hashing it; give the bytes written.

    With ``holes`` nothing is written where the source has none; the hash takes zeros there. ``guard`` is called
    before each write.
    """
    moved = 0
    view = _own.buffer
    for at, stop, is_hole in extents(source_fd, start, end) if holes else [(start, end, False)]:
        if is_hole:
            hash_zeros(running, stop - at)
            _clear(out_fd, at, stop, name)
            continue
        while at < stop:
            try:
                size = os.preadv(source_fd, [view[: min(CHUNK, stop - at)]], at)
            except OSError as error:
                raise error_of(error, "read", name, Side.SOURCE) from error
            if size == 0:
                raise changed(name)
            chunk = view[:size]
            running.update(chunk)
            if guard is not None:
                guard()
            try:
                _write_at(out_fd, chunk, at)
            except OSError as error:
                raise error_of(error, "write", name, Side.DESTINATION) from error
            at += size
            moved += size
    return moved


def extents(source_fd: int, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
    """Give a range in order as pieces of data and holes: (start, end, is_hole)."""
    at = start
    while at < end:
        try:
            data = min(os.lseek(source_fd, at, os.SEEK_DATA), end)
        except OSError as error:
            if error.errno != errno.ENXIO:  # ENXIO: no data after this place
                raise
            data = end
        if data > at:
            yield at, data, True
        if data < end:
            at = min(os.lseek(source_fd, data, os.SEEK_HOLE), end)
            if at <= data:  # the file was cut meanwhile
                at = end
            yield data, at, False
        else:
            at = end


def hash_zeros(running: ContentHash, length: int) -> None:
    """Take a hole into the hash."""
    while length > 0:
        running.update(_ZEROS[: min(length, len(_ZEROS))])
        length -= len(_ZEROS)


def content_hash(source_fd: int, start: int, end: int, name: str, *, holes: bool) -> bytes:
    """Hash a range of an open file."""
    running = ContentHash()
    view = _own.buffer
    for at, stop, is_hole in extents(source_fd, start, end) if holes else [(start, end, False)]:
        if is_hole:
            hash_zeros(running, stop - at)
            continue
        while at < stop:
            got = os.preadv(source_fd, [view[: min(CHUNK, stop - at)]], at)
            if got == 0:
                raise changed(name)
            running.update(view[:got])
            at += got
    return running.digest()


def _clear(out_fd: int, start: int, end: int, name: str) -> None:
    """Write zeros over what an earlier try left where the source has a hole."""
    try:
        for at, stop, is_hole in extents(out_fd, start, min(end, os.fstat(out_fd).st_size)):
            while at < stop and not is_hole:
                at += os.pwrite(out_fd, _ZEROS[: min(len(_ZEROS), stop - at)], at)
    except OSError as error:
        raise error_of(error, "write", name, Side.DESTINATION) from error


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


def changed(name: str) -> Exception:
    """Give the error for a source that is not what was listed."""
    return refusal(ErrorKind.CHANGED_DURING_COPY, "read", name, "it changed while it was read", Side.SOURCE)


def _write_at(fd: int, data: memoryview, offset: int) -> None:
    while len(data):
        written = os.pwrite(fd, data, offset)
        data = data[written:]
        offset += written


def evict(fd: int, name: str) -> None:
    """Have the next read of a file come from the disk, as far as the system lets us."""
    with translate("prove", name):
        file_fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
        try:
            os.fdatasync(file_fd)
            os.posix_fadvise(file_fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(file_fd)
