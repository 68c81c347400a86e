"""What stands below a job: the children of a folder mapping, and the parts that a job or a child was split into."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from tallyport.domain import paths
from tallyport.domain.jobs import Job
from tallyport.store.tables import jobs, unresolved

_AT_ONCE = 500  # jobs of one statement


def numbers(job_id: str) -> sa.Select[tuple[int]]:
    """Give the query for the numbers of a job and of all below it, without what was deleted."""
    return sa.select(jobs.c.number).where(_family([job_id]))


def family(tx: sa.Connection, job: Job) -> dict[int, int]:
    """Give a job and all below it by number, each with how many containers deeper than the job's its source is."""
    own = len(paths.segments(job.source_path))
    found = tx.execute(sa.select(jobs.c.number, jobs.c.source_path).where(_family([job.id])))
    return {number: len(paths.segments(paths.from_bytes(bytes(path)))) - own for number, path in found}


def numbers_of(tx: sa.Connection, job_ids: Iterable[str]) -> set[int]:
    """Give the numbers of some jobs and of all below them, each once."""
    wanted = list(job_ids)
    found: set[int] = set()
    for start in range(0, len(wanted), _AT_ONCE):
        query = sa.select(jobs.c.number).where(_family(wanted[start : start + _AT_ONCE]))
        found.update(tx.execute(query).scalars())
    return found


def failing(tx: sa.Connection, job: Job) -> dict[str, list[str]]:
    """Give by source path, in the order of the paths below them, the jobs below one that have failed items now."""
    query = (
        sa.select(jobs.c.source_path, jobs.c.id)
        .join(unresolved, unresolved.c.job == jobs.c.number)
        .where(_family([job.id]), jobs.c.id != job.id, unresolved.c.number > 0)
    )
    found: dict[bytes, list[str]] = {}
    for path, job_id in tx.execute(query):
        found.setdefault(bytes(path), []).append(job_id)
    return {paths.from_bytes(path): found[path] for path in sorted(found, key=lambda path: path + b"/")}


def _family(job_ids: list[str]) -> sa.ColumnElement[bool]:
    """Tell whether a job is one of some, or below one: a child, a part, or the part of a child."""
    above: Any = jobs.alias("above")
    children = sa.select(above.c.id).where(above.c.parent_id.in_(job_ids), above.c.deleted_at.is_(None))
    stands = sa.and_(jobs.c.deleted_at.is_(None), sa.or_(jobs.c.parent_id.in_(job_ids), jobs.c.parent_id.in_(children)))
    return sa.or_(jobs.c.id.in_(job_ids), stands)
