"""``tallyport explain RUN PATH``: what became of one path, and why."""

import json
from typing import Any

import click

from tallyport.cli.exits import Exit, Stop
from tallyport.cli.options import data_option, json_option, ledger

_LINES = 1_000  # audit lines shown at most
_LEVELS = {1: "trace", 2: "debug", 3: "info", 4: "warn", 5: "error"}


@click.command()
@click.argument("run")
@click.argument("path")
@json_option
@data_option
def explain(run: str, path: str, as_json: bool, data: str | None) -> None:
    """Say what became of one PATH in a RUN, and why: its state, every failed try, every audit line.

    PATH is below the source folder; `.` is the folder itself.
    """
    from tallyport.cli.runs import find_run
    from tallyport.domain import paths
    from tallyport.store import jobs

    with ledger(data) as database, database.read() as tx:
        found = find_run(tx, run)
        job = jobs.find(tx, found.job_id, deleted=True)
        assert job is not None
        item = _find(tx, job, path)
        document = _document(tx, found, job, item)
        document["parts"] = _parts(tx, database, item.id)
    if as_json:
        click.echo(json.dumps(document))
        return
    for text in _said(document, paths.display(item.path) or "."):
        click.echo(text)


def _find(tx: Any, job: Any, path: str) -> Any:
    from tallyport.cli.showing import line
    from tallyport.domain import paths
    from tallyport.store import connections, items

    wanted = path
    if path.startswith("/"):
        # An absolute path: cut off the end it lies below.
        for connection_id, below in (
            (job.source_connection, job.source_path),
            (job.destination_connection, job.destination_path),
        ):
            connection = connections.find(tx, connection_id) if connection_id else None
            root = str(connection.settings.get("path", "")) if connection else ""
            root = root.rstrip("/") + ("/" + below if below else "")
            if path == root or path.startswith(root + "/"):
                wanted = path[len(root) :]
                break
    parts = [part for part in wanted.split("/") if part not in ("", ".")]
    found = items.at_path(tx, job.number, "/".join(parts))
    if found is None:
        raise Stop(
            Exit.NOT_FOUND,
            f"the ledger of this job has no item at {line(paths.display('/'.join(parts)) or '.')}: either no run has "
            "come to it yet, or its folder could not be listed, or the source has no such path",
        )
    return found


def _document(tx: Any, run: Any, job: Any, item: Any) -> dict[str, Any]:
    from tallyport.domain import paths
    from tallyport.domain.capabilities import VerifyLevel
    from tallyport.domain.entries import Kind
    from tallyport.domain.items import Status
    from tallyport.store import audit, executions, failures

    tries = []
    history, _ = executions.page(tx, job_id=job.id, limit=1_000)
    for one in reversed(history):
        key = (paths.to_bytes(item.path), item.id - 1)
        for row in failures.page(tx, one.id, after=key, limit=1):
            if row.item_id == item.id:
                tries.append(
                    {
                        "run_id": one.id,
                        "reason": row.reason,
                        "message": paths.display(row.message),
                        "attempts": row.attempts,
                        "failed_at": row.failed_at,
                    }
                )
    lines = [
        {
            "run_id": row.execution_id,
            "level": _LEVELS.get(row.level, str(row.level)),
            "event": row.event,
            "message": paths.display(row.message),
            "recorded_at": row.recorded_at,
        }
        for row in audit.page(tx, item_id=item.id, limit=_LINES)
    ]
    return {
        "run_id": run.id,
        "job": job.name,
        "path": paths.display(item.path),
        "destination_path": paths.display(item.d_path),
        "type": Kind(item.kind).name.lower(),
        "status": Status(item.status).name.lower(),
        "reason": item.reason,
        "message": None if item.message is None else paths.display(item.message),
        "settled_in_run": item.execution_id,
        "settled_at": item.settled_at,
        "attempts": item.attempts,
        "verified": VerifyLevel(item.level).name.lower(),
        "hash": None if item.hash is None else item.hash.hex(),
        "processing": item.processing,
        "source": {"size": item.s_size, "modified": item.s_modified},
        "destination": {"size": item.d_size, "modified": item.d_modified},
        "failures": tries,
        "audit": lines,
    }


def _parts(tx: Any, database: Any, item_id: int) -> dict[str, Any]:
    """Give who carried how much of a huge file, and its first parts."""
    from tallyport.store import carried_parts

    return {
        "workers": [one._asdict() for one in carried_parts.shares(tx, database, item_id)],
        "first": [one._asdict() for one in carried_parts.page(tx, database, item_id, limit=_LINES)],
    }


def _said(document: dict[str, Any], shown: str) -> Any:
    from tallyport.cli.showing import line, moment, size
    from tallyport.domain.words import REASONS, STATUSES

    d = document
    yield f"{line(shown)} ({d['type']})"
    if d["destination_path"] != d["path"]:
        yield f"  at the destination: {line(d['destination_path'])}"
    yield f"  state     {d['status']}: {STATUSES[d['status']]}"
    yield f"  reason    {d['reason']}: {REASONS.get(d['reason'], 'no words for this reason')}"
    if d["message"]:
        yield f"  message   {line(d['message'])}"
    yield f"  settled   in run {d['settled_in_run']}, {moment(d['settled_at'])} UTC"
    if d["settled_in_run"] != d["run_id"]:
        when = "later" if d["settled_in_run"] > d["run_id"] else "earlier"
        yield f"            ({when} than run {d['run_id']}: the state is the one of now)"
    for side in ("source", "destination"):
        facts = d[side]
        if facts["size"] is not None:
            at = moment(None if facts["modified"] is None else facts["modified"] // 1000)
            yield f"  {side:<11} {size(facts['size'])} ({facts['size']:,} bytes), modified {at} UTC"
    if d["hash"]:
        yield f"  proof     {d['verified']}, hash {d['hash']}"
    elif d["type"] == "file":
        yield f"  proof     {d['verified']}"
    if d["parts"]["workers"]:
        yield f"  parts     {sum(one['parts'] for one in d['parts']['workers'])}:"
        for one in d["parts"]["workers"]:
            said = f"{one['parts']} {one['state'].replace('_', ' ')} ({size(one['size'])})"
            by = f" by {line(one['worker'])}" if one["worker"] else ""
            yield f"    {said}{by}" + (f", the last {moment(one['last_at'])} UTC" if one["last_at"] else "")
    if d["failures"]:
        yield "  failed tries:"
        for one in d["failures"]:
            yield f"    run {one['run_id']}, {moment(one['failed_at'])}: {one['reason']}: {line(one['message'])}"
    if d["audit"]:
        yield "  audit:"
        for one in d["audit"]:
            when = f"run {one['run_id']}, {moment(one['recorded_at'])}"
            yield f"    {when} {one['level']} {one['event']}: {line(one['message'])}"
