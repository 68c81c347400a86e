"""What a connection does is counted, and the wait for the other side is not."""

from __future__ import annotations

from collections.abc import Iterator

from tallyport.connectors.layers.faulty import Fault, Faulty
from tallyport.connectors.layers.measured import Measured
from tallyport.connectors.memory import Memory
from tallyport.connectors.protocol import Facts
from tallyport.domain.errors import ErrorKind
from tallyport.testing.connector_contract import refused
from tallyport.testing.worlds import read_all, tree
from tests.clock import Clock


def test_measured_counts_calls_errors_bytes_and_entries() -> None:
    measured = Measured(tree("a.txt 10b v1\nb.txt 20b v1"))
    read_all(measured, "a.txt")
    read_all(measured, "b.txt", offset=15)
    list(measured.children(""))
    measured.write("c.txt", [b"123", b"4567"], Facts())
    with refused(ErrorKind.NOT_FOUND):
        read_all(measured, "nothing")
    with refused(ErrorKind.ALREADY_EXISTS):
        measured.make_container("a.txt", Facts())
    counted = {operation: (m.calls, m.errors, m.bytes, m.entries) for operation, m in measured.snapshot().items()}
    assert counted == {
        "read": (3, 1, 15, 0),
        "children": (1, 0, 0, 2),
        "write": (1, 0, 7, 0),
        "make_container": (1, 1, 0, 0),
    }


def test_measured_does_not_count_the_wait_for_the_other_side() -> None:
    clock = Clock()

    class Slow(Memory):
        def stat(self, path: str):
            clock.sleep(2)
            return super().stat(path)

    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            clock.sleep(100)
            yield b"x"

    measured = Measured(Slow(), clock=clock)
    measured.stat("a")
    measured.write("a", chunks(), Facts())
    with measured.read("a") as content:
        for _ in content:
            clock.sleep(100)
    assert {operation: m.seconds for operation, m in measured.snapshot().items()} == {
        "stat": 2,
        "write": 0,
        "read": 0,
    }


def test_a_snapshot_stays_as_it_was() -> None:
    measured = Measured(Memory())
    measured.stat("a")
    before = measured.snapshot()
    measured.stat("a")
    assert (before["stat"].calls, measured.snapshot()["stat"].calls) == (1, 2)


def test_a_listing_that_fails_midway_is_counted_as_an_error() -> None:
    fault = Fault(operation="children", kind=ErrorKind.UNAVAILABLE, after=1)
    measured = Measured(Faulty(tree("a 1b v1\nb 1b v1"), [fault]))
    with refused(ErrorKind.UNAVAILABLE):
        list(measured.children(""))
    assert (measured.snapshot()["children"].errors, measured.snapshot()["children"].entries) == (1, 1)
