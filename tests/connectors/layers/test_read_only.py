"""A simulation changes nothing, and says so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tallyport.connectors.layers.layer import OPERATIONS
from tallyport.connectors.layers.read_only import ReadOnly
from tallyport.connectors.memory import Memory
from tallyport.connectors.protocol import Facts
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.testing.connector_contract import refused
from tallyport.testing.worlds import picture, tree
from tests.connectors.layers.whole import Whole, every_call


def test_a_simulation_changes_nothing_and_says_so() -> None:
    inner = tree("a.txt 3b v1\nc.txt 3b v1\nd.txt 1b v1", Whole())
    before = picture(inner)
    calls = every_call(ReadOnly(inner))
    reading = {
        *("stat", "children", "read", "content_hash", "sync", "page", "versions", "read_version"),
        *("access", "principals", "lock_of", "properties"),
    }
    for operation in reading:
        calls[operation]()
    for operation in OPERATIONS:
        if operation not in reading:
            with pytest.raises(TallyportError, match="simulation") as caught:
                calls[operation]()
            assert caught.value.kind is ErrorKind.READ_ONLY
    assert picture(inner) == before


def test_a_simulation_does_not_even_ask_for_content() -> None:
    def chunks() -> Iterator[bytes]:
        raise AssertionError("the source was read")
        yield b""

    with refused(ErrorKind.READ_ONLY):
        ReadOnly(Memory()).write("a", chunks(), Facts())
