"""Says how two trees of local files differ, byte for byte and in all that a faithful copy carries.

Both trees are walked side by side below held folder descriptors, one folder at a time in the order of names.
So memory stays flat, and neither depth nor a symlink can lead anywhere else.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

CHUNK = 1024 * 1024
# A copy may allocate this much more than its original: the last block, and how a file system rounds.
SLACK = 128 * 1024

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "FIFO",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


def differences(
    a: str,
    b: str,
    *,
    content: bool = True,
    times: bool = True,
    modes: bool = True,
    owners: bool = True,
    links: bool = True,
    holes: bool = True,
    top: bool = True,
    ignore: frozenset[str] = frozenset(),
    limit: int = 100,
) -> list[str]:
    """Return one line for each difference between two folders; after ``limit`` lines, one that says so.

    Empty means equal. ``times`` are those of modification, to the nanosecond, of files, folders and symlinks.
    ``links`` compares which names are one file. ``holes`` asks that nothing sparse in ``a`` is stored in full
    in ``b``. ``top`` includes the metadata of the two folders themselves. ``ignore`` holds paths, relative to
    both, that are not looked at.
    """
    comparison = Comparison(content, times, modes, owners, links, holes, ignore)
    found: list[str] = []
    a_fd, b_fd = os.open(a, FOLDER), os.open(b, FOLDER)
    try:
        for difference in comparison.folders("", a_fd, b_fd, top=top):
            if len(found) == limit:
                found.append("... and more")
                break
            found.append(difference)
    finally:
        os.close(a_fd)
        os.close(b_fd)
    return found


@dataclass(slots=True)
class Comparison:
    """What is compared, and what has been learnt of the names that share a file."""

    content: bool
    times: bool
    modes: bool
    owners: bool
    links: bool
    holes: bool
    ignore: frozenset[str]
    # Device and inode → the first name seen. The two sides are walked in one order, so first names agree.
    a_first: dict[tuple[int, int], str] = field(default_factory=dict)
    b_first: dict[tuple[int, int], str] = field(default_factory=dict)

    def folders(self, path: str, a_fd: int, b_fd: int, *, top: bool = True) -> Iterator[str]:
        """Yield how two open folders differ, and all below them."""
        if top:
            yield from self.metadata(path or ".", os.fstat(a_fd), os.fstat(b_fd))
        a_names, b_names = names(a_fd), names(b_fd)
        b_set = set(b_names)
        for name in a_names:
            below = f"{path}/{name}" if path else name
            if below in self.ignore:
                continue
            if name in b_set:
                b_set.remove(name)
                yield from self.entries(below, name, a_fd, b_fd)
            else:
                yield f"{below!a}: missing"
        for name in b_names:
            below = f"{path}/{name}" if path else name
            if name in b_set and below not in self.ignore:
                yield f"{below!a}: not expected"

    def entries(self, path: str, name: str, a_fd: int, b_fd: int) -> Iterator[str]:
        """Yield how two entries of one name differ, and all below them."""
        a = os.stat(name, dir_fd=a_fd, follow_symlinks=False)
        b = os.stat(name, dir_fd=b_fd, follow_symlinks=False)
        if stat.S_IFMT(a.st_mode) != stat.S_IFMT(b.st_mode):
            yield f"{path!a}: {kind(b)}, not {kind(a)}"
            return
        if stat.S_ISDIR(a.st_mode):
            a_child, b_child = os.open(name, FOLDER, dir_fd=a_fd), os.open(name, FOLDER, dir_fd=b_fd)
            try:
                yield from self.folders(path, a_child, b_child)
            finally:
                os.close(a_child)
                os.close(b_child)
            return
        yield from self.metadata(path, a, b)
        if stat.S_ISLNK(a.st_mode):
            a_text, b_text = os.readlink(name, dir_fd=a_fd), os.readlink(name, dir_fd=b_fd)
            if a_text != b_text:
                yield f"{path!a}: leads to {b_text!a}, not {a_text!a}"
        elif stat.S_ISREG(a.st_mode):
            yield from self.files(path, name, a_fd, b_fd, a, b)
        elif a.st_rdev != b.st_rdev:
            yield f"{path!a}: another device"

    def files(self, path: str, name: str, a_fd: int, b_fd: int, a: os.stat_result, b: os.stat_result) -> Iterator[str]:
        """Yield how two regular files differ."""
        if self.links:
            yield from self.hard_links(path, a, b)
        if a.st_size != b.st_size:
            yield f"{path!a}: {b.st_size} bytes, not {a.st_size}"
        elif self.content and a.st_size:
            place = first_difference(name, a_fd, b_fd)
            if place is not None:
                yield f"{path!a}: content differs at byte {place}"
        a_stored, b_stored = a.st_blocks * 512, b.st_blocks * 512
        if self.holes and a_stored + SLACK < a.st_size and b_stored > a_stored * 1.05 + SLACK:
            yield f"{path!a}: takes {b_stored} bytes on disk, not {a_stored}: holes were filled"

    def hard_links(self, path: str, a: os.stat_result, b: os.stat_result) -> Iterator[str]:
        """Yield a difference when a name shares its file with other names than on the other side."""
        a_first = self.a_first.setdefault((a.st_dev, a.st_ino), path) if a.st_nlink > 1 else path
        b_first = self.b_first.setdefault((b.st_dev, b.st_ino), path) if b.st_nlink > 1 else path
        if a_first == b_first:
            return
        is_own = "a file of its own"
        expected = is_own if a_first == path else f"the same file as {a_first!a}"
        seen = is_own if b_first == path else f"the same file as {b_first!a}"
        yield f"{path!a}: {seen}, not {expected}"

    def metadata(self, path: str, a: os.stat_result, b: os.stat_result) -> Iterator[str]:
        """Yield the differences in time, mode and owner."""
        if self.times and a.st_mtime_ns != b.st_mtime_ns:
            yield f"{path!a}: modified at {b.st_mtime_ns}, not {a.st_mtime_ns} ({kind(a)})"
        a_mode, b_mode = stat.S_IMODE(a.st_mode), stat.S_IMODE(b.st_mode)
        if self.modes and not stat.S_ISLNK(a.st_mode) and a_mode != b_mode:
            yield f"{path!a}: mode {b_mode:04o}, not {a_mode:04o} ({kind(a)})"
        if self.owners and (a.st_uid, a.st_gid) != (b.st_uid, b.st_gid):
            yield f"{path!a}: belongs to {b.st_uid}:{b.st_gid}, not {a.st_uid}:{a.st_gid} ({kind(a)})"


def first_difference(name: str, a_fd: int, b_fd: int) -> int | None:
    """Return the first byte at which two files of one name differ, or None."""
    a_file = os.open(name, FILE, dir_fd=a_fd)
    try:
        b_file = os.open(name, FILE, dir_fd=b_fd)
        try:
            return first_difference_of_open(a_file, b_file)
        finally:
            os.close(b_file)
    finally:
        os.close(a_file)


def first_difference_of_open(a_file: int, b_file: int) -> int | None:
    """Read two open files from their start, holes as zeroes, up to the first difference."""
    place = 0
    while True:
        a_piece = read_piece(a_file, place)
        b_piece = read_piece(b_file, place)
        if a_piece != b_piece:
            shorter = min(len(a_piece), len(b_piece))
            return place + next((i for i in range(shorter) if a_piece[i] != b_piece[i]), shorter)
        if len(a_piece) < CHUNK:
            return None
        place += CHUNK


def read_piece(file_fd: int, place: int) -> bytes:
    """Read one chunk, short only at the end of the file."""
    piece = os.pread(file_fd, CHUNK, place)
    while 0 < len(piece) < CHUNK:
        more = os.pread(file_fd, CHUNK - len(piece), place + len(piece))
        if not more:
            break
        piece += more
    return piece


def names(folder_fd: int) -> list[str]:
    """List an open folder in the order of names."""
    os.lseek(folder_fd, 0, os.SEEK_SET)
    return sorted(os.listdir(folder_fd))


def kind(facts: os.stat_result) -> str:
    """Name what an entry is, for people."""
    return KINDS.get(stat.S_IFMT(facts.st_mode), "something else")


def leftovers(root: str, prefix: str = ".tallyport-") -> list[str]:
    """Return the paths of all temporaries below a folder, relative to it."""
    found = []
    for folder, folders, files in os.walk(root):
        found += [
            os.path.relpath(os.path.join(folder, name), root) for name in [*folders, *files] if name.startswith(prefix)
        ]
    return sorted(found)


def snapshot(root: str) -> dict[str, tuple[int, ...]]:
    """Record everything that a write below a folder would change, the times of last change included."""
    facts: dict[str, tuple[int, ...]] = {}
    for folder, folders, files in os.walk(root):
        for path in [folder, *(os.path.join(folder, name) for name in [*folders, *files])]:
            entry = os.lstat(path)
            facts[os.path.relpath(path, root)] = (
                entry.st_ino,
                entry.st_mode,
                entry.st_uid,
                entry.st_gid,
                entry.st_size,
                entry.st_mtime_ns,
                entry.st_ctime_ns,
            )
    return facts
