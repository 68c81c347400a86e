"""What every verb needs: the store, a source of identifiers, a bell for the engine, and who asks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import sqlalchemy as sa

from tallyport.control.refusals import Conflict, NotAllowed
from tallyport.domain import labels
from tallyport.domain.connections import Connection
from tallyport.store import admin_audit, audit
from tallyport.store.database import Database
from tallyport.store.ids import Ids
from tallyport.store.vault import Vault


class Right(StrEnum):
    """What a role or a token's scope lets a caller do."""

    READ = "read"  # see jobs, connections, items, reports
    RUN = "run"  # start, pause, resume, cancel, retry, ignore
    MANAGE = "manage"  # make, change and delete jobs and connections
    ADMIN = "admin"  # users and tokens; force
    AUDIT = "audit"  # the record of what administrators did


ROLES: dict[str, frozenset[Right]] = {
    "viewer": frozenset({Right.READ}),
    "operator": frozenset({Right.READ, Right.RUN}),
    "manager": frozenset({Right.READ, Right.RUN, Right.MANAGE}),
    "admin": frozenset(Right),
    "auditor": frozenset({Right.READ, Right.AUDIT}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, and what they may do."""

    name: str
    user_id: str
    role: str
    rights: frozenset[Right]
    token_id: str = ""
    email: str | None = None
    is_narrowed: bool = False  # by a token with scopes

    def may(self, right: Right) -> bool:
        return right in self.rights

    def require(self, right: Right) -> None:
        """Refuse unless the caller has the right."""
        if right not in self.rights:
            raise NotAllowed(f"{self.name} ({self.role}) has not the right to {right.value}")


OWNER = Caller(name="local", user_id="local", role="admin", rights=frozenset(Right))  # the command line, embedded


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Where requests are dealt with."""

    database: Database
    nudge: Callable[[], None] = lambda: None  # wakes the engine; call after the transaction
    ids: Ids = field(default_factory=Ids)
    vault: Vault = field(default_factory=Vault)  # seals the secrets of connections
    allow_private: bool = False  # webhooks may be sent into private networks and to this machine
    labels: frozenset[str] | None = None  # which places this server reaches; None: there is no other, it reaches all

    def reaches(self, need: Iterable[str]) -> bool:
        """Tell whether this server may open connections with these labels; else only workers with them can."""
        return self.labels is None or labels.serves(self.labels, need)

    def require_reach(self, *connections: Connection | None) -> None:
        """Refuse what needs connections opened that this server does not reach."""
        for one in connections:
            if one is not None and not self.reaches(one.labels):
                raise Conflict(
                    f"this server does not reach the connection {one.name!r}: "
                    f"only workers with its labels do ({', '.join(one.labels)})"
                )

    def note(
        self,
        tx: sa.Connection,
        job_id: str,
        event: str,
        message: str,
        *,
        execution_id: int | None = None,
        item_ids: Iterable[int | None] = (None,),
        changes: Mapping[str, object] | None = None,
    ) -> None:
        """Write an audit line about what a person did, for the customer and for the record of the installation."""
        lines = [(audit.LEVELS["info"], event, None, message, item_id) for item_id in item_ids]
        audit.write(tx, self.database, self.ids, job_id, execution_id, lines)
        known = {"message": message, **(changes or {})}
        admin_audit.write(tx, event, f"job:{job_id}", None, known)
