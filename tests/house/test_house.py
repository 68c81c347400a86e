"""The set-up keeps its promises: old Pythons get a sentence, requirements are hashed, and CI runs check."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import socket
import sys
import tomllib

import pytest

import dev
import tallyport

ROOT = dev.ROOT
SETS = ("boot", "run", "dev", "bench")


def text(*path: str) -> str:
    """Read a file of the checkout."""
    with open(os.path.join(ROOT, *path), encoding="utf-8") as stream:
        return stream.read()


def pins(name: str) -> dict[str, str]:
    """Read the package names and versions of a compiled requirements file."""
    return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text("requirements", f"{name}.txt"), re.MULTILINE))


def test_the_bootstrapper_can_be_read_by_a_python_that_is_too_old() -> None:
    ast.parse(text("dev.py"), feature_version=(3, 8))


def test_a_python_that_is_too_old_gets_a_sentence(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(dev, "newer_python", lambda: None)
    assert dev.main(["demo"]) == 2
    assert "needs Python 3.11 or newer" in capsys.readouterr().err


def test_the_bootstrapper_needs_the_standard_library_only() -> None:
    names = set()
    for node in ast.walk(ast.parse(text("dev.py"))):
        if isinstance(node, ast.Import):
            names |= {name.name.split(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).split(".")[0])
    assert names <= sys.stdlib_module_names


def test_help_names_every_command(capsys) -> None:
    assert dev.main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"  {name} " in said for name in dev.COMMANDS)


def test_a_wrong_call_ends_with_status_two(capsys) -> None:
    assert dev.main(["dmeo"]) == 2
    assert "'dmeo'" in capsys.readouterr().err


@pytest.mark.parametrize("name", SETS)
def test_every_requirement_is_pinned_and_hashed_and_names_no_address(name: str) -> None:
    compiled = text("requirements", f"{name}.txt")
    blocks = re.split(r"\n(?=[a-z])", compiled.strip())
    assert all("--hash=sha256:" in block and "==" in block for block in blocks)
    assert "://" not in compiled
    assert "/" not in compiled.replace("\\\n", "")


def test_each_set_contains_the_one_before_it() -> None:
    assert pins("run").items() <= pins("dev").items() <= pins("bench").items()


def test_every_runtime_dependency_is_in_the_run_set() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    names = {re.split(r"[\[<>=~ ]", dependency)[0] for dependency in project["dependencies"]}
    assert names <= pins("run").keys()


def test_ci_runs_check() -> None:
    assert text(".ci", "run").rstrip().endswith("exec python3 dev.py check")
    assert os.access(os.path.join(ROOT, ".ci", "run"), os.X_OK)


def test_a_program_that_is_missing_in_ci_is_an_error(monkeypatch) -> None:
    monkeypatch.setattr(dev, "IN_CI", True)
    monkeypatch.setattr(dev, "may_use_apt", lambda: False)
    with pytest.raises(dev.Failure, match="no-such-program"):
        dev.provide({"no-such-program": "no-such-package"})


def test_a_program_that_is_missing_elsewhere_is_said(monkeypatch, capsys) -> None:
    monkeypatch.setattr(dev, "IN_CI", False)
    monkeypatch.setattr(dev, "may_use_apt", lambda: False)
    dev.provide({"no-such-program": "no-such-package"})
    assert "apt-get install no-such-package" in capsys.readouterr().out


def test_pytest_runs_on_two_processes_unless_told_otherwise() -> None:
    assert dev.pytest_command(["-k", "a"])[3:] == ["-n", "2", "-k", "a"]
    assert dev.pytest_command(["-n0"])[3:] == ["-n0"]


def test_the_package_says_its_version() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", tallyport.__version__)


def test_tests_reach_loopback_only() -> None:
    with socket.socket() as stranger, pytest.raises(OSError, match="loopback only"):
        stranger.connect(("192.0.2.1", 9))
    with pytest.raises(socket.gaierror, match="loopback names only"):
        socket.getaddrinfo("example.invalid", 80)


def test_the_wheel_would_carry_the_licence_and_the_typing_mark() -> None:
    assert "Apache License" in text("LICENSE")
    assert os.path.exists(os.path.join(ROOT, "src", "tallyport", "py.typed"))
    assert importlib.metadata.metadata("tallyport")["License-Expression"] == "Apache-2.0"
