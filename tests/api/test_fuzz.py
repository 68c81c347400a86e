"""The API is tried out by machine from its own document: whatever is sent, the answer is one that is declared."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import argon2
import pytest

from tallyport.control import users
from tests.client.server import Served, serving

HERE = Path(__file__).parent
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "use_after_free",
    "ignored_auth",
)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(users, "PASSWORDS", argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    with serving(tmp_path) as found:
        yield found


def tried(served: Served, folder: Path, seconds: int, *more: str) -> str:
    """Run Schemathesis for so long; gives what it said."""
    program = os.path.join(os.path.dirname(sys.executable), "st")
    words = ["--max-time", str(seconds), "--checks", ",".join(CHECKS), "--continue-on-failure", "--no-color", *more]
    address = [f"{served.url}/openapi.json", "-H", f"Authorization: Bearer {served.token}"]
    done = subprocess.run(
        [program, "--config-file", str(HERE / "schemathesis.toml"), "run", *address, *words],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert served.token not in said
    assert done.returncode == 0, said[-20_000:]
    return said


def test_every_operation_answers_as_it_declares(served: Served, tmp_path: Path) -> None:
    said = tried(served, tmp_path, 45, "--phases", "coverage,fuzzing,stateful", "--seed", "1")
    assert "Test cases" in said


@pytest.mark.nightly
@pytest.mark.timeout(1_800)
def test_every_operation_answers_as_it_declares_for_long(served: Served, tmp_path: Path) -> None:
    tried(served, tmp_path, 900)
