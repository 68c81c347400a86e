"""A lease ends by itself, and whoever works under one shows nothing after its end."""

import mmap

import pytest

from tallyport.connectors.memory import Memory
from tallyport.domain.entries import Entry, Side
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.policies import Policies, TransferType
from tallyport.engine.lease import LEASE_SIZE, Lease, clock, free
from tallyport.engine.transfer import StreamPassage
from tallyport.testing.worlds import picture, tree

HOUR = 3_600_000_000_000


def test_a_lease_that_was_never_renewed_is_over() -> None:
    assert Lease().is_over


def test_a_lease_holds_until_its_end() -> None:
    lease = Lease()
    lease.renew(clock() + HOUR)
    lease.guard()
    lease.renew(clock() - 1)
    with pytest.raises(TallyportError, match="taken over") as caught:
        lease.guard()
    assert caught.value.kind is ErrorKind.UNAVAILABLE


def test_a_lease_is_seen_by_whoever_shares_its_memory() -> None:
    memory = mmap.mmap(-1, 16 + LEASE_SIZE)
    mine, other = Lease(memory, 16), Lease(memory, 16)
    mine.renew(clock() + HOUR)
    other.guard()
    assert memory[:16] == bytes(16)


def test_nothing_is_stored_once_the_lease_is_over() -> None:
    source, destination = tree("a.txt 3b v1"), Memory()
    policies = Policies(transfer_type=TransferType.COPY)
    passage = StreamPassage(source, destination, policies=policies, token="token")
    entry = source.stat("a.txt")
    assert isinstance(entry, Entry)
    passage.guard = Lease().guard
    with pytest.raises(TallyportError):
        passage.carry(Side.DESTINATION, "a.txt", entry, "a.txt", None)
    assert picture(destination) == ""
    passage.guard = free
    passage.carry(Side.DESTINATION, "a.txt", entry, "a.txt", None)
    assert picture(destination) == picture(source)
