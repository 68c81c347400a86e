"""Events of jobs, and the record of what people did."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tallyport.client.paging import pages
from tallyport.client.transport import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a job."""

    id: str
    topic: str
    job: str
    raw: Mapping[str, Any] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """Something that somebody did."""

    id: str
    recorded_at: str
    actor: str
    action: str
    object: str
    name: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(repr=False, default_factory=dict)


class Events:
    """``client.events``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def iterate(self, *, after: str | int = 0, job: str | None = None, topic: str | None = None) -> Iterator[Event]:
        """Give events in the order they were written, after the one with an id; keep the last id to go on later."""
        params = {"after": after, "jobId": job, "topic": topic, "includeAcknowledged": True}
        for document in pages(self._transport, "/v1/events", "data", params, offset=False):
            yield Event(
                id=str(document["id"]),
                topic=str(document["topic"]),
                job=str(document["context"]["jobId"]),
                raw=document,
            )

    def acknowledge(self, event_id: str) -> None:
        """Note that an event was dealt with."""
        self._transport.post(f"/v1/events/{int(event_id)}/ack")


class Audit:
    """``client.audit``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def iterate(
        self,
        *,
        actor: str | None = None,
        action: str | None = None,
        object: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> Iterator[AuditLine]:
        """Give what people did, the newest first. ``action`` may be the beginning of one: ``user.``"""
        params = {"actor": actor, "action": action, "object": object, "since": since, "until": until}
        for document in pages(self._transport, "/v1/audit", "audit", params, offset=False):
            yield AuditLine(
                id=str(document["id"]),
                recorded_at=str(document["recordedAt"]),
                actor=str(document["actor"]),
                action=str(document["action"]),
                object=str(document["object"]),
                name=document.get("name"),
                changes=document.get("changes") or {},
                raw=document,
            )

    def first_broken(self) -> str | None:
        """Give the id of the first line that was changed or follows a missing one; None when the record is whole."""
        found = self._transport.get("/v1/audit/verify")["data"]
        return None if found["intact"] else str(found["firstBroken"])
