"""Users and tokens as the command line makes them."""

from __future__ import annotations

from collections.abc import Iterator

import argon2
import pytest

from tallyport.control import users
from tallyport.control.desk import ROLES, Right
from tallyport.control.refusals import Conflict, Invalid, NotFound
from tallyport.store import rows
from tallyport.store import users as user_rows
from tallyport.store.database import Database
from tallyport.store.tables import metadata


@pytest.fixture
def database(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    monkeypatch.setattr(users, "PASSWORDS", argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    made = Database(f"sqlite:///{tmp_path}/a.db")
    with made.begin() as tx:
        metadata.create_all(tx)
    yield made
    made.close()


def test_a_user_signs_in_with_the_password_given(database: Database) -> None:
    users.add_user(database, "ann", "admin", "long enough", "ann@example.com")
    session = users.sign_in(database, "ann@example.com", "long enough")
    caller = users.authenticate(database, session.token, rows.now())
    assert caller is not None
    assert (caller.name, caller.role, caller.rights) == ("ann", "admin", ROLES["admin"])


@pytest.mark.parametrize(
    ("name", "role", "password"),
    [("ann", "king", "long enough"), ("", "admin", "long enough"), ("ann", "admin", "short")],
)
def test_a_user_that_cannot_be_is_refused(database: Database, name: str, role: str, password: str) -> None:
    with pytest.raises(Invalid):
        users.add_user(database, name, role, password)


def test_a_name_or_address_is_taken_once(database: Database) -> None:
    users.add_user(database, "ann", "viewer", None, "ann@example.com")
    with pytest.raises(Conflict):
        users.add_user(database, "ann", "viewer", None)
    with pytest.raises(Conflict):
        users.add_user(database, "other", "viewer", None, "ann@example.com")


def test_a_user_without_a_password_has_tokens_only(database: Database) -> None:
    users.add_user(database, "robot", "operator", None)
    with pytest.raises(users.SignInRefused):
        users.sign_in(database, "robot", "")
    token = users.create_token(database, "robot", "read")
    caller = users.authenticate(database, token, rows.now())
    assert caller is not None
    assert caller.rights == {Right.READ}
    assert token.startswith("pat_")


def test_a_token_needs_a_user_and_known_rights(database: Database) -> None:
    with pytest.raises(NotFound):
        users.create_token(database, "nobody", "")
    users.add_user(database, "ann", "viewer", None)
    with pytest.raises(Invalid):
        users.create_token(database, "ann", "everything")


def test_a_scope_cannot_widen_a_role(database: Database) -> None:
    users.add_user(database, "ann", "viewer", None)
    caller = users.authenticate(database, users.create_token(database, "ann", "admin read"), rows.now())
    assert caller is not None
    assert caller.rights == {Right.READ}


def test_a_password_hashed_with_older_settings_is_hashed_again_at_sign_in(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = users.add_user(database, "ann", "viewer", "long enough").password
    monkeypatch.setattr(users, "PASSWORDS", argon2.PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    users.sign_in(database, "ann", "long enough")
    with database.read() as tx:
        found = user_rows.named(tx, "ann")
    assert found is not None
    assert found.password != before
    users.sign_in(database, "ann", "long enough")
