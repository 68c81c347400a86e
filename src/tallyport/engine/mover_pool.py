"""A pool of mover processes for pairs of local trees.

Groups of works are dealt to them over pipes (``mover.py``). The pool does not know the ledger: what is known of a
container is asked through a callback, and everything that came of a group is put on a queue.
"""

import contextlib
import itertools
import marshal
import mmap
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence

from tallyport.engine.crew import Event, Group, KnownCallback, Steered
from tallyport.engine.forked import Forked, can_fork, fork
from tallyport.engine.lease import LEASE_SIZE, Lease
from tallyport.engine.mover import SHARED, SLOTS, Work, frame, main, make_room, pack
from tallyport.engine.throttle import SIZE, Accounts
from tallyport.engine.work import TaskReport, Terms, VisitReport

Process = subprocess.Popen[bytes] | Forked
DEPTH = 2  # groups at a mover: one under way, one waiting in the pipe
_STARTS_IN_VAIN = 3  # movers that ended before they did anything, in a row: something is wrong with all of them


class _Mover:
    """One process with the two threads that talk to it."""

    def __init__(self, pool: "MoverPool", process: Process, inlet: int, outlet: int) -> None:
        self.pool = pool
        self.process = process
        self.inlet = inlet  # we write
        self.outlet = outlet  # we read
        self.groups: dict[int, Group] = {}  # in the order they were sent: the first may be under way
        self.told: dict[int, Terms] = {}  # by execution id, what it has a bench for: dropped as the mover drops benches
        self.has_answered = False
        self.outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.threads = [
            threading.Thread(target=self._write, name=f"mover-{process.pid}-to", daemon=True),
            threading.Thread(target=self._read, name=f"mover-{process.pid}-from", daemon=True),
        ]
        for thread in self.threads:
            thread.start()

    def give(self, group: Group) -> None:
        """Send a group, and its terms where the mover has not heard them. Called under the pool's lock."""
        self.groups[group.id] = group
        terms = group.terms
        if self.told.get(terms.execution_id) != terms:
            make_room(self.told, terms.execution_id)
            self.told[terms.execution_id] = terms
            self.outbox.put(frame(("terms", tuple(terms))))
        self.outbox.put(frame(("group", group.id, terms.execution_id, group.slot, pack(group.works))))

    def _write(self) -> None:
        """Send what is in the outbox, so that nobody who must read ever waits for room in this pipe."""
        while (data := self.outbox.get()) is not None:
            rest = memoryview(data)
            try:
                while rest:
                    rest = rest[os.write(self.inlet, rest) :]
            except OSError:
                break  # the mover is gone; its reader says so
        os.close(self.inlet)

    def _read(self) -> None:
        groups = self.groups
        with os.fdopen(self.outlet, "rb", buffering=1 << 18) as stream:
            while len(head := stream.read(4)) == 4:
                body = stream.read(int.from_bytes(head, "little"))
                try:
                    message = marshal.loads(body)
                except (EOFError, ValueError):
                    break  # it died in the middle of a frame
                self.has_answered = True
                what, number = message[0], message[1]
                group = groups.get(number)
                if group is None:
                    continue
                if what == "reports":
                    for report in message[2]:
                        group.reports.put(("report", VisitReport._make(report)))
                elif what == "task":
                    group.reports.put(("task", TaskReport._make(message[2])))
                elif what == "known":
                    self._answer(group, message[2])
                elif what == "done":
                    self.pool._ended(self, group, ("done", number))
                elif what == "fault":
                    self.pool._ended(self, group, ("lost", number, message[2]))
        self.outbox.put(None)
        self.pool._gone(self)

    def _answer(self, group: Group, questions: Sequence[tuple[int, str, int, Sequence[str]]]) -> None:
        try:
            rows = [[tuple(row) for row in group.known(*question)] for question in questions]
            self.outbox.put(frame(("rows", rows, "")))
        except Exception as error:  # whatever the store raises ends this group, not the reader
            self.outbox.put(frame(("rows", None, f"{type(error).__name__}: {error}")))


class MoverPool(Steered):
    """Mover processes for pairs of local trees. A mover that dies is replaced."""

    def __init__(self, size: int, *, depth: int = DEPTH, leased: bool = False, forks: bool = False) -> None:
        self._size = size
        self._forks = forks  # the first movers may be copies of this process
        self._leased = leased
        self._depth = depth
        self._lock = threading.Lock()
        self._movers: list[_Mover] = []
        self._backlog: deque[Group] = deque()
        self._numbers = itertools.count(1)
        self._closed = False
        self._in_vain = 0
        self._flags_fd = os.memfd_create("tallyport-stop", os.MFD_CLOEXEC)
        os.ftruncate(self._flags_fd, SHARED)
        flags = mmap.mmap(self._flags_fd, SHARED)
        accounts = Accounts(memoryview(flags)[SLOTS:-LEASE_SIZE], self._flags_fd)
        super().__init__(flags, accounts, Lease(flags, SLOTS + SIZE))

    def start(self) -> None:
        """Begin the processes; does not wait for them."""
        with self._lock:
            begun = [self._begin() for _ in range(self._size - len(self._movers))]  # all before the first thread
            self._movers.extend(_Mover(self, *ends) for ends in begun)

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
        group = Group(next(self._numbers), terms, works, known, reports, slot)  # a mover carries one item at a time
        with self._lock:
            if self._closed or not self._movers:
                reports.put(("lost", group.id, "the movers are closed" if self._closed else "no mover can be started"))
            else:
                self._backlog.append(group)
                self._deal()
        return group.id

    @property
    def load(self) -> int:
        with self._lock:
            return len(self._backlog) + sum(len(mover.groups) for mover in self._movers)

    @property
    def width(self) -> int:
        return self._size

    @property
    def pids(self) -> list[int]:
        """Process ids, for measuring."""
        with self._lock:
            return [mover.process.pid for mover in self._movers]

    def close(self, *, grace: float = 10.0) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            movers = list(self._movers)
            backlog, self._backlog = self._backlog, deque()
        for group in backlog:
            group.reports.put(("lost", group.id, "the movers are closed"))
        for mover in movers:
            with contextlib.suppress(ProcessLookupError):
                mover.process.send_signal(signal.SIGTERM)  # busy or not: finish the item, then end
            mover.outbox.put(None)
        deadline = time.monotonic() + grace
        for mover in movers:
            try:
                mover.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                mover.process.kill()
                mover.process.wait()
            for thread in mover.threads:
                if thread is not threading.current_thread():
                    thread.join(1.0)

    def _begin(self) -> tuple[Process, int, int]:
        """Begin a mover; gives it with our ends of its pipes."""
        inlet, ours_to = os.pipe()
        ours_from, outlet = os.pipe()
        for fd in (inlet, ours_from):
            _widen(fd)
        process = self._fork(inlet, outlet) if self._forks and can_fork() else self._spawn(inlet, outlet)
        os.close(inlet)
        os.close(outlet)
        return process, ours_to, ours_from

    def _fork(self, inlet: int, outlet: int) -> Process:
        arguments = [str(inlet), str(outlet), str(self._flags_fd), str(int(self._leased))]
        return fork(lambda: main(arguments), keep=(inlet, outlet, self._flags_fd))

    def _spawn(self, inlet: int, outlet: int) -> Process:
        # Not -m and no site: the path is handed over, which spares a third of the start.
        start = f"import sys; sys.path[:] = {sys.path!r}; from tallyport.engine.mover import main; main(sys.argv[1:])"
        return subprocess.Popen(
            [
                sys.executable,
                "-S",
                "-E",
                "-c",
                start,
                str(inlet),
                str(outlet),
                str(self._flags_fd),
                str(int(self._leased)),
            ],
            stdin=subprocess.DEVNULL,
            pass_fds=(inlet, outlet, self._flags_fd),
            process_group=0,  # Ctrl-C is for the engine, which stops the movers in good order
        )

    def _deal(self) -> None:
        """Send waiting groups to the movers with the least to do. Called under the lock."""
        while self._backlog:
            mover = min(self._movers, key=lambda mover: len(mover.groups))
            if len(mover.groups) >= self._depth:
                return
            mover.give(self._backlog.popleft())

    def _ended(self, mover: _Mover, group: Group, event: Event) -> None:
        with self._lock:
            del mover.groups[group.id]
            self._in_vain = 0
            self._deal()
        group.reports.put(event)

    def _gone(self, mover: _Mover) -> None:
        """Say what a dead mover had under way, deal the rest again, and put another in its place."""
        status = mover.process.wait()
        with self._lock:
            self._movers.remove(mover)
            groups = list(mover.groups.values())
            mover.groups.clear()
            lost, rest = groups[:1], groups[1:]
            self._backlog.extendleft(reversed(rest))
            self._in_vain = 0 if mover.has_answered else self._in_vain + 1
            if not self._closed and self._in_vain < _STARTS_IN_VAIN:
                self._movers.append(_Mover(self, *self._begin()))
            if self._movers and not self._closed:
                self._deal()
            else:
                lost.extend(self._backlog)
                self._backlog.clear()
        why = f"a mover ended by signal {-status}" if status < 0 else f"a mover ended with status {status}"
        for group in lost:
            group.reports.put(("lost", group.id, why))


def _widen(pipe: int) -> None:
    """Give a pipe room for whole groups and reports, as far as the system lets us."""
    import fcntl

    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 1 << 20)
