"""The contract of content that is written and read, of entries and listings."""

from collections.abc import Iterator

import pytest

from tallyport.connectors import hashing
from tallyport.connectors.protocol import (
    Connector,
    Facts,
)
from tallyport.domain.entries import Entry, Kind, fingerprint
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import join
from tallyport.testing.contract_ground import ContractGround
from tallyport.testing.contract_words import (
    SECOND,
    breaking,
    needs,
    quiet,
    refused,
    slices,
    stat,
)
from tallyport.testing.worlds import content, read_all


class ReadingContract(ContractGround):
    """What is stored is seen, listed and read as it is."""

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
