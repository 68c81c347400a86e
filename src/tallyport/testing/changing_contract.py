"""The contract of whatever changes what stands there, alone and several at once."""

import threading
import uuid
from collections.abc import Iterator
from functools import partial

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
from tallyport.domain.paths import join
from tallyport.testing.contract_ground import ContractGround
from tallyport.testing.contract_words import (
    ABSENT,
    SECOND,
    able,
    assert_about,
    hard_link,
    needs,
    quiet,
    refused,
    stat,
    symlinks,
    together,
)
from tallyport.testing.worlds import content, read_all

MOMENTS = {
    "exact": 1_234_567_890_123_456_789,
    "just before a second": 1_600_000_000_999_999_999,
    "odd second": 1_600_000_001 * SECOND,
    "after 2038": 4_102_444_800 * SECOND,
}


class ChangingContract(ContractGround):
    """Nothing is replaced, moved or removed but what was meant."""

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
        needs(self.one_creator, "this server, not the platform, looks and then moves")

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
