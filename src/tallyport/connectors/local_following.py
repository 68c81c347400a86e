"""A folder read as if its symlinks were what they point to, wherever that lies below the same root.

Links are followed by us, never by the system: every segment is opened below the folder that is held, through no
link, and ``..`` goes back to a folder that is held already. So a link that leads out of the root leads nowhere,
whoever swaps what meanwhile. It stays a symlink in listings, like one that dangles or that leads back to a
container it lies in. Nothing can be written here: what stands at two places would change at both.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tallyport.connectors.bunches import read_each, write_each
from tallyport.connectors.local import Local
from tallyport.connectors.local_errors import refusal, translate
from tallyport.connectors.local_folders import check, entries, entry_of
from tallyport.connectors.protocol import ANYTHING, Facts, Precondition, Read, SmallRead, SmallWrite, Written
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, segments, split

MOST_LINKS = 40  # followed for one name, as the system does
MOST_FOLDERS = 8  # followed links to containers on one path: each may multiply what is below

_HELD = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class _Held(NamedTuple):
    """A folder on the way, and the name it has in the one before."""

    name: str
    fd: int


class _Trail:
    """Where a path leads: the folders from the root down to it, all held open."""

    def __init__(self, root_fd: int) -> None:
        self._root_fd = root_fd
        self.held = [_Held("", os.dup(root_fd))]
        self.met = {_identity(os.fstat(root_fd))}  # containers on the path as it reads
        self.followed = 0

    @property
    def fd(self) -> int:
        return self.held[-1].fd

    def close(self) -> None:
        _close(self.held)

    def enter(self, name: str) -> None:
        """Go into a container, through a link where it is one."""
        held, last, st, is_link = self.resolve(name)
        try:
            if is_link and self.refuses(st):
                raise refusal(ErrorKind.UNSUPPORTED, "follow the symlink", name, "it leads back to where it lies")
            held.append(_Held(last, os.open(last, _HELD, dir_fd=held[-1].fd)))
        except BaseException:
            _close(held)
            raise
        _close(self.held)
        self.held = held
        self.followed += is_link
        self.met.add(_identity(os.fstat(self.fd)))

    def refuses(self, st: os.stat_result) -> bool:
        """Tell whether a container that a link leads to is not to be entered through it."""
        is_again = _identity(st) in self.met or self.followed >= MOST_FOLDERS
        return stat.S_ISDIR(st.st_mode) and is_again

    def resolve(self, name: str) -> tuple[list[_Held], str, os.stat_result, bool]:
        """Find what a name stands for: the folders above that, its own name there, what it is, and if links led there.

        The caller closes the folders. Raises what the system would, and UNSUPPORTED for a way out of the root.
        """
        check(name)
        held = [_Held(one.name, os.dup(one.fd)) for one in self.held]
        ahead, links = [name], 0
        try:
            while True:
                step = ahead.pop(0)
                if step == "..":
                    if len(held) == 1:
                        raise refusal(ErrorKind.UNSUPPORTED, "follow the symlink", name, "it leads out of the root")
                    os.close(held.pop().fd)
                elif step not in ("", "."):
                    st = os.stat(step, dir_fd=held[-1].fd, follow_symlinks=False)
                    if stat.S_ISLNK(st.st_mode):
                        links += 1
                        if links > MOST_LINKS:
                            what = f"it takes more than {MOST_LINKS} links"
                            raise refusal(ErrorKind.UNSUPPORTED, "follow the symlink", name, what)
                        ahead = self._target(held, step, name) + ahead
                    elif any(more not in ("", ".") for more in ahead):
                        held.append(_Held(step, os.open(step, _HELD, dir_fd=held[-1].fd)))
                    elif ahead and not stat.S_ISDIR(st.st_mode):  # "file/"
                        raise refusal(ErrorKind.NOT_FOUND, "follow the symlink", name, "it leads nowhere")
                    else:
                        return held, step, st, links > 0
                if not ahead:  # it ended with "..": what it stands for is held already
                    if len(held) == 1:
                        raise refusal(ErrorKind.UNSUPPORTED, "follow the symlink", name, "it leads to the root")
                    last = held.pop()
                    st = os.fstat(last.fd)
                    os.close(last.fd)
                    return held, last.name, st, links > 0
        except BaseException:
            _close(held)
            raise

    def _target(self, held: list[_Held], link: str, name: str) -> list[str]:
        """Give the steps of a link's text; one that begins at the system's root goes on from ours."""
        text = os.readlink(link, dir_fd=held[-1].fd)
        if not text.startswith("/"):
            return text.split("/")
        root = _path_of(self._root_fd)
        if not root or not f"{text}/".startswith(f"{root.rstrip('/')}/"):
            raise refusal(ErrorKind.UNSUPPORTED, "follow the symlink", name, "it leads out of the root")
        while len(held) > 1:
            os.close(held.pop().fd)
        return text[len(root.rstrip("/")) :].split("/")


class FollowingFolder(Local):
    """One folder as a connection that is read through its own symlinks."""

    @classmethod
    def after(cls, local: Local) -> "FollowingFolder":
        """Take over the root of an open connection, which is closed."""
        one = cls.__new__(cls)
        one.__dict__.update(local.__dict__)
        one.root_fd = os.dup(local.root_fd)
        local.close()
        return one

    def open_container(self, path: str) -> int:
        with self._trail(path) as trail, translate("open the folder", path):
            return os.open(".", _LISTED, dir_fd=trail.fd)

    def read_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        return read_each(self, reads)

    def write_many(self, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
        return write_each(self, writes)

    def children(self, path: str) -> Iterator[Entry]:
        trail = self._open(path)
        try:
            with translate("open the folder", path):
                fd = os.open(".", _LISTED, dir_fd=trail.fd)
        except BaseException:
            trail.close()
            raise
        return self._followed(path, trail, fd)

    def stat(self, path: str) -> Entry | None:
        if path == ROOT:
            return super().stat(path)
        container, name = split(path)
        try:
            with self._trail(container) as trail, translate("look at", path):
                st = os.stat(name, dir_fd=trail.fd, follow_symlinks=False)
                if not stat.S_ISLNK(st.st_mode):
                    return entry_of(name, st)
                text = os.readlink(name, dir_fd=trail.fd)
                return _seen(trail, entry_of(name, st)._replace(target=text))
        except TallyportError as error:
            if error.kind in (ErrorKind.NOT_FOUND, ErrorKind.UNSUPPORTED):  # no way leads to its container
                return None
            raise

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        raise _read_only("write", path)

    def make_container(self, path: str, facts: Facts) -> Entry:
        raise _read_only("make", path)

    def delete(self, path: str, *, expect: Entry | None = None) -> None:
        raise _read_only("delete", path)

    def stamp(self, path: str, facts: Facts) -> Entry:
        raise _read_only("stamp", path)

    def rename(self, path: str, to: str) -> Entry:
        raise _read_only("rename", path)

    def _followed(self, path: str, trail: _Trail, fd: int) -> Iterator[Entry]:
        try:
            with translate("list", path):
                for entry in entries(fd):
                    yield _seen(trail, entry) if entry.kind is Kind.SYMLINK else entry
        finally:
            os.close(fd)
            trail.close()

    @contextmanager
    def _beside(self, path: str, operation: str, *, foreign: bool = False) -> Iterator[tuple[int, str]]:
        """Give the folder and the name of what a path stands for, whatever links are on the way."""
        container, name = split(path)
        with self._trail(container) as trail:
            with translate(operation, path):
                held, last, _, _ = trail.resolve(name)
            try:
                if foreign:
                    yield held[-1].fd, last
                else:
                    with translate(operation, path):
                        yield held[-1].fd, last
            finally:
                _close(held)

    @contextmanager
    def _trail(self, path: str) -> Iterator[_Trail]:
        trail = self._open(path)
        try:
            yield trail
        finally:
            trail.close()

    def _open(self, path: str) -> _Trail:
        with translate("open the folder", path):
            trail = _Trail(self.root_fd)
            try:
                for name in segments(path):
                    trail.enter(name)
            except BaseException:
                trail.close()
                raise
        return trail


def _seen(trail: _Trail, link: Entry) -> Entry:
    """Give a link as what it stands for, under its own name; as a link where it may not be followed."""
    try:
        held, _, st, _ = trail.resolve(link.name)
    except (OSError, TallyportError):
        return link
    _close(held)
    return link if trail.refuses(st) else entry_of(link.name, st)._replace(links=1, link_id=None)


def _identity(st: os.stat_result) -> tuple[int, int]:
    return st.st_dev, st.st_ino


def _close(held: list[_Held]) -> None:
    for one in held:
        os.close(one.fd)
    held.clear()


def _path_of(fd: int) -> str:
    """Give where a held folder stands now, to know links that name it; nothing is opened by that."""
    # root: opened once by path
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


def _read_only(operation: str, path: str) -> TallyportError:
    return refusal(ErrorKind.READ_ONLY, operation, path, "what is read through symlinks is not written to")
