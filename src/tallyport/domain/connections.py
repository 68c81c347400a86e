"""A connection: a saved account on a platform."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


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
