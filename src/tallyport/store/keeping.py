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
    UNION
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
    keeping = _KEEPING.format(keeps="keeps = 1" if database.is_sqlite else "keeps")
    values = (execution_id, execution_id, 1 if simulation else 0)
    kept = [int(row[0]) for row in tx.exec_driver_sql(database.sql(keeping + _SETTLE), values)]
    if not simulation:
        tx.exec_driver_sql(database.sql(keeping + _DROP), (execution_id, execution_id))
    return kept
