"""A small engine for tests of the data plane: a ledger in dictionaries, one execution after the other."""

from __future__ import annotations

import copy
import queue
import time
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tallyport.connectors.hashing import PART
from tallyport.domain.paths import join, to_bytes
from tallyport.domain.policies import Policies
from tallyport.domain.policies_json import policies_to_json
from tallyport.engine.crew import Crew
from tallyport.engine.mover import Work
from tallyport.engine.work import (
    AS_IT_WAS,
    Deferred,
    DeleteWork,
    FinishWork,
    ItemResult,
    Known,
    LinkWork,
    PartWork,
    StampWork,
    TaskReport,
    Terms,
    VisitReport,
    VisitWork,
    results_of,
)

DONE = (1, 2)


@dataclass
class Outcome:
    """What one execution reported."""

    items: dict[str, ItemResult] = field(default_factory=dict)
    unchanged: int = 0
    unchanged_bytes: int = 0
    s_files: int = 0
    s_bytes: int = 0
    wrote: int = 0
    moved: int = 0
    errors: dict[str, tuple[str, str]] = field(default_factory=dict)
    halted: Counter[str] = field(default_factory=Counter)
    visits: int = 0
    signed: int = 0
    asked: int = 0  # times known rows were asked for
    asked_of: set[str] = field(default_factory=set)  # names they were asked for
    lost: list[str] = field(default_factory=list)
    deletes: list[tuple[str, str]] = field(default_factory=list)
    largest_report: int = 0
    events: int = 0

    def by_status(self) -> dict[int, int]:
        return dict(Counter(item.status for item in self.items.values()))

    def reasons(self) -> dict[str, str]:
        return {path: item.reason for path, item in self.items.items()}


def number_of(work: Work) -> int:
    """Give the number that reports of a work carry; of a group of links the first."""
    match work:
        case VisitWork():
            return work.visit_id
        case LinkWork():
            return work.task_ids[0]
        case _:
            return work.task_id


class Desk:
    """Runs executions of one job through a crew, and remembers."""

    def __init__(
        self,
        source: tuple[str, str, str],
        destination: tuple[str, str, str],
        policies: Policies,
        *,
        part_size: int = PART,
        group: int = 16,
        deletes: bool = True,
    ) -> None:
        self.source = source
        self.destination = destination
        self.policies = policies
        self.part_size = part_size
        self.group = group
        self.deletes = deletes
        self.rows: dict[int, dict[bytes, Known]] = {}  # by container
        self.ids: dict[int, str] = {1: ""}  # of containers
        self.d_paths: dict[int, str] = {1: ""}
        self.by_path: dict[str, int] = {"": 1}
        self.signatures: dict[int, bytes | None] = {}
        self.next_id = 2
        self.execution = 0
        self.record = True  # keep rows; off for measuring movers alone
        self.on_event: Any = None
        self.unfinished: list[Work] = []
        self.stop_after: int | None = None

    def taken_over(self) -> Desk:
        """Give another desk with all that this one knows, whose ``run`` with ``resume`` does what is not reported."""
        other = Desk(self.source, self.destination, self.policies, part_size=self.part_size, group=self.group)
        own = ("reports", "crew", "on_event", "outcome")
        vars(other).update(copy.deepcopy({name: it for name, it in vars(self).items() if name not in own}))
        other.unfinished = [work for group in self.open.values() for work in group.values()] + self.pending
        return other

    def terms(self) -> Terms:
        return Terms(
            self.execution,
            "token7",
            self.source,
            self.destination,
            policies_to_json(self.policies),
            time.time_ns(),
            self.part_size,
            0,
            None,
            self.execution == 1,
        )

    def run(self, crew: Crew, *, full: bool = False, resume: bool = False, slot: int = 0) -> Outcome:
        """Run one execution to its end, or until it halts."""
        if not resume:
            self.execution += 1
            self.unfinished = []
        self.outcome = outcome = Outcome()
        self.full = full
        self.open: dict[int, dict[int, Work]] = {}  # by group: what has not ended
        self.pending: list[Work] = []
        if not resume:
            self.visits: dict[int, VisitWork] = {}
            self.tasks: dict[int, tuple[Any, ...]] = {}
            self.parts: dict[int, dict[int, bytes]] = {}
            self.links: dict[tuple[int, int], list[tuple[int, Deferred]]] = {}
            self.last_deletes: list[tuple[int, Deferred]] = []
            self.stamps: set[int] = set()
            self.stage = 0
        self.reports: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.crew, self.slot = crew, slot
        terms = self.terms()
        if resume:
            unfinished, self.unfinished = self.unfinished, []
            for work in unfinished:
                if isinstance(work, VisitWork):
                    again = work._replace(visit_id=self.new_id(), resumed=True, d_fresh=False, attempt=work.attempt + 1)
                    self.add_visit(again)
                elif isinstance(work, LinkWork):
                    self.pending.append(work._replace(attempt=work.attempt + 1))
                else:
                    self.pending.append(work)
        else:
            self.add_visit(self.visit(1, "", "", fresh=False, blank=1 not in self.rows))
        while True:
            self.deal(terms)
            if not self.open:
                if outcome.halted or not self.next_stage(self.stage):
                    break
                self.stage += 1
                continue
            event = self.reports.get(timeout=60)
            outcome.events += 1
            if self.on_event is not None:
                self.on_event(event)
            match event:
                case ("report", report):
                    self.take_report(report)
                case ("task", report):
                    self.take_task(report)
                case ("done", group):
                    self.unfinished.extend(self.open.pop(group).values())
                case ("lost", group, why):
                    outcome.lost.append(why)
                    outcome.halted["lost"] += 1
                    self.unfinished.extend(self.open.pop(group).values())
        return outcome

    def new_id(self) -> int:
        self.next_id += 1
        return self.next_id

    def visit(
        self, item: int, path: str, d_path: str, *, fresh: bool, blank: bool = False, gone: str = ""
    ) -> VisitWork:
        return VisitWork(
            self.new_id(),
            item,
            path,
            d_path,
            fresh,
            False,
            self.full,
            self.signatures.get(item),
            gone=gone,
            blank=blank,
        )

    def add_visit(self, visit: VisitWork) -> None:
        self.visits[visit.visit_id] = visit
        self.pending.append(visit)

    def deal(self, terms: Terms) -> None:
        depth = 2 * self.crew.width
        while self.pending and (len(self.pending) >= self.group or not self.open or len(self.open) < depth):
            if len(self.open) >= 2 * depth:
                return
            size = min(self.group, max(1, len(self.pending) // self.crew.width))
            works, self.pending = self.pending[:size], self.pending[size:]
            group = self.crew.submit(terms, works, known=self.known, reports=self.reports, slot=self.slot)
            self.open[group] = {number_of(work): work for work in works}

    def known(self, visit_id: int, after: str, limit: int, names: Sequence[str] = ()) -> list[tuple[Any, ...]]:
        self.outcome.asked += 1
        visit = self.visits[visit_id]
        rows = self.rows.get(visit.item_id, {})
        if names:
            self.outcome.asked_of.update(names)
            return [tuple(rows[name]) for name in map(to_bytes, names) if name in rows]
        start = to_bytes(after)
        return [tuple(rows[name]) for name in sorted(rows) if name > start][:limit]

    def take_report(self, report: VisitReport) -> None:
        visit, outcome = self.visits[report.visit_id], self.outcome
        outcome.largest_report = max(outcome.largest_report, len(report.items) + len(report.filled))
        told = (*report.items, *results_of(report.filled, report.level))
        if self.record:
            for item in told:
                self.take_item(visit, ItemResult._make(item))
        else:
            outcome.moved += len(told)
        outcome.unchanged += report.unchanged
        outcome.unchanged_bytes += report.unchanged_bytes
        outcome.s_files += report.s_files
        outcome.s_bytes += report.s_bytes
        for raw in report.deferred:
            self.take_deferred(visit, Deferred._make(raw))
        rows = self.rows.get(visit.item_id, {})
        gone = {
            Deferred._make(raw).name: "source" if raw[0] == "delete_destination" else "destination"
            for raw in report.deferred
            if raw[0].startswith("delete") and raw[2] == 2 and Deferred._make(raw).reason != "moved"
        }
        for name, d_name, fresh, item_id in report.children:
            if not item_id:
                row = rows.get(to_bytes(name))
                item_id = row.item_id if row is not None else self.container_id(join(visit.path, name))
            path, d_path = join(visit.path, name), join(visit.d_path, d_name)
            self.ids[item_id], self.d_paths[item_id], self.by_path[path] = path, d_path, item_id
            self.add_visit(
                self.visit(item_id, path, d_path, fresh=fresh, blank=item_id not in self.rows, gone=gone.get(name, ""))
            )
        if report.last:
            outcome.visits += 1
            for group in self.open.values():
                group.pop(report.visit_id, None)
            if report.halted:
                outcome.halted[report.halted] += 1
                self.unfinished.append(visit)
                return
            if report.error:
                outcome.errors[visit.path] = report.error
                return
            if report.signature is not None:
                outcome.signed += 1
            if report.signature != AS_IT_WAS:
                self.signatures[visit.item_id] = report.signature
            if report.container is not None and self.record:
                own = ItemResult._make(report.container)
                outcome.items[visit.path] = own

    def container_id(self, path: str) -> int:
        if path not in self.by_path:
            self.by_path[path] = self.new_id()
        return self.by_path[path]

    def take_item(self, visit: VisitWork, item: ItemResult) -> None:
        path = join(visit.path, item.name)
        self.outcome.items[path] = item
        self.outcome.wrote += item.wrote != 0
        self.outcome.moved += item.moved
        rows = self.rows.setdefault(visit.item_id, {})
        if item.reason == "deleted_both" or (item.s_size is None and item.d_size is None and item.status in DONE):
            rows.pop(to_bytes(item.name), None)
            return
        item_id = item.item_id or (self.container_id(path) if item.kind == 2 else self.new_id())
        status, d_side = item.status, (item.d_size, item.d_modified, item.d_tag)
        if item.kind == 2 and item.status == 0 and not item.reason.startswith(("deleted", "not_at")):
            status, d_side = 1, (0, 0, b"")  # its own visit would fill this in
        rows[to_bytes(item.name)] = Known(
            item.name,
            item_id,
            item.kind,
            status,
            item.attempts,
            *item[6:9],
            *d_side,
            item.hash,
            item.d_name,
            item.level,
        )
        if self.policies.simulation:
            rows.pop(to_bytes(item.name))

    def take_deferred(self, visit: VisitWork, deferred: Deferred) -> None:
        item = ItemResult._make(deferred.item)
        self.take_item(visit, item)
        path, d_path = join(visit.path, item.name), join(visit.d_path, item.d_name or item.name)
        item_id = self.rows[visit.item_id][to_bytes(item.name)].item_id
        deferred = deferred._replace(item=tuple(item._replace(item_id=item_id, reason=deferred.reason)))
        source = (item.s_size, item.s_modified, item.s_tag)
        if deferred.task == "link":
            self.links.setdefault((deferred.device, deferred.inode), []).append((visit.visit_id, deferred))
        elif deferred.task == "big":
            temporary = f".tallyport-token7p-{zlib.crc32(path.encode()):x}"
            big = self.new_id()
            self.parts[big] = {}
            offsets = range(0, deferred.size, self.part_size)
            self.tasks[big] = ("finish", visit, deferred, temporary, len(offsets), path, d_path, source)
            for number, offset in enumerate(offsets):
                task = self.new_id()
                self.tasks[task] = ("part", big, number)
                length = min(self.part_size, deferred.size - offset)
                self.pending.append(PartWork(task, path, d_path, temporary, offset, length, source))
        else:
            self.last_deletes.append((visit.visit_id, deferred))

    def next_stage(self, stage: int) -> bool:
        """Links, then deletes from the deepest up, then folder times."""
        if stage == 0:
            for members in self.links.values():
                numbers = [self.new_id() for _ in members]
                for number, (visit_id, _) in zip(numbers, members, strict=True):
                    self.tasks[number] = ("item", self.visits[visit_id])
                places = [
                    (self.visits[visit_id], ItemResult._make(deferred.item), deferred) for visit_id, deferred in members
                ]
                self.pending.append(
                    LinkWork(
                        tuple(numbers),
                        tuple(join(visit.path, item.name) for visit, item, _ in places),
                        tuple(join(visit.d_path, item.d_name or item.name) for visit, item, _ in places),
                        tuple(deferred.item for _, _, deferred in places),
                        tuple(deferred.replaces for _, _, deferred in places),
                    )
                )
                self.stamps.update(visit.visit_id for visit, _, _ in places)
        if stage == 1 and self.deletes:
            places = [(self.visits[visit_id], deferred) for visit_id, deferred in self.last_deletes]
            places.sort(key=lambda place: -len(join(place[0].path, place[1].name).split("/")))
            for visit, deferred in places:
                item = ItemResult._make(deferred.item)
                side = deferred.task.removeprefix("delete_")
                container = visit.path if side == "source" else visit.d_path
                path = join(container, item.name if side == "source" else item.d_name or item.name)
                self.outcome.deletes.append((side, path))
                facts = item[6:9] if side == "source" else item[9:12]
                expect = None if item.kind == 2 or facts[0] is None else facts
                number = self.new_id()
                self.tasks[number] = ("item", visit)
                s_path = join(visit.path, item.name)
                self.pending.append(DeleteWork(number, side, path, item.kind, expect, deferred.item, s_path=s_path))
                if side == "destination" and not visit.gone:
                    self.stamps.add(visit.visit_id)
        if stage == 2:
            for visit_id in self.stamps:
                visit = self.visits[visit_id]
                number = self.new_id()
                self.tasks[number] = ("stamp",)
                self.pending.append(StampWork(number, visit.path, visit.d_path))
        return stage < 3

    def take_task(self, report: TaskReport) -> None:
        what = self.tasks[report.task_id]
        if report.halted:
            self.outcome.halted[report.halted] += 1
            return
        for group in self.open.values():
            group.pop(report.task_id, None)
        if report.error:
            self.outcome.errors[f"task {what[0]} {report.task_id}"] = report.error
            return
        if what[0] == "part":
            _, big, number = what
            self.parts[big][number] = report.hash or b""
            _, visit, deferred, temporary, count, path, d_path, source = self.tasks[big]
            if len(self.parts[big]) == count:
                hashes = tuple(self.parts[big][number] for number in range(count))
                self.stamps.add(visit.visit_id)
                self.pending.append(
                    FinishWork(
                        big,
                        path,
                        d_path,
                        temporary,
                        deferred.size,
                        hashes,
                        source,
                        deferred.replaces,
                        deferred.item,
                        visit.item_id,
                    )
                )
        elif report.item is not None:
            visit = what[1]
            self.take_item(visit, ItemResult._make(report.item))
