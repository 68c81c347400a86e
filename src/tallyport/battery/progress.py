"""What is seen of the battery while it runs: on a terminal one line that changes, elsewhere lines from time to time."""

import shutil
import time
from collections.abc import Callable
from typing import TextIO

PAUSE = 10.0  # seconds between two lines of one attack, where each stays


class Progress:
    """Tells of one attack."""

    def __init__(
        self, stream: TextIO, id: str, words: str, rounds: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._id = id
        self._words = words
        self._rounds = rounds
        self._clock = clock
        self._begun = self._told = clock()
        self._is_terminal = stream.isatty()

    @property
    def seconds(self) -> float:
        return self._clock() - self._begun

    def begin(self, number: int) -> None:
        """Say that a round begins, by its number from 1."""
        line = f"{self._id:<4} round {number} of {self._rounds}  {self.seconds:.0f} s  {self._words}"
        if self._is_terminal:
            wide = shutil.get_terminal_size().columns
            self._say(f"\r\x1b[K{line[: wide - 1]}")
        elif self._clock() - self._told >= PAUSE:
            self._told = self._clock()
            self._say(f"{line}\n")

    def end(self, outcome: str) -> None:
        """Say what came of it, in a line that stays."""
        start = "\r\x1b[K" if self._is_terminal else ""
        self._say(f"{start}{self._id:<4} {outcome:<11} {self.seconds:6.1f} s  {self._words}\n")

    def _say(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
