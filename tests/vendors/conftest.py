"""A server as people run it, in a process of its own, for the vendors' clients."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PASSWORD = "a-long-enough-password"


@dataclass
class Server:
    """Where it is, and how to come in."""

    url: str
    token: str
    folder: Path

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Ask with no client but the standard library's."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, {"Authorization": f"Bearer {self.token}"})
        request.method = method
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def connection(self, name: str, files: dict[str, str] | None = None) -> str:
        """Make a folder with some files, and a connection to it."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        for path, content in (files or {}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content)
        made = self.call(
            "POST", "/v1/connections", {"name": name, "platform": {"id": "fs"}, "auth": {"path": str(folder)}}
        )
        return str(made["connection"]["id"])

    def until(self, job: str, *states: str) -> dict[str, Any]:
        """Wait until a job's newest run is in one of some states."""
        deadline = time.monotonic() + 60
        while True:
            found = self.call("GET", f"/v1/jobs/{job}?profile=flatfile")["data"]
            if found["status"] in states:
                return dict(found)
            assert time.monotonic() < deadline, found
            time.sleep(0.05)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("vendors")
    environment = {**os.environ, "TALLYPORT_DATA": str(folder / "data")}
    tallyport = [sys.executable, "-m", "tallyport"]

    def run(*arguments: str, given: str = "") -> str:
        done = subprocess.run(
            [*tallyport, *arguments], env=environment, input=given, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    run("users", "add", "ann", "--role", "admin", "--password-stdin", given=PASSWORD)
    token = run("tokens", "create", "--user", "ann")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with open(folder / "log", "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            [*tallyport, "serve", "--port", str(port), "--workers", "1"], env=environment, stderr=log, stdout=log
        )
    found = Server(f"http://127.0.0.1:{port}", token, folder)
    try:
        _wait(found, process, folder / "log")
        yield found
    finally:
        process.terminate()
        process.wait(20)


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{server.url}/healthz", timeout=5):
                return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
