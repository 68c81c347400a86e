"""One batch: takes visits and tasks from the frontier, has the crew work them, records what came of it.

    begin as the holder of (batch, epoch)
    until the quota is full or nothing is pending:
        keep the crew's groups filled with claimed work
        take reports; every 0.25 s or 2 000 rows: commit them, look at the state of the execution
    give back what was not done; end the batch

What is concurrent: several batches of one execution, each on its own thread, over one crew. What is not promised: that
a visit runs once. It may run again after a crash, a pause or a fence, and finds what it did.
"""

import json
import marshal
import queue
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from tallyport.domain import paths
from tallyport.domain.errors import ErrorKind
from tallyport.domain.executions import Execution
from tallyport.domain.items import DONE
from tallyport.domain.policies_json import policies_from_json
from tallyport.domain.standing import Standing
from tallyport.engine.crew import Crew
from tallyport.engine.mover import Work
from tallyport.engine.original_names import reader
from tallyport.engine.recorder import Fenced, Recorder
from tallyport.engine.tally import Scene
from tallyport.engine.throttle import rates_now
from tallyport.engine.work import (
    DeleteWork,
    FinishWork,
    ItemResult,
    LinkWork,
    LockWork,
    PartWork,
    StampWork,
    Terms,
    VisitWork,
)
from tallyport.store import executions, frontier, items, linked_names
from tallyport.store.database import Database
from tallyport.store.frontier import LEFT_OUT, PURGE, TaskRow, VisitRow
from tallyport.store.ids import Ids
from tallyport.store.phrases import sa

T = TypeVar("T")

COMMIT_SECONDS = 0.25
MOST_COMMIT_SECONDS = 2.0
COMMIT_ROWS = 2_000
QUOTA_ITEMS = 50_000
QUOTA_BYTES = 4 << 30
QUOTA_SECONDS = 20.0
VISIT_ATTEMPTS = 6
MOST_VISITS = 64  # containers that are claimed at once
MOST_AHEAD = 16_384  # pending containers that are counted before some are claimed
TASK_BYTES = 256 << 20


def commit_seconds(width: int) -> float:
    """Say how long reports may wait, by how many batches of an execution are out: each commit writes its one row."""
    return min(MOST_COMMIT_SECONDS, COMMIT_SECONDS * max(1.0, width / 16))


def ahead(width: int) -> int:
    """Say how many pending containers are worth counting, with so many batches of an execution that may be out."""
    return min(MOST_AHEAD, 4 * MOST_VISITS * width)


def share(pending: int, width: int) -> int:
    """Say how many containers one batch claims: a quarter of its part of what is pending, so that others find some."""
    return max(1, min(MOST_VISITS, pending // (4 * width)))


class Orders(NamedTuple):
    """What a batch works by: everything of its execution that does not change while it runs."""

    scene: Scene
    terms: Terms
    full: bool  # list both sides everywhere
    kinds: tuple[str, ...]  # tasks of the present phase; visits only in the first
    visits: bool
    depth: int  # groups in flight
    seats: int  # transfers under way at one time; 0 = no cap
    may_slice: bool  # others may work parts of a huge container
    halts: bool  # failure policy: stop at the first failed item
    window: int = 1  # batches of the execution that may be out at once, here and at other workers
    limits: Mapping[str, Sequence[str]] = {}  # of a part of a job, by container: the only names it looks at


class Ending(NamedTuple):
    """Why a batch ended."""

    halted: str | None  # "stopped", "fenced", "failed" (policy), or an ErrorKind of connection scope
    message: str = ""


class Batch:
    """Works one batch on the calling thread."""

    def __init__(
        self,
        database: Database,
        ids: Ids,
        crew: Crew,
        orders: Orders,
        batch_id: int,
        epoch: int,
        slot: int,
        changed: Callable[[], None],
        given_up: Callable[[], bool] = lambda: False,
    ) -> None:
        self._database = database
        self._crew = crew
        self._orders = orders
        self._batch_id = batch_id
        self._slot = slot
        self._given_up = given_up  # the process ends: do not wait for a store that is away
        self._changed = changed  # new work may be pending: other batches of the execution may begin
        self._recorder = Recorder(database, ids, orders.scene, batch_id, epoch)
        self._reports: queue.SimpleQueue[tuple[Any, ...]] = queue.SimpleQueue()
        self._claimed: dict[int, VisitRow] = {}
        self._groups: dict[int, Sequence[Work]] = {}
        self._halted: str | None = None
        self._message = ""
        self._has_queued = False
        self._rows = 0
        self._bytes = 0
        self._policies = policies_from_json(orders.terms.policies)
        self._revision = orders.terms.revision
        self._names = reader(database, self._policies, orders.terms.source)
        self._is_outdated = False  # what holds for new work has changed: the next batch begins it

    def run(self) -> Ending:
        """Work until the quota is full, nothing is pending, or the execution asks to stop."""
        began = committed = time.monotonic()
        pause = commit_seconds(self._orders.window)
        drained = False
        while True:
            now = time.monotonic()
            in_quota = now - began < QUOTA_SECONDS and self._rows < QUOTA_ITEMS and self._bytes < QUOTA_BYTES
            may_fill = self._halted is None and in_quota and not self._is_outdated
            if may_fill and not drained and len(self._groups) < self._orders.depth:
                drained = not self._fill()
                committed = time.monotonic()
                continue
            if not self._groups:
                break
            self._take(timeout=pause)
            if self._recorder.weight >= COMMIT_ROWS or time.monotonic() - committed >= pause:
                self._commit()
                committed = time.monotonic()
                drained = False
        self._record(lambda tx: frontier.end_batch(tx, self._batch_id), lost=None)
        return Ending(self._halted, self._message)

    # -- work out ----------------------------------------------------------------------------------------------

    def _fill(self) -> bool:
        """Commit what waits, claim more and hand it to the crew; False when nothing is pending."""
        orders = self._orders
        nothing: tuple[list[VisitRow], list[TaskRow]] = ([], [])
        visits, tasks = self._record(self._claim, lost=nothing)
        if self._halted is not None:
            return True
        self._announce()
        if not visits and not tasks:
            return False
        visits = [self._limited(row) for row in visits]
        self._recorder.expect(visits, tasks)
        self._claimed.update((row.id, row) for row in visits)
        works: list[Work] = [self._visit(row) for row in visits if row.attempts <= VISIT_ATTEMPTS]
        works.extend(_task_works(tasks, self._standing))
        for row in visits:
            if row.attempts > VISIT_ATTEMPTS:
                self._give_up(row)
        if works:
            number = self._crew.submit(
                orders.terms, works, known=self._known, reports=self._reports, slot=self._slot, seats=orders.seats
            )
            self._groups[number] = works
        self._bytes += sum(row.size for row in tasks)
        return True

    def _claim(self, tx: sa.Connection) -> tuple[list[VisitRow], list[TaskRow]]:
        """Take what is pending, unless the batch is to end."""
        visits: list[VisitRow] = []
        tasks: list[TaskRow] = []
        if self._halted is not None:
            return visits, tasks
        orders, database = self._orders, self._database
        execution_id = orders.scene.execution_id
        if orders.kinds and frontier.pending_tasks(tx, execution_id, orders.kinds):
            most = 200 if "part" not in orders.kinds else 8
            tasks = frontier.claim_tasks(tx, database, execution_id, self._batch_id, orders.kinds, most, TASK_BYTES)
        if orders.visits and not tasks:
            width = max(self._crew.width, orders.window)
            some = share(frontier.pending_visits(tx, execution_id, ahead(width)), width)
            visits = frontier.claim_visits(tx, database, execution_id, self._batch_id, some)
        return visits, tasks

    def _visit(self, row: VisitRow) -> VisitWork:
        originals, original = self._originals(row)
        return VisitWork(
            visit_id=row.id,
            item_id=row.item_id,
            path=row.path,
            d_path=row.d_path,
            d_fresh=row.fresh and row.attempts == 1 and not row.unclean,
            resumed=row.attempts > 1 or row.unclean,
            full=self._orders.full,
            signature=None if self._orders.full or row.names else row.signature,
            only=tuple(json.loads(row.names)) if row.names else None,
            attempt=row.attempts,
            gone="source" if row.gone == PURGE else "" if row.gone.startswith(LEFT_OUT) else row.gone,
            purges=row.gone == PURGE,
            left_out=row.gone.removeprefix(LEFT_OUT) if row.gone.startswith(LEFT_OUT) else "",
            s_only=row.gone.startswith(LEFT_OUT),
            blank=row.blank and row.attempts == 1,
            carried=row.status in DONE and not row.blank and row.attempts == 1 and not self._orders.terms.regrants,
            slice=row.slice or b"",
            may_slice=self._orders.may_slice and row.slice is None,
            sliced=None if row.sliced is None else paths.from_bytes(row.sliced),
            originals=tuple(originals.items()),
            original=original,
        )

    def _originals(self, row: VisitRow) -> tuple[Mapping[str, str], str | None]:
        """Give what the job that wrote the source renamed in a container, and the original name of that."""
        names = self._names
        if names is None:
            return {}, None
        return self._database.outlast(lambda: names.below(row.path), stopped=self._given_up)

    def _limited(self, row: VisitRow) -> VisitRow:
        """Leave out what belongs to other parts of the job."""
        if row.names is None and row.path in self._orders.limits:
            return row._replace(names=json.dumps(self._orders.limits[row.path]))
        return row

    def _give_up(self, row: VisitRow) -> None:
        """A container that ends every worker that touches it: fail it, go on with the others."""
        from tallyport.engine.work import VisitReport

        message = f"the container could not be worked in {VISIT_ATTEMPTS} attempts"
        error = (ErrorKind.UNEXPECTED.value, message)
        self._recorder.add(VisitReport(row.id, (), (), (), 0, 0, True, error=error))

    def _known(self, visit_id: int, after: str, limit: int, names: Sequence[str]) -> Sequence[tuple[Any, ...]]:
        row = self._claimed[visit_id]

        def look() -> Sequence[tuple[Any, ...]]:
            if names:
                return items.known_of(self._database, row.item_id, names)
            return items.known(self._database, row.item_id, after, limit)

        return self._database.outlast(look, stopped=self._given_up)

    # -- reports in --------------------------------------------------------------------------------------------

    def _take(self, timeout: float) -> None:
        try:
            event = self._reports.get(timeout=timeout)
        except queue.Empty:
            return
        while True:
            self._note(event)
            try:
                event = self._reports.get_nowait()
            except queue.Empty:
                return

    def _note(self, event: tuple[Any, ...]) -> None:
        what, value = event[0], event[1]
        if what in ("report", "task"):
            self._recorder.add(value)
            if what == "report":
                self._rows += len(value.items) + len(value.filled) + value.unchanged
            if value.halted is not None:
                self._halt(value.halted, value.error[1] if value.error else value.why if what == "report" else "")
        elif what == "done":
            self._groups.pop(value, None)
        else:  # lost: what it held goes back to pending when the batch ends, and is looked at again
            self._groups.pop(value, None)
            self._message = event[2]
            self._halt("lost", event[2])

    def _halt(self, why: str, message: str = "") -> None:
        if self._halted is None or self._halted == "stopped":
            self._halted = why
            self._message = message or self._message
        elif self._halted == why:
            self._message = self._message or message
        self._crew.stop(self._slot)

    def _commit(self) -> None:
        self._record(lambda tx: None, lost=None)
        self._announce()

    def _record(self, act: Callable[[sa.Connection], T], *, lost: T) -> T:
        """Record what waits, and do ``act`` in the last transaction; ``lost`` when its answer was lost on the way.

        There is more than one transaction only where a person waits to write.
        """

        def transaction() -> tuple[bool, T]:
            with self._database.begin() as tx:
                self._write(tx)
                return (False, lost) if self._recorder.has_more else (True, act(tx))

        while True:
            is_done, came = self._recorder.surely(transaction, lost=(True, lost), stopped=self._given_up)
            if is_done:
                return came

    def _announce(self) -> None:
        """Say that there is work for other batches, once it is committed."""
        if self._has_queued:
            self._has_queued = False
            self._changed()

    def _write(self, tx: sa.Connection) -> None:
        """Record what waits and look at the execution. A fenced holder stops without a trace."""
        try:
            self._has_queued = self._recorder.commit(tx) or self._has_queued
        except Fenced:
            self._halt("fenced")
            raise
        execution = executions.find(tx, self._orders.scene.execution_id)
        if execution is not None:
            self._pace(execution)
        if execution is None or execution.state != "executing":
            self._halt("stopped")
        elif execution.halted_by is not None or (self._orders.halts and execution.failed):
            self._halt("failed")

    def _pace(self, execution: Execution) -> None:
        """Have the rates of this moment kept, and take up what was changed for the running execution."""
        if execution.revision != self._revision:
            self._revision = execution.revision
            self._policies = policies_from_json(execution.policies)
            self._is_outdated = True
        terms = self._orders.terms
        self._crew.limit(terms.execution_id, rates_now(self._policies, time.time(), started=terms.started / 1e9))

    def _standing(self, members: Sequence[TaskRow]) -> Sequence[Standing]:
        """Give names of the same file that stand at the destination; in a first run all of them come together."""
        orders, one = self._orders, members[0]
        if orders.terms.first_run and all(member.attempts == 0 for member in members):
            return ()
        scene = orders.scene
        asked = scene.job, scene.execution_id, one.device, one.inode
        return self._database.outlast(lambda: linked_names.standing(self._database, *asked), stopped=self._given_up)


def _task_works(tasks: Sequence[TaskRow], standing: Callable[[Sequence[TaskRow]], Sequence[Standing]]) -> list[Work]:
    works: list[Work] = []
    groups: dict[tuple[int, int], list[TaskRow]] = {}
    for task in tasks:
        if task.task == "link":
            groups.setdefault((task.device, task.inode), []).append(task)
        else:
            works.append(_task_work(task))
    for members in groups.values():
        loaded = [marshal.loads(member.payload) for member in members]
        works.append(
            LinkWork(
                tuple(member.id for member in members),
                tuple(member.path for member in members),
                tuple(member.d_path for member in members),
                tuple(item for item, _ in loaded),
                tuple(replaces for _, replaces in loaded),
                1 + max(member.attempts for member in members),  # it counts those before
                tuple(tuple(one) for one in standing(members)),
            )
        )
    return works


def _task_work(task: TaskRow) -> Work:
    if task.task == "part":
        return PartWork(
            task.id,
            task.path,
            task.d_path,
            task.temporary or "",
            task.start,
            task.size,
            marshal.loads(task.payload),
        )
    if task.task == "stamp":
        return StampWork(task.id, task.path, task.d_path, sweeps=bool(task.size))
    if task.task == "lock":
        return LockWork(task.id, *marshal.loads(task.payload))
    if task.temporary is not None and task.task == "delete_destination":
        return DeleteWork(task.id, "destination", task.d_path, 1, None, (), task.temporary)
    item, replaces = marshal.loads(task.payload)
    result = ItemResult._make(item)
    source = (result.s_size or 0, result.s_modified or 0, result.s_tag or b"")
    if task.task == "finish":
        hashes = marshal.loads(task.hash) if task.hash else ()
        return FinishWork(
            task.id,
            task.path,
            task.d_path,
            task.temporary or "",
            result.s_size or 0,
            hashes,
            source,
            replaces,
            item,
            task.container_id,
        )
    side = "source" if task.task == "delete_source" else "destination"
    if side == "source":
        expect = source if result.s_size is not None else None
    else:
        expect = None if result.d_size is None else (result.d_size, result.d_modified or 0, result.d_tag or b"")
    path = task.path if side == "source" else task.d_path
    return DeleteWork(task.id, side, path, result.kind, expect, item, s_path=task.path)
