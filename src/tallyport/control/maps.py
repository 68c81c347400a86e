"""Account maps and group maps: make, change, delete, their pairs and exclusions, and what jobs may use of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import sqlalchemy as sa

from tallyport.control import documents
from tallyport.control.desk import Caller, Desk
from tallyport.control.pictures import find_job
from tallyport.control.refusals import Conflict, Invalid, NotFound, Problem, Stale
from tallyport.domain import map_csv
from tallyport.domain.access import Principal
from tallyport.domain.documents import Reader
from tallyport.domain.map_documents import KINDS, MapDraft, map_document, read_map_document, read_principals
from tallyport.domain.map_documents import read_pairs as read_pair_list
from tallyport.domain.maps import Pair, Resolution, resolve
from tallyport.store import connections, jobs, maps, rows, security_map
from tallyport.store.maps import Exclusion, MapRecord
from tallyport.store.security_map import SecurityRow

SIDES = ("source", "destination")
_RULES = ("map_by", "unmapped_policy")


class MapPicture(NamedTuple):
    """A map as it is shown."""

    record: MapRecord
    exceptions: int
    exclusions: tuple[Exclusion, ...]


def create(desk: Desk, kind: str, document: object, by: Caller) -> MapPicture:
    """Store a map with the pairs and exclusions in its document."""
    draft = _read(document, kind)
    at = rows.now()
    with desk.database.begin() as tx:
        _check_connections(tx, draft, "")
        record = MapRecord(
            id=maps.new_id(),
            kind=kind,
            name=draft.name or kind.replace("_", " "),
            source_connection=draft.source_connection,
            destination_connection=draft.destination_connection,
            document=_kept(draft),
            created_at=at,
            created_by=by.name,
            modified_at=at,
        )
        maps.add(tx, record)
        maps.put_exceptions(tx, desk.database, desk.ids, record.id, draft.map.pairs, append=True)
        maps.put_exclusions(tx, desk.database, desk.ids, record.id, _exclusions(draft), append=True)
        return _picture(tx, record)


def show(desk: Desk, kind: str, map_id: str) -> MapPicture:
    """Give one map."""
    with desk.database.read() as tx:
        return _picture(tx, _find(tx, kind, map_id))


def page(desk: Desk, kind: str, *, text: str | None, offset: int, limit: int) -> tuple[list[MapPicture], int]:
    """Give one page of maps by name, and the number of all that match."""
    with desk.database.read() as tx:
        found, total = maps.page(tx, kind, text=text, offset=offset, limit=limit)
        return [_picture(tx, one) for one in found], total


def change(desk: Desk, kind: str, map_id: str, patch: object, by: Caller, *, version: int | None) -> MapPicture:
    """Merge a patch into a map. What was carried stays as it is: only what comes goes through the map."""
    with desk.database.begin() as tx:
        old = _find(tx, kind, map_id)
        if version is not None and version != old.version:
            raise Stale(f"the map is at version {old.version}, not {version}")
        given = patch if isinstance(patch, Mapping) else {}
        merged = documents.merge(_document(old), patch)
        draft = _read(merged, kind, needs_rule=not _picture(tx, old).exceptions)
        _check_connections(tx, draft, "")
        maps.change(
            tx,
            map_id,
            name=draft.name or old.name,
            source_connection=draft.source_connection,
            destination_connection=draft.destination_connection,
            document=_kept(draft),
        )
        if "exceptions" in given:
            maps.put_exceptions(tx, desk.database, desk.ids, map_id, draft.map.pairs, append=False)
        sides = [side for side in SIDES if isinstance(given.get(side), Mapping) and "exclusions" in given[side]]
        if sides:
            chosen = [one for one in _exclusions(draft) if one.side in sides]
            maps.put_exclusions(tx, desk.database, desk.ids, map_id, chosen, append=False, sides=sides)
        return _picture(tx, _find(tx, kind, map_id))


def delete(desk: Desk, kind: str, map_id: str) -> None:
    """Hide a map. One that a job uses stays."""
    with desk.database.begin() as tx:
        _find(tx, kind, map_id)
        users = _jobs_using(tx, kind, map_id)
        if users:
            raise Conflict(f"{len(users)} jobs use the map, for instance {users[0]!r}: give them another one first")
        maps.change(tx, map_id, deleted_at=rows.now())


# -- explicit pairs


def exceptions(desk: Desk, kind: str, map_id: str, *, offset: int, limit: int) -> tuple[list[Pair], int]:
    """Give one page of the pairs of a map, and the number of all."""
    with desk.database.read() as tx:
        return maps.exceptions_page(tx, _find(tx, kind, map_id), offset=offset, limit=limit)


def every_exception(desk: Desk, kind: str, map_id: str) -> Iterator[Pair]:
    """Give every pair of a map."""
    with desk.database.read() as tx:
        yield from maps.exceptions(tx, _find(tx, kind, map_id))


def put_exceptions(desk: Desk, kind: str, map_id: str, document: object) -> int:
    """Add pairs (``append``, the default) or put them in the place of all; gives how many came."""
    reader = Reader()
    members = reader.members(document, "", ("append", "items"))
    append = True if "append" not in members else reader.flag(members["append"], "/append")
    if "items" not in members and isinstance(document, Mapping):
        reader.wrong("/items", "missing", "is needed: a list of pairs, each with source and destination")
    pairs = read_pair_list(reader, members.get("items", []), "/items", KINDS[kind])
    if reader.problems:
        raise Invalid(reader.problems)
    return _store_pairs(desk, kind, map_id, pairs, append=append is not False)


def import_exceptions(desk: Desk, kind: str, map_id: str, content: bytes, *, append: bool) -> int:
    """Add the pairs of a CSV file, all of them or none."""
    try:
        pairs = map_csv.read_pairs(_text(content), KINDS[kind])
    except map_csv.CsvErrors as error:
        raise Invalid(error.problems) from error
    return _store_pairs(desk, kind, map_id, pairs, append=append)


def preview_exceptions(desk: Desk, kind: str, map_id: str, content: bytes) -> tuple[Pair, ...]:
    """Read the pairs of a CSV file and store nothing; raises what :func:`import_exceptions` would raise."""
    with desk.database.read() as tx:
        _find(tx, kind, map_id)
    try:
        return map_csv.read_pairs(_text(content), KINDS[kind])
    except map_csv.CsvErrors as error:
        raise Invalid(error.problems) from error


def trial(desk: Desk, kind: str, map_id: str, document: object) -> Resolution:
    """Say whom one source principal becomes by the map alone: its exclusions, pairs, rules and default.

    The destination is not asked, so a rule that needs to look there answers with what it would look for.
    """
    reader = Reader()
    members = reader.members(document, "", ("source",))
    found = read_principals(reader, [members.get("source", {})], "/source", KINDS[kind])
    if reader.problems or not found:
        raise Invalid(reader.problems or [Problem("/source", "missing", "names whom to try")])
    with desk.database.read() as tx:
        record = _find(tx, kind, map_id)
        out = maps.exclusions(tx, record)
        draft = _read({**_document(record)}, kind, needs_rule=False)
        whole = replace(
            draft.map,
            pairs=tuple(maps.exceptions(tx, record)),
            source_exclusions=tuple(one.principal for one in out if one.side == "source"),
            destination_exclusions=tuple(one.principal for one in out if one.side == "destination"),
        )
    return resolve(found[0], whole, lambda _: None)


def drop_exceptions(desk: Desk, kind: str, map_id: str, document: object) -> int:
    """Remove the pairs of the sources that are named; gives how many there were."""
    reader = Reader()
    members = reader.members(document, "", ("items",))
    sources: list[Principal] = []
    for here, member in reader.items(members.get("items", []), "/items"):
        found = reader.members(member, here, ("source", "destination"))
        sources += read_principals(reader, [found.get("source", {})], f"{here}/source", KINDS[kind])
    if reader.problems:
        raise Invalid(reader.problems)
    with desk.database.begin() as tx:
        _find(tx, kind, map_id)
        dropped = maps.drop_exceptions(tx, map_id, sources)
        maps.change(tx, map_id)
        return dropped


def _store_pairs(desk: Desk, kind: str, map_id: str, pairs: Sequence[Pair], *, append: bool) -> int:
    with desk.database.begin() as tx:
        _find(tx, kind, map_id)
        maps.put_exceptions(tx, desk.database, desk.ids, map_id, pairs, append=append)
        maps.change(tx, map_id)
    return len(pairs)


# -- exclusions


def exclusions(desk: Desk, kind: str, map_id: str, side: str | None) -> list[Exclusion]:
    """Give whom a map excludes."""
    with desk.database.read() as tx:
        return maps.exclusions(tx, _find(tx, kind, map_id), _side(side))


def put_exclusions(desk: Desk, kind: str, map_id: str, side: str, document: object, *, drop: bool = False) -> int:
    """Add exclusions at one side (or put them in the place of all, or remove them); gives how many were meant."""
    reader = Reader()
    members = reader.members(document, "", ("append", "items"))
    append = True if "append" not in members else reader.flag(members["append"], "/append")
    found = read_principals(reader, members.get("items", []), "/items", KINDS[kind])
    if "items" not in members and isinstance(document, Mapping):
        reader.wrong("/items", "missing", "is needed: a list of accounts or groups")
    if reader.problems:
        raise Invalid(reader.problems)
    return _store_exclusions(desk, kind, map_id, side, found, append=append is not False, drop=drop)


def import_exclusions(desk: Desk, kind: str, map_id: str, side: str, content: bytes, *, append: bool) -> int:
    """Add the exclusions of a CSV file, all of them or none."""
    try:
        found = map_csv.read_exclusions(_text(content), KINDS[kind])
    except map_csv.CsvErrors as error:
        raise Invalid(error.problems) from error
    return _store_exclusions(desk, kind, map_id, side, found, append=append, drop=False)


def _store_exclusions(
    desk: Desk, kind: str, map_id: str, side: str, found: Sequence[Principal], *, append: bool, drop: bool
) -> int:
    chosen = [Exclusion(_side(side) or "", principal) for principal in found]
    with desk.database.begin() as tx:
        _find(tx, kind, map_id)
        if drop:
            count = maps.drop_exclusions(tx, map_id, chosen)
        else:
            maps.put_exclusions(tx, desk.database, desk.ids, map_id, chosen, append=append, sides=[side])
            count = len(chosen)
        maps.change(tx, map_id)
    return count


# -- jobs


def check(tx: sa.Connection, transfer: Mapping[str, Any], source: str, destination: str) -> None:
    """Refuse a job whose maps are unknown, or made for other connections."""
    problems: list[Problem] = []
    for kind in KINDS:
        given = transfer.get(kind)
        if not isinstance(given, Mapping):
            continue
        path = f"/transfer/{kind}"
        if given.get("id") is not None:
            record = maps.find(tx, str(given["id"]), kind)
            if record is None:
                problems.append(Problem(f"{path}/id", "not_found", f"there is no {kind} {str(given['id'])[:80]!r}"))
                continue
            ends = (record.source_connection, record.destination_connection)
        else:
            draft = _read(dict(given), kind, path=path)
            ends = (draft.source_connection, draft.destination_connection)
        for side, of_map, of_job in zip(SIDES, ends, (source, destination), strict=True):
            if of_map is not None and of_map != of_job:
                message = f"the {kind} is for another {side} connection ({of_map}) than the job's ({of_job})"
                problems.append(Problem(path, "other_connection", message))
    if problems:
        raise Invalid(problems)


def resolutions(
    desk: Desk, job_id: str, *, words: Sequence[str], offset: int, limit: int
) -> tuple[list[SecurityRow], int]:
    """Give who was met on the items of a job and became whom, the most met first."""
    with desk.database.read() as tx:
        job = find_job(tx, job_id)
        return security_map.page(tx, job.number, resolutions=words, offset=offset, limit=limit)


# -- behind them


def _find(tx: sa.Connection, kind: str, map_id: str) -> MapRecord:
    found = maps.find(tx, map_id, kind)
    if found is None:
        raise NotFound(f"there is no {kind} {map_id[:80]!r}")
    return found


def _picture(tx: sa.Connection, record: MapRecord) -> MapPicture:
    _, count = maps.exceptions_page(tx, record, limit=1)
    return MapPicture(record, count, tuple(maps.exclusions(tx, record)))


def _read(document: object, kind: str, *, path: str = "", needs_rule: bool = True) -> MapDraft:
    reader = Reader()
    draft = read_map_document(reader, document, path, kind, needs_rule=needs_rule)
    if reader.problems:
        raise Invalid(reader.problems)
    return draft


def _check_connections(tx: sa.Connection, draft: MapDraft, path: str) -> None:
    problems = [
        Problem(f"{path}/{side}/connection/id", "not_found", f"there is no connection {connection[:80]!r}")
        for side, connection in zip(SIDES, (draft.source_connection, draft.destination_connection), strict=True)
        if connection is not None and connections.find(tx, connection) is None
    ]
    if problems:
        raise Invalid(problems)


def _kept(draft: MapDraft) -> dict[str, object]:
    """Give the part of a map that has no rows of its own: rules, defaults, what becomes of the unmapped."""
    document = map_document(draft.map)
    document.pop("exceptions")
    for side in SIDES:
        document[side].pop("exclusions", None)
    return document


def _document(record: MapRecord) -> dict[str, Any]:
    """Give the document of a stored map, for a patch to be merged into."""
    document: dict[str, Any] = dict(record.document)
    for side, connection in zip(SIDES, (record.source_connection, record.destination_connection), strict=True):
        if connection is not None:
            document[side] = {**document.get(side, {}), "connection": {"id": connection}}
    return {"name": record.name, **document}


def _exclusions(draft: MapDraft) -> list[Exclusion]:
    return [
        *(Exclusion("source", one) for one in draft.map.source_exclusions),
        *(Exclusion("destination", one) for one in draft.map.destination_exclusions),
    ]


def _side(side: str | None) -> str | None:
    if side is not None and side not in SIDES:
        raise NotFound(f"there is no side {side[:40]!r}: source or destination")
    return side


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Invalid([Problem(f"/line/{line}", "wrong_row", f"line {line} is not UTF-8")]) from error


def _jobs_using(tx: sa.Connection, kind: str, map_id: str) -> list[str]:
    names: list[str] = []
    offset = 0
    while found := jobs.page(tx, offset=offset, limit=1_000)[0]:
        for job in found:
            given = job.transfer.get(kind)
            if isinstance(given, Mapping) and str(given.get("id")) == map_id:
                names.append(job.name)
        offset += len(found)
    return names
