"""Bringing to disk what was written: files by themselves, whole file systems, the names in folders."""

import errno
import os
from collections.abc import Iterable

from tallyport.connectors import local_calls

SYNCS_IN_FLIGHT = 32


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


def sync_folders(folder_fds: Iterable[int]) -> dict[int, OSError]:
    """Bring the names in many folders to disk; give the failures."""
    failures = {}
    for d_fd in folder_fds:
        try:
            sync_folder(d_fd)
        except OSError as error:
            failures[d_fd] = error
    return failures


def sync_file_systems(folder_fds: Iterable[int]) -> bool:
    """Sync every file system that holds one of the folders, once; False when that failed or cannot be done.

    A folder's descriptor is older than the writes, so the kernel reports a failed one to it (since 5.8). It
    does not say which: then each file is asked.
    """
    file_systems = {os.fstat(d_fd).st_dev: d_fd for d_fd in folder_fds}
    return all(local_calls.syncfs(d_fd) == 0 for d_fd in file_systems.values())
