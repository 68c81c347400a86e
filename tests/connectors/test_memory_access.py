"""A memory platform keeps grants, locks and properties, and is as silent about strangers as some real ones."""

import pytest

from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.protocol import Facts, Grants, Locks, Principals, Properties
from tallyport.domain.access import Access, AccessRight, Grant, Link, Principal, PrincipalKind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.locks import Lock

ALICE, BOB = Principal(PrincipalKind.ACCOUNT, "1", "alice"), Principal(PrincipalKind.ACCOUNT, "2", "bob")
READ, WRITE = frozenset({AccessRight.READ}), frozenset({AccessRight.WRITE})


@pytest.fixture
def memory() -> Memory:
    made = Memory()
    made.write("a.txt", [b"x"], Facts(owner=7))
    return made


@pytest.mark.parametrize(
    ("setting", "ability"), [("grants", Grants), ("grants", Principals), ("locks", Locks), ("properties", Properties)]
)
def test_an_ability_goes_with_its_setting(setting: str, ability: type) -> None:
    assert isinstance(Memory(), ability)
    assert not isinstance(Memory(Settings(**{setting: False})), ability)  # type: ignore[arg-type]


def test_grants_add_up_and_are_replaced_when_asked(memory: Memory) -> None:
    memory.set_access("a.txt", Access(grants=(Grant(ALICE, READ),)))
    memory.set_access("a.txt", Access(grants=(Grant(ALICE, WRITE), Grant(BOB, READ))))
    assert memory.access("a.txt").grants == (Grant(ALICE, READ | WRITE), Grant(BOB, READ))
    link = Link(PrincipalKind.EVERYONE, READ)
    memory.set_access("a.txt", Access(grants=(Grant(BOB, READ),), links=(link,), inherits=False), remove_others=True)
    assert memory.access("a.txt")[2:5] == ((Grant(BOB, READ),), False, (link,))


def test_an_owner_is_what_facts_said_until_it_is_set(memory: Memory) -> None:
    assert memory.access("a.txt").owner == Principal(PrincipalKind.ACCOUNT, "7")
    memory.set_access("a.txt", Access(owner=ALICE))
    entry = memory.stat("a.txt")
    assert entry is not None
    assert (memory.access("a.txt").owner, entry.owner) == (ALICE, 1)


def test_a_store_with_accounts_drops_strangers_without_a_word(memory: Memory) -> None:
    memory.add_principal(ALICE)
    got = memory.set_access("a.txt", Access(owner=BOB, grants=(Grant(BOB, READ), Grant(ALICE, READ))))
    assert got.grants == (Grant(ALICE, READ),)
    assert got.owner == Principal(PrincipalKind.ACCOUNT, "7")
    assert list(memory.principals(Principal(PrincipalKind.ACCOUNT, name="alice"))) == [ALICE]


def test_a_lock_keeps_everybody_from_changing_what_it_is_on(memory: Memory) -> None:
    held = memory.lock("a.txt", Lock(owner=ALICE))
    assert memory.lock_of("a.txt") == held
    entry = memory.stat("a.txt")
    for change in (
        lambda: memory.write("a.txt", [b"y"], Facts()),
        lambda: memory.delete("a.txt", expect=entry),
        lambda: memory.lock("a.txt", Lock()),
        lambda: memory.unlock("a.txt", Lock(token="another")),
    ):
        with pytest.raises(TallyportError) as caught:
            change()
        assert caught.value.kind is ErrorKind.LOCKED
    memory.unlock("a.txt", held)
    memory.unlock("a.txt", held)
    memory.write("a.txt", [b"y"], Facts())


def test_a_lock_with_a_mark_is_known_again_by_another_connection_and_lets_its_changes_through() -> None:
    settings = Settings(store="marked")
    one, other, stranger = (Memory(settings) for _ in range(3))
    one.write("a.txt", [b"x"], Facts())
    held = one.lock("a.txt", Lock(mark="m"))
    assert other.lock("a.txt", Lock(mark="m")) == held
    stranger.hold("a.txt", "another")
    with pytest.raises(TallyportError):
        stranger.write("a.txt", [b"y"], Facts())
    stranger.hold("a.txt", "m")
    stranger.write("a.txt", [b"y"], Facts())
    assert one.lock_of("a.txt") == held, "it is on the name, whatever content has it"
    stranger.hold("nothing", "m")
    other.unlock("a.txt", held)
    other.unlock("nothing", held)
    stranger.delete("a.txt")


def test_properties_are_set_removed_and_left(memory: Memory) -> None:
    assert memory.set_properties("a.txt", {"a": b"1", "b": b"2"}) == {"a": b"1", "b": b"2"}
    assert (
        memory.set_properties("a.txt", {"a": None, "c": b"3"}) == {"b": b"2", "c": b"3"} == memory.properties("a.txt")
    )
