"""A simulation changes nothing, and says so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tallyport.connectors.bunches import read_each, read_many, write_each, write_many
from tallyport.connectors.layers.layer import OPERATIONS, Layer
from tallyport.connectors.layers.limited import Limited
from tallyport.connectors.layers.measured import Measured
from tallyport.connectors.layers.read_only import ReadOnly
from tallyport.connectors.layers.retrying import Retrying
from tallyport.connectors.layers.throttled import Bucket, Throttled
from tallyport.connectors.memory import Memory
from tallyport.connectors.protocol import ANYTHING, Facts, Read, SmallRead, SmallWrite, Written
from tallyport.connectors.width import Holding, Places
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.testing.connector_contract import refused
from tallyport.testing.worlds import picture, tree
from tests.connectors.layers.whole import Whole, every_call


def test_a_simulation_changes_nothing_and_says_so() -> None:
    inner = tree("a.txt 3b v1\nc.txt 3b v1\nd.txt 1b v1", Whole())
    before = picture(inner)
    calls = every_call(ReadOnly(inner))
    reading = {
        *("stat", "children", "read", "content_hash", "sync", "page", "versions", "read_version", "look_many"),
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


class Together(Memory):
    """A platform that small files go to and from together."""

    def __init__(self) -> None:
        super().__init__()
        self.bunches = 0

    def read_many(self, reads: Iterable[SmallRead | None]) -> Iterator[Read | None]:
        self.bunches += 1
        return read_each(self, reads)

    def write_many(self, writes: Iterable[SmallWrite | None]) -> Iterator[Written | None]:
        self.bunches += 1
        return write_each(self, writes)


LAYERS = [
    *(Measured, Retrying, ReadOnly, lambda inner: Limited(inner, 1), lambda inner: Throttled(inner, Bucket(None))),
    lambda inner: Holding(inner, Places(most=4)),
]


@pytest.mark.parametrize("layer", LAYERS)
def test_small_files_are_read_together_through_every_layer_that_a_source_is_opened_in(
    layer: Callable[[Together], Layer],
) -> None:
    inner = Together()
    reads = [SmallRead(name, inner.write(name, [b"content"], Facts()), name) for name in "abc"]
    assert list(read_many(layer(inner), reads)) == [(one, b"content") for one in reads]  # type: ignore[arg-type]
    assert inner.bunches == 1


def test_a_simulation_writes_no_bunch_of_small_files() -> None:
    inner = Together()
    writes = [SmallWrite(name, b"content", Facts(7), ANYTHING) for name in "abc"]
    for found in write_many(ReadOnly(inner), writes):  # type: ignore[arg-type]
        assert found is not None
        assert isinstance(found[1], TallyportError)
        assert found[1].kind is ErrorKind.READ_ONLY
    assert (inner.bunches, picture(inner)) == (0, picture(Memory()))


def test_a_bunch_that_waits_for_others_holds_no_place_meanwhile() -> None:
    limited = Limited(Together(), 1, patience=5.0)  # type: ignore[arg-type]
    outcomes = read_many(limited, iter([None, SmallRead("a", limited.write("a", [b"content"], Facts()))]))
    assert next(outcomes) is None
    with ThreadPoolExecutor(1) as others:
        assert others.submit(limited.stat, "a").result() is not None
    found = next(outcomes)
    assert found is not None
    assert found[1] == b"content"
    assert list(outcomes) == []
    with ThreadPoolExecutor(1) as others:
        assert others.submit(limited.stat, "a").result() is not None


@pytest.mark.parametrize("way", ["read", "write"])
def test_a_bunch_keeps_to_the_rate(way: str) -> None:
    slept: list[float] = []
    clock = 0.0

    def sleep(seconds: float) -> None:
        nonlocal clock
        slept.append(seconds)
        clock += seconds

    inner = Together()
    bucket = Bucket(7.0, clock=lambda: clock, sleep=sleep)
    throttled = Throttled(inner, bucket)  # type: ignore[arg-type]
    reads = [SmallRead(name, inner.write(name, [b"content"], Facts())) for name in "abc"]
    writes = [SmallWrite(name, b"content", Facts(7), ANYTHING) for name in "def"]
    assert len(list(read_many(throttled, reads) if way == "read" else write_many(throttled, writes))) == 3
    assert 1.0 <= sum(slept) < 1.1  # the bucket is one second deep
    assert inner.bunches == 1
