"""Links that let somebody in once."""

import secrets
import uuid

import sqlalchemy as sa

from tallyport.store import rows
from tallyport.store.tables import invitations
from tallyport.store.users import digest


def issue(tx: sa.Connection, expires_at: int) -> str:
    """Make the one link that is open, and give what it holds: the only time it is seen. Older ones end."""
    text = secrets.token_urlsafe(32)
    tx.execute(sa.delete(invitations).where(invitations.c.used_at.is_(None)))
    tx.execute(
        sa.insert(invitations).values(
            id=uuid.uuid4().hex, digest=digest(text), created_at=rows.now(), expires_at=expires_at
        )
    )
    return text


def use(tx: sa.Connection, text: str, now: int) -> bool:
    """Use a link up; False when it is unknown, used or too old."""
    used = (
        sa.update(invitations)
        .where(invitations.c.digest == digest(text), invitations.c.used_at.is_(None), invitations.c.expires_at > now)
        .values(used_at=now)
    )
    return tx.execute(used).rowcount == 1
