"""Access lists keep their bytes, and whatever is done to them never lets anybody further than before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyport.domain.access import AccessRight, Grant, Principal, PrincipalKind, Reach
from tallyport.domain.posix_acl import (
    Acl,
    AclEntry,
    Tag,
    base_mode,
    bits_for,
    completed,
    decode,
    effective,
    encode,
    is_extended,
    merged,
    mode_of,
    of_grants,
    of_mode,
    pack,
    rights_of,
    translated,
    unpack,
)

bits = st.integers(0, 7)
numbers = st.integers(0, 6)


@st.composite
def lists(draw: st.DrawFn) -> tuple[AclEntry, ...]:
    """A list as a kernel takes it: base entries, named ones once, a mask where there are any."""
    base = of_mode(draw(st.integers(0, 0o777)))
    users = draw(st.dictionaries(numbers, bits, max_size=3))
    groups = draw(st.dictionaries(numbers, bits, max_size=3))
    named = [AclEntry(Tag.USER, bit, number) for number, bit in users.items()]
    named += [AclEntry(Tag.NAMED_GROUP, bit, number) for number, bit in groups.items()]
    mask = [AclEntry(Tag.MASK, draw(bits))] if named or draw(st.booleans()) else []
    return tuple(sorted((*base, *named, *mask), key=lambda entry: (entry.tag, entry.id)))


def through(entries: tuple[AclEntry, ...]) -> dict[tuple[Tag, int], int]:
    """What each entry lets through."""
    return {(entry.tag, entry.id): entry.bits for entry in effective(entries)}


@given(lists(), lists() | st.just(()))
def test_a_list_survives_its_bytes(access: tuple[AclEntry, ...], default: tuple[AclEntry, ...]) -> None:
    assert decode(encode(access)) == access
    assert unpack(pack(Acl(access, default))) == Acl(access, default)


@pytest.mark.parametrize("value", [b"", b"\x03\0\0\0", b"\x02\0\0\0short", b"\x02\0\0\0\x03\0\0\0\0\0\0\0"])
def test_bytes_that_are_no_list_are_refused(value: bytes) -> None:
    with pytest.raises(ValueError):
        decode(value)


@given(st.integers(0, 0o777))
def test_a_list_of_mode_is_that_mode(mode: int) -> None:
    assert mode_of(of_mode(mode)) == mode == base_mode(of_mode(mode))
    assert not is_extended(of_mode(mode))


@given(lists())
def test_what_is_left_without_names_is_never_wider(entries: tuple[AclEntry, ...]) -> None:
    left = base_mode(entries)
    assert left & ~mode_of(entries) == 0
    assert left >> 3 & 7 == through(entries)[Tag.GROUP, -1]


@given(lists(), lists())
def test_merging_keeps_what_is_wanted_and_gives_nobody_more_than_either(
    wanted: tuple[AclEntry, ...], standing: tuple[AclEntry, ...]
) -> None:
    both, asked, there = through(merged(wanted, standing)), through(wanted), through(standing)
    for key, bit in asked.items():
        assert bit & ~both[key] == 0
    for key, bit in both.items():
        named = there.get(key, 0) if key[0] in (Tag.USER, Tag.NAMED_GROUP) else 0
        assert bit == asked.get(key, 0) | named


@given(lists())
def test_a_completed_list_lets_through_what_its_entries_say(entries: tuple[AclEntry, ...]) -> None:
    assert through(completed(effective(entries))) == through(entries)


@given(lists(), st.dictionaries(numbers, st.none() | numbers))
def test_a_translated_list_lets_nobody_further(entries: tuple[AclEntry, ...], moves: dict[int, int | None]) -> None:
    found = translated(Acl(entries), lambda tag, number: moves.get(number, number)).access
    before, after = through(entries), through(found)
    for (tag, number), bit in after.items():
        if tag in (Tag.USER, Tag.NAMED_GROUP):
            origins = [b for (t, n), b in before.items() if t is tag and moves.get(n, n) == number]
            assert origins
            assert all(bit & ~origin == 0 for origin in origins)
        else:
            assert bit == before[tag, number]


def test_a_mask_is_kept_as_long_as_somebody_is_named() -> None:
    entries = (*of_mode(0o770), AclEntry(Tag.USER, 7, 5), AclEntry(Tag.MASK, 5))
    assert translated(Acl(entries), lambda tag, number: 6).access[-1] == AclEntry(Tag.MASK, 5)
    gone = translated(Acl(entries), lambda tag, number: None).access
    assert mode_of(gone) == 0o750


# -- grants


ALICE = Principal(PrincipalKind.ACCOUNT, "1")
STAFF = Principal(PrincipalKind.GROUP, "2")
EVERYONE = Principal(PrincipalKind.EVERYONE)
READ, WRITE = frozenset({AccessRight.READ}), frozenset({AccessRight.WRITE})


def asked(*grants: Grant, mode: int = 0o600, add: bool = True, owner: int = 9) -> dict[tuple[Tag, int], int]:
    found = of_grants(
        grants,
        of_mode(mode),
        owner=owner,
        group=9,
        number_of=lambda principal: int(principal.id) if principal.id else None,
        is_container=False,
        reach=Reach.ITEM,
        remove_others=not add,
    )
    return through(found)


def test_grants_become_named_entries_and_everybody_becomes_others() -> None:
    found = asked(Grant(ALICE, READ | WRITE), Grant(STAFF, READ), Grant(EVERYONE, READ))
    assert found[Tag.USER, 1] == 6
    assert found[Tag.NAMED_GROUP, 2] == 4
    assert found[Tag.OTHER, -1] == 4


def test_a_denial_to_an_account_takes_what_it_denies() -> None:
    assert asked(Grant(ALICE, READ | WRITE), Grant(ALICE, WRITE, deny=True))[Tag.USER, 1] == 4
    assert asked(Grant(ALICE, READ | WRITE, deny=True))[Tag.USER, 1] == 0


def test_the_organisation_is_not_everybody() -> None:
    assert asked(Grant(Principal(PrincipalKind.DOMAIN), READ))[Tag.OTHER, -1] == 0


def test_replacing_leaves_the_owner_what_is_theirs_and_others_nothing() -> None:
    somebody = Grant(Principal(PrincipalKind.ACCOUNT, id="7"), frozenset({AccessRight.READ}))
    found = asked(somebody, mode=0o644, add=False)
    assert {key: found[key] for key in ((Tag.OWNER, -1), (Tag.GROUP, -1), (Tag.OTHER, -1))} == {
        (Tag.OWNER, -1): 6,
        (Tag.GROUP, -1): 0,
        (Tag.OTHER, -1): 0,
    }


def test_replacing_by_no_grants_at_all_says_nothing_of_anybody() -> None:
    assert asked(mode=0o644, add=False) == {(Tag.OWNER, -1): 6, (Tag.GROUP, -1): 4, (Tag.OTHER, -1): 4}


def test_somebody_without_a_number_gets_no_entry() -> None:
    assert (Tag.USER, -1) not in asked(Grant(Principal(PrincipalKind.ACCOUNT, name="x"), READ))


@given(st.frozensets(st.sampled_from(list(AccessRight))), st.booleans())
def test_bits_never_allow_more_than_the_rights_they_stand_for(
    rights: frozenset[AccessRight], is_container: bool
) -> None:
    allowed = rights_of(bits_for(rights, is_container=is_container), is_container=is_container)
    harmless = {AccessRight.READ, AccessRight.WRITE} if is_container else set()  # of a folder: nothing more than listed
    assert allowed - harmless <= rights
