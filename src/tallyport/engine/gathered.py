"""The rows of one commit, gathered by table and written in one transaction."""

from collections import Counter

from tallyport.connectors.hashing import digest
from tallyport.domain import paths
from tallyport.domain.actions import Reason
from tallyport.domain.categories import CategoryAction, Failure
from tallyport.domain.entries import Kind
from tallyport.domain.foretelling import leaving
from tallyport.domain.items import DONE, FAILED, Status
from tallyport.domain.settle import settled_by
from tallyport.engine.open_visit import OpenVisit
from tallyport.engine.tally import (
    ATTEMPTS,
    D_NAME,
    ID,
    KIND,
    LEVELS,
    LOST,
    MESSAGE,
    MOVED,
    NAME,
    PROCESSING,
    REASON,
    S_SIZE,
    STATUS,
    WROTE,
    Result,
    Scene,
    together,
)
from tallyport.engine.work import Held
from tallyport.store import audit, executions, failures, frontier, items, locks, losses, rows, security_map
from tallyport.store.database import Database
from tallyport.store.ids import Ids
from tallyport.store.phrases import sa


def _as_kept(held: Held) -> locks.LockChange:
    side, path, d_path, token = held
    here = paths.to_bytes(path)
    return side, digest(here), here, paths.to_bytes(d_path), token


class Gathered:
    """Rows that wait to be written, and the totals that they change."""

    def __init__(self, tx: sa.Connection, database: Database, ids: Ids, scene: Scene) -> None:
        self.tx = tx
        self.database = database
        self.ids = ids
        self.scene = scene
        self.now = rows.now()
        self.totals: Counter[str] = Counter()
        self.counts: dict[Result, str | None] = {}  # (kind, status, reason): what it counts as
        self.told = {word for word, level in LEVELS.items() if level >= scene.audit_level}
        self.items: list[Result] = []
        self.filled: list[Result] = []
        self.filled_level = 0
        self.failures: list[Result] = []
        self.cured: list[int] = []
        self.forgotten: list[int] = []
        self.audit: list[tuple[int, str, bytes | None, str, int | None]] = []
        self.containers: list[Result] = []
        self.closed: list[Result] = []
        self.visits: list[Result] = []
        self.slices: list[Result] = []
        self.ended: list[tuple[str, int]] = []
        self.keeping: list[int] = []  # visits of containers that are to go, and in which something stays
        self.tasks: list[Result] = []
        self.stamped: set[int] = set()
        self.left: set[int] = set()  # containers that are to go from the source
        self.halted_by: str | None = None  # an error category
        self.losses: list[tuple[int, str, str]] = []
        self.uses: list[Result] = []
        self.locks: list[Held] = []

    def written(self) -> bool:
        """Write what was gathered; tells whether work was queued that others may take."""
        tx, database = self.tx, self.database
        scene = self.scene
        items.add_filled(tx, database, self.filled, scene.job, self.filled_level, scene.execution_id, self.now)
        items.upsert(tx, database, self.items)
        items.delete(tx, self.forgotten)
        items.add_containers(tx, database, self.containers)
        items.close_containers(tx, database, self.closed)
        failures.clear(tx, database, self.scene.execution_id, self.cured)
        failures.write(tx, database, self.failures)
        frontier.add_visits(tx, database, self.visits)
        frontier.add_slices(tx, database, self.slices)
        frontier.end_visits(tx, database, self.ended)
        frontier.mark_keeping(tx, self.keeping)
        frontier.add_tasks(tx, database, self.tasks)
        losses.write(tx, database, self.ids, self.scene.execution_id, self.losses)
        security_map.write(tx, database, self.scene.job, self.scene.execution_id, together(self.uses))
        locks.write(tx, database, self.scene.job, self.scene.execution_id, list(map(_as_kept, self.locks)))
        audit.write(tx, database, self.ids, self.scene.job_id, self.scene.execution_id, self.audit)
        executions.count(tx, self.scene.execution_id, self.totals)
        if self.halted_by is not None:
            executions.change(tx, self.scene.execution_id, halted_by=self.halted_by)
        return bool(self.visits or self.slices or self.tasks)

    def _results(
        self,
        results: tuple[Result, ...],
        parent: int,
        folder: str,
        before: dict[bytes, tuple[int, int, str, int]],
        opened: OpenVisit | None,
        *,
        is_deletion: bool = False,
    ) -> list[int]:
        """Gather the rows of results in one container; gives their ids."""
        scene, now, totals, counts = self.scene, self.now, self.totals, self.counts
        new = iter(self.ids.block(sum(1 for result in results if not result[ID])))
        in_retry = opened is not None and opened.row.names is not None
        foretells = scene.simulation and scene.removes_source
        may_be_cured = opened is None or opened.row.attempts > 1
        add, encode, given = self.items.append, paths.to_bytes, []
        flagged = [r[ID] for r in results if r[REASON] == Reason.STAYS_FLAGGED]
        causes = items.causes(self.tx, flagged) if flagged else {}
        for r in results:
            item_id = r[ID] or next(new)
            given.append(item_id)
            if r[REASON] == Reason.DELETED_BOTH:  # its outcome was told when it was deleted
                self.forgotten.append(item_id)
                continue
            if r[STATUS] in FAILED:
                r = self._judged(r, folder)
            if r[ID] in causes:  # why it was flagged, not that it still is
                reason, message = causes[r[ID]]
                r = (*r[:REASON], reason, *r[REASON + 1 : MESSAGE], message, *r[MESSAGE + 1 :])
            name, status = encode(r[NAME]), r[STATUS]
            if opened is not None:
                if r[KIND] == 2:
                    opened.folders[r[NAME]] = item_id
                    if not r[ID]:
                        opened.blank.add(r[NAME])
                elif in_retry:  # a retry sees these files and no others
                    opened.files += 1
                    opened.bytes += r[S_SIZE] or 0
                if may_be_cured:  # what this report settles is not what an earlier attempt did, at the next report
                    opened.seen.add(name)
                    if name in before:
                        self._uncount(before.pop(name))
            key = r[KIND : REASON + 1]
            try:
                counted = counts[key]
            except KeyError:
                counted = counts[key] = scene.category(*key)
            if is_deletion and status in DONE:  # what was carried before it left the source was counted then
                counted = None if r[REASON] == Reason.MOVED else "deleted"
            if counted is not None:
                totals[counted] += 1
                if counted == "transferred":
                    totals["transferred_bytes"] += r[MOVED]
                elif counted == "unchanged":
                    totals["unchanged_bytes"] += r[S_SIZE] or 0
                elif counted == "failed" and r[KIND] == Kind.CONTAINER:
                    totals["failed_folders"] += 1
            if r[WROTE]:
                totals["writes"] += 1
            d_name = r[D_NAME]
            reason = r[REASON] if not foretells or r[KIND] == Kind.CONTAINER else leaving(status, r[REASON])
            facts = r[S_SIZE:MOVED]
            if (facts[1] or 0) > rows.LAST_TIME or (facts[4] or 0) > rows.LAST_TIME:
                facts = (facts[0], rows.time_in(facts[1]), *facts[2:4], rows.time_in(facts[4]), *facts[5:])
            add(
                (
                    *(item_id, scene.job, parent, name, r[KIND], status, reason, r[ATTEMPTS], *facts),
                    None if d_name is None else encode(d_name),
                    r[PROCESSING] or None,
                    r[MESSAGE] or None,
                    scene.execution_id,
                    now,
                    r[LOST] if status else None,  # of what is planned nothing is lost yet
                )
            )
            if status in FAILED:
                self._failed(r, item_id, folder)
            elif may_be_cured:
                self.cured.append(item_id)
            if counted in self.told or (counted == "skipped" and r[REASON] in scene.warned and scene.audit_level <= 4):
                self._line(r, counted, item_id, folder)
        return given

    def _judged(self, r: Result, folder: str) -> Result:
        """Let the error categories say whether a failed item is tried again, and what else follows."""
        failure = Failure(r[REASON], r[MESSAGE] or "", paths.join(folder, r[NAME]))
        verdict = self.scene.judge.judge(failure)
        if verdict.action is CategoryAction.HALT:
            self.halted_by = self.halted_by or verdict.category
        status = settled_by(verdict, Status(r[STATUS]), r[ATTEMPTS])
        return r if status == r[STATUS] or self.scene.simulation else (*r[:STATUS], int(status), *r[STATUS + 1 :])

    def _failed(self, r: Result, item_id: int, folder: str) -> None:
        path = paths.to_bytes(paths.join(folder, r[NAME]))
        message = r[MESSAGE] or r[REASON]
        at = rows.time_in(r[7])
        self.failures.append((self.scene.execution_id, item_id, path, *r[1:4], message, r[6], at, r[5], self.now))
        if self.scene.audit_level <= 5:
            self.audit.append((5, "item.failed", path, message, item_id))

    def _lost(self, item_id: int, path: str, what: str, detail: str) -> None:
        self.losses.append((item_id, what, detail))
        if self.scene.audit_level <= 4:
            self.audit.append((4, f"item.{what}", paths.to_bytes(path), detail, item_id))

    def _line(self, r: Result, counted: str, item_id: int, folder: str) -> None:
        path = paths.to_bytes(paths.join(folder, r[NAME]))
        level = 4 if counted == "skipped" and r[REASON] in self.scene.warned else LEVELS[counted]
        self.audit.append((level, f"item.{counted}", path, r[MESSAGE] or r[REASON], item_id))

    def _uncount(self, earlier: tuple[int, int, str, int]) -> None:
        counted = self.scene.category(*earlier[:3])
        if counted is not None:
            self.totals[counted] -= 1
            if counted in ("transferred", "unchanged"):
                self.totals[f"{counted}_bytes"] -= earlier[3]
            elif counted == "failed" and earlier[0] == Kind.CONTAINER:
                self.totals["failed_folders"] -= 1

    def _stamp_later(self, item_id: int, path: str, d_path: str, *, sweeps: bool = False) -> None:
        has_one = item_id in self.stamped or frontier.task_exists(self.tx, self.scene.execution_id, "stamp", item_id)
        if has_one and not sweeps:
            return
        self.stamped.add(item_id)
        base = (item_id, item_id, paths.to_bytes(path), paths.to_bytes(d_path))
        self._add_task("stamp", base, size=int(sweeps))

    def _add_task(
        self,
        task: str,
        base: tuple[int, int, bytes, bytes],
        *,
        number: int | None = None,
        start: int = 0,
        size: int = 0,
        temporary: str | None = None,
        payload: bytes = b"",
        state: str = "pending",
        device: int = 0,
        inode: int = 0,
    ) -> None:
        where = (self.ids.take() if number is None else number, self.scene.execution_id, task, *base)
        self.tasks.append((*where, device, inode, start, size, temporary, payload, state))
