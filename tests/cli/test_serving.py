"""The server as a real process: set up by its link, watched, and ended by a signal with everything closed."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tallyport.testing.servers import free_port

CANARY = "canary-9d1f-password"


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def server(tmp_path: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TALLYPORT_LOG": "debug"}
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tallyport", "serve", "--port", str(port), "--data", str(tmp_path / "data")],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(30)


def call(port: int, path: str, body: Any = None, token: str | None = None) -> Any:
    headers = {"Content-Type": "application/json"} | ({} if token is None else {"Authorization": f"Bearer {token}"})
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(
        urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers), timeout=30
    ) as answer:
        return json.load(answer)


def wait_for(log: Path, pattern: str) -> str:
    until = time.monotonic() + 90
    while time.monotonic() < until:
        if found := re.search(pattern, log.read_text("utf-8", "replace")):
            return found.group(1)
        time.sleep(0.1)
    raise AssertionError(log.read_text("utf-8", "replace"))


def test_a_server_is_set_up_watched_and_ended_with_its_ledger_closed(
    server: subprocess.Popen[bytes], tmp_path: Path, port: int
) -> None:
    link = wait_for(tmp_path / "log", r"/setup#token=(\S+)")
    wait_for(tmp_path / "log", r"(serves on)")
    until = time.monotonic() + 60
    while True:
        try:
            assert call(port, "/v1/setup") == {"needed": True}
            break
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.1)
    made = call(port, "/v1/setup", {"token": link, "name": "root", "password": CANARY})
    token = made["data"]["token"]
    watching = threading.Event()
    ended = threading.Event()

    def watch() -> None:
        headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
        request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/events", headers=headers)
        with urllib.request.urlopen(request, timeout=60) as stream:
            stream.readline()
            watching.set()
            stream.read()
        ended.set()

    threading.Thread(target=watch, daemon=True).start()
    assert watching.wait(60)
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0
    assert ended.wait(10)
    data = tmp_path / "data"
    # The last to close it folds the log into the ledger: it ended by itself and was not cut off.
    assert not (data / "ledger.db-wal").exists()
    assert stat.S_IMODE((data / "secret.key").stat().st_mode) == 0o600
    for path in (tmp_path / "log", *data.iterdir()):
        content = path.read_bytes()
        assert CANARY.encode() not in content, path
        assert token.encode() not in content, path
    for line in (tmp_path / "log").read_text().splitlines():
        if line.startswith("{"):
            assert json.loads(line)["event"]
