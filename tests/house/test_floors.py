"""The import contracts of .importlinter catch each kind of breach, shown on a skeleton of the tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FLOORS = ("cli", "api", "web", "control", "engine", "store", "connectors", "domain", "client", "testing")


def build(folder, files: dict[str, str]) -> None:
    """Write a package named tallyport: every floor empty, then these files."""
    skeleton = {f"{floor}/__init__.py": "" for floor in FLOORS} | {"__init__.py": "", "app.py": ""}
    for name, text in (skeleton | files).items():
        path = folder / "tallyport" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def broken(folder) -> tuple[int, set[str]]:
    """Run the contracts over the skeleton; return the status and the names of those broken."""
    shutil.copy(os.path.join(ROOT, ".importlinter"), folder)
    command = [os.path.join(os.path.dirname(sys.executable), "lint-imports"), "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200", "NO_COLOR": "1"}
    result = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    lines = result.stdout.splitlines()
    return result.returncode, {line.partition(" BROKEN")[0] for line in lines if " BROKEN" in line}


CLEAN = {
    "cli/main.py": "import tallyport.app, tallyport.client",
    "app.py": "import tallyport.api, tallyport.web, tallyport.engine, tallyport.control, tallyport.store",
    "api/jobs.py": "import tallyport.control, tallyport.domain",
    "control/jobs.py": "import tallyport.store",
    "engine/dbos_dispatcher.py": "import dbos",
    "engine/visit.py": "import tallyport.engine.dbos_dispatcher, tallyport.connectors, time",
    "testing/worlds.py": "import tallyport.domain, tallyport.connectors, tallyport.store",
    "client/jobs.py": "import httpx2, tallyport, tallyport.client.errors",
    "client/errors.py": "",
}


def test_the_tree_as_it_is_meant_keeps_every_contract(tmp_path) -> None:
    build(tmp_path, CLEAN)
    assert broken(tmp_path) == (0, set())


def test_a_house_without_web_and_test_kit_keeps_every_contract(tmp_path) -> None:
    build(tmp_path, {**CLEAN, "app.py": ""})
    for absent in ("web", "testing", "battery"):
        shutil.rmtree(tmp_path / "tallyport" / absent, ignore_errors=True)
    assert broken(tmp_path) == (0, set())


@pytest.mark.parametrize(
    ("name", "line", "contract"),
    [
        ("domain/decide.py", "import tallyport.store", "Floors"),
        ("store/items.py", "import tallyport.connectors", "Floors"),
        ("control/jobs.py", "def start():\n    import tallyport.engine", "Floors"),
        ("engine/visit.py", "import tallyport.api", "Floors"),
        ("domain/decide.py", "import time", "The domain is pure"),
        ("client/jobs.py", "import tallyport.domain", "The client stands alone"),
        ("api/jobs.py", "import tallyport.client", "Only the command line uses the client"),
        ("engine/visit.py", "import tallyport.testing", "Nothing that is run imports the test kit"),
        ("engine/visit.py", "import dbos", "One module knows the dispatcher's library"),
    ],
)
def test_a_breach_is_caught(tmp_path, name: str, line: str, contract: str) -> None:
    build(tmp_path, {**CLEAN, name: line})
    status, contracts = broken(tmp_path)
    assert status == 1
    assert contract in contracts
