"""What items lost on the way although it was asked for: the history of each execution."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tallyport.store.database import Database
from tallyport.store.ids import Ids
from tallyport.store.names import losses
from tallyport.store.phrases import sa

_BLOCK = 1_000


class LossRow(NamedTuple):
    """One thing that one item lost in one execution."""

    execution_id: int
    item_id: int
    what: str
    detail: str


def write(
    tx: sa.Connection, database: Database, ids: Ids, execution_id: int, found: Sequence[tuple[int, str, str]]
) -> None:
    """Store (item, what, detail). What the same execution said of these items before is replaced."""
    if not found:
        return
    carried = {item_id for item_id, _, _ in found}
    clear(tx, database, execution_id, carried)
    tx.exec_driver_sql(
        database.sql("INSERT INTO losses (id, execution_id, item_id, what, detail) VALUES (?, ?, ?, ?, ?)"),
        [
            (new, execution_id, item_id, what, detail)
            for new, (item_id, what, detail) in zip(ids.block(len(found)), found, strict=True)
        ],
    )


def clear(tx: sa.Connection, database: Database, execution_id: int, item_ids: Iterable[int]) -> None:
    """Drop what an execution said of items."""
    keys = [(execution_id, item_id) for item_id in item_ids]
    if keys:
        tx.exec_driver_sql(database.sql("DELETE FROM losses WHERE execution_id = ? AND item_id = ?"), keys)


def of_item(tx: sa.Connection, item_id: int, limit: int = 1_000) -> list[LossRow]:
    """Give what an item lost, the latest execution first."""
    query = (
        sa.select(losses.c.execution_id, losses.c.item_id, losses.c.what, losses.c.detail)
        .where(losses.c.item_id == item_id)
        .order_by(losses.c.execution_id.desc(), losses.c.id)
    )
    return [LossRow(*row) for row in tx.execute(query.limit(limit))]


def of_items(tx: sa.Connection, item_ids: Sequence[int]) -> dict[int, list[LossRow]]:
    """Give what each of some items lost in the latest execution that carried it with a loss."""
    found: dict[int, list[LossRow]] = {}
    for start in range(0, len(item_ids), _BLOCK):
        chosen = item_ids[start : start + _BLOCK]
        query = (
            sa.select(losses.c.execution_id, losses.c.item_id, losses.c.what, losses.c.detail)
            .where(losses.c.item_id.in_(chosen))
            .order_by(losses.c.item_id, losses.c.execution_id.desc(), losses.c.id)
        )
        for row in tx.execute(query):
            known = found.setdefault(row.item_id, [])
            if not known or known[0].execution_id == row.execution_id:
                known.append(LossRow(*row))
    return found


def iterate(tx: sa.Connection, execution_id: int) -> Iterator[LossRow]:
    """Give everything that was lost in an execution, item by item."""
    after = (0, 0)
    while True:
        query = (
            sa.select(losses.c.execution_id, losses.c.item_id, losses.c.what, losses.c.detail, losses.c.id)
            .where(losses.c.execution_id == execution_id)
            .where(sa.tuple_(losses.c.item_id, losses.c.id) > sa.tuple_(*map(sa.literal, after)))
            .order_by(losses.c.item_id, losses.c.id)
            .limit(_BLOCK)
        )
        page = tx.execute(query).all()
        if not page:
            return
        for row in page:
            yield LossRow(*row[:4])
        after = (page[-1].item_id, page[-1].id)


def counts(tx: sa.Connection, execution_id: int) -> dict[str, int]:
    """Give how often each thing was lost in an execution."""
    query = (
        sa.select(losses.c.what, sa.func.count())
        .where(losses.c.execution_id == execution_id)
        .group_by(losses.c.what)
        .order_by(losses.c.what)
    )
    return {row[0]: row[1] for row in tx.execute(query)}
