"""Items page by key, keep any name, and group their failures."""

from typing import Any

import sqlalchemy as sa

from tallyport.domain import paths
from tallyport.domain.executions import Execution
from tallyport.domain.items import Status
from tallyport.domain.jobs import Job
from tallyport.store import failures, items, rows
from tallyport.store.database import Database


def row(item_id: int, job: int, parent: int, name: str, **given: Any) -> tuple[Any, ...]:
    values = {
        "kind": 1,
        "status": 1,
        "reason": "new_at_source",
        "size": 3,
        "message": None,
        "execution": 1,
        "lost": 0,
    } | given
    return (
        item_id,
        job,
        parent,
        paths.to_bytes(name),
        values["kind"],
        values["status"],
        values["reason"],
        0,
        values["size"],
        *(None,) * 6,
        3,
        None,
        None,
        values["message"],
        values["execution"],
        1,
        values["lost"],
    )


def fill(database: Database, job: Job, execution: Execution, count: int = 10) -> None:
    with database.begin() as tx:
        items.upsert(tx, database, [row(1, job.number, 0, "", kind=2, reason="unchanged")])
        items.upsert(tx, database, [row(2, job.number, 1, "sub", kind=2, reason="unchanged")])
        items.add_containers(
            tx,
            database,
            [(1, job.number, 0, b"", b"", execution.id), (2, job.number, 1, b"sub", b"SUB", execution.id)],
        )
        items.upsert(
            tx,
            database,
            [
                row(
                    10 + n,
                    job.number,
                    2,
                    f"f{n}",
                    status=3 if n % 5 == 0 else 1,
                    reason="permission_denied" if n % 5 == 0 else "new_at_source",
                    message=f"cannot read sub/f{n}: permission denied" if n % 5 == 0 else None,
                )
                for n in range(count)
            ],
        )


def test_pages_follow_the_key_over_every_status(database: Database, job: Job, execution: Execution) -> None:
    fill(database, job, execution)
    with database.read() as tx:
        first = items.page(tx, job.number, limit=5)
        rest = items.page(tx, job.number, limit=100, after=first[-1].id)
    assert [item.id for item in first + rest] == [1, 2, *range(10, 20)]
    assert first[2].path == "sub/f0"
    assert first[2].d_path == "SUB/f0"


def test_a_job_sees_its_own_items_only(database: Database, job: Job, execution: Execution) -> None:
    fill(database, job, execution)
    with database.read() as tx:
        assert items.page(tx, job.number + 1) == []


def test_filters_narrow_a_page(database: Database, job: Job, execution: Execution) -> None:
    fill(database, job, execution)
    with database.read() as tx:
        failed = items.page(tx, job.number, statuses=[Status.RETRY])
        assert [item.id for item in failed] == [10, 15]
        assert [item.id for item in items.page(tx, job.number, text="F3")] == [13]
        assert [item.id for item in items.page(tx, job.number, kinds=[2])] == [1, 2]


def test_names_that_are_not_utf8_come_back_as_they_were(database: Database, job: Job, execution: Execution) -> None:
    fill(database, job, execution, count=0)
    name = paths.from_bytes(b"caf\xe9\n")
    with database.begin() as tx:
        items.upsert(tx, database, [row(30, job.number, 2, name)])
    with database.read() as tx:
        found = items.at_path(tx, job.number, f"sub/{name}")
        assert found is not None
        assert paths.to_bytes(found.path) == b"sub/caf\xe9\n"
        assert items.known(database, 2, "", 10)[0][0] == name


def test_an_item_is_one_row_however_often_it_is_settled(database: Database, job: Job, execution: Execution) -> None:
    fill(database, job, execution)
    with database.begin() as tx:
        items.upsert(tx, database, [row(999, job.number, 2, "f3", size=77)])
    with database.read() as tx:
        found = items.at_path(tx, job.number, "sub/f3")
    assert found is not None
    assert (found.id, found.s_size) == (13, 77)


def test_failures_group_by_reason_without_names_and_numbers(database: Database, job: Job, execution: Execution) -> None:
    fill(database, job, execution)
    with database.begin() as tx:
        told = "cannot read sub/f{}: permission denied"
        gone = [
            (execution.id, 10 + n, b"sub/f%d" % n, 1, 3, "permission_denied", told.format(n), 3, 1, 1, 1)
            for n in (0, 5)
        ]
        failures.write(tx, database, gone)
        failures.write(tx, database, [(execution.id, 11, b"sub/f1", 1, 3, "locked", "cured since", 3, 1, 1, 1)])
    with database.read() as tx:
        groups = failures.groups(failures.unresolved(tx, job.id), sample=1)
    assert [(group.reason, group.count, group.bytes, len(group.sample)) for group in groups] == [
        ("permission_denied", 2, 6, 1)
    ]
    assert groups[0].message == "cannot read …: permission denied"


def test_failures_of_an_execution_page_by_path(database: Database, job: Job, execution: Execution) -> None:
    with database.begin() as tx:
        failures.write(
            tx,
            database,
            [(execution.id, n, f"p{n % 3}".encode(), 1, 3, "io_error", "bad", 1, 1, 1, 1) for n in range(9)],
        )
    with database.read() as tx:
        found = list(failures.iterate(tx, execution.id, chunk=2))
        assert failures.count(tx, execution.id) == 9
    assert [(item.path, item.item_id) for item in found] == sorted((f"p{n % 3}", n) for n in range(9))


def test_an_item_row_costs_less_than_700_bytes(database: Database, job: Job, execution: Execution) -> None:
    with database.begin() as tx:
        items.add_containers(tx, database, [(1, job.number, 0, b"", b"", execution.id)])
        before = taken(tx, database)
        tag = bytes(16)
        items.upsert(
            tx,
            database,
            [
                (
                    *(1 << 60 | n, job.number, 1, f"document-{n:08}.txt".encode(), 1, 1, "new_at_source", 0),
                    *(4096, 1_700_000_000_000_000_000 + n, tag, 4096, 1_700_000_000_000_000_000 + n, tag, tag, 3),
                    *(None, None, None, execution.id, 1_700_000_000_000_000, 0),
                )
                for n in range(20_000)
            ],
        )
        after = taken(tx, database)
    assert (after - before) / 20_000 <= 700


def taken(tx: sa.Connection, database: Database) -> int:
    """Bytes that the items take with their indexes."""
    if not database.is_sqlite:
        return tx.exec_driver_sql("SELECT pg_total_relation_size('items')").scalar_one()
    pages = tx.exec_driver_sql("PRAGMA page_count").scalar_one()
    return pages * tx.exec_driver_sql("PRAGMA page_size").scalar_one()


def test_rows_of_some_names_are_found_however_many_are_asked_for(
    database: Database, job: Job, execution: Execution
) -> None:
    fill(database, job, execution, count=0)
    with database.begin() as tx:
        items.upsert(tx, database, [row(100 + n, job.number, 2, f"n{n:04}") for n in range(1_200)])
    for wanted in (["n0007"], ["n0001", "gone", "n1199"], [f"n{n:04}" for n in range(1_100)]):
        found = items.known_of(database, 2, wanted)
        assert sorted(known[0] for known in found) == sorted(set(wanted) - {"gone"})
        assert (
            found[0][1:] == next(known for known in items.known(database, 2, "", 2_000) if known[0] == found[0][0])[1:]
        )


def test_a_time_beyond_2262_and_one_before_1970_come_back(database: Database, job: Job, execution: Execution) -> None:
    fill(database, job, execution, count=0)
    times = [13_000_000_000_000_000_000, -2_000_000_000_000_000_000, 0, (1 << 63) - 1]
    for n, modified in enumerate(times):
        kept = list(row(40 + n, job.number, 2, f"t{n}"))
        kept[9] = rows.time_in(modified)
        with database.begin() as tx:
            items.upsert(tx, database, [tuple(kept)])
    with database.read() as tx:
        assert [known[6] for known in items.known(database, 2, "", 10)] == times
        assert [item.s_modified for item in items.page(tx, job.number, after=39)] == times


def test_what_items_lost_is_counted_and_found_and_stays_where_nothing_is_said(
    database: Database, job: Job, execution: Execution
) -> None:
    fill(database, job, execution, count=0)
    with database.begin() as tx:
        items.upsert(tx, database, [row(40 + n, job.number, 2, f"l{n}", lost=n) for n in range(4)])
        items.upsert(tx, database, [row(43, job.number, 2, "l3", lost=None), row(42, job.number, 2, "l2", lost=0)])
        items.add_filled(tx, database, [(50, 2, b"new", 3, *(None,) * 6)], job.number, 3, execution.id, 1)
    with database.read() as tx:
        assert items.lost(tx, job.number) == {1: 1, 3: 1}
        assert [item.id for item in items.page(tx, job.number, lost=2)] == [43]
        assert [(item.id, item.lost) for item in items.page(tx, job.number, lost=1)] == [(41, 1), (43, 3)]
        assert items.page(tx, job.number, lost=4) == []


def test_every_way_to_narrow_a_page_goes_with_every_other(database: Database, job: Job, execution: Execution) -> None:
    fill(database, job, execution)
    with database.begin() as tx:
        items.upsert(tx, database, [row(40, job.number, 1, "a%b_c", status=2)])
        tx.exec_driver_sql("UPDATE items SET processing = 'renamed,truncated' WHERE id = 40")
    with database.read() as tx:

        def found(**given: Any) -> list[int]:
            return [item.id for item in items.page(tx, job.number, **given)]

        assert found(offset=3, limit=4) == found(limit=100)[3:7]
        assert found(offset=100) == []
        assert found(text="%") == found(text="B_C") == found(processing=["converted", "truncated"]) == [40]
        assert found(processing=["rename"]) == []
        assert found(reasons=["permission_denied"], parent=2, execution_id=execution.id, until=12) == [10]
        assert found(reasons=["permission_denied", "locked"], kinds=[1], text="f", after=10) == [15]
        assert found(statuses=[]) == []
