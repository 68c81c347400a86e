"""What cannot have its own owner is nobody's, and never the superuser's whom nobody asked for."""

from hypothesis import given
from hypothesis import strategies as st

from tallyport.domain import nobody
from tallyport.domain.access import Access, Principal, PrincipalKind
from tallyport.domain.losses import Lost

ROOT, WHEEL = Principal(PrincipalKind.ACCOUNT, "0", "root"), Principal(PrincipalKind.GROUP, "0", "root")
ALICE, STAFF = Principal(PrincipalKind.ACCOUNT, "1001", "alice"), Principal(PrincipalKind.GROUP, "1002", "staff")
MINE = Access(ROOT, WHEEL)

people = st.sampled_from([None, ROOT, ALICE, nobody.ACCOUNT, Principal(PrincipalKind.ACCOUNT, name="root")])
groups = st.sampled_from([None, WHEEL, STAFF, nobody.GROUP])
accesses = st.builds(Access, people, groups)


def test_whoever_is_mapped_gets_what_is_theirs() -> None:
    assert nobody.adopted(Access(ALICE, STAFF), Access(ALICE, STAFF), MINE) == ((ALICE, STAFF), ())


def test_owner_and_group_go_to_nobody_each_by_itself_and_it_is_said() -> None:
    pair, said = nobody.adopted(Access(ALICE, STAFF), Access(None, STAFF), MINE)
    assert pair == (nobody.ACCOUNT, STAFF)
    assert [(one.what, one.detail.partition(":")[0]) for one in said] == [(Lost.OWNER, "the owner is nobody (65534)")]
    pair, said = nobody.adopted(Access(ALICE, STAFF), Access(ALICE), MINE)
    assert pair == (ALICE, nobody.GROUP)
    assert [one.detail.partition(":")[0] for one in said] == ["the group is nobody (65534)"]


def test_an_item_that_tells_no_owner_is_whoever_writes_it() -> None:
    assert nobody.adopted(Access(), Access(), MINE) == ((None, None), ())


def test_a_server_that_is_not_the_superuser_keeps_what_it_writes() -> None:
    assert nobody.adopted(Access(ALICE, STAFF), Access(), Access(ALICE, STAFF)) == ((None, None), ())


@given(given_=accesses, wanted=accesses, standing=accesses)
def test_whatever_had_an_owner_is_the_superusers_only_where_that_is_wanted(
    given_: Access, wanted: Access, standing: Access
) -> None:
    (owner, group), said = nobody.adopted(given_, wanted, standing)
    after = Access(owner or standing.owner, group or standing.group)
    for had, asked, now in ((given_.owner, wanted.owner, after.owner), (given_.group, wanted.group, after.group)):
        if had is not None and now is not None and nobody.is_superuser(now):
            assert asked == now
    assert bool(said) <= nobody.is_orphan(given_, wanted)
    assert nobody.adopted(given_, wanted, after)[0] == (owner, group), "a second time comes to the same"


def test_a_number_that_nobody_can_have_is_none() -> None:
    numbers = {"0": 0, "1001": 1001, "4294967294": 4294967294, "4294967295": None, "9" * 20: None, "S-1-5": None}
    assert {text: nobody.number_of(Principal(PrincipalKind.ACCOUNT, text)) for text in numbers} == numbers
