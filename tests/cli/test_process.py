"""The program as a person runs it: a real process, a real tree, a real Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FILES = 2_000


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TALLYPORT_DATA": str(folder / "data")}
    return subprocess.Popen(
        [sys.executable, "-m", "tallyport", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for n in range(FILES):
        path = tmp_path / "source" / f"folder {n % 40}" / f"file {n}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d " % n * 300)
    return tmp_path


@pytest.mark.acceptance
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=lambda how: how.name)
def test_the_same_command_goes_on_after_an_interruption(tree: Path, how: signal.Signals) -> None:
    process = start(tree, "copy", "source", "destination", "--json")
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None and not any(tree.glob("destination/*/file *")):
        time.sleep(0.005)
    process.send_signal(how)
    code, out, _ = ended(process)
    if how is signal.SIGKILL:
        assert code == -signal.SIGKILL
    else:
        assert code in (0, 130)  # 0: it was faster than the signal
        assert json.loads(out)["status"] == ("paused" if code else "complete")
    code, out, err = ended(start(tree, "copy", "source", "destination", "--json"))
    assert code == 0, err
    report = json.loads(out)
    assert (report["status"], report["items"], report["failed"]) == ("complete", FILES, 0)
    assert files(tree / "destination") == files(tree / "source")


@pytest.mark.acceptance
def test_a_second_process_on_the_data_folder_is_refused_and_named_the_first(tree: Path) -> None:
    import fcntl

    (tree / "data").mkdir()
    with open(tree / "data" / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(json.dumps({"pid": 4711, "command": "tallyport serve", "since": "now"}))
        lock.flush()
        code, _, err = ended(start(tree, "copy", "source", "destination"))
    assert code == 1
    assert "4711" in err
