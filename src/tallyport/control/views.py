"""Filters of lists, kept under a name by each user for themselves."""

from urllib.parse import parse_qsl, urlencode

from tallyport.control.desk import Caller, Desk
from tallyport.control.refusals import Conflict, NotFound, invalid
from tallyport.store import views
from tallyport.store.views import View

LISTS = ("jobs", "items", "failed")
MOST = 100  # of one user
_LONGEST = 2_000  # characters of a query
_PASSING = ("cursor", "offset", "limit")  # where in a list somebody is belongs to no view


def of_caller(desk: Desk, by: Caller, which: str | None = None) -> list[View]:
    """Give the caller's views."""
    if which is not None and which not in LISTS:
        raise invalid("list", f"{which[:40]!r} is not a list", LISTS)
    with desk.database.read() as tx:
        return views.of_user(tx, by.user_id, which)


def keep(desk: Desk, by: Caller, which: str, name: str, query: str) -> View:
    """Keep a filter; one of the same name is replaced."""
    if which not in LISTS:
        raise invalid("/list", f"{which[:40]!r} is not a list", LISTS)
    if not name.strip() or len(name) > 100:
        raise invalid("/name", "must have between 1 and 100 characters", code="out_of_range")
    pairs = [(key, value) for key, value in parse_qsl(query.removeprefix("?")) if key not in _PASSING]
    clean = urlencode(pairs)
    if len(clean) > _LONGEST:
        raise invalid("/query", f"must not be longer than {_LONGEST} characters", code="out_of_range")
    with desk.database.begin() as tx:
        mine = views.of_user(tx, by.user_id)
        if len(mine) >= MOST and not any(one.name == name and one.list == which for one in mine):
            raise Conflict(f"{MOST} views are kept already: drop one first")
        return views.keep(tx, by.user_id, which, name.strip(), clean)


def drop(desk: Desk, by: Caller, view_id: str) -> None:
    """Forget one of the caller's views."""
    with desk.database.begin() as tx:
        if not views.drop(tx, by.user_id, view_id):
            raise NotFound(f"you have no view {view_id[:40]!r}")
