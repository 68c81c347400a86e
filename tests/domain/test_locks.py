"""What becomes of a lock that a job made again is decided by what both sides say."""

import pytest

from tallyport.domain.access import Principal, PrincipalKind
from tallyport.domain.entries import Side
from tallyport.domain.locks import Fate, Lock, fate, mark_of

ALICE = Principal(PrincipalKind.ACCOUNT, "1", "alice")
BOB = Principal(PrincipalKind.ACCOUNT, "2", "bob")


@pytest.mark.parametrize(
    ("given", "held", "owner", "expected"),
    [
        (None, Lock(), None, Fate.RELEASE),
        (None, None, None, Fate.RELEASE),
        (Lock(ALICE), None, None, Fate.RENEW),
        (Lock(ALICE), Lock(), None, Fate.KEEP),
        (Lock(ALICE), Lock(BOB), None, Fate.KEEP),
        (Lock(ALICE), Lock(ALICE), ALICE, Fate.KEEP),
        (Lock(ALICE), Lock(Principal(PrincipalKind.ACCOUNT, name="alice")), ALICE, Fate.KEEP),
        (Lock(ALICE), Lock(BOB), ALICE, Fate.RENEW),
        (Lock(ALICE), Lock(), ALICE, Fate.KEEP),
    ],
)
def test_a_lock_is_kept_while_the_source_has_one(
    given: Lock | None, held: Lock | None, owner: Principal | None, expected: Fate
) -> None:
    assert fate(given=given, held=held, owner=owner) is expected


def test_a_mark_is_one_lock_s_alone_and_always_the_same() -> None:
    places = [(job, side, path) for job in ("j1", "j2") for side in Side for path in ("", "a", "a/b", "\udcff", "é")]
    marks = {mark_of(*place) for place in places}
    assert len(marks) == len(places)
    assert mark_of("j1", Side.SOURCE, "a") == mark_of("j1", Side.SOURCE, "a")
    assert all(len(mark) == 36 for mark in marks)
