"""What Azure and Google refuse in the middle of a run: waited for as they say, halted for credentials, and gone on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tallyport.domain.policies import TransferType
from tallyport.domain.transfer_block import defaults_for
from tallyport.store.database import Database
from tallyport.testing import azure_server, gcs_server
from tallyport.testing.proxy import Proxy, Trouble, proxied
from tests.engine.pairs import End, Way, ledger, until
from tests.engine.test_object_pairs import IN_CI, pictured

FILES = 6
WAIT = 1  # seconds that the platform asks for


class Storing(NamedTuple):
    """A server behind a bad network, and what a request that stores content looks like there."""

    end: End
    proxy: Proxy
    method: str
    path: str


@contextmanager
def azure() -> Iterator[Storing]:
    if not azure_server.is_installed() and not IN_CI:
        pytest.skip("needs Azurite: python3 dev.py setup, with npm")
    with azure_server.azurite() as server, proxied(server.port) as proxy:
        settings = server.settings(endpoint=f"{proxy.endpoint}/{azure_server.ACCOUNT}")
        yield Storing(End("azure_blob", settings, f"/troubled-{uuid.uuid4().hex[:8]}"), proxy, "PUT", "*/file-*")


@contextmanager
def gcs() -> Iterator[Storing]:
    with gcs_server.fake_gcs(token="") as server, proxied(server.port) as proxy:
        settings = server.settings(endpoint=proxy.endpoint)
        yield Storing(End("gcs", settings, f"/troubled-{uuid.uuid4().hex[:8]}"), proxy, "POST", "*uploadType*")


STORES = {"azure": azure, "gcs": gcs}


@pytest.fixture(params=list(STORES))
def storing(request: pytest.FixtureRequest) -> Iterator[Storing]:
    with STORES[request.param]() as storing:
        yield storing


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    (tmp_path / "data").mkdir()
    with closing(ledger(tmp_path / "data")) as database:
        yield database


def folder(root: Path, files: int) -> Path:
    root.mkdir()
    for number in range(files):
        (root / f"file-{number}").write_bytes(b"content" * (number + 1))
    return root


def came_back(database: Database, there: End, source: Path, back: Path) -> None:
    home = Way(database, there, End("fs", {"path": str(back)}), defaults_for(TransferType.COPY)).run()
    assert home.failed == 0
    assert {name: one[0] for name, one in pictured(back).items()} == {  # type: ignore[index]
        name: one[0]  # type: ignore[index]
        for name, one in pictured(source).items()
    }


@pytest.mark.parametrize("status", [429, 503])
def test_a_file_is_sent_again_no_sooner_than_the_platform_said(
    database: Database, storing: Storing, tmp_path: Path, status: int
) -> None:
    source = folder(tmp_path / "source", 1)
    headers = (("Retry-After", str(WAIT)),)
    storing.proxy.script.append(Trouble(method=storing.method, path=storing.path, status=status, headers=headers))
    ended = Way(database, End("fs", {"path": str(source)}), storing.end, defaults_for(TransferType.COPY)).run()
    assert (ended.result, ended.failed, ended.transferred) == ("clean", 0, 1), ended.info
    ((refused, _),) = storing.proxy.fired
    later = [one.at for one in storing.proxy.matching(storing.method, storing.path) if one.at > refused]
    assert later
    assert min(later) >= refused + WAIT
    came_back(database, storing.end, source, tmp_path / "back")


def test_credentials_refused_midway_halt_the_run_and_it_goes_on_by_itself(
    database: Database, storing: Storing, tmp_path: Path
) -> None:
    source = folder(tmp_path / "source", FILES)
    storing.proxy.script.append(Trouble(method=storing.method, path=storing.path, nth=3, times=None, status=401))
    way = Way(database, End("fs", {"path": str(source)}), storing.end, defaults_for(TransferType.COPY))
    with way.engine() as engine:
        execution_id = way.begin()
        engine.nudge()
        until(lambda: way.find(execution_id).state == "waiting")
        assert way.find(execution_id).failed == 0
        storing.proxy.script.clear()
        ended = way.wait(engine, execution_id)
    assert (ended.result, ended.failed) == ("clean", 0), ended.info
    came_back(database, storing.end, source, tmp_path / "back")
