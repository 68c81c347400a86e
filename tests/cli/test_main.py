"""The group knows every command and loads only the one that is called."""

from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from tallyport import __version__
from tallyport.cli.main import COMMANDS, tallyport

HEAVY = ("fastapi", "pydantic", "httpx2", "dbos", "alembic", "rich", "uvicorn", "starlette")


def python(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment, timeout=60)


def imported(*words: str) -> set[str]:
    """Give the packages that a command imports."""
    done = python("-X", "importtime", "-m", "tallyport", *words)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_be_loaded_and_has_help(name: str) -> None:
    result = CliRunner().invoke(tallyport, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("Usage: ")


def test_help_names_every_command_without_loading_any() -> None:
    result = CliRunner().invoke(tallyport, ["--help"])
    assert all(name in result.output for name in COMMANDS)


def test_asking_copy_for_help_loads_click_and_nothing_heavy() -> None:
    found = imported("copy", "--help")
    assert "click" in found
    assert not found & {*HEAVY, "asyncio", "sqlalchemy", "cryptography", "argon2"}


def test_a_copy_loads_nothing_of_the_server(tmp_path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    data = ["--data", str(tmp_path / "data")]
    done = imported("copy", str(source), str(tmp_path / "destination"), *data)
    assert not done & set(HEAVY)


def test_an_unknown_command_is_a_usage_error_that_suggests() -> None:
    result = CliRunner().invoke(tallyport, ["cpoy", "a", "b"])
    assert result.exit_code == 2
    assert "copy" in result.output


def test_version_is_the_packages() -> None:
    assert CliRunner().invoke(tallyport, ["version"]).output.strip() == __version__
    assert __version__ in CliRunner().invoke(tallyport, ["--version"]).output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str) -> None:
    result = CliRunner().invoke(tallyport, ["completion", shell])
    assert result.exit_code == 0, result.output
    assert "_TALLYPORT_COMPLETE" in result.output


def test_a_worker_on_a_file_is_refused_with_what_to_do() -> None:
    result = CliRunner().invoke(tallyport, ["worker", "--database", "sqlite:///ledger.db"])
    assert result.exit_code == 2
    assert "several machines need PostgreSQL" in result.output


def test_a_worker_without_a_database_is_told_how_to_name_one() -> None:
    result = CliRunner().invoke(tallyport, ["worker"])
    assert result.exit_code == 2
    assert "postgresql://USER@HOST/NAME" in result.output


def test_no_option_takes_a_secret() -> None:
    def options(command: click.Command) -> list[str]:
        context = click.Context(command)
        found = [name for parameter in command.params for name in parameter.opts]
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                sub = command.get_command(context, name)
                assert sub is not None
                found += options(sub)
        return found

    names = options(tallyport)
    assert "--password-stdin" in names
    assert not {"--password", "--token", "--secret", "--key"} & set(names)
