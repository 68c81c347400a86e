"""The maps of a job as its movers need them: a map that is stored, or the one inside the job."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tallyport.domain.documents import Reader
from tallyport.domain.errors import ErrorKind, TallyportError
from tallyport.domain.jobs import Job
from tallyport.domain.map_documents import KINDS, map_document, read_map_document
from tallyport.store import maps
from tallyport.store.phrases import sa


def maps_of(tx: sa.Connection, job: Job) -> str:
    """Give both maps as JSON, empty where the job has none. Only what is carried from now on goes through them."""
    found: dict[str, object] = {}
    for word in KINDS:
        given = job.transfer.get(word)
        if isinstance(given, Mapping):
            found[word] = _stored(tx, word, str(given["id"])) if given.get("id") is not None else dict(given)
    return json.dumps(found, separators=(",", ":")) if found else ""


def _stored(tx: sa.Connection, word: str, map_id: str) -> dict[str, Any]:
    record = maps.find(tx, map_id, word)
    if record is None:
        message = f"the {word} {map_id} of this job was deleted: give the job another one, or none"
        raise TallyportError(ErrorKind.CONFIG, message)
    reader = Reader()
    chosen = read_map_document(reader, dict(record.document), f"/{word}", word, needs_rule=False).map
    reader.finish()
    excluded = maps.exclusions(tx, record)
    whole = replace(
        chosen,
        pairs=tuple(maps.exceptions(tx, record)),
        source_exclusions=tuple(one.principal for one in excluded if one.side == "source"),
        destination_exclusions=tuple(one.principal for one in excluded if one.side == "destination"),
    )
    return map_document(whole)
