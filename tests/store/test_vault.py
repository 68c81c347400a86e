"""What is sealed opens with its key, for its owner, and tells nothing without."""

from __future__ import annotations

import json

import pytest

from tallyport.domain.connections import Connection
from tallyport.domain.errors import TallyportError
from tallyport.domain.secrets import secrets_set
from tallyport.store.keys import new_key
from tallyport.store.vault import Allowed, Vault, allowed_from

CANARY = "canary-0b6b7a"


def sealed_by(vault: Vault, **values: object) -> str:
    found = vault.seal("one", values)
    assert found is not None
    return found


def test_what_is_sealed_opens_for_its_owner_and_does_not_show_itself() -> None:
    vault = Vault([new_key()].copy)
    sealed = sealed_by(vault, password=CANARY, pin="env:PIN", port=7)
    assert CANARY not in sealed
    assert secrets_set(sealed) == {"password": "set", "port": "set", "pin": "env:PIN"}
    opened = vault.unseal("one", sealed)
    assert opened == {"password": CANARY, "pin": "env:PIN", "port": 7}
    assert CANARY not in repr(opened)


def test_nothing_sealed_is_nothing_stored_and_needs_no_key() -> None:
    assert Vault().seal("one", {}) is None
    assert Vault().unseal("one", None) == {}
    with pytest.raises(TallyportError, match="no key"):
        Vault().seal("one", {"a": "b"})


def test_a_text_moved_to_another_owner_does_not_open() -> None:
    vault = Vault([new_key()].copy)
    with pytest.raises(TallyportError, match="give them again"):
        vault.unseal("two", sealed_by(vault, password=CANARY))


def test_a_changed_text_and_a_wrong_key_do_not_open() -> None:
    vault = Vault([new_key()].copy)
    document = json.loads(sealed_by(vault, password=CANARY))
    document["sealed"] = document["sealed"][:-6] + "AAAAA="
    with pytest.raises(TallyportError):
        vault.unseal("one", json.dumps(document))
    with pytest.raises(TallyportError):
        Vault([new_key()].copy).unseal("one", sealed_by(vault, password=CANARY))


def test_the_newest_key_seals_and_every_key_opens() -> None:
    keys = [new_key()]
    vault = Vault(keys.copy)
    old = sealed_by(vault, password=CANARY)
    keys.insert(0, new_key())
    new = vault.reseal("one", old)
    assert new is not None
    assert vault.unseal("one", old) == vault.unseal("one", new)
    with pytest.raises(TallyportError):
        Vault(lambda: keys[:1]).unseal("one", old)
    assert Vault(lambda: keys[:1]).unseal("one", new)["password"] == CANARY


def test_references_are_read_when_they_are_needed(tmp_path) -> None:
    (tmp_path / "pin").write_text(f"{CANARY}\n")
    allowed = Allowed(("APP_*",), (str(tmp_path),), environment={"APP_SECRET": "s1"})
    vault = Vault([new_key()].copy, allowed)
    sealed = sealed_by(vault, password="env:APP_SECRET", pin=f"file:{tmp_path / 'pin'}")
    connection = Connection(
        id="one", name="", platform="", settings={"host": "h"}, sealed=sealed, created_at=0, modified_at=0
    )
    found = vault.settings(connection)
    assert found == {"host": "h", "password": "s1", "pin": CANARY}
    assert CANARY not in repr(found) + repr(connection)


@pytest.mark.parametrize(
    "text",
    [
        "env:HOME",
        "env:TALLYPORT_SECRET_KEY",
        "env:TALLYPORT_SECRET_KEY_FILE",
        "file:/etc/passwd",
        "file:/run/secrets/../../etc/passwd",
        "file:/run/secrets",
    ],
)
def test_a_server_reads_no_reference_beyond_what_is_allowed(text: str) -> None:
    vault = Vault(allowed=allowed_from({"TALLYPORT_SECRET_VARIABLES": "TALLYPORT_*"}))
    with pytest.raises(TallyportError, match="does not let"):
        vault.resolve({"password": text})


def test_a_link_does_not_lead_a_reference_out(tmp_path) -> None:
    (tmp_path / "out").symlink_to("/etc/passwd")
    with pytest.raises(TallyportError, match="does not let"):
        Vault(allowed=Allowed(folders=(str(tmp_path),))).resolve({"password": f"file:{tmp_path / 'out'}"})


def test_the_command_line_reads_what_its_user_can_read_but_never_the_key(tmp_path) -> None:
    vault = Vault(allowed=Allowed(anything=True, environment={"HOME": "/h", "TALLYPORT_SECRET_KEY": "k"}))
    assert vault.resolve({"a": "env:HOME"}) == {"a": "/h"}
    with pytest.raises(TallyportError):
        vault.resolve({"a": "env:TALLYPORT_SECRET_KEY"})
    with pytest.raises(TallyportError, match="no such variable"):
        vault.resolve({"a": "env:MISSING"})
    with pytest.raises(TallyportError, match="cannot be read"):
        vault.resolve({"a": f"file:{tmp_path / 'missing'}"})
