"""Filters of lists, kept under a name."""

import uuid
from typing import NamedTuple

import sqlalchemy as sa

from tallyport.store import rows
from tallyport.store.tables import views


class View(NamedTuple):
    """One kept filter."""

    id: str
    user_id: str
    list: str
    name: str
    query: str
    created_at: int


def of_user(tx: sa.Connection, user_id: str, which: str | None = None) -> list[View]:
    """Give what a user kept, by name."""
    query = sa.select(views).where(views.c.user_id == user_id)
    if which is not None:
        query = query.where(views.c.list == which)
    return [View(*row) for row in tx.execute(query.order_by(views.c.name))]


def keep(tx: sa.Connection, user_id: str, which: str, name: str, query: str) -> View:
    """Store a view; one of the same name is replaced."""
    tx.execute(sa.delete(views).where(views.c.user_id == user_id, views.c.list == which, views.c.name == name))
    view = View(uuid.uuid4().hex, user_id, which, name, query, rows.now())
    tx.execute(sa.insert(views).values(view._asdict()))
    return view


def drop(tx: sa.Connection, user_id: str, view_id: str) -> bool:
    """Forget a view; False when the user has none of this id."""
    return tx.execute(sa.delete(views).where(views.c.id == view_id, views.c.user_id == user_id)).rowcount == 1
