"""Whether the two ends of a job can be what they are."""

import os

import sqlalchemy as sa

from tallyport.connectors import registry
from tallyport.control import access
from tallyport.control.desk import Caller
from tallyport.control.documents import Draft, End
from tallyport.control.refusals import Invalid, Problem
from tallyport.domain.connections import Connection
from tallyport.domain.policies import DeletePropagation, TransferType
from tallyport.store import connections

_DELETING = (TransferType.SYNC, TransferType.PUBLISH, TransferType.MOVE, TransferType.MIGRATE)


def check(tx: sa.Connection, draft: Draft, by: Caller) -> tuple[Connection, Connection]:
    """Give the connections of both ends, or raise Invalid: unknown, the same place, or one inside the other.

    Raises NotAllowed when the caller may not use one of them.
    """
    problems = []
    found = []
    for side, end in (("source", draft.source), ("destination", draft.destination)):
        connection = connections.find(tx, end.connection)
        if connection is None:
            problems.append(
                Problem(
                    f"/transfer/{side}/connection/id", "not_found", f"there is no connection {end.connection[:80]!r}"
                )
            )
        else:
            found.append(connection)
    if problems:
        raise Invalid(problems)
    access.require(tx, [one.id for one in found], by)
    source, destination = found
    if message := _overlap(draft, source, destination):
        raise Invalid(
            [Problem(f"/transfer/{side}/target/path", "overlap", message) for side in ("source", "destination")]
        )
    return source, destination


def _overlap(draft: Draft, source: Connection, destination: Connection) -> str | None:
    one, other = _place(source, draft.source), _place(destination, draft.destination)
    if one[0] != other[0]:
        return None
    if one[1] == other[1]:
        return "source and destination are the same folder"
    if _inside(other[1], one[1]):
        return "the destination lies inside the source: the job would copy what it writes"
    deletes = draft.policies.delete_propagation is DeletePropagation.MIRROR
    if _inside(one[1], other[1]) and (deletes or draft.policies.transfer_type in _DELETING):
        return "the source lies inside the destination: a job that deletes could delete its own source"
    return None


def _place(connection: Connection, end: End) -> tuple[str, str]:
    """Give what can be compared: where two connections may lead to the same folder, the folder itself."""
    if registry.platform(connection.platform).id == "fs":
        root = str(connection.settings.get("path", ""))
        return "fs", os.path.realpath(os.path.join(root, end.path))
    return f"{connection.platform}:{sorted(connection.settings.items())!r}", f"/{end.path}"


def _inside(inner: str, outer: str) -> bool:
    return inner.startswith(outer.rstrip("/") + "/")
