"""Locks that a job holds are remembered by side and path, whatever else is known of the item."""

from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.domain.paths import to_bytes
from tallyport.store import locks
from tallyport.store.database import Database
from tallyport.store.locks import LockRow


def change(path: str, token: str, side: str = "destination") -> locks.LockChange:
    return side, path.encode("utf-8", "surrogateescape")[-16:], to_bytes(path), to_bytes(f"to/{path}"), token


def held(database: Database, job: Job) -> list[LockRow]:
    with database.read() as tx:
        return [row for page in locks.pages(tx, job.number) for row in page]


def test_a_lock_is_kept_until_it_is_given_up(database: Database, job: Job, execution: Execution) -> None:
    odd = "d/\udcff" + "x" * 3_000
    with database.begin() as tx:
        locks.write(tx, database, job.number, execution.id, [change("a", "t1"), change(odd, "t2")])
        locks.write(tx, database, job.number, execution.id, [change("a", "s1", "source")])
        locks.write(tx, database, job.number + 1, execution.id, [change("a", "another job's")])
    assert [(row.side, row.path, row.d_path, row.token) for row in held(database, job)] == [
        ("destination", "a", "to/a", "t1"),
        ("destination", odd, f"to/{odd}", "t2"),
        ("source", "a", "to/a", "s1"),
    ]
    with database.begin() as tx:
        locks.write(tx, database, job.number, execution.id, [change("a", ""), change("a", "t3"), change(odd, "")])
        locks.write(tx, database, job.number, execution.id, [change("never", "")])
    assert [row.token for row in held(database, job)] == ["t3", "s1"]
