"""One commit of a recorder: what its reports mean for the ledger."""

import marshal
from operator import itemgetter

from tallyport.domain import paths
from tallyport.domain.actions import Reason
from tallyport.domain.entries import Kind
from tallyport.domain.items import DONE, FAILED, Status
from tallyport.engine import slices
from tallyport.engine.gathered import Gathered
from tallyport.engine.notes import MADE_BACK
from tallyport.engine.open_visit import OpenVisit
from tallyport.engine.tally import D_SIZE, KIND, LEVEL, NAME, REASON, STATUS, VISITED, WOULD_GO, Result, Scene, would_go
from tallyport.engine.uploads import place_of
from tallyport.engine.work import AS_IT_WAS, Deferred, ItemResult, TaskReport, VisitReport, results_of
from tallyport.store import carried_parts, frontier, items, rows
from tallyport.store.database import Database
from tallyport.store.frontier import TaskRow, VisitRow
from tallyport.store.ids import Ids
from tallyport.store.phrases import sa

PART_ATTEMPTS = 3
_S_SIZE, _S_MODIFIED = itemgetter(1), itemgetter(2)  # of an engine.work.Filled


class Commit(Gathered):
    """What the reports of one commit mean for the ledger."""

    def __init__(
        self,
        tx: sa.Connection,
        database: Database,
        ids: Ids,
        scene: Scene,
        open_visits: dict[int, OpenVisit],
        open_tasks: dict[int, TaskRow],
    ) -> None:
        super().__init__(tx, database, ids, scene)
        self.open_visits = open_visits  # what ends here leaves these two
        self.open_tasks = open_tasks

    def write(self, reports: list[VisitReport | TaskReport]) -> bool:
        """Write the rows of these reports; tells whether work was queued that others may take."""
        for report in reports:
            if isinstance(report, VisitReport):
                self._visit(report)
            else:
                self._task(report)
        return self.written()

    # -- visits ------------------------------------------------------------------------------------------------

    def _visit(self, report: VisitReport) -> None:
        opened = self.open_visits.get(report.visit_id)
        if opened is None:
            return  # told after its end: a mover that was given up
        row, scene = opened.row, self.scene
        opened.files += report.s_files
        opened.bytes += report.s_bytes
        opened.unchanged += report.unchanged
        opened.unchanged_bytes += report.unchanged_bytes
        opened.keeps = opened.keeps or report.keeps
        before = self._settled_before(opened) if row.attempts > 1 and (report.items or report.last) else {}
        given = self._results(report.items, row.item_id, row.path, before, opened)
        if report.filled:
            self._filled(report, opened, before)
        deferred = [self._defer(Deferred._make(raw), opened, before) for raw in report.deferred]
        self.uses += report.uses
        self.locks += report.locks
        if report.losses:
            numbers = {r[NAME]: number for r, number in zip(report.items, given, strict=True)}
            numbers |= {raw[1]: number for raw, number in zip(report.deferred, deferred, strict=True)}
            for name, what, detail in report.losses:
                path = paths.join(row.path, name) if name else row.path
                self._lost(numbers[name] if name else row.item_id, path, what, detail)
        if report.children:
            self._children(report, opened)
        for data, through, fresh in report.slices:
            paths_of = (paths.to_bytes(row.path), paths.to_bytes(row.d_path))
            base = (self.ids.take(), scene.execution_id, row.item_id, *paths_of, fresh, row.gone)
            self.slices.append((*base, data, through))
        if report.error is not None:
            self._end(report, opened, "failed")
        elif report.halted is not None:
            self.ended.append(("pending", row.id))
            del self.open_visits[row.id]
        elif report.last:
            self._close(report, opened, before)

    def _filled(self, report: VisitReport, opened: OpenVisit, before: dict[bytes, tuple[int, int, str, int]]) -> None:
        """Gather the rows of what a new container was filled with. The loop that a first run waits for."""
        filled = report.filled
        if opened.row.attempts > 1 or "transferred" in self.told or max(map(_S_MODIFIED, filled)) > rows.LAST_TIME:
            self._results(results_of(filled, report.level), opened.row.item_id, opened.row.path, before, opened)
            return
        parent = opened.row.item_id
        self.filled.extend([(i, parent, *row) for i, row in zip(self.ids.block(len(filled)), filled, strict=True)])
        self.filled_level = report.level
        self.totals["transferred"] += len(filled)
        self.totals["transferred_bytes"] += sum(map(_S_SIZE, filled))
        self.totals["writes"] += len(filled)

    def _children(self, report: VisitReport, opened: OpenVisit) -> None:
        row = opened.row
        known: dict[str, int] | None = None
        found: list[Result] = []
        left_out = dict(report.left_out)
        deleted = {str(raw[1]): str(raw[0]) for raw in report.deferred if raw[2] == Kind.CONTAINER}
        if self.scene.simulation:  # nothing is deferred there: the rows say what would go
            deleted |= {str(r[NAME]): WOULD_GO[r[REASON]] for r in report.items if would_go(r)}
            made_back = [r for r in report.items if r[KIND] == Kind.CONTAINER and r[STATUS] == Status.PENDING]
            # A container that would be made at the source is not there: what is below is looked at without it.
            deleted |= {str(r[NAME]): "delete_destination" for r in made_back if r[REASON] in MADE_BACK}
        for name, d_name, fresh, given in report.children:
            item_id = given or opened.folders.get(name, 0)
            if not item_id:
                known = items.sub_containers(self.tx, row.item_id) if known is None else known
                item_id = known.get(name, 0)
            if not item_id:
                item_id = self._adopt_container(name, row.item_id)
            path = paths.to_bytes(paths.join(row.path, name))
            d_path = paths.to_bytes(paths.join(row.d_path, d_name))
            self.containers.append((item_id, self.scene.job, row.item_id, path, d_path, self.scene.execution_id))
            gone = opened.gone_below(name, deleted.get(name, ""), left_out)
            blank = name in opened.blank and not gone
            number = self.ids.take()
            found.append((number, self.scene.execution_id, item_id, path, d_path, fresh, blank, gone, None))
        if row.attempts > 1:  # an earlier attempt may have told of some, and they are visited or were
            queued = frontier.are_queued(self.tx, self.scene.execution_id, [visit[2] for visit in found])
            found = [visit for visit in found if visit[2] not in queued]
        self.visits.extend(found)

    def _adopt_container(self, name: str, parent: int) -> int:
        """Give a container the row it lacks (its own result was lost with a mover)."""
        result = ItemResult(name, Kind.CONTAINER, Status.SUCCESS, Reason.UNCHANGED, 0, 0)
        return self._results((tuple(result),), parent, "", {}, None)[0]

    def _close(self, report: VisitReport, opened: OpenVisit, before: dict[bytes, tuple[int, int, str, int]]) -> None:
        """A visit that went to its end."""
        for name, earlier in before.items():  # settled by this execution already, now found unchanged
            if name not in opened.seen and self.scene.category(*earlier[:3]) in (
                "transferred",
                "unchanged",
            ):
                opened.unchanged -= 1
                opened.unchanged_bytes -= earlier[3]
        self.totals["files"] += opened.files
        self.totals["bytes"] += opened.bytes
        self.totals["unchanged"] += opened.unchanged
        self.totals["unchanged_bytes"] += opened.unchanged_bytes
        row = opened.row
        self.totals["folders"] += row.slice is None
        if row.slice is not None:
            if row.attempts > 1 and not self.scene.simulation:  # what the first attempt left is swept when all ended
                self._stamp_later(row.item_id, row.path, row.d_path, sweeps=True)
        elif row.names is None:
            signature = row.signature if report.signature == AS_IT_WAS else report.signature
            ends = (None if opened.deferred else signature, opened.files, opened.bytes)
            if ends != (row.signature, row.files, row.bytes):
                self.closed.append((*ends, self.scene.execution_id, row.item_id))
        else:
            self.closed.append((None, row.files, row.bytes, self.scene.execution_id, row.item_id))
        if self.scene.audit_level <= VISITED:
            told = f"{opened.files} files, {opened.unchanged} items unchanged"
            self.audit.append((VISITED, "container.visited", paths.to_bytes(row.path), told, row.item_id))
        if opened.lands_later and not self.scene.simulation:
            self._stamp_later(row.item_id, row.path, row.d_path)
        self._end(report, opened, "done")

    def _end(self, report: VisitReport, opened: OpenVisit, state: str) -> None:
        row = opened.row
        if report.container is not None:
            self._container(report.container, row)
        elif report.error is not None:
            kind, message = report.error
            name = paths.split(row.path)[1]
            known = items.known_in(self.tx, self.database, row.parent_id, name)
            failed = ItemResult(name, Kind.CONTAINER, Status.RETRY, kind, row.item_id, row.attempts, message=message)
            if known is not None:  # what is known of it is kept: it is ours, and may go with its source later
                sides = (known[5:8], (0, 0, None) if row.fresh and known[8] is None else known[8:11])
                failed = ItemResult._make((*failed[:6], *sides[0], *sides[1], *failed[12:]))
                failed = failed._replace(d_name=known[12])
            self._container(tuple(failed), row)
        self.ended.append((state, row.id))
        if opened.keeps or (report.error is not None and (row.gone or self.scene.simulation)):
            self.keeping.append(row.id)
        self.open_visits.pop(row.id, None)

    def _container(self, result: Result, row: VisitRow) -> None:
        """The row of the visited container itself: it belongs to the container above."""
        folder, name = paths.split(row.path)
        settled = (name, result[1], result[2], result[3], row.item_id, *result[5:])
        self._results((settled,), row.parent_id, folder, {}, None)
        leaves = self.scene.removes_source and not self.scene.simulation and row.parent_id and not row.gone
        if leaves and row.names is None and settled[STATUS] in DONE and settled[D_SIZE] is not None:
            self._leave(settled, row)

    def _leave(self, settled: Result, row: VisitRow) -> None:
        """Have a container that was carried go from the source after all that was in it, if nothing is left there."""
        if row.item_id in self.left or frontier.task_exists(
            self.tx, self.scene.execution_id, "delete_source", row.item_id
        ):
            return
        self.left.add(row.item_id)
        moved = ItemResult._make(settled)._replace(reason=Reason.MOVED.value, wrote=0)
        base = (row.item_id, row.parent_id, paths.to_bytes(row.path), paths.to_bytes(row.d_path))
        payload = marshal.dumps((tuple(moved), False))
        self._add_task("delete_source", base, payload=payload)

    def _settled_before(self, opened: OpenVisit) -> dict[bytes, tuple[int, int, str, int]]:
        """What this execution settled in the container before: (kind, status, reason, bytes) by name."""
        row = opened.row
        if row.slice is None and row.sliced is not None:
            return {}  # it only cuts the container; what others settled meanwhile is theirs
        statement = "SELECT name, kind, status, reason, s_size FROM items WHERE parent_id = ? AND execution_id = ?"
        values: list[object] = [row.item_id, self.scene.execution_id]
        if row.slice is not None:
            after, through = slices.read(row.slice)[:2]
            statement += " AND name > ?" + ("" if through is None else " AND name <= ?")
            values += [after] if through is None else [after, through]
        found = self.tx.exec_driver_sql(self.database.sql(statement), tuple(values))
        return {bytes(r[0]): (r[1], r[2], r[3], r[4] or 0) for r in found if bytes(r[0]) not in opened.seen}

    # -- deferred work -----------------------------------------------------------------------------------------

    def _defer(self, found: Deferred, opened: OpenVisit, before: dict[bytes, tuple[int, int, str, int]]) -> int:
        """Queue what a visit left for a task of its own; gives the item's number."""
        scene, row = self.scene, opened.row
        opened.deferred = True
        opened.lands_later = opened.lands_later or found.task in ("big", "link")
        item = ItemResult._make(found.item)
        if item.item_id and frontier.task_exists(
            self.tx, scene.execution_id, "finish" if found.task == "big" else found.task, item.item_id
        ):
            before.pop(paths.to_bytes(item.name), None)
            opened.seen.add(paths.to_bytes(item.name))
            if found.temporary:  # planned before the crash or pause, its parts stand: not another upload beside it
                d_path = paths.to_bytes(paths.join(row.d_path, item.d_name or found.name))
                base = (item.item_id, row.item_id, paths.to_bytes(paths.join(row.path, found.name)), d_path)
                self._add_task("delete_destination", base, temporary=found.temporary)
            return item.item_id
        if item.item_id:
            frontier.drop_tasks(self.tx, scene.execution_id, item.item_id)
        (item_id,) = self._results((found.item,), row.item_id, row.path, before, opened)
        path = paths.to_bytes(paths.join(row.path, found.name))
        d_path = paths.to_bytes(paths.join(row.d_path, item.d_name or found.name))
        item = item._replace(item_id=item_id, reason=found.reason)  # why the task does it: a move's delete is no other
        payload = marshal.dumps((tuple(item), found.replaces))
        base = (item_id, row.item_id, path, d_path)
        if found.task == "big":
            carried_parts.forget(self.tx, self.database, item_id)
            finish, *numbers = self.ids.block(1 + max(1, -(-found.size // scene.part_size)))
            temporary = found.temporary or f".tallyport-{scene.token}p-{finish:x}"
            source = marshal.dumps((item.s_size, item.s_modified, item.s_tag))
            for n, number in enumerate(numbers):
                start = n * scene.part_size
                length = min(scene.part_size, found.size - start)
                self._add_task(
                    "part", base, number=number, start=start, size=length, temporary=temporary, payload=source
                )
            self._add_task("finish", base, number=finish, temporary=temporary, payload=payload, state="blocked")
        else:
            size = found.size if found.task == "link" else 0
            self._add_task(found.task, base, size=size, payload=payload, device=found.device, inode=found.inode)
        return item_id

    # -- tasks -------------------------------------------------------------------------------------------------

    def _task(self, report: TaskReport) -> None:
        task = self.open_tasks.pop(report.task_id, None)
        if task is None:
            return
        self.uses += report.uses
        self.locks += report.locks
        for what, detail in report.losses:
            self._lost(task.item_id, task.path, what, detail)
        if report.halted is not None:
            frontier.end_task(self.tx, task.id, "pending")
        elif task.task == "part":
            self._part(task, report)
        elif task.task == "lock":
            self._looked_at_lock(task, report)
        elif task.temporary is not None and task.task == "delete_destination":
            frontier.end_task(self.tx, task.id, "done")  # the temporary of a big file that failed
        elif report.item is not None:
            self._settle(task, report.item)
        elif report.error is not None and task.task != "stamp":
            self._fail(task, report.error)
        else:
            if report.error is not None and self.scene.audit_level <= 4:
                self.audit.append(
                    (4, "container.not_stamped", paths.to_bytes(task.path), report.error[1], task.item_id)
                )
            frontier.end_task(self.tx, task.id, "done")

    def _looked_at_lock(self, task: TaskRow, report: TaskReport) -> None:
        """A lock of ours was looked at; where that failed it is looked at again by the next execution."""
        frontier.end_task(self.tx, task.id, "done")
        if report.error is not None:
            line = (4, "item.lock_kept", report.error[1])
        elif report.locks and not report.locks[-1][3]:
            line = (3, "item.lock_released", "its lock was taken away: the other side has none any more")
        else:
            return
        if self.scene.audit_level <= line[0]:
            self.audit.append((line[0], line[1], paths.to_bytes(task.path), line[2], None))

    def _part(self, task: TaskRow, report: TaskReport) -> None:
        execution_id = self.scene.execution_id
        if report.error is None:
            carried_parts.note(self.tx, self.database, task.id, self.now)
            frontier.end_task(self.tx, task.id, "done", hash=report.hash)
            frontier.alone_with(self.tx, execution_id, task.item_id)
            family = frontier.tasks_of_item(self.tx, execution_id, task.item_id)
            left = [t for t, state in family if state != "done"]
            if [t.task for t in left] == ["finish"]:
                hashes = tuple(t.hash for t, _ in family if t.task == "part")
                frontier.end_task(self.tx, left[0].id, "pending", hash=marshal.dumps(hashes))
            return
        kind, _ = report.error
        if task.attempts < PART_ATTEMPTS and kind not in (
            "changed_during_copy",
            "not_found",
            "permission_denied",
        ):
            frontier.end_task(self.tx, task.id, "pending")
            return
        whole = [t for t, _ in frontier.tasks_of_item(self.tx, execution_id, task.item_id) if t.task == "finish"]
        frontier.end_task(self.tx, task.id, "failed")
        if whole:
            self._fail(whole[0], report.error)
            # what other workers still carry of it finds no task and ends; its temporary is swept below
            frontier.drop_tasks(self.tx, execution_id, task.item_id)
            places = (paths.to_bytes(task.path), paths.to_bytes(place_of(task)))
            base = (task.item_id, task.container_id, *places)
            self._add_task("delete_destination", base, temporary=task.temporary)

    def _settle(self, task: TaskRow, result: Result) -> None:
        folder = paths.split(task.path)[0]
        payload_item: Result = marshal.loads(task.payload)[0]
        settled = (payload_item[0], *result[1:4], task.item_id, *result[5:])
        if payload_item[STATUS] == Status.PENDING and payload_item[KIND] != Kind.CONTAINER:
            self.totals["pending"] -= 1
        is_deletion = task.task.startswith("delete")
        self._results((settled,), task.container_id, folder, {}, None, is_deletion=is_deletion)
        frontier.end_task(self.tx, task.id, "done" if result[STATUS] not in FAILED else "failed")
        if task.task == "delete_destination" and (place := frontier.container(self.tx, task.container_id)):
            self._stamp_later(task.container_id, *place)
        is_proved = result[STATUS] in DONE and result[LEVEL] >= self.scene.verify
        if self.scene.removes_source and task.task in ("finish", "link") and is_proved:
            base = (task.item_id, task.container_id, paths.to_bytes(task.path), paths.to_bytes(task.d_path))
            moved = ItemResult._make(settled)._replace(reason=Reason.MOVED.value, moved=0)
            if task.task == "link":
                moved = moved._replace(s_tag=b"")  # removing one name of a file changes the tag of the others
            self._add_task("delete_source", base, payload=marshal.dumps((tuple(moved), False)))

    def _fail(self, task: TaskRow, error: tuple[str, str]) -> None:
        (payload_item, _) = marshal.loads(task.payload)
        item = ItemResult._make(payload_item)
        failed = item._replace(status=Status.RETRY, reason=error[0], message=error[1], attempts=item.attempts + 1)
        if not task.task.startswith("delete"):
            # It holds the source as it was to be carried. That is no baseline: it would say that it was.
            failed = failed._replace(s_modified=None, s_tag=None, hash=None, lost=None)
        self._settle(task, tuple(failed))
