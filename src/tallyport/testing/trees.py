"""Trees to migrate in tests, demonstrations and benchmarks: the same arguments make the same tree.

Everything is made below held folder descriptors, so a tree may be deeper than a path may be long. Times and
modes of folders are set last, from the bottom up, because filling a folder changes them.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB
SECOND = 1_000_000_000

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

# Each of these is a name somebody's migration failed on. All are legal on Linux.
AWKWARD_NAMES = [
    "Gr\u00fc\u00dfe.txt",  # composed; the next one looks the same and is another file
    "Gru\u0308\u00dfe.txt",
    "with space.txt",
    " leading space",
    "trailing space ",
    "trailing dot.",
    "...",
    "-rf",
    "--help",
    ".hidden",
    "it's.txt",
    'say "hello".txt',
    "new\nline.txt",
    "tab\there.txt",
    "back\\slash.txt",
    "control\x01\x7f.txt",
    "colon:star*question?.txt",
    "less<more>pipe|.txt",
    "[brackets]{braces}.txt",
    "$(touch surprise)",
    "`id`; rm -rf .txt",
    "%2e%2e%2fescape.txt",
    "..%2f..",
    "~",
    "CON",
    "nul.txt",
    "Case.txt",
    "case.txt",
    "\u65e5\u672c\u8a9e.txt",
    "\U0001f600.txt",
    "right\u202eto-left.txt",
    "zero\u200bwidth\u200djoiner.txt",
    "ﬁle ＡＢＣ.txt",
    "İi ſs.txt",
    "=1+1.csv",
    "n" * 251 + ".txt",  # 255 bytes, the longest there is
    "é" * 125 + ".txtx",  # 255 bytes in 130 characters
    os.fsdecode(b"latin-\xe9.txt"),  # not UTF-8, as an old share hands it over
    os.fsdecode(b"\xff\xfe"),
    os.fsdecode(b"half-\xed\xa0\x80-pair"),
]
AWKWARD_FOLDERS = [
    "Ordner mit Grüßen",
    "fold\ner",
    os.fsdecode(b"m\xfcll"),
    "d" * 255,
    "trailing ",
    "%00",
]
# Before 1970, at 1970, beyond 31 and 32 bits, and to the last nanosecond.
AWKWARD_TIMES = [
    -300_000_000 * SECOND,
    -1,
    0,
    1,
    999_999_999,
    (2**31 - 1) * SECOND + 999_999_999,
    2**31 * SECOND,
    2**32 * SECOND + 123_456_789,
    9_000_000_000 * SECOND,
]
FILE_MODES = [0o644, 0o644, 0o644, 0o600, 0o640, 0o755, 0o444, 0o664]
FOLDER_MODES = [0o755, 0o755, 0o700, 0o750, 0o775]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What was made below the root; the root itself is not counted."""

    files: int
    folders: int
    symlinks: int
    bytes: int  # the sizes of all files; a hole counts, a hard link counts once for each name

    @property
    def items(self) -> int:
        return self.files + self.folders + self.symlinks


def sample_tree(root: str, *, files: int = 2_000, seed: int = 1, sparse_size: int = 64 * MIB) -> Tree:
    """Make a tree with everything that a real one surprises us with, in a new folder, and say what is in it.

    Regular files are exactly ``files`` (at least 200). There are nested, deep and empty folders, empty files,
    awkward names and times, symlinks of every kind (none of which may be followed), hard links, a sparse file
    with data in three places, read-only files and a read-only folder.
    """
    if files < 200:
        raise ValueError(f"a sample tree has at least 200 files, not {files}")
    with Builder(root, seed=seed) as build:
        build.awkward()
        build.symlinks()
        build.hard_links()
        build.sparse("data/disk.img", sparse_size)
        build.folder("empty/and/nested")
        build.file("read-only/cannot be changed.txt", 700, mode=0o444)
        build.deep("deep", levels=40)
        build.fill(files - build.made["files"], largest=2 * MIB, budget=24 * MIB)
        build.chmod("read-only", 0o555)
        return build.finish()


def bench_tree(
    root: str,
    *,
    files: int = 100_000,
    folders: int = 1_000,
    smallest: int = KIB,
    largest: int = 8 * KIB,
    seed: int = 1,
) -> Tree:
    """Make a plain tree of many files, sizes evenly spread from ``smallest`` to ``largest``, for measuring.

    The defaults are the workload W1. ``files=20, folders=1, smallest=largest=256 * MIB`` is W4.
    """
    source = random.Random(seed)
    block = source.randbytes(min(max(largest, 64 * KIB), 16 * MIB))
    made = total = 0
    os.makedirs(root)
    with opened(root) as root_fd:
        for number in range(folders):
            name = f"folder-{number:04}"
            os.mkdir(name, dir_fd=root_fd)
            with opened(name, root_fd) as folder_fd:
                for index in range(files * number // folders, files * (number + 1) // folders):
                    size = source.randint(smallest, largest)
                    write_block(folder_fd, f"file-{index:07}.dat", size, block, index)
                    made += 1
                    total += size
    return Tree(files=made, folders=folders, symlinks=0, bytes=total)


def crash_tree(root: str, *, items: int = 20_000, seed: int = 1, budget: int = 600 * MIB) -> Tree:
    """Make a tree for pulling the plug on: files from nothing to 64 MiB, with links, below ``budget`` bytes.

    Most files are small, as most files are; the large ones are there so that a kill often lands inside one.
    ``items`` counts files, folders and symlinks, and is met exactly.
    """
    with Builder(root, seed=seed) as build:
        source = build.source
        folders = max(items // 40, 8)
        paths = ["."]
        while build.made["folders"] < folders:
            paths.append(build.folder(f"{source.choice(paths)}/d{len(paths):05}"))
        room = budget
        for size in (64 * MIB, 64 * MIB, 32 * MIB, 32 * MIB, 24 * MIB, 24 * MIB, 17 * MIB, 9 * MIB):
            if size <= room // 3:
                build.file(f"{source.choice(paths)}/large-{build.made['files']}", size)
                room -= size
        for _ in range(4):
            original = build.file(f"{source.choice(paths)}/linked-{build.made['files']}", 5_000)
            build.link(original, f"{source.choice(paths)}/linked-{build.made['files']}")
        for number in range(items // 200):
            build.symlink(f"{source.choice(paths)}/to-{number}", f"../target-{number}")
        rest = items - build.made["files"] - build.made["folders"] - build.made["symlinks"]
        build.fill(rest, largest=MIB, budget=room - 2 * MIB, paths=paths)
        return build.finish()


def remove_tree(root: str) -> None:
    """Remove a tree, read-only folders included. Gone already is success."""
    if os.geteuid() != 0:
        for folder, names, _ in os.walk(root):
            os.chmod(folder, 0o700)
            for name in names:
                path = os.path.join(folder, name)
                if not os.path.islink(path):
                    os.chmod(path, 0o700)
    shutil.rmtree(root, onerror=_forgive_missing)


def _forgive_missing(function: object, path: str, problem: tuple[type[BaseException], BaseException, object]) -> None:
    if not isinstance(problem[1], FileNotFoundError):
        raise problem[1]


class Builder:
    """Makes one tree; remembers the wished metadata of folders and sets it when nothing changes any more."""

    def __init__(self, root: str, *, seed: int) -> None:
        os.makedirs(root)
        self.root = root
        self.source = random.Random(seed)
        self.block = self.source.randbytes(MIB)
        self.made = {"files": 0, "folders": 0, "symlinks": 0, "bytes": 0}
        self.folders: dict[str, int] = {".": 0o755}  # path → mode, in the order they were made
        self.root_fd = os.open(root, FOLDER)

    def __enter__(self) -> Builder:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.root_fd)

    # What can be made

    def folder(self, path: str) -> str:
        """Make a folder and those above it, if they are not there; return the path in its one form."""
        path = os.path.normpath(path)
        if path not in self.folders:
            parent, name = os.path.split(path)
            self.folder(parent or ".")
            with self.below(parent or ".") as parent_fd:
                os.mkdir(name, dir_fd=parent_fd)
            self.folders[path] = self.source.choice(FOLDER_MODES)
            self.made["folders"] += 1
        return path

    def file(self, path: str, size: int, *, mode: int | None = None, modified: int | None = None) -> str:
        """Make a file of that size, with content that no other file has."""
        path = os.path.normpath(path)
        parent, name = os.path.split(path)
        self.folder(parent or ".")
        with self.below(parent or ".") as parent_fd:
            write_block(parent_fd, name, size, self.block, self.made["files"])
            os.chmod(name, self.source.choice(FILE_MODES) if mode is None else mode, dir_fd=parent_fd)
            self.stamp(parent_fd, name, self.some_time() if modified is None else modified)
        self.made["files"] += 1
        self.made["bytes"] += size
        return path

    def symlink(self, path: str, target: str) -> None:
        """Make a symlink, with a time of its own."""
        parent, name = os.path.split(os.path.normpath(path))
        self.folder(parent or ".")
        with self.below(parent or ".") as parent_fd:
            os.symlink(target, name, dir_fd=parent_fd)
            self.stamp(parent_fd, name, self.some_time())
        self.made["symlinks"] += 1

    def link(self, path: str, other: str) -> None:
        """Give a file one more name."""
        parent, name = os.path.split(os.path.normpath(other))
        old_parent, old_name = os.path.split(os.path.normpath(path))
        self.folder(parent or ".")
        with self.below(old_parent or ".") as old_fd, self.below(parent or ".") as new_fd:
            os.link(old_name, name, src_dir_fd=old_fd, dst_dir_fd=new_fd, follow_symlinks=False)
            size = os.stat(name, dir_fd=new_fd, follow_symlinks=False).st_size
        self.made["files"] += 1
        self.made["bytes"] += size

    def sparse(self, path: str, size: int) -> None:
        """Make a file that is mostly holes: data at the start, in the middle, and none at the end."""
        parent, name = os.path.split(os.path.normpath(path))
        self.folder(parent or ".")
        with self.below(parent or ".") as parent_fd:
            file_fd = os.open(name, NEW_FILE, 0o644, dir_fd=parent_fd)
            try:
                os.ftruncate(file_fd, size)
                for place in (0, size // 3, size // 2):
                    os.pwrite(file_fd, self.block[: 64 * KIB], place // (64 * KIB) * (64 * KIB))
            finally:
                os.close(file_fd)
            self.stamp(parent_fd, name, self.some_time())
        self.made["files"] += 1
        self.made["bytes"] += size

    def chmod(self, path: str, mode: int) -> None:
        """Set a folder's mode, when the tree is finished."""
        self.folders[os.path.normpath(path)] = mode

    # Larger pieces

    def awkward(self) -> None:
        """Make all awkward names as files, awkward folders with something in them, and awkward times."""
        for name in AWKWARD_NAMES:
            self.file(os.path.join("names", name), self.source.randint(0, 3_000))
        for name in AWKWARD_FOLDERS:
            self.file(os.path.join("names", "folders", name, "in it.txt"), 100)
            self.folder(os.path.join("names", "folders", name, "empty"))
        for number, modified in enumerate(AWKWARD_TIMES):
            self.file(f"times/file-{number}.txt", 50, modified=modified)

    def symlinks(self) -> None:
        """Make symlinks of every kind. The absolute one leads out of the tree and must arrive as text."""
        self.file("links/target.txt", 1_234)
        self.file("links/folder/inside.txt", 99)
        self.symlink("links/to file", "target.txt")
        self.symlink("links/to folder", "folder")
        self.symlink("links/up", "../links/target.txt")
        self.symlink("links/dangling", "nowhere/at all")
        self.symlink("links/absolute", "/etc/hostname")
        self.symlink("links/itself", "itself")
        self.symlink("links/loop-a", "loop-b")
        self.symlink("links/loop-b", "loop-a")
        self.symlink("links/folder/round", "..")
        self.symlink("links/odd", os.fsdecode(b"new\nline-\xff"))
        self.symlink("links/long", "x" * 4_000)

    def hard_links(self) -> None:
        """Make one file of three names in two folders, and another of two."""
        first = self.file("hard/first.txt", 6_000)
        self.link(first, "hard/second.txt")
        self.link(first, "hard/elsewhere/third.txt")
        other = self.file("hard/elsewhere/pair.txt", 10)
        self.link(other, "hard/pair.txt")

    def deep(self, path: str, *, levels: int) -> None:
        """Make folders within folders, each with one file in it."""
        for level in range(levels):
            path = f"{path}/level {level}"
            self.file(f"{path}/file.txt", level)

    def fill(self, files: int, *, largest: int, budget: int, paths: list[str] | None = None) -> None:
        """Make plain files in nested folders, most of them small, not above ``budget`` bytes in all."""
        source = self.source
        if paths is None:
            paths = []
            for number in range(max(files // 25, 1)):
                above = source.choice(paths) if paths and source.random() < 0.6 else "documents"
                paths.append(self.folder(f"{above}/folder {number}"))
        for number in range(files):
            share = max(budget // (files - number), 1)
            if number % 50 == 0:
                size = 0
            elif number % 100 == 1:
                size = min(int(largest ** source.uniform(0.7, 1.0)), max(budget // 4, 1))
            else:
                size = min(int(share * source.uniform(0, 1.2)), 24 * KIB)
            self.file(f"{source.choice(paths)}/file {number}.bin", size)
            budget = max(budget - size, 0)

    def finish(self) -> Tree:
        """Set modes and times of all folders, the deepest first, and say what was made."""
        for path in sorted(self.folders, key=lambda path: path.count("/"), reverse=True):
            if path == ".":
                continue
            parent, name = os.path.split(path)
            with self.below(parent or ".") as parent_fd:
                os.chmod(name, self.folders[path], dir_fd=parent_fd)
                self.stamp(parent_fd, name, self.some_time())
        os.utime(self.root_fd, ns=(0, self.some_time()))
        made = self.made
        return Tree(files=made["files"], folders=made["folders"], symlinks=made["symlinks"], bytes=made["bytes"])

    # Small parts

    def some_time(self) -> int:
        """Pick a moment between 2001 and 2023, to the nanosecond."""
        return self.source.randrange(1_000_000_000 * SECOND, 1_700_000_000 * SECOND)

    def stamp(self, parent_fd: int, name: str, modified: int) -> None:
        """Set a time of modification. The time of access is set too, to something nobody compares."""
        os.utime(name, ns=(1_500_000_000 * SECOND, modified), dir_fd=parent_fd, follow_symlinks=False)

    @contextmanager
    def below(self, path: str) -> Iterator[int]:
        """Open a folder of the tree, one name after the other, however long the path is."""
        folder_fd = os.dup(self.root_fd)
        try:
            for name in path.split("/"):
                if name != ".":
                    next_fd = os.open(name, FOLDER, dir_fd=folder_fd)
                    os.close(folder_fd)
                    folder_fd = next_fd
            yield folder_fd
        finally:
            os.close(folder_fd)


def write_block(parent_fd: int, name: str, size: int, block: bytes, number: int) -> None:
    """Write a file of ``size`` bytes: its number, then the block from a place of its own, over and over."""
    file_fd = os.open(name, NEW_FILE, 0o644, dir_fd=parent_fd)
    try:
        start = number * 7_919 % (len(block) // 2)
        head = number.to_bytes(8, "big")[-min(size, 8) :] if size else b""
        pieces = head + block[start : start + size - len(head)]
        left = size
        while left:
            written = os.write(file_fd, pieces[:left])
            left -= written
            pieces = pieces[written:] or block
    finally:
        os.close(file_fd)


@contextmanager
def opened(name: str, parent_fd: int | None = None) -> Iterator[int]:
    """Open a folder, below another one or by its path, and close it."""
    folder_fd = os.open(name, FOLDER, dir_fd=parent_fd)
    try:
        yield folder_fd
    finally:
        os.close(folder_fd)


def count(root: str) -> Tree:
    """Count what is below a folder, special files among the files; what vanishes meanwhile is left out."""
    made = {"files": 0, "folders": 0, "symlinks": 0, "bytes": 0}
    pending = [os.fsencode(root)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        made["folders"] += 1
                        pending.append(entry.path)
                    elif entry.is_symlink():
                        made["symlinks"] += 1
                    else:
                        made["files"] += 1
                        made["bytes"] += size_of(entry)
        except FileNotFoundError:
            continue
    return Tree(**made)


def size_of(entry: os.DirEntry[bytes]) -> int:
    """Give the size of a regular file; nothing for what is none, or has just gone."""
    try:
        facts = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return 0
    return facts.st_size if stat.S_ISREG(facts.st_mode) else 0
