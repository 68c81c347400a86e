"""An upload that is killed again and again sends again what was under way, and no more."""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote

import asyncssh
import pytest

from tallyport.connectors.hashing import PART
from tallyport.testing import azure_server, gcs_server, object_servers, share_servers
from tallyport.testing.object_servers import ACCESS_KEY, BUCKET, SECRET_KEY
from tallyport.testing.proxy import Passed, proxied
from tests.bench.remote import saved

MIB = 1024 * 1024
RECORDED = 3.0  # seconds after its last piece, at which a part is in the ledger for certain
STORES = ("s3", "azure", "gcs")


class Heard(Protocol):
    """What saw the requests come."""

    def sent(self, method: str = "PUT") -> int: ...

    def matching(self, method: str) -> list[Passed]: ...


class Store(NamedTuple):
    """A store behind what counts, and how its requests name the pieces of a part."""

    proxy: Heard
    address: str
    environment: dict[str, str]
    pieces: int  # of one part of ours, as the platform has them
    number_of: Callable[[str], int | None]  # of the piece that a request brings


@contextmanager
def s3() -> Iterator[Store]:
    with object_servers.seaweed() as server, proxied(int(server.endpoint.rpartition(":")[2])) as proxy:
        environment = {
            "AWS_ENDPOINT_URL": proxy.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }
        yield Store(proxy, f"s3://{BUCKET}/killed", environment, 8, _part_of_s3)


def _part_of_s3(path: str) -> int | None:
    found = re.search(r"partNumber=(\d+)", path)
    return int(found[1]) - 1 if found else None


@contextmanager
def azure() -> Iterator[Store]:
    if not azure_server.is_installed() and os.environ.get("CI", "").lower() != "true":
        pytest.skip("needs Azurite: python3 dev.py setup, with npm")
    with azure_server.azurite() as server, proxied(server.port) as proxy:
        text = server.connection_string.replace(f":{server.port}/", f":{proxy.port}/")
        address = f"az://{azure_server.ACCOUNT}/{azure_server.CONTAINER}/killed"
        yield Store(proxy, address, {"AZURE_STORAGE_CONNECTION_STRING": text}, 8, _block_of_azure)


def _block_of_azure(path: str) -> int | None:
    found = re.search(r"blockid=([^&]+)", path)
    return int(base64.b64decode(unquote(found[1])).rpartition(b"-")[2]) if found else None


@contextmanager
def gcs() -> Iterator[Store]:
    with gcs_server.fake_gcs(token="") as server, proxied(server.port) as proxy:
        yield Store(
            proxy, f"gs://{gcs_server.BUCKET}/killed", {"STORAGE_EMULATOR_HOST": proxy.endpoint}, 1, _part_of_gcs
        )


def _part_of_gcs(path: str) -> int | None:
    found = re.search(r"name=[^&]*\.tallyport-[^&]*-([0-9a-f]+)(?:&|$)", path)
    return int(found[1], 16) if found else None


class Written:
    """What an SFTP server was given to write, in pieces of a MiB."""

    def __init__(self) -> None:
        self._writes: list[Passed] = []

    def sent(self, method: str = "PUT") -> int:
        return sum(one.up for one in self._writes)

    def matching(self, method: str) -> list[Passed]:
        return [one for one in self._writes if one.method == method]

    def note(self, offset: int, size: int) -> None:
        self._writes.append(Passed(time.monotonic(), "PUT", str(offset // MIB), size, 0, 200))


@contextmanager
def sftp(data: Path) -> Iterator[Store]:
    """Serve from this process; nobody between the two could read what passes."""
    written = Written()

    class Counting(asyncssh.SFTPServer):
        def write(self, file_obj: object, offset: int, data: bytes) -> Any:
            done = super().write(file_obj, offset, data)
            if len(data) >= 1024:  # less is a canary of the probe
                written.note(offset, len(data))
            return done

    with share_servers.asyncssh_server(version=3, server=Counting) as server:
        saved(data, "sftp", server.settings)
        yield Store(written, "bench:/killed", {}, PART // MIB, int)


def killed(tmp_path: Path, store: Store, size: int, kills: int) -> None:
    (tmp_path / "source").mkdir()
    block = os.urandom(MIB)
    with open(tmp_path / "source/big", "wb") as file:
        for number in range(size // MIB):
            file.write(number.to_bytes(8, "big") + block[8:])
    proxy, environment = store.proxy, {**os.environ, **store.environment}
    command = [sys.executable, "-m", "tallyport", "copy", f"{tmp_path}/source", store.address]
    command += ["--data", f"{tmp_path}/data", "-q"]
    kills_at = []
    for kill in range(kills):
        target = proxy.sent("PUT") + size // (2 * kills)
        process = subprocess.Popen(command, env=environment, start_new_session=True)
        end = time.monotonic() + 300
        while proxy.sent("PUT") < target and process.poll() is None:
            assert time.monotonic() < end, f"kill {kill}: only {proxy.sent('PUT')} bytes were sent"
            time.sleep(0.02)
        if process.poll() is None:
            kills_at.append(time.monotonic())
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert kills_at, "it was killed"
    for at in kills_at:
        assert sent_again(store, at) == set()
    assert proxy.sent("PUT") <= size * (1 + len(kills_at))
    back = [sys.executable, "-m", "tallyport", "copy", store.address, f"{tmp_path}/back"]
    assert subprocess.run([*back, "--data", f"{tmp_path}/data", "-q"], env=environment, timeout=600).returncode == 0
    assert subprocess.run(["cmp", f"{tmp_path}/source/big", f"{tmp_path}/back/big"]).returncode == 0


def sent_again(store: Store, at: float) -> set[int]:
    """Give the parts that were whole and recorded when the process was killed, and were sent once more."""
    pieces: list[tuple[int, Passed]] = []
    for put in store.proxy.matching("PUT"):
        number = store.number_of(put.path)
        if number is not None and "tallyport-probe" not in put.path:
            pieces.append((number, put))
    before = {number for number, put in pieces if put.status in (200, 201) and put.at < at - RECORDED}
    of = store.pieces
    whole = {number // of for number, _ in pieces} - {n // of for n, _ in pieces if n not in before}
    return whole & {number // of for number, put in pieces if put.at > at}


@pytest.mark.acceptance
@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", STORES)
def test_a_gibibyte_killed_ten_times(tmp_path: Path, kind: str) -> None:
    with {"s3": s3, "azure": azure, "gcs": gcs}[kind]() as store:
        killed(tmp_path, store, 1024 * MIB, 10)


@pytest.mark.acceptance
@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_a_gibibyte_over_sftp_killed_ten_times(tmp_path: Path) -> None:
    with sftp(tmp_path / "data") as store:
        killed(tmp_path, store, 1024 * MIB, 10)


@pytest.mark.acceptance
def test_a_big_file_over_sftp_killed_twice(tmp_path: Path) -> None:
    with sftp(tmp_path / "data") as store:
        killed(tmp_path, store, 160 * MIB, 2)


@pytest.mark.acceptance
@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_a_big_file_killed_twice(tmp_path: Path, kind: str) -> None:
    with {"s3": s3, "azure": azure, "gcs": gcs}[kind]() as store:
        killed(tmp_path, store, 160 * MIB, 2)
