"""A fleet beyond this machine: the real dispatch, credit window and reaper, over simulated time and storage.

``python -m tests.bench.simulation --workers 1000 --items 1000000000`` prints what the fleet asks of its database and
how fairly and how soon work gets done. Real are ``engine.execution.advance``, ``engine.roster``, everything of
``store`` and its statements, on a SQLite file in memory. Simulated are the clock, the storage (so many seconds an
item), and workers that die. Nothing is carried and no item row is written: rows of items cost
bytes, not statements, and are counted by the model in docs/explanation/scale.md.
"""

import argparse
import heapq
import itertools
import json
import random
import re
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast
from unittest import mock

import sqlalchemy as sa

from tallyport.domain.connections import Connection
from tallyport.domain.jobs import Job
from tallyport.domain.policies import Policies, TransferType
from tallyport.domain.policies_json import policies_to_json
from tallyport.engine import execution as life
from tallyport.engine import roster
from tallyport.engine.batch import QUOTA_ITEMS, QUOTA_SECONDS, ahead, commit_seconds, share
from tallyport.engine.engine import look_seconds
from tallyport.engine.roster import BEAT, Roster
from tallyport.engine.taking import take_seconds
from tallyport.store import connections, executions, frontier, jobs
from tallyport.store.database import Database
from tallyport.store.frontier import BatchRow


class Plan(NamedTuple):
    """What is simulated."""

    workers: int
    items: int
    jobs: int
    per_container: int
    item_seconds: float  # of one worker's storage, all its width together
    deaths_an_hour: float  # of the whole fleet
    window: int  # batches of a job that may be out
    seed: int


KINDS: dict[str, str] = {}  # of each statement as it is spelled


def kind_of(statement: str) -> str:
    """Name what a statement does, and to which table first."""
    verb = statement.split(None, 1)[0]
    if verb in ("BEGIN", "COMMIT", "ROLLBACK"):
        return verb
    tables = re.findall(r"(?:FROM|UPDATE|INTO)\s+(\w+)", statement)
    return f"{verb} {tables[0] if tables else ''}".strip()


class Counted(Database):
    """A store in memory that tells of each statement. A file in memory has one connection: it reads as well."""

    def __init__(self, told: Callable[[str], None]) -> None:
        super().__init__("sqlite://")
        self.prepare()
        assert self._line is not None
        self._line.raw = cast("sqlite3.Connection", Telling(self._line.raw, told))

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        with self.begin() as tx:
            yield tx


class Telling:
    """A connection that tells what it executes."""

    def __init__(self, raw: sqlite3.Connection, told: Callable[[str], None]) -> None:
        self._raw = raw
        self._told = told

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        self._told(statement)
        return self._raw.execute(statement, *values)

    def executemany(self, statement: str, values: Any) -> sqlite3.Cursor:
        self._told(statement)
        return self._raw.executemany(statement, values)

    def cursor(self, *given: Any) -> Any:
        return Telling(self._raw.cursor(*given), self._told)  # type: ignore[arg-type]  # it executes in the same way


class Fleet:
    """The world that is simulated."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.now = 0.0  # seconds
        self.chance = random.Random(plan.seed)
        self.statements: Counter[str] = Counter()
        self.events: list[tuple[float, int, Callable[[], None]]] = []
        self.order = itertools.count()
        self.database = Counted(self._count)
        self.ids = self.database.ids()
        self.ids_of_visits = iter(self.ids.take, None)
        self.idle: list[Worker] = []
        self.finished: dict[int, float] = {}
        self.recoveries: list[float] = []
        self.most: Counter[int] = Counter()
        self.held_by_dead: dict[int, float] = {}
        self.started = [self._job(number) for number in range(plan.jobs)]
        self.fleet = [Worker(self) for _ in range(plan.workers)]

    def _count(self, statement: str) -> None:
        kind = KINDS.get(statement)
        if kind is None:
            kind = KINDS[statement] = kind_of(statement)
        self.statements[kind] += 1

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        """Let something happen in so many seconds."""
        heapq.heappush(self.events, (self.now + seconds, next(self.order), act))

    def _job(self, number: int) -> int:
        policies = Policies(transfer_type=TransferType.COPY, parallel_writes=self.plan.window)
        with self.database.begin() as tx:
            folder = Connection(
                id=connections.new_id(), name="s", platform="memory", settings={}, created_at=1, modified_at=1
            )
            connections.add(tx, folder)
            ends = {"source_connection": folder.id, "destination_connection": folder.id}
            job = jobs.add(
                tx, Job(id=jobs.new_id(), name=str(number), transfer_type="copy", created_at=1, modified_at=1, **ends)
            )
            execution = executions.add(tx, job_id=job.id, trigger="cli", policies=policies_to_json(policies))
            life.begin(tx, self.database, self.ids, execution, job)
            containers = max(1, self.plan.items // self.plan.jobs // self.plan.per_container)
            for start in range(0, containers, 10_000):
                frontier.add_visits(
                    tx,
                    self.database,
                    [
                        (number, execution.id, number, b"", b"", False, False, "", None)
                        for number in itertools.islice(self.ids_of_visits, min(10_000, containers - start))
                    ],
                )
        return execution.id

    def step(self, execution_id: int) -> None:
        """Take one execution forward, as the engine does after a batch and at each look."""
        with self.database.begin() as tx:
            current = executions.find(tx, execution_id, lock=True)
            if current is None or current.has_ended:
                return
            made = life.advance(tx, self.database, self.ids, current, lambda _: self.plan.window)
            out = len(frontier.open_batches(tx, execution_id))
        self.most[execution_id] = max(self.most[execution_id], out)
        if made.ended:
            self.finished[execution_id] = self.now

    def run(self) -> None:
        """Let time pass until every job has ended."""
        if self.plan.deaths_an_hour:
            self.at(self.chance.expovariate(self.plan.deaths_an_hour / 3_600), self._death)
        for execution_id in self.started:
            self.step(execution_id)
        while len(self.finished) < len(self.started):
            if not self.events:
                raise RuntimeError("nothing happens any more, and jobs are open: a lost batch")
            self.now, _, act = heapq.heappop(self.events)
            act()

    def _death(self) -> None:
        victim = self.chance.choice(self.fleet)
        victim.die()
        self.at(self.chance.expovariate(self.plan.deaths_an_hour / 3_600), self._death)


class Worker:
    """One worker: looks, takes a batch, works it, commits; beats and sweeps."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.alive = True
        self.roster = Roster(fleet.database)
        self.roster._width = 1
        self.batch: BatchRow | None = None
        self.roster._beat()
        fleet.at(fleet.chance.uniform(0, BEAT), self.beat)
        fleet.at(fleet.chance.uniform(0, take_seconds(fleet.plan.workers)), self.poll)
        fleet.at(fleet.chance.uniform(0, look_seconds(fleet.plan.workers)), self.look)

    def die(self) -> None:
        """Go without a word; a new worker starts somewhere."""
        self.alive = False
        if self.batch is not None:
            self.fleet.held_by_dead[self.batch.id] = self.fleet.now
        self.fleet.fleet.remove(self)
        self.fleet.fleet.append(Worker(self.fleet))

    def beat(self) -> None:
        if not self.alive:
            return
        self.roster._beat()
        for lost in self.roster.sweep() if self.roster.is_due() else ():
            number = int(lost.split("-")[1])
            if number in self.fleet.held_by_dead:
                self.fleet.recoveries.append(self.fleet.now - self.fleet.held_by_dead.pop(number))
        self.fleet.at(BEAT, self.beat)

    def look(self) -> None:
        if not self.alive:
            return
        with self.fleet.database.read() as tx:
            opened = [execution.id for execution in executions.opened(tx)]
        for execution_id in opened:
            self.fleet.step(execution_id)
        self.fleet.at(look_seconds(self.fleet.plan.workers), self.look)

    def poll(self) -> None:
        """Take the oldest batch that is ready, and begin it; look again later where there is none."""
        fleet = self.fleet
        if not self.alive:
            return
        with fleet.database.begin() as tx:
            is_ready = frontier.are_ready(tx)
            owner = self.roster.owner
            found = frontier.take_ready(tx, fleet.database, owner, "enumerate", ("",), 1) if is_ready else []
            for batch in found:
                execution_id = frontier.take_batch(tx, batch.id, batch.epoch, self.roster.owner)
                if execution_id is not None:
                    self.batch = batch
        if self.batch is not None:
            self._claim(0, fleet.now)
        else:
            fleet.at(take_seconds(fleet.plan.workers), self.poll)

    def _claim(self, worked: int, begun: float) -> None:
        """Take containers, work them for as long as they take, and commit as often as the real one does."""
        fleet, batch = self.fleet, self.batch
        if not self.alive or batch is None:
            return
        in_quota = fleet.now - begun < QUOTA_SECONDS and worked < QUOTA_ITEMS
        with fleet.database.begin() as tx:
            if not frontier.holds(tx, fleet.database, batch.id, batch.epoch):
                self._done(None)  # fenced
                return
            taken: list[frontier.VisitRow] = []
            if in_quota:
                pending = frontier.pending_visits(tx, batch.execution_id, ahead(fleet.plan.window))
                some = share(pending, fleet.plan.window)
                taken = frontier.claim_visits(tx, fleet.database, batch.execution_id, batch.id, some)
            if not taken:
                frontier.end_batch(tx, batch.id)
        if not taken:
            self._done(batch.execution_id)
            return
        items = len(taken) * fleet.plan.per_container
        seconds = items * fleet.plan.item_seconds * fleet.chance.uniform(0.7, 1.3)
        every = commit_seconds(fleet.plan.window)
        self._commit(taken, items, seconds, every, worked, begun)

    def _commit(
        self, left: list[frontier.VisitRow], items: int, seconds: float, every: float, worked: int, begun: float
    ) -> None:
        fleet, batch = self.fleet, self.batch
        pause = min(seconds, max(every, seconds / len(left)))  # no container ends sooner than it takes
        some = max(1, round(len(left) * pause / seconds)) if seconds > 0 else len(left)

        def after() -> None:
            if not self.alive or batch is None:
                return
            done, rest = left[:some], left[some:]
            with fleet.database.begin() as tx:
                if not frontier.holds(tx, fleet.database, batch.id, batch.epoch):
                    self._done(None)
                    return
                frontier.end_visits(tx, fleet.database, [("done", row.id) for row in done])
                carried = len(done) * fleet.plan.per_container
                executions.count(tx, batch.execution_id, {"transferred": carried, "files": carried})
                executions.find(tx, batch.execution_id)  # whether it goes on, as each commit asks
            if rest:
                self._commit(rest, items, seconds - pause, every, worked, begun)
            else:
                self._claim(worked + items, begun)

        fleet.at(pause, after)

    def _done(self, execution_id: int | None) -> None:
        self.batch = None
        if execution_id is not None:
            self.fleet.step(execution_id)
        self.fleet.at(0.0, self.poll)


@contextmanager
def simulated_time(fleet_now: Callable[[], float]) -> Iterator[None]:
    """Let the product read the simulated clock."""

    def microseconds() -> int:
        return 1_700_000_000_000_000 + int(fleet_now() * 1e6)

    def nanoseconds() -> int:
        return int(fleet_now() * 1e9)

    with (
        mock.patch("tallyport.store.rows.now", microseconds),
        mock.patch.object(roster, "clock", nanoseconds),
        mock.patch.object(roster, "log", mock.Mock()),
    ):
        yield


def simulate(plan: Plan) -> dict[str, Any]:
    """Run a plan and give its figures."""
    holder: list[Fleet] = []
    with simulated_time(lambda: holder[0].now if holder else 0.0):
        fleet = Fleet.__new__(Fleet)
        fleet.now = 0.0
        holder.append(fleet)
        fleet.__init__(plan)  # type: ignore[misc]
        fleet.statements.clear()
        fleet.run()
        with fleet.database.read() as tx:
            counted = [executions.find(tx, number) for number in fleet.started]
    ends = sorted(fleet.finished.values())
    said = fleet.statements
    transactions, whole = said["BEGIN"], sum(said.values()) - said["BEGIN"] - said["COMMIT"] - said["ROLLBACK"]
    per = plan.items // plan.jobs // plan.per_container * plan.per_container
    short = [execution for execution in counted if execution is None or execution.transferred < per]
    return {
        **plan._asdict(),
        "seconds": round(fleet.now),
        "statements_a_second": round(whole / fleet.now, 1),
        "statements_a_thousand_items": round(1_000 * whole / plan.items, 4),
        "transactions_a_second": round(transactions / fleet.now, 1),
        "most_statements_a_thousand_items": {
            kind: round(1_000 * count / plan.items, 3)
            for kind, count in said.most_common(12)
            if kind not in ("BEGIN", "COMMIT", "ROLLBACK")
        },
        "looks_for_batches_a_second": round(plan.workers / take_seconds(plan.workers)),
        "updates_of_one_execution_a_second": round(said["UPDATE executions"] / fleet.now / plan.jobs, 1),
        "first_to_last_job": round(ends[-1] / ends[0], 3),
        "window_kept": all(count <= plan.window for count in fleet.most.values()),
        "workers_lost": len(fleet.recoveries),
        "recovery_seconds_mean": round(sum(fleet.recoveries) / len(fleet.recoveries), 1) if fleet.recoveries else None,
        "recovery_seconds_most": round(max(fleet.recoveries), 1) if fleet.recoveries else None,
        "jobs_that_lost_items": len(short),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=100)
    parser.add_argument("--items", type=int, default=10_000_000)
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--per-container", type=int, default=1_000)
    parser.add_argument("--item-seconds", type=float, default=0.002)
    parser.add_argument("--deaths", type=float, default=60.0, help="of workers, an hour")
    parser.add_argument("--window", type=int, default=None, help="batches of a job at once (default: its share)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    plan = Plan(
        options.workers,
        options.items,
        options.jobs,
        options.per_container,
        options.item_seconds,
        options.deaths,
        options.window or max(1, options.workers // options.jobs),
        options.seed,
    )
    found = simulate(plan)
    print(json.dumps({**found, "processor_minutes": round(time.process_time() / 60, 1)}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
