"""A server that lists names which lead elsewhere writes nothing elsewhere, and has nothing deleted."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tallyport.connectors import ftp, smb_reading
from tallyport.domain.policies import TransferType
from tallyport.domain.transfer_block import defaults_for
from tallyport.store.database import Database
from tallyport.testing import share_servers
from tests.engine.pairs import End, Way
from tests.engine.places import Places, kind

MIRROR = dataclasses.replace(defaults_for(TransferType.PUBLISH), max_delete_percent=100.0)
DECOY = "decoy"  # what the server has where it lists a name that is none
NAMES = ["../evil", "a/b", "x\0y"]


def listing(name: str) -> type[asyncssh.SFTPServer]:
    """Give a server that lists a name in the place of the decoy."""

    class Lying(asyncssh.SFTPServer):
        async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
            async for one in super().scandir(path):
                if one.filename == DECOY.encode():
                    one.filename = name.encode()
                yield one

    return Lying


@contextmanager
def sftp(places: Places, monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[tuple[End, Path]]:
    with share_servers.asyncssh_server(version=3, server=listing(name)) as server:
        yield End("sftp", server.settings), Path(server.folder)


@contextmanager
def over_ftp(places: Places, monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[tuple[End, Path]]:
    read = ftp.facts_entry
    monkeypatch.setattr(ftp, "facts_entry", lambda line: read(line.replace(DECOY, name)))
    place = places.new("ftp")
    folder = Path(places.folders["ftp"], place.end.path[1:])
    folder.mkdir()
    yield place.end, folder


@contextmanager
def smb(places: Places, monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[tuple[End, Path]]:
    batches = smb_reading.Reading._batches

    def lying(self: Any, *arguments: Any) -> Iterator[Any]:
        for batch in batches(self, *arguments):
            yield [one._replace(name=name) if one.name == DECOY else one for one in batch]

    monkeypatch.setattr(smb_reading.Reading, "_batches", lying)
    place = places.new("smb")
    folder = Path(places.folders["smb"], place.end.path[1:])
    folder.mkdir()
    yield place.end, folder


SERVERS: dict[str, Callable[..., Any]] = {"sftp": sftp, "ftp": over_ftp, "smb": smb}


@pytest.mark.parametrize("server", [pytest.param("sftp"), kind("ftp"), kind("smb")])
@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_leads_elsewhere_is_said_and_nothing_is_written_or_deleted(
    database: Database, places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: str, name: str
) -> None:
    destination = tmp_path / "outer" / "destination"
    destination.mkdir(parents=True)
    (destination / "stays.txt").write_bytes(b"only here")
    with SERVERS[server](places, monkeypatch, name) as (source, folder):
        for one in ("good.txt", DECOY):
            (folder / one).write_bytes(one.encode())
        run = Way(database, source, End("fs", {"path": str(destination)}), MIRROR).run()
    assert run.failed == 1, run.info
    assert run.deleted == 0
    assert "stays.txt" in os.listdir(destination)
    assert os.listdir(tmp_path / "outer") == ["destination"]
    assert not os.path.exists("/tmp/evil")
