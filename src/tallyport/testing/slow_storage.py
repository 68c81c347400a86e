"""Storage that is waited for: a folder whose every request takes a time, and which counts reads and writes of items.

Other processes know it as the platform ``slow``, once :func:`install` has made it known in their path.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from tallyport.connectors.layers.layer import Layer, Listed, P, T
from tallyport.connectors.local import Settings as LocalSettings
from tallyport.connectors.local import open_local
from tallyport.connectors.protocol import Bunches, Connector
from tallyport.connectors.temporaries import is_temporary
from tallyport.domain.entries import Entry

PLATFORM = "slow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A folder, and how long it takes."""

    path: str = field(metadata={"help": "the folder"})
    delay: float = field(default=0.2, metadata={"help": "seconds that every request waits"})
    log: str = field(
        default="", metadata={"help": "file that reads and writes of items put a + into, and a - when they end"}
    )


def open_slow(settings: Settings, path: str = "", *, make: bool = False) -> Connector:
    """Open it; a factory of a third party's platform."""
    return Slow(open_local(LocalSettings(path=settings.path), path, make=make), settings)


def install(folder: str) -> dict[str, str]:
    """Make the platform known to programs that are started with these variables."""
    made = os.path.join(folder, "tallyport_slow-1.dist-info")
    os.makedirs(made, exist_ok=True)
    texts = {
        "METADATA": "Metadata-Version: 2.1\nName: tallyport-slow\nVersion: 1\n",
        "entry_points.txt": f"[tallyport.connectors]\n{PLATFORM} = {__name__}:open_slow\n",
    }
    for name, text in texts.items():
        with open(os.path.join(made, name), "w", encoding="utf-8") as stream:
            stream.write(text)
    return {"PYTHONPATH": os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH"))))}


def most_at_once(log: str) -> int:
    """Give the most requests that were under way at one time, over all processes that wrote into a log."""
    now = most = 0
    with open(log, "rb") as stream:
        for mark in stream.read():
            now += 1 if mark == ord("+") else -1
            most = max(most, now)
    return most


class Slow(Layer):
    """Waits before each request, and says while one is under way."""

    hides = (Bunches,)  # a folder's are read one after the other: nothing is waited for there

    def __init__(self, inner: Connector, settings: Settings) -> None:
        super().__init__(inner)
        self._delay = settings.delay
        self._log = os.open(settings.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT) if settings.log else None

    def close(self) -> None:
        if self._log is not None:
            os.close(self._log)
            self._log = None
        super().close()

    @contextmanager
    def _under_way(self, *, is_counted: bool) -> Iterator[None]:
        log = None if self._log is None or not is_counted else os.dup(self._log)
        if log is not None:
            os.write(log, b"+")
        try:
            time.sleep(self._delay)
            yield
        finally:
            if log is not None:
                os.write(log, b"-")
                os.close(log)

    def _call(self, operation: str, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        with self._under_way(is_counted=operation == "write" and _is_of_an_item(arguments[0])):
            return act(*arguments, **named)

    def _listing(self, path: str, listed: Listed) -> Iterator[Entry]:
        with self._under_way(is_counted=False):  # looks before a run list too, and nothing limits those
            found = list(listed(path))
        yield from found

    def _reading(
        self, path: str, offset: int, length: int | None, entry: Entry | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        return self._read(path, offset, length, entry)

    @contextmanager
    def _read(self, path: str, offset: int, length: int | None, entry: Entry | None) -> Iterator[Iterator[bytes]]:
        with self._under_way(is_counted=_is_of_an_item(path)), self._opening(path, offset, length, entry) as chunks:
            yield chunks


def _is_of_an_item(path: object) -> bool:
    """Tell whether a request is about an item rather than about what a probe leaves for a moment."""
    return not any(is_temporary(name) for name in str(path).split("/"))


def connection(path: str, **settings: Any) -> dict[str, Any]:
    """Give the body of a connection to it, as the API takes it."""
    return {"name": "slow", "platform": {"id": PLATFORM}, "auth": {"path": path, **settings}}
