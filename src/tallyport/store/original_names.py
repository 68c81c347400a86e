"""The names that items had before a job renamed them, asked for by where they stand now: the ledger read backwards."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from tallyport.domain import paths
from tallyport.domain.connections import LOCAL_PLATFORMS, Connection, place_of
from tallyport.domain.policies import Policies
from tallyport.store import below, connections, jobs, tables
from tallyport.store.database import Database

_CONVERTED = "%converted%"  # what it holds is in an archive: with the original name alone it would be something else
_BELOW = (
    "SELECT name, d_name FROM items WHERE parent_id = ? AND d_name IS NOT NULL AND COALESCE(processing, '') NOT LIKE ?"
)
_STEP = (
    "SELECT id, name, 0 FROM items WHERE parent_id = ? AND d_name = ? AND d_name IS NOT NULL"
    " UNION ALL SELECT id, name, 1 FROM items WHERE parent_id = ? AND name = ? AND d_name IS NULL"
    " ORDER BY 3 LIMIT 1"
)


class _Root(NamedTuple):
    """Where a job writes to, and the item of its root."""

    segments: tuple[str, ...]
    item_id: int


class OriginalNames:
    """Reads what a job, and all below it, renamed in the containers that they wrote."""

    def __init__(self, database: Database, job_id: str, place: Sequence[str]) -> None:
        """``place``: where names are asked for, as :func:`place_of` gives it."""
        self._database = database
        self._place = tuple(place)
        with database.read() as tx:
            self._roots = sorted(_roots(tx, job_id), key=lambda root: -len(root.segments))

    def below(self, path: str) -> tuple[dict[str, str], str | None]:
        """Give what was renamed in a container, by its path from the place: name now → name before.

        Beside it, the name that the container itself had, when that was renamed.
        """
        wanted = (*self._place, *paths.segments(path))
        for root in self._roots:
            depth = len(root.segments)
            if wanted[:depth] == root.segments:
                found = self._find(root.item_id, wanted[depth:])
                if found is not None:
                    return found
        return {}, None

    def _find(self, item_id: int, segments: tuple[str, ...]) -> tuple[dict[str, str], str | None] | None:
        own: str | None = None
        for segment in segments:
            name = paths.to_bytes(segment)
            found = self._database.rows(_STEP, (item_id, name, item_id, name))
            if not found:
                return None
            item_id, before, is_kept = found[0]
            own = None if is_kept else paths.from_bytes(bytes(before))
        rows = self._database.rows(_BELOW, (item_id, _CONVERTED))
        return {paths.from_bytes(bytes(now)): paths.from_bytes(bytes(before)) for before, now in rows}, own


def _roots(tx: sa.Connection, job_id: str) -> list[_Root]:
    job, end, container = tables.jobs.c, tables.connections.c, tables.containers.c
    query = (
        sa.select(end.platform, end.settings, job.destination_path, container.item_id)
        .join(tables.connections, end.id == job.destination_connection)
        .join(tables.containers, sa.and_(container.job == job.number, container.path == b""))
        .where(job.number.in_(below.numbers(job_id)))
    )
    return [
        _Root(place_of(platform, json.loads(settings), paths.from_bytes(bytes(path))), item_id)
        for platform, settings, path, item_id in tx.execute(query)
    ]


def names_of(database: Database, policies: Policies, place: Sequence[str]) -> Callable[[str], Mapping[str, str]] | None:
    """Give what tells the original names of a container's items, where a job asks for them."""
    if not policies.names_from:
        return None
    found = OriginalNames(database, policies.names_from, place)
    return lambda path: found.below(path)[0]


def refusal(tx: sa.Connection, names_from: str | None, job_id: str, source: Connection | None, path: str) -> str | None:
    """Say why a job that reads a place cannot take original names from another; None when it can, or asks for none."""
    if not names_from or source is None:
        return None
    other = jobs.find(tx, names_from)
    if other is None:
        return f"there is no job {names_from[:80]!r}"
    if other.id == job_id:
        return "a job cannot take names from itself"
    wrote = connections.find(tx, other.destination_connection or "")
    if wrote is None or not _is_within(wrote, other.destination_path, source, path):
        return f"job {other.name!r} did not write what this job reads: its destination is another place"
    return None


def _is_within(one: Connection, path: str, other: Connection, other_path: str) -> bool:
    """Tell whether of two folders one is the other, or holds it."""
    if one.id != other.id and not {one.platform, other.platform} <= LOCAL_PLATFORMS:
        return False
    first, second = (place_of(end.platform, end.settings, below) for end, below in ((one, path), (other, other_path)))
    shorter = min(len(first), len(second))
    return first[:shorter] == second[:shorter]
