"""Two Linux system calls that Python lacks, bound at their first use: ctypes takes 4 ms to import."""

import errno
from collections.abc import Callable


def _first_rename(from_fd: int, name: bytes, to_fd: int, new_name: bytes) -> int:
    global rename_noreplace
    rename_noreplace = _bind_renameat2()
    return rename_noreplace(from_fd, name, to_fd, new_name)


def _first_syncfs(fd: int) -> int:
    global syncfs
    syncfs = _bind_syncfs()
    return syncfs(fd)


# Both give the errno, 0 for success; ENOSYS where the C library has no such call. Use them by the module's
# name: what stands here is replaced at the first use.
rename_noreplace: Callable[[int, bytes, int, bytes], int] = _first_rename
syncfs: Callable[[int], int] = _first_syncfs


def _bind_renameat2() -> Callable[[int, bytes, int, bytes], int]:
    import ctypes

    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return lambda *_: errno.ENOSYS
    call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    last_errno = ctypes.get_errno
    noreplace = 1

    def rename(from_fd: int, name: bytes, to_fd: int, new_name: bytes) -> int:
        if b"\0" in new_name or b"\0" in name:  # ctypes would cut the name there
            return errno.EINVAL
        return last_errno() if call(from_fd, name, to_fd, new_name, noreplace) else 0

    return rename


def _bind_syncfs() -> Callable[[int], int]:
    import ctypes

    try:
        call = ctypes.CDLL(None, use_errno=True).syncfs
    except AttributeError:
        return lambda fd: errno.ENOSYS
    call.argtypes = [ctypes.c_int]
    last_errno = ctypes.get_errno
    return lambda fd: last_errno() if call(fd) else 0
