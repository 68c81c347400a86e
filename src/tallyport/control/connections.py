"""Connections: make, change, delete, browse."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import sqlalchemy as sa

from tallyport.connectors import hosts, reach, registry
from tallyport.connectors.opening import open_connection
from tallyport.control import access
from tallyport.control.desk import Caller, Desk
from tallyport.control.documents import merge
from tallyport.control.refusals import Conflict, Invalid, NotFound, Problem, Stale, invalid
from tallyport.domain import paths, secrets
from tallyport.domain.connections import Connection
from tallyport.domain.differences import difference
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.store import admin_audit, connections, jobs, rows, users, widths

PLACES = ("host", "url", "endpoint")  # settings of any platform that say where it is


class Draft(NamedTuple):
    """A connection as somebody wants it."""

    name: str | None
    platform: str
    settings: Mapping[str, object]
    labels: tuple[str, ...] | None = None  # that a worker must have to reach it; None leaves them as they are
    max_transfers: int | None = None  # at one time, over all jobs and workers; 0 is no cap, None leaves it as it is


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
    """Store a connection whose root can be opened, where this server reaches it at all.

    ``make`` makes the root when it is missing.
    """
    shown, hidden = _check(desk, draft, make=make)
    at = rows.now()
    new = Connection(
        id=connections.new_id(),
        name=draft.name or f"{draft.platform} {shown.get('path', '')}".strip(),
        platform=draft.platform,
        settings=shown,
        labels=draft.labels or (),
        max_transfers=draft.max_transfers or None,
        created_at=at,
        created_by=by.name,
        modified_at=at,
    )
    with desk.database.begin() as tx:
        new = replace(new, sealed=desk.vault.seal(new.id, hidden))
        connections.add(tx, new)
        admin_audit.write(tx, "connection.created", f"connection:{new.id}", new.name, _changes(None, new, hidden))
    return new


def change(
    desk: Desk,
    connection_id: str,
    by: Caller,
    *,
    name: str | None,
    settings: Mapping[str, object] | None,
    labels: tuple[str, ...] | None = None,
    max_transfers: int | None = None,
    version: int | None,
) -> Connection:
    """Change the name and who may work it, or merge a patch into the settings. The platform stays what it is.

    Whoever points a connection elsewhere gives its secrets anew: else it would hand them to a place of their choice.
    """
    with desk.database.read() as tx:
        old = find(tx, connection_id)
        access.require(tx, [connection_id], by)
    if version is not None and version != old.version:
        raise Stale(f"the connection is at version {old.version}, not {version}")
    shown = dict(old.settings)
    kept: Mapping[str, object] = {}
    hidden = kept
    if settings is not None:
        kept = _kept(desk, old)
        merged = merge({**old.settings, **kept}, settings)
        draft = Draft(name, old.platform, merged, old.labels if labels is None else labels)
        if secrets.split(merged, registry.platform(old.platform).secret_names())[0] != dict(old.settings):
            _ask_again(settings, kept)
        shown, hidden = _check(desk, draft, make=False)
    with desk.database.begin() as tx:
        if find(tx, connection_id).version != old.version:
            raise Stale("the connection was changed by somebody else meanwhile")
        sealed = old.sealed if hidden == kept else desk.vault.seal(old.id, hidden)
        measured = old.measured if shown == dict(old.settings) else None  # what was measured is of another place
        values: dict[str, Any] = {"name": name or old.name, "settings": shown, "sealed": sealed, "measured": measured}
        values |= {} if labels is None else {"labels": labels}
        values |= {} if max_transfers is None else {"max_transfers": max_transfers or None}
        connections.change(tx, connection_id, **values)
        if (shown, sealed) != (dict(old.settings), old.sealed):
            widths.forget(tx, desk.database, connection_id)  # found at another place, or as another account
        new = find(tx, connection_id)
        changes = _changes(old, new, hidden if sealed != old.sealed else {})
        admin_audit.write(tx, "connection.changed", f"connection:{old.id}", new.name, changes)
        return new


def _changes(old: Connection | None, new: Connection, hidden: Mapping[str, object]) -> dict[str, list[object]]:
    before: dict[str, object] = {} if old is None else {"name": old.name, **_terms(old), **old.settings}
    platform = new.platform if old is None else None
    after = {"name": new.name, "platform": platform, **_terms(new), **new.settings, **hidden}
    return difference(before, after, hidden)


def _terms(connection: Connection) -> dict[str, object]:
    return {"labels": list(connection.labels) or None, "max_transfers": connection.max_transfers}


def _kept(desk: Desk, old: Connection) -> Mapping[str, object]:
    """Give the secrets as they are; none when the key is lost, so that they can be given anew."""
    try:
        return desk.vault.unseal(old.id, old.sealed)
    except TallyportError:
        return {}


def _ask_again(given: Mapping[str, object], kept: Mapping[str, object]) -> None:
    missing = [key for key in kept if key not in given]
    if missing:
        why = "must be given again when other settings of the connection change: what is stored is for the old ones"
        raise Invalid([Problem(f"/auth/{key}", "missing", why) for key in missing])


def delete(desk: Desk, connection_id: str, by: Caller) -> Connection:
    """Hide a connection and forget its secrets. One that a job uses stays."""
    with desk.database.begin() as tx:
        old = find(tx, connection_id)
        access.require(tx, [connection_id], by)
        using = _jobs_using(tx, connection_id)
        if using:
            raise Conflict(f"{len(using)} jobs use the connection, for instance {using[0]!r}: delete them first")
        connections.change(tx, connection_id, deleted_at=rows.now(), sealed=None)
        widths.forget(tx, desk.database, connection_id)
        admin_audit.write(tx, "connection.deleted", f"connection:{old.id}", old.name)
        return old


def restrict(desk: Desk, connection_id: str, names: Sequence[str] | None, by: Caller) -> list[str]:
    """Open a connection to some people only, by name or id; None opens it to everybody. Gives the names."""
    with desk.database.begin() as tx:
        old = find(tx, connection_id)
        before = [name for _, name in connections.users_of(tx, connection_id)]
        chosen: dict[str, str] = {}
        for index, name in enumerate(names or ()):
            user = users.find(tx, name) or users.named(tx, name)
            if user is None:
                raise invalid(f"/users/{index}", f"there is no user {name[:80]!r}", code="not_found")
            chosen[user.id] = user.name
        connections.open_to(tx, connection_id, chosen)
        connections.change(tx, connection_id, restricted=names is not None)
        after = sorted(chosen.values())
        changes = {"restricted": [old.restricted, names is not None], "users": [before, after]}
        admin_audit.write(tx, "connection.access_changed", f"connection:{old.id}", old.name, changes)
        return after


def open_to(desk: Desk, connection_id: str) -> tuple[bool, list[str]]:
    """Say whether a connection is restricted, and the names of those it is open to."""
    with desk.database.read() as tx:
        found = find(tx, connection_id)
        return found.restricted, [name for _, name in connections.users_of(tx, connection_id)]


def browse(desk: Desk, connection_id: str, path: str, by: Caller, *, limit: int) -> Browsed:
    """List one container of a connection, by name."""
    with desk.database.read() as tx:
        connection = find(tx, connection_id)
        access.require(tx, [connection_id], by)
        desk.require_reach(connection)
    try:
        clean = registry.below(path)
        connector = open_connection(connection.platform, desk.vault.settings(connection), "/", read_only=True)
        try:
            entry = connector.stat(clean)
            if entry is None:
                raise NotFound(f"there is no {paths.display(path)!r} in the connection")
            found = [entry] if entry.kind is not Kind.CONTAINER else list(connector.children(clean))
        finally:
            connector.close()
    except TallyportError as error:
        raise refusal(error, "path") from error
    found.sort(key=lambda one: one.name)
    return Browsed(clean, found[:limit], len(found) > limit)


def _check(desk: Desk, draft: Draft, *, make: bool) -> tuple[dict[str, object], dict[str, object]]:
    """Open what is described, then give the settings to show and those to seal."""
    try:
        platform = registry.platform(draft.platform)
    except TallyportError as error:
        known = sorted({*registry.platforms(), *(a for p in registry.platforms().values() for a in p.aliases)})
        raise invalid("/platform/id", error.message, known) from error
    shown, hidden = secrets.split(draft.settings, platform.secret_names())
    resolved: dict[str, object] = {}
    try:
        resolved = desk.vault.resolve(hidden)
        whole = {**shown, **resolved}
        platform.read_settings(whole)
        _check_places(shown)
        if desk.reaches(draft.labels or ()):
            open_connection(draft.platform, whole, "/", make=make).close()
    except registry.InvalidSettings as error:
        raise Invalid(
            [
                Problem(f"/auth/{p.path}", "unknown_value", p.message, tuple(str(a) for a in p.allowed or ()))
                for p in error.problems
            ]
        ) from error
    except TallyportError as error:
        error.message = secrets.scrub(error.message, resolved)
        raise refusal(error, _field_of(error, draft.settings)) from error
    return shown, hidden


def _field_of(error: TallyportError, settings: Mapping[str, object]) -> str:
    """Give the place in what was sent that an error of opening is told of."""
    if error.setting == "host" or error.kind in (ErrorKind.UNAVAILABLE, ErrorKind.TIMEOUT):
        fields: Sequence[str] = (*PLACES, "connection_string")
    elif error.setting:
        fields = (error.setting,)
        settings = {**settings, error.setting: True}  # it may be what is missing
    else:
        fields = () if error.kind is ErrorKind.UNAUTHENTICATED else ("path",)
    return next((f"/auth/{name}" for name in fields if settings.get(name)), "/auth")


def _check_places(settings: Mapping[str, object]) -> None:
    """Refuse hosts that no connection is to lead to, by the name of the field.

    The connector checks again whatever it connects to, and complains about a host that cannot be resolved.
    """
    for name in PLACES:
        value = settings.get(name)
        if not isinstance(value, str) or not value:
            continue
        try:
            host = (urlsplit(value).hostname if "://" in value else value) or ""
            hosts.pinned(host.strip("[]"), 0, allow_private=reach.reaches_private_networks())
        except ValueError:
            continue
        except TallyportError as error:
            if error.kind is not ErrorKind.UNAVAILABLE:
                raise refusal(error, f"/auth/{name}") from error


def refusal(error: TallyportError, path: str) -> Invalid:
    """Turn an error of a connector into a refusal of what was sent."""
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
