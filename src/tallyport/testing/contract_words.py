"""The words that the contract of connectors is told in."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar, cast

import pytest

from tallyport.connectors.protocol import Connector, Links, Precondition
from tallyport.domain.capabilities import Limits
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind, TallyportError

T = TypeVar("T")

SECOND = 1_000_000_000
ABSENT = Precondition(absent=True)


@contextmanager
def refused(*kinds: ErrorKind) -> Iterator[None]:
    """Expect an error of ours, of one of these kinds when any are given, with words for a person."""
    with pytest.raises(TallyportError) as caught:
        yield
    error = caught.value
    assert not kinds or error.kind in kinds, f"{error.kind.name}: {error.message}"
    assert error.kind is not ErrorKind.UNEXPECTED, error.message
    assert len(error.message) > 10
    assert "\0" not in error.message
    error.message.encode()  # can be shown: no lone surrogates


def needs(claim: bool, why: str) -> None:
    """Skip the test unless the claim holds."""
    if not claim:
        pytest.skip(why)


def able(connector: Connector, ability: Callable[..., T]) -> T:
    """Give the connector as one with an ability, or skip."""
    if not isinstance(connector, cast(type, ability)):
        pytest.skip(f"the connector has not the ability {cast(type, ability).__name__}")
    return cast(T, connector)


def symlinks(connector: Connector) -> Links:
    needs(connector.limits.symlinks, "the platform has no symlinks")
    return able(connector, Links)


def hard_link(connector: Connector, path: str, existing: str) -> Entry:
    """Make a new hard link, or skip where there are none."""
    try:
        return able(connector, Links).make_hard_link(path, existing, when=ABSENT)
    except TallyportError as error:
        if error.kind is ErrorKind.UNSUPPORTED:
            pytest.skip("the platform has no hard links")
        raise


def stat(connector: Connector, path: str) -> Entry:
    """Give the entry of what must be there, without what a look itself may change."""
    entry = connector.stat(path)
    assert entry is not None, f"{path!r} is missing"
    return entry


def quiet(act: Callable[[], T]) -> T | TallyportError | None:
    """Give the result, or the error; NOT_FOUND is None."""
    try:
        return act()
    except TallyportError as error:
        return None if error.kind is ErrorKind.NOT_FOUND else error


def together(acts: list[Callable[[], T]]) -> list[T]:
    """Run all at once, each in a thread of its own; the first error is raised."""
    with ThreadPoolExecutor(len(acts)) as pool:
        return [future.result(timeout=60) for future in [pool.submit(act) for act in acts]]


def slices(data: bytes, length: int) -> Iterator[bytes]:
    """Give content in chunks of a length."""
    return (data[start : start + length] for start in range(0, len(data), length))


def breaking(parts: int, length: int, error: Exception) -> Iterator[bytes]:
    """Give some parts of content and then fail."""
    for _ in range(parts):
        yield bytes(length)
    raise error


def assert_about(moment: int, wanted: int, limits: Limits) -> None:
    """A time is kept to the precision that is declared: never further away than one step."""
    assert abs(moment - wanted) < limits.time_precision, f"{moment} is not {wanted}"
