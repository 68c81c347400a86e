"""Which items are names of one file at the source, so that a name which comes later is linked to those that stand."""

from collections.abc import Sequence

from tallyport.domain import paths
from tallyport.domain.items import DONE
from tallyport.domain.standing import Standing
from tallyport.store.database import Database
from tallyport.store.phrases import sa

MOST = 8  # names of one file that are tried

_KEEP = """
INSERT INTO linked_names (item_id, job, device, inode)
SELECT tasks.item_id, jobs.number, max(tasks.device), max(tasks.inode)
FROM tasks JOIN executions ON executions.id = tasks.execution_id JOIN jobs ON jobs.id = executions.job_id
WHERE tasks.execution_id = ? AND tasks.state = 'done' AND tasks.task = 'link'
GROUP BY tasks.item_id, jobs.number -- an item that was planned anew has two
ON CONFLICT (item_id) DO UPDATE SET device = excluded.device, inode = excluded.inode
"""
_STANDING = f"""
SELECT containers.d_path, items.name, items.d_name, items.s_size, items.s_modified,
    items.d_size, items.d_modified, items.d_tag, items.hash
FROM (
    SELECT item_id FROM linked_names WHERE job = ? AND device = ? AND inode = ?
    UNION
    SELECT item_id FROM tasks WHERE execution_id = ? AND state = 'done' AND task = 'link' AND device = ? AND inode = ?
) AS known
JOIN items ON items.id = known.item_id JOIN containers ON containers.item_id = items.parent_id
WHERE items.status IN ({", ".join(str(int(status)) for status in sorted(DONE))})
    AND items.hash IS NOT NULL AND items.d_size IS NOT NULL
ORDER BY items.id LIMIT {MOST}
"""


def keep(tx: sa.Connection, database: Database, execution_id: int) -> None:
    """Keep which names an execution carried, before its tasks are dropped."""
    tx.exec_driver_sql(database.sql(_KEEP), (execution_id,))


def standing(database: Database, job: int, execution_id: int, device: int, inode: int) -> Sequence[Standing]:
    """Give names of one file that stand at the destination, carried before or by this execution."""
    asked = (job, device, inode, execution_id, device, inode)
    return [
        Standing(
            paths.join(paths.from_bytes(bytes(container)), paths.from_bytes(bytes(d_name or name))),
            (s_size, s_modified),
            (d_size, d_modified, bytes(d_tag or b"")),
            bytes(content),
        )
        for container, name, d_name, s_size, s_modified, d_size, d_modified, d_tag, content in database.rows(
            _STANDING, asked
        )
    ]
