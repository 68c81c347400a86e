"""The engine of one process: takes open executions forward and works the batches that are handed to it.

It meets the API and the CLI in the database alone. ``nudge`` only says "look now"; everything is found by looking.
"""

import contextlib
import logging
import threading
import traceback
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from tallyport.connectors.width import AUTOMATIC
from tallyport.domain import folder_mapping, labels, parts, stops
from tallyport.domain.categories import Judge as Failures
from tallyport.domain.connections import LOCAL_PLATFORMS
from tallyport.domain.errors import REMEDIES, ErrorKind, Remedy, TallyportError, halt
from tallyport.domain.executions import Execution
from tallyport.domain.guards import warned_reasons
from tallyport.domain.jobs import Job
from tallyport.domain.policies import Policies, TransferType
from tallyport.domain.policies_json import policies_from_json
from tallyport.domain.rules import EMPTIES_SOURCE
from tallyport.domain.states import Wait
from tallyport.engine import execution as life
from tallyport.engine.asides import Asides
from tallyport.engine.batch import Batch, Ending, Orders
from tallyport.engine.crew import Crew
from tallyport.engine.dispatch import Dispatcher, TaskRef
from tallyport.engine.ends import Ends
from tallyport.engine.lease import clock
from tallyport.engine.observing import observe_again
from tallyport.engine.reach import Reach
from tallyport.engine.recorder import Fenced
from tallyport.engine.roster import Roster
from tallyport.engine.schedule import keep_time
from tallyport.engine.taking import Taker, tasks
from tallyport.engine.tally import Scene
from tallyport.engine.undoing import Undoing, order_of
from tallyport.engine.widths import Widths
from tallyport.store import audit, beginnings, error_categories, executions, frontier, jobs
from tallyport.store.database import Database, is_outage
from tallyport.store.frontier import BatchRow
from tallyport.store.phrases import sa
from tallyport.store.vault import Vault

log = logging.getLogger("tallyport.engine")

SLOTS = 1_024  # batches under way; each queue of the dispatcher has a width of its own
LOOK_SECONDS = 1.0  # between looks at a store that other processes write as well
MOST_AT_ONCE = 64  # executions under way; more wait in ready
STUMBLES = 5  # times in a row that an execution cannot be taken forward before it ends
WORKING = frozenset({"executing", "pausing", "canceling"})


class Crews(NamedTuple):
    """Who carries what: processes for pairs of local trees, threads for everything else."""

    local: Crew
    other: Crew


class Engine:
    """One per process. ``start`` recovers what an earlier process left, then works until ``stop``."""

    def __init__(
        self,
        database: Database,
        dispatcher: Dispatcher,
        crews: Crews,
        *,
        roster: Roster | None = None,
        vault: Vault | None = None,
    ) -> None:
        """``roster`` is given where other processes work on the same store."""
        self._database = database
        vault = vault or Vault()
        self._dispatcher = dispatcher
        self._crews = crews
        self._roster = roster
        self._owner = "local" if roster is None else roster.owner
        self._widths = Widths(database, self._owner)
        self._ends = Ends(database, vault, self._widths)
        self._lease_end = 0  # until when we may work without hearing from the store; with a roster alone
        self._taker: Taker | None = None  # where others take from the same store
        if roster is not None:
            self._taker = Taker(database, roster, crews.local.width, dispatcher.submit, self._has_lease)
        self._ids = database.ids()
        self._reach = Reach(database, self._ids, roster)
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._stumbles: Counter[int] = Counter()  # executions that could not go on, and how often in a row
        self._fell: set[int] = set()  # batches whose thread met an outage, where nobody else gives them back
        self._slots: dict[int, tuple[int, Crew]] = {}  # slot: (execution, crew) of a batch under way
        self._asides = Asides(database, self._ids, vault, self._wake.set)
        self._overseer = threading.Thread(target=self._oversee, name="overseer", daemon=True)

    def start(self) -> None:
        """Recover and begin. One process owns an embedded store, so every batch that is out belongs to nobody."""
        self._crews.local.start()
        self._crews.other.start()
        observe_again(self._database)
        if self._roster is None:
            self.reconcile()
        else:
            self._roster.join(width=self._crews.local.width, renew=self._renew, orphaned=self._dispatcher.cancel)
        self._dispatcher.start(self._work, self._tick)
        self._overseer.start()
        if self._taker is not None:
            self._taker.start()
        self._wake.set()

    def stop(self, grace: float = 10.0) -> None:
        """Bring work in hand to a safe point and stop. Executions stay open and go on at the next start."""
        self._stopping.set()
        self._wake.set()
        if self._roster is not None:
            self._roster.drain()
        if self._taker is not None:
            self._taker.stop(grace)
        self._stop_all()
        self._dispatcher.stop(grace)
        self._asides.stop()
        self._crews.local.close()
        self._crews.other.close()
        if self._overseer.is_alive():
            self._overseer.join(grace)
        try:
            self._widths.keep(at_once=True)
        except sa.exc.DBAPIError:
            log.info("widths.unsaved")  # the next start finds them for itself
        if self._taker is not None:
            self._taker.let_go()
        if self._roster is not None:
            self._roster.leave()

    @property
    def owner(self) -> str:
        """Name this engine among the holders of batches."""
        return self._owner

    def nudge(self) -> None:
        """Look at the open executions now."""
        self._wake.set()

    def reconcile(self) -> None:
        """Take every batch away from holders that are gone: what they held is pending again."""
        with self._database.begin() as tx:
            for batch in frontier.open_batches(tx):
                frontier.fence(tx, batch.id)

    # -- among other workers ---------------------------------------------------------------------------------

    def _renew(self, end: int) -> None:
        """Go on working until ``end``. After a gap in which we may have been given up, what is in hand ends first."""
        with self._lock:
            is_late = clock() > self._lease_end and bool(self._slots)
        if is_late:
            self._stop_all()
            return  # looked at again with the next beat
        self._lease_end = end
        self._crews.local.renew(end)
        self._crews.other.renew(end)
        if self._taker is not None:
            self._taker.give_back()
        self._wake.set()

    def _has_lease(self) -> bool:
        return clock() <= self._lease_end

    def _may_work(self) -> bool:
        """Wait until the store was heard of, where that matters; False when the engine stops meanwhile."""
        while self._roster is not None and not self._has_lease():
            if self._stopping.wait(0.1):
                return False
        return not self._stopping.is_set()

    def _stop_all(self) -> None:
        with self._lock:
            for slot, (_, crew) in self._slots.items():
                crew.stop(slot)

    # -- overseeing --------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Every few seconds: start what is due, hand over again what a dispatcher may have lost."""
        try:
            keep_time(self._database)
            if self._roster is None:
                with self._database.read() as tx:
                    ready = [batch for batch in frontier.open_batches(tx) if batch.state == "ready"]
                self._hand_over([batch for batch in ready if batch.id not in self._fell])
                for batch_id in tuple(self._fell):
                    with self._database.begin() as tx:
                        frontier.fence(tx, batch_id)
                    self._fell.discard(batch_id)
            self._dispatcher.purge()
        except Exception:  # the top of a thread: the next tick looks again
            log.exception("tick.failed")
        self._wake.set()

    def _oversee(self) -> None:
        # what another process asked for in the store rings no bell here
        while not self._stopping.is_set():
            self._wake.wait(None if self._roster is None else look_seconds(self._roster.others))
            self._wake.clear()
            if self._stopping.is_set():
                return
            try:
                self._look()
                self._widths.keep(1 if self._roster is None else self._roster.others)
            except Exception:  # the top of a thread: an outage of the store passes, the next tick looks again
                log.exception("overseer.failed")
            self._stopping.wait(0.04)  # many commits ask to look: one look serves them all

    def _look(self) -> None:
        """Take every open execution forward; of those that did not begin, as many as there is room for."""
        with self._database.read() as tx:
            opened = executions.states_of_open(tx)
        room = MOST_AT_ONCE - sum(state in WORKING for _, state in opened)
        for execution_id, state in opened:
            if state in ("created", "ready"):
                if room <= 0:
                    continue  # its turn comes when others have ended
                room -= 1
            try:
                self._step(execution_id)
            except Exception as error:  # the trouble of one execution keeps no other from its turn
                self._stumbled(execution_id, error)
            else:
                self._stumbles.pop(execution_id, None)

    def _stumbled(self, execution_id: int, error: Exception) -> None:
        """Say what kept an execution from going on; what it does not get over ends it, with the reason.

        Where not even that can be written, the ledger is not what it was.
        """
        log.error("step.failed: %d: %s", execution_id, traceback.format_exc())
        if is_outage(error):
            return  # it passes, the next tick looks again
        self._stumbles[execution_id] += 1
        if self._stumbles[execution_id] < STUMBLES:
            return
        info = f"the engine failed: {type(error).__name__}: {error}"
        try:
            with self._database.begin() as tx:
                execution = executions.find(tx, execution_id)
                if execution is not None and not execution.has_ended:
                    state = "failed_to_start" if execution.started_at is None else "failed"
                    life.fail(tx, self._database, self._ids, execution, state, info)
        except sa.exc.IntegrityError:
            self._database.distrust()

    def _step(self, execution_id: int) -> None:
        """Take one execution as far as its rows let it go now."""
        with self._database.read() as tx:
            execution = executions.find(tx, execution_id)
            job = None if execution is None else jobs.find(tx, execution.job_id, deleted=True)
        if execution is None or execution.has_ended or job is None or not job.managed:
            return
        need = self._reach.need(job)
        if not self._reach.is_ours(need):
            self._reach.attend(execution_id, need)
            return
        if execution.state == "waiting" and execution.wait_reason == Wait.WORKER:
            with self._database.begin() as tx:
                self._reach.go_on(tx, execution_id)
            self._wake.set()
            return
        if execution.state == "planning":
            self._asides.planner.look(execution_id)
            return
        if job.kind == folder_mapping.KIND:
            self._asides.mapper.look(execution, job)
            return
        if execution.state in ("created", "ready"):
            with self._database.begin() as tx:
                goes_elsewhere = beginnings.dispatch(tx, execution, job)
            if goes_elsewhere or self._is_being_split(execution, job) or not self._begin(execution_id, job):
                return
        hiring = life.Hiring(labels.write(need), AUTOMATIC if self._ends.is_remote(job) else 1)
        with self._database.begin() as tx:
            current = executions.find(tx, execution_id, lock=True)
            if current is None or current.has_ended or self._stopping.is_set():
                return
            step = life.advance(
                tx, self._database, self._ids, current, lambda policies: self._width(job, policies), hiring
            )
        if current.state != "executing":
            self._stop_batches(execution_id)
        if step.ended:
            self._ends.clean(current, job)
            with self._database.begin(durable=True) as tx:  # the end survives a power cut, and all before it
                executions.change(tx, execution_id, deadline=None)
        self._hand_over(step.batches)

    def _is_being_split(self, execution: Execution, job: Job) -> bool:
        return parts.splits_itself(policies_from_json(execution.policies)) and self._asides.splitter.holds(
            execution, job
        )

    def _hand_over(self, batches: Iterable[BatchRow]) -> None:
        """Submit batches; one that is out already stays as it is, since its task has the same id.

        Where others work too, batches lie in the store for whoever has room.
        """
        if self._taker is None:
            self._dispatcher.submit(tasks(batches))
        else:
            self._taker.nudge()

    def _begin(self, execution_id: int, job: Job) -> bool:
        """Check both sides, then queue the first visits; False when the execution could not start."""
        with self._database.read() as tx:
            execution = executions.find(tx, execution_id)
        if execution is None or execution.state != "ready":
            return False
        try:
            self._ends.check(job, execution)
        except TallyportError as error:
            if REMEDIES[error.kind][1] is Remedy.WAIT and execution.started_at is not None:
                return False  # looked at again with the next tick
            with self._database.begin() as tx:
                life.fail(tx, self._database, self._ids, execution, "failed_to_start", error.message)
            return False
        with self._database.begin() as tx:
            execution = executions.find(tx, execution_id, lock=True)
            fresh = jobs.find(tx, job.id, deleted=True)
            if execution is None or execution.state != "ready" or fresh is None:
                return False  # another process was faster
            life.begin(tx, self._database, self._ids, execution, fresh)
        return True

    def _width(self, job: Job, policies: Policies) -> int:
        """Say how many batches of a job may be out at once."""
        if self._roster is None:
            return max(1, min(policies.parallel_at_most, self._crew_of(job).width))
        need = self._reach.need(job)
        with self._database.read() as tx:
            return max(1, min(policies.parallel_at_most, self._roster.width(tx, need)))

    def _crew_of(self, job: Job) -> Crew:
        return self._crews.local if self._ends.is_local(job) else self._crews.other

    def _stop_batches(self, execution_id: int) -> None:
        with self._lock:
            for slot, (held, crew) in self._slots.items():
                if held == execution_id:
                    crew.stop(slot)

    # -- working -----------------------------------------------------------------------------------------------

    def _work(self, task: TaskRef) -> None:
        """Handle one task of the dispatcher: at least once, on a thread of its own."""

        def take() -> int | None:
            with self._database.begin() as tx:
                return frontier.take_batch(tx, task.batch_id, task.epoch, self._owner)

        with contextlib.nullcontext() if self._taker is None else self._taker.holding(task):
            if not self._may_work():
                return
            try:
                execution_id = self._database.outlast(take, stopped=self._stopping.is_set)
            except sa.exc.DBAPIError:
                self._fell.add(task.batch_id)
                raise
            if execution_id is not None:
                self._work_batch(execution_id, task)

    def _work_batch(self, execution_id: int, task: TaskRef) -> None:
        try:
            ending = self._undo(execution_id, task) or self._run(execution_id, task)
            self._judge(execution_id, ending)
        except Fenced:
            return
        except Exception as error:  # the top of a thread: recorded, given back, the execution told
            log.error("batch.failed: %s", traceback.format_exc())
            if is_outage(error):
                self._fell.add(task.batch_id)
                return  # given back with the next beat or tick, or found by whoever looks when we are gone
            with self._database.begin() as tx:
                frontier.fence(tx, task.batch_id)
                execution = executions.find(tx, execution_id)
                if execution is not None and not execution.has_ended:
                    info = f"the engine failed: {type(error).__name__}: {error}"
                    life.fail(tx, self._database, self._ids, execution, "failed", info)
        if not self._stopping.is_set():
            self._wake.set()
            try:
                self._step(execution_id)
            except sa.exc.DBAPIError:  # an outage passes; the overseer looks again
                log.info("step.deferred: %d", execution_id)

    def _undo(self, execution_id: int, task: TaskRef) -> Ending | None:
        """Work a quarantine, where that is what the execution is for."""
        with self._database.read() as tx:
            execution = executions.find(tx, execution_id)
            job = None if execution is None else jobs.find(tx, execution.job_id, deleted=True)
        if execution is None or job is None or order_of(execution) is None:
            return None

        def stopped() -> bool:
            with self._database.read() as tx:
                now = executions.find(tx, execution_id)
            return self._stopping.is_set() or now is None or now.state != "executing"

        level = audit.LEVELS[policies_from_json(execution.policies).audit_level]
        work = Undoing(self._database, self._ids, job, execution, self._ends.terms(job, execution), level)
        is_done = work.run(stopped)
        with self._database.begin() as tx:
            if is_done:
                executions.change(tx, execution_id, phase="finalize")
            frontier.end_batch(tx, task.batch_id)
        return Ending(None if is_done else "stopped")

    def _run(self, execution_id: int, task: TaskRef) -> Ending:
        execution, job, seats = self._database.outlast(
            lambda: self._found(execution_id, task.batch_id), stopped=self._stopping.is_set
        )
        policies = policies_from_json(execution.policies)
        judge = self._judge_of(job, policies)
        terms = self._ends.terms(job, execution)._replace(tries=judge.most_tries)
        crew = self._crews.local if {terms.source[0], terms.destination[0]} <= LOCAL_PLATFORMS else self._crews.other
        scene = Scene(
            execution_id=execution.id,
            job_id=job.id,
            job=job.number,
            token=execution.token,
            part_size=terms.part_size,
            audit_level=audit.LEVELS[policies.audit_level],
            simulation=execution.simulation,
            removes_source=policies.transfer_type in EMPTIES_SOURCE,
            remakes=policies.transfer_type is not TransferType.SYNC,
            judge=judge,
            warned=warned_reasons(policies),
            verify=int(policies.verify),
        )
        orders = Orders(
            scene=scene,
            terms=terms,
            full=execution.full or policies.full_look,
            kinds=life.tasks_of(execution.phase),
            visits=execution.phase in life.VISITING,
            depth=2 if policies.parallel_at_most >= crew.width and execution.phase != "deletes" and not seats else 1,
            seats=seats,
            may_slice=self._roster is not None or crew is self._crews.other,
            halts=stops.halts(policies, failed=1),
            window=self._width(job, policies),
            limits=parts.limits_of(job),
        )
        slot = self._take_slot(execution_id, crew)
        try:
            batch = Batch(
                self._database,
                self._ids,
                crew,
                orders,
                task.batch_id,
                task.epoch,
                slot,
                changed=self._wake.set,
                given_up=self._stopping.is_set,
            )
            return batch.run()
        finally:
            with self._lock:
                self._slots.pop(slot, None)

    def _found(self, execution_id: int, batch_id: int) -> tuple[Execution, Job, int]:
        with self._database.read() as tx:
            execution = executions.find(tx, execution_id)
            assert execution is not None, "a batch is of an execution"
            job = jobs.find(tx, execution.job_id, deleted=True)
            assert job is not None, "an execution is of a job"
            return execution, job, frontier.seats(tx, batch_id)

    def _judge_of(self, job: Job, policies: Policies) -> Failures:
        with self._database.read() as tx:
            return Failures(error_categories.of_job(tx, job.id), max_attempts=policies.max_attempts)

    def _take_slot(self, execution_id: int, crew: Crew) -> int:
        with self._lock:
            slot = next(number for number in range(SLOTS) if number not in self._slots)
            self._slots[slot] = (execution_id, crew)
        crew.clear(slot)
        if self._stopping.is_set():
            crew.stop(slot)
        return slot

    def _judge(self, execution_id: int, ending: Ending) -> None:
        """Let an error of connection scope act on the whole execution: one cause, not a million flags."""
        if ending.halted is None or ending.halted not in ErrorKind._value2member_map_:
            return
        _, remedy = REMEDIES[ErrorKind(ending.halted)]
        info = ending.message or halt(ErrorKind(ending.halted))
        halted = ending.halted

        def act() -> None:
            with self._database.begin() as tx:
                execution = executions.find(tx, execution_id)
                if execution is None or execution.has_ended:
                    return
                if remedy is Remedy.WAIT:
                    life.wait(tx, self._database, self._ids, execution, halted, info)
                elif remedy is Remedy.STOP:
                    life.fail(tx, self._database, self._ids, execution, "failed", info)

        self._database.outlast(act, stopped=self._stopping.is_set)


def look_seconds(workers: int) -> float:
    """Say how often each of so many workers looks at the store: about twice a second, all together."""
    return max(LOOK_SECONDS, workers / 2)
