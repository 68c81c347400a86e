"""An upload that is killed again and again sends again what was under way, and no more."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tallyport.testing import object_servers
from tallyport.testing.object_servers import ACCESS_KEY, BUCKET, SECRET_KEY
from tallyport.testing.proxy import Passed, proxied

MIB = 1024 * 1024
PIECES = 8  # of one part of ours, as the platform has them
RECORDED = 3.0  # seconds after its last piece, at which a part is in the ledger for certain


def killed(tmp_path: Path, size: int, kills: int) -> None:
    (tmp_path / "source").mkdir()
    block = os.urandom(MIB)
    with open(tmp_path / "source/big", "wb") as file:
        for number in range(size // MIB):
            file.write(number.to_bytes(8, "big") + block[8:])
    with object_servers.seaweed() as server, proxied(int(server.endpoint.rpartition(":")[2])) as proxy:
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": proxy.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }
        command = [sys.executable, "-m", "tallyport", "copy", f"{tmp_path}/source", f"s3://{BUCKET}/killed"]
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
            assert sent_again(proxy.matching("PUT"), at) == set()
        assert proxy.sent("PUT") <= size * (1 + len(kills_at))
        back = [sys.executable, "-m", "tallyport", "copy", f"s3://{BUCKET}/killed", f"{tmp_path}/back"]
        assert subprocess.run([*back, "--data", f"{tmp_path}/data", "-q"], env=environment, timeout=600).returncode == 0
        assert subprocess.run(["cmp", f"{tmp_path}/source/big", f"{tmp_path}/back/big"]).returncode == 0


def sent_again(puts: list[Passed], at: float) -> set[int]:
    """Give the parts that were whole and recorded when the process was killed, and were sent once more."""
    pieces = [(int(found[1]) - 1, put) for put in puts if (found := re.search(r"partNumber=(\d+)", put.path))]
    before = {number for number, put in pieces if put.status == 200 and put.at < at - RECORDED}
    whole = {number // PIECES for number, _ in pieces} - {n // PIECES for n, _ in pieces if n not in before}
    return whole & {number // PIECES for number, put in pieces if put.at > at}


@pytest.mark.acceptance
@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_a_gibibyte_killed_ten_times(tmp_path: Path) -> None:
    killed(tmp_path, 1024 * MIB, 10)


@pytest.mark.acceptance
def test_a_big_file_killed_twice(tmp_path: Path) -> None:
    killed(tmp_path, 160 * MIB, 2)
