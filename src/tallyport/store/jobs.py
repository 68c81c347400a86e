"""Jobs and their categories."""

import dataclasses
import uuid
from collections.abc import Iterable
from typing import Any

from tallyport.domain.events import Topic, of_change
from tallyport.domain.jobs import Job, Standing
from tallyport.domain.states import Result
from tallyport.store import events, rows
from tallyport.store.names import categories, executions, jobs
from tallyport.store.phrases import sa


def new_id() -> str:
    """Make a job id: 32 hexadecimal digits, at least one of them a letter (all digits would be an execution)."""
    while (text := uuid.uuid4().hex).isdigit():
        pass
    return text


def add(tx: sa.Connection, job: Job) -> Job:
    """Store a new job and give it with its number."""
    last = tx.execute(sa.select(sa.func.max(jobs.c.number))).scalar()
    numbered = dataclasses.replace(job, number=(last or 0) + 1)
    tx.execute(sa.insert(jobs).values(rows.to_row(numbered)))
    events.write(tx, [Topic.CREATED], numbered)
    return numbered


def find(tx: sa.Connection, job_id: str, *, deleted: bool = False) -> Job | None:
    """Give a job, or None. Deleted jobs are hidden unless asked for."""
    query = sa.select(jobs).where(jobs.c.id == job_id)
    if not deleted:
        query = query.where(jobs.c.deleted_at.is_(None))
    row = tx.execute(query).mappings().first()
    return None if row is None else rows.to_value(Job, row)


def numbered(tx: sa.Connection, number: int) -> Job | None:
    """Give the job with a number, or None; deleted jobs are hidden."""
    row = tx.execute(sa.select(jobs).where(jobs.c.number == number, jobs.c.deleted_at.is_(None))).mappings().first()
    return None if row is None else rows.to_value(Job, row)


def change(tx: sa.Connection, job_id: str, *, version: int | None = None, **values: Any) -> bool:
    """Set columns, with the domain's values; False when the job is gone or ``version`` is not its version now."""
    before = find(tx, job_id)
    update = (
        sa.update(jobs)
        .where(jobs.c.id == job_id, jobs.c.deleted_at.is_(None))
        .values(**rows.columns(values), version=jobs.c.version + 1, modified_at=rows.now())
    )
    if version is not None:
        update = update.where(jobs.c.version == version)
    row = tx.execute(update.returning(jobs)).mappings().first()
    if before is None or row is None:
        return False
    after = rows.to_value(Job, row)
    if topics := of_change(before, values, after):
        events.write(tx, topics, after)
    return True


def page(
    tx: sa.Connection,
    *,
    states: Iterable[str] | None = None,
    standings: Iterable[Standing] | None = None,
    kind: str | None = None,
    text: str | None = None,
    category: int | None = None,
    parent: str | None = None,
    top_level: bool = False,
    since: int | None = None,
    offset: int = 0,
    limit: int = 100,
    ascending: bool = False,
) -> tuple[list[Job], int]:
    """Give one page by time of creation (newest first unless ``ascending``) and the number of all that match."""
    query = sa.select(jobs).where(jobs.c.deleted_at.is_(None))
    if states is not None:
        query = query.where(jobs.c.state.in_(list(states)))
    if standings is not None:
        query = query.where(sa.or_(sa.false(), *map(_stands, standings)))
    if kind is not None:
        query = query.where(jobs.c.kind == kind)
    if text:
        query = query.where(jobs.c.name.icontains(text, autoescape=True))
    if category is not None:
        query = query.where(jobs.c.category_id == category)
    if since is not None:
        query = query.where(jobs.c.created_at >= since)
    if parent is not None:
        query = query.where(jobs.c.parent_id == parent)
    elif top_level:
        query = query.where(jobs.c.parent_id.is_(None))
    total = tx.execute(sa.select(sa.func.count()).select_from(query.subquery())).scalar_one()
    order = (jobs.c.created_at, jobs.c.id) if ascending else (jobs.c.created_at.desc(), jobs.c.id.desc())
    found = tx.execute(query.order_by(*order).offset(offset).limit(limit)).mappings()
    return [rows.to_value(Job, row) for row in found], total


def _stands(standing: Standing) -> sa.ColumnElement[bool]:
    """Tell whether a job stands so."""
    found: list[sa.ColumnElement[bool]] = [jobs.c.state.in_(sorted(standing.states))]
    if standing.has_errors is not None:
        errors = sa.func.coalesce(jobs.c.result, "") == Result.ERRORS.value
        found.append(errors if standing.has_errors else ~errors)
    if standing.is_closed is not None:
        found.append(jobs.c.closed.is_(standing.is_closed))
    if standing.waits is not None:
        why = sa.select(executions.c.wait_reason).where(executions.c.id == jobs.c.execution_id).scalar_subquery()
        known = why.in_(sorted(one for one in standing.waits if one is not None))
        found.append(sa.or_(known, why.is_(None)) if None in standing.waits else known)
    return sa.and_(*found)


def same_endpoints(
    tx: sa.Connection, transfer_type: str, source: tuple[str, str], destination: tuple[str, str]
) -> Job | None:
    """Give the newest job between the same endpoints (connection id, path) of the same type, or None."""
    wanted = rows.columns({"source_path": source[1], "destination_path": destination[1]})
    query = sa.select(jobs).where(
        jobs.c.deleted_at.is_(None),
        jobs.c.transfer_type == transfer_type,
        jobs.c.source_connection == source[0],
        jobs.c.source_path == wanted["source_path"],
        jobs.c.destination_connection == destination[0],
        jobs.c.destination_path == wanted["destination_path"],
    )
    row = tx.execute(query.order_by(jobs.c.created_at.desc()).limit(1)).mappings().first()
    return None if row is None else rows.to_value(Job, row)


def reset_all(tx: sa.Connection) -> None:
    """Have the next run of every job that ran forget what it knew of both sides."""
    ran = (jobs.c.deleted_at.is_(None), jobs.c.executions > 0)
    tx.execute(sa.update(jobs).where(jobs.c.managed, *ran).values(reset="hard", version=jobs.c.version + 1))


def parts(tx: sa.Connection, parent_id: str) -> list[Job]:
    """Give the parts a job was split into, in their order."""
    query = sa.select(jobs).where(jobs.c.parent_id == parent_id, jobs.c.part.isnot(None), jobs.c.deleted_at.is_(None))
    return [rows.to_value(Job, row) for row in tx.execute(query.order_by(jobs.c.part)).mappings()]


def parts_of_each(tx: sa.Connection, parent_ids: Iterable[str]) -> dict[str, list[Job]]:
    """Give the parts of several jobs; a job without any is left out."""
    wanted = list(parent_ids)
    if not wanted:
        return {}
    query = sa.select(jobs).where(jobs.c.parent_id.in_(wanted), jobs.c.part.isnot(None), jobs.c.deleted_at.is_(None))
    found: dict[str, list[Job]] = {}
    for row in tx.execute(query.order_by(jobs.c.parent_id, jobs.c.part)).mappings():
        found.setdefault(row["parent_id"], []).append(rows.to_value(Job, row))
    return found


def lapsed(tx: sa.Connection, now: int, limit: int = 100) -> list[Job]:
    """Give jobs whose agent's lease has run out."""
    query = sa.select(jobs).where(jobs.c.lease_until <= now, jobs.c.deleted_at.is_(None))
    return [rows.to_value(Job, row) for row in tx.execute(query.order_by(jobs.c.lease_until).limit(limit)).mappings()]


def due(tx: sa.Connection, now: int, limit: int = 100) -> list[Job]:
    """Give jobs whose next run is due and that may run."""
    query = (
        sa.select(jobs)
        .where(
            jobs.c.next_run_at <= now,
            jobs.c.deleted_at.is_(None),
            jobs.c.held.is_(False),
            jobs.c.disabled.is_(None),
            jobs.c.closed.is_(False),
        )
        .order_by(jobs.c.next_run_at)
        .limit(limit)
    )
    return [rows.to_value(Job, row) for row in tx.execute(query).mappings()]


def category_named(tx: sa.Connection, name: str) -> int:
    """Give the id of a category, made when it is new. ``Default`` is -1."""
    if name == "Default":
        return -1
    found = tx.execute(sa.select(categories.c.id).where(categories.c.name == name)).scalar()
    if found is None:
        found = tx.execute(sa.insert(categories).values(name=name).returning(categories.c.id)).scalar_one()
    return int(found)


def drop_category(tx: sa.Connection, category: int) -> int | None:
    """Delete a category; gives how many jobs were in it, None when there is none."""
    if tx.execute(sa.select(categories.c.id).where(categories.c.id == category)).scalar() is None:
        return None
    moved = tx.execute(sa.update(jobs).where(jobs.c.category_id == category).values(category_id=None)).rowcount
    tx.execute(sa.delete(categories).where(categories.c.id == category))
    return moved


def category_names(tx: sa.Connection) -> dict[int, str]:
    """Give every category by id."""
    return {-1: "Default"} | {row.id: row.name for row in tx.execute(sa.select(categories).order_by(categories.c.id))}


def count_by_category(tx: sa.Connection) -> dict[int, int]:
    """Count jobs by category, those without one as ``Default``; a category without jobs is left out."""
    query = sa.select(jobs.c.category_id, sa.func.count()).where(jobs.c.deleted_at.is_(None))
    found: dict[int, int] = {}
    for category, count in tx.execute(query.group_by(jobs.c.category_id)):
        key = -1 if category is None else int(category)
        found[key] = found.get(key, 0) + int(count)
    return found


def count_by_state(tx: sa.Connection) -> dict[str, int]:
    """Count jobs by state; a state without jobs is left out."""
    query = sa.select(jobs.c.state, sa.func.count()).where(jobs.c.deleted_at.is_(None)).group_by(jobs.c.state)
    return {state: int(count) for state, count in tx.execute(query)}


def scheduled(tx: sa.Connection, *, limit: int = 100, offset: int = 0) -> list[Job]:
    """Give jobs that will run by themselves, the next one first; those held before their first run come last."""
    query = (
        sa.select(jobs)
        .where(
            sa.or_(jobs.c.next_run_at.isnot(None), sa.and_(jobs.c.held.is_(True), jobs.c.schedule_mode == "auto")),
            jobs.c.deleted_at.is_(None),
            jobs.c.closed.is_(False),
            jobs.c.disabled.is_(None),
        )
        .order_by(jobs.c.next_run_at.is_(None), jobs.c.next_run_at, jobs.c.id)
        .offset(offset)
        .limit(limit)
    )
    return [rows.to_value(Job, row) for row in tx.execute(query).mappings()]
