"""Connections: make, change, delete, browse."""

from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa

from tallyport.connectors import registry
from tallyport.connectors.opening import open_connection
from tallyport.control.desk import Caller, Desk
from tallyport.control.refusals import Conflict, Invalid, NotBuilt, NotFound, Problem, Stale, invalid
from tallyport.domain import paths
from tallyport.domain.connections import Connection
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.store import connections, jobs, rows


class Draft(NamedTuple):
    """A connection as somebody wants it."""

    name: str | None
    platform: str
    settings: Mapping[str, object]


class Browsed(NamedTuple):
    """What stands in one container of a connection."""

    path: str
    entries: list[Entry]
    has_more: bool


def find(tx: sa.Connection, connection_id: str) -> Connection:
    """Give a connection or refuse."""
    found = connections.find(tx, connection_id)
    if found is None:
        raise NotFound(f"there is no connection {connection_id!r}")
    return found


def create(desk: Desk, draft: Draft, by: Caller, *, make: bool = False) -> Connection:
    """Store a connection whose root can be opened. ``make`` makes the root when it is missing."""
    settings = _check(draft, make=make)
    at = rows.now()
    new = Connection(
        id=connections.new_id(),
        name=draft.name or f"{draft.platform} {settings.get('path', '')}".strip(),
        platform=draft.platform,
        settings=settings,
        created_at=at,
        created_by=by.name,
        modified_at=at,
    )
    with desk.database.begin() as tx:
        connections.add(tx, new)
    return new


def change(
    desk: Desk,
    connection_id: str,
    by: Caller,
    *,
    name: str | None,
    settings: Mapping[str, object] | None,
    version: int | None,
) -> Connection:
    """Change the name or the settings. The platform stays what it is."""
    with desk.database.read() as tx:
        old = find(tx, connection_id)
    if version is not None and version != old.version:
        raise Stale(f"the connection is at version {old.version}, not {version}")
    draft = Draft(name or old.name, old.platform, old.settings if settings is None else settings)
    checked = _check(draft, make=False) if settings is not None else dict(old.settings)
    with desk.database.begin() as tx:
        if find(tx, connection_id).version != old.version:
            raise Stale("the connection was changed by somebody else meanwhile")
        connections.change(tx, connection_id, name=draft.name, settings=checked)
        return find(tx, connection_id)


def delete(desk: Desk, connection_id: str) -> Connection:
    """Hide a connection. One that a job uses stays."""
    with desk.database.begin() as tx:
        old = find(tx, connection_id)
        users = _jobs_using(tx, connection_id)
        if users:
            raise Conflict(f"{len(users)} jobs use the connection, for instance {users[0]!r}: delete them first")
        connections.change(tx, connection_id, deleted_at=rows.now())
        return old


def browse(desk: Desk, connection_id: str, path: str, *, limit: int) -> Browsed:
    """List one container of a connection, by name."""
    with desk.database.read() as tx:
        connection = find(tx, connection_id)
    try:
        clean = registry.below(path)
        connector = open_connection(connection.platform, connection.settings, "/", read_only=True)
        try:
            entry = connector.stat(clean)
            if entry is None:
                raise NotFound(f"there is no {paths.display(path)!r} in the connection")
            found = [entry] if entry.kind is not Kind.CONTAINER else list(connector.children(clean))
        finally:
            connector.close()
    except TallyportError as error:
        raise _refusal(error, "path") from error
    found.sort(key=lambda one: one.name)
    return Browsed(clean, found[:limit], len(found) > limit)


def _check(draft: Draft, *, make: bool) -> dict[str, object]:
    try:
        platform = registry.platform(draft.platform)
    except TallyportError as error:
        if draft.platform in registry.LATER:
            raise NotBuilt(error.message) from error
        known = sorted({*registry.platforms(), *(a for p in registry.platforms().values() for a in p.aliases)})
        raise invalid("/platform/id", error.message, known) from error
    if any(field.secret and field.name in draft.settings for field in platform.settings_fields()):
        raise NotBuilt("connections with secrets are not in this version: secrets cannot be sealed yet")
    try:
        platform.read_settings(draft.settings)
        open_connection(draft.platform, draft.settings, "/", make=make).close()
    except registry.InvalidSettings as error:
        raise Invalid(
            [
                Problem(f"/auth/{p.path}", "unknown_value", p.message, tuple(str(a) for a in p.allowed or ()))
                for p in error.problems
            ]
        ) from error
    except TallyportError as error:
        raise _refusal(error, "/auth/path" if "path" in draft.settings else "/auth") from error
    return dict(draft.settings)


def _refusal(error: TallyportError, path: str) -> Invalid:
    hint = "; add ?create=1 to have it made" if error.kind is ErrorKind.NOT_FOUND and path == "/auth/path" else ""
    return Invalid([Problem(path, error.kind.value, f"{error.message}{hint}")])


def _jobs_using(tx: sa.Connection, connection_id: str) -> list[str]:
    names: list[str] = []
    offset = 0
    while page := jobs.page(tx, offset=offset, limit=1_000)[0]:
        names += [j.name for j in page if connection_id in (j.source_connection, j.destination_connection)]
        offset += len(page)
    return names


def show(desk: Desk, connection_id: str) -> Connection:
    """Give one connection."""
    with desk.database.read() as tx:
        return find(tx, connection_id)


def page(
    desk: Desk, *, platform: str | None, text: str | None, offset: int, limit: int
) -> tuple[list[Connection], int]:
    """Give one page of connections by name, and the number of all that match."""
    with desk.database.read() as tx:
        return connections.page(tx, platform=platform, text=text, offset=offset, limit=limit)
