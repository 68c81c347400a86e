"""Windows access lists survive the way to bytes and back, and are never mapped to more than was granted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyport.domain import ntfs_acl
from tallyport.domain.access import Access, AccessRight, Grant, Principal, PrincipalKind, Reach
from tallyport.domain.ntfs_acl import ALLOW, DENY, INHERITED, Ace, Security

ME = "S-1-5-21-1-2-3-1001"
YOU = "S-1-5-21-1-2-3-1002"

numbers = st.integers(0, 2**32 - 1)
sids = st.builds(
    lambda authority, parts: "-".join(["S-1", str(authority), *map(str, parts)]),
    st.integers(0, 2**48 - 1),
    st.lists(numbers, min_size=1, max_size=15),
)
aces = st.builds(Ace, st.sampled_from([ALLOW, DENY]), st.integers(0, 0x1F), numbers, sids, st.just(b""))


@given(sids)
def test_an_identifier_is_text_and_bytes_alike(sid: str) -> None:
    assert ntfs_acl.sid_of(ntfs_acl.sid_bytes(sid)) == sid


@pytest.mark.parametrize(
    "text", ["", "S-1", "me", "S-1-5-x", "S-1-5--1", "S-1-5-4294967296", "S-1-5-" + "-".join("1" * 16)]
)
def test_what_is_no_identifier_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="security identifier"):
        ntfs_acl.sid_bytes(text)


@given(sids, sids, st.lists(aces, max_size=8))
def test_a_descriptor_survives_the_way_to_bytes_and_back(owner: str, group: str, entries: list[Ace]) -> None:
    security = Security(owner, group, 0x8004, tuple(entries))
    assert ntfs_acl.decode(ntfs_acl.encode(security)) == security


@given(st.binary(max_size=200))
def test_nonsense_is_refused_or_read_but_never_breaks(raw: bytes) -> None:
    try:
        ntfs_acl.decode(raw)
    except ValueError:
        pass


def test_an_entry_that_is_not_understood_is_carried_as_it_is() -> None:
    odd = bytes([5, 0, 12, 0]) + b"12345678"  # an object's own kind of entry
    security = Security(aces=(Ace(5, 0, int.from_bytes(b"1234", "little"), "", odd),))
    seen = ntfs_acl.decode(ntfs_acl.encode(security))
    assert seen.aces[0].raw == odd
    assert ntfs_acl.access_of(seen, b"", is_container=False).grants == ()


def test_no_list_at_all_grants_everybody_everything() -> None:
    seen = ntfs_acl.decode(ntfs_acl.encode(Security(has_list=False)))
    (grant,) = ntfs_acl.access_of(seen, b"", is_container=False).grants
    assert grant.principal.kind is PrincipalKind.EVERYONE
    assert AccessRight.OWN in grant.rights


@given(st.sets(st.sampled_from(AccessRight)), st.booleans())
def test_a_mask_for_rights_gives_these_rights_and_no_more(rights: set[AccessRight], is_container: bool) -> None:
    mask = ntfs_acl.mask_for(rights, is_container=is_container)
    seen = ntfs_acl.rights_of(mask, is_container=is_container)
    alike = {AccessRight.READ: AccessRight.LIST, AccessRight.WRITE: AccessRight.CREATE} if is_container else {}
    assert seen <= {alike.get(right, right) for right in rights}


@given(numbers, st.booleans())
def test_rights_read_from_a_mask_never_ask_for_more_than_the_mask(mask: int, is_container: bool) -> None:
    again = ntfs_acl.mask_for(ntfs_acl.rights_of(mask, is_container=is_container), is_container=is_container)
    along = ntfs_acl.READ_EA | ntfs_acl.WRITE_EA | ntfs_acl.READ_ATTRIBUTES | ntfs_acl.WRITE_ATTRIBUTES
    if not mask & 0xF0000000:
        assert again & ~mask & ~(along | ntfs_acl.SYNCHRONIZE) == 0


def grant(sid: str, *rights: AccessRight, deny: bool = False, inherited: bool = False) -> Grant:
    return Grant(Principal(PrincipalKind.ACCOUNT, id=sid), frozenset(rights), deny, inherited)


def with_grants(standing: Security, *grants: Grant, remove_others: bool = False, inherits: bool = True) -> list[Ace]:
    access = Access(grants=grants, inherits=inherits)
    made = ntfs_acl.with_grants(
        standing, access, is_container=False, sid_for=lambda who: who.id or None, remove_others=remove_others
    )
    return list(made.aces)


def test_denials_come_first_and_what_is_inherited_comes_last() -> None:
    above = Ace(ALLOW, INHERITED, 1, YOU)
    made = with_grants(Security(aces=(above,)), grant(ME, AccessRight.READ), grant(ME, AccessRight.DELETE, deny=True))
    assert [(ace.kind, bool(ace.flags & INHERITED)) for ace in made] == [(DENY, False), (ALLOW, False), (ALLOW, True)]


def test_what_stands_stays_unless_it_is_to_go() -> None:
    mine = Ace(ALLOW, 0, 0x1F01FF, ME)
    above = Ace(ALLOW, INHERITED, 1, YOU)
    standing = Security(aces=(mine, above))
    assert mine in with_grants(standing, grant(YOU, AccessRight.READ))
    assert mine not in with_grants(standing, grant(YOU, AccessRight.READ), remove_others=True)
    assert above in with_grants(standing, remove_others=True)
    assert above not in with_grants(standing, remove_others=True, inherits=False)


def test_an_inherited_grant_is_not_made_the_items_own() -> None:
    assert with_grants(Security(), grant(ME, AccessRight.READ, inherited=True)) == []


def test_whoever_has_no_identifier_gets_nothing() -> None:
    assert with_grants(Security(), grant("", AccessRight.READ)) == []


def test_a_grant_below_a_container_is_inherited_only() -> None:
    access = Access(grants=(grant(ME, AccessRight.LIST)._replace(reach=Reach.BELOW),))
    made = ntfs_acl.with_grants(Security(), access, is_container=True, sid_for=lambda who: who.id, remove_others=False)
    assert made.aces[0].flags & ntfs_acl.INHERIT_ONLY
    seen = ntfs_acl.access_of(made, b"", is_container=True)
    assert seen.grants[0].reach is Reach.BELOW


def test_a_translation_drops_whoever_is_unknown() -> None:
    security = Security(ME, YOU, 0x8004, (Ace(ALLOW, 0, 1, ME), Ace(ALLOW, 0, 1, YOU)))
    seen = ntfs_acl.translated(security, lambda sid: "S-1-5-21-9-9-9-1" if sid == ME else None)
    assert (seen.owner, seen.group) == ("S-1-5-21-9-9-9-1", "")
    assert [ace.sid for ace in seen.aces] == ["S-1-5-21-9-9-9-1"]


@pytest.mark.parametrize(
    ("sid", "kind"),
    [
        ("S-1-1-0", PrincipalKind.EVERYONE),
        ("S-1-5-32-544", PrincipalKind.GROUP),
        ("S-1-22-2-100", PrincipalKind.GROUP),
        ("S-1-5-21-1-2-3-513", PrincipalKind.GROUP),
        ("S-1-22-1-0", PrincipalKind.ACCOUNT),
        (ME, PrincipalKind.ACCOUNT),
    ],
)
def test_an_identifier_says_what_it_is_as_far_as_it_can(sid: str, kind: PrincipalKind) -> None:
    assert ntfs_acl.kind_of(sid) is kind
