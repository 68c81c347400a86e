"""The battery shows how far it is: in one line on a terminal, and not too often elsewhere."""

from __future__ import annotations

import io

from tallyport.battery.progress import PAUSE, Progress
from tests.clock import Clock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_each_round_takes_the_line_of_the_one_before() -> None:
    shown, clock = Terminal(), Clock(0.0)
    progress = Progress(shown, "C1", "Kill a run", 3, clock=clock)
    for number in (1, 2):
        progress.begin(number)
        clock.now += 1
    progress.end("held")
    lines = shown.getvalue().split("\r\x1b[K")
    assert lines[1:3] == ["C1   round 1 of 3  0 s  Kill a run", "C1   round 2 of 3  1 s  Kill a run"]
    assert lines[3].startswith("C1   held")
    assert shown.getvalue().count("\n") == 1


def test_elsewhere_lines_stay_and_are_few() -> None:
    shown, clock = io.StringIO(), Clock(0.0)
    progress = Progress(shown, "C1", "Kill a run", 100, clock=clock)
    for number in range(1, 101):
        progress.begin(number)
        clock.now += PAUSE / 10
    progress.end("held")
    lines = shown.getvalue().splitlines()
    assert lines[0] == "C1   round 11 of 100  10 s  Kill a run"
    assert len(lines) == 10
    assert "\r" not in shown.getvalue()
