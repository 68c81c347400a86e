"""Accounts and tokens of a data folder, changed beside a server that may run."""

from __future__ import annotations

import json
from pathlib import Path

import argon2
import pytest
from click.testing import CliRunner, Result

from tallyport.cli.main import tallyport
from tallyport.control import users
from tallyport.store import rows
from tallyport.store.database import open_database


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(users, "PASSWORDS", argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))

    def call(*words: str, code: int = 0, input: str | None = None) -> Result:
        done = CliRunner().invoke(tallyport, [*words, "--data", str(tmp_path)], input=input)
        assert done.exit_code == code, done.output
        return done

    call("users", "add", "root", "--role", "admin", "--no-password")
    call("users", "add", "ann", "--role", "viewer", "--password-stdin", input="first word\n")
    return call


def test_an_account_is_changed(line, tmp_path: Path) -> None:
    line("users", "change", "ann", "--role", "operator", "--email", "ann@example.com")
    line("users", "change", "ann", "--password-stdin", input="second word\n")
    database = open_database(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert users.sign_in(database, "ann@example.com", "second word").user.role == "operator"
    line("users", "change", "ann", "--disable")
    with pytest.raises(users.SignInRefused):
        users.sign_in(database, "ann", "second word")
    line("users", "change", "ann", "--enable", "--unlock")
    assert users.sign_in(database, "ann", "second word")
    with database.read() as tx:
        said = tx.exec_driver_sql("SELECT actor, action, changes FROM admin_audit ORDER BY id").all()
    database.close()
    assert {actor.split(":")[0] for actor, action, _ in said if action == "user.changed"} == {"command line"}
    assert "second word" not in str(said)


def test_what_cannot_be_changed_says_why(line) -> None:
    assert "nothing to change" in line("users", "change", "ann", code=2).stderr
    assert "another administrator" in line("users", "change", "root", "--role", "viewer", code=1).stderr
    line("users", "change", "ghost", "--role", "viewer", code=3)
    line("users", "change", "ann", "--no-password", "--password-stdin", code=2, input="x\n")


def test_a_token_is_made_listed_rotated_and_revoked(line, tmp_path: Path) -> None:
    words = ("tokens", "create", "--user", "ann", "--scope", "read", "--name", "ci", "--days", "7")
    text = line(*words).stdout.strip()
    (shown,) = json.loads(line("tokens", "list", "--user", "ann", "--json").stdout)["tokens"]
    assert (shown["user"], shown["name"], shown["scopes"]) == ("ann", "ci", "read")
    assert text not in line("tokens", "list").stdout
    new = line("tokens", "rotate", shown["id"]).stdout.strip()
    database = open_database(f"sqlite:///{tmp_path / 'ledger.db'}")
    assert users.authenticate(database, text, rows.now()) is None
    assert users.authenticate(database, new, rows.now()) is not None
    (shown,) = json.loads(line("tokens", "list", "--json").stdout)["tokens"]
    line("tokens", "revoke", shown["id"])
    assert users.authenticate(database, new, rows.now()) is None
    database.close()
    line("tokens", "revoke", shown["id"], code=3)
    line("tokens", "create", "--user", "ghost", code=3)
    line("tokens", "create", "--user", "ann", "--scope", "king", code=1)
