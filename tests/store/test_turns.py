"""A person who waits to write goes before work that goes on by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tallyport.store.acting import Actor, acting
from tallyport.store.turns import Turns

SOMEBODY = Actor("ann")


class Line:
    """Threads that want their turn, and the order in which they had it."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.order: list[str] = []
        self.threads: list[threading.Thread] = []

    def ask(self, name: str, *, person: bool) -> None:
        def take() -> None:
            with self.turns.turn():
                self.order.append(name)

        def work() -> None:
            if person:
                with acting(SOMEBODY):
                    take()
            else:
                take()

        self.threads.append(threading.Thread(target=work))
        self.threads[-1].start()

    def end(self) -> None:
        for thread in self.threads:
            thread.join(60)


def test_work_lets_who_waits_go_first_each_time() -> None:
    line = Line()
    with line.turns.turn():
        assert not line.turns.is_awaited
        line.ask("person", person=True)
        assert until(lambda: line.turns.is_awaited)
    with line.turns.turn():  # asked for at once by the same thread, which a lock alone would give it
        line.order.append("work")
    line.end()
    assert line.order == ["person", "work"]
    assert not line.turns.is_awaited


def test_work_gives_way_for_so_long_and_no_longer(monkeypatch: Any) -> None:
    monkeypatch.setattr("tallyport.store.turns.LONGEST", 0.05)
    turns = Turns()
    monkeypatch.setattr(turns, "_waiting", 1)  # somebody who never comes
    with turns.turn():
        pass


def test_who_has_the_turn_may_ask_again_though_somebody_waits() -> None:
    line = Line()
    with line.turns.turn():
        line.ask("person", person=True)
        assert until(lambda: line.turns.is_awaited)
        with line.turns.turn():
            line.order.append("work")
    line.end()
    assert line.order == ["work", "person"]


def test_that_people_write_is_remembered_for_a_while(monkeypatch: Any) -> None:
    turns = Turns()
    assert not turns.is_shared
    with turns.turn():
        pass
    assert not turns.is_shared, "work is nobody"
    with acting(SOMEBODY), turns.turn():
        pass
    assert turns.is_shared
    monkeypatch.setattr("tallyport.store.turns.REMEMBERED", -1.0)
    assert not turns.is_shared


def test_a_turn_that_ends_with_an_error_ends() -> None:
    turns = Turns()
    try:
        with turns.turn():
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    with acting(SOMEBODY), turns.turn():
        pass


def until(holds: Callable[[], bool]) -> bool:
    waiting = threading.Event()
    for _ in range(6_000):
        if holds():
            return True
        waiting.wait(0.01)
    return False
