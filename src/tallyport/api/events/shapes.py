"""An event as listeners get it, on every way: a page, a stream, a webhook."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tallyport.api.flatfile.words import STATUS
from tallyport.api.times import iso, present
from tallyport.domain.events import Topic
from tallyport.domain.executions import Execution
from tallyport.domain.states import State
from tallyport.store.events import Event

DOMAIN = "job"
_OURS = frozenset(Topic)
COUNTS = {
    "files": "files",
    "bytes": "bytes",
    "transferred": "transferred",
    "transferred_bytes": "transferredBytes",
    "unchanged": "unchanged",
    "skipped": "skipped",
    "failed": "failed",
    "deleted": "deleted",
}


def event(value: Event) -> dict[str, Any]:
    """Show an event. Keys beside the vendor's stand in ``payload`` and ``context`` alone."""
    if value.topic not in _OURS:
        return _told(value)
    facts = value.facts
    chosen = value.labels
    counts = {shown: facts[name] for name, shown in COUNTS.items() if name in facts}
    payload = {
        "domain": chosen.domain,
        "operation": chosen.operation,
        "job": f"{chosen.domain}:{chosen.operation}",
        "status": STATUS[State(facts["state"])],
        "state": facts["state"],
        "result": facts.get("result"),
        "info": facts.get("info"),
        "isPart": facts.get("part") is not None or facts.get("parent") is not None,
        "part": facts.get("part"),
        "parentId": facts.get("parent"),
        "input": facts.get("input"),
        "name": facts.get("name"),
        "executionId": value.execution_id,
        "attempt": facts.get("attempt"),
        "counts": counts or None,
    }
    if value.topic == Topic.PARTS_COMPLETED:
        payload |= {"parts": facts.get("parts"), "partDetails": [_part(one) for one in facts.get("part_details", ())]}
    return present(
        {
            "id": str(value.id),
            "topic": value.topic,
            "domain": DOMAIN,
            "context": present(
                {
                    "accountId": "local",
                    "environmentId": chosen.environment,
                    "spaceId": chosen.space,
                    "jobId": value.job_id,
                    "actorId": value.actor,
                }
            ),
            "payload": present(payload),
            "attributes": present({"targetUpdatedAt": iso(value.created_at), "progress": _progress(facts)}),
            "callbackUrl": f"/v1/events/{value.id}/ack",
            "dataUrl": f"/v1/jobs/{value.job_id}",
            "target": f"job:{value.job_id}",
            "origin": {"id": value.actor},
            "namespaces": [],
            "createdAt": iso(value.created_at),
            "deletedAt": None,
            "acknowledgedAt": iso(value.acknowledged_at),
            "acknowledgedBy": value.acknowledged_by,
        }
    )


def _told(value: Event) -> dict[str, Any]:
    """Show an event that a client told: as it was told, with what we know of it."""
    told = value.facts
    chosen = value.labels
    known = {
        "accountId": "local",
        "environmentId": chosen.environment,
        "spaceId": chosen.space,
        "jobId": value.job_id,
        "actorId": value.actor,
    }
    return present(
        {
            "id": str(value.id),
            "topic": value.topic,
            "domain": chosen.domain,
            "context": {**told.get("context", {}), **present(known)},
            "payload": told.get("payload", {}),
            "attributes": told.get("attributes"),
            "callbackUrl": told.get("callbackUrl") or f"/v1/events/{value.id}/ack",
            "dataUrl": told.get("dataUrl") or "",
            "target": told.get("target"),
            "origin": told.get("origin") or {"id": value.actor},
            "namespaces": told.get("namespaces", []),
            "createdAt": iso(value.created_at),
            "deletedAt": None,
            "acknowledgedAt": iso(value.acknowledged_at),
            "acknowledgedBy": value.acknowledged_by,
        }
    )


def progress(run: Execution, percent: int) -> dict[str, Any]:
    """Show how far an execution is now. This is no stored event: it has no id, and a later one makes it void."""
    return present(
        {
            "jobId": run.job_id,
            "executionId": run.id,
            "attempt": run.attempt,
            "state": run.state,
            "status": STATUS[State(run.state)],
            "result": run.result,
            "phase": run.phase,
            "progress": percent,
            "info": run.info,
            "pending": run.pending,
            "startedAt": iso(run.started_at),
            "finishedAt": iso(run.ended_at),
            **{shown: getattr(run, name) for name, shown in COUNTS.items()},
        }
    )


def frame(name: str, document: object, *, id: int | None = None) -> bytes:
    """Write one server-sent event. JSON has no line breaks of its own, so one data line holds it."""
    head = b"" if id is None else b"id: %d\n" % id
    return b"%sevent: %s\ndata: %s\n\n" % (head, name.encode(), msgspec.json.encode(document))


def _part(one: Mapping[str, Any]) -> dict[str, Any]:
    return {"partId": one["id"], "status": STATUS[State(one["state"])], "completedAt": iso(one["at"])}


def _progress(facts: Any) -> dict[str, Any] | None:
    given = facts.get("progress")
    return None if given is None else {"current": given, "total": 100, "percent": given}
