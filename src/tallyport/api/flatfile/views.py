"""A job as this dialect shows it."""

from typing import Any

from tallyport.api.flatfile import words
from tallyport.api.times import iso, present
from tallyport.control.pictures import Picture
from tallyport.control.progress import Gauge
from tallyport.domain import agent_runs, paths
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.domain.states import Result, State
from tallyport.store import rows

ENVIRONMENT = "production"


def job(picture: Picture, gauge: Gauge) -> dict[str, Any]:
    """Show a job. What is not known is left out."""
    return _managed(picture, gauge) if picture.job.managed else _unmanaged(picture)


def _managed(picture: Picture, gauge: Gauge) -> dict[str, Any]:
    value, run = picture.job, picture.execution
    ended = run is not None and run.has_ended
    fresh = run is None or run.state == State.CREATED  # a retry that was just asked shows nothing of the run before
    return present(
        {
            "createdAt": iso(value.created_at),
            "createdBy": value.created_by or "system",
            "id": value.id,
            "operation": "transfer",
            "source": value.source_connection or "",
            "type": "file",
            "updatedAt": iso(value.modified_at),
            "config": dict(value.transfer),
            "destination": value.destination_connection,
            "environmentId": ENVIRONMENT,
            "finishedAt": iso(run.ended_at) if run is not None else None,
            "info": _note(value, "info") or _info(value, run),
            "input": _note(value, "input") or {},
            "managed": True,
            "metadata": _metadata(picture),
            "mode": "background",
            "outcome": _outcome(value, run) if run is not None and ended else None,
            "outcomeAcknowledgedAt": iso(run.acknowledged_at) if run is not None else None,
            "parentId": value.parent_id,
            "part": value.part,
            "partData": _note(value, "part_data"),
            "partExecution": _note(value, "part_execution"),
            "predecessorIds": list(picture.waits_for) or None,
            "progress": gauge.of(picture),
            "result": None if run is None or fresh else _result(run),
            "spaceId": None if value.category_id is None else str(value.category_id),
            "startedAt": iso(run.started_at) if run is not None else None,
            "status": words.status(value),
            "subject": {
                "type": "collection",
                "resource": value.source_connection or "",
                "params": {"path": "/" + paths.display(value.source_path)},
            },
            "trigger": words.trigger(value),
        }
    )


def _unmanaged(picture: Picture) -> dict[str, Any]:
    value = agent_runs.current(picture.job, rows.now())
    run = agent_runs.run(value)
    progress = 100 if value.state == State.COMPLETE else run.get("progress", 0)
    metadata = dict(_note(value, "metadata") or {})
    if run.get("estimated_completion_at"):
        metadata["estimatedCompletionAt"] = run["estimated_completion_at"]
    return present(
        {
            "createdAt": iso(value.created_at),
            "createdBy": value.created_by or "system",
            "id": value.id,
            "operation": _note(value, "operation"),
            "source": _note(value, "source"),
            "type": _note(value, "type"),
            "updatedAt": iso(value.modified_at),
            "config": _note(value, "config"),
            "destination": _note(value, "destination"),
            "environmentId": _note(value, "environmentId") or ENVIRONMENT,
            "fileId": _note(value, "fileId"),
            "finishedAt": iso(run.get("ended_at")),
            "info": run.get("info") or _note(value, "info"),
            "input": _note(value, "input"),
            "managed": False,
            "metadata": metadata,
            "mode": _note(value, "mode") or "foreground",
            "outcome": run.get("outcome"),
            "outcomeAcknowledgedAt": iso(run.get("acknowledged_at")),
            "parentId": value.parent_id,
            "part": value.part,
            "partData": _note(value, "part_data"),
            "partExecution": _note(value, "part_execution"),
            "predecessorIds": list(picture.waits_for) or None,
            "progress": progress,
            "result": run.get("result"),
            "spaceId": _note(value, "spaceId"),
            "startedAt": iso(run.get("started_at")),
            "status": words.status(value),
            "subject": _note(value, "subject"),
            "trigger": _note(value, "trigger") or "manual",
        }
    )


def _note(value: Job, name: str) -> Any:
    return value.extra.get(name)


def _info(value: Job, run: Execution | None) -> str | None:
    if run is None:
        return "held until somebody starts it" if value.held else None
    if run.state == State.WAITING and run.wait_reason:
        return run.info or f"waiting: {run.wait_reason}"
    return run.info or (None if run.has_ended else run.phase)


def _metadata(picture: Picture) -> dict[str, Any]:
    value, run = picture.job, picture.execution
    kept = value.extra.get("metadata")
    hold = "paused" if value.held or value.state == State.PAUSED else None
    waiting = run.wait_reason if run is not None and run.state == State.WAITING else None
    known = present(
        {
            "executionId": None if run is None else run.id,
            "attempt": None if run is None else run.attempt,
            "retryOf": None if run is None else run.retry_of,
            "nextRunAt": iso(value.next_run_at),
            "holdReason": hold or waiting,
        }
    )
    return (dict(kept) if isinstance(kept, dict) else {}) | known


def _result(run: Execution) -> dict[str, Any]:
    return {
        "files": run.files,
        "bytes": run.bytes,
        "folders": run.folders,
        "transferred": run.transferred,
        "transferredBytes": run.transferred_bytes,
        "unchanged": run.unchanged,
        "skipped": run.skipped,
        "failed": run.failed,
        "failedFolders": run.failed_folders,
        "deleted": run.deleted,
        "pending": run.pending,
    }


def _outcome(value: Job, run: Execution) -> dict[str, Any]:
    """Say how a run ended, and what a person can do now."""
    headings = {
        State.COMPLETE: {Result.ERRORS: "Finished with failed items", Result.NO_CHANGES: "Nothing to do"},
        State.FAILED: {},
        State.FAILED_TO_START: {},
        State.CANCELED: {},
    }
    state = State(run.state)
    words_of = {
        State.COMPLETE: "Transfer complete",
        State.FAILED: "Transfer failed",
        State.FAILED_TO_START: "Transfer could not start",
        State.CANCELED: "Transfer canceled",
    }
    result = None if run.result is None else Result(run.result)
    heading = headings[state].get(result) if result is not None else None
    message = run.info or (
        f"{run.transferred} carried, {run.unchanged} unchanged, {run.skipped} skipped, {run.failed} failed"
        + (f", {run.pending} not finished" if run.pending else "")
    )
    wants_retry = run.failed > 0 or run.pending > 0 or state in (State.FAILED, State.FAILED_TO_START)
    outcome: dict[str, Any] = {
        "heading": heading or words_of[state],
        "message": message,
        "acknowledge": wants_retry,
    }
    if wants_retry:
        outcome["next"] = {"type": "retry", "label": f"Retry {run.failed + run.pending or 'the run'}"}
    if run.failed:
        outcome["failedItemsUrl"] = f"/Job/{run.id}/FailedItems"
    return outcome
