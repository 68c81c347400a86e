"""A probe finds out what a server really keeps, and leaves nothing behind."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest

from tallyport.connectors import probing
from tallyport.connectors.canaries import TOKEN
from tallyport.connectors.local import Local
from tallyport.connectors.memory import Memory
from tallyport.connectors.memory_settings import Settings
from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import ANYTHING, Connector, Facts, Precondition, Sweeps, Uploads
from tallyport.domain.capabilities import UNMEASURED_SKEW, Limits
from tallyport.domain.connections import Canaries, Connection
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.paths import join
from tallyport.testing import ftp_servers, share_servers
from tallyport.testing.connector_contract import refused
from tallyport.testing.object_servers import S3Server


def files(connector: Connector, path: str) -> list[str]:
    """Give the paths of all files below a container."""
    found: list[str] = []
    for entry in connector.children(path):
        below = join(path, entry.name)
        found.extend(files(connector, below) if entry.kind is Kind.CONTAINER else [below])
    return found


def test_a_local_folder_keeps_all_it_declares(tmp_path: Path) -> None:
    with closing(Local(os.fspath(tmp_path))) as connector:
        found = probing.measure(connector)
    assert isinstance(found.pop("clock_skew"), int)
    assert found == {
        "creates_only": True,
        "replaces_checked": True,
        "atomic_replace": True,
        "sets_times": True,
        "time_precision": 1,
        "case_sensitive": True,
        "normalises_names": False,
        "lists_at_once": True,
    }
    assert os.listdir(tmp_path) == []


def test_an_awkward_platform_is_seen_as_it_is() -> None:
    connector = Memory(Settings(case_insensitive=True, time_precision=2_000_000_000))
    found = probing.measure(connector)
    assert found["case_sensitive"] is False
    assert found["time_precision"] == 2_000_000_000
    assert list(connector.children("")) == []


class Turning(Memory):
    """A store that makes a slash of a backslash, and tells nobody."""

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        return super().write(path.replace("\\", "-"), content, facts, when=when)


class Refusing(Memory):
    """A store that refuses a colon, though it says that it takes any."""

    def write(self, path: str, content: Iterable[bytes], facts: Facts, *, when: Precondition = ANYTHING) -> Entry:
        if ":" in path:
            raise TallyportError(ErrorKind.UNSUPPORTED, "no colon")
        return super().write(path, content, facts, when=when)


def test_a_name_that_comes_back_another_or_not_at_all_shows_which_characters_are_not_kept() -> None:
    turning, refusing = Turning(Settings()), Refusing(Settings(forbidden_characters="?"))
    assert set(str(probing.measure(turning)["forbidden_characters"])) == set("/\0\\")
    assert set(str(probing.measure(refusing)["forbidden_characters"])) == set("/\0?:")
    assert files(turning, "") == files(refusing, "") == []
    assert "forbidden_characters" not in probing.measure(Memory(Settings()))


def test_a_bucket_that_makes_a_slash_of_a_backslash_is_found_out(seaweed: S3Server) -> None:
    found = probing.probe("s3", seaweed.settings(), f"probed-{uuid.uuid4().hex[:8]}")
    assert set(str(found["forbidden_characters"])) == set("/\0\\")


def test_when_a_side_was_measured_is_told_and_a_folder_needs_it_not() -> None:
    def side(platform: str, measured: str | None = None) -> Connection:
        return Connection(id="1", name="c", platform=platform, measured=measured, created_at=1, modified_at=1)

    told = '{"case_sensitive": true, "measured_on": "2026-01-02T03:04:05+00:00"}'
    assert probing.measured_on(("source", side("fs")), ("destination", side("s3"))) == {"destination": None}
    assert probing.measured_on(("source", side("s3", told))) == {"source": "2026-01-02T03:04:05+00:00"}


def test_a_listing_that_lags_is_noticed() -> None:
    assert probing.measure(Memory(Settings(lag=3)))["lists_at_once"] is False


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ("seaweed", {"creates_only": True, "replaces_checked": True}),
        ("moto", {"creates_only": True, "replaces_checked": False}),  # joins parts whatever stands there
        ("lying_s3", {"creates_only": False, "replaces_checked": False}),
    ],
)
def test_each_server_is_found_out(request: pytest.FixtureRequest, server: str, expected: dict[str, bool]) -> None:
    place = f"probed-{uuid.uuid4().hex[:8]}"
    document = request.getfixturevalue(server).settings()
    found = probing.probe("s3", document, place)
    assert {name: found[name] for name in expected} == expected
    with closing(open_connection("s3", document, place, make=True)) as connector:
        # SeaweedFS may show a prefix for a while after the last object in it is gone.
        assert files(connector, "") == []


@pytest.fixture(scope="module")
def lying_sftp() -> Iterator[tuple[dict[str, object], str]]:
    with share_servers.lying_sftp() as server:
        yield server


def test_a_share_that_renames_over_what_stands_is_found_out_and_left_clean(
    lying_sftp: tuple[dict[str, object], str],
) -> None:
    settings, folder = lying_sftp
    found = probing.probe("sftp", settings, "probed")
    assert found["creates_only"] is False
    assert os.listdir(os.path.join(folder, "probed")) == []


@pytest.mark.parametrize("size", [4, 3_000_000])
def test_what_comes_to_a_lying_share_meanwhile_is_not_overwritten(
    lying_sftp: tuple[dict[str, object], str], size: int
) -> None:
    settings, _ = lying_sftp
    place = f"raced-{size}"
    document = {**settings, probing.MEASURED: {"creates_only": False}}
    with closing(open_connection("sftp", document, place, make=True)) as it:

        def slow() -> Iterator[bytes]:
            yield bytes(size // 2)
            it.write("mine", [b"mine"], Facts(size=4))
            yield bytes(size - size // 2)

        with refused(ErrorKind.ALREADY_EXISTS):
            it.write("mine", slow(), Facts(size=size), when=Precondition(absent=True))
        with it.read("mine") as chunks:
            assert b"".join(chunks) == b"mine"
        assert [entry.name for entry in it.children("")] == ["mine"]
        assert isinstance(it, Sweeps)
        assert it.sweep("", "sftp") == 0, "nothing unfinished is left"


@pytest.mark.parametrize("kind", ["azure", "fake", "emulator"])
def test_an_object_store_is_measured(request: pytest.FixtureRequest, kind: str) -> None:
    """Azurite and the fake keep what is declared; the emulator of Google joins parts whatever the condition."""
    if kind == "azure":
        platform_id, settings = "azure_blob", request.getfixturevalue("azurite").settings()
    else:
        platform_id = "gcs"
        settings = request.getfixturevalue("fake_gcs" if kind == "fake" else "gcs_emulator").settings()
    found = probing.probe(platform_id, settings, f"probe-{uuid.uuid4().hex[:8]}")
    keeps = kind != "emulator"
    assert (found["creates_only"], found["replaces_checked"]) == (keeps, keeps)
    assert (found["time_precision"], found["case_sensitive"], found["normalises_names"]) == (1, True, False)
    assert found["lists_at_once"] is True


def test_where_a_server_lies_the_name_is_looked_at_before_each_write(lying_s3: S3Server) -> None:
    document = lying_s3.settings()
    document[probing.MEASURED] = probing.probe("s3", document)
    with closing(open_connection("s3", document)) as connector:
        assert not connector.limits.creates_only
        seen = connector.write("mine", [b"mine"], Facts(size=4))
        for when in (Precondition(absent=True), Precondition(entry=seen._replace(tag=b"0" * 32))):
            with pytest.raises(TallyportError) as caught:
                connector.write("mine", [b"theirs"], Facts(size=6), when=when)
            assert caught.value.kind is ErrorKind.ALREADY_EXISTS
        with connector.read("mine") as chunks:
            assert b"".join(chunks) == b"mine"


class Remembered:
    """A book in memory."""

    def __init__(self, *left: Canaries) -> None:
        self.held = {one.place: one for one in left}
        self.over = set(self.held)
        self.told: list[str] = []

    def begin(self, canaries: Canaries) -> None:
        self.held[canaries.place] = canaries
        self.told.append("begin")

    def note(self, canaries: Canaries) -> None:
        self.held[canaries.place] = canaries
        self.told.append("note")

    def end(self, canaries: Canaries, *, is_gone: bool) -> None:
        self.told.append(f"end {is_gone}")
        self.over.add(canaries.place)
        if is_gone:
            del self.held[canaries.place]

    def left(self) -> list[Canaries]:
        return [one for one in self.held.values() if one.place in self.over]


SHARES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "sftp": share_servers.openssh,
    "smb": share_servers.samba,
    "webdav": share_servers.wsgidav,
    "ftp": ftp_servers.pyftpdlib,
}
STORES = {"s3": "seaweed", "azure_blob": "azurite", "gcs": "fake_gcs"}


@pytest.mark.parametrize(
    "platform_id",
    [
        pytest.param("sftp", marks=pytest.mark.needs("sshd")),
        pytest.param("smb", marks=pytest.mark.needs("smbd")),
        *("webdav", "ftp", *STORES),
    ],
)
def test_what_a_killed_probe_left_is_removed_and_nothing_else(request: pytest.FixtureRequest, platform_id: str) -> None:
    """A folder with files, an upload and something unfinished in it; beside it one that may be somebody else's."""
    if platform_id in STORES:
        left_and_tidied(platform_id, request.getfixturevalue(STORES[platform_id]).settings())
        return
    with SHARES[platform_id]() as server:
        left_and_tidied(platform_id, dict(server.settings() if callable(server.settings) else server.settings))


def left_and_tidied(platform_id: str, document: dict[str, object]) -> None:
    path, mine, theirs = f"tidied-{uuid.uuid4().hex[:8]}", ".tallyport-probe-0a0a0a0a", ".tallyport-probe-0b0b0b0b"
    with closing(open_connection(platform_id, document, path, make=True, token=TOKEN)) as it:
        uploads: list[tuple[str, str]] = []
        for place in (mine, theirs):
            if not it.limits.containers_implied:
                it.make_container(place, Facts())
                it.make_container(join(place, "listed"), Facts())
            it.write(join(place, "new"), [b"new"], Facts(size=3))
            it.write(join(place, "listed/1"), [b"x"], Facts(size=1))
        if isinstance(it, Uploads):
            handle = it.begin_upload(join(mine, "parts"), Facts(size=4), token=TOKEN)
            it.put_part(join(mine, "parts"), handle, 0, 0, [b"slow"], 4)
            uploads.append((join(mine, "parts"), handle))
        left = Canaries(path, mine, tuple(uploads))
        book = Remembered(left, left._replace(place=".tallyport-probe-0c0c0c0c", uploads=()))
        probing.tidy(platform_id, document, book)
        assert book.held == {}, "one that is not there at all is gone as well"
        assert it.stat(mine) is None or not files(it, mine)
        assert sorted(files(it, theirs)) == [join(theirs, "listed/1"), join(theirs, "new")]


def test_a_place_that_cannot_be_reached_is_remembered(tmp_path: Path) -> None:
    book = Remembered(Canaries("", ".tallyport-probe-0a0a0a0a"))
    settings: dict[str, object] = {"host": "127.0.0.1", "port": 1, "username": "nobody", "timeout": 1}
    probing.tidy("sftp", settings, book)
    assert len(book.held) == 1
    gone = Remembered(Canaries("no/such folder", ".tallyport-probe-0a0a0a0a"))
    probing.tidy("fs", {"path": str(tmp_path)}, gone)
    assert gone.held == {}


def test_a_probe_is_written_down_before_its_first_canary_and_off_after_the_last(seaweed: S3Server) -> None:
    book = Remembered()
    probing.probe("s3", seaweed.settings(), f"probed-{uuid.uuid4().hex[:8]}", book=book)
    assert book.told == ["begin", "note", "note", "end True"]


def test_only_known_facts_of_the_right_kind_are_taken() -> None:
    limits = probing.apply(Limits(), {"creates_only": False, "time_precision": "soon", "max_size": 3, "odd": 1})
    assert limits == Limits(creates_only=False)


@pytest.mark.parametrize("off", [-7_200, 0, 7_200], ids=["two hours behind", "right", "two hours ahead"])
def test_how_far_a_clock_is_off_is_measured(off: int) -> None:
    there = off * 1_000_000_000
    begun = time.perf_counter_ns()
    found = probing.measure(Memory(clock=lambda: time.time_ns() + there))["clock_skew"]
    took = time.perf_counter_ns() - begun
    assert isinstance(found, int)
    assert abs(there) <= found <= abs(there) + took


def test_a_server_that_nobody_measured_has_a_clock_of_its_own(moto: S3Server, tmp_path: Path) -> None:
    for measured, expected in (({}, UNMEASURED_SKEW), ({"clock_skew": 5}, 5)):
        with closing(open_connection("s3", {**moto.settings(), probing.MEASURED: measured}, "/")) as connector:
            assert connector.limits.clock_skew == expected
    with closing(open_connection("fs", {"path": os.fspath(tmp_path)}, "/")) as connector:
        assert connector.limits.clock_skew == 0
