"""A server as people run it, in a process of its own, for the vendors' clients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tallyport.testing.servers import free_port

PASSWORD = "a-long-enough-password"
TALLYPORT = [sys.executable, "-m", "tallyport"]


@dataclass
class Server:
    """Where it is, and how to come in."""

    url: str
    token: str
    folder: Path

    def call(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> Any:
        """Ask with no client but the standard library's."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}"} | ({} if key is None else {"Idempotency-Key": key})
        request = urllib.request.Request(f"{self.url}{path}", data, headers)
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
    token = first_user(folder)
    found, process = started(folder, token)
    try:
        yield found
    finally:
        process.terminate()
        process.wait(20)


def first_user(folder: Path) -> str:
    """Make an administrator in a data folder; gives a token."""

    def run(*arguments: str, given: str = "") -> str:
        command = [*TALLYPORT, *arguments]
        done = subprocess.run(
            command, env=_environment(folder), input=given, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    run("users", "add", "ann", "--role", "admin", "--password-stdin", given=PASSWORD)
    return run("tokens", "create", "--user", "ann")


def started(folder: Path, token: str) -> tuple[Server, subprocess.Popen[bytes]]:
    """Start a server over a data folder, and wait until it answers."""
    port = free_port()
    command = [*TALLYPORT, "serve", "--port", str(port), "--workers", "1"]
    with open(folder / "log", "a", encoding="utf-8") as log:
        process = subprocess.Popen(command, env=_environment(folder), stderr=log, stdout=log)
    found = Server(f"http://127.0.0.1:{port}", token, folder)
    try:
        _wait(found, process, folder / "log")
    except BaseException:
        process.kill()
        process.wait(20)
        raise
    return found, process


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "TALLYPORT_DATA": str(folder / "data")}


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
