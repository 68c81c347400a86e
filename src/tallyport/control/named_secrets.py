"""Secrets with names: put, listed without their values, forgotten. No answer ever holds a value."""

import uuid
from typing import NamedTuple

from tallyport.control.desk import Caller, Desk
from tallyport.control.environments import find as find_environment
from tallyport.control.refusals import NotFound
from tallyport.domain.secrets import SHOWN
from tallyport.store import admin_audit, named_secrets, rows
from tallyport.store.named_secrets import NamedSecret


class Place(NamedTuple):
    """For whom a secret is."""

    environment: str = "production"
    space: str = ""
    actor: str = ""


def listed(desk: Desk, place: Place) -> list[NamedSecret]:
    """Give what is in force at a place, by name: what is for a space or an actor stands before what is for all."""
    with desk.database.read() as tx:
        find_environment(tx, place.environment)
        return named_secrets.of(tx, *place)


def put(desk: Desk, place: Place, name: str, value: str, by: Caller) -> NamedSecret:
    """Keep a secret under a name; one of the same name at the same place gets the new value."""
    at = rows.now()
    with desk.database.begin() as tx:
        find_environment(tx, place.environment)
        old = named_secrets.named(tx, *place, name)
        new = old._replace(modified_at=at) if old is not None else NamedSecret(uuid.uuid4().hex, *place, name, at, at)
        sealed = desk.vault.seal(new.id, {"value": value}) or ""
        if old is None:
            named_secrets.add(tx, new, sealed)
        else:
            named_secrets.change(tx, old.id, sealed, at)
        done = "created" if old is None else "changed"
        changes = {"value": [None if old is None else SHOWN, SHOWN]}
        admin_audit.write(tx, f"secret.{done}", f"secret:{new.id}", name, changes)
    return new


def delete(desk: Desk, secret_id: str, by: Caller) -> NamedSecret:
    """Forget a secret for good; gives what it was."""
    with desk.database.begin() as tx:
        old = named_secrets.find(tx, secret_id)
        if old is None:
            raise NotFound(f"there is no secret {secret_id[:80]!r}")
        named_secrets.drop(tx, secret_id)
        admin_audit.write(tx, "secret.deleted", f"secret:{old.id}", old.name)
        return old
