"""Names that an earlier job changed, and that a job with ``names_from`` gives back.

Its store part needs all of SQLAlchemy, which a run without ``names_from`` does not load.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tallyport.domain.connections import place_of
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.store import connections

if TYPE_CHECKING:
    from tallyport.domain.jobs import Job
    from tallyport.domain.policies import Policies
    from tallyport.store.database import Database
    from tallyport.store.original_names import OriginalNames


def check(database: Database, job: Job, policies: Policies) -> None:
    """Refuse to begin where the job named is gone, or wrote another place meanwhile."""
    if not policies.names_from:
        return
    from tallyport.store.original_names import refusal

    with database.read() as tx:
        source = connections.find(tx, job.source_connection or "")
        why = refusal(tx, policies.names_from, job.id, source, job.source_path)
    if why is not None:
        raise TallyportError(ErrorKind.CONFIG, f"names_from: {why}")


def reader(database: Database, policies: Policies, source: tuple[str, str, str]) -> OriginalNames | None:
    """Give what reads the original names below a source (as in ``Terms``), where they are asked for."""
    if not policies.names_from:
        return None
    from tallyport.store.original_names import OriginalNames

    platform, settings, path = source
    return OriginalNames(database, policies.names_from, place_of(platform, json.loads(settings), path))
