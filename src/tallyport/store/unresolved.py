"""How many items of each job are failed now: the database counts, in the transaction of whatever changes an item.

Triggers do it, so that no statement that writes items can forget it, and two that write at once are both counted.
"""

from collections.abc import Iterable
from typing import NamedTuple

from tallyport.domain.items import FAILED
from tallyport.store.database import Database
from tallyport.store.names import items, unresolved
from tallyport.store.phrases import sa

_AT_ONCE = 500  # jobs of one statement


class Differing(NamedTuple):
    """A job whose number was not that of its items."""

    job: int
    kept: int
    found: int


def count(tx: sa.Connection, job: int) -> int:
    """Tell how many items of a job are failed now."""
    query = sa.select(unresolved.c.number).where(unresolved.c.job == job)
    return int(tx.execute(query).scalar() or 0)


def count_each(tx: sa.Connection, numbers: Iterable[int]) -> dict[int, int]:
    """Tell how many items are failed now in each of some jobs; a job without any is left out."""
    wanted = list(numbers)
    found: dict[int, int] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        query = sa.select(unresolved.c.job, unresolved.c.number).where(
            unresolved.c.job.in_(wanted[start : start + _AT_ONCE]), unresolved.c.number > 0
        )
        found.update((job, int(number)) for job, number in tx.execute(query))
    return found


def recount(tx: sa.Connection, database: Database) -> list[Differing]:
    """Count the items themselves and set right every number that differs; gives those. Reads one index to its end."""
    if not database.is_sqlite:  # differs because others write at the same time: what they change comes after this
        tx.exec_driver_sql("LOCK TABLE unresolved IN EXCLUSIVE MODE")
    failed = sa.select(items.c.job, sa.func.count()).where(items.c.status.in_([int(status) for status in FAILED]))
    found = {job: int(number) for job, number in tx.execute(failed.group_by(items.c.job))}
    kept = {job: int(number) for job, number in tx.execute(sa.select(unresolved.c.job, unresolved.c.number))}
    every = sorted(found.keys() | kept.keys())
    differing = [
        Differing(job, kept.get(job, 0), found.get(job, 0)) for job in every if kept.get(job, 0) != found.get(job, 0)
    ]
    for one in differing:
        tx.execute(sa.delete(unresolved).where(unresolved.c.job == one.job))
        tx.execute(sa.insert(unresolved).values(job=one.job, number=one.found))
    return differing
