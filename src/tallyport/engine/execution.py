"""The life of one execution: begin, phase after phase, end. Level-triggered: every function here looks at the rows.

    ready ─► executing: visits, parts of big files ─► links ─► times ─► deletes ─► stamps ─► complete | failed
                 │ pausing ─► paused      canceling ─► canceled      waiting (no space, brake) ─► ready

:func:`advance` may be called at any time, by anyone, any number of times: it changes nothing unless the rows say so.
"""

import json
import marshal
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from tallyport.domain import paths, retries, schedules, stops
from tallyport.domain import seats as dealing
from tallyport.domain.actions import Reason
from tallyport.domain.entries import Kind
from tallyport.domain.executions import Execution
from tallyport.domain.items import FAILED, Status
from tallyport.domain.jobs import Job
from tallyport.domain.policies import EmptyContainers, ItemInspection, LockPropagation, Policies
from tallyport.domain.policies_json import policies_from_json, policies_to_json
from tallyport.domain.rules import EMPTIES_SOURCE
from tallyport.engine.undoing import order_of
from tallyport.store import audit, empties, executions, frontier, items, jobs, keeping, linked_names, locks, rows, seats
from tallyport.store.database import Database
from tallyport.store.frontier import BatchRow
from tallyport.store.ids import Ids
from tallyport.store.phrases import sa

PHASES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    # phase, queue, tasks worked in it
    ("purging", "enumerate", ()),  # only where the destination is to be emptied before the first run
    ("purge", "transfer", ("delete_destination",)),
    ("executing", "enumerate", ("part", "finish")),
    ("links", "transfer", ("link",)),
    # Times of folders that big files and links landed in; locks when nothing is carried that might make them anew.
    ("times", "transfer", ("stamp", "lock")),
    ("deletes", "transfer", ("delete_source", "delete_destination")),
    ("stamps", "transfer", ("stamp",)),  # of folders that something was deleted from
)
VISITING = ("purging", "executing")  # phases in which containers are visited
_DELETING = ("purge", "deletes")
_FIRST = 2  # place of the phase that executions begin with otherwise


INSPECTIONS: dict[str | None, str] = {
    "inspect_filtered": "filtered",
    "inspect_shared": "shared",
    "inspect_all": "all",
}
"""Resets that inspect more in the next run, and the policy that they stand for."""


class Hiring(NamedTuple):
    """What batches of an execution are made with."""

    labels: str = ""  # that whoever works them must have
    most_seats: int = 1  # transfers that one batch can have under way, where a connection caps them


_ANYBODY = Hiring()


# Resets whose run looks at everything again and keeps what is known of it. Links are compared like anything else.
LOOKS_AGAIN = ("soft", "permissions", "link_remediation")


class Step(NamedTuple):
    """What :func:`advance` did."""

    batches: tuple[BatchRow, ...] = ()  # to hand over, after the commit
    ended: bool = False


def tasks_of(phase: str) -> tuple[str, ...]:
    """Give the tasks worked in a phase."""
    return next((tasks for name, _, tasks in PHASES if name == phase), ())


def begin(tx: sa.Connection, database: Database, ids: Ids, execution: Execution, job: Job) -> None:
    """Move a ready execution to executing, its first visits queued."""
    root = job.root_item_id
    if job.reset in ("hard", "full", "1") and execution.scope is None:
        items.forget(tx, job.number)
        root = None
    elif job.reset in LOOKS_AGAIN:
        items.clear_signatures(tx, job.number)
    blank = root is None
    if root is None:
        root = ids.take()
        items.upsert(tx, database, [_root_row(root, job.number, execution.id)])
        items.add_containers(tx, database, [(root, job.number, 0, b"", b"", execution.id)])
    if order_of(execution) is None:
        jobs.change(tx, job.id, root_item_id=root, reset=None)
    full = execution.full or job.reset in (*LOOKS_AGAIN, "hard", "full", "1", *INSPECTIONS)
    phase = execution.phase if execution.phase in ("purging", "purge") else "executing"
    values: dict[str, object] = {"phase": phase, "full": full, "wait_until": None, "wait_reason": None}
    if job.reset is not None:
        values["reset"] = job.reset
    if execution.deadline is None:
        values["deadline"] = schedules.deadline(schedules.read_schedule(dict(job.schedule)), rows.now())
    if execution.wait_reason == "brake":  # a person resumed it, and so approved what it wants to delete
        kind = policies_from_json(execution.policies).transfer_type
        values["approved_deletes"] = frontier.count_tasks(tx, execution.id, stops.braked_tasks(kind))
    moved = executions.move(tx, execution.id, ("ready",), "executing", **values)
    if not moved or execution.started_at is not None or order_of(execution) is not None:
        return  # goes on after a pause or a wait: the frontier stands; or has none
    frontier.mark_unclean(tx, job.id, execution.id - 1)
    policies = _for_this_run(tx, execution, job)
    if execution.scope is None and stops.purges(policies, first_run=executions.is_first(tx, job)):
        executions.change(tx, execution.id, phase="purging")
        frontier.add_visits(
            tx, database, [(ids.take(), execution.id, root, b"", b"", False, False, frontier.PURGE, None)]
        )
    elif execution.scope is None:
        frontier.add_visits(tx, database, [(ids.take(), execution.id, root, b"", b"", False, blank, "", None)])
        _queue_locks(tx, database, ids, execution, job, policies)
    else:
        _queue_retry(tx, database, ids, execution, job, json.loads(execution.scope))
    note(tx, database, ids, execution, 3, "execution.started", f"execution {execution.id} started")
    batches = job.transfer.get("batch_mode", "none")
    if batches == "always" or (batches == "initial" and executions.is_first(tx, job)):
        told = "batch_mode: not supported by these platforms, items are carried one by one"
        note(tx, database, ids, execution, 3, "execution.not_batched", told)


def _for_this_run(tx: sa.Connection, execution: Execution, job: Job) -> Policies:
    """Take up what counts for the next run alone; gives the policies that this one has."""
    policies = policies_from_json(execution.policies)
    wanted = job.transfer.get("item_inspection_policy_next")
    if job.reset in INSPECTIONS:
        wanted = INSPECTIONS[job.reset]
    if "item_inspection_policy_next" in job.transfer:
        kept = {key: value for key, value in job.transfer.items() if key != "item_inspection_policy_next"}
        jobs.change(tx, job.id, transfer=kept)
    if wanted is not None and wanted != policies.item_inspection:
        policies = replace(policies, item_inspection=ItemInspection(str(wanted)))
        executions.change(tx, execution.id, policies=policies_to_json(policies))
    return policies


def advance(
    tx: sa.Connection,
    database: Database,
    ids: Ids,
    execution: Execution,
    width: Callable[[Policies], int],
    hiring: Hiring = _ANYBODY,
) -> Step:
    """Do the next thing for an execution that is open: batches to hand over, the next phase, or the end.

    ``width`` says how many batches may be out at once (the credit window).
    """
    state = execution.state
    out = frontier.open_batches(tx, execution.id)
    for batch in [one for one in out if one.state == "ready" and one.labels != hiring.labels]:
        frontier.fence(tx, batch.id)  # the labels of a connection changed: others may work it now
        out.remove(batch)
    if state == "waiting" and execution.wait_until is not None and execution.wait_until <= rows.now() and not out:
        executions.move(tx, execution.id, ("waiting",), "ready")
        return Step()
    if state in ("pausing", "canceling"):
        return Step(ended=_stopped(tx, database, ids, execution)) if not out else Step()
    if state != "executing":
        return Step()
    policies = policies_from_json(execution.policies)
    if execution.halted_by is not None or stops.halts(policies, execution.failed):
        return Step(ended=_halted(tx, database, ids, execution)) if not out else Step()
    if order_of(execution) is not None:
        return _advance_undoing(tx, database, ids, execution, len(out), hiring)
    phase = execution.phase
    at = next((n for n, (name, _, _) in enumerate(PHASES) if name == phase), _FIRST)
    while True:
        name, queue, kinds = PHASES[at]
        # Deletes go bottom-up, so one at a time works them.
        room = (1 if name in _DELETING else width(policies)) - len(out)
        pending = frontier.pending_visits(tx, execution.id, 2) if name in VISITING else 0
        waiting = frontier.open_tasks(tx, execution.id, kinds, 64)
        if pending or waiting:
            if name in _DELETING and not out and _braked(tx, execution, policies):
                return Step()
            if phase != name:
                executions.change(tx, execution.id, phase=name)
            wanted = min(room, 1 if not out and not waiting and pending == 1 else room)
            if not _has_pending(tx, execution.id, kinds, pending):
                wanted = 0
            return Step(_hire(tx, execution, queue, wanted, hiring))
        if out:
            return Step()
        if at + 1 == len(PHASES):
            return Step(ended=_complete(tx, database, ids, execution))
        at += 1
        if PHASES[at][0] in _DELETING:
            execution = _keep_containers(tx, database, ids, execution, policies)
        if PHASES[at][0] == "times" and policies.empty_containers is EmptyContainers.SKIP:
            execution = _know_empties(tx, database, ids, execution)
        if PHASES[at][0] == "times" and execution.simulation and policies.transfer_type in EMPTIES_SOURCE:
            late = policies.empty_containers is EmptyContainers.SKIP
            keeping.foretell(tx, database, execution.id, makes_late=late)
        if at == _FIRST:  # the destination is empty now: the run proper begins
            _visit_root(tx, database, ids, execution)


def _keep_containers(
    tx: sa.Connection, database: Database, ids: Ids, execution: Execution, policies: Policies
) -> Execution:
    """Leave out the containers that were to go and in which something stays, before the first delete."""
    kept = keeping.keep(tx, database, execution.id, simulation=execution.simulation)
    if not kept:
        return execution
    executions.count(tx, execution.id, {"skipped": len(kept), "deleted": -len(kept) if execution.simulation else 0})
    for block in range(0, len(kept) if audit.LEVELS[policies.audit_level] <= 3 else 0, 500):
        places = frontier.containers_of(tx, kept[block : block + 500])
        lines = [(3, "item.skipped", path, Reason.NOT_EMPTY.value, item_id) for item_id, path in places]
        audit.write(tx, database, ids, execution.job_id, execution.id, lines)
    return _counted_anew(tx, execution)


def _know_empties(tx: sa.Connection, database: Database, ids: Ids, execution: Execution) -> Execution:
    """Settle which containers stay empty, now that everything is visited; those that do not get their times."""
    job = jobs.find(tx, execution.job_id, deleted=True)
    assert job is not None, "an execution has a job"
    if execution.simulation:
        executions.count(tx, execution.id, {"skipped": empties.leave_out(tx, database, job.number, execution.id)})
        return _counted_anew(tx, execution)
    revived = empties.revive(tx, database, job.number)
    executions.count(tx, execution.id, {"skipped": -len(revived)})
    found: list[tuple[object, ...]] = []
    for item_id in sorted({item_id for pair in revived for item_id in pair}):  # making one changed the one above
        place = frontier.container(tx, item_id)
        if place is not None:
            where = (item_id, item_id, *map(paths.to_bytes, place))
            found.append((ids.take(), execution.id, "stamp", *where, 0, 0, 0, 0, None, b"", "pending"))
    frontier.add_tasks(tx, database, found)
    return _counted_anew(tx, execution)


def _counted_anew(tx: sa.Connection, execution: Execution) -> Execution:
    return executions.find(tx, execution.id) or execution


def _visit_root(tx: sa.Connection, database: Database, ids: Ids, execution: Execution) -> None:
    job = jobs.find(tx, execution.job_id, deleted=True)
    root = None if job is None else job.root_item_id
    assert root is not None, "the root was there to be purged"
    frontier.add_visits(tx, database, [(ids.take(), execution.id, root, b"", b"", False, False, "", None)])


def _hire(tx: sa.Connection, execution: Execution, queue: str, wanted: int, hiring: Hiring) -> tuple[BatchRow, ...]:
    """Make up to so many batches, as far as the connections let more transfers be under way."""
    if wanted <= 0:
        return ()
    found = seats.capped(tx, execution.job_id)
    dealt = dealing.dealt(found, execution.id, wanted=wanted, most=hiring.most_seats)
    return tuple(frontier.add_batch(tx, execution.id, queue, labels=hiring.labels, seats=each) for each in dealt)


def _advance_undoing(
    tx: sa.Connection, database: Database, ids: Ids, execution: Execution, out: int, hiring: Hiring
) -> Step:
    """One batch works the whole quarantine, and says at its end that it is done."""
    if out:
        return Step()
    if execution.phase == "finalize":
        return Step(ended=_complete(tx, database, ids, execution))
    return Step(_hire(tx, execution, "transfer", 1, hiring._replace(most_seats=1)))


def fail(tx: sa.Connection, database: Database, ids: Ids, execution: Execution, state: str, info: str) -> None:
    """End an execution that cannot go on: ``failed`` or ``failed_to_start``, with the reason."""
    open_states = ("created", "ready", "executing", "waiting", "pausing", "canceling")
    if executions.move(tx, execution.id, open_states, state, phase="complete", info=info):
        linked_names.keep(tx, database, execution.id)
        note(tx, database, ids, execution, 5, f"execution.{state}", info)


def wait(tx: sa.Connection, database: Database, ids: Ids, execution: Execution, reason: str, info: str) -> None:
    """Let an execution wait for a connection to recover; it goes on by itself, later each time it was in vain."""
    in_vain = execution.waits if execution.waited_at == execution.items else 0
    values: dict[str, object] = {
        "wait_until": rows.now() + int(retries.before_going_on(in_vain) * 1e6),
        "wait_reason": reason,
        "info": info,
        "waits": in_vain + 1,
        "waited_at": execution.items,
    }
    if executions.move(tx, execution.id, ("executing",), "waiting", **values):
        note(tx, database, ids, execution, 4, "execution.waiting", info)


def note(
    tx: sa.Connection,
    database: Database,
    ids: Ids,
    execution: Execution,
    level: int,
    event: str,
    message: str,
) -> None:
    """Write one audit line of an execution, if its audit level lets it through."""
    if level >= audit.LEVELS[policies_from_json(execution.policies).audit_level]:
        audit.write(tx, database, ids, execution.job_id, execution.id, [(level, event, None, message, None)])


# -- ends ------------------------------------------------------------------------------------------------------


def _complete(tx: sa.Connection, database: Database, ids: Ids, execution: Execution) -> bool:
    carried, writes = execution.transferred + execution.deleted, execution.writes
    if execution.simulation and not carried:
        job = jobs.find(tx, execution.job_id, deleted=True)
        assert job is not None, "an execution has a job"
        writes = int(keeping.would_change(tx, database, job.number, execution.id))
    state, result = stops.ending(transferred=carried, failed=execution.failed, writes=writes)
    info = f"{execution.items} items: {execution.transferred} carried, {execution.unchanged} unchanged"
    info += f", {execution.skipped} left out, {execution.failed} failed"
    if result is None:
        fail(tx, database, ids, execution, state, f"nothing was carried and {execution.failed} items failed")
    elif executions.move(tx, execution.id, ("executing",), state, phase="complete", result=result, info=info):
        note(tx, database, ids, execution, 3, "execution.complete", info)
        frontier.mark_unclean(tx, execution.job_id, execution.id)
        linked_names.keep(tx, database, execution.id)
        frontier.purge(tx, execution.id)
    return True


def _stopped(tx: sa.Connection, database: Database, ids: Ids, execution: Execution) -> bool:
    if execution.state == "pausing":
        executions.move(tx, execution.id, ("pausing",), "paused", info="paused")
        note(tx, database, ids, execution, 3, "execution.paused", "paused")
        return False
    info = execution.info or "canceled"  # by whom or by what
    executions.move(tx, execution.id, ("canceling",), "canceled", phase="complete", info=info)
    linked_names.keep(tx, database, execution.id)
    note(tx, database, ids, execution, 4, "execution.canceled", info)
    return True


def _halted(tx: sa.Connection, database: Database, ids: Ids, execution: Execution) -> bool:
    info = f"stopped by the failure policy: {execution.failed} failed"
    if execution.halted_by is not None:
        info = f"stopped by the error category {execution.halted_by!r}: the job does not run again until it is reset"
    fail(tx, database, ids, execution, "failed", info)
    if execution.halted_by is not None:
        jobs.change(tx, execution.job_id, closed=True)
    return True


# -- beginnings --------------------------------------------------------------------------------------------------


def _root_row(root: int, job: int, execution_id: int) -> tuple[object, ...]:
    empty = (None,) * 7
    kind, status, reason = int(Kind.CONTAINER), int(Status.SUCCESS), Reason.UNCHANGED.value
    return (root, job, 0, b"", kind, status, reason, 0, *empty, 0, None, None, None, execution_id, rows.now(), 0)


def _queue_retry(
    tx: sa.Connection, database: Database, ids: Ids, execution: Execution, job: Job, scope: dict[str, object]
) -> None:
    """Queue visits that look at unresolved items alone, and visits the last execution never finished."""
    wanted = scope.get("items")
    given = scope.get("reasons")
    reasons = [str(reason) for reason in given] if isinstance(given, list) else []
    chosen = set(map(int, wanted)) if isinstance(wanted, list) else None
    folders: dict[int, list[str]] = {}
    whole: set[int] = set()
    only = scope.get("only")
    statuses = {"failed": sorted(FAILED), "pending": [Status.PENDING]}.get(str(only), sorted({*FAILED, Status.PENDING}))
    for item in items.iterate(tx, job.number, statuses=statuses, reasons=reasons):
        if chosen is not None and item.id not in chosen:
            continue
        if item.parent_id == 0:
            whole.add(item.id)
        else:
            folders.setdefault(item.parent_id, []).append(paths.split(item.path)[1])
    items.set_status(
        tx,
        job.number,
        Status.RETRY,
        Reason.RETRIED,
        statuses=statuses,
        ids=None if chosen is None else sorted(chosen),
        reasons=reasons,
    )
    queued: list[tuple[object, ...]] = []
    for item_id in whole:
        queued.append((ids.take(), execution.id, item_id, b"", b"", False, False, "", None))
    for parent, names in folders.items():
        place = frontier.container(tx, parent)
        if place is not None:
            path, d_path = map(paths.to_bytes, place)
            queued.append((ids.take(), execution.id, parent, path, d_path, False, False, "", json.dumps(sorted(names))))
    if execution.retry_of is not None and chosen is None and not reasons and only != "failed":
        for left in frontier.unfinished_visits(tx, execution.retry_of):
            queued.append((ids.take(), execution.id, *left[:3], False, False, "", left[3]))
    frontier.add_visits(tx, database, queued)


def _queue_locks(
    tx: sa.Connection, database: Database, ids: Ids, execution: Execution, job: Job, policies: Policies
) -> None:
    """Have each lock that earlier executions made again looked at: what the source gave up is to be taken away."""
    if policies.simulation or policies.lock_propagation is LockPropagation.IGNORE:
        return
    for page in locks.pages(tx, job.number):
        queued: list[tuple[object, ...]] = []
        for row in page:
            where = (0, 0, paths.to_bytes(row.path), paths.to_bytes(row.d_path), 0, 0, 0, 0, None)
            payload = marshal.dumps((row.side, row.path, row.d_path, row.token))
            queued.append((ids.take(), execution.id, "lock", *where, payload, "pending"))
        frontier.add_tasks(tx, database, queued)


def _has_pending(tx: sa.Connection, execution_id: int, kinds: tuple[str, ...], visits: int) -> bool:
    return bool(visits) or frontier.pending_tasks(tx, execution_id, kinds)


def _braked(tx: sa.Connection, execution: Execution, policies: Policies) -> bool:
    """Stop before the first delete when more would go than the job allows; a person approves by resuming."""
    wanted = frontier.count_tasks(tx, execution.id, stops.braked_tasks(policies.transfer_type))
    if wanted <= execution.approved_deletes:
        return False
    there = frontier.count_tasks(tx, execution.id, ("delete_destination",))
    is_purge = execution.phase in ("purging", "purge")
    stop = stops.judged(policies, files=execution.files, here=wanted - there, there=there, is_purge=is_purge)
    if stop is None:
        return False
    info = f"{stop.message}: resume to approve, or raise the limit"
    return executions.move(tx, execution.id, ("executing",), "waiting", wait_until=None, wait_reason="brake", info=info)
