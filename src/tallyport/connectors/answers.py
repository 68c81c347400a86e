"""Requests that were sent at once, and what was answered: whoever sent them wakes once."""

import threading
from queue import SimpleQueue
from typing import Optional

Answer = tuple[int, bytes]  # what kind of answer, and its body


class Call:
    """Requests that were sent at once. One thread waits; another one brings the answers.

    With an ``inbox`` the call is put there when all are answered, for a thread that waits for any of several.
    """

    __slots__ = ("_done", "_inbox", "_left", "answers", "error", "ids")

    def __init__(self, ids: list[int], inbox: Optional["SimpleQueue[Call]"] = None) -> None:
        self.ids = ids
        self.answers: list[Answer] = [(-1, b"")] * len(ids)
        self.error: Exception | None = None
        self._left = len(ids)
        self._inbox = inbox
        if inbox is None:
            self._done = threading.Lock()
            self._done.acquire()

    def answer(self, position: int, kind: int, body: bytes) -> None:
        """Take the answer to one of them."""
        self.answers[position] = (kind, body)
        self._left -= 1
        if not self._left:
            self._end()

    def fail(self, error: Exception) -> None:
        """Take that there will be no answers."""
        if self._left:
            self._left, self.error = 0, error
            self._end()

    def wait(self, seconds: float) -> bool:
        """Wait until all are answered; False when that took too long."""
        if not self._done.acquire(timeout=seconds):
            return False
        self._done.release()
        return True

    def _end(self) -> None:
        if self._inbox is None:
            self._done.release()
        else:
            self._inbox.put(self)
