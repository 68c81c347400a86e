"""The API is tried out by machine from its own document: whatever is sent, the answer is one that is declared."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import argon2
import pytest

from tallyport.client import Client
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

STAYS = (
    ("DELETE", "/v1/jobs/{job}"),
    ("DELETE", "/v1/connections/{connection}"),
    ("DELETE", "/v1/webhooks/{webhook}"),
    ("PATCH", "/v1/users/{user}"),
)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(users, "PASSWORDS", argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    with serving(tmp_path) as found:
        yield found


def tried(served: Served, folder: Path, seconds: int, *more: str, known: bool) -> str:
    """Run Schemathesis for so long; gives what it said. ``known``: with ids of what is there, which then stays."""
    config = (HERE / "schemathesis.toml").read_text("utf-8")
    if known:
        places = "".join(f'"path.{name}" = "{value}"\n' for name, value in things(served, folder).items())
        config = f"[parameters]\n{places}\n{config}" + "".join(
            f'\n[[operations]]\ninclude-path = "{path}"\ninclude-method = "{method}"\nenabled = false\n'
            for method, path in STAYS
        )
    (folder / "schemathesis.toml").write_text(config, "utf-8")
    program = os.path.join(os.path.dirname(sys.executable), "st")
    words = ["--max-time", str(seconds), "--checks", ",".join(CHECKS), "--continue-on-failure", "--no-color", *more]
    address = [f"{served.url}/openapi.json", "-H", f"Authorization: Bearer {served.token}"]
    done = subprocess.run(
        [program, "--config-file", str(folder / "schemathesis.toml"), "run", *address, *words],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    said = done.stdout + done.stderr
    assert served.token not in said
    assert done.returncode == 0, said[-20_000:]
    return said


def things(served: Served, folder: Path) -> dict[str, str]:
    """Make one thing of each kind and give their ids."""
    with Client(served.url, served.token) as client:
        ends = [client.connections.create("fs", {"path": str(folder / name)}, make=True) for name in ("a", "b")]
        job = client.jobs.create(name="tried", source=ends[0], destination=ends[1], transfer_type="copy")
        client.jobs.start(job)
        webhook = client.webhooks.create("http://127.0.0.1:9/")
    known = {"job": job.id, "connection": ends[0].id, "webhook": webhook.id, "user": "ann", "platform": "fs"}
    return known | dict.fromkeys(("event", "execution", "item", "delivery"), "1")


def test_every_operation_answers_as_it_declares(served: Served, tmp_path: Path) -> None:
    said = tried(served, tmp_path, 25, "--phases", "coverage,fuzzing", "--seed", "1", known=True)
    assert "Test cases" in said
    tried(served, tmp_path, 20, "--phases", "fuzzing,stateful", "--seed", "1", known=False)


@pytest.mark.nightly
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("known", [True, False])
def test_every_operation_answers_as_it_declares_for_long(served: Served, tmp_path: Path, known: bool) -> None:
    tried(served, tmp_path, 900, known=known)
