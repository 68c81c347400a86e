"""The key is changed while nothing else notices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tallyport.cli.main import tallyport
from tallyport.domain.connections import Connection
from tallyport.domain.errors import TallyportError
from tallyport.store import connections
from tallyport.store.database import open_database
from tallyport.store.keys import Keys
from tallyport.store.vault import Vault

CANARY = "canary-77aa"


def stored(folder: Path, vault: Vault) -> None:
    database = open_database(f"sqlite:///{folder / 'ledger.db'}")
    sealed = vault.seal("c1", {"password": CANARY})
    with database.begin() as tx:
        connections.add(tx, Connection(id="c1", name="c", platform="fs", sealed=sealed, created_at=1, modified_at=1))
    database.close()


def opened(folder: Path, vault: Vault) -> object:
    database = open_database(f"sqlite:///{folder / 'ledger.db'}")
    with database.read() as tx:
        found = connections.find(tx, "c1")
    database.close()
    assert found is not None
    return vault.unseal("c1", found.sealed)["password"]


def test_rotating_reseals_and_a_running_server_goes_on(tmp_path: Path) -> None:
    vault = Vault(Keys({}, tmp_path).texts)
    stored(tmp_path, vault)
    before = Keys({}, tmp_path).texts()
    done = CliRunner().invoke(tallyport, ["secrets", "rotate", "--json", "--data", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"resealed": 1, "keys": 2, "where": str(tmp_path / "secret.key")}
    after = Keys({}, tmp_path).texts()
    assert after[1:] == before
    assert opened(tmp_path, vault) == CANARY  # the vault that was open all the time
    assert opened(tmp_path, Vault(lambda: after[:1])) == CANARY
    with pytest.raises(TallyportError):
        opened(tmp_path, Vault(lambda: before))


def test_old_keys_are_dropped_on_request(tmp_path: Path) -> None:
    stored(tmp_path, Vault(Keys({}, tmp_path).texts))
    done = CliRunner().invoke(tallyport, ["secrets", "rotate", "--drop-old", "--data", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert len(Keys({}, tmp_path).texts()) == 1
    assert opened(tmp_path, Vault(Keys({}, tmp_path).texts)) == CANARY


def test_a_key_is_printed_alone(tmp_path: Path) -> None:
    done = CliRunner().invoke(tallyport, ["secrets", "key"])
    found = Keys({"TALLYPORT_SECRET_KEY": done.stdout.strip()}, tmp_path)
    assert found.texts() == (done.stdout.strip(),)
