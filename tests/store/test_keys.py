"""The key stands outside the database, is made once, private, and can be changed under a running server."""

from __future__ import annotations

import os
import stat

import pytest

from tallyport.domain.errors import TallyportError
from tallyport.store.keys import Keys, new_key


def test_the_first_use_makes_a_private_file_and_the_next_finds_it(tmp_path) -> None:
    first = Keys({}, tmp_path)
    made = first.texts()
    assert stat.S_IMODE(os.stat(tmp_path / "secret.key").st_mode) == 0o600
    assert Keys({}, tmp_path).texts() == made == first.texts()
    assert first.is_own_file


def test_a_key_file_that_others_can_read_is_refused(tmp_path) -> None:
    Keys({}, tmp_path).texts()
    os.chmod(tmp_path / "secret.key", 0o644)
    with pytest.raises(TallyportError, match="chmod 600"):
        Keys({}, tmp_path).texts()


def test_the_environment_wins_over_files_and_a_credential_over_the_own_file(tmp_path) -> None:
    one, two, three = new_key(), new_key(), new_key()
    (tmp_path / "tallyport-secret-key").write_text(one)
    (tmp_path / "named").write_text(f"{two}\n{one}\n")
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert Keys(environment, tmp_path).texts() == (one,)
    environment["TALLYPORT_SECRET_KEY_FILE"] = str(tmp_path / "named")
    assert Keys(environment, tmp_path).texts() == (two, one)
    environment["TALLYPORT_SECRET_KEY"] = f"{three},{one}"
    found = Keys(environment, tmp_path)
    assert (found.texts(), found.where, found.is_own_file) == ((three, one), "TALLYPORT_SECRET_KEY", False)
    assert not (tmp_path / "secret.key").exists()


@pytest.mark.parametrize("text", ["short", "", "é" * 44, "A" * 43])
def test_what_is_no_key_is_refused_and_not_shown(tmp_path, text: str) -> None:
    (tmp_path / "named").write_text(text)
    with pytest.raises(TallyportError, match="secrets key") as caught:
        Keys({"TALLYPORT_SECRET_KEY_FILE": str(tmp_path / "named")}, tmp_path).texts()
    assert not text or text not in caught.value.message


def test_a_changed_key_file_is_seen(tmp_path) -> None:
    reader = Keys({}, tmp_path)
    old = reader.texts()
    Keys({}, tmp_path).replace([new_key(), *old])
    assert reader.texts()[1:] == old
    assert stat.S_IMODE(os.stat(tmp_path / "secret.key").st_mode) == 0o600
