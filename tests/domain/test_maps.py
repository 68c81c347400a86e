"""Who becomes whom: pairs before rules before the default, and nobody becomes the superuser by a rule."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyport.domain.access import Principal, PrincipalKind
from tallyport.domain.maps import (
    ACCOUNT_RULES,
    How,
    Pair,
    PrincipalMap,
    Rule,
    Unmapped,
    automatic,
    is_like,
    resolve,
)

ACCOUNT, GROUP = PrincipalKind.ACCOUNT, PrincipalKind.GROUP


def account(name: str = "", **texts: str) -> Principal:
    return Principal(ACCOUNT, name=name, **texts)


def book(*people: Principal) -> Callable[[Principal], Sequence[Principal] | None]:
    """A platform that can be asked."""

    def find(like: Principal) -> list[Principal]:
        return [
            one
            for one in people
            if one.kind is like.kind and all(not a or a == b for a, b in zip(like[1:], one[1:], strict=True))
        ]

    return find


def cannot_be_asked(like: Principal) -> None:
    return None


ALICE, BOB, ROOT = account("alice", id="1001"), account("bob", id="1002"), account("root", id="0")
HERE = book(ALICE, BOB, ROOT, account("carol", id="7", email="carol@b.org", caption="Carol C. Jones"))


def mapping(*pairs: tuple[Principal, Principal], rules: Sequence[Rule] = (), **values: object) -> PrincipalMap:
    return PrincipalMap(
        kind=ACCOUNT,
        pairs=tuple(Pair(*pair) for pair in pairs),
        rules=frozenset(rules),
        **values,  # type: ignore[arg-type]
    )


def test_an_explicit_pair_comes_before_every_rule() -> None:
    chosen = mapping((account("alice"), account("bob")), rules=ACCOUNT_RULES)
    assert resolve(ALICE, chosen, HERE) == (How.EXCEPTION, BOB, "", False)


def test_a_pair_is_read_by_its_best_key() -> None:
    chosen = mapping((account("", id="5"), account("bob")), (account("zed", id="5"), account("alice")))
    assert resolve(account("other", id="5"), chosen, HERE).principal == BOB
    assert resolve(account("zed", id="5"), chosen, HERE).principal == ALICE


def test_directory_names_and_addresses_know_no_case_and_plain_names_do() -> None:
    chosen = mapping((account("COMPANY\\Joe"), account("bob")), (account("Ann"), account("bob")))
    assert resolve(account("company\\joe"), chosen, HERE).principal == BOB
    assert resolve(account("ann"), chosen, HERE).principal is None


def test_a_pair_that_names_nobody_is_unmapped_and_does_not_fall_through_to_the_rules() -> None:
    chosen = mapping((account("alice"), account("gone")), rules=[Rule.NAME])
    found = resolve(ALICE, chosen, HERE)
    assert found.how is How.UNMAPPED
    assert "gone, whom the other side does not know" in found.message


def test_a_bare_number_in_a_pair_is_taken_at_its_word() -> None:
    chosen = mapping((account("alice"), account("", id="4711")))
    assert resolve(ALICE, chosen, HERE).principal == account("", id="4711")


@pytest.mark.parametrize(
    ("rule", "source", "expected"),
    [
        (Rule.ID, account("x", id="1002"), BOB),
        (Rule.NAME, account("bob", id="9"), BOB),
        (Rule.EMAIL, account("c", email="carol@b.org"), "carol"),
        (Rule.CAPTION, account("c", caption="Carol C. Jones"), "carol"),
        (Rule.LDAP, account("COMPANY\\bob"), BOB),
        (Rule.LDAP, account("bob@company.com"), BOB),
        (Rule.FUZZY, account("x", caption="carol-c jones"), "carol"),
        (Rule.NAME, account("nobody-here"), None),
        (Rule.FUZZY, account("!!!"), None),
    ],
)
def test_each_rule_finds_its_like_and_no_other(rule: Rule, source: Principal, expected: Principal | str | None) -> None:
    found = resolve(source, mapping(rules=[rule]), HERE).principal
    assert (found.name if isinstance(expected, str) and found is not None else found) == expected


def test_two_that_match_are_nobody() -> None:
    twins = book(account("a", caption="Sam"), account("b", caption="Sam"))
    found = resolve(account("s", caption="Sam"), mapping(rules=[Rule.CAPTION]), twins)
    assert found.principal is None
    assert "2 match by caption" in found.message


def test_built_in_identifiers_are_everybody_and_the_organisation() -> None:
    chosen = mapping(rules=[Rule.BUILT_IN])
    assert resolve(account("", id="S-1-1-0"), chosen, HERE).principal == Principal(PrincipalKind.EVERYONE)
    assert resolve(account("", id="S-1-5-11"), chosen, HERE).principal == Principal(PrincipalKind.DOMAIN)


def test_only_external_people_pass_through_externally() -> None:
    chosen = mapping(rules=[Rule.EXTERNAL_PASSTHROUGH])
    guest = account("guest", email="guest@elsewhere.net")
    assert resolve(guest, chosen, HERE, is_external=lambda _: True).how is How.EXTERNAL_ACCOUNT
    assert resolve(guest, chosen, HERE, is_external=lambda _: False).how is How.UNMAPPED


@pytest.mark.parametrize("rule", [Rule.NAME, Rule.CAPTION, Rule.USERNAME, Rule.FUZZY, Rule.LDAP])
def test_no_rule_leads_to_the_superuser(rule: Rule) -> None:
    machine = book(account("root", id="0", username="root", caption="root"))
    for source in (account("root", username="root", caption="root"), account("CORP\\root", caption="root")):
        found = resolve(source, mapping(rules=[rule]), machine)
        assert found.principal is None or found.principal.id != "0" or source.name == "root"
    stranger = account("rooty", id="S-1-5-21-1", username="root", caption="root")
    assert resolve(stranger, mapping(rules=[rule]), machine).principal is None


def test_a_pair_and_the_default_may_name_the_superuser() -> None:
    assert resolve(ALICE, mapping((account("alice"), account("root"))), HERE).principal == ROOT
    assert resolve(ALICE, mapping(default=account("root")), HERE) == (
        How.DEFAULT,
        ROOT,
        "nobody at the other side is the account alice",
        False,
    )


@pytest.mark.parametrize(
    ("unmapped", "how", "is_refused"),
    [
        (None, How.DEFAULT, False),
        (Unmapped.DEFAULT, How.DEFAULT, False),
        (Unmapped.SKIP, How.UNMAPPED, False),
        (Unmapped.FAIL, How.UNMAPPED, True),
    ],
)
def test_what_becomes_of_the_unmapped_is_the_maps_choice(unmapped: Unmapped | None, how: How, is_refused: bool) -> None:
    found = resolve(account("zed"), mapping(default=account("bob"), unmapped=unmapped), HERE)
    assert (found.how, found.is_refused) == (how, is_refused)


def test_an_exclusion_comes_before_the_pair_and_holds_at_either_side() -> None:
    pair = (account("alice"), account("bob"))
    assert resolve(ALICE, mapping(pair, source_exclusions=(account("alice"),)), HERE).how is How.EXCLUDED
    assert resolve(ALICE, mapping(pair, destination_exclusions=(account("bob"),)), HERE).how is How.EXCLUDED


def test_a_platform_that_cannot_be_asked_gets_what_the_map_says() -> None:
    chosen = mapping((account("alice"), account("", email="a@b.c")), rules=[Rule.EMAIL])
    assert resolve(ALICE, chosen, cannot_be_asked).principal == account("", email="a@b.c")
    assert resolve(account("x", email="x@y.z"), chosen, cannot_be_asked).principal == account("", email="x@y.z")


def test_one_book_and_no_map_leave_everybody_who_they_are() -> None:
    number = account("", id="99999")
    assert resolve(number, automatic(ACCOUNT, is_same_book=True), HERE) == (How.SAME, number, "", False)
    assert resolve(number, automatic(ACCOUNT, is_same_book=False), HERE).how is How.UNMAPPED


def test_everyone_needs_no_map() -> None:
    everyone = Principal(PrincipalKind.EVERYONE)
    assert resolve(everyone, mapping(), HERE).principal == everyone


texts = st.sampled_from(["", "a", "b", "c", "root", "0", "1", "X@y", "d\\a"])
people = st.builds(
    Principal, st.sampled_from([ACCOUNT, GROUP]), id=texts, name=texts, username=texts, caption=texts, email=texts
)
maps = st.builds(
    PrincipalMap,
    kind=st.just(ACCOUNT),
    pairs=st.lists(st.builds(Pair, people, people), max_size=4).map(tuple),
    rules=st.frozensets(st.sampled_from(list(Rule))),
    default=st.none() | people,
    source_exclusions=st.lists(people, max_size=2).map(tuple),
    destination_exclusions=st.lists(people, max_size=2).map(tuple),
    unmapped=st.none() | st.sampled_from(list(Unmapped)),
)


@given(people, maps, st.lists(people, max_size=5))
def test_whoever_is_resolved_is_never_excluded_and_nobody_is_told_why(
    principal: Principal, chosen: PrincipalMap, others: list[Principal]
) -> None:
    found = resolve(principal, chosen, book(*others))
    if found.principal is None:
        assert found.message
        assert found.how in (How.EXCLUDED, How.UNMAPPED)
    else:
        assert not any(is_like(found.principal, one) for one in chosen.destination_exclusions)
        assert not any(is_like(principal, one) for one in chosen.source_exclusions)
    if found.is_refused:
        assert chosen.unmapped is Unmapped.FAIL


@given(people, maps, st.lists(people, max_size=5))
def test_a_number_0_is_given_by_a_pair_the_default_or_to_number_0(
    principal: Principal, chosen: PrincipalMap, others: list[Principal]
) -> None:
    found = resolve(principal, chosen, book(*others))
    if found.principal is not None and found.principal.id == "0" and found.how not in (How.EXCEPTION, How.DEFAULT):
        assert principal.id == "0" or principal.name == "root"


@given(maps)
def test_the_way_back_of_the_way_back_maps_every_pair_whose_sides_are_their_only_ones(chosen: PrincipalMap) -> None:
    again = chosen.reversed().reversed()
    assert set(again.pairs) <= set(chosen.pairs)
    assert (again.default, again.source_exclusions) == (chosen.default, chosen.source_exclusions)
