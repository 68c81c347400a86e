"""The report of one run: a document, and the same as text."""

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tallyport import __version__
from tallyport.cli.outcome import facts
from tallyport.cli.showing import duration, line, moment, number, size
from tallyport.domain import paths
from tallyport.domain.capabilities import VerifyLevel
from tallyport.domain.executions import Execution
from tallyport.domain.items import Status
from tallyport.store import connections, items, jobs, losses
from tallyport.store.database import Database

_LOST = 20  # losses that are told one by one


def as_document(database: Database, run: Execution, data: Path) -> dict[str, Any]:
    """Gather a report. States and proofs are the job's as of now; totals are the run's own."""
    taken = run.ended_at if run.ended_at is not None else run.started_at
    seconds = 0.0 if run.started_at is None or taken is None else (taken - run.started_at) / 1e6
    with database.read() as tx:
        job = jobs.find(tx, run.job_id, deleted=True)
        assert job is not None
        ends = [
            _end(tx, job.source_connection, job.source_path),
            _end(tx, job.destination_connection, job.destination_path),
        ]
        statuses: Counter[str] = Counter()
        levels: Counter[str] = Counter()
        skipped: Counter[str] = Counter()
        for item in items.iterate(tx, job.number, chunk=5_000):
            status = Status(item.status)
            statuses[status.name.lower()] += 1
            if item.kind == 1 and status in (Status.SUCCESS, Status.PROCESSED):
                levels[VerifyLevel(item.level).name.lower()] += 1
            if status in (Status.SKIPPED, Status.IGNORED):
                skipped[item.reason] += 1
        lost = losses.counts(tx, run.id)
        first = [_lost(tx, one) for one in itertools.islice(losses.iterate(tx, run.id), _LOST)]
    return {
        "tallyport": __version__,
        "job": {"id": job.id, "name": job.name, "source": ends[0], "destination": ends[1]},
        "run": {
            **facts(database, run, data, seconds=seconds),
            "attempt": run.attempt,
            "retry_of": run.retry_of,
            "trigger": run.trigger,
            "started_at": run.started_at,
            "ended_at": run.ended_at,
        },
        "policies": json.loads(run.policies),
        "losses": {"by_kind": lost, "first": first},
        "items": {"by_status": dict(statuses), "files_by_proof": dict(levels), "left_out_by_reason": dict(skipped)},
    }


def as_lines(document: dict[str, Any]) -> Iterator[str]:
    """Give the report as text."""
    job, run, found = document["job"], document["run"], document["items"]
    yield f"Report of run {run['run_id']} (attempt {run['attempt']}) of {line(job['name'])}"
    yield ""
    yield f"from        {line(job['source'])}"
    yield f"to          {line(job['destination'])}"
    yield f"time        {moment(run['started_at'])} to {moment(run['ended_at'])} UTC, {duration(run['seconds'])}"
    yield f"state       {run['status']}" + (f", {run['result']}" if run["result"] else "")
    if run["info"]:
        yield f"            {line(run['info'])}"
    yield ""
    yield "This run"
    for name in ("items", "transferred", "unchanged", "skipped", "deleted", "failed"):
        yield f"  {name:<12} {number(run[name]):>14}"
    yield f"  {'carried':<12} {size(run['transferred_bytes']):>14}"
    yield f"  {'writes':<12} {number(run['writes']):>14}"
    yield ""
    yield "The job's ledger, as it is now"
    for status in Status:
        name = status.name.lower()
        if found["by_status"].get(name):
            yield f"  {name:<12} {number(found['by_status'][name]):>14}"
    if found["files_by_proof"]:
        yield ""
        yield "How the files were proved"
        for level in VerifyLevel:
            name = level.name.lower()
            if found["files_by_proof"].get(name):
                yield f"  {name:<12} {number(found['files_by_proof'][name]):>14}"
    if found["left_out_by_reason"]:
        yield ""
        yield "Left out on purpose"
        for reason, count in sorted(found["left_out_by_reason"].items(), key=lambda pair: -pair[1]):
            yield f"  {number(count):>10}  {reason}"
    if document["losses"]["by_kind"]:
        yield ""
        yield "Carried, but without"
        for what, count in document["losses"]["by_kind"].items():
            yield f"  {number(count):>10}  {what}"
        for one in document["losses"]["first"]:
            yield f"              {line(one['path'])}: {line(one['detail'])}"
        if sum(document["losses"]["by_kind"].values()) > len(document["losses"]["first"]):
            yield "              and more: `losses` of each item says all of them"
    if run["reasons"]:
        yield ""
        yield "Failed, by cause"
        for group in run["reasons"]:
            yield f"  {number(group['count']):>10}  {group['reason']}: {line(group['message'])}"
    yield ""
    yield "Policies"
    for name, value in sorted(document["policies"].items()):
        yield f"  {name} = {json.dumps(value)}"


def _lost(tx: Any, row: losses.LossRow) -> dict[str, str]:
    item = items.find(tx, row.item_id)
    path = "an item that is gone" if item is None else paths.display(item.path) or "the root"
    return {"path": path, "what": row.what, "detail": row.detail}


def _end(tx: Any, connection_id: str | None, below: str) -> str:
    connection = connections.find(tx, connection_id) if connection_id else None
    if connection is None:
        return "a connection that is gone"
    root = str(connection.settings.get("path", connection.name))
    return paths.display(f"{root.rstrip('/')}/{below}" if below else root)
