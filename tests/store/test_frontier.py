"""The frontier: a visit has one holder, a fenced holder writes nothing, and what was held comes back."""

import threading
from collections.abc import Callable

from tallyport.domain.executions import Execution
from tallyport.store import frontier
from tallyport.store.database import Database


def queue_visits(database: Database, execution: Execution, count: int) -> None:
    with database.begin() as tx:
        frontier.add_visits(
            tx,
            database,
            [(n, execution.id, n, b"p%d" % n, b"p%d" % n, True, False, "", None) for n in range(1, count + 1)],
        )


def test_visits_are_claimed_once_oldest_first(database: Database, execution: Execution) -> None:
    queue_visits(database, execution, 5)
    with database.begin() as tx:
        one = frontier.add_batch(tx, execution.id, "enumerate")
        two = frontier.add_batch(tx, execution.id, "enumerate")
        first = frontier.claim_visits(tx, database, execution.id, one.id, 3)
        second = frontier.claim_visits(tx, database, execution.id, two.id, 3)
    assert [row.id for row in first] == [1, 2, 3]
    assert [row.id for row in second] == [4, 5]
    assert first[0].path == "p1"
    assert first[0].attempts == 1


def test_a_fenced_holder_no_longer_holds_and_its_work_is_pending_again(
    database: Database, execution: Execution
) -> None:
    queue_visits(database, execution, 2)
    with database.begin() as tx:
        batch = frontier.add_batch(tx, execution.id, "enumerate")
        assert frontier.take_batch(tx, batch.id, batch.epoch, "me") == execution.id
        frontier.claim_visits(tx, database, execution.id, batch.id, 10)
        assert frontier.holds(tx, database, batch.id, batch.epoch)
        frontier.fence(tx, batch.id)
        assert not frontier.holds(tx, database, batch.id, batch.epoch)
        assert frontier.take_batch(tx, batch.id, batch.epoch, "me") is None
        assert frontier.pending_visits(tx, execution.id, 10) == 2
        again = frontier.add_batch(tx, execution.id, "enumerate")
        assert {row.attempts for row in frontier.claim_visits(tx, database, execution.id, again.id, 10)} == {2}


def test_a_batch_is_taken_with_its_own_epoch_only(database: Database, execution: Execution) -> None:
    with database.begin() as tx:
        batch = frontier.add_batch(tx, execution.id, "transfer")
        assert frontier.take_batch(tx, batch.id, batch.epoch + 1, "x") is None
        assert frontier.take_batch(tx, batch.id, batch.epoch, "x") == execution.id
        frontier.end_batch(tx, batch.id)
        assert frontier.take_batch(tx, batch.id, batch.epoch, "x") is None
        assert frontier.open_batches(tx) == []


def test_of_what_is_ready_a_worker_takes_the_oldest_that_it_serves(database: Database, execution: Execution) -> None:
    with database.begin() as tx:
        assert not frontier.are_ready(tx)
        made = [frontier.add_batch(tx, execution.id, "transfer", labels=need) for need in ("", "nas", "", "", "")]
        other = frontier.add_batch(tx, execution.id, "enumerate")
        assert frontier.are_ready(tx)
    plain = [batch.id for batch in made if not batch.labels]

    def take(queue: str, served: tuple[str, ...], limit: int) -> list[int]:
        with database.begin() as tx:
            taken = frontier.take_ready(tx, database, "me", queue, served, limit)
        assert all((batch.state, batch.owner, batch.epoch) == ("running", "me", 1) for batch in taken)
        return [batch.id for batch in taken]

    assert take("transfer", ("",), 2) == plain[:2]
    assert take("transfer", ("",), 9) == plain[2:]
    assert take("transfer", ("", "nas", "nas tape", "tape"), 9) == [made[1].id]
    assert take("transfer", ("", "nas"), 9) == []
    assert take("enumerate", ("",), 9) == [other.id]
    with database.begin() as tx:
        assert not frontier.are_ready(tx)
        assert frontier.take_batch(tx, other.id, 1, "me") == execution.id


def test_a_group_of_hard_links_is_claimed_whole(database: Database, execution: Execution) -> None:
    with database.begin() as tx:
        frontier.add_tasks(
            tx,
            database,
            [
                (n, execution.id, "link", n, 1, b"%d" % n, b"%d" % n, 7, 1 + n // 3, 0, 10, None, b"", "pending")
                for n in range(6)
            ],
        )
        batch = frontier.add_batch(tx, execution.id, "transfer")
        claimed = frontier.claim_tasks(tx, database, execution.id, batch.id, ("link",), 2, 1 << 30)
    assert [row.id for row in claimed] == [0, 1, 2]


def test_of_two_that_end_the_last_parts_of_a_file_one_sees_both_done(database: Database, execution: Execution) -> None:
    with database.begin() as tx:
        rows = [(1, "part", 0, "pending"), (2, "part", 5, "pending"), (3, "finish", 0, "blocked")]
        frontier.add_tasks(
            tx,
            database,
            [(n, execution.id, task, 9, 1, b"f", b"f", 0, 0, at, 5, ".t", b"", state) for n, task, at, state in rows],
        )
    left: list[list[str]] = []
    has_ended = threading.Event()

    def end(task: int, then: Callable[[], object]) -> None:
        with database.begin() as tx:
            frontier.end_task(tx, task, "done")
            has_ended.set()
            frontier.alone_with(tx, execution.id, 9)
            family = frontier.tasks_of_item(tx, execution.id, 9)
            left.append([row.task for row, state in family if state != "done"])
            then()

    other = threading.Thread(target=end, args=(2, lambda: None))

    def let_the_other_end_too() -> None:
        has_ended.clear()
        other.start()
        assert database.is_sqlite or has_ended.wait(60)  # SQLite lets it begin only when this one has ended

    end(1, let_the_other_end_too)
    other.join(60)
    assert left[1] == ["finish"]
