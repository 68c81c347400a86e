"""Each layer does its one thing, and keeps the face and the abilities of what it wraps."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager

import pytest

from tallyport.connectors import layers
from tallyport.connectors.layers import (
    OPERATIONS,
    PASSING,
    REPEATABLE,
    Bucket,
    Fault,
    Faulty,
    Layer,
    Limited,
    Measured,
    ReadOnly,
    Retrying,
    Throttled,
)
from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import PLAIN
from tallyport.connectors.protocol import (
    ANYTHING,
    Connector,
    Copies,
    Facts,
    Grants,
    Hashes,
    Links,
    Locks,
    Moves,
    Page,
    Pages,
    Pins,
    Precondition,
    Principals,
    Properties,
    Stamps,
    Sweeps,
    Syncs,
    Uploads,
    Versions,
)
from tallyport.domain.access import Access, Principal, PrincipalKind
from tallyport.domain.entries import Entry
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.locks import Lock
from tallyport.domain.versions import Version
from tallyport.testing.connector_contract import refused
from tallyport.testing.worlds import picture, read_all, tree

ABILITIES = (
    *(Stamps, Moves, Hashes, Links, Syncs, Sweeps),
    *(Pages, Pins, Copies, Uploads, Versions, Grants, Principals, Locks, Properties),
)
SOMEBODY = Principal(PrincipalKind.ACCOUNT, name="ann")

WRAPPERS: dict[str, Callable[[Connector], Layer]] = {
    "Measured": Measured,
    "Limited": lambda inner: Limited(inner, 2),
    "Throttled": lambda inner: Throttled(inner, Bucket(None)),
    "Retrying": Retrying,
    "ReadOnly": ReadOnly,
    "Faulty": lambda inner: Faulty(inner, []),
}


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class Synced(Memory):
    """Memory that can be asked to be durable."""

    syncs = 0

    def sync(self) -> None:
        self.syncs += 1


class Whole(Synced):
    """Memory with every ability there is, as plain as can be; ``done`` tells what was asked of it."""

    def __new__(cls) -> Whole:
        return object.__new__(cls)  # with abilities that its settings would leave out

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self.parts: dict[int, bytes] = {}
        self.held: Lock | None = None
        self.given = Access()
        self.values: dict[str, bytes] = {}

    def page(self, path: str, cursor: str | None = None) -> Page:
        self.done.append("page")
        return Page(tuple(self.children(path)), None)

    def read_entry(
        self, path: str, entry: Entry, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        self.done.append("read_entry")
        return self.read(path, offset=offset, length=length)

    def copy(self, path: str, to: str, facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        self.done.append("copy")
        with self.read(path) as chunks:
            return self.write(to, list(chunks), facts, when=when)

    def begin_upload(self, path: str, facts: Facts, *, token: str) -> str:
        self.done.append("begin_upload")
        return f"{path} {token}"

    def put_part(self, path: str, handle: str, number: int, offset: int, content: Iterable[bytes], size: int) -> bytes:
        self.done.append("put_part")
        self.parts[number] = b"".join(content)
        return b"receipt"

    def finish_upload(
        self, path: str, handle: str, receipts: Sequence[bytes], facts: Facts, *, when: Precondition = ANYTHING
    ) -> Entry:
        self.done.append("finish_upload")
        return self.write(path, [self.parts[number] for number in sorted(self.parts)], facts, when=when)

    def abandon_upload(self, path: str, handle: str) -> None:
        self.done.append("abandon_upload")

    def versions(self, path: str) -> Sequence[Version]:
        self.done.append("versions")
        return [Version("1", 3, 0, is_current=True)]

    def read_version(
        self, path: str, version: str, *, offset: int = 0, length: int | None = None
    ) -> AbstractContextManager[Iterator[bytes]]:
        self.done.append("read_version")
        return self.read(path, offset=offset, length=length)

    def access(self, path: str) -> Access:
        self.done.append("access")
        return self.given

    def set_access(self, path: str, access: Access, *, remove_others: bool = False) -> Access:
        self.done.append("set_access")
        self.given = access
        return access

    def principals(self, like: Principal) -> Iterator[Principal]:
        self.done.append("principals")
        return iter([like])

    def lock_of(self, path: str) -> Lock | None:
        self.done.append("lock_of")
        return self.held

    def lock(self, path: str, lock: Lock) -> Lock:
        self.done.append("lock")
        self.held = lock
        return lock

    def unlock(self, path: str, lock: Lock) -> None:
        self.done.append("unlock")
        self.held = None

    def properties(self, path: str) -> Mapping[str, bytes]:
        self.done.append("properties")
        return self.values

    def set_properties(self, path: str, values: Mapping[str, bytes | None]) -> Mapping[str, bytes]:
        self.done.append("set_properties")
        self.values |= {name: value for name, value in values.items() if value is not None}
        return self.values


def abilities(connector: object) -> set[str]:
    return {ability.__name__ for ability in ABILITIES if isinstance(connector, ability)}


def every_call(connector: Connector) -> dict[str, Callable[[], object]]:
    """Give one call of each method, on a tree that holds a.txt."""
    whole = connector
    assert isinstance(whole, Stamps)
    assert isinstance(whole, Moves)
    assert isinstance(whole, Hashes)
    assert isinstance(whole, Links)
    assert isinstance(whole, Sweeps)
    assert isinstance(whole, Syncs)
    assert isinstance(whole, Pages)
    assert isinstance(whole, Copies)
    assert isinstance(whole, Uploads)
    assert isinstance(whole, Versions)
    assert isinstance(whole, Grants)
    assert isinstance(whole, Principals)
    assert isinstance(whole, Locks)
    assert isinstance(whole, Properties)
    return {
        "stat": lambda: connector.stat("a.txt"),
        "children": lambda: list(connector.children("")),
        "read": lambda: read_all(connector, "a.txt"),
        "write": lambda: connector.write("b.txt", [b"new"], Facts()),
        "make_container": lambda: connector.make_container("box", Facts()),
        "delete": lambda: connector.delete("c.txt"),
        "stamp": lambda: whole.stamp("a.txt", Facts(modified=0)),
        "rename": lambda: whole.rename("a.txt", "d.txt"),
        "content_hash": lambda: whole.content_hash("d.txt"),
        "make_symlink": lambda: whole.make_symlink("link", "d.txt", Facts()),
        "make_hard_link": lambda: whole.make_hard_link("e.txt", "d.txt"),
        "sync": lambda: whole.sync(),
        "sweep": lambda: whole.sweep("", "token"),
        "page": lambda: whole.page(""),
        "copy": lambda: whole.copy("d.txt", "f.txt", Facts()),
        "begin_upload": lambda: whole.begin_upload("g.txt", Facts(), token="token"),
        "put_part": lambda: whole.put_part("g.txt", "handle", 0, 0, [b"part"], 4),
        "finish_upload": lambda: whole.finish_upload("g.txt", "handle", [b"receipt"], Facts()),
        "abandon_upload": lambda: whole.abandon_upload("g.txt", "handle"),
        "versions": lambda: whole.versions("a.txt"),
        "read_version": lambda: whole.read_version("d.txt", "1"),
        "access": lambda: whole.access("a.txt"),
        "set_access": lambda: whole.set_access("a.txt", Access(owner=SOMEBODY)),
        "principals": lambda: list(whole.principals(SOMEBODY)),
        "lock_of": lambda: whole.lock_of("a.txt"),
        "lock": lambda: whole.lock("a.txt", Lock(SOMEBODY)),
        "unlock": lambda: whole.unlock("a.txt", Lock(SOMEBODY)),
        "properties": lambda: whole.properties("a.txt"),
        "set_properties": lambda: whole.set_properties("a.txt", {"a": b"1"}),
    }


# -- all layers


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_layer_has_the_abilities_of_what_it_wraps(name: str) -> None:
    for inner in (Memory(), Memory(PLAIN), Synced(), Whole(), Measured(Memory(PLAIN)), Measured(Whole())):
        layer = WRAPPERS[name](inner)
        assert isinstance(layer, Connector)
        assert abilities(layer) == abilities(inner)


@pytest.mark.parametrize("name", [name for name in WRAPPERS if name != "ReadOnly"])
def test_a_layer_passes_every_call_on(name: str) -> None:
    plain, wrapped = tree("a.txt 3b v1\nc.txt 3b v1", Whole()), tree("a.txt 3b v1\nc.txt 3b v1", Whole())
    for act in every_call(plain).values():
        act()
    calls = every_call(WRAPPERS[name](wrapped))
    assert tuple(calls) == OPERATIONS
    for act in calls.values():
        act()
    assert picture(wrapped) == picture(plain)
    assert wrapped.syncs == 1
    assert wrapped.done == plain.done
    assert read_all(wrapped, "g.txt") == b"part"


@pytest.mark.parametrize("name", [name for name in WRAPPERS if name != "ReadOnly"])
def test_a_layer_passes_preconditions_and_expectations_on(name: str) -> None:
    connector = WRAPPERS[name](tree("a.txt 3b v1"))
    seen = connector.stat("a.txt")
    tree("a.txt 4b v1", connector)
    with refused(ErrorKind.ALREADY_EXISTS):
        connector.write("a.txt", [], Facts(), when=Precondition(absent=True))
    with refused(ErrorKind.CHANGED_DURING_COPY):
        connector.delete("a.txt", expect=seen)
    assert isinstance(connector, Links)
    with refused(ErrorKind.ALREADY_EXISTS):
        connector.make_symlink("a.txt", "b", Facts(), when=Precondition(absent=True))
    assert read_all(connector, "a.txt", offset=1, length=2) == read_all(tree("a.txt 3b v1"), "a.txt")[1:]


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_layer_shows_limits_and_location_and_closes_what_it_wraps(name: str) -> None:
    class Closing(Memory):
        closed = 0

        def close(self) -> None:
            self.closed += 1

    inner = Closing()
    layer = WRAPPERS[name](inner)
    assert (layer.limits, layer.location) == (inner.limits, inner.location)
    layer.close()
    assert inner.closed == 1


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_layer_gives_an_error_on_as_it_is(name: str) -> None:
    layer = WRAPPERS[name](Memory())
    with refused(ErrorKind.NOT_FOUND):
        list(layer.children("nothing"))
    with refused(ErrorKind.NOT_FOUND):
        read_all(layer, "nothing")


def test_a_layer_is_found_again_and_so_is_the_connector() -> None:
    inner = Memory()
    measured = Measured(inner)
    connector = ReadOnly(Retrying(measured))
    assert layers.find(connector, Measured) is measured
    assert layers.find(connector, Throttled) is None
    assert layers.innermost(connector) is inner


def test_layers_of_one_ability_set_share_a_class() -> None:
    assert type(Measured(Memory())) is type(Measured(Memory()))
    assert type(Measured(Memory())) is not type(Measured(Memory(PLAIN)))
    assert type(Measured(Memory())).__name__ == "Measured"


# -- Measured


def test_measured_counts_calls_errors_bytes_and_entries() -> None:
    measured = Measured(tree("a.txt 10b v1\nb.txt 20b v1"))
    read_all(measured, "a.txt")
    read_all(measured, "b.txt", offset=15)
    list(measured.children(""))
    measured.write("c.txt", [b"123", b"4567"], Facts())
    with refused(ErrorKind.NOT_FOUND):
        read_all(measured, "nothing")
    with refused(ErrorKind.ALREADY_EXISTS):
        measured.make_container("a.txt", Facts())
    counted = {operation: (m.calls, m.errors, m.bytes, m.entries) for operation, m in measured.snapshot().items()}
    assert counted == {
        "read": (3, 1, 15, 0),
        "children": (1, 0, 0, 2),
        "write": (1, 0, 7, 0),
        "make_container": (1, 1, 0, 0),
    }


def test_measured_does_not_count_the_wait_for_the_other_side() -> None:
    clock = Clock()

    class Slow(Memory):
        def stat(self, path: str):
            clock.sleep(2)
            return super().stat(path)

    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            clock.sleep(100)
            yield b"x"

    measured = Measured(Slow(), clock=clock)
    measured.stat("a")
    measured.write("a", chunks(), Facts())
    with measured.read("a") as content:
        for _ in content:
            clock.sleep(100)
    assert {operation: m.seconds for operation, m in measured.snapshot().items()} == {
        "stat": 2,
        "write": 0,
        "read": 0,
    }


def test_a_snapshot_stays_as_it_was() -> None:
    measured = Measured(Memory())
    measured.stat("a")
    before = measured.snapshot()
    measured.stat("a")
    assert (before["stat"].calls, measured.snapshot()["stat"].calls) == (1, 2)


def test_a_listing_that_fails_midway_is_counted_as_an_error() -> None:
    fault = Fault(operation="children", kind=ErrorKind.UNAVAILABLE, after=1)
    measured = Measured(Faulty(tree("a 1b v1\nb 1b v1"), [fault]))
    with refused(ErrorKind.UNAVAILABLE):
        list(measured.children(""))
    assert (measured.snapshot()["children"].errors, measured.snapshot()["children"].entries) == (1, 1)


# -- Limited


def test_limited_lets_no_more_threads_in_than_it_says() -> None:
    inside, most = 0, 0
    lock = threading.Lock()
    gate = threading.Barrier(2, timeout=10)

    class Watched(Memory):
        def stat(self, path: str):
            nonlocal inside, most
            with lock:
                inside += 1
                most = max(most, inside)
            gate.wait()
            with lock:
                inside -= 1
            return super().stat(path)

    limited = Limited(Watched(), 2)
    threads = [threading.Thread(target=limited.stat, args=("a",)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (most, inside) == (2, 0)


def test_a_thread_does_not_wait_for_itself() -> None:
    limited = Limited(tree("a.txt 3b v1\nb.txt 3b v1"), 1, patience=0.01)
    with limited.read("a.txt") as chunks:
        limited.write("c.txt", chunks, Facts())
        for entry in limited.children(""):
            assert limited.stat(entry.name)
    assert read_all(limited, "c.txt") == read_all(limited, "a.txt")


def test_whoever_waits_too_long_is_told() -> None:
    limited = Limited(tree("a.txt 3b v1"), 1, patience=0.01)
    raised: list[ErrorKind] = []

    def look() -> None:
        try:
            limited.stat("a.txt")
        except TallyportError as error:
            raised.append(error.kind)

    with limited.read("a.txt"):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join(10)
    assert raised == [ErrorKind.TIMEOUT]
    look()
    assert raised == [ErrorKind.TIMEOUT]


def test_a_place_is_given_back_after_an_error_and_after_an_abandoned_listing() -> None:
    limited = Limited(tree("a.txt 3b v1"), 1, patience=0.01)
    with refused(ErrorKind.NOT_FOUND):
        read_all(limited, "nothing")
    left = limited.children("")
    next(left)
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(limited.stat("a.txt")))
    thread.start()
    thread.join(10)
    assert len(seen) == 1


# -- Throttled


def test_a_bucket_gives_its_rate_over_time() -> None:
    clock = Clock()
    bucket = Bucket(1000, clock=clock, sleep=clock.sleep)
    for _ in range(100):
        bucket.take(100)
    assert clock.now == pytest.approx(9, abs=0.3)  # the first second's worth was there


def test_a_taker_of_much_leaves_a_debt() -> None:
    clock = Clock()
    bucket = Bucket(1000, clock=clock, sleep=clock.sleep)
    bucket.take(10_000)
    assert clock.now == 0
    bucket.take(1)
    assert clock.now == pytest.approx(9, abs=0.3)


def test_a_rate_can_be_changed_while_somebody_waits() -> None:
    clock = Clock()
    bucket = Bucket(1, clock=clock, sleep=lambda seconds: nap(seconds))

    def nap(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.now >= 1:
            bucket.rate = None

    bucket.take(1_000_000)
    bucket.take(1_000_000)
    assert clock.now == pytest.approx(1, abs=0.3)
    assert bucket.rate is None


def test_a_rate_of_nothing_holds_everybody_until_it_is_changed() -> None:
    clock = Clock()
    bucket = Bucket(0, clock=clock, sleep=lambda seconds: nap(seconds))

    def nap(seconds: float) -> None:
        clock.sleep(seconds)
        if clock.now >= 60:
            bucket.rate = 1000

    bucket.take(1)
    assert clock.now == pytest.approx(60, abs=0.3)


def test_a_bucket_that_was_idle_gives_no_more_than_one_second() -> None:
    clock = Clock()
    bucket = Bucket(1000, clock=clock, sleep=clock.sleep)
    clock.now = 1_000_000
    for _ in range(30):
        bucket.take(100)
    assert clock.now - 1_000_000 == pytest.approx(2, abs=0.3)


def test_throttled_paces_both_ways() -> None:
    clock = Clock()
    bucket = Bucket(1000, clock=clock, sleep=clock.sleep)
    throttled = Throttled(Memory(), bucket)
    throttled.write("a", (bytes(100) for _ in range(50)), Facts())
    assert clock.now == pytest.approx(4, abs=0.3)
    read_all(throttled, "a")
    throttled.stat("a")
    assert clock.now == pytest.approx(4, abs=0.3)
    read_all(throttled, "a")  # pays for the one before
    assert clock.now == pytest.approx(9, abs=0.3)


# -- Retrying


def patient(inner: Connector, clock: Clock, attempts: int = 3, **named) -> Retrying:
    return Retrying(inner, attempts=attempts, sleep=clock.sleep, chance=random.Random(1), **named)


@pytest.mark.parametrize("kind", sorted(PASSING))
@pytest.mark.parametrize("operation", sorted({*REPEATABLE, "children", "read"}))
def test_a_small_call_is_repeated_when_the_reason_passes(operation: str, kind: ErrorKind) -> None:
    faulty = Faulty(tree("a.txt 3b v1", Whole()), [Fault(operation=operation, kind=kind, times=2)])
    clock = Clock()
    every_call(patient(faulty, clock))[operation]()
    assert (len(faulty.fired), len(clock.slept)) == (2, 2)


@pytest.mark.parametrize("operation", sorted({*OPERATIONS} - REPEATABLE - {"children", "read"}))
def test_other_calls_are_not_repeated(operation: str) -> None:
    faulty = Faulty(tree("a.txt 3b v1\nd.txt 3b v1", Whole()), [Fault(operation=operation, kind=ErrorKind.UNAVAILABLE)])
    with refused(ErrorKind.UNAVAILABLE):
        every_call(patient(faulty, Clock()))[operation]()
    assert len(faulty.fired) == 1


@pytest.mark.parametrize("kind", sorted(set(ErrorKind) - PASSING - {ErrorKind.UNEXPECTED}))
def test_a_reason_that_does_not_pass_is_not_repeated(kind: ErrorKind) -> None:
    faulty = Faulty(Memory(), [Fault(operation="stat", kind=kind)])
    with refused(kind):
        patient(faulty, Clock()).stat("a")
    assert len(faulty.fired) == 1


def test_a_call_that_keeps_failing_says_how_often_it_was_tried() -> None:
    faulty = Faulty(Memory(), [Fault(operation="stat", kind=ErrorKind.TIMEOUT, times=None)])
    clock = Clock()
    with pytest.raises(TallyportError, match="still failing after 3 attempts: cannot stat") as caught:
        patient(faulty, clock).stat("a")
    assert (caught.value.kind, caught.value.path, caught.value.operation) == (ErrorKind.TIMEOUT, "a", "stat")
    assert isinstance(caught.value.__cause__, TallyportError)
    assert (len(faulty.fired), len(clock.slept)) == (3, 2)


def test_pauses_are_drawn_below_a_bound_that_doubles() -> None:
    clock = Clock()
    faulty = Faulty(Memory(), [Fault(operation="stat", kind=ErrorKind.TIMEOUT, times=None)])
    with refused(ErrorKind.TIMEOUT):
        patient(faulty, clock, attempts=9, first=1, longest=20).stat("a")
    bounds = [1, 2, 4, 8, 16, 20, 20, 20]
    assert all(0 <= pause <= bound for pause, bound in zip(clock.slept, bounds, strict=True))
    again = Clock()
    with refused(ErrorKind.TIMEOUT):
        patient(faulty, again, attempts=9, first=1, longest=20).stat("a")
    assert again.slept == clock.slept  # the same chance, the same pauses


def test_a_pause_is_never_shorter_than_the_platform_asked() -> None:
    clock = Clock()
    fault = Fault(operation="stat", kind=ErrorKind.RATE_LIMITED, retry_after=7)
    patient(Faulty(Memory(), [fault]), clock).stat("a")
    assert clock.slept == [7]


def test_a_pause_longer_than_the_patience_goes_to_the_caller() -> None:
    clock = Clock()
    faulty = Faulty(Memory(), [Fault(operation="stat", kind=ErrorKind.RATE_LIMITED, retry_after=3600)])
    with pytest.raises(TallyportError) as caught:
        patient(faulty, clock).stat("a")
    assert (caught.value.retry_after, clock.slept) == (3600, [])


def test_a_listing_goes_on_after_what_it_gave() -> None:
    fault = Fault(operation="children", kind=ErrorKind.UNAVAILABLE, after=2, times=2)
    faulty = Faulty(tree("a 1b v1\nb 1b v1\nc 1b v1\nd 1b v1"), [fault])
    given = [entry.name for entry in patient(faulty, Clock()).children("")]
    assert sorted(given) == ["a", "b", "c", "d"]
    assert len(faulty.fired) == 2


def test_a_listing_that_keeps_failing_gives_up() -> None:
    fault = Fault(operation="children", kind=ErrorKind.UNAVAILABLE, after=1, times=None)
    with pytest.raises(TallyportError, match="still failing after 3 attempts"):
        list(patient(Faulty(tree("a 1b v1\nb 1b v1"), [fault]), Clock()).children(""))


def test_a_very_long_listing_is_not_begun_again(monkeypatch) -> None:
    monkeypatch.setattr(Retrying, "REMEMBERED", 1)
    fault = Fault(operation="children", kind=ErrorKind.UNAVAILABLE, after=2)
    with refused(ErrorKind.UNAVAILABLE):
        list(patient(Faulty(tree("a 1b v1\nb 1b v1\nc 1b v1"), [fault]), Clock()).children(""))


def test_a_read_that_has_begun_is_not_repeated() -> None:
    faulty = Faulty(tree("a.txt 9b v1"), [Fault(operation="read", kind=ErrorKind.UNAVAILABLE, after=4)])
    with patient(faulty, Clock()).read("a.txt") as chunks:
        assert len(next(chunks)) == 4
        with refused(ErrorKind.UNAVAILABLE):
            next(chunks)
    assert len(faulty.fired) == 1


def test_a_fault_of_the_reader_is_not_taken_for_one_of_the_platform() -> None:
    connector = patient(tree("a.txt 9b v1"), Clock())
    with refused(ErrorKind.TIMEOUT), connector.read("a.txt"):
        raise TallyportError(ErrorKind.TIMEOUT, "the destination did not answer")


@pytest.mark.parametrize("operation", ["make_container", "delete", "stamp"])
def test_a_call_whose_answer_was_lost_is_made_again(operation: str) -> None:
    fault = Fault(operation=operation, kind=ErrorKind.TIMEOUT, effective=True)
    every_call(patient(Faulty(tree("a.txt 3b v1\nc.txt 3b v1", Whole()), [fault]), Clock()))[operation]()


def test_a_rename_whose_answer_was_lost_is_to_be_looked_at() -> None:
    faulty = Faulty(tree("a.txt 3b v1"), [Fault(operation="rename", kind=ErrorKind.TIMEOUT, effective=True)])
    connector = patient(faulty, Clock())
    assert isinstance(connector, Moves)
    with refused(ErrorKind.NOT_FOUND):
        connector.rename("a.txt", "b.txt")
    assert picture(connector) == "b.txt 3b v1"


# -- ReadOnly


def test_a_simulation_changes_nothing_and_says_so() -> None:
    inner = tree("a.txt 3b v1\nc.txt 3b v1\nd.txt 1b v1", Whole())
    before = picture(inner)
    calls = every_call(ReadOnly(inner))
    reading = {
        *("stat", "children", "read", "content_hash", "sync", "page", "versions", "read_version"),
        *("access", "principals", "lock_of", "properties"),
    }
    for operation in reading:
        calls[operation]()
    for operation in OPERATIONS:
        if operation not in reading:
            with pytest.raises(TallyportError, match="simulation") as caught:
                calls[operation]()
            assert caught.value.kind is ErrorKind.READ_ONLY
    assert picture(inner) == before


def test_a_simulation_does_not_even_ask_for_content() -> None:
    def chunks() -> Iterator[bytes]:
        raise AssertionError("the source was read")
        yield b""

    with refused(ErrorKind.READ_ONLY):
        ReadOnly(Memory()).write("a", chunks(), Facts())


# -- Faulty


def test_a_fault_strikes_the_call_it_is_meant_for() -> None:
    faulty = Faulty(Memory(), [Fault(operation="stat", kind=ErrorKind.IO_ERROR, nth=2, times=2, path="*.txt")])
    outcomes = []
    for path in ("a.txt", "other", "b.txt", "other", "c.txt", "d.txt"):
        try:
            faulty.stat(path)
            outcomes.append("ok")
        except TallyportError as error:
            outcomes.append(error.kind)
    assert outcomes == ["ok", "ok", ErrorKind.IO_ERROR, "ok", ErrorKind.IO_ERROR, "ok"]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_operation_can_fail(operation: str) -> None:
    faulty = Faulty(tree("a.txt 3b v1\nd.txt 3b v1", Whole()), [Fault(operation=operation, kind=ErrorKind.LOCKED)])
    with refused(ErrorKind.LOCKED):
        every_call(faulty)[operation]()
    assert [fault.operation for fault in faulty.fired] == [operation]


def test_an_effective_fault_strikes_after_the_work_is_done() -> None:
    script = [Fault(operation="write", kind=ErrorKind.TIMEOUT, effective=True)]
    faulty = Faulty(Memory(), script)
    with refused(ErrorKind.TIMEOUT):
        faulty.write("a", [b"content"], Facts())
    assert read_all(faulty, "a") == b"content"


def test_a_read_can_be_cut_with_an_error_and_without() -> None:
    inner = tree("a.txt 100b v1")
    silent = Faulty(inner, [Fault(operation="read", after=60)])
    assert read_all(silent, "a.txt") == read_all(inner, "a.txt")[:60]
    assert read_all(silent, "a.txt") == read_all(inner, "a.txt")
    loud = Faulty(inner, [Fault(operation="read", after=60, kind=ErrorKind.IO_ERROR)])
    with refused(ErrorKind.IO_ERROR):
        read_all(loud, "a.txt")


def test_a_write_that_is_cut_leaves_nothing() -> None:
    faulty = Faulty(Memory(), [Fault(operation="write", after=3, kind=ErrorKind.UNAVAILABLE)])
    with refused(ErrorKind.UNAVAILABLE):
        faulty.write("a", [b"12", b"34", b"56"], Facts())
    assert faulty.stat("a") is None


@pytest.mark.parametrize("operation", ["read", "write"])
def test_one_byte_can_be_flipped(operation: str) -> None:
    faulty = Faulty(Memory(), [Fault(operation=operation, flip=3)])
    faulty.write("a", [b"01", b"2345"], Facts())
    assert read_all(faulty, "a") == b"012\xcc45"


def test_a_call_can_take_longer() -> None:
    clock = Clock()
    faulty = Faulty(tree("a 1b v1"), [Fault(operation="read", delay=5)], sleep=clock.sleep)
    read_all(faulty, "a")
    read_all(faulty, "a")
    assert clock.slept == [5]
