"""One mover: a lean process that works groups of visits and tasks for the engine.

It reads frames on one descriptor and answers on another, and holds no database. A frame is four bytes of length
and a ``marshal`` of a tuple whose first member says what it is:

==================  ==============================================================================
to the mover
``terms``           (Terms): before the first group of an execution, and again after a change
``group``           (group id, execution id, slot, [(code, work)]): see :data:`CODES`
``rows``            (rows of each container or None, message): the answer to ``known``
from the mover
``known``           (group id, [(visit id, after name, limit, names)]): asks for rows, waits for ``rows``
``reports``         (group id, [VisitReport]): several, since each message wakes the engine
``task``            (group id, TaskReport)
``done``            (group id,)
``fault``           (group id, message): the group was given up, something of ours is wrong
==================  ==============================================================================

The mover looks at one byte of a shared file before every item: set, it finishes the item, reports what landed
and ends the group. It does the same when its parent is gone or when it gets SIGTERM.
"""

import contextlib
import gc
import marshal
import mmap
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any, ParamSpec, TypeVar

from tallyport.connectors.hashing import digest
from tallyport.connectors.local_identity import Identity, acting
from tallyport.connectors.pausing import heeding
from tallyport.domain.entries import Side
from tallyport.domain.errors import REMEDIES, ErrorKind, Scope, TallyportError, halt
from tallyport.domain.paths import split
from tallyport.domain.policies_json import policies_from_json
from tallyport.domain.revising import deciding
from tallyport.domain.rules import rules_for
from tallyport.engine.carrier import Carrier
from tallyport.engine.joining import is_one_server
from tallyport.engine.lease import LEASE_SIZE, Guard, Lease, free, is_over
from tallyport.engine.orders import Orders
from tallyport.engine.passage import Passage, accounts_of, is_lean, open_passage, task_error
from tallyport.engine.seen import KnownOfSeveral, KnownRows
from tallyport.engine.throttle import SIZE, Accounts, Meter
from tallyport.engine.visit import work_round
from tallyport.engine.work import (
    DeleteWork,
    FinishWork,
    LinkWork,
    LockWork,
    PartWork,
    StampWork,
    TaskReport,
    Terms,
    VisitReport,
    VisitWork,
)

P = ParamSpec("P")
T = TypeVar("T")
Work = VisitWork | PartWork | FinishWork | LinkWork | DeleteWork | StampWork | LockWork
CODES: tuple[type[Any], ...] = (VisitWork, PartWork, FinishWork, LinkWork, DeleteWork, StampWork, LockWork)
BENCHES = 8  # executions that a place is set for at once: more take turns
SLOTS = 4096  # stop flags: executions that run at once
SHARED = SLOTS + SIZE + LEASE_SIZE  # bytes shared with the movers: flags, accounts, lease
_GROUPS_BETWEEN_COLLECTIONS = 64
_TOLD_TOGETHER = 512  # weight of reports that go over the pipe in one
_TOLD_LATE = 0.1  # seconds that a report waits for others at most, about
_TOGETHER = (PartWork, LockWork)  # tasks that do not depend on each other, and wait for a network
_MARSHAL = 2  # the version without references: a third faster here


def frame(message: tuple[Any, ...]) -> bytes:
    """Write one message as it goes over the pipe."""
    body = marshal.dumps(message, _MARSHAL)
    return len(body).to_bytes(4, "little") + body


def make_room(benches: dict[int, T], execution_id: int) -> list[T]:
    """Take out what stands for an execution, and the oldest of others until one more has room; gives what went.

    The pool keeps account of what a mover has by the same steps in the same order.
    """
    gone = [benches.pop(execution_id)] if execution_id in benches else []
    while len(benches) >= BENCHES:
        gone.append(benches.pop(next(iter(benches))))
    return gone


def pack(works: Sequence[Work]) -> list[tuple[int, tuple[Any, ...]]]:
    """Write works as plain tuples, each with the code of its type."""
    return [(CODES.index(type(work)), tuple(work)) for work in works]


def unpack(packed: Sequence[tuple[int, tuple[Any, ...]]]) -> list[Work]:
    """Read what :func:`pack` wrote."""
    return [CODES[code]._make(values) for code, values in packed]


class Bench:
    """All that the groups of one execution are worked with, at one place."""

    def __init__(self, terms: Terms, accounts: Accounts, *, guard: Guard = free) -> None:
        self.terms = terms
        self._guard = guard
        self._meter = Meter(accounts, terms.execution_id)
        self._passage: Passage | None = None
        self._identity: Identity | None = None
        self._orders: Orders | None = None

    def _open(self) -> tuple[Passage, Orders]:
        """Open both connections at the first use, and again after an error of ours."""
        if self._passage is not None and self._orders is not None:
            return self._passage, self._orders
        terms = self.terms
        policies = policies_from_json(terms.policies)
        source, destination = accounts_of(terms, policies)
        # Where both sides are worked as one account the whole work is; else each call is, by a layer of its connection.
        self._identity = source if source == destination and is_lean(terms, policies) else None
        if self._identity is not None:  # whoever we are from here on may not be let read our own program
            import tallyport.engine.passage_local  # noqa: F401
        with acting(self._identity):
            passage = self._passage = open_passage(terms, policies)
        passage.guard = self._guard
        rules = rules_for(
            policies,
            passage.source_limits,
            passage.destination_limits,
            started=terms.started,
            first_run=terms.first_run,
            one_clock=is_one_server(terms),
        )
        rules = replace(rules, max_attempts=max(rules.max_attempts, terms.tries))
        self._orders = Orders(
            policies,
            rules,
            terms.part_size if passage.has_parts else 1 << 62,
            # Without secrets: a new password is no new place, and a mark must not tell a secret.
            salt=digest(f"{deciding(policies)} {terms.places}".encode("utf-8", "surrogatepass")),
            meter=self._meter,
            regrants=terms.regrants,
        )
        return passage, self._orders

    def work(
        self,
        works: Sequence[Work],
        *,
        known: KnownRows,
        report: Callable[[VisitReport], None],
        task: Callable[[TaskReport], None],
        stopped: Callable[[], bool],
        seats: int = 0,
        several: KnownOfSeveral | None = None,
    ) -> None:
        """Work a group: its visits share their settlements, its tasks come after them."""
        try:
            passage, orders = self._open()
        except TallyportError as error:
            _refuse(works, error, report, task)
            return
        if self._identity is not None:  # the ledger is asked as ourselves
            known, report, task = _as_ourselves(known), _as_ourselves(report), _as_ourselves(task)
            stopped, several = _as_ourselves(stopped), several and _as_ourselves(several)
        has_to_stop = stopped if self._guard is free else lambda: stopped() or is_over(self._guard)
        with acting(self._identity), heeding(has_to_stop):
            self._work(passage, orders, works, known, report, task, has_to_stop, seats, several)

    def _work(
        self,
        passage: Passage,
        orders: Orders,
        works: Sequence[Work],
        known: KnownRows,
        report: Callable[[VisitReport], None],
        task: Callable[[TaskReport], None],
        stopped: Callable[[], bool],
        seats: int,
        several: KnownOfSeveral | None,
    ) -> None:
        passage.pace(self._meter, stopped)
        passage.seats = seats
        visits = [work for work in works if type(work) is VisitWork]
        try:
            if visits:
                work_round(visits, passage, orders, known, report, stopped, several)
            apart = [work for work in works if type(work) in _TOGETHER]
            acts = [partial(self._task, passage, orders, work, stopped) for work in apart]
            for reports in passage.together(acts, [getattr(work, "length", 0) for work in apart]):
                for said in reports:
                    task(said)
            for work in works:
                if type(work) is not VisitWork and type(work) not in _TOGETHER:
                    for said in self._task(passage, orders, work, stopped):
                        task(said if passage.carrier is None else _with_companions(said, passage.carrier))
        except BaseException:
            self.close()  # what is unsettled there belongs to nobody any more
            raise

    def _task(self, passage: Passage, orders: Orders, work: Work, stopped: Callable[[], bool]) -> Sequence[TaskReport]:
        if stopped():
            return [TaskReport(number, halted="stopped") for number in _numbers(work)]
        try:
            self._guard()
        except TallyportError as error:
            return [task_error(number, error) for number in _numbers(work)]
        reports = self._do(passage, work, stopped)
        if is_over(self._guard) and not orders.rules.removes_source:
            for path, d_path in _changed_in(work):  # others may have stamped them in the middle of this
                passage.stamp(StampWork(0, path, d_path))
        return reports

    def _do(self, passage: Passage, work: Work, stopped: Callable[[], bool]) -> Sequence[TaskReport]:
        match work:
            case PartWork():
                self._meter.take(work.length, stopped)
                if stopped():
                    return (TaskReport(work.task_id, halted="stopped"),)
                return (passage.part(work, stopped),)
            case FinishWork():
                return (passage.finish(work),)
            case LinkWork():
                return passage.link(work)
            case DeleteWork():
                return (passage.delete(work),)
            case LockWork():
                return (passage.look_at_lock(work),)
            case StampWork():
                if work.sweeps:
                    _sweep(passage, work)
                return (passage.stamp(work),)
            case _:
                raise AssertionError(f"no way to do {work}")

    def close(self) -> None:
        """Let go of both connections; they are opened again when they are needed."""
        passage, self._passage = self._passage, None
        if passage is not None:
            passage.close()


def _with_companions(said: TaskReport, carrier: Carrier) -> TaskReport:
    """Add to a report who was met, and what was locked."""
    return said._replace(uses=carrier.uses(), locks=(*said.locks, *carrier.locks()))


def _as_ourselves(act: Callable[P, T]) -> Callable[P, T]:
    """Have something done as our own account, in the midst of what is done as another."""

    def acted(*arguments: P.args, **named: P.kwargs) -> T:
        with acting(None):
            return act(*arguments, **named)

    return acted


def _sweep(passage: Passage, work: StampWork) -> None:
    """Remove what a slice that was begun and not ended left in its container."""
    visit = VisitWork(0, 0, work.path, work.d_path, d_fresh=False, resumed=True, full=False, signature=None)
    with contextlib.suppress(TallyportError), contextlib.closing(passage.cross(visit)) as crossing:
        crossing.sweep()


def _changed_in(work: Work) -> set[tuple[str, str]]:
    """Give the containers, at the source and at the destination, in which a task changes something there."""
    match work:
        case PartWork() | FinishWork():
            places = [(work.path, work.d_path)]
        case LinkWork():
            places = list(zip(work.paths, work.d_paths, strict=True))
        case DeleteWork() if work.side == Side.DESTINATION and work.s_path:
            places = [(work.s_path, work.path)]
        case _:
            places = []
    return {(split(path)[0], split(d_path)[0]) for path, d_path in places}


def _numbers(work: Work) -> tuple[int, ...]:
    match work:
        case VisitWork():
            return (work.visit_id,)
        case LinkWork():
            return work.task_ids
        case _:
            return (work.task_id,)


def _refuse(
    works: Sequence[Work],
    error: TallyportError,
    report: Callable[[VisitReport], None],
    task: Callable[[TaskReport], None],
) -> None:
    """Give back a group whose connections cannot be opened: to be tried again once they are there.

    A job that is set up in a way that cannot work is not tried again: its containers fail with the reason.
    """
    is_theirs = REMEDIES[error.kind][0] is Scope.CONNECTION
    kind = error.kind if is_theirs else ErrorKind.UNAVAILABLE
    halted: str | None = str(kind)
    wrong, why = None, halt(kind, error)
    if error.kind is ErrorKind.CONFIG:
        halted, wrong, why = None, (str(error.kind), error.message), ""
    for work in works:
        if type(work) is VisitWork:
            report(VisitReport(work.visit_id, (), (), (), 0, 0, True, error=wrong, halted=halted, why=why))
        else:
            for number in _numbers(work):
                task(TaskReport(number, error=(str(error.kind), why or error.message), halted=halted))


class Mover:
    """The loop of one mover process."""

    def __init__(self, inlet: int, outlet: int, flags: mmap.mmap, accounts: Accounts, *, guard: Guard = free) -> None:
        self._inlet = os.fdopen(inlet, "rb", buffering=1 << 18)
        self._outlet = outlet
        self._flags = flags
        self._accounts = accounts
        self._guard = guard
        self._parent = os.getppid()
        self._ending = False
        self._waiting: deque[tuple[Any, ...]] = deque()  # read while waiting for rows
        self._benches: dict[int, Bench] = {}  # by execution: what its groups are worked with

    def end(self, *_: object) -> None:
        """Finish the present item, then end (SIGTERM)."""
        self._ending = True

    def run(self) -> None:
        """Work until the other end closes the pipe."""
        groups = 0
        while not self._ending:
            message = self._waiting.popleft() if self._waiting else self._read()
            if message is None:
                break
            if message[0] == "terms":
                self._take_terms(Terms._make(message[1]))
            elif message[0] == "group":
                self._work(message)
                groups += 1
                if groups % _GROUPS_BETWEEN_COLLECTIONS == 0:
                    gc.collect()
        for bench in self._benches.values():
            bench.close()

    def _read(self) -> tuple[Any, ...] | None:
        head = self._inlet.read(4)
        if len(head) < 4:
            return None
        message: tuple[Any, ...] = marshal.loads(self._inlet.read(int.from_bytes(head, "little")))
        return message

    def _write(self, message: tuple[Any, ...]) -> None:
        rest = memoryview(frame(message))
        while rest:
            rest = rest[os.write(self._outlet, rest) :]

    def _take_terms(self, terms: Terms) -> None:
        for old in make_room(self._benches, terms.execution_id):
            old.close()
        self._benches[terms.execution_id] = Bench(terms, self._accounts, guard=self._guard)

    def _work(self, message: tuple[Any, ...]) -> None:
        _, group, execution, slot, packed = message
        flags, parent, getppid, write = self._flags, self._parent, os.getppid, self._write
        told: list[tuple[Any, ...]] = []  # reports that wait to be written together: each write wakes the engine
        weight, since = 0, 0.0

        def tell() -> None:
            nonlocal weight
            if told:
                write(("reports", group, told))
                told.clear()
                weight = 0

        def report(one: VisitReport) -> None:
            nonlocal weight, since
            if not told:
                since = monotonic()
            told.append(tuple(one))
            weight += 8 + len(one.items) + len(one.filled)
            if weight >= _TOLD_TOGETHER or monotonic() - since > _TOLD_LATE:
                tell()

        def stopped() -> bool:
            if told and monotonic() - since > _TOLD_LATE:
                tell()
            return flags[slot] != 0 or self._ending or getppid() != parent

        def known(visit: VisitWork, after: str, limit: int, names: Sequence[str] = ()) -> list[tuple[Any, ...]]:
            tell()
            write(("known", group, [(visit.visit_id, after, limit, tuple(names))]))
            return self._rows()[0]

        def several(asked: Sequence[tuple[VisitWork, Sequence[str]]]) -> list[list[tuple[Any, ...]]]:
            tell()
            write(("known", group, [(visit.visit_id, "", 0, tuple(names)) for visit, names in asked]))
            return self._rows()

        def task(one: TaskReport) -> None:
            tell()
            write(("task", group, tuple(one)))

        try:
            self._benches[execution].work(
                unpack(packed),
                known=known,
                report=report,
                task=task,
                stopped=stopped,
                several=several,
            )
            tell()
        except BrokenPipeError:
            raise
        except Exception as error:
            import traceback

            traceback.print_exc()
            tell()
            write(("fault", group, f"{type(error).__name__}: {error}"))
            return
        write(("done", group))

    def _rows(self) -> list[list[tuple[Any, ...]]]:
        """Wait for the rows that were asked for, of each container."""
        while True:
            message = self._read()
            if message is None:
                raise BrokenPipeError("the engine is gone")
            if message[0] == "rows":
                if message[1] is None:
                    raise RuntimeError(f"the engine could not give known rows: {message[2]}")
                rows: list[list[tuple[Any, ...]]] = message[1]
                return rows
            self._waiting.append(message)


def main(arguments: Sequence[str]) -> None:
    """Run one mover: ``inlet outlet flags leased`` are descriptors, and 1 or 0.

    Stop flags, accounts and the lease share one file.
    """
    inlet, outlet, flags_fd, leased = (int(argument) for argument in arguments)
    flags = mmap.mmap(flags_fd, SHARED)
    guard = Lease(flags, SLOTS + SIZE).guard if leased else free
    mover = Mover(inlet, outlet, flags, Accounts(memoryview(flags)[SLOTS:-LEASE_SIZE], flags_fd), guard=guard)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the engine, which stops us in good order
    signal.signal(signal.SIGTERM, mover.end)
    gc.freeze()  # nothing is collected first: that would touch, and so copy, what is shared with the engine
    gc.disable()
    try:
        mover.run()
    except BrokenPipeError:
        os._exit(0)  # the engine is gone: what is unfinished is found by the next one


if __name__ == "__main__":
    main(sys.argv[1:])
