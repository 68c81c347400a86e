"""What travels beside content: nobody gets more than at the source, and whatever is lost is said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyport.domain import posix_acl
from tallyport.domain.access import Access, AccessRight, Grant, Link, Principal, PrincipalKind, Reach
from tallyport.domain.carrying import Carriage, carriage_of, compare, has_rules, is_denial, kept_properties, plan
from tallyport.domain.losses import AUDIT_TYPES, Lost, told
from tallyport.domain.maps import How, Resolution
from tallyport.domain.policies import (
    PermissionsFailures,
    PermissionsPolicy,
    Policies,
    PropertiesPolicy,
)
from tallyport.domain.posix_acl import Acl, AclEntry, Tag

ACCOUNT, GROUP = PrincipalKind.ACCOUNT, PrincipalKind.GROUP
ALICE, BOB, STAFF = Principal(ACCOUNT, "1", "alice"), Principal(ACCOUNT, "2", "bob"), Principal(GROUP, "3", "staff")
EVERYONE = Principal(PrincipalKind.EVERYONE)
READ, WRITE = frozenset({AccessRight.READ}), frozenset({AccessRight.WRITE})
ALL_OF_IT = Carriage(owners=True, grants=PermissionsPolicy.ADD, links=True)


def moved(principal: Principal) -> Resolution:
    """Everybody has a number a hundred higher over there; bob is unknown."""
    if principal == BOB:
        return Resolution(How.UNMAPPED, None, "nobody is bob")
    if principal.kind is PrincipalKind.EVERYONE:
        return Resolution(How.BUILT_IN, principal)
    return Resolution(How.EXCEPTION, Principal(principal.kind, str(int(principal.id) + 100)))


def refuses(principal: Principal) -> Resolution:
    return Resolution(How.UNMAPPED, None, f"nobody is {principal.name}", is_refused=True)


def excludes(principal: Principal) -> Resolution:
    return Resolution(How.EXCLUDED, None, "excluded")


def test_owner_and_group_go_through_the_map_and_only_when_asked_for() -> None:
    access = Access(ALICE, STAFF)
    assert plan(access, ALL_OF_IT, moved).access[:2] == (Principal(ACCOUNT, "101"), Principal(GROUP, "103"))
    assert plan(access, Carriage(grants=PermissionsPolicy.ADD), moved).access[:2] == (None, None)


def test_somebody_unknown_is_lost_with_a_word_and_never_becomes_anybody() -> None:
    planned = plan(Access(BOB, grants=(Grant(BOB, READ),)), ALL_OF_IT, moved)
    assert planned.access.owner is None
    assert planned.access.grants == ()
    assert [one.what for one in planned.losses] == [Lost.PRINCIPAL, Lost.PRINCIPAL]
    assert not planned.refusal


def test_a_map_that_fails_holds_the_item_back() -> None:
    assert plan(Access(ALICE), ALL_OF_IT, refuses).refusal == "nobody is alice"


def test_an_exclusion_is_no_loss() -> None:
    assert plan(Access(ALICE, grants=(Grant(ALICE, READ),)), ALL_OF_IT, excludes) == (Access(), (), "")


def test_grants_that_come_from_above_are_left_to_the_container_above() -> None:
    access = Access(grants=(Grant(ALICE, READ, inherited=True), Grant(STAFF, WRITE)))
    assert [grant.principal.id for grant in plan(access, ALL_OF_IT, moved).access.grants] == ["103"]
    cut = plan(access._replace(inherits=False), ALL_OF_IT, moved).access
    assert [grant.principal.id for grant in cut.grants] == ["101", "103"]
    assert not cut.inherits


def test_links_travel_only_when_asked_for() -> None:
    access = Access(links=(Link(PrincipalKind.EVERYONE, READ),))
    assert plan(access, ALL_OF_IT, moved).access.links == access.links
    assert plan(access, Carriage(grants=PermissionsPolicy.ADD), moved).access.links == ()


def test_two_that_become_one_get_what_they_have_in_common() -> None:
    def one(principal: Principal) -> Resolution:
        return Resolution(How.EXCEPTION, ALICE)

    access = Access(grants=(Grant(ALICE, READ | WRITE), Grant(BOB, READ)))
    assert plan(access, ALL_OF_IT, one).access.grants == (Grant(ALICE, READ),)


def test_the_platforms_own_form_is_mapped_or_left_out() -> None:
    acl = Acl((*posix_acl.of_mode(0o640), AclEntry(Tag.USER, 4, 1), AclEntry(Tag.USER, 6, 2), AclEntry(Tag.MASK, 6)))
    access = Access(
        ALICE, STAFF, (Grant(ALICE, READ), Grant(BOB, WRITE)), native=posix_acl.pack(acl), native_kind="posix_acl"
    )
    native = posix_acl.unpack(plan(access, ALL_OF_IT, moved).access.native)
    assert [entry for entry in native.access if entry.tag is Tag.USER] == [AclEntry(Tag.USER, 4, 101)]
    foreign = access._replace(native=b"whatever", native_kind="ntfs")
    assert plan(foreign, ALL_OF_IT, moved).access.native == b""
    same = plan(foreign, ALL_OF_IT, lambda principal: Resolution(How.SAME, principal)).access
    assert (same.native, same.native_kind) == (b"whatever", "ntfs")


def test_what_a_platform_did_not_keep_is_told() -> None:
    wanted = Access(
        ALICE,
        STAFF,
        (Grant(ALICE, READ | WRITE), Grant(BOB, READ), Grant(STAFF, READ, deny=True)),
        links=(Link(PrincipalKind.EVERYONE, READ),),
    )
    got = Access(BOB, STAFF, (Grant(ALICE, READ),))
    assert [(one.what, one.detail) for one in compare(wanted, got)] == [
        ("owner", "the owner is bob, not alice"),
        ("unsupported_access_rule", "alice did not get write"),
        ("access_rule_ignored", "the grant for bob was not kept"),
        ("unsupported_access_rule", "the denial for staff was not kept"),
        ("access_rule_ignored", "the link for everyone was not made again"),
    ]
    assert compare(wanted, wanted) == ()
    assert [is_denial(one, wanted) for one in compare(wanted, got)] == [False, False, False, True, False]


def test_a_denial_said_by_granting_nothing_counts_as_kept() -> None:
    wanted = Access(grants=(Grant(ALICE, WRITE, deny=True),))
    assert compare(wanted, Access(grants=(Grant(ALICE, READ),))) == ()
    assert compare(wanted, Access()) != ()


def test_a_grant_for_the_organisation_has_no_target_where_there_is_none() -> None:
    wanted = Access(grants=(Grant(Principal(PrincipalKind.DOMAIN), READ),))
    assert [one.what for one in compare(wanted, Access())] == [Lost.ACCESS_TARGET]


def test_plain_permission_bits_are_no_rules() -> None:
    plain = Access(native=posix_acl.pack(Acl(posix_acl.of_mode(0o644))), native_kind="posix_acl")
    listed = (*posix_acl.of_mode(0o644), AclEntry(Tag.USER, 4, 1), AclEntry(Tag.MASK, 4))
    assert not has_rules(plain)
    assert has_rules(plain._replace(native=posix_acl.pack(Acl(listed))))
    assert has_rules(Access(grants=(Grant(ALICE, READ),)))
    assert not has_rules(Access(grants=(Grant(ALICE, READ, inherited=True),)))


@pytest.mark.parametrize(
    ("failures", "at_errors", "at_denials"),
    [
        (PermissionsFailures.EXCEPTIONS, True, False),
        (PermissionsFailures.DENY, False, True),
        (PermissionsFailures.ALL, True, True),
        (PermissionsFailures.NONE, False, False),
    ],
)
def test_what_stops_an_item_is_the_jobs_choice(
    failures: PermissionsFailures, at_errors: bool, at_denials: bool
) -> None:
    carriage = Carriage(failures=failures)
    assert (carriage.stops_at_errors, carriage.stops_at_denials) == (at_errors, at_denials)


def test_a_job_that_asks_for_nothing_carries_nothing() -> None:
    assert not carriage_of(Policies()).is_on
    assert carriage_of(Policies(preserve_owners=True)).is_on


def test_properties_follow_grants_unless_told_otherwise() -> None:
    add = Policies(permissions_policy=PermissionsPolicy.ADD)
    assert carriage_of(add).properties
    assert not carriage_of(Policies(preserve_owners=True)).properties
    assert carriage_of(Policies(properties=PropertiesPolicy.ADD)).properties
    assert not carriage_of(
        Policies(permissions_policy=PermissionsPolicy.ADD, properties=PropertiesPolicy.NONE)
    ).properties


def test_links_need_a_policy_for_grants() -> None:
    assert not carriage_of(Policies(permissions_links=True)).links
    assert carriage_of(Policies(permissions_links=True, permissions_policy=PermissionsPolicy.ADD)).links


def test_properties_that_changed_are_told() -> None:
    losses = kept_properties({"a": b"1", "b": b"2", "c": b"3"}, {"a": b"1", "b": b"x"})
    assert [one.detail for one in losses] == ["the property b was changed", "the property c was not kept"]


def test_every_word_has_its_number_and_an_item_says_what_it_lost() -> None:
    assert set(AUDIT_TYPES) == set(Lost)
    assert len(set(AUDIT_TYPES.values())) == len(Lost)
    losses = compare(Access(ALICE, STAFF), Access())
    assert told(losses) == "carried, but the owner is nobody that it tells, not alice (and 1 more)"
    assert told(()) == ""


principals = st.sampled_from([ALICE, BOB, STAFF, EVERYONE])
rights = st.frozensets(st.sampled_from(list(AccessRight)), max_size=4)
grants = st.lists(
    st.builds(Grant, principals, rights, st.booleans(), st.booleans(), st.sampled_from(list(Reach))), max_size=5
).map(tuple)


@given(grants, st.booleans())
def test_nobody_is_granted_what_they_had_not(given_grants: tuple[Grant, ...], inherits: bool) -> None:
    planned = plan(Access(grants=given_grants, inherits=inherits), ALL_OF_IT, moved)
    for grant in planned.access.grants:
        if grant.deny:
            continue
        origins = [one for one in given_grants if not one.deny and moved(one.principal).principal == grant.principal]
        assert any(grant.rights <= one.rights for one in origins)
    for one in given_grants:
        if one.principal == BOB and not (one.inherited and inherits):
            assert planned.losses


@given(grants)
def test_what_is_read_back_as_it_was_set_lost_nothing(given_grants: tuple[Grant, ...]) -> None:
    wanted = plan(Access(ALICE, STAFF, given_grants), ALL_OF_IT, moved).access
    assert compare(wanted, wanted) == ()
