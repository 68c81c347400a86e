"""The frontier of an execution: containers to visit, tasks that visits found, and the batches that work them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from tallyport.domain import paths
from tallyport.store import rows
from tallyport.store.database import Database
from tallyport.store.names import batches, containers, executions, items, tasks, visits
from tallyport.store.phrases import sa

Blob = bytes  # a row of visits has a column of that name


class VisitRow(NamedTuple):
    """A claimed visit with what its container is known by."""

    id: int
    item_id: int
    path: str
    d_path: str
    fresh: bool
    blank: bool
    gone: str
    names: str | None  # JSON list
    attempts: int  # times it was claimed, this one included
    signature: bytes | None
    files: int
    bytes: int
    parent_id: int = 0  # item of the container above; 0 for a root
    status: int | None = None  # of the container's own item
    unclean: bool = False  # an execution that ended badly may have left temporaries in it
    slice: Blob | None = None  # a range of a huge container
    sliced: Blob | None = None  # name through which an earlier attempt cut the container in slices


class TaskRow(NamedTuple):
    """A claimed task."""

    id: int
    task: str
    item_id: int
    container_id: int
    path: str
    d_path: str
    device: int
    inode: int
    start: int
    size: int
    hash: bytes | None
    temporary: str | None
    payload: bytes
    attempts: int


class BatchRow(NamedTuple):
    """A batch that is not done."""

    id: int
    execution_id: int
    queue: str
    state: str
    epoch: int
    owner: str | None
    labels: str = ""  # that its holder must have
    seats: int = 0  # transfers it may have under way; 0 = no cap
    created_at: int = 0


PURGE = "purge"  # in the place of the side that is gone: the destination is emptied before the first run
LEFT_OUT = "left:"  # before a reason: the container is left out, and gone through only to be tracked


# -- visits --------------------------------------------------------------------------------------------------------


def add_visits(tx: sa.Connection, database: Database, found: Sequence[tuple[Any, ...]]) -> None:
    """Queue visits: (id, execution, item, path, d_path, fresh, blank, gone, names)."""
    if found:
        tx.exec_driver_sql(
            database.sql(
                "INSERT INTO visits (id, execution_id, item_id, path, d_path, fresh, blank, gone, names, state)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending')"
            ),
            list(found),
        )


_NEXT_VISITS = "SELECT id FROM visits WHERE execution_id = ? AND state = 'pending' ORDER BY id LIMIT ?"
_CLAIM_VISIT = "UPDATE visits SET state = 'claimed', batch_id = ?, attempts = attempts + 1 WHERE id = ?"
_CLAIMED = (
    sa.select(
        visits.c.id,
        visits.c.item_id,
        visits.c.path,
        visits.c.d_path,
        visits.c.fresh,
        visits.c.blank,
        visits.c.gone,
        visits.c.names,
        visits.c.attempts,
        containers.c.signature,
        containers.c.files,
        containers.c.bytes,
        containers.c.parent_id,
        items.c.status,
        containers.c.unclean,
        visits.c.slice,
    )
    .outerjoin(containers, containers.c.item_id == visits.c.item_id)
    .outerjoin(items, items.c.id == visits.c.item_id)
    .where(visits.c.id.in_(sa.bindparam("taken", expanding=True)))
    .order_by(visits.c.id)
)


def claim_visits(tx: sa.Connection, database: Database, execution_id: int, batch_id: int, limit: int) -> list[VisitRow]:
    """Take up to ``limit`` pending visits for a batch, oldest first."""
    next_visits = database.sql(_NEXT_VISITS) + database.locking(skip=True)
    taken = [row[0] for row in tx.exec_driver_sql(next_visits, (execution_id, limit))]
    if not taken:
        return []
    tx.exec_driver_sql(database.sql(_CLAIM_VISIT), [(batch_id, visit) for visit in taken])
    decode = paths.from_bytes
    found = tx.execute(_CLAIMED, {"taken": taken})
    return [
        VisitRow(
            *(*r[0:2], decode(r[2]), decode(r[3]), bool(r[4]), bool(r[5]), *r[6:10]),
            *(r[10] or 0, r[11] or 0, r[12] or 0, r[13], bool(r[14])),
            None if r[15] is None else bytes(r[15]),
            _sliced(tx, execution_id, r[1]) if r[8] > 1 and r[15] is None else None,
        )
        for r in found
    ]


def add_slices(tx: sa.Connection, database: Database, found: Sequence[tuple[Any, ...]]) -> None:
    """Queue slices of huge containers: (id, execution, item, path, d_path, fresh, gone, slice, through)."""
    if found:
        columns = "id, execution_id, item_id, path, d_path, fresh, gone, slice, through, blank, state"
        blank = "1" if database.is_sqlite else "true"
        values = f"?, ?, ?, ?, ?, ?, ?, ?, ?, {blank}, 'pending'"
        tx.exec_driver_sql(database.sql(f"INSERT INTO visits ({columns}) VALUES ({values})"), list(found))


def _sliced(tx: sa.Connection, execution_id: int, item_id: int) -> bytes | None:
    """Give the name through which a container is cut in slices in an execution, or None when it is not."""
    query = sa.select(visits.c.through).where(
        visits.c.item_id == item_id, visits.c.execution_id == execution_id, visits.c.through.isnot(None)
    )
    found = tx.execute(query.order_by(visits.c.through.desc()).limit(1)).scalar()
    return None if found is None else bytes(found)


def end_visits(tx: sa.Connection, database: Database, ended: Sequence[tuple[str, int]]) -> None:
    """Set visits to (state, id): done, failed, or pending again, as after the first attempt: it ended in good order."""
    if ended:
        tx.exec_driver_sql(
            database.sql(
                "UPDATE visits SET state = ?, batch_id = NULL, slice = CASE WHEN ? = 'done' THEN NULL ELSE slice END,"
                " attempts = CASE WHEN ? = 'pending' THEN 1 ELSE attempts END WHERE id = ?"
            ),
            [(state, state, state, visit) for state, visit in ended],
        )


def mark_keeping(tx: sa.Connection, visit_ids: Sequence[int]) -> None:
    """Mark visits of containers that are to go, and in which something stays."""
    for block in range(0, len(visit_ids), 500):
        tx.execute(sa.update(visits).where(visits.c.id.in_(visit_ids[block : block + 500])).values(keeps=True))


def are_queued(tx: sa.Connection, execution_id: int, item_ids: Sequence[int]) -> set[int]:
    """Give those of some containers that this execution visits already."""
    found: set[int] = set()
    for block in range(0, len(item_ids), 500):
        query = sa.select(visits.c.item_id).where(
            visits.c.item_id.in_(item_ids[block : block + 500]), visits.c.execution_id == execution_id
        )
        found.update(tx.execute(query).scalars())
    return found


def mark_unclean(tx: sa.Connection, job_id: str, execution_id: int) -> None:
    """Mark the containers that executions of a job up to this one began to visit and did not end well, each once."""
    those = sa.select(executions.c.id).where(executions.c.job_id == job_id, executions.c.id <= execution_id)
    begun = (visits.c.execution_id.in_(those), visits.c.attempts > 0, visits.c.state != "done")
    left = containers.c.item_id.in_(sa.select(visits.c.item_id).where(*begun))
    tx.execute(sa.update(containers).where(left).values(unclean=True))
    tx.execute(sa.update(visits).where(*begun).values(attempts=0))


def pending_visits(tx: sa.Connection, execution_id: int, most: int) -> int:
    """Count pending visits, at most ``most``."""
    return int(tx.execute(_PENDING, {"execution": execution_id, "most": most}).scalar_one())


# Said at every look for work: put together once.
_PENDING = sa.select(sa.func.count()).select_from(
    sa.select(visits.c.id)
    .where(visits.c.execution_id == sa.bindparam("execution"), visits.c.state == "pending")
    .limit(sa.bindparam("most"))
    .subquery()
)


def visits_ahead(tx: sa.Connection, database: Database, execution_id: int, most: int) -> int:
    """Count containers that are known and not gone through, at most ``most``."""
    known = "SELECT 1 FROM visits WHERE execution_id = ? AND state IN ('pending', 'claimed') LIMIT ?"
    statement = database.sql(f"SELECT count(*) FROM ({known}) AS known")
    return int(tx.exec_driver_sql(statement, (execution_id, most)).scalar_one())


def unfinished_visits(tx: sa.Connection, execution_id: int) -> list[tuple[int, bytes, bytes, str | None]]:
    """Give (item, path, d_path, names) of visits of an ended execution that were never done."""
    query = sa.select(visits.c.item_id, visits.c.path, visits.c.d_path, visits.c.names).where(
        visits.c.execution_id == execution_id, visits.c.state.in_(("pending", "claimed"))
    )
    return [tuple(row) for row in tx.execute(query.distinct())]  # slices of one container are one visit again


# -- tasks ---------------------------------------------------------------------------------------------------------


def add_tasks(tx: sa.Connection, database: Database, found: Sequence[tuple[Any, ...]]) -> None:
    """Queue tasks.

    (id, execution, task, item, container, path, d_path, device, inode, start, size, temporary, payload, state).
    """
    if found:
        tx.exec_driver_sql(
            database.sql(
                "INSERT INTO tasks (id, execution_id, task, item_id, container_id, path, d_path, device, inode, start,"
                " size, temporary, payload, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            ),
            list(found),
        )


def claim_tasks(
    tx: sa.Connection,
    database: Database,
    execution_id: int,
    batch_id: int,
    kinds: Sequence[str],
    limit: int,
    most_bytes: int,
) -> list[TaskRow]:
    """Take pending tasks of the given kinds, at most ``limit`` and about ``most_bytes``; link groups stay whole."""
    database.alone(tx, execution_id)  # two workers would tear a group of links apart
    query = (
        sa.select(tasks)
        .where(tasks.c.execution_id == execution_id, tasks.c.state == "pending", tasks.c.task.in_(list(kinds)))
        .order_by(*_order(kinds))
        .limit(limit)
    )
    found = list(tx.execute(query).mappings())
    if not found:
        return []
    chosen: list[Any] = []
    total = 0
    for row in found:
        if chosen and total + row["size"] > most_bytes:
            break
        chosen.append(row)
        total += row["size"]
    groups = {(row["device"], row["inode"]) for row in chosen if row["task"] == "link"}
    if groups:
        chosen = [row for row in chosen if row["task"] == "link"]
        rest = sa.select(tasks).where(
            tasks.c.execution_id == execution_id,
            tasks.c.state == "pending",
            tasks.c.task == "link",
            sa.tuple_(tasks.c.device, tasks.c.inode).in_(sorted(groups)),
        )
        chosen = list(tx.execute(rest.order_by(tasks.c.device, tasks.c.inode, tasks.c.path)).mappings())
    for block in range(0, len(chosen), 500):
        tx.execute(
            sa.update(tasks)
            .where(tasks.c.id.in_([row["id"] for row in chosen[block : block + 500]]))
            .values(state="claimed", batch_id=batch_id, attempts=tasks.c.attempts + 1)
        )
    return [_task(row) for row in chosen]


def end_task(tx: sa.Connection, task_id: int, state: str, *, hash: bytes | None = None) -> None:
    """Set a task to done, failed, or pending again."""
    values: dict[str, Any] = {"state": state, "batch_id": None}
    if hash is not None:
        values["hash"] = hash
    tx.execute(sa.update(tasks).where(tasks.c.id == task_id).values(**values))


def tasks_of_item(tx: sa.Connection, execution_id: int, item_id: int) -> list[tuple[TaskRow, str]]:
    """Give every task of an item in an execution with its state, parts in order."""
    query = (
        sa.select(tasks)
        .where(tasks.c.execution_id == execution_id, tasks.c.item_id == item_id)
        .order_by(tasks.c.task.desc(), tasks.c.start)  # parts before the finish
    )
    return [(_task(row), row["state"]) for row in tx.execute(query).mappings()]


def alone_with(tx: sa.Connection, execution_id: int, item_id: int) -> None:
    """Let one transaction at a time look at the parts of an item: of two that end the last ones, one must see both."""
    query = sa.select(tasks.c.id).where(
        tasks.c.execution_id == execution_id, tasks.c.item_id == item_id, tasks.c.task == "finish"
    )
    tx.execute(query.with_for_update())


def temporaries(tx: sa.Connection, execution_id: int) -> list[tuple[str, str]]:
    """Give the destinations of big files that are not finished, each with the temporary its tasks keep."""
    query = sa.select(tasks.c.d_path, tasks.c.temporary).where(
        tasks.c.execution_id == execution_id, tasks.c.task == "finish", tasks.c.state != "done"
    )
    return [(paths.from_bytes(bytes(row.d_path)), row.temporary) for row in tx.execute(query)]


def drop_tasks(tx: sa.Connection, execution_id: int, item_id: int) -> None:
    """Forget the tasks of an item: it is planned anew."""
    tx.execute(sa.delete(tasks).where(tasks.c.execution_id == execution_id, tasks.c.item_id == item_id))


def open_tasks(tx: sa.Connection, execution_id: int, kinds: Sequence[str], most: int) -> int:
    """Count tasks of the given kinds that are not ended, at most ``most``."""
    inner = (
        sa.select(tasks.c.id)
        .where(
            tasks.c.execution_id == execution_id,
            tasks.c.state.in_(("pending", "claimed", "blocked")),
            tasks.c.task.in_(list(kinds)),
        )
        .limit(most)
        .subquery()
    )
    return int(tx.execute(sa.select(sa.func.count()).select_from(inner)).scalar_one())


def pending_tasks(tx: sa.Connection, execution_id: int, kinds: Sequence[str]) -> bool:
    """Say whether tasks of the given kinds wait to be claimed."""
    return tx.execute(_PENDING_TASK, {"execution": execution_id, "kinds": list(kinds)}).first() is not None


_PENDING_TASK = (
    sa.select(tasks.c.id)
    .where(
        tasks.c.execution_id == sa.bindparam("execution"),
        tasks.c.state == "pending",
        tasks.c.task.in_(sa.bindparam("kinds", expanding=True)),
    )
    .limit(1)
)


def count_tasks(tx: sa.Connection, execution_id: int, kinds: Sequence[str]) -> int:
    """Count tasks of the given kinds that settle an item, done or not."""
    query = sa.select(sa.func.count()).where(
        tasks.c.execution_id == execution_id, tasks.c.task.in_(list(kinds)), tasks.c.temporary.is_(None)
    )
    return int(tx.execute(query).scalar_one())


class PlannedDelete(NamedTuple):
    """A delete that an execution found and has not made yet."""

    id: int
    path: str  # as shown: the item's path on the side it would go from
    side: str = "destination"


def planned_deletes(
    tx: sa.Connection, execution_id: int, kinds: Sequence[str], *, after: int = 0, limit: int = 100
) -> list[PlannedDelete]:
    """Give up to ``limit`` deletes that an execution would make by tasks of some kinds, by id."""
    query = (
        sa.select(tasks.c.id, tasks.c.task, tasks.c.path, tasks.c.d_path)
        .where(tasks.c.execution_id == execution_id, tasks.c.task.in_(list(kinds)))
        .where(tasks.c.state.not_in(("done", "failed")), tasks.c.id > after)
        .order_by(tasks.c.id)
        .limit(limit)
    )
    found: list[PlannedDelete] = []
    for row in tx.execute(query):
        side = row.task.removeprefix("delete_")
        path = row.path if side == "source" else row.d_path
        found.append(PlannedDelete(row.id, paths.from_bytes(bytes(path)), side))
    return found


def task_exists(tx: sa.Connection, execution_id: int, task: str, item_id: int) -> bool:
    """Say whether an item has an open task of this kind."""
    query = sa.select(tasks.c.id).where(
        tasks.c.execution_id == execution_id,
        tasks.c.item_id == item_id,
        tasks.c.task == task,
        tasks.c.state.in_(("pending", "claimed", "blocked")),
    )
    return tx.execute(query.limit(1)).first() is not None


# -- batches -------------------------------------------------------------------------------------------------------


def add_batch(tx: sa.Connection, execution_id: int, queue: str, *, labels: str = "", seats: int = 0) -> BatchRow:
    """Make a batch, ready to be handed over."""
    values = {"execution_id": execution_id, "queue": queue, "state": "ready", "labels": labels, "seats": seats}
    at = rows.now()
    row = tx.execute(sa.insert(batches).values(**values, epoch=1, created_at=at).returning(batches.c.id)).one()
    return BatchRow(row.id, execution_id, queue, "ready", 1, None, labels, seats, at)


def take_batch(tx: sa.Connection, batch_id: int, epoch: int, owner: str) -> int | None:
    """Begin a batch as its holder; gives its execution, or None when a newer holder has it or it is done."""
    row = tx.execute(
        sa.update(batches)
        .where(batches.c.id == batch_id, batches.c.epoch == epoch, batches.c.state != "done")
        .values(state="running", owner=owner, attempts=batches.c.attempts + 1)
        .returning(batches.c.execution_id)
    ).first()
    return None if row is None else int(row.execution_id)


def are_ready(tx: sa.Connection) -> bool:
    """Say whether any batch waits for a worker. The look of a worker without work, so it asks nothing more."""
    return tx.exec_driver_sql("SELECT 1 FROM batches WHERE state = 'ready' LIMIT 1").first() is not None


def take_ready(
    tx: sa.Connection, database: Database, owner: str, queue: str, served: Sequence[str], limit: int
) -> list[BatchRow]:
    """Take up to ``limit`` batches of a queue that wait for a worker like this one, oldest first.

    Nobody else takes them from now on. Who took them begins each by :func:`take_batch`.
    """
    waits = "SELECT id FROM batches WHERE state = 'ready' AND queue = ? AND labels IN "
    waits += f"({', '.join('?' * len(served))}) ORDER BY id LIMIT ?{database.locking(skip=True)}"
    taken = [row[0] for row in tx.exec_driver_sql(database.sql(waits), (queue, *served, limit))]
    if not taken:
        return []
    mine = sa.update(batches).where(batches.c.id.in_(taken)).values(state="running", owner=owner)
    columns = [batches.c[name] for name in BatchRow._fields]
    return sorted(BatchRow(*row) for row in tx.execute(mine.returning(*columns)))


def seats(tx: sa.Connection, batch_id: int) -> int:
    """Say how many transfers a batch may have under way; 0 when nothing caps them."""
    return int(tx.execute(sa.select(batches.c.seats).where(batches.c.id == batch_id)).scalar_one())


def holds(tx: sa.Connection, database: Database, batch_id: int, epoch: int) -> bool:
    """Say whether this holder still has the batch, lock the row until the transaction ends, and count the commit."""
    changed = tx.exec_driver_sql(
        database.sql(
            "UPDATE batches SET commits = commits + 1 WHERE id = ? AND epoch = ? AND state = 'running'",
        ),
        (batch_id, epoch),
    )
    return changed.rowcount == 1


def commits(tx: sa.Connection, batch_id: int, epoch: int) -> int | None:
    """Give how often the holder of a batch committed, or None when it holds it no more."""
    query = sa.select(batches.c.commits).where(
        batches.c.id == batch_id, batches.c.epoch == epoch, batches.c.state == "running"
    )
    return tx.execute(query).scalar()


def end_batch(tx: sa.Connection, batch_id: int) -> None:
    """Finish a batch; what it still holds goes back to pending."""
    _release(tx, batch_id)
    tx.execute(sa.update(batches).where(batches.c.id == batch_id).values(state="done", ended_at=rows.now(), owner=None))


def fence(tx: sa.Connection, batch_id: int) -> None:
    """Take a batch away from a holder that is gone: its epoch grows, its work goes back to pending."""
    tx.execute(sa.update(batches).where(batches.c.id == batch_id).values(epoch=batches.c.epoch + 1))
    end_batch(tx, batch_id)


def open_batches(tx: sa.Connection, execution_id: int | None = None, *, owner: str | None = None) -> list[BatchRow]:
    """Give batches that are not done, of one execution or of all, held by one worker or by any."""
    query = sa.select(
        batches.c.id,
        batches.c.execution_id,
        batches.c.queue,
        batches.c.state,
        batches.c.epoch,
        batches.c.owner,
        batches.c.labels,
        batches.c.seats,
        batches.c.created_at,
    ).where(batches.c.state != "done")
    if execution_id is not None:
        query = query.where(batches.c.execution_id == execution_id)
    if owner is not None:
        query = query.where(batches.c.owner == owner)
    return [BatchRow(*row) for row in tx.execute(query.order_by(batches.c.id))]


def purge(tx: sa.Connection, execution_id: int) -> None:
    """Drop the frontier of an execution that ended complete: nobody asks for it again."""
    tx.execute(sa.delete(visits).where(visits.c.execution_id == execution_id))
    tx.execute(sa.delete(tasks).where(tasks.c.execution_id == execution_id))
    tx.execute(sa.delete(batches).where(batches.c.execution_id == execution_id))


def container(tx: sa.Connection, item_id: int) -> tuple[str, str] | None:
    """Give (path, d_path) of a container."""
    row = tx.execute(sa.select(containers.c.path, containers.c.d_path).where(containers.c.item_id == item_id)).first()
    return None if row is None else (paths.from_bytes(bytes(row.path)), paths.from_bytes(bytes(row.d_path)))


def containers_of(tx: sa.Connection, item_ids: Sequence[int]) -> list[tuple[int, bytes]]:
    """Give (item, path) of some containers."""
    query = sa.select(containers.c.item_id, containers.c.path).where(containers.c.item_id.in_(list(item_ids)))
    return [(row.item_id, bytes(row.path)) for row in tx.execute(query)]


def _order(kinds: Sequence[str]) -> tuple[sa.ColumnElement[Any], ...]:
    """Give the order in which tasks are claimed: deletes from the bottom of the tree up, link groups together."""
    if "delete_destination" in kinds:
        return (tasks.c.path.desc(), tasks.c.id)
    return (tasks.c.task, tasks.c.device, tasks.c.inode, tasks.c.id)


def _release(tx: sa.Connection, batch_id: int) -> None:
    for table in (visits, tasks):
        tx.execute(sa.update(table).where(table.c.batch_id == batch_id).values(state="pending", batch_id=None))


def _task(row: Any) -> TaskRow:
    values = {field: row[field] for field in TaskRow._fields}
    values["path"] = paths.from_bytes(bytes(row["path"]))
    values["d_path"] = paths.from_bytes(bytes(row["d_path"]))
    return TaskRow(**values)
