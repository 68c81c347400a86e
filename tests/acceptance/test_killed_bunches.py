"""Small files that go together over S3, killed in the middle: the next start ends with the right objects, once each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tallyport.connectors.protocol import Facts
from tallyport.connectors.registry import platform
from tallyport.connectors.s3 import Settings, open_s3
from tallyport.testing import compare, faults, object_servers
from tallyport.testing.object_servers import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server
from tallyport.testing.proxy import Proxy, proxied
from tallyport.testing.worlds import content
from tests.acceptance import product
from tests.acceptance.product import DONE

FOLDERS, FILES = 2, 300  # a bunch holds 256

pytestmark = pytest.mark.timeout(300)


def made_tree(root: Path) -> Path:
    for number in range(FOLDERS * FILES):
        path = root / f"folder-{number % FOLDERS}" / f"file-{number:04}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(number * 7, number % 251))
        os.utime(path, ns=(0, (1_600_000_000 + number) * 10**9))
    return root


def seen(root: Path) -> dict[str, tuple[bytes, int]]:
    """Give content and time of every file by its path."""
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def killed(command: list[str], environment: dict[str, str], proxy: Proxy, method: str, count: int, log: Path) -> bool:
    """Run until so many requests more have come, and kill; False when it ended before."""
    before = len(proxy.matching(method, f"*/{BUCKET}/*"))

    def is_due() -> bool:
        return program.poll() is not None or len(proxy.matching(method, f"*/{BUCKET}/*")) - before >= count

    with log.open("ab") as said:
        program = faults.spawn(command, env=environment, stdout=subprocess.DEVNULL, stderr=said)
        try:
            assert faults.wait_until(is_due, 120), log.read_text()
            was_running = program.poll() is None
        finally:
            faults.kill(program)
    return was_running


def settle(
    arguments: tuple[str, ...],
    data: str,
    environment: dict[str, str],
    proxy: Proxy,
    method: str,
    moments: Sequence[int],
    log: Path,
) -> int:
    """Have a run killed after each number of objects on their way, then let it end."""
    command = [*product.PROGRAM, *arguments]
    kills = 0
    for count in moments:
        kills += killed(command, environment, proxy, method, count, log)
        open_runs = product.rows(data, "SELECT id FROM executions WHERE ended_at IS NULL ORDER BY id DESC LIMIT 1")
        if not open_runs:
            break
        command = [*product.PROGRAM, "runs", "resume", str(open_runs[0][0]), "-q"]
    else:
        last = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)
        assert last.returncode == DONE, last.stderr
    return kills


@pytest.mark.parametrize("moments", [(40,), pytest.param((1, 260, 40), marks=pytest.mark.nightly)])
def test_small_files_killed_on_their_way_there_and_back(tmp_path: Path, moments: Sequence[int]) -> None:
    source, back, data = made_tree(tmp_path / "source"), tmp_path / "back", str(tmp_path / "data")
    with object_servers.seaweed() as server, proxied(int(server.endpoint.rpartition(":")[2])) as proxy:
        environment = product.environment(data) | {
            "AWS_ENDPOINT_URL": proxy.endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": "us-east-1",
        }
        foreign(server)
        there = f"s3://{BUCKET}/killed"
        kills = settle(
            ("copy", str(source), there, "-q"), data, environment, proxy, "PUT", moments, tmp_path / "there.log"
        )
        assert kills >= 1, "no run was killed in the middle"
        kills = settle(
            ("copy", there, str(back), "-q"), data, environment, proxy, "GET", moments, tmp_path / "back.log"
        )
        assert kills >= 1, "no run was killed in the middle"
    assert (back / "folder-0" / "somebody else's").read_bytes() == b"not yours"
    (back / "folder-0" / "somebody else's").unlink()
    assert compare.leftovers(str(back)) == []
    assert seen(back) == seen(source)


def foreign(server: S3Server) -> None:
    """Put something at the destination that is not ours."""
    settings = platform("s3").read_settings(server.settings())
    assert isinstance(settings, Settings)
    connector = open_s3(settings, "killed", make=True)
    try:
        connector.write("folder-0/somebody else's", [b"not yours"], Facts(9))
    finally:
        connector.close()
