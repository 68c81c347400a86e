"""Containers that were to be deleted, and in which something stays: told apart once everything below is known.

A container is visited before what is in it, so its own visit cannot say whether it will be empty at the end.
"""

from tallyport.store.database import Database
from tallyport.store.phrases import sa

_NOT_EMPTY = "not_empty"
_GOES = "('purged', 'not_at_source', 'deleted_at_source', 'deleted_at_destination')"

_KEEPING = """
WITH RECURSIVE kept(id) AS (
    SELECT item_id FROM visits WHERE execution_id = ? AND {keeps}
    UNION {late}
    SELECT items.parent_id FROM items JOIN kept ON kept.id = items.id WHERE items.parent_id <> 0
)
"""
_SETTLE = f"""
UPDATE items SET status = 5, reason = '{_NOT_EMPTY}', attempts = 0
WHERE id IN (SELECT id FROM kept) AND kind = 2 AND execution_id = ? AND status = ? AND reason IN {_GOES}
RETURNING id
"""
_DROP = """
DELETE FROM tasks WHERE execution_id = ? AND item_id IN (SELECT id FROM kept)
AND task IN ('delete_source', 'delete_destination') AND state = 'pending' AND temporary IS NULL
"""


def keep(tx: sa.Connection, database: Database, execution_id: int, *, simulation: bool) -> list[int]:
    """Settle as left out each container that is to go and cannot, and take its delete away; gives their items.

    In a run such an item is pending and has a task; in a simulation its row says that it would go.
    """
    keeping = _keeping(database)
    values = (execution_id, execution_id, 1 if simulation else 0)
    kept = [int(row[0]) for row in tx.exec_driver_sql(database.sql(keeping + _SETTLE), values)]
    if not simulation:
        tx.exec_driver_sql(database.sql(keeping + _DROP), (execution_id, execution_id))
    return kept


_GOES_ALONG = """
UPDATE items SET status = 1, reason = 'moved', execution_id = ?
WHERE kind = 2 AND parent_id <> 0 AND status IN (0, 1, 2) AND id NOT IN (SELECT id FROM kept) AND {visited}
"""
_STAYS = """
UPDATE items SET reason = 'unchanged', execution_id = ?
WHERE kind = 2 AND status IN (1, 2) AND reason = 'moved' AND id IN (SELECT id FROM kept) AND {visited}
"""
_VISITED = """id IN (
    SELECT item_id FROM visits WHERE execution_id = ? AND names IS NULL AND gone = '' AND state = 'done'
)"""


_LATE = """
    SELECT folder.id FROM items AS folder
    WHERE folder.execution_id = ? AND folder.kind = 2 AND folder.status = 0
      AND folder.reason IN ('new_at_source', 'deleted_at_destination') AND NOT EXISTS (
        SELECT 1 FROM items AS held WHERE held.parent_id = folder.id AND held.kind <> 2 AND held.status IN (1, 2)
          AND held.execution_id = folder.execution_id
    )
    UNION
"""


def foretell(tx: sa.Connection, database: Database, execution_id: int, *, makes_late: bool) -> None:
    """Settle which containers would leave the source of a simulated move: those in which nothing stays.

    ``makes_late``: a container is made with the first file below it. One that has no file of its own is left out at
    its own visit, and so stays at the source until the next run.
    """
    keeping = _keeping(database, _LATE if makes_late else "")
    values = (execution_id,) * (4 if makes_late else 3)
    for statement in (_STAYS, _GOES_ALONG):
        tx.exec_driver_sql(database.sql(keeping + statement.format(visited=_VISITED)), values)


def would_change(tx: sa.Connection, database: Database, job: int, execution_id: int) -> bool:
    """Tell whether the run after a simulation would write anything, be it but a folder or a delete at the source."""
    statement = """
        SELECT 1 FROM items WHERE job = ? AND execution_id = ? AND status IN (0, 1, 2)
        AND reason NOT IN ('unchanged', 'same_content', 'destination_changed') LIMIT 1
    """
    return tx.exec_driver_sql(database.sql(statement), (job, execution_id)).first() is not None


def _keeping(database: Database, late: str = "") -> str:
    return _KEEPING.format(keeps="keeps = 1" if database.is_sqlite else "keeps", late=late)
