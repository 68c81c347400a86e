"""Account maps and group maps, their explicit pairs and whom they exclude."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tallyport.domain.access import Principal, PrincipalKind
from tallyport.domain.maps import Pair, key_of
from tallyport.store import rows
from tallyport.store.database import Database
from tallyport.store.ids import Ids
from tallyport.store.names import map_exceptions, map_exclusions, maps
from tallyport.store.phrases import sa
from tallyport.store.words import PRINCIPAL_TEXTS

_BLOCK = 1_000
_KINDS = {"account_map": PrincipalKind.ACCOUNT, "group_map": PrincipalKind.GROUP}


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRecord:
    """A map as stored, without its pairs and exclusions."""

    id: str
    kind: str  # account_map or group_map
    name: str
    source_connection: str | None = None
    destination_connection: str | None = None
    document: Mapping[str, object]  # rules, defaults, what becomes of the unmapped
    version: int = 1
    created_at: int
    created_by: str | None = None
    modified_at: int
    deleted_at: int | None = None

    @property
    def principal_kind(self) -> PrincipalKind:
        return _KINDS[self.kind]


class Exclusion(NamedTuple):
    """Somebody whom a map leaves out."""

    side: str
    principal: Principal


def new_id() -> str:
    """Make the id of a map: 32 hexadecimal digits."""
    return uuid.uuid4().hex


def add(tx: sa.Connection, new: MapRecord) -> None:
    """Store a new map."""
    tx.execute(sa.insert(maps).values(_columns(new)))


def find(tx: sa.Connection, map_id: str, kind: str | None = None) -> MapRecord | None:
    """Give a map that is not deleted, or None."""
    query = sa.select(maps).where(maps.c.id == map_id, maps.c.deleted_at.is_(None))
    if kind is not None:
        query = query.where(maps.c.kind == kind)
    row = tx.execute(query).mappings().first()
    return None if row is None else _record(row)


def page(
    tx: sa.Connection, kind: str, *, text: str | None = None, offset: int = 0, limit: int = 100
) -> tuple[list[MapRecord], int]:
    """Give one page by name and the number of all that match."""
    query = sa.select(maps).where(maps.c.kind == kind, maps.c.deleted_at.is_(None))
    if text:
        query = query.where(maps.c.name.icontains(text, autoescape=True))
    total = tx.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    found = tx.execute(query.order_by(maps.c.name, maps.c.id).offset(offset).limit(limit)).mappings()
    return [_record(row) for row in found], int(total)


def change(tx: sa.Connection, map_id: str, **values: Any) -> bool:
    """Set columns and count the version up; False when there is no such map."""
    if "document" in values:
        values["document"] = json.dumps(dict(values["document"]), separators=(",", ":"))
    update = (
        sa.update(maps)
        .where(maps.c.id == map_id, maps.c.deleted_at.is_(None))
        .values(**values, version=maps.c.version + 1, modified_at=rows.now())
    )
    return tx.execute(update).rowcount == 1


# -- explicit pairs


def put_exceptions(
    tx: sa.Connection, database: Database, ids: Ids, map_id: str, pairs: Sequence[Pair], *, append: bool
) -> None:
    """Add pairs, or with ``append`` false put them in the place of all. A pair replaces that of the same source."""
    if not append:
        tx.execute(sa.delete(map_exceptions).where(map_exceptions.c.map_id == map_id))
    names = [f"{side}_{text}" for side in ("source", "destination") for text in PRINCIPAL_TEXTS]
    updates = ", ".join(f"{name} = excluded.{name}" for name in names)
    by_key = {_key(pair.source): pair for pair in pairs}
    if by_key:
        tx.exec_driver_sql(
            database.sql(
                f"INSERT INTO map_exceptions (id, map_id, key, {', '.join(names)})"
                f" VALUES (?, ?, ?, {', '.join('?' for _ in names)})"
                f" ON CONFLICT (map_id, key) DO UPDATE SET {updates}"
            ),
            [
                (new, map_id, key, *_texts(pair.source), *_texts(pair.destination))
                for new, (key, pair) in zip(ids.block(len(by_key)), by_key.items(), strict=True)
            ],
        )


def drop_exceptions(tx: sa.Connection, map_id: str, sources: Sequence[Principal]) -> int:
    """Remove the pairs of some sources; gives how many there were."""
    dropped = 0
    for source in sources:
        gone = tx.execute(
            sa.delete(map_exceptions).where(map_exceptions.c.map_id == map_id, map_exceptions.c.key == _key(source))
        )
        dropped += gone.rowcount
    return dropped


def exceptions_page(
    tx: sa.Connection, found: MapRecord, *, offset: int = 0, limit: int = 100
) -> tuple[list[Pair], int]:
    """Give one page of pairs in the order they came, and the number of all."""
    query = sa.select(map_exceptions).where(map_exceptions.c.map_id == found.id)
    total = tx.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    chosen = tx.execute(query.order_by(map_exceptions.c.id).offset(offset).limit(limit)).mappings()
    return [_pair(row, found.principal_kind) for row in chosen], int(total)


def exceptions(tx: sa.Connection, found: MapRecord) -> Iterator[Pair]:
    """Give every pair in the order they came."""
    after = -1
    while True:
        query = sa.select(map_exceptions).where(map_exceptions.c.map_id == found.id, map_exceptions.c.id > after)
        block = tx.execute(query.order_by(map_exceptions.c.id).limit(_BLOCK)).mappings().all()
        if not block:
            return
        for row in block:
            yield _pair(row, found.principal_kind)
        after = block[-1]["id"]


# -- exclusions


def put_exclusions(
    tx: sa.Connection,
    database: Database,
    ids: Ids,
    map_id: str,
    found: Sequence[Exclusion],
    *,
    append: bool,
    sides: Sequence[str] = ("source", "destination"),
) -> None:
    """Add exclusions, or with ``append`` false put them in the place of all at these sides."""
    if not append:
        gone = sa.delete(map_exclusions).where(map_exclusions.c.map_id == map_id, map_exclusions.c.side.in_(sides))
        tx.execute(gone)
    names = [f"principal_{text}" for text in PRINCIPAL_TEXTS]
    by_key = {(one.side, _key(one.principal)): one.principal for one in found}
    if by_key:
        updates = ", ".join(f"{name} = excluded.{name}" for name in names)
        tx.exec_driver_sql(
            database.sql(
                f"INSERT INTO map_exclusions (id, map_id, side, key, {', '.join(names)})"
                f" VALUES (?, ?, ?, ?, {', '.join('?' for _ in names)})"
                f" ON CONFLICT (map_id, side, key) DO UPDATE SET {updates}"
            ),
            [
                (new, map_id, side, key, *_texts(principal))
                for new, ((side, key), principal) in zip(ids.block(len(by_key)), by_key.items(), strict=True)
            ],
        )


def drop_exclusions(tx: sa.Connection, map_id: str, found: Sequence[Exclusion]) -> int:
    """Remove exclusions; gives how many there were."""
    dropped = 0
    for one in found:
        gone = sa.delete(map_exclusions).where(
            map_exclusions.c.map_id == map_id,
            map_exclusions.c.side == one.side,
            map_exclusions.c.key == _key(one.principal),
        )
        dropped += tx.execute(gone).rowcount
    return dropped


def exclusions(tx: sa.Connection, found: MapRecord, side: str | None = None) -> list[Exclusion]:
    """Give whom a map excludes, at one side or at both."""
    query = sa.select(map_exclusions).where(map_exclusions.c.map_id == found.id)
    if side is not None:
        query = query.where(map_exclusions.c.side == side)
    return [
        Exclusion(row["side"], _principal(row, "principal", found.principal_kind))
        for row in tx.execute(query.order_by(map_exclusions.c.id)).mappings()
    ]


# -- rows


def _record(row: Mapping[Any, Any]) -> MapRecord:
    return MapRecord(**{**row, "document": json.loads(row["document"])})


def _columns(record: MapRecord) -> dict[str, Any]:
    names = [column.name for column in maps.columns]
    values = {name: getattr(record, name) for name in names}
    return values | {"document": json.dumps(dict(record.document), separators=(",", ":"))}


def _pair(row: Mapping[Any, Any], kind: PrincipalKind) -> Pair:
    return Pair(_principal(row, "source", kind), _principal(row, "destination", kind))


def _principal(row: Mapping[Any, Any], prefix: str, kind: PrincipalKind) -> Principal:
    return Principal(kind, **{text: row[f"{prefix}_{text}"] for text in PRINCIPAL_TEXTS})


def _texts(principal: Principal) -> tuple[str, ...]:
    return tuple(getattr(principal, text) for text in PRINCIPAL_TEXTS)


def _key(principal: Principal) -> str:
    """Give the text by which a principal is found again: one of the same key takes its place."""
    found = key_of(principal)
    if found is None:
        raise ValueError("a principal of a map has at least one text")
    return ":".join(found)
