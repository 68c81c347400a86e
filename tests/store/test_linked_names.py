"""Which names of one file stand at the destination is known while their tasks are there, and after they are gone."""

from tallyport.domain.executions import Execution
from tallyport.domain.items import Status
from tallyport.domain.jobs import Job
from tallyport.domain.standing import Standing
from tallyport.store import frontier, linked_names, tables
from tallyport.store.database import Database

BOX, DEVICE, INODE = 5, 1 << 40, 12


def stand(database: Database, job: int, execution: Execution, item: int, name: bytes, status: Status) -> None:
    with database.begin() as tx:
        tx.execute(
            tables.items.insert().values(
                id=item,
                job=job,
                parent_id=BOX,
                name=name,
                kind=1,
                status=int(status),
                reason="linked",
                attempts=0,
                s_size=3,
                s_modified=7,
                s_tag=b"s",
                d_size=3,
                d_modified=8,
                d_tag=b"d",
                hash=b"h",
                level=3,
                d_name=b"other" if name == b"renamed" else None,
                execution_id=execution.id,
                settled_at=1,
            )
        )
        task = (100 + item, execution.id, "link", item, BOX, b"box/" + name, b"there/" + name, DEVICE, INODE, 0, 0, "")
        frontier.add_tasks(tx, database, [(*task, b"", "pending")])
        frontier.end_task(tx, 100 + item, "done" if status is Status.SUCCESS else "failed")


def test_names_that_stand_are_told_by_what_they_have_in_common(
    database: Database, job: Job, execution: Execution
) -> None:
    with database.begin() as tx:
        container = {"item_id": BOX, "job": job.number, "parent_id": 0, "path": b"box", "d_path": b"there"}
        tx.execute(tables.containers.insert().values(**container, execution_id=execution.id))
    stand(database, job.number, execution, 10, b"a", Status.SUCCESS)
    stand(database, job.number, execution, 11, b"renamed", Status.SUCCESS)
    stand(database, job.number, execution, 12, b"failed", Status.RETRY)
    expected = [Standing(f"there/{name}", (3, 7), (3, 8, b"d"), b"h") for name in ("a", "other")]
    asked = DEVICE, INODE
    assert linked_names.standing(database, job.number, execution.id, *asked) == expected
    with database.begin() as tx:
        again = (900, execution.id, "link", 10, BOX, b"box/a", b"there/a", DEVICE, INODE, 0, 0, "", b"", "done")
        frontier.add_tasks(tx, database, [again])
        linked_names.keep(tx, database, execution.id)
        linked_names.keep(tx, database, execution.id)  # whoever ends it again says the same
        frontier.purge(tx, execution.id)
    assert linked_names.standing(database, job.number, execution.id + 1, *asked) == expected
    assert linked_names.standing(database, job.number, execution.id + 1, DEVICE, INODE + 1) == []
    assert linked_names.standing(database, job.number + 1, execution.id + 1, *asked) == []
