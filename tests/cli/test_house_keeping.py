"""Accounts, tokens, backups, the doctor, and the server's options."""

from __future__ import annotations

import json
import sqlite3

import pytest

from tallyport import app
from tallyport.cli.users import ROLES
from tallyport.control import doctor
from tallyport.control.desk import ROLES as RIGHTS
from tallyport.control.users import authenticate
from tallyport.store import rows
from tests.cli.fakes import World


def test_the_roles_of_the_option_are_those_of_the_server() -> None:
    assert set(ROLES) == set(RIGHTS)


def test_an_account_and_a_token_that_speaks_for_it(world: World) -> None:
    added = world.call("users", "add", "ann", "--role", "operator", "--password-stdin", input="long enough\n")
    assert added.exit_code == 0, added.output
    made = world.call("tokens", "create", "--user", "ann", "--scope", "read")
    assert made.exit_code == 0, made.output
    token = made.stdout.strip()
    assert made.stdout == token + "\n"
    with world.store() as database:
        caller = authenticate(database, token, rows.now())
    assert caller is not None
    assert (caller.name, {right.value for right in caller.rights}) == ("ann", {"read"})
    assert [user["name"] for user in world.json("users", "list", "--json")["users"]] == ["ann"]
    assert "ann" in world.call("users", "list").stdout


@pytest.mark.parametrize(
    ("words", "given", "code"),
    [
        (["users", "add", "ann", "--role", "king", "--no-password"], None, 2),
        (["users", "add", "ann", "--role", "admin"], "", 2),
        (["users", "add", "ann", "--role", "admin", "--password-stdin"], "", 2),
        (["users", "add", "ann", "--role", "admin", "--password-stdin"], "short\n", 1),
        (["users", "add", "ann", "--role", "admin", "--password-stdin", "--no-password"], "x\n", 2),
        (["tokens", "create", "--user", "nobody"], None, 3),
    ],
)
def test_accounts_that_cannot_be(world: World, words: list[str], given: str | None, code: int) -> None:
    result = world.call(*words, input=given)
    assert result.exit_code == code, result.output


def test_a_backup_is_a_whole_ledger(world: World) -> None:
    world.run_with_failures("a")
    target = world.folder / "backup.db"
    with world.store():  # while somebody has it open
        result = world.call("db", "backup", str(target))
    assert result.exit_code == 0, result.output
    copy = sqlite3.connect(target)
    assert copy.execute("SELECT count(*) FROM failures").fetchone() == (1,)
    copy.close()
    assert sorted(path.name for path in world.folder.iterdir()) == ["backup.db", "data"]


def test_a_backup_replaces_nothing_unasked(world: World) -> None:
    world.run_with_failures()
    target = world.folder / "backup.db"
    target.write_text("mine")
    assert world.call("db", "backup", str(target)).exit_code == 1
    assert target.read_text() == "mine"
    assert world.call("db", "backup", str(target), "--force").exit_code == 0


def test_a_backup_that_fails_leaves_nothing(world: World) -> None:
    world.run_with_failures()
    assert world.call("db", "backup", str(world.folder / "no" / "such" / "folder")).exit_code == 1


def test_a_ledger_on_postgresql_is_not_copied_as_if_it_were_that_of_the_data_folder(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run_with_failures()
    monkeypatch.setenv("TALLYPORT_DATABASE", "postgresql://ada@127.0.0.1:1/ledger")
    result = world.call("db", "copy", "--to", "postgresql://ada@127.0.0.1:1/other")
    assert result.exit_code == 1
    assert "db trust" in result.output


def test_a_check_sets_right_what_the_ledger_counts(world: World) -> None:
    world.run_with_failures("a")
    sound = world.call("db", "check")
    assert (sound.exit_code, sound.stdout) == (0, "the ledger is sound\n"), sound.output
    with world.store() as database, database.begin() as tx:
        tx.exec_driver_sql("UPDATE unresolved SET number = 7")
    mended = world.call("db", "check")
    assert (mended.exit_code, mended.stdout) == (0, "set right in 1 jobs\n"), mended.output
    assert "1 items are failed, not 7" in mended.stderr
    assert world.call("db", "check").stdout == "the ledger is sound\n"


def test_a_check_leaves_a_ledger_alone_that_somebody_works_on(world: World) -> None:
    world.run_with_failures("a")
    with app.owned(world.data):
        refused = world.call("db", "check")
    assert refused.exit_code == 1
    assert "in use by" in refused.stderr


def test_a_check_says_of_a_damaged_ledger_that_it_is(world: World) -> None:
    world.run_with_failures("a")
    path = world.data / "ledger.db"
    found = sqlite3.connect(path)
    (root,) = found.execute("SELECT rootpage FROM sqlite_master WHERE name = 'failures'").fetchone()
    (page,) = found.execute("PRAGMA page_size").fetchone()
    found.close()
    with open(path, "r+b") as file:
        file.seek((root - 1) * page)
        file.write(b"\xff" * page)
    refused = world.call("db", "check")
    assert refused.exit_code == 1
    assert "damaged" in refused.stderr


def test_the_doctor_looks_at_a_fresh_machine_and_a_used_folder(world: World) -> None:
    fresh = world.call("doctor")
    assert fresh.exit_code == 0, fresh.output
    world.run_with_failures()
    found = json.loads(world.call("doctor", "--json").stdout)["findings"]
    assert {"tallyport", "sqlite", "data", "ledger", "limits"} <= {finding["topic"] for finding in found}


def test_the_doctor_of_a_shared_database_leaves_the_ledger_of_before_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run_with_failures()
    monkeypatch.setenv("TALLYPORT_DATABASE", "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1")
    done = world.call("doctor", "--json")
    found = [line for line in json.loads(done.stdout)["findings"] if line["topic"] in ("ledger", "database")]
    assert done.exit_code == 1
    assert [(line["level"], line["topic"]) for line in found] == [("note", "ledger"), ("error", "database")]
    assert "is not used" in found[0]["text"]
    assert "cannot reach" in found[1]["text"]


def test_of_a_bundled_postgresql_that_does_not_run_the_doctor_and_others_say_what_starts_it(world: World) -> None:
    """Its account may pass through the data folder: that is no warning, what others may read would be."""
    (world.data / "postgresql").mkdir(parents=True)
    (world.data / "postgresql" / "PG_VERSION").write_text("16\n")
    world.data.chmod(0o711)
    done = world.call("doctor", "--json")
    found = {line["topic"]: line for line in json.loads(done.stdout)["findings"]}
    assert done.exit_code == 0
    assert (found["data"]["level"], found["database"]["level"]) == ("ok", "note")
    assert "serve --bundled-postgres --data" in found["database"]["text"]
    assert "ledger" not in found
    listed = world.call("runs", "list")
    assert listed.exit_code == 1
    assert "serve --bundled-postgres --data" in listed.stderr
    world.data.chmod(0o755)
    assert "chmod 711" in world.call("doctor").stdout


@pytest.mark.parametrize(
    ("version", "level"), [((3, 30, 0), "error"), ((3, 40, 1), "note"), ((3, 51, 2), "note"), ((3, 51, 3), "ok")]
)
def test_the_doctor_knows_the_versions_of_sqlite(version: tuple[int, int, int], level: str) -> None:
    assert doctor.sqlite_version(version).level == level


LABELS = ("--label", "site", "--label", "nas")


def test_serve_hands_its_options_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def serve(host, port, data, database_url=None, **options):
        seen.append((host, port, data, database_url, options))
        return 0

    monkeypatch.setattr(app, "serve", serve)
    assert world.call("serve", "--port", "1234").exit_code == 0
    assert world.call("serve", "--host", "::1", "--workers", "3", "--database", "x", *LABELS).exit_code == 0
    assert world.call("serve", "--workers", "3", "--no-worker").exit_code == 2
    usual = {"no_worker": False, "bundled_postgres": False}
    assert seen == [
        ("127.0.0.1", 1234, world.data, None, {**usual, "workers": None, "labels": ()}),
        ("::1", 9090, world.data, "x", {**usual, "workers": 3, "labels": ("site", "nas")}),
    ]
