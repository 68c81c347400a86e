"""A fault strikes the call that it is meant for."""

from __future__ import annotations

import pytest

from tallyport.connectors.layers.faulty import Fault, Faulty
from tallyport.connectors.layers.layer import OPERATIONS
from tallyport.connectors.memory import Memory
from tallyport.connectors.protocol import Facts
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.testing.connector_contract import refused
from tallyport.testing.worlds import read_all, tree
from tests.clock import Clock
from tests.connectors.layers.whole import Whole, every_call


def test_a_fault_strikes_the_call_it_is_meant_for() -> None:
    faulty = Faulty(Memory(), [Fault(operation="stat", kind=ErrorKind.IO_ERROR, nth=2, times=2, path="*.txt")])
    outcomes = []
    for path in ("a.txt", "other", "b.txt", "other", "c.txt", "d.txt"):
        try:
            faulty.stat(path)
            outcomes.append("ok")
        except TallyportError as error:
            outcomes.append(error.kind)
    assert outcomes == ["ok", "ok", ErrorKind.IO_ERROR, "ok", ErrorKind.IO_ERROR, "ok"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_can_fail(operation: str) -> None:
    faulty = Faulty(tree("a.txt 3b v1\nd.txt 3b v1", Whole()), [Fault(operation=operation, kind=ErrorKind.LOCKED)])
    with refused(ErrorKind.LOCKED):
        every_call(faulty)[operation]()
    assert [fault.operation for fault in faulty.fired] == [operation]


def test_an_effective_fault_strikes_after_the_work_is_done() -> None:
    script = [Fault(operation="write", kind=ErrorKind.TIMEOUT, effective=True)]
    faulty = Faulty(Memory(), script)
    with refused(ErrorKind.TIMEOUT):
        faulty.write("a", [b"content"], Facts())
    assert read_all(faulty, "a") == b"content"


def test_a_read_can_be_cut_with_an_error_and_without() -> None:
    inner = tree("a.txt 100b v1")
    silent = Faulty(inner, [Fault(operation="read", after=60)])
    assert read_all(silent, "a.txt") == read_all(inner, "a.txt")[:60]
    assert read_all(silent, "a.txt") == read_all(inner, "a.txt")
    loud = Faulty(inner, [Fault(operation="read", after=60, kind=ErrorKind.IO_ERROR)])
    with refused(ErrorKind.IO_ERROR):
        read_all(loud, "a.txt")


def test_a_write_that_is_cut_leaves_nothing() -> None:
    faulty = Faulty(Memory(), [Fault(operation="write", after=3, kind=ErrorKind.UNAVAILABLE)])
    with refused(ErrorKind.UNAVAILABLE):
        faulty.write("a", [b"12", b"34", b"56"], Facts())
    assert faulty.stat("a") is None


@pytest.mark.parametrize("operation", ["read", "write"])
def test_one_byte_can_be_flipped(operation: str) -> None:
    faulty = Faulty(Memory(), [Fault(operation=operation, flip=3)])
    faulty.write("a", [b"01", b"2345"], Facts())
    assert read_all(faulty, "a") == b"012\xcc45"


def test_a_call_can_take_longer() -> None:
    clock = Clock()
    faulty = Faulty(tree("a 1b v1"), [Fault(operation="read", delay=5)], sleep=clock.sleep)
    read_all(faulty, "a")
    read_all(faulty, "a")
    assert clock.slept == [5]
