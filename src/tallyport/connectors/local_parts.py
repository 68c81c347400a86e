"""Big files in parts: each carried by whoever is free, into one temporary that is finished when all stand."""

import os
from collections.abc import Callable
from time import time_ns

from tallyport.connectors.hashing import PART, ContentHash
from tallyport.connectors.local_content import (
    carry,
    changed,
    create,
    is_as,
    is_racy,
    open_to_read,
    prove_still,
)
from tallyport.connectors.local_errors import refusal, translate
from tallyport.connectors.local_folders import check, entry_of, put_in_place, stamp_fd, unlink_quietly
from tallyport.connectors.local_sync import sync_folder
from tallyport.connectors.protocol import Facts
from tallyport.domain.capabilities import Durability
from tallyport.domain.entries import Entry, Fingerprint, Kind, Side
from tallyport.domain.errors import ErrorKind, TallyportError

_OUT = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_PERMISSIONS = 0o777
_NONE, _SOURCE, _DESTINATION = Durability.NONE, Side.SOURCE, Side.DESTINATION


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
    modified: int | None = None,
    guard: Callable[[], None] | None = None,
) -> bytes:
    """Copy one part of a big file into its temporary and give the part's digest; holes are kept.

    Parts may come in any order, again, and from several processes at once. Parts are ``hashing.PART`` long.
    ``guard`` is called before anything is made or written, and raises where nothing may be any more. The temporary is
    left with the time ``modified``, since others may have finished it in the middle of this.
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
        if guard is not None:
            guard()
        with translate("write", name, _DESTINATION):
            temp_fd, is_new = _open_part(d_fd, temporary)
            try:
                if is_new and guard is not None:
                    _keep_if(guard, d_fd, temporary)
                running = ContentHash()
                carry(source_fd, temp_fd, offset, offset + length, running, name, holes=holes, guard=guard)
                content = running.digest()
                if durability is not _NONE:
                    os.fdatasync(temp_fd)
            finally:
                if modified is not None:
                    os.utime(temp_fd, ns=(st.st_atime_ns, modified))
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
    dress: Callable[[int], None] | None = None,
) -> Entry:
    """Give a temporary of parts its size and metadata, sync it, make it visible and sync its folder.

    ``dress`` is called with its descriptor, to set what a file has besides.

    On an error the temporary stays: whoever recorded its name decides.
    """
    check(name)
    with translate("write", name, _DESTINATION):
        temp_fd, _ = _open_part(d_fd, temporary, make=False)
        try:
            if facts.size is not None and os.fstat(temp_fd).st_size != facts.size:
                os.ftruncate(temp_fd, facts.size)
            if dress is not None:
                dress(temp_fd)
            stamp_fd(temp_fd, facts)
            if facts.mode is None and dress is None:
                os.fchmod(temp_fd, _mode_of_creation(d_fd, f"{temporary}-"))
            if durability is not _NONE:
                os.fsync(temp_fd)
            put_in_place(d_fd, temporary, name, replaces)
            entry = entry_of(name, os.fstat(temp_fd))
        finally:
            os.close(temp_fd)
        if durability is not _NONE:
            sync_folder(d_fd)
    return entry


def _keep_if(guard: Callable[[], None], d_fd: int, temporary: str) -> None:
    """Remove a temporary that was just made again where others finished it meanwhile: nobody waits for this one."""
    try:
        guard()
    except TallyportError:
        unlink_quietly(d_fd, temporary)
        raise


def _open_part(d_fd: int, temporary: str, *, make: bool = True) -> tuple[int, bool]:
    """Open the temporary of a big file, made when missing; refuse what is not a file of ours alone.

    Gives also whether it was made here.
    """
    check(temporary)
    is_new = False
    try:
        temp_fd = os.open(temporary, _OUT, dir_fd=d_fd)
    except FileNotFoundError:
        if not make:
            raise
        temp_fd = os.open(temporary, _OUT | os.O_CREAT, 0o600, dir_fd=d_fd)
        is_new = True
    st = os.fstat(temp_fd)
    if entry_of(temporary, st).kind is not Kind.FILE or st.st_nlink != 1 or st.st_uid != os.geteuid():
        os.close(temp_fd)
        raise refusal(ErrorKind.ALREADY_EXISTS, "write", temporary, "it is not a file made by us")
    return temp_fd, is_new


def _mode_of_creation(d_fd: int, temporary: str) -> int:
    """Give the mode that a new file gets in this folder, by umask and default ACL: nothing else tells it."""
    probe_fd = create(d_fd, temporary, 0o666)
    try:
        return os.fstat(probe_fd).st_mode & _PERMISSIONS
    finally:
        os.close(probe_fd)
        unlink_quietly(d_fd, temporary)
