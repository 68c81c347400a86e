"""A request that carries an idempotency key is carried out once; its repeats get the first answer."""

from collections.abc import Mapping
from typing import NamedTuple

from tallyport.control.refusals import Conflict, Refusal
from tallyport.store import replies, rows
from tallyport.store.database import Database

KEPT_FOR = 24 * 60 * 60 * 1_000_000  # microseconds
ABANDONED = 60 * 1_000_000  # microseconds: a request at work for longer died with its process


class Answer(NamedTuple):
    """The answer the first request got."""

    status: int
    body: bytes
    headers: Mapping[str, str]  # those that belong to the answer


class AtWork(Conflict):
    """The first request with the key has no answer yet: the same request may be made again in a moment."""


class Reused(Refusal):
    """The key was used for another request."""

    code = "idempotency_key_reused"


def claim(database: Database, principal: str, key: str, request: str) -> Answer | None:
    """Take the key and give None: carry the request out. Or give the answer of the first one.

    Raises Conflict while the first one is at work, Reused when it was another request.
    """
    now = rows.now()
    with database.begin() as tx:
        found = replies.claim(tx, database, principal, key, request, now, now - KEPT_FOR)
        if found is not None and found.status is None and found.created_at < now - ABANDONED:
            replies.release(tx, principal, key)
            found = replies.claim(tx, database, principal, key, request, now, now - KEPT_FOR)
    if found is None:
        return None
    if found.request != request:
        raise Reused("this Idempotency-Key was used for another request")
    if found.status is None:
        raise AtWork("a request with this Idempotency-Key is still at work")
    return Answer(found.status, found.body or b"", found.headers)


def keep(database: Database, principal: str, key: str, answer: Answer) -> None:
    """Keep the answer for repeats."""
    with database.begin() as tx:
        replies.keep(tx, principal, key, answer.status, answer.body, answer.headers)


def release(database: Database, principal: str, key: str) -> None:
    """Give the key back: the request came to nothing."""
    with database.begin() as tx:
        replies.release(tx, principal, key)
