"""Lets calls go wrong by a script, for tests."""

import fnmatch
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tallyport.connectors.layers.layer import Layer, Listed, P, T
from tallyport.connectors.protocol import ANYTHING, Connector, Facts, Precondition
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import display


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong: at which calls, and how.

    Without ``kind`` nothing is raised: with ``after`` content or a listing ends early as if that were all,
    with ``flip`` a byte is changed, with ``delay`` the call takes longer.
    """

    operation: str  # name of the method
    kind: ErrorKind | None = None
    path: str = "*"  # pattern of paths whose calls count
    nth: int = 1  # first of those calls that it happens to
    times: int | None = 1  # how many calls in a row; None is all that follow
    after: int | None = None  # bytes of content or entries of a listing that pass before
    flip: int | None = None  # place of the byte, from where the call starts
    delay: float = 0.0  # seconds
    effective: bool = False  # the call does its work, and then fails: the answer was lost
    retry_after: float | None = None


class Faulty(Layer):
    """Lets calls go wrong by a script. ``fired`` tells what happened so far."""

    def __init__(
        self, inner: Connector, script: Sequence[Fault], *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        super().__init__(inner)
        self.script = list(script)
        self.fired: list[Fault] = []
        self._sleep = sleep
        self._lock = threading.Lock()
        self._calls: Counter[int] = Counter()  # by place in the script

    def _due(self, operation: str, path: str) -> Fault | None:
        """Count the call and give the first fault that is meant for it."""
        due = None
        with self._lock:
            for place, fault in enumerate(self.script):
                if fault.operation != operation or not fnmatch.fnmatchcase(path, fault.path):
                    continue
                self._calls[place] += 1
                past = self._calls[place] - fault.nth
                if due is None and past >= 0 and (fault.times is None or past < fault.times):
                    due = fault
            if due is not None:
                self.fired.append(due)
        if due is not None and due.delay:
            self._sleep(due.delay)
        return due

    def _fail(self, fault: Fault | None, operation: str, path: str) -> None:
        if fault is not None and fault.kind is not None:
            message = f"cannot {operation.replace('_', ' ')} {display(path)!r}: a fault of the script"
            raise TallyportError(fault.kind, message, path=path, operation=operation, retry_after=fault.retry_after)

    def _call(self, operation: str, act: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        path = str(arguments[0]) if arguments else ""
        fault = self._due(operation, path)
        if fault is not None and not fault.effective:
            self._fail(fault, operation, path)
        result = act(*arguments, **named)
        self._fail(fault, operation, path)
        return result

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        fault = self._due("write", path)
        if fault is None or fault.effective:
            entry = self.inner.write(path, content, facts, when=when)
            self._fail(fault, "write", path)
            return entry
        if fault.after is None:
            self._fail(fault, "write", path)
        return self.inner.write(path, self._spoiled(content, fault, "write", path), facts, when=when)

    def _listing(self, path: str, listed: Listed) -> Iterator[Entry]:
        fault = self._due("children", path)
        if fault is None or fault.after is None:
            self._fail(fault, "children", path)
            yield from listed(path)
            return
        yield from itertools.islice(listed(path), fault.after)
        self._fail(fault, "children", path)

    @contextmanager
    def _reading(
        self, path: str, offset: int, length: int | None, entry: Entry | None = None
    ) -> Iterator[Iterator[bytes]]:
        fault = self._due("read", path)
        if fault is not None and fault.after is None:
            self._fail(fault, "read", path)
        with self._opening(path, offset, length, entry) as chunks:
            yield chunks if fault is None else self._spoiled(chunks, fault, "read", path)

    def _spoiled(self, chunks: Iterable[bytes], fault: Fault, operation: str, path: str) -> Iterator[bytes]:
        passed = 0
        for chunk in chunks:
            if fault.flip is not None and 0 <= fault.flip - passed < len(chunk):
                place = fault.flip - passed
                chunk = chunk[:place] + bytes([chunk[place] ^ 0xFF]) + chunk[place + 1 :]
            if fault.after is not None and passed + len(chunk) > fault.after:
                yield chunk[: fault.after - passed]
                self._fail(fault, operation, path)
                return
            passed += len(chunk)
            yield chunk
