"""Environments: listed, made, changed, deleted. The ones that are shipped stay."""

import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from tallyport.control.desk import Caller, Desk
from tallyport.control.documents import merge
from tallyport.control.refusals import Conflict, NotFound, Stale
from tallyport.domain.differences import difference
from tallyport.domain.events import labels
from tallyport.store import admin_audit, environments, jobs, named_secrets, rows
from tallyport.store.environments import SHIPPED, Environment

_CHUNK = 1_000


def find(tx: sa.Connection, environment_id: str) -> Environment:
    """Give an environment or refuse."""
    found = environments.find(tx, environment_id)
    if found is None:
        raise NotFound(f"there is no environment {environment_id[:80]!r}")
    return found


def show(desk: Desk, environment_id: str) -> Environment:
    """Give one environment."""
    with desk.database.read() as tx:
        return find(tx, environment_id)


def page(desk: Desk, *, offset: int, limit: int) -> tuple[list[Environment], int]:
    """Give one page by name, and the number of all."""
    with desk.database.read() as tx:
        every = environments.every(tx)
    return every[offset : offset + limit], len(every)


def create(desk: Desk, name: str, document: Mapping[str, Any], by: Caller, *, is_production: bool) -> Environment:
    """Make an environment whose name no other one has."""
    at = rows.now()
    new = Environment(uuid.uuid4().hex, name, is_production, dict(document), 1, at, at)
    with desk.database.begin() as tx:
        _check_name(tx, new)
        environments.put(tx, new)
        made = difference({}, _shown(new))
        admin_audit.write(tx, "environment.created", f"environment:{new.id}", name, made)
    return new


def change(
    desk: Desk, environment_id: str, patch: Mapping[str, Any], by: Caller, *, version: int | None
) -> Environment:
    """Merge a patch of ``name``, ``is_production`` and ``document``."""
    with desk.database.begin() as tx:
        old = find(tx, environment_id)
        if version is not None and version != old.version:
            raise Stale(f"the environment is at version {old.version}, not {version}")
        new = old._replace(
            name=patch.get("name", old.name),
            is_production=patch.get("is_production", old.is_production),
            document=merge(old.document, patch.get("document", {})),
            version=old.version + 1,
            modified_at=rows.now(),
        )
        _check_name(tx, new)
        environments.put(tx, new)
        changes = difference(_shown(old), _shown(new))
        admin_audit.write(tx, "environment.changed", f"environment:{new.id}", new.name, changes)
        return new


def delete(desk: Desk, environment_id: str, by: Caller) -> None:
    """Hide an environment that nothing is in."""
    with desk.database.begin() as tx:
        old = find(tx, environment_id)
        if environment_id in SHIPPED:
            raise Conflict(f"the environment {old.name!r} is shipped and stays")
        inside = _jobs_in(tx, environment_id)
        if inside:
            raise Conflict(f"{inside} jobs are in the environment {old.name!r}: delete them first")
        kept = named_secrets.count(tx, environment_id)
        if kept:
            raise Conflict(f"{kept} secrets are of the environment {old.name!r}: delete them first")
        environments.drop(tx, environment_id)
        admin_audit.write(tx, "environment.deleted", f"environment:{old.id}", old.name)


def _jobs_in(tx: sa.Connection, environment_id: str) -> int:
    found = passed = 0
    while block := jobs.page(tx, offset=passed, limit=_CHUNK)[0]:
        found += sum(labels(one).environment == environment_id for one in block)
        passed += len(block)
    return found


def _check_name(tx: sa.Connection, wanted: Environment) -> None:
    if any(one.name == wanted.name and one.id != wanted.id for one in environments.every(tx)):
        raise Conflict(f"there is an environment {wanted.name!r} already")


def _shown(value: Environment) -> dict[str, object]:
    return {"name": value.name, "is_production": value.is_production, **value.document}
