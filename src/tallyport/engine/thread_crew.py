"""Works groups in threads of this process, which is right where a network is waited for."""

import itertools
import queue
import threading
import time
from collections.abc import Sequence
from typing import Any

from tallyport.engine.crew import Event, Group, KnownCallback, Steered
from tallyport.engine.lease import Lease, free
from tallyport.engine.mover import SLOTS, Bench, Work, make_room
from tallyport.engine.throttle import Accounts
from tallyport.engine.work import Terms, VisitWork


class ThreadCrew(Steered):
    """Works groups in threads of this process."""

    def __init__(self, size: int, *, leased: bool = False) -> None:
        super().__init__(bytearray(SLOTS), Accounts(), Lease())
        self._size = size
        self._guard = self._lease.guard if leased else free
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: queue.SimpleQueue[Group | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._load = 0
        self._closed = False

    def start(self) -> None:
        with self._lock:
            while len(self._threads) < self._size:
                thread = threading.Thread(target=self._run, name=f"crew-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def submit(
        self,
        terms: Terms,
        works: Sequence[Work],
        *,
        known: KnownCallback,
        reports: "queue.SimpleQueue[Event]",
        slot: int,
        seats: int = 0,
    ) -> int:
        group = Group(next(self._numbers), terms, works, known, reports, slot, seats)
        with self._lock:
            if self._closed:
                reports.put(("lost", group.id, "the crew is closed"))
            else:
                self._load += 1
                self._waiting.put(group)
        return group.id

    @property
    def load(self) -> int:
        return self._load

    @property
    def width(self) -> int:
        return self._size

    def close(self, *, grace: float = 10.0) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
        deadline = time.monotonic() + grace
        for _ in self._threads:
            self._waiting.put(None)
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        benches: dict[int, Bench] = {}
        while (group := self._waiting.get()) is not None:
            try:
                self._work(group, benches)
                event: Event = ("done", group.id)
            except Exception as error:  # the top of a thread: the group is given up, the thread lives on
                event = ("lost", group.id, f"{type(error).__name__}: {error}")
            with self._lock:
                self._load -= 1
            group.reports.put(event)
        for bench in benches.values():
            bench.close()

    def _work(self, group: Group, benches: dict[int, Bench]) -> None:
        terms, put, flags, slot = group.terms, group.reports.put, self._flags, group.slot
        bench = benches.get(terms.execution_id)
        if bench is None or bench.terms != terms:
            for old in make_room(benches, terms.execution_id):
                old.close()
            bench = benches[terms.execution_id] = Bench(terms, self._accounts, guard=self._guard)

        def known(visit: VisitWork, after: str, limit: int, names: Sequence[str] = ()) -> Sequence[tuple[Any, ...]]:
            return group.known(visit.visit_id, after, limit, names)

        bench.work(
            group.works,
            known=known,
            report=lambda report: put(("report", report)),
            task=lambda report: put(("task", report)),
            stopped=lambda: bool(flags[slot]) or self._closed,
            seats=group.seats,
        )
