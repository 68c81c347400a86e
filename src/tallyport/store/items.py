"""Items: what became of each path, and the containers that hold them."""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tallyport.domain import paths
from tallyport.domain.entries import Fingerprint
from tallyport.store import arrays, bulk, rows
from tallyport.store.database import Database
from tallyport.store.names import containers, items
from tallyport.store.phrases import sa


class ItemRow(NamedTuple):
    """One item as shown: its row with its whole path on both sides."""

    id: int
    parent_id: int
    path: str
    d_path: str
    kind: int
    status: int
    reason: str
    attempts: int
    s_size: int | None
    s_modified: int | None
    d_size: int | None
    d_modified: int | None
    hash: bytes | None
    level: int
    processing: str | None
    message: str | None
    execution_id: int
    settled_at: int
    lost: int | None = None  # bits of domain.losses.Fact


@dataclass(frozen=True, slots=True)
class Totals:
    """Items of one job by status."""

    count: int
    bytes: int


_PAGE = sa.select(items, containers.c.path.label("folder"), containers.c.d_path.label("d_folder")).outerjoin(
    containers, containers.c.item_id == items.c.parent_id
)

_BYTES = frozenset({"name", "d_name", "folder", "d_folder"})


@functools.cache
def _as_text() -> sa.Select[Any]:
    """Give the statement of a page whose bytes are text; put together where somebody searches."""
    return sa.select(
        *(
            sa.cast(column, sa.Text).label(column.name)
            if column.name in _BYTES
            else sa.func.hex(column).label(column.name)
            if column.name == "hash"
            else column
            for column in _PAGE.selected_columns
            if column.name not in ("job", "s_tag", "d_tag")
        )
    ).select_from(*_PAGE.get_final_froms())


ALL_STATUSES = (0, 1, 2, 3, 4, 5, 6)


def page(
    tx: sa.Connection,
    job: int,
    *,
    statuses: Iterable[int] = ALL_STATUSES,
    kinds: Iterable[int] = (),
    parent: int | None = None,
    reasons: Iterable[str] = (),
    text: str | None = None,
    execution_id: int | None = None,
    processing: Iterable[str] = (),
    lost: int | None = None,
    after: int = 0,
    until: int | None = None,
    offset: int = 0,
    limit: int = 100,
) -> list[ItemRow]:
    """Give up to ``limit`` items of a job (by its number) with an id above ``after`` and up to ``until``, by id.

    ``lost`` are bits, of which an item has one at least. ``offset`` passes over so many of them, by their ids alone.
    """
    chosen = tuple(statuses)
    if not chosen:
        return []
    wanted_reasons = tuple(reasons)
    values: dict[str, Any] = {"job": job, "after": after, "limit": limit, "offset": offset}
    given = {"until": until, "parent": parent, "execution": execution_id, "text": text or None, "lost": lost}
    values |= {name: value for name, value in given.items() if value is not None}
    values |= {f"reason_{place}": reason for place, reason in enumerate(wanted_reasons)}
    on_postgresql = tx.dialect.name == "postgresql"
    if "text" in values:
        values["text"] = _pattern(values["text"], on_postgresql=on_postgresql)
    shape = _Shape(
        chosen,
        tuple(kinds),
        len(wanted_reasons),
        tuple(processing),
        frozenset(values) & frozenset(given),
        on_postgresql,
    )
    if on_postgresql:
        return [_item(row._mapping) for row in tx.execute(_statement(shape), values)]
    statement, order, fixed = _at_once(shape)  # differs because SQLite's driver gives row by row: store.bulk
    values = {**fixed, **values}
    content = tx.exec_driver_sql(statement, tuple(values[name] for name in order)).scalar_one()
    return [_read(row) for row in bulk.read(content)]


class _Shape(NamedTuple):
    """What makes the statement of one page another than that of another: all but the values."""

    statuses: tuple[int, ...]
    kinds: tuple[int, ...]
    reasons: int
    processing: tuple[str, ...]
    given: frozenset[str]  # of until, parent, execution, text, lost
    on_postgresql: bool


@functools.lru_cache(maxsize=256)
def _statement(shape: _Shape) -> sa.Select[Any]:
    """Make the statement of a page; putting it together takes longer than most databases take to answer."""

    def bound(name: str) -> Any:
        return sa.bindparam(name)

    narrow: list[sa.ColumnElement[bool]] = []
    if shape.kinds:
        narrow.append(items.c.kind.in_([sa.literal_column(str(int(kind))) for kind in shape.kinds]))
    if shape.reasons:
        narrow.append(items.c.reason.in_([bound(f"reason_{place}") for place in range(shape.reasons)]))
    if shape.processing:
        narrow.append(_was_changed(shape.processing))
    for name, condition in (
        ("until", items.c.id <= bound("until")),
        ("parent", items.c.parent_id == bound("parent")),
        ("execution", items.c.execution_id == bound("execution")),
        (
            "lost",
            sa.and_(*(one > sa.literal_column("0") for one in (items.c.lost, items.c.lost.op("&")(bound("lost"))))),
        ),
        ("text", _name(on_postgresql=shape.on_postgresql).like(sa.func.lower(bound("text")), escape="/")),
    ):
        if name in shape.given:
            narrow.append(condition)
    keys = [
        sa.select(items.c.id).where(
            items.c.job == bound("job"),
            items.c.status == sa.literal_column(str(int(status))),
            items.c.id > bound("after"),
            *narrow,
        )
        for status in shape.statuses
    ]
    # Each status is read in the order of its index, and all are merged: as far as the page reaches, and no further.
    merged = sa.union_all(*keys).order_by(sa.literal_column("id")).limit(bound("limit")).offset(bound("offset"))
    wanted = sa.select(merged.subquery().c.id)
    columns = _PAGE if shape.on_postgresql else _as_text()
    return columns.where(items.c.id.in_(wanted)).order_by(items.c.id)


@functools.lru_cache(maxsize=256)
def _at_once(shape: _Shape) -> tuple[str, tuple[str, ...], Mapping[str, Any]]:
    """Give the statement that writes a page as one JSON text, the names of its values in order, and those fixed."""
    from sqlalchemy.dialects import sqlite

    compiled = bulk.gathered(_statement(shape)).compile(dialect=sqlite.dialect())
    return compiled.string, tuple(compiled.positiontup or ()), dict(compiled.params)


def horizon(tx: sa.Connection, job: int, *, statuses: Iterable[int], after: int, rows_ahead: int) -> int | None:
    """Give the id up to which at most so many items of each status lie after an id; None when no more lie ahead.

    Read from the index alone: it bounds what a search looks at in one go, however many items the job has.
    """
    ids = []
    for status in statuses:
        query = sa.select(items.c.id).where(items.c.job == job, items.c.status == status, items.c.id > after)
        found = tx.execute(query.order_by(items.c.id).offset(rows_ahead).limit(1)).scalar()
        if found is not None:
            ids.append(found)
    return min(ids, default=None)


def iterate(tx: sa.Connection, job: int, *, chunk: int = 2_000, **filters: Any) -> Iterator[ItemRow]:
    """Give every matching item, read in chunks: memory stays flat."""
    after = 0
    while block := page(tx, job, after=after, limit=chunk, **filters):
        yield from block
        after = block[-1].id


def find(tx: sa.Connection, item_id: int) -> ItemRow | None:
    """Give one item, or None."""
    row = tx.execute(_PAGE.where(items.c.id == item_id)).first()
    return None if row is None else _item(row._mapping)


def job_of(tx: sa.Connection, item_id: int) -> int | None:
    """Give the number of the job an item belongs to."""
    return tx.execute(sa.select(items.c.job).where(items.c.id == item_id)).scalar()


def of_job(tx: sa.Connection, job: int, ids: Sequence[int]) -> set[int]:
    """Give those of some ids that are items of a job."""
    found: set[int] = set()
    for start in range(0, len(ids), 500):  # a statement takes so many values
        block = [one for one in ids[start : start + 500] if one < 1 << 63]
        query = sa.select(items.c.id).where(items.c.job == job, items.c.id.in_(block))
        found.update(tx.execute(query).scalars())
    return found


def at_path(tx: sa.Connection, job: int, path: str) -> ItemRow | None:
    """Give the item at a path of a job, or None."""
    folder, name = paths.split(path)
    parent = tx.execute(
        sa.select(containers.c.item_id).where(containers.c.job == job, containers.c.path == paths.to_bytes(folder))
    ).scalar()
    if path == paths.ROOT:
        wanted = _PAGE.where(items.c.id == parent)
    else:
        wanted = _PAGE.where(items.c.parent_id == parent, items.c.name == paths.to_bytes(name))
    row = tx.execute(wanted).first() if parent is not None else None
    return None if row is None else _item(row._mapping)


def standing_at(
    tx: sa.Connection, job: int, path: str, *, at_destination: bool
) -> tuple[int, int, Fingerprint | None] | None:
    """Give the item that stands at a path of one side: its id, the execution that settled it, how it stood there."""
    folder, name = paths.split(path)
    place = containers.c.d_path if at_destination else containers.c.path
    parents = sa.select(containers.c.item_id).where(containers.c.job == job, place == paths.to_bytes(folder))
    own = sa.func.coalesce(items.c.d_name, items.c.name) if at_destination else items.c.name
    side = (
        (items.c.d_size, items.c.d_modified, items.c.d_tag)
        if at_destination
        else (items.c.s_size, items.c.s_modified, items.c.s_tag)
    )
    query = sa.select(items.c.id, items.c.execution_id, *side).where(
        items.c.job == job, items.c.parent_id.in_(parents), own == paths.to_bytes(name)
    )
    row = tx.execute(query.limit(1)).first()
    if row is None:
        return None
    number, execution_id, size, modified, tag = row
    mark = None if size is None else Fingerprint(size, modified or 0, bytes(tag or b""))
    return number, execution_id, mark


def totals(tx: sa.Connection, job: int) -> dict[int, Totals]:
    """Count a job's items by status. Reads the whole job: for reports, not for pages."""
    query = (
        sa.select(items.c.status, sa.func.count(), sa.func.coalesce(sa.func.sum(items.c.s_size), 0))
        .where(items.c.job == job)
        .group_by(items.c.status)
    )
    return {status: Totals(count, int(size)) for status, count, size in tx.execute(query)}


def lost(tx: sa.Connection, job: int) -> dict[int, int]:
    """Count a job's items by the bits of what they lost; read from an index of those that lost something."""
    query = (
        sa.select(items.c.lost, sa.func.count())
        .where(items.c.job == job, items.c.lost > sa.literal_column("0"))
        .group_by(items.c.lost)
    )
    return {row[0]: row[1] for row in tx.execute(query)}


def set_status(
    tx: sa.Connection,
    job: int,
    to: int,
    reason: str,
    *,
    statuses: Iterable[int],
    ids: Sequence[int] | None = None,
    parent: int | None = None,
    reasons: Iterable[str] = (),
    text: str | None = None,
    message: str | None = None,
) -> int:
    """Set status and reason of matching items and clear their attempts; gives how many."""
    update = (
        sa.update(items)
        .where(items.c.job == job, items.c.status.in_(list(statuses)), *_filters(tx, (), parent, reasons, text, None))
        .values(
            status=to,
            reason=reason,
            attempts=0,
            settled_at=rows.now(),
            **({"message": message} if message else {}),
        )
    )
    if ids is None:
        return tx.execute(update).rowcount
    blocks = (ids[start : start + 500] for start in range(0, len(ids), 500))  # a statement takes so many values
    return sum(tx.execute(update.where(items.c.id.in_(list(block)))).rowcount for block in blocks)


def clear_signatures(tx: sa.Connection, job: int, parents: Sequence[int] | None = None) -> None:
    """Make the next visit look at everything: in the whole job, or in some containers and those above them."""
    update = sa.update(containers).where(containers.c.job == job).values(signature=None)
    if parents is not None:
        update = update.where(containers.c.item_id.in_(list(parents)))
    tx.execute(update)


def forget(tx: sa.Connection, job: int) -> None:
    """Drop every item and container of a job (hard reset)."""
    tx.execute(sa.delete(items).where(items.c.job == job))
    tx.execute(sa.delete(containers).where(containers.c.job == job))


# -- hot path: what visits know and what they found --------------------------------------------------------------

_AT_ONCE = 500  # names of one statement

KNOWN = (
    "SELECT name, id, kind, status, attempts, s_size, s_modified, s_tag, d_size, d_modified, d_tag, hash, d_name,"
    " level FROM items WHERE parent_id = ? AND name > ? ORDER BY name LIMIT ?"
)

_UPSERT = (
    "INSERT INTO items (id, job, parent_id, name, kind, status, reason, attempts, s_size, s_modified, s_tag, d_size,"
    " d_modified, d_tag, hash, level, d_name, processing, message, execution_id, settled_at, lost)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (parent_id, name, job) DO UPDATE SET kind = excluded.kind, status = excluded.status,"
    " reason = excluded.reason, attempts = excluded.attempts, s_size = excluded.s_size,"
    " s_modified = excluded.s_modified, s_tag = excluded.s_tag, d_size = excluded.d_size,"
    " d_modified = excluded.d_modified, d_tag = excluded.d_tag, hash = excluded.hash, level = excluded.level,"
    " d_name = excluded.d_name, processing = excluded.processing, message = excluded.message,"
    " execution_id = excluded.execution_id, settled_at = excluded.settled_at,"
    " lost = COALESCE(excluded.lost, items.lost)"
)

_VALUES = _UPSERT[_UPSERT.index("(?") : _UPSERT.index(" ON CONFLICT")]
_FILLED = (
    "INSERT INTO items (id, parent_id, name, s_size, s_modified, s_tag, d_size, d_modified, d_tag, hash,"
    " kind, status, reason, attempts, lost, job, level, execution_id, settled_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, 1, 'new_at_source', 0, 0, {}, {}, {}, {})"
) + _UPSERT[_UPSERT.index(" ON CONFLICT") :]


@functools.cache
def _upsert_arrays() -> tuple[str, tuple[str, ...]]:
    """Give the statement that takes a column at a time, and their types; its dialect is not loaded where not needed."""
    from sqlalchemy.dialects import postgresql

    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]
    types = tuple(column.type.compile(dialect).lower() for column in items.columns)
    columns = ", ".join(f"%s::{kind}[]" for kind in types)
    return _UPSERT.replace(f"VALUES {_VALUES}", f"SELECT * FROM unnest({columns})"), types


def known(database: Database, container: int, after: str, limit: int) -> list[tuple[Any, ...]]:
    """Give rows of a container by name, as ``engine.work.Known`` tuples, names above ``after``."""
    return _known(database.rows(KNOWN, (container, paths.to_bytes(after), limit)))


def known_of(database: Database, container: int, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """Give the rows of some names in a container, as ``engine.work.Known`` tuples, in any order."""
    found: list[tuple[Any, ...]] = []
    for start in range(0, len(names), _AT_ONCE):
        wanted = [paths.to_bytes(name) for name in names[start : start + _AT_ONCE]]
        # One statement for any number of names: the last is said again.
        most = 8 if len(wanted) <= 8 else _AT_ONCE
        statement = f"{KNOWN[: KNOWN.index('name >')]}name IN ({', '.join('?' * most)})"
        found += _known(database.rows(statement, (container, *wanted, *wanted[-1:] * (most - len(wanted)))))
    return found


def known_in(tx: sa.Connection, database: Database, container: int, name: str) -> tuple[Any, ...] | None:
    """Give the row of one name in a container as this transaction sees it, as an ``engine.work.Known`` tuple."""
    statement = database.sql(f"{KNOWN[: KNOWN.index('name >')]}name = ?")
    found = tx.exec_driver_sql(statement, (container, paths.to_bytes(name))).all()
    return _known(found)[0] if found else None


def _known(found: Iterable[Any]) -> list[tuple[Any, ...]]:
    decode = paths.from_bytes
    time_out = rows.time_out
    return [
        (
            decode(row[0]),
            *row[1:6],
            time_out(row[6]),
            *row[7:9],
            time_out(row[9]),
            *row[10:12],
            None if row[12] is None else decode(row[12]),
            row[13],
        )
        for row in found
    ]


def named(tx: sa.Connection, container: int, names: Sequence[str]) -> Iterator[tuple[str, int, int, str, str | None]]:
    """Give (name, id, status, reason, name at the destination) of some items of a container."""
    query = sa.select(items.c.name, items.c.id, items.c.status, items.c.reason, items.c.d_name).where(
        items.c.parent_id == container, items.c.name.in_([paths.to_bytes(name) for name in names])
    )
    for row in tx.execute(query):
        d_name = None if row.d_name is None else paths.from_bytes(bytes(row.d_name))
        yield paths.from_bytes(bytes(row.name)), row.id, row.status, row.reason, d_name


def causes(tx: sa.Connection, ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Give reason and message of items, as their rows have them."""
    found: dict[int, tuple[str, str]] = {}
    for block in range(0, len(ids), 500):
        query = sa.select(items.c.id, items.c.reason, items.c.message).where(items.c.id.in_(ids[block : block + 500]))
        found.update((row.id, (row.reason, row.message or "")) for row in tx.execute(query))
    return found


def upsert(tx: sa.Connection, database: Database, values: Sequence[tuple[Any, ...]]) -> None:
    """Write item rows: (id, job, parent, name, kind, status, ... lost) in the order of the columns.

    A row that is there keeps its id, and what it lost where that is None. Of two rows of one item the later counts.
    """
    if not values:
        return
    if database.is_sqlite:
        tx.exec_driver_sql(_UPSERT, list(values))
        return
    # differs because PostgreSQL takes arrays many times faster than rows, and each row of a statement but once
    kept: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for row in values:
        key = row[1:4]
        kept[key] = (kept[key][0], *row[1:]) if key in kept else row
    statement, types = _upsert_arrays()
    tx.exec_driver_sql(statement, arrays.literals(types, kept.values()))


def add_filled(
    tx: sa.Connection,
    database: Database,
    values: Sequence[tuple[Any, ...]],
    job: int,
    level: int,
    execution_id: int,
    at: int,
) -> None:
    """Write rows of new files: (id, parent, name, s_size, ... hash), all else is the same for each."""
    if not values:
        return
    if database.is_sqlite:  # differs because each value that is bound costs, a hundred thousand times a run
        tx.exec_driver_sql(_FILLED.format(*map(int, (job, level, execution_id, at))), list(values))
        return
    none = (None, None, None)
    upsert(
        tx,
        database,
        [(r[0], job, *r[1:3], 1, 1, "new_at_source", 0, *r[3:10], level, *none, execution_id, at, 0) for r in values],
    )


def delete(tx: sa.Connection, ids: Sequence[int]) -> None:
    """Drop items that are gone from both sides."""
    if ids:
        tx.execute(sa.delete(items).where(items.c.id.in_(list(ids))))


def add_containers(tx: sa.Connection, database: Database, values: Sequence[tuple[Any, ...]]) -> None:
    """Write containers: (item_id, job, parent_id, path, d_path, execution_id)."""
    if values:
        tx.exec_driver_sql(
            database.sql(
                "INSERT INTO containers (item_id, job, parent_id, path, d_path, execution_id) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (item_id) DO UPDATE SET path = excluded.path, d_path = excluded.d_path"
            ),
            list(values),
        )


def close_containers(tx: sa.Connection, database: Database, values: Sequence[tuple[Any, ...]]) -> None:
    """Store what a visit ended with: (signature, files, bytes, execution_id, item_id)."""
    if values:
        tx.exec_driver_sql(
            database.sql(
                "UPDATE containers SET signature = ?, files = ?, bytes = ?, execution_id = ?, unclean = FALSE"
                " WHERE item_id = ?"
            ),
            list(values),
        )


def sub_containers(tx: sa.Connection, parent: int) -> dict[str, int]:
    """Give the item ids of a container's sub-containers by name."""
    query = (
        sa.select(items.c.name, items.c.id)
        .join(containers, containers.c.item_id == items.c.id)
        .where(containers.c.parent_id == parent)
    )
    return {paths.from_bytes(bytes(row.name)): row.id for row in tx.execute(query)}


def _name(*, on_postgresql: bool) -> sa.ColumnElement[str]:
    """Give the bytes of a name as text in small letters."""
    if on_postgresql:  # differs because it makes no text of bytes that are not UTF-8: it searches in escapes
        return sa.func.lower(sa.func.encode(items.c.name, sa.literal_column("'escape'"), type_=sa.Text()))
    return sa.func.lower(sa.cast(items.c.name, sa.Text))


def _pattern(text: str, *, on_postgresql: bool) -> str:
    """Give what a name is compared with to tell whether it holds a text."""
    if on_postgresql:
        text = "".join(
            "\\\\" if byte == 0x5C else f"\\{byte:03o}" if byte >= 0x80 or byte == 0 else chr(byte)
            for byte in paths.to_bytes(text)
        )
    escaped = text.replace("/", "//").replace("%", "/%").replace("_", "/_")
    return f"%{escaped}%"


def _was_changed(processing: Iterable[str]) -> sa.ColumnElement[bool]:
    """Tell whether an item was changed on the way in one of some manners."""
    listed = "," + sa.func.coalesce(items.c.processing, "") + ","
    return sa.or_(*(listed.contains(f",{word},", autoescape=True) for word in processing))


def _filters(
    tx: sa.Connection,
    kinds: Iterable[int],
    parent: int | None,
    reasons: Iterable[str],
    text: str | None,
    execution_id: int | None,
) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if wanted := list(kinds):
        found.append(items.c.kind.in_(wanted))
    if parent is not None:
        found.append(items.c.parent_id == parent)
    if words := list(reasons):
        found.append(items.c.reason.in_(words))
    if text:
        on_postgresql = tx.dialect.name == "postgresql"
        pattern = sa.func.lower(_pattern(text, on_postgresql=on_postgresql))
        found.append(_name(on_postgresql=on_postgresql).like(pattern, escape="/"))
    if execution_id is not None:
        found.append(items.c.execution_id == execution_id)
    return found


@functools.cache
def _places() -> dict[str, int]:
    """Give the place of each column in such a page."""
    return {column.name: place for place, column in enumerate(_as_text().selected_columns)}


def _read(row: list[Any]) -> ItemRow:
    """Give an item whose row came as text."""
    values: dict[str, Any] = {name: row[place] for name, place in _places().items()}
    name, folder, d_folder = values.pop("name"), values.pop("folder") or "", values.pop("d_folder") or ""
    own = values.pop("d_name")
    values["s_modified"] = rows.time_out(values["s_modified"])
    values["d_modified"] = rows.time_out(values["d_modified"])
    values["hash"] = bytes.fromhex(values["hash"]) or None
    d_name = name if own is None else own
    return ItemRow(path=paths.join(folder, name), d_path=paths.join(d_folder, d_name), **values)


def _item(row: Any) -> ItemRow:
    name = paths.from_bytes(bytes(row["name"]))
    folder = "" if row["folder"] is None else paths.from_bytes(bytes(row["folder"]))
    d_folder = "" if row["d_folder"] is None else paths.from_bytes(bytes(row["d_folder"]))
    d_name = name if row["d_name"] is None else paths.from_bytes(bytes(row["d_name"]))
    values = {field: row[field] for field in ItemRow._fields if field not in ("path", "d_path")}
    values["s_modified"] = rows.time_out(values["s_modified"])
    values["d_modified"] = rows.time_out(values["d_modified"])
    return ItemRow(path=paths.join(folder, name), d_path=paths.join(d_folder, d_name), **values)
