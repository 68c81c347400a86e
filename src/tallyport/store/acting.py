"""Who acts: bound once at the door of a request, read where a change is recorded."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import NamedTuple


class Actor(NamedTuple):
    """Who asked for a change, and how the request came."""

    user: str  # name
    user_id: str | None = None
    token_id: str | None = None
    address: str | None = None
    request_id: str | None = None


SYSTEM = Actor("system")

_actor: ContextVar[Actor] = ContextVar("actor", default=SYSTEM)


def actor() -> Actor:
    """Give who acts now; nobody in particular is the system."""
    return _actor.get()


@contextlib.contextmanager
def acting(who: Actor) -> Iterator[None]:
    """Let changes made inside be this actor's."""
    token = _actor.set(who)
    try:
        yield
    finally:
        _actor.reset(token)
