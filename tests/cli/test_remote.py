"""`tallyport jobs` and `connections` against the real API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tallyport.store import widths, workers
from tallyport.store.workers import WorkerRow
from tests.cli.line import Line
from tests.client.server import Served


@pytest.fixture
def job(line: Line, tmp_path: Path) -> str:
    (tmp_path / "source").mkdir()
    source = line.good("connections", "add", "fs", "--path", str(tmp_path / "source"), "--name", "src")
    destination = line.good("connections", "add", "fs", "--path", str(tmp_path / "destination"), "--make")
    body = {"name": "the job", "kind": "transfer", "transfer": {"transfer_type": "copy"}}
    body["schedule"] = {"mode": "manual"}
    words = ["jobs", "create", "-f", "-", "--source", source, "--destination", destination]
    return line.good(*words, input=json.dumps(body))


def test_connections_are_added_listed_shown_and_removed(line: Line, tmp_path: Path) -> None:
    made = line.good("connections", "add", "fs", "--path", str(tmp_path), "--name", "mine")
    assert f"{made}  fs        mine" in line.good("connections", "list")
    assert "mine" in line.good("connections", "show", made)
    assert line.good("connections", "show", "mine") == line.good("connections", "show", made)
    assert json.loads(line.good("connections", "show", made, "--json"))
    assert line.good("connections", "rm", made) == f"removed {made}"
    assert line.call("connections", "show", made).exit_code == 3


def test_a_connection_is_shown_with_what_each_worker_found(line: Line, served: Served, tmp_path: Path) -> None:
    made = line.good("connections", "add", "fs", "--path", str(tmp_path), "--name", "mine")
    assert "begins" not in line.good("connections", "show", made)
    with served.database.begin() as tx:
        for name in ("ann", "bob"):
            workers.beat(tx, served.database, WorkerRow(name, "host", 1, "1", "", 2, 0, 0, False, None))
        widths.note(tx, served.database, made, "ann", 12, 0.0)
        widths.note(tx, served.database, made, "bob", 6, 60.0)
    shown = line.good("connections", "show", "mine")
    assert "worker    ann: 12 calls at once suit it\n" in shown
    assert "worker    bob: 6 calls at once suit it, and it asks to wait for " in shown
    assert shown.endswith("begins    with 6 calls at once")
    assert len(line.json("connections", "show", made)["traffic"]["workers"]) == 2


def test_a_connection_that_cannot_be_is_a_usage_error(line: Line, tmp_path: Path) -> None:
    assert line.call("connections", "add", "fs", "--path", str(tmp_path / "nowhere")).exit_code == 2
    assert line.call("connections", "add", "gopher", "--path", "/").exit_code == 2
    assert line.call("connections", "add", "fs", "--set", "path").exit_code == 2


def test_a_job_is_made_started_watched_and_shown(line: Line, job: str) -> None:
    assert job in line.good("jobs", "list")
    assert job in line.good("jobs", "start", job)
    watched = line.call("jobs", "watch", job, "--timeout", "10")
    assert watched.exit_code == 0, watched.output
    assert "complete" in watched.stdout
    assert "complete" in line.good("jobs", "show", job)
    assert json.loads(line.good("jobs", "show", job, "--json"))["job"]["id"] == job
    assert line.good("jobs", "delete", job) == f"deleted {job}"
    assert line.call("jobs", "show", job).exit_code == 3


def test_a_verb_that_is_not_valid_now_is_an_error(line: Line, job: str) -> None:
    assert line.call("jobs", "pause", job).exit_code == 1
    assert line.call("jobs", "cancel", "f" * 32).exit_code == 3


def test_without_a_valid_token_the_exit_code_is_4(line: Line) -> None:
    result = line.call("jobs", "list", TALLYPORT_TOKEN="wrong")
    assert result.exit_code == 4
    assert "tallyport tokens create" in result.stderr


def test_the_token_may_come_from_a_file(line: Line, tmp_path: Path, served: Served) -> None:
    (tmp_path / "token").write_text(served.token + "\n")
    result = line.call("jobs", "list", "--token-file", str(tmp_path / "token"), TALLYPORT_TOKEN="")
    assert result.exit_code == 0, result.output
    assert line.call("jobs", "list", "--token-file", str(tmp_path / "none")).exit_code == 1


def test_a_server_that_is_not_there_is_named(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallyport.client.transport.FIRST_WAIT", 0.0)
    result = line.call("jobs", "list", "--url", "http://127.0.0.1:1")
    assert result.exit_code == 1
    assert "127.0.0.1:1" in result.stderr
    assert "tallyport serve" in result.stderr


@pytest.mark.parametrize(("content", "code"), [("{", 2), ("[]", 2), (None, 3)])
def test_a_job_file_that_cannot_be_used(line: Line, tmp_path: Path, content: str | None, code: int) -> None:
    file = tmp_path / "job.json"
    if content is not None:
        file.write_text(content)
    assert line.call("jobs", "create", "-f", str(file)).exit_code == code
