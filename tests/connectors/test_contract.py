"""The contract holds for the memory connector, plain and as awkward as it can be, and through every layer."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import pytest

from tallyport.connectors.layers.limited import Limited
from tallyport.connectors.layers.measured import Measured
from tallyport.connectors.layers.retrying import Retrying
from tallyport.connectors.layers.throttled import Bucket, Throttled
from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import PLAIN, Settings
from tallyport.connectors.protocol import Connector, Facts, Precondition
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.testing.connector_contract import ConnectorContract
from tallyport.testing.version_contract import VersionContract


class TestMemory(ConnectorContract):
    names_are_bytes = True

    @pytest.fixture
    def connector(self) -> Connector:
        return Memory()

    def abandon(self, connector: Connector, path: str, token: str) -> None:
        assert isinstance(connector, Memory)
        connector.leave_temporary(path, token)


class TestMemoryLikeAnOldShare(ConnectorContract):
    """Case folds, times are even seconds, names are short and strict, files are small."""

    @pytest.fixture
    def connector(self) -> Connector:
        return Memory(
            Settings(
                case_insensitive=True,
                time_precision=2_000_000_000,
                forbidden_characters='\\:*?"<>|\n\r\t\x1b\x7f',
                forbidden_endings=". ",
                max_name=200,
                max_size=4_000_000_000,
                symlinks=False,
                hard_links=False,
                permissions=False,
            )
        )


class TestMemoryLikeAnObjectStore(ConnectorContract):
    """Listings lag, hashes come with the entry; nothing can be renamed, stamped or linked."""

    looks = 30

    @pytest.fixture
    def connector(self) -> Connector:
        return Memory(
            Settings(
                lag=9,
                free_hashes=True,
                max_size=4 * 1024 * 1024,
                stamps=False,
                moves=False,
                hashes=False,
                symlinks=False,
                hard_links=False,
                sweeps=False,
            )
        )


class TestPlainMemory(ConnectorContract):
    """Only what every platform can do."""

    @pytest.fixture
    def connector(self) -> Connector:
        return Memory(PLAIN)


class TestMemoryBelowItsRoot(ConnectorContract):
    """A job's path: the root of the connector is a container of the tree."""

    names_are_bytes = True

    @pytest.fixture
    def connector(self) -> Connector:
        return Memory(Settings(), "deep/inside", make=True)


class TestMemoryInAllLayers(ConnectorContract):
    """Layers change nothing that the contract can see."""

    names_are_bytes = True

    @pytest.fixture
    def connector(self) -> Connector:
        return Retrying(Throttled(Limited(Measured(Memory(Settings(glimpses=True))), 3), Bucket(None)))


class TestMemoryThatKeepsVersions(VersionContract):
    """Earlier contents, through every layer."""

    @pytest.fixture(params=[False, True], ids=["whole", "glimpsed"])
    def connector(self, request: pytest.FixtureRequest) -> Connector:
        settings = Settings(versions=True, glimpses=request.param)
        return Retrying(Throttled(Limited(Measured(Memory(settings)), 3), Bucket(None)))


# -- the contract notices: each of these is wrong in one way, and the test beside it says so

ANYTHING = Precondition()


class Eager(Memory):
    """Stores what came so far, chunk by chunk."""

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when=ANYTHING) -> Entry:
        so_far = b""
        super().write(path, [b""], Facts(), when=when)
        for chunk in content:
            so_far += chunk
            super().write(path, [so_far], Facts())
        return super().write(path, [so_far], facts)


class Hasty(Memory):
    """Checks before the content comes, and not when it is complete."""

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when=ANYTHING) -> Entry:
        if when.absent and self.stat(path) is not None:
            raise TallyportError(ErrorKind.ALREADY_EXISTS, "the name is taken")
        return super().write(path, content, facts)


class Careless(Memory):
    """Deletes whatever is there."""

    def delete(self, path: str, *, expect: Entry | None = None) -> None:
        super().delete(path)


class Forgetful(Memory):
    """Leaves the last entry out of a listing."""

    def children(self, path: str) -> Iterator[Entry]:
        return iter(list(super().children(path))[:-1])


class Repeating(Memory):
    """Gives an entry on two pages."""

    def children(self, path: str) -> Iterator[Entry]:
        entries = list(super().children(path))
        return itertools.chain(entries, entries[:1])


class Mute(Memory):
    """Gives an empty listing for what is missing."""

    def children(self, path: str) -> Iterator[Entry]:
        return super().children(path) if self.stat(path) else iter(())


class Replacing(Memory):
    """Renames over what is there."""

    def rename(self, path: str, to: str) -> Entry:
        if path != to:
            self.delete(to)
        return super().rename(path, to)


class Rounding(Memory):
    """Keeps whole seconds and declares nanoseconds."""

    def stamp(self, path: str, facts: Facts) -> Entry:
        whole = None if facts.modified is None else facts.modified // 10**9 * 10**9
        return super().stamp(path, facts._replace(modified=whole))


class Normalising(Memory):
    """Changes names without saying so."""

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when=ANYTHING) -> Entry:
        return super().write(path.strip(" "), content, facts, when=when)


class Unsafe(Memory):
    """Lets an error of its own library out."""

    def read(self, path: str, *, offset: int = 0, length: int | None = None):
        if self.stat(path) is None:
            raise KeyError(path)
        return super().read(path, offset=offset, length=length)


class Gapped(Memory):
    """Removes the old before it stores the new."""

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when=ANYTHING) -> Entry:
        data = list(content)
        self.delete(path)
        for _ in range(100):
            self.stat("")
        return super().write(path, data, facts)


class Sweeping(Memory):
    """Sweeps whatever looks unfinished."""

    def sweep(self, path: str, token: str) -> int:
        for entry in self.children(path):
            if entry.name.endswith(".tmp"):
                self.delete(f"{path}/{entry.name}")
        return super().sweep(path, token)


class Trusting(Memory):
    """Gives the hash it was told."""

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when=ANYTHING) -> Entry:
        return super().write(path, content, facts._replace(hash=None), when=when)._replace(hash=facts.hash)


@pytest.mark.parametrize(
    ("wrong", "test"),
    [
        (Eager, "test_nothing_of_a_write_is_seen_before_it_is_complete"),
        (Eager, "test_the_old_content_is_read_until_the_new_is_complete"),
        (Eager, "test_a_source_that_fails_midway_leaves_the_old_content"),
        (Hasty, "test_a_name_taken_while_the_content_comes_is_not_overwritten"),
        (Hasty, "test_a_write_over_a_known_entry_refuses_another"),
        (Careless, "test_a_delete_with_an_entry_that_changed_deletes_nothing"),
        (Forgetful, "test_a_listing_of_several_pages_gives_each_entry_once"),
        (Repeating, "test_a_listing_of_several_pages_gives_each_entry_once"),
        (Mute, "test_listing_what_is_missing_is_not_found"),
        (Replacing, "test_a_rename_onto_another_name_of_the_same_file_is_refused"),
        (Replacing, "test_a_container_renamed_onto_an_empty_one_replaces_nothing"),
        (Rounding, "test_a_container_can_be_stamped"),
        (Unsafe, "test_reading_what_is_missing_is_not_found"),
        (Gapped, "test_a_reader_during_a_replacement_sees_no_gap_and_no_mix"),
        (Sweeping, "test_a_sweep_leaves_every_item"),
        (Trusting, "test_a_hash_that_was_announced_wrongly_is_never_believed"),
    ],
)
def test_a_connector_that_breaks_the_contract_is_caught(wrong: type[Memory], test: str) -> None:
    connector = wrong()
    Memory.make_container(connector, "place", Facts())
    with pytest.raises((AssertionError, pytest.fail.Exception, KeyError)):
        getattr(TestMemory(), test)(connector, "place")


def test_a_connector_that_changes_names_is_caught() -> None:
    connector = Normalising()
    connector.make_container("place", Facts())
    with pytest.raises((AssertionError, TallyportError)):
        TestMemory().test_an_awkward_name_is_kept_or_refused(connector, "place", "trailing space")


def test_every_test_of_the_contract_is_a_sentence_of_its_own() -> None:
    names = [name for room in ConnectorContract.__mro__ for name in vars(room) if name.startswith("test_")]
    assert len(names) == len(set(names)), "one test hides another"
    assert len(names) > 60
    assert all(name.count("_") >= 4 for name in names)
