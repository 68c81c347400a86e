"""From a folder to Azure and Google and back, and from S3 to Azure: equal, with nothing left to do."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from tallyport.connectors.opening import open_connection
from tallyport.connectors.protocol import Facts, Locks
from tallyport.domain.errors import TallyportError
from tallyport.domain.locks import Lock
from tallyport.domain.policies import LockPropagation, TransferType
from tallyport.domain.transfer_block import defaults_for
from tallyport.store.database import Database
from tallyport.testing import azure_server, gcs_server, object_servers
from tallyport.testing.object_servers import program
from tallyport.testing.worlds import content
from tests.engine.pairs import End, Way, ledger

SECOND = 1_000_000_000
MOMENT = 1_700_000_000 * SECOND + 123_456_789
STORES = ("azure", "gcs", "gcs_emulator")
IN_CI = os.environ.get("CI", "").lower() == "true"


class Store(NamedTuple):
    """A place on a server, as we and as rclone name it."""

    end: End
    remote: str


class Stores:
    """Servers, each started when first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._known: dict[str, tuple[str, dict[str, object], str]] = {}

    def place(self, name: str) -> Store:
        """Give a new place on a server."""
        if name not in self._known:
            self._known[name] = getattr(self, f"_{name}")()
        platform, settings, remote = self._known[name]
        path = f"pair-{uuid.uuid4().hex[:8]}"
        return Store(End(platform, settings, f"/{path}"), f"{remote}{path}")

    def _azure(self) -> tuple[str, dict[str, object], str]:
        if not azure_server.is_installed() and not IN_CI:
            pytest.skip("needs Azurite: python3 dev.py setup, with npm")
        server = self._stack.enter_context(azure_server.azurite())
        login = f'account={azure_server.ACCOUNT},key="{azure_server.KEY}",endpoint="{server.endpoint}"'
        return "azure_blob", server.settings(), f":azureblob,{login}:{azure_server.CONTAINER}/"

    def _gcs(self) -> tuple[str, dict[str, object], str]:
        return self._google(self._stack.enter_context(gcs_server.fake_gcs(token="")))

    def _gcs_emulator(self) -> tuple[str, dict[str, object], str]:
        if gcs_server.emulator() is None and not IN_CI:
            pytest.skip("needs fake-gcs-server, which has no program for this machine")
        return self._google(self._stack.enter_context(gcs_server.fake_gcs_server()))

    def _google(self, server: gcs_server.GcsServer) -> tuple[str, dict[str, object], str]:
        login = f'anonymous=true,endpoint="{server.endpoint}/storage/v1/"'
        return "gcs", server.settings(), f":googlecloudstorage,{login}:{gcs_server.BUCKET}/"

    def _s3(self) -> tuple[str, dict[str, object], str]:
        server = self._stack.enter_context(object_servers.seaweed())
        return "s3", server.settings(), ""


@pytest.fixture(scope="module")
def stores() -> Iterator[Stores]:
    with ExitStack() as stack:
        yield Stores(stack)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    (tmp_path / "data").mkdir()
    with closing(ledger(tmp_path / "data")) as database:
        yield database


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A tree with an empty folder, odd names, and files of none, one and several requests and parts."""
    root = tmp_path / "source"
    for folder in ("a/deep/er", "empty", "\u00fc \U0001f600"):
        (root / folder).mkdir(parents=True)
    sizes = {
        "nothing": 0,
        "a/one.txt": 1000,
        "a/deep/er/two words & %41+.bin": 3000,
        "\u00fc \U0001f600/caf\u00e9 (1).txt": 4000,
        ".hidden": 5000,
        "big.bin": 12_000_000,
        "huge.bin": 70_000_000,
    }
    for number, (name, size) in enumerate(sizes.items()):
        path = root / name
        path.write_bytes(content(size, number + 1))
        os.utime(path, ns=(MOMENT, MOMENT + number * SECOND))
    return root


def pictured(root: Path) -> dict[str, object]:
    """Give everything below a folder: content and time of files."""
    found: dict[str, object] = {}
    for here, folders, files in os.walk(root):
        for name in folders:
            found[os.path.relpath(os.path.join(here, name), root)] = None
        for name in files:
            path = os.path.join(here, name)
            with open(path, "rb") as stream:
                found[os.path.relpath(path, root)] = (stream.read(), os.stat(path).st_mtime_ns)
    return found


def refereed(source: Path, remote: str) -> None:
    """Have rclone read both sides and say that they are equal."""
    command = [program("rclone"), "check", "--download", "--config", os.devnull, str(source), remote]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "7 matching files" in done.stderr


@pytest.mark.parametrize("store", STORES)
def test_a_tree_comes_back_as_it_went(
    database: Database, stores: Stores, source: Path, tmp_path: Path, store: str
) -> None:
    there, back = stores.place(store), tmp_path / "back"
    way = Way(database, End("fs", {"path": str(source)}), there.end, defaults_for(TransferType.COPY))
    first = way.run()
    assert (first.failed, first.transferred) == (0, 7)
    refereed(source, there.remote)
    again = way.run()
    assert (again.failed, again.transferred, again.writes) == (0, 0, 0), "a second run finds nothing to do"
    home = Way(database, there.end, End("fs", {"path": str(back)}), defaults_for(TransferType.COPY)).run()
    assert home.failed == 0
    assert pictured(back) == pictured(source)


@pytest.mark.parametrize(("one", "other"), [("s3", "azure"), ("azure", "gcs")])
def test_a_tree_goes_from_one_store_to_another(
    database: Database, stores: Stores, source: Path, one: str, other: str
) -> None:
    middle, end = stores.place(one), stores.place(other)
    policies = defaults_for(TransferType.COPY)
    first = Way(database, End("fs", {"path": str(source)}), middle.end, policies).run()
    assert first.failed == 0
    second = Way(database, middle.end, end.end, policies).run()
    assert (second.failed, second.transferred) == (0, 7)
    refereed(source, end.remote)


def test_a_lease_is_mirrored_lets_our_changes_through_and_is_released_after_the_source_s(
    database: Database, stores: Stores
) -> None:
    here, there = stores.place("azure").end, stores.place("azure").end
    policies = replace(defaults_for(TransferType.PUBLISH), lock_propagation=LockPropagation.MIRROR_LOCK)
    ends = [open_connection(end.platform, end.settings, end.path, make=True) for end in (here, there)]
    one, other = ends
    assert isinstance(one, Locks)
    assert isinstance(other, Locks)
    mark = str(uuid.uuid4())  # with it the test's own changes of what it locked go through
    with closing(one), closing(other):
        for name in ("held.txt", "big.bin"):
            one.write(name, [b"first"], Facts())
        locks = {name: one.lock(name, Lock(mark=mark)) for name in ("held.txt", "big.bin")}
        way = Way(database, here, there, policies)
        assert (way.run().transferred, way.run().writes) == (2, 0)
        one.write("held.txt", [b"second"], Facts())
        one.write("big.bin", [content(70_000_000, 2)], Facts(size=70_000_000))
        changed = way.run()
        assert (changed.transferred, changed.failed) == (2, 0)
        with pytest.raises(TallyportError, match="lease"):
            other.write("held.txt", [b"by a stranger"], Facts())
        for name in ("big.bin", "held.txt"):
            one.unlock(name, locks[name])
        one.delete("big.bin")
        last = replace(policies, max_delete_percent=100.0)
        way.policies = last
        ended = way.run()
        assert (ended.deleted, ended.failed) == (1, 0)
        assert other.lock_of("held.txt") is None
        assert other.stat("big.bin") is None
        other.write("held.txt", [b"free"], Facts())
