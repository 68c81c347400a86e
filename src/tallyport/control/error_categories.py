"""Error categories: list, make, remove."""

from dataclasses import replace

from tallyport.control.desk import Caller, Desk
from tallyport.control.pictures import find_job
from tallyport.control.refusals import Conflict, Invalid, NotFound
from tallyport.domain.categories import Category, built_in, read_category
from tallyport.domain.documents import BlockErrors
from tallyport.store import error_categories as stored

_BUILT_IN = {category.id for category in built_in()}


def listed(desk: Desk, job_id: str | None, *, every: bool) -> list[Category]:
    """Give the categories of a job, or those for all jobs; with ``every`` also what else counts there."""
    with desk.database.read() as tx:
        if job_id is not None:
            find_job(tx, job_id)
        found = stored.of_job(tx, job_id) if job_id is not None and every else stored.page(tx, job_id)
    return [*found, *built_in()] if every else found


def create(desk: Desk, document: object, by: Caller) -> Category:
    """Store a category; it counts from the next batch of work on."""
    try:
        category = read_category(document)
    except BlockErrors as errors:
        raise Invalid(errors.problems) from errors
    with desk.database.begin() as tx:
        if category.job_id is not None:
            find_job(tx, category.job_id)
        if any(other.name == category.name for other in stored.page(tx, category.job_id)):
            raise Conflict(f"there is an error category {category.name!r} already")
        number = stored.add(tx, category)
        if category.job_id is not None:
            told = f"error category {category.name!r} made by {by.name}"
            desk.note(tx, category.job_id, "job.category_added", told)
    return replace(category, id=number)


def delete(desk: Desk, category_id: int, by: Caller) -> None:
    """Remove a category. Built-in ones stay: one of a higher priority outranks them."""
    if category_id in _BUILT_IN:
        raise Conflict("a built-in category cannot be removed: one with a higher priority outranks it")
    with desk.database.begin() as tx:
        if not stored.remove(tx, category_id):
            raise NotFound(f"there is no error category {category_id}")
