"""The contract of small files that go together: what comes of each is what comes of it alone."""

from collections.abc import Callable, Iterable, Iterator
from typing import cast

import pytest

from tallyport.connectors import hashing
from tallyport.connectors.bunches import read_each, read_many, write_each, write_many
from tallyport.connectors.protocol import Connector, Facts, Precondition, SmallRead, SmallWrite
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import join
from tallyport.testing.contract_ground import ContractGround
from tallyport.testing.contract_words import ABSENT, SECOND, stat
from tallyport.testing.worlds import content, read_all

SIZES = (0, 1, 1000, 65_535, 65_536, 128 * 1024)
FEW = 12  # items of a bunch that is large enough to have several under way

Reading = Callable[[Connector, Iterable[SmallRead | None]], Iterator[tuple[SmallRead, bytes | TallyportError] | None]]
Writing = Callable[[Connector, Iterable[SmallWrite | None]], Iterator[tuple[SmallWrite, Entry | TallyportError] | None]]


def small(path: str, data: bytes, *, when: Precondition = ABSENT, facts: Facts | None = None) -> SmallWrite:
    """Make one file to be written, known by its path."""
    announced = facts or Facts(len(data), 1_600_000_000 * SECOND, hash=hashing.digest(data))
    return SmallWrite(path, data, announced, when, path)


def written(
    connector: Connector, writes: Iterable[SmallWrite | None], way: Writing = write_many
) -> dict[str, Entry | TallyportError]:
    """Write a bunch; gives what came of each by its path, once."""
    found: dict[str, Entry | TallyportError] = {}
    for one in way(connector, writes):
        assert one is not None, "nobody has to wait"
        assert one[0].mark not in found, "something came of one file twice"
        found[one[0].mark] = one[1]
    return found


def came(
    connector: Connector, reads: Iterable[SmallRead | None], way: Reading = read_many
) -> dict[str, bytes | TallyportError]:
    """Read a bunch; gives what came of each by its path, once."""
    found: dict[str, bytes | TallyportError] = {}
    for one in way(connector, reads):
        assert one is not None, "nobody has to wait"
        assert one[0].mark not in found, "something came of one file twice"
        found[one[0].mark] = one[1]
    return found


def kind_of(outcome: object) -> ErrorKind | None:
    return outcome.kind if isinstance(outcome, TallyportError) else None


class BunchContract(ContractGround):
    """What a connector keeps when small files go together, by a way of its own or one by one."""

    def filled(self, connector: Connector, place: str, count: int = FEW) -> list[SmallRead]:
        """Write files one by one; gives them as they are read."""
        paths = [join(place, f"n{number:03}") for number in range(count)]
        return [
            SmallRead(path, self.put(connector, path, content(10 + number, number)), path)
            for number, path in enumerate(paths)
        ]

    def test_a_bunch_of_nothing_is_nothing(self, connector: Connector) -> None:
        assert written(connector, ()) == {}
        assert came(connector, ()) == {}

    def test_files_written_together_are_as_if_written_alone(self, connector: Connector, place: str) -> None:
        for box in ("together", "alone"):
            connector.make_container(join(place, box), Facts())

        def all_in(box: str) -> list[SmallWrite]:
            return [small(join(join(place, box), f"n{size}"), content(size, size % 251)) for size in SIZES]

        written(connector, all_in("alone"), write_each)
        for path, entry in written(connector, all_in("together")).items():
            assert entry == stat(connector, path)
            alone = stat(connector, path.replace("together", "alone"))
            assert isinstance(entry, Entry)
            assert (entry.kind, entry.size, entry.hash) == (alone.kind, alone.size, alone.hash)
            if self.keeps_times:
                assert entry.modified == alone.modified
            assert read_all(connector, path) == content(entry.size, entry.size % 251)
        names = {f"n{size}" for size in SIZES}
        assert self.names(connector, join(place, "together"), names) == names

    def test_files_read_together_have_the_content_of_their_entries(self, connector: Connector, place: str) -> None:
        reads = []
        for size in SIZES:
            path = join(place, f"n{size}")
            reads.append(SmallRead(path, self.put(connector, path, content(size, size % 251)), path))
        assert came(connector, reads) == {one.path: content(one.entry.size, one.entry.size % 251) for one in reads}

    def test_files_of_several_containers_go_in_one_bunch(self, connector: Connector, place: str) -> None:
        for box in ("a", "b"):
            connector.make_container(join(place, box), Facts())
        paths = [join(join(place, "ab"[number % 2]), f"n{number}") for number in range(FEW)]
        found = written(connector, [small(path, path.encode()) for path in paths])
        assert set(found) == set(paths)
        reads = [SmallRead(path, cast(Entry, found[path]), path) for path in paths]
        assert came(connector, reads) == {path: path.encode() for path in paths}

    # -- what fails, fails alone

    def test_conditions_hold_for_each_file_by_itself(self, connector: Connector, place: str) -> None:
        taken, known, other = (join(place, name) for name in ("taken", "known", "other"))
        self.put(connector, taken, b"old")
        seen = self.put(connector, known, b"old")
        before = self.put(connector, other, b"old")
        self.put(connector, other, b"somebody's")
        found = written(
            connector,
            [
                small(join(place, "first"), b"new"),
                small(taken, b"new"),
                small(known, b"newer", when=Precondition(entry=seen)),
                small(other, b"new", when=Precondition(entry=before)),
                small(join(place, "last"), b"new"),
            ],
        )
        kinds = {path.rpartition("/")[2]: kind_of(outcome) for path, outcome in found.items()}
        refused = ErrorKind.ALREADY_EXISTS
        assert kinds == {"first": None, "taken": refused, "known": None, "other": refused, "last": None}
        stored = {name: read_all(connector, join(place, name)) for name in kinds}
        assert stored == {"first": b"new", "taken": b"old", "known": b"newer", "other": b"somebody's", "last": b"new"}

    @pytest.mark.parametrize("number", [0, FEW // 2, FEW - 1])
    @pytest.mark.parametrize("facts", [Facts(2), Facts(3, hash=hashing.digest(b"other"))], ids=["size", "hash"])
    def test_content_that_is_not_as_announced_is_refused_as_alone_and_hurts_nobody(
        self, connector: Connector, place: str, number: int, facts: Facts
    ) -> None:
        paths = [join(place, f"n{place_:03}") for place_ in range(FEW)]
        wrong = small(paths[number], b"new", facts=facts)
        alone = written(connector, [wrong._replace(path=join(place, "alone"))], write_each)
        writes = [small(path, b"new") for path in paths]
        writes[number] = wrong
        found = written(connector, writes)
        assert kind_of(found[paths[number]]) is kind_of(alone[paths[number]]) is not None
        assert connector.stat(paths[number]) is None
        for path in paths[:number] + paths[number + 1 :]:
            assert found[path] == stat(connector, path)

    def test_a_name_that_is_none_hurts_nobody(self, connector: Connector, place: str) -> None:
        paths = [join(place, "a"), f"{place}/..", "", join(place, "b\0"), join(place, "c")]
        found = written(connector, [small(path, b"new") for path in paths])
        assert [kind_of(found[path]) is None for path in paths] == [True, False, False, False, True]
        assert ErrorKind.UNEXPECTED not in map(kind_of, found.values())
        assert self.names(connector, place, ("a", "c")) == {"a", "c"}

    def test_a_file_that_vanished_is_said_as_alone_and_hurts_nobody(self, connector: Connector, place: str) -> None:
        reads = self.filled(connector, place)
        gone = reads[FEW // 2]
        connector.delete(gone.path)
        alone = came(connector, [gone], read_each)
        found = came(connector, reads)
        assert kind_of(found[gone.path]) is kind_of(alone[gone.path])
        assert kind_of(found[gone.path]) in (ErrorKind.CHANGED_DURING_COPY, ErrorKind.NOT_FOUND)
        for number, one in enumerate(reads):
            if one is not gone:
                assert found[one.path] == content(10 + number, number)

    def test_a_file_that_changed_since_it_was_seen_is_not_given(self, connector: Connector, place: str) -> None:
        reads = self.filled(connector, place)
        changed = reads[FEW // 2]
        self.put(connector, changed.path, b"another content of another size")
        found = came(connector, reads)
        assert kind_of(found[changed.path]) is ErrorKind.CHANGED_DURING_COPY
        assert [path for path, outcome in found.items() if kind_of(outcome)] == [changed.path]

    def test_a_file_that_became_a_container_is_not_given(self, connector: Connector, place: str) -> None:
        reads = self.filled(connector, place, 3)
        connector.delete(reads[1].path)
        connector.make_container(reads[1].path, Facts())
        found = came(connector, reads)
        assert [kind_of(found[one.path]) is None for one in reads] == [True, False, True]
        assert kind_of(found[reads[1].path]) is not ErrorKind.UNEXPECTED
        assert stat(connector, reads[1].path).kind is Kind.CONTAINER

    def test_what_the_guard_refuses_is_not_stored(self, connector: Connector, place: str) -> None:
        """The guard is asked for each file, so that a lease which ends in the middle lets nothing more through."""
        asked = 0

        def guard() -> None:
            nonlocal asked
            asked += 1
            if asked > FEW // 2:
                raise TallyportError(ErrorKind.UNAVAILABLE, "the lease is over", operation="work")

        paths = [join(place, f"n{number:03}") for number in range(FEW)]
        found = written(connector, [small(path, b"new")._replace(guard=guard) for path in paths])
        assert asked == FEW
        stored = {path.rpartition("/")[2] for path, outcome in found.items() if isinstance(outcome, Entry)}
        assert len(stored) == FEW // 2
        assert {kind_of(outcome) for outcome in found.values()} == {None, ErrorKind.UNAVAILABLE}
        assert self.names(connector, place, stored) == stored

    def test_an_error_that_nobody_foresaw_is_that_of_its_file_alone(self, connector: Connector, place: str) -> None:
        def guard() -> None:
            raise LookupError("a mistake of ours")

        writes = [small(join(place, f"n{number:03}"), b"new") for number in range(FEW)]
        writes[3] = writes[3]._replace(guard=guard)
        found = written(connector, writes)
        wrong = found[writes[3].path]
        assert isinstance(wrong, TallyportError)
        assert (wrong.kind, wrong.path) == (ErrorKind.UNEXPECTED, writes[3].path)
        assert "a mistake of ours" in wrong.message
        assert [path for path, outcome in found.items() if kind_of(outcome)] == [writes[3].path]
        assert connector.stat(writes[3].path) is None

    # -- waiting and stopping

    def test_a_caller_who_must_wait_is_told_when_nothing_is_under_way(self, connector: Connector, place: str) -> None:
        under_way = 0

        def one_at_a_time() -> Iterator[SmallWrite | None]:
            nonlocal under_way
            for number in range(3):
                while under_way:
                    yield None
                under_way += 1
                yield small(join(place, f"n{number}"), b"new")
            while under_way:
                yield None
            yield None

        outcomes = []
        for one in write_many(connector, one_at_a_time()):
            outcomes.append(one)
            if one is not None:
                assert under_way == 1
                under_way -= 1
            else:
                assert under_way == 0
        assert outcomes[-1] is None
        assert self.names(connector, place, ("n0", "n1", "n2")) == {"n0", "n1", "n2"}

    def test_a_bunch_left_in_the_middle_leaves_each_file_whole_or_absent(
        self, connector: Connector, place: str
    ) -> None:
        data = content(20_000, 7)
        paths = [join(place, f"n{number:03}") for number in range(FEW)]
        outcomes = cast("Iterator[object]", write_many(connector, [small(path, data) for path in paths]))
        next(outcomes)
        outcomes.close()  # type: ignore[attr-defined]
        stored = [path for path in paths if connector.stat(path) is not None]
        assert stored
        assert {read_all(connector, path) for path in stored} == {data}
        again = written(connector, [small(join(place, f"again{number}"), b"new") for number in range(FEW)])
        assert {kind_of(outcome) for outcome in again.values()} == {None}

    def test_an_error_of_whoever_asks_is_his(self, connector: Connector, place: str) -> None:
        def asked() -> Iterator[SmallWrite]:
            yield small(join(place, "a"), b"new")
            raise LookupError("the caller broke")

        with pytest.raises(LookupError):
            list(write_many(connector, asked()))
        assert kind_of(written(connector, [small(join(place, "b"), b"new")])[join(place, "b")]) is None
