"""Executions: one run of a job each, with its totals."""

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from tallyport.domain.events import Topic, of_move
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.store import events, rows
from tallyport.store.names import executions, jobs
from tallyport.store.phrases import sa
from tallyport.store.words import ENDED


def add(tx: sa.Connection, **values: Any) -> Execution:
    """Store a new execution of a job and make it the job's newest.

    Needs ``job_id``, ``trigger``, ``policies``; ``attempt`` is counted here.
    """
    job_id = values["job_id"]
    before = sa.select(executions.c.attempt, executions.c.token).where(executions.c.job_id == job_id)
    last = tx.execute(before.order_by(executions.c.id.desc()).limit(1)).first()
    # Executions of a job share its token, so that a later one sweeps what an earlier one left.
    attempt, token = (1, os.urandom(6).hex()) if last is None else (last.attempt + 1, last.token)
    values |= {"attempt": attempt, "token": token, "created_at": rows.now()}
    values.setdefault("state", "ready")
    row = tx.execute(sa.insert(executions).values(**values).returning(executions)).mappings().one()
    new = rows.to_value(Execution, row)
    owner = tx.execute(
        sa.update(jobs)
        .where(jobs.c.id == job_id)
        .values(execution_id=new.id, state=new.state, result=None, version=jobs.c.version + 1)
        .returning(jobs)
    )
    topics = [Topic.RETRIED] if new.trigger == "retry" else []
    events.write(tx, [*topics, *of_move((), new.state)], rows.to_value(Job, owner.mappings().one()), new)
    return new


def find(tx: sa.Connection, execution_id: int, *, lock: bool = False) -> Execution | None:
    """Give an execution, or None. ``lock``: nobody else changes it before this transaction ends."""
    row = tx.execute(_FIND.with_for_update() if lock else _FIND, {"wanted": execution_id}).mappings().first()
    return None if row is None else rows.to_value(Execution, row)


# Said a hundred times a run: put together once.
_FIND = sa.select(executions).where(executions.c.id == sa.bindparam("wanted"))
_TOTALS = (
    *("files", "bytes", "folders", "transferred", "transferred_bytes", "unchanged", "unchanged_bytes"),
    *("skipped", "failed", "failed_folders", "deleted", "writes", "pending"),
)
_COUNT = (
    sa.update(executions)
    .where(executions.c.id == sa.bindparam("wanted"))
    .values({name: executions.c[name] + sa.bindparam(f"more_{name}") for name in _TOTALS})
)


def active(tx: sa.Connection, job_id: str) -> Execution | None:
    """Give the job's execution that has not ended, or None."""
    query = sa.select(executions).where(executions.c.job_id == job_id, executions.c.ended_at.is_(None))
    row = tx.execute(query.order_by(executions.c.id.desc()).limit(1)).mappings().first()
    return None if row is None else rows.to_value(Execution, row)


def newest_until(tx: sa.Connection, job_id: str, moment: int | None) -> Execution | None:
    """Give the newest execution of a job that was made by a moment, or of all when there is none."""
    query = sa.select(executions).where(executions.c.job_id == job_id)
    if moment is not None:
        query = query.where(executions.c.created_at <= moment)
    row = tx.execute(query.order_by(executions.c.id.desc()).limit(1)).mappings().first()
    return None if row is None else rows.to_value(Execution, row)


def opened(tx: sa.Connection) -> list[Execution]:
    """Give every execution that has not ended, oldest first."""
    query = sa.select(executions).where(executions.c.ended_at.is_(None)).order_by(executions.c.id)
    return [rows.to_value(Execution, row) for row in tx.execute(query).mappings()]


def states_of_open(tx: sa.Connection) -> list[tuple[int, str]]:
    """Give id and state of every execution that has not ended: by the priority of its job, then the oldest first."""
    query = (
        sa.select(executions.c.id, executions.c.state)
        .join(jobs, jobs.c.id == executions.c.job_id)
        .where(executions.c.ended_at.is_(None))
        .order_by(jobs.c.priority.desc(), executions.c.id)
    )
    return [(row.id, row.state) for row in tx.execute(query)]


def count_open(tx: sa.Connection) -> dict[tuple[str, str | None], int]:
    """Count the executions that have not ended by state and wait reason."""
    query = sa.select(executions.c.state, executions.c.wait_reason, sa.func.count()).where(
        executions.c.ended_at.is_(None)
    )
    grouped = query.group_by(executions.c.state, executions.c.wait_reason)
    return {(state, reason): int(count) for state, reason, count in tx.execute(grouped)}


def to_resume(tx: sa.Connection, now: int) -> list[Execution]:
    """Give paused executions that go on by themselves by now."""
    query = sa.select(executions).where(executions.c.state == "paused", executions.c.wait_until <= now)
    return [rows.to_value(Execution, row) for row in tx.execute(query).mappings()]


def page(
    tx: sa.Connection,
    *,
    job_id: str | None = None,
    ended: bool | None = None,
    since: int | None = None,
    offset: int = 0,
    limit: int = 100,
) -> tuple[list[Execution], int]:
    """Give one page, newest first, and the number of all that match: open, or ended ``since`` a moment."""
    query = sa.select(executions)
    if since is not None:
        query = query.where(sa.or_(executions.c.ended_at.is_(None), executions.c.ended_at >= since))
    if job_id is not None:
        query = query.where(executions.c.job_id == job_id)
    if ended is not None:
        query = query.where(executions.c.ended_at.isnot(None) if ended else executions.c.ended_at.is_(None))
    total = tx.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    found = tx.execute(query.order_by(executions.c.id.desc()).offset(offset).limit(limit)).mappings()
    return [rows.to_value(Execution, row) for row in found], total


def largest(tx: sa.Connection, job_id: str, runs: int = 20) -> int:
    """Give the most items that one of a job's latest executions saw; a retry alone sees few of a large job."""
    latest = sa.select(executions.c.files + executions.c.folders).where(executions.c.job_id == job_id)
    return max(tx.execute(latest.order_by(executions.c.id.desc()).limit(runs)).scalars(), default=0)


def move(tx: sa.Connection, execution_id: int, expected: tuple[str, ...], to: str, **values: Any) -> bool:
    """Change the state by compare-and-set, the job's with it; False when the state is not one of ``expected``.

    Reaching an end sets its time, and does all that an end means for others (``store/endings.py``).
    """
    at = rows.now()
    if to in ENDED:
        values.setdefault("ended_at", at)
    if to == "executing":
        values.setdefault("started_at", sa.func.coalesce(executions.c.started_at, at))
    changed = tx.execute(
        sa.update(executions)
        .where(executions.c.id == execution_id, executions.c.state.in_(expected))
        .values(state=to, **values)
        .returning(executions)
    )
    row = changed.mappings().first()
    if row is None:
        return False
    owner = tx.execute(
        sa.update(jobs)
        .where(jobs.c.id == row["job_id"], jobs.c.execution_id == execution_id)
        .values(state=to, result=values.get("result"), version=jobs.c.version + 1)
        .returning(jobs)
    )
    if (found := owner.mappings().first()) is not None:
        events.write(tx, of_move(expected, to), rows.to_value(Job, found), rows.to_value(Execution, row))
    if to in ENDED:
        from tallyport.store import endings  # it moves executions itself

        endings.ended(tx, execution_id)
    return True


def change(tx: sa.Connection, execution_id: int, **values: Any) -> None:
    """Set columns that are not the state."""
    tx.execute(sa.update(executions).where(executions.c.id == execution_id).values(**values))
    if values.get("acknowledged_at") is not None:
        found = tx.execute(sa.select(jobs).where(jobs.c.execution_id == execution_id)).mappings().first()
        run = find(tx, execution_id)
        if found is not None and run is not None:
            events.write(tx, [Topic.OUTCOME_ACKNOWLEDGED, Topic.UPDATED], rows.to_value(Job, found), run)


def is_first(tx: sa.Connection, job: Job) -> bool:
    """Tell whether no execution of a job has ended that was a run of its own: a simulation is none."""
    if job.executions == 0:
        return True
    query = sa.select(executions.c.id).where(
        executions.c.job_id == job.id,
        executions.c.simulation.is_(False),
        executions.c.started_at.isnot(None),
        executions.c.ended_at.isnot(None),
        executions.c.state != "failed_to_start",
        executions.c.trigger.not_in(("undo", "purge")),
    )
    return tx.execute(query.limit(1)).first() is None


def count_scheduled(tx: sa.Connection, job_id: str, since: int) -> int:
    """Count the executions that a job's schedule made since a moment."""
    query = sa.select(sa.func.count()).where(
        executions.c.job_id == job_id, executions.c.trigger == "schedule", executions.c.created_at >= since
    )
    return int(tx.execute(query).scalar_one())


def overdue(tx: sa.Connection, now: int) -> list[Execution]:
    """Give executions under way that have lasted longer than they may."""
    query = sa.select(executions).where(executions.c.ended_at.is_(None), executions.c.deadline <= now)
    return [rows.to_value(Execution, row) for row in tx.execute(query).mappings()]


def count(tx: sa.Connection, execution_id: int, totals: dict[str, int]) -> None:
    """Add to the totals."""
    if any(totals.values()):
        more = {f"more_{name}": totals.get(name, 0) for name in _TOTALS}
        tx.execute(_COUNT, {"wanted": execution_id, **more})


def with_quarantine(tx: sa.Connection, *, after: int, limit: int) -> list[Execution]:
    """Give ended executions that may have kept something for a number of days, by id, not purged yet."""
    purged = executions.alias("purged")
    is_purged = sa.exists().where(purged.c.retry_of == executions.c.id, purged.c.trigger == "purge")
    policies = executions.c.policies
    query = (
        sa.select(executions)
        .where(executions.c.id > after, executions.c.ended_at.is_not(None), executions.c.simulation.is_(False))
        .where(executions.c.trigger.not_in(("undo", "purge")), executions.c.writes + executions.c.deleted > 0)
        .where(policies.like('%"quarantine_days":%'), policies.not_like('%"quarantine_days":null%'), ~is_purged)
        .order_by(executions.c.id)
        .limit(limit)
    )
    return [rows.to_value(Execution, row) for row in tx.execute(query).mappings()]


def newest(tx: sa.Connection, job_ids: Sequence[str], *, each: int = 2) -> dict[str, list[Execution]]:
    """Give the newest executions of each of some jobs, newest first."""
    if not job_ids:
        return {}
    place = sa.func.row_number().over(partition_by=executions.c.job_id, order_by=executions.c.id.desc())
    ranked = sa.select(executions.c.id, place.label("place")).where(executions.c.job_id.in_(list(job_ids))).subquery()
    query = (
        sa.select(executions)
        .where(executions.c.id.in_(sa.select(ranked.c.id).where(ranked.c.place <= each)))
        .order_by(executions.c.id.desc())
    )
    found: dict[str, list[Execution]] = {}
    for row in tx.execute(query).mappings():
        found.setdefault(row["job_id"], []).append(rows.to_value(Execution, row))
    return found


def current(tx: sa.Connection, job_ids: Sequence[str]) -> list[Execution]:
    """Give the newest execution of each of some jobs that has one."""
    newest_ids = sa.select(jobs.c.execution_id).where(jobs.c.id.in_(list(job_ids)), jobs.c.execution_id.isnot(None))
    query = sa.select(executions).where(executions.c.id.in_(newest_ids))
    return [rows.to_value(Execution, row) for row in tx.execute(query).mappings()]


class Carried(NamedTuple):
    """What some executions did in all."""

    executions: int
    transferred: int
    transferred_bytes: int
    failed: int
    deleted: int


def carried_since(tx: sa.Connection, at: int) -> Carried:
    """Add up executions that ended since a moment, simulations aside; what parts did is in the run they did it for."""
    columns = ("transferred", "transferred_bytes", "failed", "deleted")
    query = sa.select(
        sa.func.count(), *[sa.func.coalesce(sa.func.sum(executions.c[name]), 0) for name in columns]
    ).where(executions.c.ended_at >= at, executions.c.simulation.is_(False))
    query = query.where(executions.c.job_id == jobs.c.id, jobs.c.part.is_(None))
    return Carried(*[int(value) for value in tx.execute(query).one()])


class Day(NamedTuple):
    """What was carried within one day."""

    day: int  # since 1970, UTC
    transferred: int
    transferred_bytes: int
    failed: int


def carried_per_day(tx: sa.Connection, since: int, job_ids: Sequence[str] | None = None) -> list[Day]:
    """Add up executions by the day they ended, oldest first, simulations aside.

    With those of children; a run that parts did has their totals, so the parts' own are left out beside it.
    """
    day = sa.cast(executions.c.ended_at / 86_400_000_000, sa.BigInteger)
    query = sa.select(
        day,
        *[sa.func.sum(executions.c[name]) for name in ("transferred", "transferred_bytes", "failed")],
    ).where(executions.c.ended_at >= since, executions.c.simulation.is_(False))
    query = query.where(executions.c.job_id == jobs.c.id)
    if job_ids is None:
        query = query.where(jobs.c.part.is_(None))
    else:
        wanted = list(job_ids)
        named = sa.and_(jobs.c.id.in_(wanted), sa.or_(jobs.c.part.is_(None), jobs.c.parent_id.not_in(wanted)))
        child = sa.and_(jobs.c.parent_id.in_(wanted), jobs.c.part.is_(None), jobs.c.deleted_at.is_(None))
        query = query.where(sa.or_(named, child))
    return [Day(*[int(value) for value in row]) for row in tx.execute(query.group_by(day).order_by(day))]
