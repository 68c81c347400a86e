"""Many small files of one folder of this machine: it is opened once for all of them."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from tallyport.connectors.local_content import read_listed
from tallyport.connectors.local_errors import refusal, translate
from tallyport.connectors.local_folders import check, open_below
from tallyport.connectors.protocol import Facts, Precondition, SmallRead, SmallWrite
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import ROOT, split

Write = Callable[[int, str, str, Iterable[bytes], Facts, Precondition], Entry]
"""Writes a file: folder, name in it, path for messages, content, what travels with it, condition."""


class Folder:
    """The folder that small files are read from or written to, held open while they are."""

    def __init__(self, root_fd: int, write: Write) -> None:
        self._root_fd = root_fd
        self._write = write
        self._path = ""
        self._fd = -1

    def read(self, one: SmallRead) -> bytes:
        """Read a file whole that is as it was listed."""
        d_fd, name = self._beside(one.path, "read")
        with _whole(one.path, name):
            check(name)
            with translate("read", one.path):
                return read_listed(d_fd, name, one.entry)

    def write(self, one: SmallWrite) -> Entry:
        """Write a file as ``Local.write`` does."""
        d_fd, name = self._beside(one.path, "write")
        one.guard()
        with _whole(one.path, name):
            return self._write(d_fd, name, one.path, (one.content,), one.facts, one.when)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _beside(self, path: str, operation: str) -> tuple[int, str]:
        if path == ROOT:
            raise refusal(ErrorKind.ALREADY_EXISTS, operation, path, "it is the root of the connection")
        container, name = split(path)
        if self._fd < 0 or container != self._path:
            self.close()
            self._fd, self._path = open_below(self._root_fd, container), container
        return self._fd, name


@contextmanager
def _whole(path: str, name: str) -> Iterator[None]:
    """Give errors that know the name alone the path."""
    try:
        yield
    except TallyportError as error:
        if error.path == name:
            error.path = path
        raise
