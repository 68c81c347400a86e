"""Containers that ``empty_containers: skip`` leaves out: told apart once everything below them is known.

A container is visited before what is in it, so its own visit cannot say whether it will be empty at the end.
"""

from tallyport.store.database import Database
from tallyport.store.phrases import sa

_REASON = "ignored_empty_container_policy"

_REVIVED = f"""
WITH RECURSIVE filled(id) AS (
    SELECT empty.id FROM items AS empty JOIN items AS held ON held.parent_id = empty.id
    WHERE empty.job = ? AND empty.kind = 2 AND empty.status = 5 AND empty.reason = '{_REASON}'
      AND held.status IN (1, 2) AND held.d_size IS NOT NULL
    UNION
    SELECT above.id FROM items AS above JOIN items AS below ON below.parent_id = above.id
    JOIN filled ON filled.id = below.id
    WHERE above.kind = 2 AND above.status = 5 AND above.reason = '{_REASON}'
)
UPDATE items SET status = 1, reason = 'unchanged' WHERE id IN (SELECT id FROM filled) RETURNING id, parent_id
"""

_LEFT_OUT = f"""
WITH RECURSIVE filled(id) AS (
    SELECT parent_id FROM items
    WHERE job = ? AND execution_id = ? AND kind <> 2 AND status IN (1, 2)
    UNION
    SELECT items.parent_id FROM items JOIN filled ON filled.id = items.id WHERE items.parent_id <> 0
)
UPDATE items SET status = 5, reason = '{_REASON}'
WHERE job = ? AND execution_id = ? AND kind = 2 AND status = 0
  AND reason IN ('new_at_source', 'deleted_at_destination') AND id NOT IN (SELECT id FROM filled)
RETURNING id
"""


def revive(tx: sa.Connection, database: Database, job: int) -> list[tuple[int, int]]:
    """Take back that containers are left out which hold something by now; gives each with the one above it."""
    return [(int(row[0]), int(row[1])) for row in tx.exec_driver_sql(database.sql(_REVIVED), (job,))]


def leave_out(tx: sa.Connection, database: Database, job: int, execution_id: int) -> int:
    """Mark containers that a simulation would make, and in which nothing would stand; gives how many."""
    values = (job, execution_id, job, execution_id)
    return len(tx.exec_driver_sql(database.sql(_LEFT_OUT), values).all())
