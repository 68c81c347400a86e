"""Events, webhooks, the record of people's doings, restricted connections and tokens, on both databases."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from tallyport.domain.events import Topic
from tallyport.domain.jobs import Job
from tallyport.store import admin_audit, connections, events, executions, invitations, jobs, rows, users, webhooks
from tallyport.store.acting import SYSTEM, Actor, acting, actor
from tallyport.store.database import Database
from tallyport.store.tables import admin_audit as audit_table
from tallyport.store.webhooks import Attempt, Webhook


def topics(database: Database, **chosen: object) -> list[str]:
    with database.read() as tx:
        return [one.topic for one in events.page(tx, **chosen)]


def test_a_change_and_its_event_are_one_transaction(database: Database, job: Job) -> None:
    assert topics(database) == ["job:created"]
    with pytest.raises(RuntimeError), database.begin() as tx:
        executions.add(tx, job_id=job.id, trigger="manual", policies="{}")
        raise RuntimeError
    assert topics(database) == ["job:created"]
    with database.begin() as tx:
        run = executions.add(tx, job_id=job.id, trigger="retry", policies="{}")
        executions.move(tx, run.id, ("ready",), "paused")
        executions.move(tx, run.id, ("paused",), "executing")
        executions.move(tx, run.id, ("executing",), "complete", result="clean")
        executions.change(tx, run.id, acknowledged_at=5)
    told = [one for one in topics(database, after=1) if one != Topic.UPDATED]
    assert told == [
        "job:retried",
        "job:ready",
        "job:paused",
        "job:resumed",
        "job:completed",
        "job:outcome-acknowledged",
    ]


def test_a_move_that_does_not_happen_tells_nothing(database: Database, job: Job) -> None:
    with database.begin() as tx:
        run = executions.add(tx, job_id=job.id, trigger="manual", policies="{}")
        before = events.last_id(tx)
        assert not executions.move(tx, run.id, ("executing",), "complete", result="clean")
        assert not jobs.change(tx, job.id, version=99, name="other")
        assert events.last_id(tx) == before


def test_ids_grow_in_the_order_of_commits_whoever_writes(database: Database, job: Job) -> None:
    """A reader that goes on after the last id it saw must never miss one that commits later."""
    seen: list[int] = []
    stop = threading.Event()

    def read() -> None:
        last = 0
        while not stop.is_set() or last == 0:
            with database.read() as tx:
                for one in events.page(tx, after=last, limit=1_000):
                    seen.append(one.id)
                    last = one.id

    def write(number: int) -> None:
        for step in range(15):
            with database.begin() as tx:
                jobs.change(tx, job.id, name=f"{number} {step}")

    reader = threading.Thread(target=read)
    reader.start()
    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    stop.set()
    reader.join(30)
    with database.read() as tx:
        every = [one.id for one in events.page(tx, limit=1_000)]
    assert len(every) == 61
    assert [one for one in every if one <= seen[-1]] == seen


def test_the_actor_is_bound_for_a_while(database: Database, job: Job) -> None:
    with acting(Actor("ann", "u1", "t1", "10.0.0.1", "r1")), database.begin() as tx:
        jobs.change(tx, job.id, name="other")
        admin_audit.write(tx, "job.renamed", f"job:{job.id}", "other", {"name": ["copy", "other"]})
    assert actor() == SYSTEM
    with database.read() as tx:
        assert events.page(tx, newest_first=True)[0].actor == "ann"
        (line,) = admin_audit.page(tx)
    assert (line.actor, line.user_id, line.token_id, line.address, line.request_id) == (
        "ann",
        "u1",
        "t1",
        "10.0.0.1",
        "r1",
    )
    assert line.changes == {"name": ["copy", "other"]}


def test_the_record_is_chained_by_concurrent_writers_and_a_change_is_found(database: Database) -> None:
    def write(number: int) -> None:
        for step in range(5):
            with database.begin() as tx:
                admin_audit.write(tx, "test.done", f"x:{number}", str(step))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    with database.begin() as tx:
        assert admin_audit.first_broken(tx) is None
        ids = [one.id for one in admin_audit.page(tx, after=0, limit=100)]
        assert len(ids) == 20
        assert [one.id for one in admin_audit.page(tx, action="test.", actor="system", limit=3)] == ids[:-4:-1]
        assert admin_audit.page(tx, action="test%") == []
        tx.execute(sa.update(audit_table).where(audit_table.c.id == ids[7]).values(name="forged"))
        assert admin_audit.first_broken(tx) == ids[7]


def test_a_restricted_connection_is_closed_to_those_who_are_not_listed(database: Database, job: Job) -> None:
    assert job.source_connection is not None
    with database.begin() as tx:
        ann, bob = (users.add(tx, name, "manager", None) for name in ("ann", "bob"))
        assert connections.closed_to(tx, [job.source_connection], bob.id) == []
        connections.change(tx, job.source_connection, restricted=True)
        connections.open_to(tx, job.source_connection, [ann.id])
        assert connections.closed_to(tx, [job.source_connection], bob.id) == ["folder"]
        assert connections.closed_to(tx, [job.source_connection], ann.id) == []
        assert connections.users_of(tx, job.source_connection) == [(ann.id, "ann")]


def test_tokens_are_listed_revoked_and_swept(database: Database) -> None:
    now = rows.now()
    with database.begin() as tx:
        ann = users.add(tx, "ann", "admin", None)
        assert users.administrators(tx) == 1
        kept = users.issue(tx, ann.id, "personal", name="kept", scopes="read")
        for _ in range(2):
            users.issue(tx, ann.id, "session", idle_seconds=60, expires_at=now + 60_000_000)
        found, total = users.held(tx, now, user_id=ann.id)
        assert (len(found), total) == (3, 3)
        assert users.holding(tx, [one.id for one in found], now) == {one.id for one in found}
        assert users.revoke_all(tx, ann.id, now, kind="session") == 2
        assert [one.name for one in users.held(tx, now)[0]] == ["kept"]
        assert users.principal(tx, kept, now) is not None
        assert users.purge(tx, now + 1) == 2


def test_a_link_works_once_and_only_the_newest(database: Database) -> None:
    now = rows.now()
    with database.begin() as tx:
        old = invitations.issue(tx, now + 1_000_000)
        new = invitations.issue(tx, now + 1_000_000)
        assert [invitations.use(tx, one, now) for one in (old, new, new)] == [False, True, False]
        late = invitations.issue(tx, now)
        assert not invitations.use(tx, late, now)


def test_a_delivery_is_claimed_by_one_and_settled(database: Database) -> None:
    now = rows.now()
    with database.begin() as tx:
        value = Webhook("w1", "mine", "https://x/", ("job:failed",), None, "{}", None, 0, 0, 1, now, "ann", now)
        webhooks.add(tx, value)
        assert webhooks.active(tx) == [value]
        assert webhooks.least_cursor(tx) == 0
        assert webhooks.advance(tx, "w1", 0, 7)
        assert not webhooks.advance(tx, "w1", 0, 8)
        webhooks.queue(tx, "w1", [(7, "job:failed", "{}"), (8, "job:failed", "{}")], 1)
        first, second = webhooks.due(tx, "w1", rows.now(), 10)
        assert webhooks.claim(tx, first, now + 60_000_000)
        assert not webhooks.claim(tx, first, now + 60_000_000)
        webhooks.log(tx, Attempt(first.id, 1, now, 12, 200, "ok"))
        webhooks.settle(tx, first.id, "delivered", None)
        assert webhooks.bury(tx, "w1") == 1
        assert webhooks.counts(tx, "w1") == webhooks.count_all(tx) == {"delivered": 1, "dead": 1}
        assert webhooks.revive(tx, "w1") == 1
        assert webhooks.due(tx, "w1", rows.now(), 10)[0].id == second.id
        assert webhooks.purge(tx, "delivered", rows.now() + 1) == 1
        assert webhooks.attempts(tx, first.id) == []
        assert webhooks.change(tx, "w1", topics=(), disabled="by a person")
        assert webhooks.active(tx) == []
        assert webhooks.page(tx)[1] == 1


def test_events_are_dropped_up_to_a_time_and_an_id(database: Database, job: Job) -> None:
    with database.begin() as tx:
        for number in range(5):
            jobs.change(tx, job.id, name=str(number))
        last = events.last_id(tx)
        assert events.purge(tx, before=rows.now() + 1, up_to=last - 2, limit=3) == 3
        assert events.purge(tx, before=rows.now() + 1, up_to=last - 2) == 1
        assert events.first_id(tx) == last - 1
        assert events.acknowledge(tx, last, "ann")
        assert [one.id for one in events.page(tx, acknowledged=False)] == [last - 1]
        assert not events.acknowledge(tx, 10_000, "ann")
