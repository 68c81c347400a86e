"""An event that a client tells, read from its body."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tallyport.control.refusals import Invalid
from tallyport.domain.documents import Reader
from tallyport.domain.events import Labels, Topic, is_told

KNOWN: tuple[str, ...] = ("topic", "domain", "payload", "context", "attributes", "callbackUrl", "dataUrl", "target")
KNOWN += ("origin", "namespaces", "deletedAt")
OBJECTS = ("payload", "context", "attributes", "origin")
TEXTS = ("callbackUrl", "dataUrl", "target")
LARGEST = 64 * 1024  # bytes of all that is kept of an event


def read(document: object) -> tuple[str, Labels, str | None, dict[str, Any]]:
    """Give the topic, what listeners choose by, the job if one is named, and what was told."""
    reader = Reader()
    given = reader.members(document, "", KNOWN)
    topic, domain = (reader.text(given.get(key), f"/{key}") for key in ("topic", "domain"))
    if topic is not None and not is_told(topic):
        ours = topic in set(Topic) or topic.startswith("job:")
        why = "is told by the server alone" if ours else "is not two words with a colon, as in workbook:updated"
        reader.wrong("/topic", "unknown_value", f"{topic[:80]!r} {why}")
    for key in OBJECTS:
        if not isinstance(given.get(key, {}), Mapping | None):
            reader.wrong_type(given[key], f"/{key}", "an object")
    if "payload" not in given:
        reader.wrong("/payload", "missing", "is needed: what is told")
    for key in TEXTS:
        if given.get(key) is not None:
            reader.text(given[key], f"/{key}")
    if given.get("namespaces") is not None:
        reader.texts(given["namespaces"], "/namespaces")
    found = given.get("context")
    context: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    named = {key: context[key] for key in ("jobId", "environmentId", "spaceId") if context.get(key) is not None}
    for key, value in named.items():
        reader.text(value, f"/context/{key}")
    told = {key: given[key] for key in (*OBJECTS, *TEXTS, "namespaces") if given.get(key) is not None}
    if not reader.problems and len(msgspec.json.encode(told)) > LARGEST:
        reader.wrong("", "out_of_range", f"an event has at most {LARGEST} bytes")
    if topic is None or domain is None or reader.problems:
        raise Invalid(reader.problems)
    about = Labels(domain, topic.partition(":")[2], named.get("environmentId", "production"), named.get("spaceId"))
    return topic, about, named.get("jobId"), told
