"""The frontier: a visit has one holder, a fenced holder writes nothing, and what was held comes back."""

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
