"""What the server answers, as small values. ``raw`` is the whole answer, for what has no field here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FINAL = frozenset({"complete", "failed", "canceled"})
"""States in which a run has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A saved account on a platform."""

    id: str
    name: str
    platform: str
    raw: Mapping[str, Any] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job, with the state of its newest run."""

    id: str
    name: str
    state: str  # created ready executing waiting complete failed canceled ...
    is_paused: bool = False
    execution: int | None = None  # the newest run; failed items are asked for by it
    progress: int | None = None  # per cent
    info: str | None = None
    warnings: tuple[str, ...] = ()
    raw: Mapping[str, Any] = field(repr=False, default_factory=dict)

    @property
    def has_ended(self) -> bool:
        """Tell whether its newest run has ended, well or not."""
        return self.state in FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """The lasting record of one path in a job."""

    id: str
    path: str
    type: str  # item container
    status: str  # success processed skipped retry remediation pending
    reason: str | None = None
    message: str | None = None
    bytes: int | None = None
    raw: Mapping[str, Any] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedItem:
    """One item that failed in a run."""

    entity: str  # whole path on its platform; a folder ends in its separator
    reason: str
    raw: Mapping[str, Any] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Failed items with one cause."""

    reason: str
    code: str | None
    count: int
    bytes: int
    sample: tuple[str, ...]


def connection(document: Mapping[str, Any]) -> Connection:
    """Read a connection from an answer, or from a member of a list."""
    body = _inner(document, "connection")
    platform = body.get("platform")
    return Connection(
        id=str(body["id"]),
        name=str(body.get("name", "")),
        platform=str(platform.get("id", "") if isinstance(platform, Mapping) else platform or ""),
        raw=document,
    )


def job(document: Mapping[str, Any]) -> Job:
    """Read a job from an answer: both views when both are there."""
    theirs = _inner(document, "job")
    data = document.get("data")
    ours: Mapping[str, Any] = data if isinstance(data, Mapping) else {}
    metadata = ours.get("metadata") or {}
    return Job(
        id=str(theirs.get("id") or ours["id"]),
        name=str(theirs.get("name") or ours.get("name") or ""),
        state=str(ours.get("status") or _state(theirs)),
        is_paused=metadata.get("holdReason") == "paused" or theirs.get("status") == "paused",
        execution=_execution(theirs, metadata),
        progress=ours.get("progress"),
        info=ours.get("info"),
        warnings=tuple(map(str, document.get("warnings") or theirs.get("warnings") or ())),
        raw=document,
    )


def item(document: Mapping[str, Any]) -> Item:
    """Read an item from a member of a list."""
    source, destination = document.get("source") or {}, document.get("destination") or {}
    size = source.get("bytes", destination.get("bytes"))
    return Item(
        id=str(document["id"]),
        path=str(source.get("path") or destination.get("path") or ""),
        type=str(document.get("type", "item")),
        status=str(document.get("status", "")),
        reason=document.get("reason") or document.get("audit_category"),
        message=document.get("message"),
        bytes=None if size is None else int(size),
        raw=document,
    )


def failed_item(document: Mapping[str, Any]) -> FailedItem:
    """Read a failed item from a member of a list."""
    return FailedItem(entity=str(document["entity"]), reason=str(document.get("failureReason", "")), raw=document)


def group(document: Mapping[str, Any]) -> Group:
    """Read a group of failed items."""
    return Group(
        reason=str(document.get("reason", "")),
        code=document.get("code"),
        count=int(document.get("count", 0)),
        bytes=int(document.get("bytes") or 0),
        sample=tuple(map(str, document.get("sample") or ())),
    )


# Words of the older view, for a server that sends that one alone.
_STATES = {
    "idle": "created",
    "start": "ready",
    "running": "executing",
    "resume": "executing",
    "cancel": "executing",
    "cancelling": "executing",
    "paused": "waiting",
    "complete": "complete",
    "success": "complete",
    "warn": "complete",
    "failed": "failed",
    "failed-to-start": "failed",
}


def _state(theirs: Mapping[str, Any]) -> str:
    word = str(theirs.get("status", ""))
    last = (theirs.get("execution") or theirs.get("previous_execution") or {}).get("status")
    if word == "idle" and last in ("completed", "no_changes", "warn"):
        return "complete"
    if word == "idle" and last == "cancelled":
        return "canceled"
    return _STATES.get(word, word)


def _execution(theirs: Mapping[str, Any], metadata: Mapping[str, Any]) -> int | None:
    for found in (
        metadata.get("executionId"),
        (theirs.get("execution") or {}).get("id"),
        (theirs.get("previous_execution") or {}).get("id"),
    ):
        if found is not None:
            return int(found)
    return None


def _inner(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    for key in (name, "data"):
        body = document.get(key)
        if isinstance(body, Mapping):
            return body
    return document
