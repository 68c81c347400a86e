"""What every connector keeps: the contract of ``connectors/protocol.py`` as tests.

A connector's own test file is a class and one fixture::

    class TestSftp(ConnectorContract):
        @pytest.fixture
        def connector(self, sftp_server: SftpServer) -> Iterator[Connector]:
            with closing(open_sftp(sftp_server.settings)) as connector:
                yield connector

Tests that need an ability or a limit that the connector does not have are skipped and say so. What protocol
and limits cannot tell is said by the class attributes. Each test works inside a container of its own, so a
server may be shared by all of them.
"""

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import ClassVar

import pytest

from tallyport.connectors import hashing
from tallyport.connectors.protocol import (
    Connector,
    Facts,
    Hashes,
    Moves,
    Precondition,
    Stamps,
    Sweeps,
)
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import from_bytes, join
from tallyport.testing.ability_contract import AbilityContract
from tallyport.testing.contract_words import (
    ABSENT,
    SECOND,
    able,
    assert_about,
    breaking,
    hard_link,
    needs,
    quiet,
    refused,
    slices,
    stat,
    symlinks,
    together,
)
from tallyport.testing.strategies import is_taken
from tallyport.testing.worlds import content, read_all

AWKWARD_NAMES = {
    "leading space": " a",
    "trailing space": "a ",
    "leading dot": ".a",
    "trailing dot": "a.",
    "three dots": "...",
    "leading dash": "-rf",
    "tilde": "~",
    "star": "*.txt",
    "question mark": "what?.txt",
    "double quote": 'a"b',
    "single quote": "it's",
    "backslash": "a\\b",
    "colon": "a:b",
    "pipe and angles": "a|<b>",
    "percent code": "a%2Fb%",
    "plus, ampersand, hash": "a+b&c#d=1;2",
    "brackets": "[a]{b}(c)",
    "dollar": "$HOME `id`",
    "tab": "a\tb",
    "line feed": "a\nb",
    "carriage return": "a\rb",
    "escape": "\x1b[31mred",
    "delete": "a\x7fb",
    "composed": "caf\u00e9",
    "decomposed": "cafe\u0301",
    "Hangul": "\uac00\u1100\u1161",
    "right to left": "\u05e2\u05d1\u05e8\u05d9\u05ea.txt",
    "direction override": "\u202egpj.exe",
    "zero width": "a\u200bb",
    "byte order mark": "\ufeffa",
    "emoji": "\U0001f469\u200d\U0001f469\u200d\U0001f467.txt",
    "not a character": "a\uffff",
    "255 bytes": "n" * 251 + ".txt",
    "255 bytes of two": "\u00e9" * 127 + "x",
    "device": "con",
    "device with ending": "NUL.txt",
    "system file": "desktop.ini",
    "temporary": "a.tmp",
    "partial": ".a.part",
}

BYTE_NAMES = {
    "Latin-1": b"caf\xe9",
    "cut UTF-8": b"a\xe2\x82",
    "lone continuation": b"\x80\x81",
    "surrogate in UTF-8": b"\xed\xa0\x80",
    "overlong": b"\xc0\xaf",
}

MOMENTS = {
    "exact": 1_234_567_890_123_456_789,
    "just before a second": 1_600_000_000_999_999_999,
    "odd second": 1_600_000_001 * SECOND,
    "after 2038": 4_102_444_800 * SECOND,
}


class ConnectorContract(AbilityContract):
    """The contract. Subclass it, give the fixture ``connector``, and correct what is not as usual."""

    part_size: ClassVar[int] = 1024 * 1024  # of one request; content of more than two is carried
    changed_names: ClassVar[frozenset[str]] = frozenset()  # labels of AWKWARD_NAMES that this server alone spoils
    many: ClassVar[int] = 250  # entries of a long listing: more than two pages
    names_are_bytes: ClassVar[bool] = False  # any bytes are a name
    keeps_times: ClassVar[bool] = True  # a time given with a write is kept
    keeps_container_times: ClassVar[bool] = True  # a container can be stamped
    atomic_precondition: ClassVar[bool] = True  # holds when the write becomes visible, not only when it begins
    locks_open_files: ClassVar[bool] = False  # what somebody reads cannot be replaced meanwhile
    looks: ClassVar[int] = 1  # listings until a change shows
    longest_name: ClassVar[int | None] = None  # of this server, where it takes less than the platform
    above: ClassVar[str] = ""  # what the platform counts to a path besides: the root of the connection, with its slash

    @pytest.fixture
    def connector(self) -> Iterator[Connector]:
        raise NotImplementedError("give the connector under test in a fixture of this name")

    @pytest.fixture
    def place(self, connector: Connector) -> str:
        """Make a container for one test."""
        path = f"contract-{uuid.uuid4().hex[:12]}"
        connector.make_container(path, Facts())
        return path

    def abandon(self, connector: Connector, path: str, token: str) -> None:
        """Leave a temporary marked with ``token`` in a container, as a crash in mid-write would."""
        pytest.skip("the test class does not say how a crash leaves a temporary")

    def pause(self) -> None:
        """Wait between two looks at a listing that lags."""

    # -- words of the tests

    def put(self, connector: Connector, path: str, data: bytes = b"content", when: Precondition | None = None) -> Entry:
        return connector.write(path, [data], Facts(size=len(data)), when=when or Precondition())

    def listed(self, connector: Connector, path: str, until: Callable[[dict[str, Entry]], bool]) -> dict[str, Entry]:
        """List by name, again while the listing may lag behind."""
        for _ in range(self.looks):
            entries = list(connector.children(path))
            found = {entry.name: entry for entry in entries}
            assert len(found) == len(entries), "an entry was listed twice"
            if until(found):
                break
            self.pause()
        return found

    def names(self, connector: Connector, path: str, expected: Iterable[str]) -> set[str]:
        wanted = set(expected)
        return set(self.listed(connector, path, lambda found: set(found) == wanted))

    # -- the root

    def test_the_root_is_a_container(self, connector: Connector) -> None:
        root = connector.stat("")
        assert root is not None
        assert root.kind is Kind.CONTAINER

    def test_the_root_lists_what_was_made_in_it(self, connector: Connector, place: str) -> None:
        assert place in self.listed(connector, "", lambda found: place in found)

    def test_making_the_root_again_is_success(self, connector: Connector) -> None:
        assert connector.make_container("", Facts()).kind is Kind.CONTAINER

    def test_the_root_cannot_be_deleted(self, connector: Connector) -> None:
        with refused():
            connector.delete("")
        assert connector.stat("") is not None

    def test_the_root_cannot_be_written_over(self, connector: Connector) -> None:
        with refused():
            self.put(connector, "")

    def test_a_connector_says_where_it_is(self, connector: Connector) -> None:
        assert connector.location

    @pytest.mark.parametrize("path", ["..", "../a", "a/..", "a/../b", ".", "a/./b", "a//b", "a\0b"])
    def test_a_path_that_is_none_reaches_nothing(self, connector: Connector, place: str, path: str) -> None:
        connector.make_container(join(place, "a"), Facts())
        self.put(connector, join(place, "b"), b"kept")
        path = join(place, path)
        with refused(ErrorKind.INVALID_NAME):
            self.put(connector, path)
        with refused(ErrorKind.INVALID_NAME):
            connector.make_container(path, Facts())
        with refused(ErrorKind.INVALID_NAME):
            connector.delete(path)
        with refused(ErrorKind.INVALID_NAME):
            read_all(connector, path)
        with refused(ErrorKind.INVALID_NAME):
            list(connector.children(path))
        with refused(ErrorKind.INVALID_NAME):
            connector.stat(path)
        assert read_all(connector, join(place, "b")) == b"kept"

    # -- content

    def test_an_empty_file_stays_empty(self, connector: Connector, place: str) -> None:
        path = join(place, "empty")
        entry = connector.write(path, [], Facts(size=0))
        assert (entry.kind, entry.size) == (Kind.FILE, 0)
        assert read_all(connector, path) == b""

    def test_content_comes_back_as_it_was_written(self, connector: Connector, place: str) -> None:
        data = bytes(range(256)) * 3
        self.put(connector, join(place, "a"), data)
        assert read_all(connector, join(place, "a")) == data

    def test_content_larger_than_two_parts_comes_back(self, connector: Connector, place: str) -> None:
        data = content(2 * self.part_size + 12345, 1)
        entry = connector.write(join(place, "big"), slices(data, 100_000), Facts(size=len(data)))
        assert entry.size == len(data)
        assert read_all(connector, join(place, "big")) == data

    def test_content_of_exactly_one_part_comes_back(self, connector: Connector, place: str) -> None:
        data = content(self.part_size, 1)
        self.put(connector, join(place, "part"), data)
        assert read_all(connector, join(place, "part")) == data

    def test_a_size_need_not_be_known_before(self, connector: Connector, place: str) -> None:
        data = content(self.part_size + 1, 2)
        entry = connector.write(join(place, "a"), slices(data, 65_537), Facts())
        assert entry.size == len(data)
        assert read_all(connector, join(place, "a")) == data

    def test_chunks_may_have_any_length(self, connector: Connector, place: str) -> None:
        data = content(self.part_size + 7, 3)
        chunks = [b"", data[:1], b"", data[1:], b""]
        connector.write(join(place, "a"), iter(chunks), Facts(size=len(data)))
        assert read_all(connector, join(place, "a")) == data

    @pytest.mark.parametrize("announced", [0, 6, 8, 10_000])
    def test_content_of_another_size_than_announced_is_not_stored(
        self, connector: Connector, place: str, announced: int
    ) -> None:
        with refused(ErrorKind.CHANGED_DURING_COPY, ErrorKind.CORRUPT):
            connector.write(join(place, "a"), [b"content"], Facts(size=announced))
        assert connector.stat(join(place, "a")) is None
        assert list(connector.children(place)) == []

    def test_content_of_another_size_leaves_the_old_content(self, connector: Connector, place: str) -> None:
        before = self.put(connector, join(place, "a"), b"old")
        with refused(ErrorKind.CHANGED_DURING_COPY, ErrorKind.CORRUPT):
            connector.write(join(place, "a"), [b"longer"], Facts(size=4))
        assert read_all(connector, join(place, "a")) == b"old"
        assert stat(connector, join(place, "a")) == before

    @pytest.mark.parametrize("parts", [0, 1, 3])
    def test_a_source_that_fails_midway_leaves_nothing(self, connector: Connector, place: str, parts: int) -> None:
        broken = TallyportError(ErrorKind.UNAVAILABLE, "the source went away", path="a", operation="read")
        with refused(ErrorKind.UNAVAILABLE):
            connector.write(join(place, "a"), breaking(parts, self.part_size, broken), Facts())
        assert connector.stat(join(place, "a")) is None
        assert list(connector.children(place)) == []

    def test_a_source_that_fails_midway_leaves_the_old_content(self, connector: Connector, place: str) -> None:
        self.put(connector, join(place, "a"), b"old")
        broken = TallyportError(ErrorKind.IO_ERROR, "the disk has a bad sector", path="a", operation="read")
        with refused(ErrorKind.IO_ERROR):
            connector.write(join(place, "a"), breaking(1, self.part_size, broken), Facts())
        assert read_all(connector, join(place, "a")) == b"old"
        assert self.names(connector, place, ["a"]) == {"a"}

    def test_a_source_with_a_fault_in_its_code_leaves_nothing(self, connector: Connector, place: str) -> None:
        with pytest.raises((ZeroDivisionError, TallyportError)):
            connector.write(join(place, "a"), breaking(1, self.part_size, ZeroDivisionError()), Facts())
        assert connector.stat(join(place, "a")) is None
        assert list(connector.children(place)) == []

    def test_nothing_of_a_write_is_seen_before_it_is_complete(self, connector: Connector, place: str) -> None:
        seen: list[object] = []

        def chunks() -> Iterator[bytes]:
            for _ in range(3):
                yield bytes(self.part_size)
                seen.append(connector.stat(join(place, "a")))
                seen.extend(connector.children(place))

        connector.write(join(place, "a"), chunks(), Facts())
        assert [one for one in seen if one is not None] == []
        assert self.names(connector, place, ["a"]) == {"a"}

    def test_the_old_content_is_read_until_the_new_is_complete(self, connector: Connector, place: str) -> None:
        self.put(connector, join(place, "a"), b"old")
        seen: list[bytes] = []

        def chunks() -> Iterator[bytes]:
            for _ in range(2):
                yield b"new"
                seen.append(read_all(connector, join(place, "a")))

        connector.write(join(place, "a"), chunks(), Facts())
        assert seen == [b"old", b"old"]
        assert read_all(connector, join(place, "a")) == b"newnew"

    def test_content_can_be_copied_inside_one_connection(self, connector: Connector, place: str) -> None:
        data = content(self.part_size + 99, 4)
        self.put(connector, join(place, "a"), data)
        with connector.read(join(place, "a")) as chunks:
            connector.write(join(place, "b"), chunks, Facts(size=len(data)))
        assert read_all(connector, join(place, "b")) == data

    def test_a_hash_that_was_announced_wrongly_is_never_believed(self, connector: Connector, place: str) -> None:
        facts = Facts(size=7, hash=hashing.digest(b"something else"))
        outcome = quiet(lambda: connector.write(join(place, "a"), [b"content"], facts))
        if isinstance(outcome, Entry):
            assert outcome.hash in (None, hashing.digest(b"content"))
        else:
            assert outcome is not None
            assert outcome.kind is ErrorKind.CORRUPT
            assert connector.stat(join(place, "a")) is None

    # -- reading

    @pytest.mark.parametrize(
        ("offset", "length"),
        [(0, None), (1, None), (0, 5), (3, 1), (3, 10_000), (99_999, None), (100_000, None), (7, 0)],
    )
    def test_a_range_gives_just_that_range(
        self, connector: Connector, place: str, offset: int, length: int | None
    ) -> None:
        data = content(100_000, 5)
        self.put(connector, join(place, "a"), data)
        end = None if length is None else offset + length
        assert read_all(connector, join(place, "a"), offset=offset, length=length) == data[offset:end]

    def test_a_range_may_cross_parts(self, connector: Connector, place: str) -> None:
        data = content(2 * self.part_size + 5, 6)
        self.put(connector, join(place, "a"), data)
        start = self.part_size - 3
        part = read_all(connector, join(place, "a"), offset=start, length=self.part_size)
        assert part == data[start : start + self.part_size]

    def test_a_range_past_the_end_gives_what_there_is(self, connector: Connector, place: str) -> None:
        self.put(connector, join(place, "a"), b"content")
        assert read_all(connector, join(place, "a"), offset=5, length=100) == b"nt"
        assert read_all(connector, join(place, "a"), offset=7) == b""
        assert read_all(connector, join(place, "a"), offset=1000) == b""

    def test_chunks_are_at_most_one_mebibyte_and_never_empty(self, connector: Connector, place: str) -> None:
        self.put(connector, join(place, "a"), content(3 * 1024 * 1024, 7))
        with connector.read(join(place, "a")) as chunks:
            lengths = [len(chunk) for chunk in chunks]
        assert sum(lengths) == 3 * 1024 * 1024
        assert max(lengths) <= 1024 * 1024
        assert min(lengths) > 0

    def test_a_read_may_be_left_midway(self, connector: Connector, place: str) -> None:
        data = content(3 * self.part_size, 8)
        self.put(connector, join(place, "a"), data)
        for _ in range(3):
            with connector.read(join(place, "a")) as chunks:
                assert data.startswith(next(chunks))
        with pytest.raises(ZeroDivisionError), connector.read(join(place, "a")) as chunks:
            raise ZeroDivisionError
        assert read_all(connector, join(place, "a")) == data

    def test_two_readers_do_not_disturb_each_other(self, connector: Connector, place: str) -> None:
        data = content(self.part_size * 2, 9)
        self.put(connector, join(place, "a"), data)
        with connector.read(join(place, "a")) as one, connector.read(join(place, "a"), offset=10) as other:
            first = [next(one)]
            assert b"".join(other) == data[10:]
            assert b"".join([*first, *one]) == data

    def test_reading_changes_no_fingerprint(self, connector: Connector, place: str) -> None:
        before = self.put(connector, join(place, "a"))
        read_all(connector, join(place, "a"), offset=2)
        assert fingerprint(stat(connector, join(place, "a"))) == fingerprint(before)

    def test_reading_what_is_missing_is_not_found(self, connector: Connector, place: str) -> None:
        with refused(ErrorKind.NOT_FOUND):
            read_all(connector, join(place, "nothing"))

    def test_a_container_has_no_content(self, connector: Connector, place: str) -> None:
        with refused(ErrorKind.UNSUPPORTED, ErrorKind.NOT_FOUND):
            read_all(connector, place)

    # -- entries

    def test_a_write_gives_the_entry_as_it_is_seen_afterwards(self, connector: Connector, place: str) -> None:
        written = self.put(connector, join(place, "a"))
        assert written == stat(connector, join(place, "a"))
        assert (written.name, written.kind, written.size) == ("a", Kind.FILE, 7)

    def test_a_listing_gives_the_same_entry_as_a_look_at_the_name(self, connector: Connector, place: str) -> None:
        self.put(connector, join(place, "a"))
        connector.make_container(join(place, "box"), Facts())
        found = self.listed(connector, place, lambda found: set(found) == {"a", "box"})
        for name in ("a", "box"):
            seen = stat(connector, join(place, name))
            assert fingerprint(found[name]) == fingerprint(seen)
            assert found[name]._replace(accessed=None) == seen._replace(accessed=None)

    def test_looking_at_what_is_missing_gives_nothing(self, connector: Connector, place: str) -> None:
        assert connector.stat(join(place, "nothing")) is None
        assert connector.stat(join(place, "nothing/at/all")) is None

    def test_a_change_of_content_changes_the_fingerprint(self, connector: Connector, place: str) -> None:
        before = self.put(connector, join(place, "a"), b"one")
        after = self.put(connector, join(place, "a"), b"three")
        assert fingerprint(after) != fingerprint(before)

    def test_a_change_that_keeps_size_and_time_changes_the_tag(self, connector: Connector, place: str) -> None:
        facts = Facts(size=3, modified=1_000 * SECOND)
        before = connector.write(join(place, "a"), [b"one"], facts)
        needs(bool(before.tag), "the platform has no tags")
        after = connector.write(join(place, "a"), [b"two"], facts)
        assert after.tag != before.tag

    def test_a_fingerprint_is_stable(self, connector: Connector, place: str) -> None:
        self.put(connector, join(place, "a"))
        looks = {fingerprint(stat(connector, join(place, "a"))) for _ in range(3)}
        assert len(looks) == 1

    # -- listing

    def test_an_empty_container_lists_nothing(self, connector: Connector, place: str) -> None:
        assert list(connector.children(place)) == []

    def test_listing_what_is_missing_is_not_found(self, connector: Connector, place: str) -> None:
        with refused(ErrorKind.NOT_FOUND):
            list(connector.children(join(place, "nothing")))

    def test_listing_a_file_is_not_found(self, connector: Connector, place: str) -> None:
        self.put(connector, join(place, "a"))
        with refused(ErrorKind.NOT_FOUND):
            list(connector.children(join(place, "a")))

    def test_a_listing_gives_children_and_not_what_is_below_them(self, connector: Connector, place: str) -> None:
        connector.make_container(join(place, "box"), Facts())
        self.put(connector, join(place, "box/inside"))
        self.put(connector, join(place, "box.txt"))
        self.put(connector, join(place, "boxes"))
        assert self.names(connector, place, ["box", "box.txt", "boxes"]) == {"box", "box.txt", "boxes"}
        assert self.names(connector, join(place, "box"), ["inside"]) == {"inside"}

    def test_a_listing_shows_what_was_just_written_and_not_what_was_deleted(
        self, connector: Connector, place: str
    ) -> None:
        self.put(connector, join(place, "a"))
        self.put(connector, join(place, "b"))
        connector.delete(join(place, "a"))
        assert self.names(connector, place, ["b"]) == {"b"}

    def test_a_listing_of_several_pages_gives_each_entry_once(self, connector: Connector, place: str) -> None:
        wanted = {f"n{number:04}" for number in range(self.many)}
        for name in wanted:
            connector.write(join(place, name), [], Facts(size=0))
        assert self.names(connector, place, wanted) == wanted
        if connector.limits.lists_sorted:
            assert [entry.name for entry in connector.children(place)] == sorted(wanted)

    def test_a_listing_may_be_abandoned_midway(self, connector: Connector, place: str) -> None:
        for number in range(10):
            self.put(connector, join(place, f"n{number}"))
        wanted = {f"n{number}" for number in range(10)}
        self.names(connector, place, wanted)
        for _ in range(5):
            next(connector.children(place))
        assert self.names(connector, place, wanted) == wanted

    def test_a_listing_survives_the_deletion_of_what_it_gave(self, connector: Connector, place: str) -> None:
        wanted = {f"n{number}" for number in range(20)}
        for name in wanted:
            self.put(connector, join(place, name))
        self.names(connector, place, wanted)
        given = []
        for entry in connector.children(place):
            given.append(entry.name)
            connector.delete(join(place, entry.name))
        assert sorted(given) == sorted(wanted)

    # -- names

    @pytest.mark.parametrize("label", AWKWARD_NAMES)
    def test_an_awkward_name_is_kept_or_refused(self, connector: Connector, place: str, label: str) -> None:
        needs(label not in self.changed_names, "this server, not the platform, changes that name")
        self.check_name(connector, place, AWKWARD_NAMES[label])

    @pytest.mark.parametrize("label", BYTE_NAMES)
    def test_a_name_that_is_no_text_is_kept(self, connector: Connector, place: str, label: str) -> None:
        needs(self.names_are_bytes, "names are text on this platform")
        self.check_name(connector, place, from_bytes(BYTE_NAMES[label]))

    def check_name(self, connector: Connector, place: str, name: str) -> None:
        if not is_taken(name, connector.limits):
            with refused(ErrorKind.INVALID_NAME):
                self.put(connector, join(place, name))
            with refused(ErrorKind.INVALID_NAME):
                connector.make_container(join(place, name), Facts())
            assert list(connector.children(place)) == []
            return
        self.put(connector, join(place, name), b"awkward")
        connector.make_container(join(place, "box"), Facts())
        connector.make_container(join(place, f"box/{name}"), Facts())
        self.put(connector, join(place, f"box/{name}/{name}"), b"below")
        if not connector.limits.normalises_names:
            assert self.names(connector, place, [name, "box"]) == {name, "box"}
            assert self.names(connector, join(place, "box"), [name]) == {name}
        assert read_all(connector, join(place, name)) == b"awkward"
        assert read_all(connector, join(place, f"box/{name}/{name}")) == b"below"
        connector.delete(join(place, name))
        assert self.names(connector, place, ["box"]) == {"box"}

    def test_both_normal_forms_of_a_name_are_two_names(self, connector: Connector, place: str) -> None:
        needs(not connector.limits.normalises_names, "the platform normalises names")
        self.put(connector, join(place, "caf\u00e9"), b"composed")
        self.put(connector, join(place, "cafe\u0301"), b"decomposed")
        wanted = {"caf\u00e9", "cafe\u0301"}
        assert self.names(connector, place, wanted) == wanted
        assert read_all(connector, join(place, "caf\u00e9")) == b"composed"
        assert read_all(connector, join(place, "cafe\u0301")) == b"decomposed"

    def test_case_makes_a_name_only_where_the_platform_says_so(self, connector: Connector, place: str) -> None:
        self.put(connector, join(place, "Name"), b"upper")
        self.put(connector, join(place, "name"), b"lower")
        if connector.limits.case_sensitive:
            assert self.names(connector, place, ["Name", "name"]) == {"Name", "name"}
            assert read_all(connector, join(place, "Name")) == b"upper"
        else:
            found = self.listed(connector, place, lambda found: len(found) == 1)
            assert [name.lower() for name in found] == ["name"]
            assert read_all(connector, join(place, "NAME")) == b"lower"

    def test_a_name_longer_than_the_limit_is_refused(self, connector: Connector, place: str) -> None:
        with refused(ErrorKind.INVALID_NAME):
            self.put(connector, join(place, "n" * (connector.limits.max_name + 1)))
        assert list(connector.children(place)) == []

    def test_a_name_of_the_full_length_is_taken(self, connector: Connector, place: str) -> None:
        name = "n" * connector.limits.max_name
        if self.longest_name is not None:
            name = name[: self.longest_name]
        if connector.limits.max_path is not None:  # here, that is: other names are on the way
            name = name[: connector.limits.max_path - len(place) - len(self.above) - 1]
        self.put(connector, join(place, name))
        assert self.names(connector, place, [name]) == {name}

    def test_a_deep_path_is_reached(self, connector: Connector, place: str) -> None:
        path = place
        for _ in range(20):
            path = join(path, "deeper")
            connector.make_container(path, Facts())
        self.put(connector, join(path, "bottom"), b"deep")
        assert read_all(connector, join(path, "bottom")) == b"deep"

    def test_a_file_larger_than_the_limit_is_refused(self, connector: Connector, place: str) -> None:
        most = connector.limits.max_size
        needs(most is not None and most <= 64 * 1024 * 1024, "the limit is too far away")
        data = bytes((most or 0) + 1)
        for facts in (Facts(), Facts(size=len(data))):
            with refused(ErrorKind.TOO_LARGE):
                connector.write(join(place, "a"), slices(data, 100_000), facts)
        assert list(connector.children(place)) == []

    # -- a path that goes through a file

    def test_a_file_holds_nothing(self, connector: Connector, place: str) -> None:
        needs(not connector.limits.containers_implied, "containers are there by what is in them")
        self.put(connector, join(place, "file"))
        through = join(place, "file/inside")
        assert connector.stat(through) is None
        with refused(ErrorKind.NOT_FOUND):
            read_all(connector, through)
        with refused(ErrorKind.NOT_FOUND, ErrorKind.ALREADY_EXISTS):
            self.put(connector, through)
        with refused(ErrorKind.NOT_FOUND, ErrorKind.ALREADY_EXISTS):
            connector.make_container(through, Facts())
        connector.delete(through)
        assert read_all(connector, join(place, "file")) == b"content"

    def test_a_write_into_a_missing_container_is_not_found(self, connector: Connector, place: str) -> None:
        needs(not connector.limits.containers_implied, "containers are there by what is in them")
        with refused(ErrorKind.NOT_FOUND):
            self.put(connector, join(place, "missing/a"))
        assert connector.stat(join(place, "missing")) is None

    # -- overwriting and preconditions

    @pytest.mark.parametrize(("old", "new"), [(b"old", b"newer"), (b"longer", b"new"), (b"old", b"")])
    def test_a_write_replaces_the_whole_content(self, connector: Connector, place: str, old: bytes, new: bytes) -> None:
        self.put(connector, join(place, "a"), old)
        entry = self.put(connector, join(place, "a"), new)
        assert entry.size == len(new)
        assert read_all(connector, join(place, "a")) == new
        assert self.names(connector, place, ["a"]) == {"a"}

    def test_a_file_cannot_replace_a_container(self, connector: Connector, place: str) -> None:
        needs(not connector.limits.containers_implied, "containers are there by what is in them")
        connector.make_container(join(place, "box"), Facts())
        with refused(ErrorKind.ALREADY_EXISTS):
            self.put(connector, join(place, "box"))
        assert stat(connector, join(place, "box")).kind is Kind.CONTAINER

    def test_a_write_that_must_be_new_refuses_a_taken_name(self, connector: Connector, place: str) -> None:
        self.put(connector, join(place, "a"), b"new", ABSENT)
        with refused(ErrorKind.ALREADY_EXISTS):
            self.put(connector, join(place, "a"), b"newer", ABSENT)
        assert read_all(connector, join(place, "a")) == b"new"

    def test_a_write_over_a_known_entry_replaces_it(self, connector: Connector, place: str) -> None:
        seen = self.put(connector, join(place, "a"), b"old")
        self.put(connector, join(place, "a"), b"newer", Precondition(entry=seen))
        assert read_all(connector, join(place, "a")) == b"newer"

    def test_a_write_over_a_known_entry_refuses_another(self, connector: Connector, place: str) -> None:
        seen = self.put(connector, join(place, "a"), b"old")
        self.put(connector, join(place, "a"), b"other")
        with refused(ErrorKind.ALREADY_EXISTS):
            self.put(connector, join(place, "a"), b"newest", Precondition(entry=seen))
        assert read_all(connector, join(place, "a")) == b"other"

    def test_a_write_over_a_known_entry_refuses_when_it_is_gone(self, connector: Connector, place: str) -> None:
        seen = self.put(connector, join(place, "a"), b"old")
        connector.delete(join(place, "a"))
        with refused(ErrorKind.ALREADY_EXISTS):
            self.put(connector, join(place, "a"), b"newest", Precondition(entry=seen))
        assert connector.stat(join(place, "a")) is None

    def test_a_name_taken_while_the_content_comes_is_not_overwritten(self, connector: Connector, place: str) -> None:
        needs(self.atomic_precondition, "the platform checks before the content")

        def chunks() -> Iterator[bytes]:
            yield b"slow"
            self.put(connector, join(place, "a"), b"quick")

        with refused(ErrorKind.ALREADY_EXISTS):
            connector.write(join(place, "a"), chunks(), Facts(), when=ABSENT)
        assert read_all(connector, join(place, "a")) == b"quick"
        assert self.names(connector, place, ["a"]) == {"a"}

    def test_an_entry_changed_while_the_content_comes_is_not_overwritten(
        self, connector: Connector, place: str
    ) -> None:
        needs(self.atomic_precondition, "the platform checks before the content")
        seen = self.put(connector, join(place, "a"), b"old")

        def chunks() -> Iterator[bytes]:
            yield b"slow"
            self.put(connector, join(place, "a"), b"quick")

        with refused(ErrorKind.ALREADY_EXISTS):
            connector.write(join(place, "a"), chunks(), Facts(), when=Precondition(entry=seen))
        assert read_all(connector, join(place, "a")) == b"quick"

    # -- containers

    def test_a_container_is_made(self, connector: Connector, place: str) -> None:
        entry = connector.make_container(join(place, "box"), Facts())
        assert (entry.name, entry.kind) == ("box", Kind.CONTAINER)
        assert fingerprint(stat(connector, join(place, "box"))) == fingerprint(entry)

    def test_a_container_that_is_there_is_success_and_stays_as_it_is(self, connector: Connector, place: str) -> None:
        connector.make_container(join(place, "box"), Facts())
        self.put(connector, join(place, "box/inside"))
        assert connector.make_container(join(place, "box"), Facts()).kind is Kind.CONTAINER
        assert read_all(connector, join(place, "box/inside")) == b"content"

    def test_a_container_cannot_take_the_name_of_a_file(self, connector: Connector, place: str) -> None:
        self.put(connector, join(place, "a"))
        with refused(ErrorKind.ALREADY_EXISTS):
            connector.make_container(join(place, "a"), Facts())
        assert read_all(connector, join(place, "a")) == b"content"

    def test_a_container_in_a_missing_container_is_not_found(self, connector: Connector, place: str) -> None:
        needs(not connector.limits.containers_implied, "containers are there by what is in them")
        with refused(ErrorKind.NOT_FOUND):
            connector.make_container(join(place, "missing/box"), Facts())
        assert connector.stat(join(place, "missing")) is None

    # -- deleting

    def test_a_deleted_file_is_gone_and_deleting_it_again_is_success(self, connector: Connector, place: str) -> None:
        self.put(connector, join(place, "a"))
        connector.delete(join(place, "a"))
        assert connector.stat(join(place, "a")) is None
        connector.delete(join(place, "a"))
        connector.delete(join(place, "never/was"))

    def test_an_empty_container_is_deleted(self, connector: Connector, place: str) -> None:
        connector.make_container(join(place, "box"), Facts())
        connector.delete(join(place, "box"))
        assert connector.stat(join(place, "box")) is None

    def test_a_container_that_holds_something_is_not_deleted(self, connector: Connector, place: str) -> None:
        connector.make_container(join(place, "box"), Facts())
        self.put(connector, join(place, "box/inside"))
        with refused(ErrorKind.ALREADY_EXISTS):
            connector.delete(join(place, "box"))
        assert read_all(connector, join(place, "box/inside")) == b"content"

    def test_a_delete_with_the_entry_as_it_is_deletes(self, connector: Connector, place: str) -> None:
        seen = self.put(connector, join(place, "a"))
        connector.delete(join(place, "a"), expect=seen)
        assert connector.stat(join(place, "a")) is None
        connector.delete(join(place, "a"), expect=seen)

    def test_a_delete_with_an_entry_that_changed_deletes_nothing(self, connector: Connector, place: str) -> None:
        seen = self.put(connector, join(place, "a"))
        self.put(connector, join(place, "a"), b"changed since")
        with refused(ErrorKind.CHANGED_DURING_COPY):
            connector.delete(join(place, "a"), expect=seen)
        assert read_all(connector, join(place, "a")) == b"changed since"

    def test_a_delete_that_expects_a_file_deletes_no_container(self, connector: Connector, place: str) -> None:
        seen = self.put(connector, join(place, "a"), b"")
        connector.delete(join(place, "a"))
        connector.make_container(join(place, "a"), Facts())
        with refused(ErrorKind.CHANGED_DURING_COPY):
            connector.delete(join(place, "a"), expect=seen)
        assert stat(connector, join(place, "a")).kind is Kind.CONTAINER

    # -- facts

    @pytest.mark.parametrize("label", MOMENTS)
    def test_a_time_given_with_a_write_is_kept_to_the_declared_precision(
        self, connector: Connector, place: str, label: str
    ) -> None:
        needs(self.keeps_times, "the platform sets times itself")
        entry = connector.write(join(place, "a"), [b"x"], Facts(size=1, modified=MOMENTS[label]))
        assert_about(entry.modified, MOMENTS[label], connector.limits)
        assert stat(connector, join(place, "a")) == entry

    @pytest.mark.parametrize("label", MOMENTS)
    def test_a_stamp_sets_a_time_to_the_declared_precision(self, connector: Connector, place: str, label: str) -> None:
        stamps = able(connector, Stamps)
        self.put(connector, join(place, "a"))
        entry = stamps.stamp(join(place, "a"), Facts(modified=MOMENTS[label]))
        assert_about(entry.modified, MOMENTS[label], connector.limits)
        assert stat(connector, join(place, "a")) == entry
        assert read_all(connector, join(place, "a")) == b"content"

    def test_a_container_can_be_stamped(self, connector: Connector, place: str) -> None:
        stamps = able(connector, Stamps)
        needs(self.keeps_container_times, "containers have no times of their own")
        connector.make_container(join(place, "box"), Facts())
        self.put(connector, join(place, "box/inside"))
        entry = stamps.stamp(join(place, "box"), Facts(modified=MOMENTS["exact"]))
        assert_about(entry.modified, MOMENTS["exact"], connector.limits)
        assert fingerprint(stat(connector, join(place, "box"))) == fingerprint(entry)

    def test_a_stamp_leaves_what_it_is_not_told(self, connector: Connector, place: str) -> None:
        stamps = able(connector, Stamps)
        before = self.put(connector, join(place, "a"))
        after = stamps.stamp(join(place, "a"), Facts())
        assert (after.modified, after.mode) == (before.modified, before.mode)
        assert (after.owner, after.group) == (before.owner, before.group)

    def test_a_stamp_of_what_is_missing_is_not_found(self, connector: Connector, place: str) -> None:
        stamps = able(connector, Stamps)
        with refused(ErrorKind.NOT_FOUND):
            stamps.stamp(join(place, "nothing"), Facts(modified=0))
        assert connector.stat(join(place, "nothing")) is None

    @pytest.mark.parametrize("mode", [0o644, 0o600, 0o755, 0o400])
    def test_a_mode_is_kept(self, connector: Connector, place: str, mode: int) -> None:
        needs(connector.limits.permissions, "the platform has no modes")
        entry = connector.write(join(place, "a"), [b"x"], Facts(size=1, mode=mode))
        assert entry.mode == mode
        assert stat(connector, join(place, "a")).mode == mode
        if isinstance(connector, Stamps):
            assert connector.stamp(join(place, "a"), Facts(mode=0o640)).mode == 0o640

    def test_a_file_that_nobody_may_write_can_be_replaced_and_deleted(self, connector: Connector, place: str) -> None:
        needs(connector.limits.permissions, "the platform has no modes")
        connector.write(join(place, "a"), [b"x"], Facts(size=1, mode=0o400))
        self.put(connector, join(place, "a"), b"new")
        connector.write(join(place, "a"), [b"x"], Facts(size=1, mode=0o400))
        connector.delete(join(place, "a"))
        assert connector.stat(join(place, "a")) is None

    # -- renaming

    def test_a_renamed_file_keeps_content_and_facts(self, connector: Connector, place: str) -> None:
        moves = able(connector, Moves)
        before = self.put(connector, join(place, "a"))
        entry = moves.rename(join(place, "a"), join(place, "b"))
        assert (entry.name, entry.size, entry.modified) == ("b", before.size, before.modified)
        assert connector.stat(join(place, "a")) is None
        assert read_all(connector, join(place, "b")) == b"content"
        assert self.names(connector, place, ["b"]) == {"b"}

    def test_a_renamed_container_keeps_what_it_holds(self, connector: Connector, place: str) -> None:
        moves = able(connector, Moves)
        connector.make_container(join(place, "box"), Facts())
        connector.make_container(join(place, "other"), Facts())
        self.put(connector, join(place, "box/inside"))
        moves.rename(join(place, "box"), join(place, "other/box"))
        assert connector.stat(join(place, "box")) is None
        assert read_all(connector, join(place, "other/box/inside")) == b"content"

    @pytest.mark.parametrize("taken", ["file", "box"])
    def test_a_rename_replaces_nothing(self, connector: Connector, place: str, taken: str) -> None:
        moves = able(connector, Moves)
        self.put(connector, join(place, "a"))
        self.put(connector, join(place, "file"), b"old")
        connector.make_container(join(place, "box"), Facts())
        with refused(ErrorKind.ALREADY_EXISTS):
            moves.rename(join(place, "a"), join(place, taken))
        with refused(ErrorKind.ALREADY_EXISTS):
            moves.rename(join(place, "a"), join(place, "a"))
        assert read_all(connector, join(place, "a")) == b"content"
        assert read_all(connector, join(place, "file")) == b"old"

    def test_a_container_renamed_onto_an_empty_one_replaces_nothing(self, connector: Connector, place: str) -> None:
        moves = able(connector, Moves)
        connector.make_container(join(place, "box"), Facts())
        connector.make_container(join(place, "empty"), Facts())
        with refused(ErrorKind.ALREADY_EXISTS):
            moves.rename(join(place, "box"), join(place, "empty"))
        assert stat(connector, join(place, "box")).kind is Kind.CONTAINER

    def test_a_rename_of_what_is_missing_is_not_found(self, connector: Connector, place: str) -> None:
        moves = able(connector, Moves)
        with refused(ErrorKind.NOT_FOUND):
            moves.rename(join(place, "nothing"), join(place, "b"))
        self.put(connector, join(place, "a"))
        with refused(ErrorKind.NOT_FOUND):
            moves.rename(join(place, "a"), join(place, "missing/a"))
        assert read_all(connector, join(place, "a")) == b"content"

    def test_a_container_cannot_move_into_itself(self, connector: Connector, place: str) -> None:
        moves = able(connector, Moves)
        connector.make_container(join(place, "box"), Facts())
        with refused():
            moves.rename(join(place, "box"), join(place, "box/inside"))
        assert stat(connector, join(place, "box")).kind is Kind.CONTAINER

    # -- symlinks and hard links

    @pytest.mark.parametrize("target", ["a", "../up", "/absolute/path", "no such thing", "caf\u00e9 \u202e"])
    def test_the_text_of_a_symlink_is_kept_whatever_it_names(
        self, connector: Connector, place: str, target: str
    ) -> None:
        links = symlinks(connector)
        entry = links.make_symlink(join(place, "link"), target, Facts(), when=ABSENT)
        assert (entry.kind, entry.target) == (Kind.SYMLINK, target)
        seen = stat(connector, join(place, "link"))
        assert (seen.kind, seen.target) == (Kind.SYMLINK, target)
        found = self.listed(connector, place, lambda found: "link" in found)
        assert (found["link"].kind, found["link"].target) == (Kind.SYMLINK, target)

    def test_a_symlink_is_never_followed(self, connector: Connector, place: str) -> None:
        links = symlinks(connector)
        connector.make_container(join(place, "box"), Facts())
        self.put(connector, join(place, "box/inside"))
        links.make_symlink(join(place, "to-box"), "box", Facts())
        links.make_symlink(join(place, "to-file"), "box/inside", Facts())
        through = join(place, "to-box/inside")
        with refused():
            list(connector.children(join(place, "to-box")))
        with refused():
            read_all(connector, join(place, "to-file"))
        with refused():
            read_all(connector, through)
        with refused():
            self.put(connector, join(place, "to-box/new"))
        with refused():
            connector.make_container(join(place, "to-box/new"), Facts())
        assert quiet(lambda: connector.stat(through)) is None
        quiet(lambda: connector.delete(through))
        assert self.names(connector, join(place, "box"), ["inside"]) == {"inside"}

    def test_a_write_replaces_a_symlink_and_not_what_it_names(self, connector: Connector, place: str) -> None:
        links = symlinks(connector)
        self.put(connector, join(place, "a"), b"named")
        seen = links.make_symlink(join(place, "link"), "a", Facts())
        self.put(connector, join(place, "link"), b"new", Precondition(entry=seen))
        assert read_all(connector, join(place, "a")) == b"named"
        assert stat(connector, join(place, "link")).kind is Kind.FILE

    def test_a_deleted_symlink_leaves_what_it_names(self, connector: Connector, place: str) -> None:
        links = symlinks(connector)
        connector.make_container(join(place, "box"), Facts())
        self.put(connector, join(place, "box/inside"))
        seen = links.make_symlink(join(place, "link"), "box", Facts())
        connector.delete(join(place, "link"), expect=seen)
        assert connector.stat(join(place, "link")) is None
        assert read_all(connector, join(place, "box/inside")) == b"content"

    def test_a_container_cannot_take_the_name_of_a_symlink(self, connector: Connector, place: str) -> None:
        links = symlinks(connector)
        connector.make_container(join(place, "box"), Facts())
        links.make_symlink(join(place, "link"), "box", Facts())
        with refused(ErrorKind.ALREADY_EXISTS):
            connector.make_container(join(place, "link"), Facts())

    def test_a_symlink_that_must_be_new_refuses_a_taken_name(self, connector: Connector, place: str) -> None:
        links = symlinks(connector)
        self.put(connector, join(place, "a"))
        with refused(ErrorKind.ALREADY_EXISTS):
            links.make_symlink(join(place, "a"), "b", Facts(), when=ABSENT)
        assert read_all(connector, join(place, "a")) == b"content"

    def test_a_symlink_can_replace_a_known_entry(self, connector: Connector, place: str) -> None:
        links = symlinks(connector)
        seen = self.put(connector, join(place, "a"))
        links.make_symlink(join(place, "a"), "b", Facts(), when=Precondition(entry=seen))
        assert stat(connector, join(place, "a")).target == "b"
        assert self.names(connector, place, ["a"]) == {"a"}

    def test_a_symlink_keeps_its_time(self, connector: Connector, place: str) -> None:
        links = symlinks(connector)
        needs(self.keeps_times, "the platform sets times itself")
        entry = links.make_symlink(join(place, "link"), "a", Facts(modified=MOMENTS["exact"]))
        assert_about(entry.modified, MOMENTS["exact"], connector.limits)

    def test_two_hard_links_are_one_file(self, connector: Connector, place: str) -> None:
        self.put(connector, join(place, "a"))
        entry = hard_link(connector, join(place, "b"), join(place, "a"))
        one, other = (stat(connector, join(place, name)) for name in ("a", "b"))
        assert entry.name == "b"
        assert one.links == other.links == 2
        assert one.link_id is not None
        assert one.link_id == other.link_id
        assert read_all(connector, join(place, "b")) == b"content"

    def test_a_file_with_one_name_has_no_link_id(self, connector: Connector, place: str) -> None:
        entry = self.put(connector, join(place, "a"))
        assert (entry.links, entry.link_id) == (1, None)

    def test_a_write_over_one_hard_link_leaves_the_other(self, connector: Connector, place: str) -> None:
        self.put(connector, join(place, "a"), b"shared")
        hard_link(connector, join(place, "b"), join(place, "a"))
        self.put(connector, join(place, "b"), b"apart")
        assert read_all(connector, join(place, "a")) == b"shared"
        assert stat(connector, join(place, "a")).links == 1

    def test_a_deleted_hard_link_leaves_the_other(self, connector: Connector, place: str) -> None:
        self.put(connector, join(place, "a"))
        hard_link(connector, join(place, "b"), join(place, "a"))
        connector.delete(join(place, "a"))
        assert read_all(connector, join(place, "b")) == b"content"

    def test_a_hard_link_that_must_be_new_refuses_a_taken_name(self, connector: Connector, place: str) -> None:
        self.put(connector, join(place, "a"))
        self.put(connector, join(place, "b"), b"old")
        with refused(ErrorKind.ALREADY_EXISTS):
            hard_link(connector, join(place, "b"), join(place, "a"))
        assert read_all(connector, join(place, "b")) == b"old"

    def test_a_hard_link_to_what_is_missing_is_not_found(self, connector: Connector, place: str) -> None:
        with refused(ErrorKind.NOT_FOUND):
            hard_link(connector, join(place, "b"), join(place, "nothing"))
        assert connector.stat(join(place, "b")) is None

    def test_a_rename_onto_another_name_of_the_same_file_is_refused(self, connector: Connector, place: str) -> None:
        moves = able(connector, Moves)
        self.put(connector, join(place, "a"))
        hard_link(connector, join(place, "b"), join(place, "a"))
        with refused(ErrorKind.ALREADY_EXISTS):
            moves.rename(join(place, "a"), join(place, "b"))
        assert self.names(connector, place, ["a", "b"]) == {"a", "b"}

    # -- hashes

    @pytest.mark.parametrize("size", [0, 1, 7, 1024 * 1024 + 1])
    def test_a_content_hash_is_that_of_the_bytes(self, connector: Connector, place: str, size: int) -> None:
        hashes = able(connector, Hashes)
        data = content(size, 1)
        self.put(connector, join(place, "a"), data)
        assert hashes.content_hash(join(place, "a")) == hashing.digest(data)

    def test_a_hash_in_an_entry_is_that_of_the_bytes(self, connector: Connector, place: str) -> None:
        entry = self.put(connector, join(place, "a"))
        assert entry.hash in (None, hashing.digest(b"content"))

    def test_a_hash_of_what_is_missing_is_not_found(self, connector: Connector, place: str) -> None:
        hashes = able(connector, Hashes)
        with refused(ErrorKind.NOT_FOUND):
            hashes.content_hash(join(place, "nothing"))

    # -- several at once

    def test_of_two_writers_of_one_name_one_wins_with_its_whole_content(self, connector: Connector, place: str) -> None:
        barrier = threading.Barrier(2, timeout=30)
        contents = [bytes([letter]) * (self.part_size // 2) for letter in b"ab"]

        def write(data: bytes) -> object:
            def chunks() -> Iterator[bytes]:
                yield data
                barrier.wait()
                yield data

            return quiet(lambda: connector.write(join(place, "a"), chunks(), Facts(size=2 * len(data))))

        results = together([partial(write, data) for data in contents])
        assert any(isinstance(result, Entry) for result in results)
        assert read_all(connector, join(place, "a")) in [2 * data for data in contents]
        assert self.names(connector, place, ["a"]) == {"a"}

    def test_of_eight_writers_that_must_be_new_one_wins(self, connector: Connector, place: str) -> None:
        needs(self.atomic_precondition, "the platform checks before the content")

        def write(number: int) -> object:
            data = b"%d" % number * 10_000
            outcome = quiet(lambda: self.put(connector, join(place, "a"), data, ABSENT))
            return number if isinstance(outcome, Entry) else outcome

        results = together([partial(write, number) for number in range(8)])
        winners = [result for result in results if isinstance(result, int)]
        assert len(winners) == 1
        assert {error.kind for error in results if isinstance(error, TallyportError)} == {ErrorKind.ALREADY_EXISTS}
        assert read_all(connector, join(place, "a")) == b"%d" % winners[0] * 10_000

    def test_writers_of_different_names_do_not_disturb_each_other(self, connector: Connector, place: str) -> None:
        def write(number: int) -> None:
            for turn in range(10):
                self.put(connector, join(place, f"{number}-{turn}"), b"%d" % number * (turn * 1000))

        together([partial(write, number) for number in range(8)])
        wanted = {f"{number}-{turn}" for number in range(8) for turn in range(10)}
        assert self.names(connector, place, wanted) == wanted
        assert read_all(connector, join(place, "7-9")) == b"7" * 9000

    def test_one_container_made_by_eight_at_once_is_one_container(self, connector: Connector, place: str) -> None:
        made = together([lambda: connector.make_container(join(place, "box"), Facts())] * 8)
        assert {entry.kind for entry in made} == {Kind.CONTAINER}
        assert self.names(connector, place, ["box"]) == {"box"}

    def test_a_reader_during_a_replacement_sees_no_gap_and_no_mix(self, connector: Connector, place: str) -> None:
        needs(connector.limits.atomic_replace, "the platform cannot replace in one step")
        contents = [bytes([letter]) * 50_000 for letter in b"ab"]
        self.put(connector, join(place, "a"), contents[0])
        is_over = threading.Event()
        seen: set[bytes] = set()

        def poll() -> None:
            while not is_over.is_set():
                assert connector.stat(join(place, "a")) is not None
                outcome = quiet(lambda: read_all(connector, join(place, "a")))
                if isinstance(outcome, TallyportError):  # rather no content than a mix
                    assert outcome.kind is ErrorKind.CHANGED_DURING_COPY
                    continue
                assert outcome is not None, "there was nothing for a moment"
                seen.add(outcome)

        def replace() -> None:
            try:
                for turn in range(40):
                    outcome = quiet(partial(self.put, connector, join(place, "a"), contents[turn % 2]))
                    if not isinstance(outcome, Entry):
                        assert outcome is not None, "the container vanished"
                        assert self.locks_open_files, outcome.message
                        assert outcome.kind is ErrorKind.LOCKED, outcome.message
            finally:
                is_over.set()

        together([poll, poll, replace])
        assert seen <= set(contents)

    # -- temporaries

    def test_a_sweep_leaves_every_item(self, connector: Connector, place: str) -> None:
        sweeps = able(connector, Sweeps)
        connector.make_container(join(place, "box"), Facts())
        kept = {".hidden", "a.tmp", ".a.part", "~a", "box"}
        for name in kept - {"box"}:
            self.put(connector, join(place, name))
        assert sweeps.sweep(place, uuid.uuid4().hex) == 0
        assert self.names(connector, place, kept) == kept

    def test_a_temporary_is_not_listed_and_is_swept_by_its_own_token_alone(
        self, connector: Connector, place: str
    ) -> None:
        sweeps = able(connector, Sweeps)
        mine, other = uuid.uuid4().hex, uuid.uuid4().hex
        self.put(connector, join(place, "a"))
        self.abandon(connector, place, mine)
        assert self.names(connector, place, ["a"]) == {"a"}
        assert sweeps.sweep(place, other) == 0
        assert sweeps.sweep(place, mine) == 1
        assert sweeps.sweep(place, mine) == 0
        assert self.names(connector, place, ["a"]) == {"a"}

    def test_sweeping_what_is_missing_finds_nothing(self, connector: Connector, place: str) -> None:
        sweeps = able(connector, Sweeps)
        assert quiet(lambda: sweeps.sweep(join(place, "nothing"), uuid.uuid4().hex)) in (0, None)

    # -- the end

    def test_closing_twice_is_harmless(self, connector: Connector) -> None:
        connector.close()
        connector.close()
