"""Time that passes only when somebody sleeps."""

from __future__ import annotations


class Clock:
    """A clock that sleeping moves, and how long everybody slept."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
