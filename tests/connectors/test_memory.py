"""The memory connector is as awkward as its settings say, and drawings of trees come back as they were drawn."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given

from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import PLAIN, Settings
from tallyport.connectors.memory_tree import forget
from tallyport.connectors.protocol import (
    Connector,
    Facts,
    Hashes,
    Links,
    Moves,
    Precondition,
    Stamps,
    Sweeps,
    Syncs,
)
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.testing.connector_contract import refused
from tallyport.testing.strategies import entries, is_taken, names, paths, trees
from tallyport.testing.worlds import content, differences, lines, picture, put, read_all, tree

ABILITIES = (Stamps, Moves, Hashes, Links, Sweeps, Syncs)


def abilities(connector: Connector) -> set[str]:
    return {ability.__name__ for ability in ABILITIES if isinstance(connector, ability)}


# -- abilities


def test_memory_has_every_ability_but_to_sync() -> None:
    assert abilities(Memory()) == {"Stamps", "Moves", "Hashes", "Links", "Sweeps"}


def test_plain_memory_is_a_connector_and_no_more() -> None:
    assert isinstance(Memory(PLAIN), Connector)
    assert abilities(Memory(PLAIN)) == set()


@pytest.mark.parametrize(
    ("settings", "lost"),
    [
        (Settings(stamps=False), "Stamps"),
        (Settings(moves=False), "Moves"),
        (Settings(hashes=False), "Hashes"),
        (Settings(sweeps=False), "Sweeps"),
        (Settings(symlinks=False, hard_links=False), "Links"),
    ],
)
def test_a_setting_takes_one_ability_away(settings: Settings, lost: str) -> None:
    assert abilities(Memory(settings)) == abilities(Memory()) - {lost}


def test_without_hard_links_symlinks_remain() -> None:
    connector = Memory(Settings(hard_links=False))
    put(connector, "a")
    connector.make_symlink("link", "a", Facts())
    with refused(ErrorKind.UNSUPPORTED):
        connector.make_hard_link("b", "a")


def test_without_symlinks_hard_links_remain() -> None:
    connector = Memory(Settings(symlinks=False))
    put(connector, "a")
    assert connector.make_hard_link("b", "a").links == 2
    with refused(ErrorKind.UNSUPPORTED):
        connector.make_symlink("link", "a", Facts())


# -- stores


def test_two_connections_of_one_name_see_one_tree() -> None:
    one, other = (Memory(Settings(store="shared")) for _ in range(2))
    try:
        put(one, "a")
        one.close()
        assert read_all(other, "a") == b"content"
        assert read_all(Memory(Settings(store="shared")), "a") == b"content"
    finally:
        forget("shared")
    assert list(Memory(Settings(store="shared")).children("")) == []
    forget("shared")


def test_connections_without_a_name_share_nothing() -> None:
    put(Memory(), "a")
    assert list(Memory().children("")) == []


def test_one_store_cannot_fold_case_for_some_only() -> None:
    Memory(Settings(store="folding", case_insensitive=True))
    try:
        with refused(ErrorKind.CONFIG):
            Memory(Settings(store="folding"))
    finally:
        forget("folding")


def test_a_root_that_is_missing_is_made_only_when_asked() -> None:
    with refused(ErrorKind.NOT_FOUND):
        Memory(Settings(), "deep/inside")
    connector = Memory(Settings(), "deep/inside", make=True)
    put(connector, "a")
    assert connector.location.endswith("/deep/inside")


def test_a_root_is_a_part_of_its_store() -> None:
    whole = Memory(Settings(store="whole"))
    try:
        part = Memory(Settings(store="whole"), "part", make=True)
        put(part, "a")
        assert picture(whole) == f"part/{picture(part)}"
        put(whole, "b")
        assert part.stat("b") is None
        with refused(ErrorKind.NOT_FOUND):
            Memory(Settings(store="whole"), "b")
    finally:
        forget("whole")


# -- awkward settings


def test_a_name_keeps_the_case_it_was_made_with() -> None:
    connector = Memory(Settings(case_insensitive=True))
    put(connector, "Name.TXT", b"old")
    assert put(connector, "name.txt", b"new").name == "Name.TXT"
    with refused(ErrorKind.ALREADY_EXISTS):
        connector.write("NAME.txt", [b"x"], Facts(), when=Precondition(absent=True))
    assert [entry.name for entry in connector.children("")] == ["Name.TXT"]


def test_a_rename_may_change_the_case_alone() -> None:
    connector = Memory(Settings(case_insensitive=True))
    put(connector, "name")
    assert connector.rename("name", "NAME").name == "NAME"
    assert [entry.name for entry in connector.children("")] == ["NAME"]


def test_times_are_rounded_down_to_the_precision() -> None:
    connector = Memory(Settings(time_precision=2_000_000_000), clock=lambda: 5_999_999_999)
    assert put(connector, "a").modified == 4_000_000_000
    assert connector.write("b", [], Facts(modified=-1)).modified == -2_000_000_000


def test_every_call_of_a_slow_platform_takes_its_time() -> None:
    slept: list[float] = []
    connector = Memory(Settings(delay=0.5), sleep=slept.append)
    put(connector, "a")
    connector.stat("a")
    list(connector.children(""))
    read_all(connector, "a")
    connector.delete("a")
    assert slept == [0.5] * 5


def test_a_listing_lags_by_so_many_calls_and_a_look_at_the_name_does_not() -> None:
    connector = Memory(Settings(lag=3))
    put(connector, "a", b"old")
    assert [connector.stat("a") is not None for _ in range(3)] == [True] * 3
    assert [entry.size for entry in connector.children("")] == [3]
    put(connector, "a", b"newer")
    put(connector, "b")
    connector.delete("a")
    seen = [{entry.name: entry.size for entry in connector.children("")} for _ in range(4)]
    assert seen == [{"a": 3}, {"a": 5}, {"a": 5, "b": 7}, {"b": 7}]


def test_a_connection_without_lag_sees_at_once_what_another_sees_late() -> None:
    late, prompt = Memory(Settings(store="lagging", lag=5)), Memory(Settings(store="lagging"))
    try:
        put(late, "a")
        assert list(late.children("")) == []
        assert [entry.name for entry in prompt.children("")] == ["a"]
    finally:
        forget("lagging")


@pytest.mark.parametrize("name", ["a:b", "a*", "a.", "a ", "n" * 13, "é" * 7])
def test_a_strict_platform_refuses_names(name: str) -> None:
    connector = Memory(Settings(forbidden_characters=":*", forbidden_endings=". ", max_name=12))
    with refused(ErrorKind.INVALID_NAME):
        put(connector, name)
    with refused(ErrorKind.INVALID_NAME):
        connector.make_container(name, Facts())
    put(connector, "fine")
    with refused(ErrorKind.INVALID_NAME):
        connector.rename("fine", name)
    assert connector.stat(name) is None
    assert [entry.name for entry in connector.children("")] == ["fine"]


def test_an_endless_source_ends_at_the_largest_size() -> None:
    connector = Memory(Settings(max_size=1000))
    with refused(ErrorKind.TOO_LARGE):
        connector.write("a", iter(lambda: b"for ever", None), Facts())
    assert connector.stat("a") is None


def test_a_full_platform_keeps_the_old_content() -> None:
    connector = Memory(Settings(quota=10))
    put(connector, "a", b"old")
    with refused(ErrorKind.NO_SPACE):
        put(connector, "a", b"eight by")
    assert read_all(connector, "a") == b"old"
    put(connector, "b", b"seven b")
    with refused(ErrorKind.NO_SPACE):
        put(connector, "c", b"x")


def test_what_is_deleted_and_swept_gives_its_space_back() -> None:
    connector = Memory(Settings(quota=10))
    put(connector, "a", b"1234567890")
    connector.make_hard_link("b", "a")
    connector.delete("a")
    with refused(ErrorKind.NO_SPACE):
        put(connector, "c", b"x")
    connector.rename("b", "d")
    connector.delete("d")
    connector.leave_temporary("", "token", b"123456789")
    with refused(ErrorKind.NO_SPACE):
        put(connector, "c", b"xy")
    assert connector.sweep("", "token") == 1
    put(connector, "c", b"1234567890")


def test_a_read_only_platform_is_only_read() -> None:
    try:
        put(Memory(Settings(store="fixed")), "a")
        connector = Memory(Settings(store="fixed", read_only=True))
        acts = [
            lambda: put(connector, "b"),
            lambda: connector.make_container("box", Facts()),
            lambda: connector.delete("a"),
            lambda: connector.stamp("a", Facts(modified=0)),
            lambda: connector.rename("a", "b"),
            lambda: connector.make_symlink("link", "a", Facts()),
            lambda: connector.make_hard_link("b", "a"),
            lambda: connector.sweep("", "token"),
        ]
        for act in acts:
            with refused(ErrorKind.READ_ONLY):
                act()
        assert read_all(connector, "a") == b"content"
        assert [entry.name for entry in connector.children("")] == ["a"]
    finally:
        forget("fixed")


def test_hashes_come_freely_where_the_settings_say_so() -> None:
    connector = Memory(Settings(free_hashes=True))
    entry = put(connector, "a")
    assert entry.hash == connector.content_hash("a")
    assert not connector.limits.slow_hash
    assert Memory().limits.slow_hash


def test_a_platform_without_permissions_keeps_none() -> None:
    entry = Memory(Settings(permissions=False)).write("a", [], Facts(mode=0o600, owner="ann", group="staff"))
    assert (entry.mode, entry.owner, entry.group) == (None, None, None)


def test_owners_are_kept_as_they_are_given() -> None:
    connector = Memory()
    entry = connector.write("a", [], Facts(mode=0o600, owner="ann", group=100))
    assert (entry.mode, entry.owner, entry.group) == (0o600, "ann", 100)


def test_tags_count_writes_and_nothing_else() -> None:
    connector = Memory()
    first = put(connector, "a")
    connector.stamp("a", Facts(modified=0))
    connector.rename("a", "b")
    second = put(connector, "b")
    moved = connector.rename("b", "c")
    assert first.tag < second.tag == moved.tag


def test_what_is_special_is_listed_and_never_read() -> None:
    connector = Memory()
    assert connector.make_special("fifo").kind is Kind.SPECIAL
    with refused(ErrorKind.UNSUPPORTED):
        read_all(connector, "fifo")


def test_a_content_hash_that_does_not_fit_is_corrupt() -> None:
    connector = Memory()
    with refused(ErrorKind.CORRUPT):
        connector.write("a", [b"content"], Facts(hash=bytes(16)))
    assert connector.stat("a") is None


def test_many_threads_leave_the_tree_whole() -> None:
    connector = Memory(Settings(quota=1_000_000))
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(50):
                put(connector, f"{number}", bytes(turn))
                connector.make_hard_link(f"{number}-link", f"{number}")
                connector.rename(f"{number}", f"{number}-moved")
                list(connector.children(""))
                connector.delete(f"{number}-moved")
                connector.delete(f"{number}-link")
        except TallyportError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert errors == []
    assert list(connector.children("")) == []
    put(connector, "all of it", bytes(1_000_000))


# -- drawings

DRAWING = """
# a comment
folder/b.txt 10kb v2 @1000
a.txt 3b v1
empty/
link -> folder/b.txt
"two words" 1mb v3
zecond = a.txt
"""

AS_DRAWN = """\
a.txt 3b v1
empty/
folder/b.txt 10kb v2
link -> folder/b.txt
"two words" 1mb v3
zecond = a.txt"""


def test_a_drawing_is_made_and_drawn_again() -> None:
    assert picture(tree(DRAWING)) == AS_DRAWN


def test_a_drawing_may_go_into_a_connector_that_is_there() -> None:
    connector = tree("a.txt 1b v1")
    assert tree("a.txt 2b v2\nb/c 1b v1", connector) is connector
    assert picture(connector) == "a.txt 2b v2\nb/c 1b v1"


def test_times_are_drawn_when_asked_for() -> None:
    drawing = "a.txt 3b v1 @5\nbox/ @7\nbox/in 0b v0 @6"
    assert picture(tree(drawing), times=True) == drawing


def test_content_tells_its_version_and_nothing_is_equal_by_chance() -> None:
    assert content(5, 1) == content(9, 1)[:5]
    assert content(5, 1) != content(5, 2)
    connector = tree("")
    put(connector, "a", b"by hand")
    assert picture(connector).startswith("a 7b ? ")


@pytest.mark.parametrize("line", ["a.txt", "a.txt 3b", "a.txt 3x v1", "a b 3b v1", "a ->", "-> a", 'a"b 3b v1'])
def test_a_line_that_could_be_misread_is_not_read(line: str) -> None:
    with pytest.raises(ValueError, match="drawing"):
        lines(line)


def test_differences_name_the_side() -> None:
    assert differences(tree("a 1b v1\nb 1b v1"), tree("a 1b v2\nb 1b v1")) == [
        "only in the first: a 1b v1",
        "only in the second: a 1b v2",
    ]
    assert differences(tree(DRAWING), tree(DRAWING)) == []


@given(trees())
def test_any_tree_comes_back_as_it_was_drawn(drawing: str) -> None:
    assert picture(tree(drawing)) == drawing


STRICT = Settings(max_name=9, forbidden_endings=". ")


@given(trees(Memory(STRICT).limits))
def test_a_strict_platform_takes_every_tree_made_for_it(drawing: str) -> None:
    assert picture(tree(drawing, Memory(STRICT))) == drawing


@given(names())
def test_every_name_of_the_strategy_is_taken_by_memory(name: str) -> None:
    connector = Memory()
    assert is_taken(name, connector.limits)
    assert put(connector, name).name == name


@given(paths())
def test_every_path_of_the_strategy_can_be_made(path: str) -> None:
    connector = tree("")
    container = ""
    for name in path.split("/"):
        container = f"{container}/{name}" if container else name
        connector.make_container(container, Facts())
    assert connector.stat(path) is not None


@given(entries())
def test_entries_of_the_strategy_agree_with_their_kind(entry: Entry) -> None:
    assert (entry.target is not None) == (entry.kind is Kind.SYMLINK)
    assert entry.kind is Kind.FILE or (entry.size, entry.tag) == (0, b"")
