"""Lasting tokens: made, listed, rotated, revoked. The text of a token is given once."""

from collections.abc import Sequence
from typing import NamedTuple

from tallyport.control.accounts import find
from tallyport.control.desk import Caller, Desk, Right
from tallyport.control.refusals import NotAllowed, NotFound, invalid
from tallyport.store import admin_audit, rows, users
from tallyport.store.users import Token

SECOND = 1_000_000
MOST_SECONDS = 10 * 366 * 24 * 60 * 60


class Issued(NamedTuple):
    """A new token, with the text that is seen this once."""

    text: str
    token: Token


def create(
    desk: Desk,
    by: Caller,
    *,
    user: str | None = None,
    name: str | None = None,
    scopes: Sequence[str] = (),
    kind: str = "personal",
    expires_in: int | None = None,
) -> Issued:
    """Make a token for the caller, or, by an administrator, for somebody else."""
    _check_scopes(scopes, by)
    now = rows.now()
    with desk.database.begin() as tx:
        owner = find(tx, user if user is not None else by.user_id)
        if owner.id != by.user_id or kind == "server":
            by.require(Right.ADMIN)
        ends = None if expires_in is None else now + expires_in * SECOND
        text = users.issue(tx, owner.id, kind, name=name, scopes=" ".join(scopes), expires_at=ends)
        made = users.principal(tx, text, now)
        if made is None:
            raise NotAllowed(f"the user {owner.name} is disabled")
        admin_audit.write(
            tx, "token.created", f"token:{made.token_id}", name, {"user": [None, owner.name], "scopes": ["", *scopes]}
        )
        return Issued(text, users.held(tx, now, token_id=made.token_id)[0][0])


def show(desk: Desk, token_id: str, by: Caller) -> Token:
    """Give one token that holds and that the caller may change."""
    with desk.database.read() as tx:
        return _own(desk, users.held(tx, rows.now(), token_id=token_id)[0], by)


def page(
    desk: Desk, by: Caller, *, user: str | None, kind: str | None = None, offset: int, limit: int
) -> tuple[list[Token], int]:
    """Give one page of the caller's own tokens, or, to an administrator or auditor, of somebody's or everybody's."""
    with desk.database.read() as tx:
        owner = None if user is None else find(tx, user).id
        if not (by.may(Right.ADMIN) or by.may(Right.AUDIT)):
            if owner not in (None, by.user_id):
                raise NotAllowed("the tokens of others are an administrator's to see")
            owner = by.user_id
        return users.held(tx, rows.now(), user_id=owner, kind=kind, offset=offset, limit=limit)


def rotate(desk: Desk, token_id: str, by: Caller) -> Issued:
    """Put a new token in the place of an old one, which ends at once: same owner, scopes, name and end."""
    _check_scopes((), by)
    now = rows.now()
    with desk.database.begin() as tx:
        old = _own(desk, users.held(tx, now, token_id=token_id)[0], by)
        if old.kind == "session":
            raise invalid("token", "a session is renewed by signing in", code="unknown_value")
        users.revoke(tx, old.id, now)
        text = users.issue(tx, old.user_id, old.kind, name=old.name, scopes=old.scopes, expires_at=old.expires_at)
        made = users.principal(tx, text, now)
        if made is None:
            raise NotAllowed(f"the user {old.user} is disabled")
        admin_audit.write(tx, "token.rotated", f"token:{made.token_id}", old.name, {"token": [old.id, made.token_id]})
        return Issued(text, users.held(tx, now, token_id=made.token_id)[0][0])


def revoke(desk: Desk, token_id: str, by: Caller) -> None:
    """End a token at once."""
    now = rows.now()
    with desk.database.begin() as tx:
        old = _own(desk, users.held(tx, now, token_id=token_id)[0], by)
        users.revoke(tx, old.id, now)
        admin_audit.write(tx, "token.revoked", f"token:{old.id}", old.name, {"user": [old.user, None]})


def _own(desk: Desk, found: Sequence[Token], by: Caller) -> Token:
    """Give a token that the caller may change; of others' they do not learn that there is one."""
    if not found or not (found[0].user_id == by.user_id or by.may(Right.ADMIN)):
        raise NotFound("there is no such token, or not any more")
    return found[0]


def _check_scopes(scopes: Sequence[str], by: Caller) -> None:
    for index, word in enumerate(scopes):
        if word not in set(Right):
            raise invalid(f"/scopes/{index}", f"{word[:80]!r} is not a right", tuple(Right))
    if by.is_narrowed:
        raise NotAllowed("a token with scopes makes no tokens: sign in")
