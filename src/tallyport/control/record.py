"""Reading the record of what people did to the installation."""

from collections.abc import Iterator
from typing import NamedTuple

from tallyport.control.desk import Desk
from tallyport.store import admin_audit
from tallyport.store.admin_audit import Line

AT_ONCE = 1_000


class Wanted(NamedTuple):
    """Which lines."""

    actor: str | None = None
    action: str | None = None  # or the beginning of one: user.
    object: str | None = None  # kind:id
    since: int | None = None
    until: int | None = None


def page(desk: Desk, wanted: Wanted, *, before: int | None, limit: int) -> tuple[list[Line], bool]:
    """Give one page, the newest first, and whether there is more."""
    with desk.database.read() as tx:
        found = admin_audit.page(tx, before=before, limit=limit + 1, **wanted._asdict())
    return found[:limit], len(found) > limit


def every(desk: Desk, wanted: Wanted) -> Iterator[Line]:
    """Yield all lines, the oldest first, page by page."""
    last = 0
    while True:
        with desk.database.read() as tx:
            found = admin_audit.page(tx, after=last, limit=AT_ONCE, **wanted._asdict())
        yield from found
        if len(found) < AT_ONCE:
            return
        last = found[-1].id


def first_broken(desk: Desk) -> int | None:
    """Give the first line that is not what was written; None when all hold."""
    with desk.database.read() as tx:
        return admin_audit.first_broken(tx)
