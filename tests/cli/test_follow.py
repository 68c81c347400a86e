"""What a person sees while a run works."""

from __future__ import annotations

from typing import Any

import pytest

from tallyport.cli import showing
from tallyport.cli.follow import Follower, Screen
from tallyport.cli.one_shot import prepare
from tallyport.store import executions
from tallyport.store.database import Database
from tests.cli.fakes import World
from tests.clock import Clock


class Eventful(Clock):
    """A clock, and things that happen while somebody sleeps."""

    def __init__(self, *steps: Any) -> None:
        super().__init__(100.0)
        self.steps = list(steps)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.steps and self.now >= self.steps[0][0]:
            self.steps.pop(0)[1]()


class Engine:
    """An engine that only has a store."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def nudge(self) -> None:
        pass


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallyport.cli.follow.on_terminal", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")


def follow(world: World, screen: Screen, *moves: tuple[float, str, dict[str, Any]]) -> Any:
    with world.store() as database:
        run = prepare(database, "copy", world.tree(), str(world.folder / "d")).execution
        with database.begin() as tx:
            executions.move(tx, run.id, ("ready",), "executing")

        def move(state: str, values: dict[str, Any]) -> None:
            with database.begin() as tx:
                executions.move(tx, run.id, ("executing", "waiting"), state, **values)

        clock = Eventful(*[(100 + at, lambda s=state, v=values: move(s, v)) for at, state, values in moves])
        return Follower(Engine(database), run.id, screen, sleep=clock.sleep, clock=clock).wait()


def test_a_terminal_has_one_line_that_is_written_over(
    world: World, terminal: None, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = follow(
        world,
        Screen(),
        (1.0, "executing", {"transferred": 2_000, "transferred_bytes": 5_000_000, "failed": 1}),
        (2.0, "complete", {"result": "errors"}),
    )
    assert ended.state == "complete"
    shown = capsys.readouterr().err
    assert "\n" not in shown
    assert "2,001 items · 5.0 MB" in shown
    assert "1 failed" in shown
    assert all(len(picture) < 110 for picture in shown.split("\r\x1b[K"))
    assert shown.endswith("\r\x1b[K")


def test_without_a_terminal_nothing_is_said_unless_asked(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    follow(world, Screen(), (1.0, "complete", {"result": "clean"}))
    assert capsys.readouterr().err == ""


def test_verbose_says_a_line_now_and_then(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    follow(world, Screen(verbose=True), (11.0, "complete", {"result": "clean"}))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("run 1: 0 items") for line in lines)


def test_a_wait_is_said_once_and_its_end_too(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    follow(
        world,
        Screen(),
        (1.0, "waiting", {"wait_reason": "no_space", "info": "the destination is full"}),
        (3.0, "executing", {}),  # a try that is in vain
        (4.0, "waiting", {"wait_reason": "no_space", "info": "the destination is full"}),
        (5.0, "executing", {"transferred": 1}),
        (6.0, "complete", {"result": "clean"}),
    )
    said = ["run 1 waits: the destination is full; Ctrl-C pauses it", "run 1 goes on"]
    assert capsys.readouterr().err.splitlines() == said


def test_a_dumb_terminal_gets_no_escape_codes(
    world: World, terminal: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    follow(world, Screen(), (1.0, "complete", {"result": "clean"}))
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_960, "1.0 MB"), (12_345_678, "12.3 MB"), (5e18, "5000.0 PB")],
)
def test_sizes(count: float, text: str) -> None:
    assert showing.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.94, "59.9 s"), (59.96, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert showing.duration(seconds) == text


def test_text_from_outside_is_one_harmless_line() -> None:
    assert showing.line("a\nb\x1b[31m\udce9\u202e") == "a\\nb\\x1b[31m\\xe9\\u202e"


def test_tables_line_up() -> None:
    assert showing.table(("N", "NAME"), [(1, "a"), (10, "bc")], right=(0,)) == [" N  NAME", " 1  a", "10  bc"]
