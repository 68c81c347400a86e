"""Which folders would leave the source of a simulated move is told on either database from the rows alone."""

from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.store import frontier, items, keeping
from tallyport.store.database import Database
from tallyport.store.ids import Ids

NOTHING = (None,) * 7  # what is known of either side


def reasons(database: Database, job: Job) -> dict[str, tuple[str, int]]:
    with database.read() as tx:
        found = items.iterate(tx, job.number, statuses=tuple(range(7)), reasons=(), kinds=(1, 2))
        return {row.path: (row.reason, int(row.status)) for row in found if row.path}


def test_what_holds_a_folder_at_the_source_holds_those_above_it(
    database: Database, job: Job, execution: Execution
) -> None:
    ids: Ids = database.ids()
    root, top, kept, goes, file = (ids.take() for _ in range(5))
    places = {top: (root, b"top"), kept: (top, b"top/kept"), goes: (top, b"top/goes")}
    number = job.number

    def row(item: int, parent: int, name: bytes, kind: int, status: int, reason: str) -> tuple[object, ...]:
        facts = (*NOTHING, 0)
        return (item, number, parent, name, kind, status, reason, 0, *facts, None, None, None, execution.id, 1, 0)

    with database.begin() as tx:
        folders = [(root, 0, b"", 1, "unchanged")]
        folders += [
            (item, parent, path.rpartition(b"/")[2], 0, "new_at_source") for item, (parent, path) in places.items()
        ]
        rows = [row(item, parent, name, 2, status, reason) for item, parent, name, status, reason in folders]
        items.upsert(tx, database, [*rows, row(file, goes, b"file", 1, 1, "moved")])
        where = [(root, 0, b""), *((item, parent, path) for item, (parent, path) in places.items())]
        items.add_containers(
            tx, database, [(item, number, parent, path, path, execution.id) for item, parent, path in where]
        )
        assert keeping.would_change(tx, database, number, execution.id)
        visits = {item: ids.take() for item, _, _ in where}
        frontier.add_visits(
            tx,
            database,
            [(visits[item], execution.id, item, path, path, False, False, "", None) for item, _, path in where],
        )
        frontier.end_visits(tx, database, [("done", visit) for visit in visits.values()])
        frontier.mark_keeping(tx, [visits[kept]])
        keeping.foretell(tx, database, execution.id, makes_late=False)
    pending, moved = ("new_at_source", 0), ("moved", 1)
    assert reasons(database, job) == {"top": pending, "top/kept": pending, "top/goes": moved, "top/goes/file": moved}
    with database.begin() as tx:
        keeping.foretell(tx, database, execution.id, makes_late=True)
        assert not keeping.would_change(tx, database, number, execution.id + 1)
