"""Contents that a fake keeps: on the disk and each but once, not in the memory of the test process."""

import hashlib
import os
import tempfile
import threading
from typing import NamedTuple


class Content(NamedTuple):
    """One content on a shelf."""

    shelf: "Shelf"
    start: int
    size: int

    def read(self) -> bytes:
        return os.pread(self.shelf.file.fileno(), self.size, self.start)


class Shelf:
    """Keeps contents in one unnamed file, until it is forgotten."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the shelf
        self._places: dict[bytes, int] = {}
        self._end = 0
        self._lock = threading.Lock()

    def keep(self, content: bytes) -> Content:
        digest = hashlib.sha256(content).digest()
        with self._lock:
            start = self._places.get(digest)
            if start is None:
                start = self._places[digest] = self._end
                self._end += os.pwrite(self.file.fileno(), content, start)
        return Content(self, start, len(content))

    def close(self) -> None:
        self.file.close()
