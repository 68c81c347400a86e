"""A new folder filled out of sight: its files need no temporary names, and it appears whole, by one rename.

The folder that the parent's visit made is empty until then; the filled one, which stands beside it under a name of
ours, is renamed over it. A crash leaves it out of sight, and the next visit of the container removes it. The
rename changes the time of the folder above, which is then given that of its source again, as its own visit did.
"""

import errno
import os
from collections.abc import Callable, Sequence

from xxhash import xxh3_128_digest as digest

from tallyport.connectors import local_calls
from tallyport.connectors.local_content import RACY, SMALL
from tallyport.connectors.local_errors import translate
from tallyport.connectors.local_folders import rename_new, stamp_fd, tag_of, unlink_quietly
from tallyport.connectors.local_identity import is_acting
from tallyport.connectors.protocol import Facts
from tallyport.domain import paths
from tallyport.domain.errors import TallyportError
from tallyport.engine.work import Row

MOST_FILES = 900  # fewer than a report holds: a staged visit reports once
MOST_BYTES = 64 * 1024 * 1024
FEW = 8  # up to here files are synced one by one, above by one syncfs for the whole file system

_REGULAR = 0o10  # of the file type bits of a mode
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_TAKEN = frozenset((errno.ENOTEMPTY, errno.EEXIST))
_leave_no_trace = os.O_NOATIME  # only the owner of a file may ask for it: dropped at the first refusal


class Stage:
    """One folder on its way to be seen."""

    def __init__(self, parent_fd: int, name: str, stage_name: str) -> None:
        self.parent_fd = parent_fd  # not ours to close
        self.name = name
        self.stage_name = stage_name
        self.rows: list[Row] = []  # engine.work.Filled tuples
        self.is_shown = False
        self.error: TallyportError | None = None  # why it could not be shown, or not made to stay
        with translate("make the folder", name):
            os.mkdir(stage_name, 0o700, dir_fd=parent_fd)
            self.fd = os.open(stage_name, _FOLDER, dir_fd=parent_fd)

    def fill(
        self,
        s_fd: int,
        listed: list[tuple[str, os.stat_result]],
        *,
        listed_at: int,
        largest: int,
        times: bool,
        each: bool,
        stopped: Callable[[], bool],
    ) -> tuple[list[tuple[str, os.stat_result]], bool]:
        """Copy the small plain files; give what is left for others, and whether all was gone through.

        Left are other kinds, large and sparse files, hard links, and whatever failed here or changed lately: they
        are carried with more care, and fail there with the right words.
        """
        global _leave_no_trace
        rest: list[tuple[str, os.stat_result]] = []
        take, rows = rest.append, self.rows
        add = rows.append
        open_, close, pread, write, fstat, utime = os.open, os.close, os.pread, os.write, os.fstat, os.utime
        tag, to_bytes, d_fd = tag_of, paths.to_bytes, self.fd
        largest = min(largest, SMALL)
        read_flags = _READ | _leave_no_trace
        settled_before = listed_at - RACY
        for item in listed:
            if stopped():
                return rest, False
            name, st = item
            size, mode, changed = st.st_size, st.st_mode, st.st_ctime_ns
            if (
                size > largest
                or mode >> 12 != _REGULAR
                or st.st_nlink != 1
                or changed > settled_before
                or (size > 4096 and st.st_blocks * 512 < size)
            ):
                take(item)
                continue
            source_fd = out_fd = -1
            created = False
            try:
                source_fd = open_(name, read_flags, dir_fd=s_fd)
                data = pread(source_fd, size + 1, 0)
                now = fstat(source_fd)
                modified = st.st_mtime_ns
                if (
                    len(data) != size
                    or now.st_ctime_ns != changed
                    or now.st_mtime_ns != modified
                    or now.st_ino != st.st_ino
                    or now.st_mode != mode
                ):
                    take(item)
                    continue
                out_fd = open_(name, _CREATE, mode & 0o777, dir_fd=d_fd)
                created = True
                if write(out_fd, data) != size:
                    raise OSError("short write")
                if times:
                    utime(out_fd, ns=(now.st_atime_ns, modified))
                there = fstat(out_fd)
                if (there.st_mode ^ mode) & 0o777:
                    os.fchmod(out_fd, mode & 0o777)
                    there = fstat(out_fd)
                if each:
                    os.fsync(out_fd)
                closing_fd, out_fd = out_fd, -1
                close(closing_fd)  # a network file system may tell of a failed write here
            except (OSError, ValueError) as error:
                if created:
                    unlink_quietly(d_fd, name)
                if isinstance(error, PermissionError) and _leave_no_trace and source_fd < 0:
                    read_flags = _READ  # only the owner of a file may read it without a trace
                    if not is_acting():  # what another account is refused, ours may be let
                        _leave_no_trace = 0
                take(item)
                continue
            finally:
                if source_fd >= 0:
                    close(source_fd)
                if out_fd >= 0:
                    close(out_fd)
            add(
                (
                    to_bytes(name),
                    size,
                    modified,
                    tag(st.st_ino, changed),
                    there.st_size,
                    there.st_mtime_ns,
                    tag(there.st_ino, there.st_ctime_ns),
                    digest(data),
                )
            )
        return rest, True

    def seal(self, facts: Facts) -> None:
        """Give the folder its own times and permissions, before it is synced and seen."""
        with translate("set times and permissions of", self.name):
            stamp_fd(self.fd, facts)

    def publish(self) -> None:
        """Put the folder in the place of the empty one."""
        with translate("show the folder", self.name):
            try:
                os.rename(self.stage_name, self.name, src_dir_fd=self.parent_fd, dst_dir_fd=self.parent_fd)
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
                self._merge()

    def _merge(self) -> None:
        """Move what is in the stage into a folder that somebody filled meanwhile, over nothing."""
        there_fd = os.open(self.name, _FOLDER, dir_fd=self.parent_fd)
        try:
            for name in os.listdir(self.fd):
                rename_new(self.fd, name, there_fd, name)
            os.close(self.fd)
            self.fd = there_fd
        except BaseException:
            os.close(there_fd)
            raise
        os.rmdir(self.stage_name, dir_fd=self.parent_fd)


def take_away(stage: Stage) -> None:
    """Remove a stage that will not be shown, if it still stands: another one may have its name by now."""
    with translate("remove", stage.name):
        try:
            there = os.stat(stage.stage_name, dir_fd=stage.parent_fd, follow_symlinks=False)
        except FileNotFoundError:
            return
        if os.path.samestat(there, os.fstat(stage.fd)):
            clear(stage.parent_fd, stage.stage_name)


def sync(stages: Sequence[Stage]) -> None:
    """Bring what is in the stages to disk: file by file where it is little, else the whole file system at once."""
    with translate("write", ""):
        if sum(len(stage.rows) for stage in stages) > FEW and _sync_file_systems(stages):
            return
        for stage in stages:
            for row in stage.rows:
                fd = os.open(row[0], _READ, dir_fd=stage.fd)
                try:
                    os.fsync(fd)
                finally:
                    os.close(fd)
            os.fsync(stage.fd)


def _sync_file_systems(stages: Sequence[Stage]) -> bool:
    """Sync every file system that holds a stage, once; False when that failed or cannot be done."""
    file_systems = {os.fstat(stage.fd).st_dev: stage.fd for stage in stages}
    return not any(local_calls.syncfs(fd) for fd in file_systems.values())


def clear(parent_fd: int, stage_name: str) -> None:
    """Remove a stage that a crash left, with what is in it: files, links and empty folders."""
    try:
        fd = os.open(stage_name, _FOLDER, dir_fd=parent_fd)
    except FileNotFoundError:
        return
    with translate("sweep", stage_name):
        try:
            for name in os.listdir(fd):
                try:
                    os.unlink(name, dir_fd=fd)
                except IsADirectoryError:
                    os.rmdir(name, dir_fd=fd)
        finally:
            os.close(fd)
        os.rmdir(stage_name, dir_fd=parent_fd)
