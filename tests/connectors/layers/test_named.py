"""Every error says whose it is; one that passes two ends is the first one's."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tallyport.connectors.layers.faulty import Fault, Faulty
from tallyport.connectors.layers.named import Named
from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.protocol import Facts
from tallyport.domain.entries import Side
from tallyport.domain.errors import ErrorKind, TallyportError, halt

HERE, THERE = "the source 'in' (memory)", "the destination 'out' (memory)"


def end(side: Side, *script: Fault) -> Named:
    inner = Memory(Settings(store=f"named-{uuid.uuid4().hex}"))
    inner.write("a", [b"content"], Facts(size=7))
    name = "'in' (memory)" if side is Side.SOURCE else "'out' (memory)"
    return Named(Faulty(inner, script), side, name)


def read(connector: Any) -> bytes:
    with connector.read("a") as chunks:
        return b"".join(chunks)


def carry(source: Any, destination: Any) -> None:
    with source.read("a") as chunks:
        destination.write("b", chunks, Facts(size=7))


@pytest.mark.parametrize(
    ("operation", "act"),
    [("stat", lambda it: it.stat("a")), ("children", lambda it: list(it.children(""))), ("read", read)],
)
@pytest.mark.parametrize("kind", [ErrorKind.UNAVAILABLE, ErrorKind.PERMISSION_DENIED])
def test_an_error_is_that_of_its_end(operation: str, act: Callable[[Any], object], kind: ErrorKind) -> None:
    with pytest.raises(TallyportError) as caught:
        act(end(Side.DESTINATION, Fault(operation=operation, kind=kind)))
    assert caught.value.whose == THERE
    assert caught.value.side == Side.DESTINATION


@pytest.mark.parametrize(
    ("fault", "whose"),
    [
        (lambda: (Fault(operation="read", kind=ErrorKind.TIMEOUT, after=3), None), HERE),
        (lambda: (None, Fault(operation="write", kind=ErrorKind.TIMEOUT)), THERE),
    ],
)
def test_an_error_that_passes_both_ends_is_the_first_ones(fault: Callable[[], tuple[Any, Any]], whose: str) -> None:
    one, other = fault()
    with pytest.raises(TallyportError) as caught:
        carry(end(Side.SOURCE, *filter(None, [one])), end(Side.DESTINATION, *filter(None, [other])))
    assert caught.value.whose == whose


@pytest.mark.parametrize(
    ("side", "operation", "act", "kind", "begins"),
    [
        (Side.DESTINATION, "read", read, ErrorKind.IO_ERROR, f"{THERE}: cannot read"),
        (Side.SOURCE, "read", read, ErrorKind.IO_ERROR, "cannot read"),
        (Side.SOURCE, "read", read, ErrorKind.PERMISSION_DENIED, f"{HERE}: cannot read"),
        (Side.SOURCE, "delete", lambda it: it.delete("a"), ErrorKind.LOCKED, f"{HERE}: cannot delete"),
        (Side.DESTINATION, "delete", lambda it: it.delete("a"), ErrorKind.LOCKED, "cannot delete"),
    ],
)
def test_a_message_says_the_end_where_one_would_think_of_the_other(
    side: Side, operation: str, act: Callable[[Any], object], kind: ErrorKind, begins: str
) -> None:
    with pytest.raises(TallyportError) as caught:
        act(end(side, Fault(operation=operation, kind=kind)))
    assert caught.value.message.startswith(begins)
    assert str(caught.value) == caught.value.message


def test_a_halt_says_whose_trouble_it_is_and_the_last_error_once() -> None:
    with pytest.raises(TallyportError) as caught:
        read(end(Side.DESTINATION, Fault(operation="read", kind=ErrorKind.UNAUTHENTICATED)))
    said = halt(ErrorKind.UNAUTHENTICATED, caught.value)
    assert said.startswith(
        f"{THERE} refuses its credentials: put them right, it is tried again. The last error: cannot"
    )
    assert said.count("'out'") == 1
    assert halt(ErrorKind.UNAVAILABLE) == "a connection is not available: it is tried again"
