"""Waits for a run that works in this process: shows progress, and turns Ctrl-C into a pause."""

import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

from tallyport.cli.exits import Exit, Stop
from tallyport.cli.showing import duration, items, line, number, size
from tallyport.domain.executions import Execution
from tallyport.domain.states import Call, State, after
from tallyport.store import executions
from tallyport.store.database import Database

FIRST_POLL, POLL = 0.004, 0.05  # seconds between two looks: a thirtieth of how long the run lasts, within these
_REDRAW = 0.1  # seconds between two pictures of a terminal
_SPAN = 3.0  # seconds that a rate is taken over
_TALK = 5.0  # seconds between two lines of progress where there is no terminal


class Embedded(Protocol):
    """The engine in this process, as ``app.embedded`` gives it."""

    @property
    def database(self) -> Database: ...
    def nudge(self) -> None: ...


class Screen:
    """Standard error: one line that is written over on a terminal, plain lines elsewhere."""

    def __init__(self, *, quiet: bool = False, verbose: bool = False) -> None:
        self.quiet = quiet
        self.is_live = not quiet and on_terminal() and os.environ.get("TERM") != "dumb"
        self.talks = verbose and not quiet and not self.is_live
        self._drawn = False

    def say(self, text: str) -> None:
        """Write a line that stays."""
        if not self.quiet:
            self.clear()
            print(line(text), file=sys.stderr, flush=True)

    def draw(self, text: str) -> None:
        """Write over the line of progress."""
        import shutil  # a run without a terminal does without

        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write("\r\x1b[K" + text[:width])
        sys.stderr.flush()
        self._drawn = True

    def clear(self) -> None:
        """Take the line of progress away."""
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False


def on_terminal() -> bool:
    """Tell whether a person watches standard error."""
    return sys.stderr.isatty()


class Interrupts:
    """Ctrl-C and SIGTERM, counted: the first asks for a stop after the items in flight, the second stops at once.

    In force while it is entered, which is before the engine starts: an early Ctrl-C is not lost.
    """

    def __init__(self, screen: Screen, *, at_once: Callable[[], Any] = lambda: os._exit(int(Exit.INTERRUPTED))) -> None:
        self.count = 0
        self._screen = screen
        self._at_once = at_once
        self._old: dict[signal.Signals, Any] = {}

    def interrupt(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Count one."""
        self.count += 1
        if self.count > 1:
            self._screen.clear()
            self._at_once()

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            self._old = {which: signal.signal(which, self.interrupt) for which in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *_error: object) -> None:
        for which, handler in self._old.items():
            signal.signal(which, handler)


class Follower:
    """Reads the row of a run until it has ended or is paused."""

    def __init__(
        self,
        embedded: Embedded,
        execution_id: int,
        screen: Screen,
        interrupts: Interrupts | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._embedded = embedded
        self._id = execution_id
        self._screen = screen
        self._sleep = sleep
        self._clock = clock
        self._interrupts = interrupts or Interrupts(screen)
        self._asked_to_pause = False
        self._last_wait: str | None = None
        self._began = clock()
        self._next_picture = self._began + (0.0 if screen.is_live else _TALK)
        self._history: deque[tuple[float, int, int]] = deque()  # time, items, bytes

    def wait(self) -> Execution:
        """Give the run as it ended, or as it was paused."""
        while True:
            run = self._read()
            if run.has_ended or run.state == State.PAUSED:
                self._screen.clear()
                return run
            self._embedded.database.check()
            self._show(run)
            if self._wants_pause(run):
                self._pause(run)
            self._sleep(min(max(FIRST_POLL, (self._clock() - self._began) / 30), POLL))

    def _read(self) -> Execution:
        with self._embedded.database.read() as tx:
            run = executions.find(tx, self._id)
        if run is None:
            raise Stop(Exit.NOT_FOUND, f"run {self._id} is gone from the ledger")
        return run

    def _wants_pause(self, run: Execution) -> bool:
        # Nobody is there to approve what the delete brake holds back: pause, and say so at the end.
        braked = run.state == State.WAITING and run.wait_reason == "brake"
        return not self._asked_to_pause and (self._interrupts.count > 0 or braked)

    def _pause(self, run: Execution) -> None:
        state = State(run.state)
        wanted = State.CANCELED if state is State.CREATED else after(Call.PAUSE, state)
        if wanted is state:
            self._asked_to_pause = state is State.PAUSING
            return
        with self._embedded.database.begin() as tx:
            self._asked_to_pause = executions.move(tx, run.id, (state.value,), wanted.value)
        self._embedded.nudge()
        if run.wait_reason == "brake":
            self._screen.say(f"run {run.id} stops: {run.info or 'more would be deleted than the job allows'}")
        elif self._interrupts.count:
            self._screen.say("stopping after the items in flight; Ctrl-C again stops at once")

    def _show(self, run: Execution) -> None:
        waits = (run.info or run.wait_reason or "waiting") if run.state == State.WAITING else None
        waits = waits or self._embedded.database.trouble
        self._tell_wait(run, waits)
        now = self._clock()
        if now < self._next_picture or not (self._screen.is_live or self._screen.talks):
            return
        self._next_picture = now + (_REDRAW if self._screen.is_live else _TALK)
        text = self._picture(run, now, waits)
        if self._screen.is_live:
            self._screen.draw(text)
        else:
            self._screen.say(text)

    def _tell_wait(self, run: Execution, waits: str | None) -> None:
        """Say that a run waits, and that it goes on once something was settled: not each try that was in vain."""
        if waits is None and self._last_wait is not None and run.items > run.waited_at:
            self._last_wait = None
            if not self._screen.is_live:
                self._screen.say(f"run {run.id} goes on")
        elif waits is not None and waits != self._last_wait:
            self._last_wait = waits
            if not self._screen.is_live:
                self._screen.say(f"run {run.id} waits: {waits}{_until(run)}; Ctrl-C pauses it")

    def _picture(self, run: Execution, now: float, waits: str | None) -> str:
        history = self._history
        history.append((now, run.items, run.transferred_bytes))
        while len(history) > 2 and now - history[0][0] > _SPAN:
            history.popleft()
        then, items_then, bytes_then = history[0]
        span = max(now - then, 1e-3)
        parts = [items(run.items), size(run.transferred_bytes)]
        if len(history) > 1:
            rate = (run.items - items_then) / span
            parts.append(f"{size((run.transferred_bytes - bytes_then) / span)}/s, {rate:,.0f} items/s")
        if run.failed:
            parts.append(f"{number(run.failed)} failed")
        parts.append(duration(now - self._began))
        if waits:
            parts.append(f"waits: {line(waits)}{_until(run)}")
        elif run.state == State.PAUSING:
            parts.append("stopping after the items in flight")
        return f"run {run.id}: " + " · ".join(parts)


def _until(run: Execution) -> str:
    if run.wait_until is None:
        return ""
    left = run.wait_until / 1e6 - time.time()
    return f" (next try in {duration(left)})" if left > 0 else ""
