"""Requests that were sent at once, and what was answered: whoever sent them wakes once."""

import threading


class Call:
    """Requests that were sent at once. One thread waits; another one brings the answers."""

    __slots__ = ("_done", "_left", "answers", "error", "ids")

    def __init__(self, ids: list[int]) -> None:
        self.ids = ids
        self.answers: list[tuple[int, bytes]] = [(-1, b"")] * len(ids)  # what kind of answer, and its body
        self.error: Exception | None = None
        self._left = len(ids)
        self._done = threading.Lock()
        self._done.acquire()

    def answer(self, position: int, kind: int, body: bytes) -> None:
        """Take the answer to one of them."""
        self.answers[position] = (kind, body)
        self._left -= 1
        if not self._left:
            self._done.release()

    def fail(self, error: Exception) -> None:
        """Take that there will be no answers."""
        if self._left:
            self._left, self.error = 0, error
            self._done.release()

    def wait(self, seconds: float) -> bool:
        """Wait until all are answered; False when that took too long."""
        if not self._done.acquire(timeout=seconds):
            return False
        self._done.release()
        return True
