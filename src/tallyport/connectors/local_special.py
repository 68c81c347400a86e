"""Bits and attributes that give whoever runs a file the rights of somebody else: restored only where a job asks.

They are set last, on the open file, once it has its owner. A file that belongs to somebody else than it did gets no
setuid bit: it would give away the rights of a person who never gave them.
"""

import os
import stat
from collections.abc import Iterator

CAPABILITY = "security.capability"
_BITS = ((stat.S_ISUID, "setuid"), (stat.S_ISGID, "setgid"), (stat.S_ISVTX, "sticky"))


def restore(s_fd: int, d_fd: int, *, owners: bool) -> Iterator[str]:
    """Give what is open at the destination the special bits of the source; says what was not restored, and why.

    ``owners``: owner and group were carried through the maps, so that another number may be who is meant.
    """
    source, there = os.fstat(s_fd), os.fstat(d_fd)
    whose = {
        stat.S_ISUID: _is_theirs(source.st_uid, there.st_uid, owners=owners),
        stat.S_ISGID: _is_theirs(source.st_gid, there.st_gid, owners=owners) or stat.S_ISDIR(source.st_mode),
        stat.S_ISVTX: True,
    }
    mode = stat.S_IMODE(there.st_mode) & 0o777
    for bit, name in _BITS:
        if source.st_mode & bit and whose[bit]:
            mode |= bit
        elif source.st_mode & bit:
            yield f"the {name} bit was not restored: the item belongs to somebody else here"
    if mode != stat.S_IMODE(there.st_mode):
        os.fchmod(d_fd, mode)
    now = os.fstat(d_fd).st_mode
    for bit, name in _BITS:
        if mode & bit and not now & bit:
            yield f"the {name} bit was not restored: the system does not let this process set it"
    yield from _capabilities(s_fd, d_fd)


def _is_theirs(uid: int, there: int, *, owners: bool) -> bool:
    return uid == there or (owners and there != 0)


def _capabilities(s_fd: int, d_fd: int) -> Iterator[str]:
    wanted = _capability(s_fd)
    if wanted == _capability(d_fd):
        return
    try:
        if wanted is None:
            os.removexattr(d_fd, CAPABILITY)
        else:
            os.setxattr(d_fd, CAPABILITY, wanted)
    except OSError as error:
        yield f"file capabilities were not restored: {(error.strerror or str(error)).lower()}"


def _capability(fd: int) -> bytes | None:
    try:
        return os.getxattr(fd, CAPABILITY)
    except OSError:
        return None
