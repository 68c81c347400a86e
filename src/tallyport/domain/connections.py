"""A connection: a saved account on a platform."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tallyport.domain import paths

LOCAL_PLATFORMS = frozenset({"fs", "local", "nfs"})  # folders of this machine


class Canaries(NamedTuple):
    """What a probe makes at a connection, and removes again."""

    path: str  # of the container that is measured, from the connection's root
    place: str  # the name, in there, below which everything is
    uploads: tuple[tuple[str, str], ...] = ()  # path from the container and handle of those begun


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One connection as stored; ``settings`` hold no secret."""

    id: str
    name: str
    platform: str
    settings: Mapping[str, object] = field(default_factory=dict)
    sealed: str | None = field(default=None, repr=False)  # the secrets: store/vault.py
    measured: str | None = None  # JSON of what a probe found it to keep (connectors/probing.py)
    restricted: bool = False  # used by some people only
    labels: tuple[str, ...] = ()  # that a worker must have to reach it
    max_transfers: int | None = None  # at one time, over all jobs and workers
    version: int = 1
    created_at: int
    created_by: str | None = None
    modified_at: int
    deleted_at: int | None = None


def place_of(platform: str, settings: Mapping[str, object], path: str) -> tuple[str, ...]:
    """Give the segments of a path of a connection: on a machine's own disks from their root, so that connections to
    folders in each other can be compared; elsewhere from the connection's root.
    """
    above = str(settings.get("path", "")) if platform in LOCAL_PLATFORMS else ""
    return tuple(segment for segment in paths.segments(f"{above}/{path}") if segment)
