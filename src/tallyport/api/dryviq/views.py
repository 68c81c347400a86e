"""Jobs, executions, connections, items and audit lines as this dialect shows them."""

import base64
import json
import os.path
from collections.abc import Sequence
from typing import Any

from tallyport.api.dryviq import words
from tallyport.api.times import file_seconds, present, seconds
from tallyport.control.documents import shown_transfer
from tallyport.control.items import Lacking
from tallyport.control.pictures import Picture
from tallyport.control.progress import Gauge
from tallyport.control.traffic import Shared
from tallyport.domain import folder_mapping, paths, transfer_block
from tallyport.domain.connections import Connection
from tallyport.domain.entries import Entry, Kind
from tallyport.domain.executions import Execution
from tallyport.domain.items import Status
from tallyport.domain.jobs import Job
from tallyport.domain.losses import AUDIT_TYPES, Lost, facts_of
from tallyport.domain.secrets import secrets_set
from tallyport.domain.states import State
from tallyport.store.audit import AuditRow
from tallyport.store.carried_parts import PartRow, Share
from tallyport.store.failures import FailedItem
from tallyport.store.folder_mapping import Children
from tallyport.store.items import ItemRow
from tallyport.store.losses import LossRow

ALWAYS = frozenset({"id", "kind", "type"})
LAZY = frozenset({"policies"})  # shown only when asked for, or with fields=all


def job(picture: Picture, gauge: Gauge, fields: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Show a job; ``fields`` (dotted names) trims it, ``all`` adds the resolved policies."""
    value = picture.job
    full: dict[str, Any] = {
        "id": value.id,
        "type": "job",
        "kind": value.kind,
        "name": value.name,
        "description": value.description,
        "category": {"id": value.category_id if value.category_id is not None else -1, "name": picture.category},
        "schedule": dict(value.schedule) or {"mode": value.schedule_mode},
        "stop_policy": dict(value.stop_policy),
        "counts": {"completions": value.successes, "failures": value.failures, "executions": value.executions},
        "priority": value.priority,
        "status": words.job(value, picture.execution),
        "disabled": value.disabled is not None,
        "disabled_reason": value.disabled,
        "discriminator": _folder(value),
        "health": _health(picture),
        "execute_on": seconds(value.next_run_at),
        "held": value.held or None,
        "reset": value.reset,
        "parent_id": value.parent_id,
        "execution": _run(picture.active, picture.previous, gauge),
        "previous_execution": _run(picture.previous if picture.active is not None else picture.execution, None, gauge),
        "unresolved_items": picture.unresolved,
        "children": None if picture.children is None else children(picture.children),
        "created_on": seconds(value.created_at),
        "created_by": value.created_by,
        "modified_on": seconds(value.modified_at),
        "warnings": list(value.warnings),
        "transfer": {"type": "transfer", **shown_transfer(value)} if value.managed else None,
    }
    if value.managed and fields & {"all", "policies"}:
        full["policies"] = _policies(value)
    return present(full) if not fields or "all" in fields else trim(present(full), fields)


def children(value: Children) -> dict[str, Any]:
    """Show the children of a folder mapping, counted, with the totals of their newest runs."""
    return {
        "count": value.number,
        "by_state": dict(sorted(value.by_state.items())),
        "disabled": value.disabled,
        "with_errors": value.with_errors,
        "unresolved_items": value.unresolved,
        "stats": dict(value.totals),
    }


def _run(run: Execution | None, previous: Execution | None, gauge: Gauge) -> dict[str, Any] | None:
    return None if run is None else execution(run, previous, gauge)


def execution(run: Execution, previous: Execution | None, gauge: Gauge) -> dict[str, Any]:
    """Show an execution."""
    took = None
    if run.started_at is not None and run.ended_at is not None:
        took = {"value": (run.ended_at - run.started_at) // 1_000, "unit": "ms"}
    return present(
        {
            "id": run.id,
            "job_id": run.job_id,
            "attempt": run.attempt,
            "retry_of": run.retry_of,
            "trigger": run.trigger,
            "status": words.execution(run),
            "state": run.state,
            "result": run.result,
            "phase": words.phase(run),
            "step": run.phase,
            "progress": gauge.percent(run, previous) / 100,
            "simulation": run.simulation,
            "info": run.info,
            "wait_reason": run.wait_reason if run.state == State.WAITING else None,
            "wait_until": seconds(run.wait_until) if run.state == State.WAITING else None,
            "created_on": seconds(run.created_at),
            "created_by": run.created_by,
            "start_time": seconds(run.started_at),
            "end_time": seconds(run.ended_at),
            "duration": took,
            "stats": stats(run),
        }
    )


def stats(run: Execution) -> dict[str, Any]:
    """Show an execution's totals by side, and as they are stored."""
    return {
        "source": {
            "existing": {"bytes": run.bytes, "files": run.files},
            "folders": run.folders,
            "pending": {"files": run.pending},
            "flagged": run.failed,
            "ignored": run.skipped,
        },
        "destination": {
            "new": {"bytes": run.transferred_bytes, "files": run.transferred},
            "existing": {"bytes": run.unchanged_bytes, "files": run.unchanged},
        },
        "files": run.files,
        "bytes": run.bytes,
        "folders": run.folders,
        "transferred": run.transferred,
        "transferred_bytes": run.transferred_bytes,
        "unchanged": run.unchanged,
        "unchanged_bytes": run.unchanged_bytes,
        "skipped": run.skipped,
        "failed": run.failed,
        "failed_folders": run.failed_folders,
        "deleted": run.deleted,
        "writes": run.writes,
        "pending": run.pending,
    }


def connection(value: Connection) -> dict[str, Any]:
    """Show a connection: of its secrets only which are set, and what a reference names."""
    return present(
        {
            "id": value.id,
            "type": "connection",
            "name": value.name,
            "platform": {"id": value.platform},
            "auth": dict(value.settings),
            "secrets": secrets_set(value.sealed) or None,
            "measured": json.loads(value.measured) if value.measured else None,
            "labels": list(value.labels) or None,
            "max_transfers": value.max_transfers,
            "created_on": seconds(value.created_at),
            "created_by": value.created_by,
            "modified_on": seconds(value.modified_at),
        }
    )


def traffic(value: Shared) -> dict[str, Any]:
    """Show how a connection is worked: by this server, by each worker, and what others begin with."""
    here, start = value.here, value.start
    return {
        "here": None if here is None else {"places": here.places, "busy": here.busy, "wait_seconds": here.waits},
        "workers": [
            {
                "worker": one.worker,
                "host": one.host,
                "places": one.places,
                "wait_seconds": one.waits,
                "found_on": seconds(one.found_at),
            }
            for one in value.workers
        ],
        "start": None if start is None else {"places": start.places, "found_on": seconds(start.found_at)},
    }


def entry(value: Entry, container: str) -> dict[str, Any]:
    """Show what stands in a connection now."""
    return present(
        {
            "name": paths.display(value.name),
            "path": "/" + paths.display(paths.join(container, value.name) if value.name else container),
            "type": "container" if value.kind is Kind.CONTAINER else "item",
            "kind": value.kind.name.lower(),
            "bytes": value.size if value.kind is Kind.FILE else None,
            "modified_on": file_seconds(value.modified),
            "target": None if value.target is None else paths.display(value.target),
        }
    )


def item(owner: Job, row: ItemRow) -> dict[str, Any]:
    """Show one item of a job."""
    at_destination = row.d_size is not None or row.d_modified is not None
    done = row.status in (Status.SUCCESS, Status.PROCESSED)
    return present(
        {
            "id": str(row.id),
            "job_id": owner.id,
            "parent_id": str(row.parent_id) if row.parent_id else None,
            "type": "container" if row.kind == Kind.CONTAINER else "item",
            "kind": Kind(row.kind).name.lower(),
            "root": None if row.parent_id else True,
            "source": _side(row.path, row.s_size, row.s_modified, row.hash, row.kind),
            "destination": _side(row.d_path, row.d_size, row.d_modified, row.hash if done else None, row.kind)
            if at_destination or done
            else None,
            "status": words.ITEM[Status(row.status)],
            "processing": row.processing.split(",") if row.processing else [],
            "lost": [fact.value for fact in facts_of(row.lost)],
            "audit_category": row.reason,
            "reason": row.reason,
            "message": row.message,
            "retried": row.attempts,
            "execution_id": row.execution_id,
            "settled_on": seconds(row.settled_at),
            "transferred_on": seconds(row.settled_at) if done else None,
        }
    )


def lacking(row: ItemRow, lacks: Sequence[Lacking]) -> dict[str, Any]:
    """Show what one item lacks at the destination."""
    return {
        "id": str(row.id),
        "kind": Kind(row.kind).name.lower(),
        "path": shown_path(row.path),
        "destination_path": shown_path(row.d_path),
        "status": words.ITEM[Status(row.status)],
        "lost": [{"what": one.fact.value, "detail": one.detail} for one in lacks],
    }


def loss(row: LossRow) -> dict[str, Any]:
    """Show what an item lost in one execution."""
    known = Lost(row.what) if row.what in set(Lost) else None
    return {
        "execution_id": row.execution_id,
        "what": row.what,
        "type": None if known is None else AUDIT_TYPES[known],
        "detail": row.detail,
    }


def share(one: Share) -> dict[str, Any]:
    """Show what one worker has of a huge file."""
    return present(
        {
            "worker": one.worker or None,
            "state": one.state,
            "count": one.parts,
            "bytes": one.size,
            "execution_id": one.execution_id,
            "last_on": seconds(one.last_at),
        }
    )


def part(row: PartRow) -> dict[str, Any]:
    """Show one part of a huge file."""
    return present(
        {
            "start": row.start,
            "bytes": row.size,
            "state": row.state,
            "worker": row.worker or None,
            "execution_id": row.execution_id,
            "carried_on": seconds(row.carried_at),
        }
    )


def failure(row: FailedItem) -> dict[str, Any]:
    """Show how an item failed in one execution."""
    return present(
        {
            "execution_id": row.execution_id,
            "reason": row.reason,
            "message": row.message,
            "attempts": row.attempts,
            "bytes": row.size,
            "failed_on": seconds(row.failed_at),
        }
    )


def line(row: AuditRow) -> dict[str, Any]:
    """Show one audit line."""
    return present(
        {
            "id": str(row.id),
            "job_id": row.job_id,
            "execution_id": row.execution_id,
            "target": None if row.item_id is None else str(row.item_id),
            "level": words.LEVELS.get(row.level, str(row.level)),
            "type": row.event,
            "path": None if row.path is None else "/" + paths.display(row.path),
            "message": row.message,
            "recorded_on": seconds(row.recorded_at),
        }
    )


def trim(document: dict[str, Any], fields: frozenset[str]) -> dict[str, Any]:
    """Keep the named fields, dotted names below them, and what identifies the object."""
    kept = {key: value for key, value in document.items() if key in ALWAYS or key in fields}
    for dotted in fields:
        head, _, rest = dotted.partition(".")
        below = document.get(head)
        if rest and head not in fields and isinstance(below, dict):
            inner = trim(below, frozenset({rest}) - ALWAYS) | {k: v for k, v in below.items() if k == rest}
            kept[head] = kept.get(head, {}) | inner
    return kept


def _side(path: str, size: int | None, modified: int | None, digest: bytes | None, kind: int) -> dict[str, Any]:
    shown = paths.display(path)
    name = shown.rpartition("/")[2]
    return present(
        {
            "path": f"/{shown}",
            "name": name,
            "ext": (os.path.splitext(name)[1][1:] or None) if kind == Kind.FILE else None,
            "bytes": size if kind == Kind.FILE else None,
            "modified_on": file_seconds(modified),
            "hash": None if digest is None else base64.b16encode(digest).decode().lower(),
        }
    )


def _folder(value: Job) -> str | None:
    """Name the folder that tells a child of a folder mapping from its siblings."""
    return paths.display(folder_mapping.folder_of(value).name) if folder_mapping.is_child(value) else None


def _health(picture: Picture) -> str:
    if picture.job.managed and (picture.source is None or picture.destination is None):
        return "unavailable"
    if picture.job.disabled is not None:
        return "inactive"
    return "unhealthy" if picture.job.state in (State.FAILED, State.FAILED_TO_START) else "healthy"


def _policies(value: Job) -> dict[str, Any]:
    block = transfer_block.read_transfer_block(dict(value.transfer))
    return {"resolved": json.loads(transfer_block.policies_to_json(block.policies)), "set_by": dict(block.set_by)}


def shown_path(path: str | None) -> str | None:
    """Give a path from the root of its endpoint."""
    return None if path is None else f"/{paths.display(path)}"
