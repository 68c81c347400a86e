"""Over a bad line to a share every item is right or said: nothing damaged counts as carried or stays half done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tallyport.domain.policies import TransferType
from tallyport.domain.transfer_block import defaults_for
from tallyport.store.database import Database
from tallyport.testing import ftp_servers, share_servers
from tallyport.testing.proxy import Trouble, proxied
from tallyport.testing.wire import Snag, wired
from tallyport.testing.worlds import content
from tests.engine.pairs import End, Way, ledger, until

MIB = 1024 * 1024
BIG = 2 * MIB
SIXTEENTHS = [BIG * n // 16 for n in range(1, 17)]
PROGRAMS = {"sftp": "sshd", "smb": "smbd"}
SHARES = [pytest.param(name, marks=[pytest.mark.needs(PROGRAMS[name])] if name in PROGRAMS else []) for name in
          ("sftp", "smb", "wsgidav", "ftp")]  # fmt: skip


class Served:
    """A share, and what leads to it by another port."""

    def __init__(self, port: int, end: Callable[[int], End]) -> None:
        self.port = port
        self.end = end


class Shares:
    """Servers, each started when first asked for."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._known: dict[str, Served] = {}

    def get(self, name: str) -> Served:
        if name not in self._known:
            self._known[name] = getattr(self, f"_{name}")()
        return self._known[name]

    def _sftp(self) -> Served:
        server = self._stack.enter_context(share_servers.openssh())
        return Served(server.port, lambda port: End("sftp", {**server.settings, "port": port, "timeout": 5.0}))

    def _smb(self) -> Served:
        server = self._stack.enter_context(share_servers.samba())
        return Served(server.port, lambda port: End("smb", {**server.settings("files"), "port": port, "timeout": 5.0}))

    def _wsgidav(self) -> Served:
        server = self._stack.enter_context(share_servers.wsgidav())
        port = int(server.url.rpartition(":")[2].partition("/")[0])
        here = f":{port}"
        return Served(
            port,
            lambda port: End(
                "webdav", {**server.settings, "url": server.url.replace(here, f":{port}"), "timeout": 5.0}
            ),
        )

    def _ftp(self) -> Served:
        server = self._stack.enter_context(ftp_servers.pyftpdlib())
        return Served(server.port, lambda port: End("ftp", {**server.settings, "port": port, "timeout": 5.0}))


@pytest.fixture(scope="module")
def shares() -> Iterator[Shares]:
    with ExitStack() as stack:
        yield Shares(stack)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    (tmp_path / "data").mkdir()
    with closing(ledger(tmp_path / "data")) as database:
        yield database


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    (root / "deep").mkdir(parents=True)
    for number in range(12):
        (root / "deep" / f"small-{number}").write_bytes(content(5_000 * number, number))
    (root / "big").write_bytes(content(BIG, 77))
    return root


def seen(root: Path) -> dict[str, bytes]:
    return {
        os.path.relpath(os.path.join(here, name), root): Path(here, name).read_bytes()
        for here, _, names in os.walk(root)
        for name in names
    }


def snags(share: str, *, up: bool, places: list[int]) -> list[Snag]:
    """Give a trouble of each kind in turn. Of FTP only commands pass here: data have connections of their own.

    A flipped bit is found by SSH and by the signatures of SMB; plain HTTP has nothing to find it with.
    """
    if share == "ftp":
        return [Snag(at=at, up=up, **{kind: True}) for at, kind in ((900, "cuts"), (1_000, "resets"))]  # type: ignore[arg-type]
    kinds = ("cuts", "flips", "resets") if share in ("sftp", "smb") else ("cuts", "resets")
    made = [Snag(at=at, up=up, **{kinds[n % len(kinds)]: True}) for n, at in enumerate(places)]  # type: ignore[arg-type]
    return [Snag(at=places[0] // 2, up=up, delay=0.2), *made]


FEW = [SIXTEENTHS[2], SIXTEENTHS[9]]
EVERY = [pytest.param(FEW, id="few"), pytest.param(SIXTEENTHS, id="sixteenths", marks=pytest.mark.nightly)]


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("places", EVERY)
def test_a_bad_line_there_and_back_leaves_every_item_right_or_said(
    database: Database, shares: Shares, source: Path, tmp_path: Path, share: str, places: list[int]
) -> None:
    served, policies = shares.get(share), defaults_for(TransferType.COPY)
    path = f"/troubled-{os.urandom(4).hex()}"
    here = seen(source)

    def right_or_said(place: Path, failed: int) -> None:
        there = seen(place)
        assert there == {name: here[name] for name in there}
        assert len(here) - len(there) <= failed

    with wired(served.port, *snags(share, up=True, places=places)) as wire:
        there = served.end(wire.port)._replace(path=path)
        up = Way(database, End("fs", {"path": str(source)}), there, policies).run()
        assert up.state == "complete", up.info
        assert wire.fired
    calm = served.end(served.port)._replace(path=path)
    assert Way(database, calm, End("fs", {"path": str(tmp_path / "calm")}), policies).run().failed == 0
    right_or_said(tmp_path / "calm", up.failed)

    fixed = Way(database, End("fs", {"path": str(source)}), calm, policies).run()
    assert fixed.failed == 0, "what was said to have failed is carried by the next run"
    with wired(served.port, *snags(share, up=False, places=places)) as wire:
        there = served.end(wire.port)._replace(path=path)
        down = Way(database, there, End("fs", {"path": str(tmp_path / "back")}), policies).run()
        assert down.state == "complete", down.info
        assert wire.fired
    right_or_said(tmp_path / "back", down.failed)


@pytest.mark.parametrize("status", [429, 503])
def test_nothing_is_sent_to_a_webdav_server_before_the_time_that_it_gave(
    database: Database, shares: Shares, source: Path, status: int
) -> None:
    served, path = shares.get("wsgidav"), f"/held-{os.urandom(4).hex()}"
    content = "*.tallyport-[0-9a-f]*"  # not what is written to try the server out
    trouble = Trouble(method="PUT", path=content, nth=4, status=status, headers=(("Retry-After", "2"),))
    with proxied(served.port, trouble) as proxy:
        there = served.end(proxy.port)._replace(path=path)
        ended = Way(database, End("fs", {"path": str(source)}), there, defaults_for(TransferType.COPY)).run()
        assert (ended.result, ended.failed) == ("clean", 0), ended.info
        ((refused, _),) = proxy.fired
        # What was under way when the answer came may still arrive; what begins after it waits.
        early = [one for one in proxy.passed if refused + 0.3 < one.at < refused + 1.9]
        assert early == []


def test_a_webdav_server_that_refuses_the_credentials_midway_is_waited_for(
    database: Database, shares: Shares, source: Path, tmp_path: Path
) -> None:
    served, path = shares.get("wsgidav"), f"/refused-{os.urandom(4).hex()}"
    trouble = Trouble(method="PUT", path="*.tallyport-[0-9a-f]*", nth=3, times=None, status=401)
    with proxied(served.port, trouble) as proxy:
        there = served.end(proxy.port)._replace(path=path)
        way = Way(database, End("fs", {"path": str(source)}), there, defaults_for(TransferType.COPY))
        with way.engine() as engine:
            execution_id = way.begin()
            engine.nudge()
            until(lambda: way.find(execution_id).state == "waiting")
            assert way.find(execution_id).failed == 0
            proxy.script.clear()
            ended = way.wait(engine, execution_id)
    assert (ended.result, ended.failed) == ("clean", 0), ended.info
    calm = served.end(served.port)._replace(path=path)
    assert (
        Way(database, calm, End("fs", {"path": str(tmp_path / "back")}), defaults_for(TransferType.COPY)).run().failed
        == 0
    )
    assert seen(tmp_path / "back") == seen(source)
