"""No more threads are let in than allowed, and none waits for itself."""

from __future__ import annotations

import threading

from tallyport.connectors.layers.limited import Limited
from tallyport.connectors.memory import Memory
from tallyport.connectors.protocol import Facts
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.testing.connector_contract import refused
from tallyport.testing.worlds import read_all, tree


def test_limited_lets_no_more_threads_in_than_it_says() -> None:
    inside, most = 0, 0
    lock = threading.Lock()
    gate = threading.Barrier(2, timeout=10)

    class Watched(Memory):
        def stat(self, path: str):
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
            gate.wait()
            with lock:
                inside -= 1
            return super().stat(path)

    limited = Limited(Watched(), 2)
    threads = [threading.Thread(target=limited.stat, args=("a",)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (most, inside) == (2, 0)


def test_a_thread_does_not_wait_for_itself() -> None:
    limited = Limited(tree("a.txt 3b v1\nb.txt 3b v1"), 1, patience=0.01)
    with limited.read("a.txt") as chunks:
        limited.write("c.txt", chunks, Facts())
        for entry in limited.children(""):
            assert limited.stat(entry.name)
    assert read_all(limited, "c.txt") == read_all(limited, "a.txt")


def test_whoever_waits_too_long_is_told() -> None:
    limited = Limited(tree("a.txt 3b v1"), 1, patience=0.01)
    raised: list[ErrorKind] = []

    def look() -> None:
        try:
            limited.stat("a.txt")
        except TallyportError as error:
            raised.append(error.kind)

    with limited.read("a.txt"):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(10)
    assert raised == [ErrorKind.TIMEOUT]
    look()
    assert raised == [ErrorKind.TIMEOUT]


def test_a_place_is_given_back_after_an_error_and_after_an_abandoned_listing() -> None:
    limited = Limited(tree("a.txt 3b v1"), 1, patience=0.01)
    with refused(ErrorKind.NOT_FOUND):
        read_all(limited, "nothing")
    left = limited.children("")
    next(left)
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(limited.stat("a.txt")))
    thread.start()
    thread.join(10)
    assert len(seen) == 1
