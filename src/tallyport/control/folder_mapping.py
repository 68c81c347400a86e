"""Folder mappings: what is done to a parent reaches its children, in small transactions that may be repeated."""

from collections.abc import Iterator

from tallyport.control.desk import Desk
from tallyport.control.pictures import Picture, find_job, look_many
from tallyport.domain import folder_mapping as rules
from tallyport.domain.jobs import Job
from tallyport.store import executions, folder_mapping, jobs

CHUNK = 50  # children of one transaction


def pass_on(desk: Desk, parent_id: str) -> int:
    """Have every child take over what changed at its parent; gives how many did.

    A process that dies meanwhile leaves some as they were: the next run of the parent, or the same change once more,
    reaches them.
    """
    changed = 0
    for chunk in _chunks(desk, parent_id):
        with desk.database.begin() as tx:
            parent = find_job(tx, parent_id)
            for child in chunk:
                fresh = jobs.find(tx, child.id)
                changed += fresh is not None and folder_mapping.pass_on(tx, parent, fresh) is not None
    return changed


def close(desk: Desk, parent: Job) -> None:
    """Keep a parent that is to be deleted from making children."""
    with desk.database.begin() as tx:
        active = executions.active(tx, parent.id)
        if active is not None:
            executions.change(tx, active.id, info=rules.BEING_DELETED)
        jobs.change(tx, parent.id, disabled=rules.BEING_DELETED, next_run_at=None)


def children_of(desk: Desk, parent_id: str) -> Iterator[Job]:
    """Give every child."""
    for chunk in _chunks(desk, parent_id):
        yield from chunk


def pictures(desk: Desk, parent_id: str) -> Iterator[Picture]:
    """Give what is shown of every child."""
    for chunk in _chunks(desk, parent_id):
        with desk.database.read() as tx:
            found = look_many(tx, chunk)
        yield from found


def first(desk: Desk, parent_id: str, limit: int) -> list[Picture]:
    """Give what is shown of the first children."""
    with desk.database.read() as tx:
        return look_many(tx, folder_mapping.page(tx, parent_id, limit=limit))


def _chunks(desk: Desk, parent_id: str) -> Iterator[list[Job]]:
    after = ""
    while True:
        with desk.database.read() as tx:
            found = folder_mapping.page(tx, parent_id, after=after, limit=CHUNK)
        if not found:
            return
        yield found
        after = found[-1].id
