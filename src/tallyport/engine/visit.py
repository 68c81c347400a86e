"""Containers: list them, pair up what they hold, decide, apply, settle, report. The loop for every pair of platforms.

An unchanged container costs the listing of its source, because a signature of the last clean visit stands for
all of it. A new file in a new folder costs its copy, because such files are decided on once for all of them
where the rules allow it (``shortcuts.plain_size``).

A :class:`Round` begins and ends visits; ``scan`` goes through one container, ``decision`` and ``hand`` take one
item, ``notes`` writes down what came of it.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic

from tallyport.domain.entries import Entry, Side
from tallyport.domain.errors import REMEDIES, Scope, TallyportError, halt
from tallyport.domain.losses import Loss
from tallyport.engine.hand import Hand
from tallyport.engine.lease import is_over
from tallyport.engine.notes import Notes
from tallyport.engine.opened import Halt, Opened
from tallyport.engine.orders import Orders
from tallyport.engine.passage import UNBEGUN, Passage
from tallyport.engine.scan import Scan
from tallyport.engine.seen import KnownOfSeveral, KnownRows
from tallyport.engine.signature import sign
from tallyport.engine.work import AS_IT_WAS, Row, VisitReport, VisitWork

REPORT = 1_000  # items of one report, about
SLICES = 8  # of a huge container, of one report
OPEN = 64  # visits that wait for one settlement, each with its descriptors
TOGETHER = 32  # visits whose rows are asked for at once
TOGETHER_ITEMS = 4_000  # of their listings, which are held meanwhile
WAITING = 256  # items of one visit that wait for their settlement
PATIENCE = 1.0  # seconds that something carried may wait for its settlement

Emit = Callable[[VisitReport], None]


def work(
    visit: VisitWork,
    passage: Passage,
    orders: Orders,
    known: KnownRows,
    emit: Emit,
    stopped: Callable[[], bool],
) -> None:
    """Work one visit to its end; see :class:`Round` for several that share their settlements."""
    work_round([visit], passage, orders, known, emit, stopped)


def work_round(
    visits: Iterable[VisitWork],
    passage: Passage,
    orders: Orders,
    known: KnownRows,
    emit: Emit,
    stopped: Callable[[], bool],
    several: KnownOfSeveral | None = None,
) -> None:
    """Work visits one after the other; each ends with exactly one report with ``last``."""
    one = Round(passage, orders, known, emit, stopped, several)
    try:
        for visit in visits:
            one.visit(visit)
        one.look_at_changes()
        one.settle()
    finally:
        one.close()


class Round:
    """Visits that share a passage and its settlements, so that one sync serves many small containers."""

    def __init__(
        self,
        passage: Passage,
        orders: Orders,
        known: KnownRows,
        emit: Emit,
        stopped: Callable[[], bool],
        several: KnownOfSeveral | None = None,
    ) -> None:
        """``several`` gives rows of several containers at once, where that is cheaper than one by one."""
        self._several = several or (lambda asked: [known(work, "", 0, names) for work, names in asked])
        self._asking: list[Opened] = []  # visits that wait for the rows of what changed
        self._passage = passage
        self._orders = orders
        self._emit = emit
        self._stopped = stopped
        self._open: list[Opened] = []
        self._halted: str | None = None
        self._due = monotonic() + PATIENCE  # when what was carried is settled at the latest
        self._notes = Notes(orders.policies, orders.rules, passage.shortfalls)
        self._hand = Hand(
            passage,
            orders.rules,
            self._notes,
            orders.part_size,
            orders.meter,
            stopped,
            regrants=orders.regrants,
        )
        self._scan = Scan(orders, known, self._notes, self._hand, stopped, self._is_due, self._settle_midway)

    def visit(self, work: VisitWork) -> None:
        """Do all of a visit but what waits for its settlement."""
        if self._halted is None and self._stopped():
            self._halted = "stopped"
        if self._halted is not None:
            self._emit(_ended_early(work, halted=self._halted))
            return
        try:
            crossing = self._passage.cross(work)
        except TallyportError as error:
            if REMEDIES[error.kind][0] is Scope.CONNECTION:
                self._halted = str(error.kind)
                self._emit(_ended_early(work, halted=self._halted)._replace(why=halt(error.kind, error)))
            else:
                self._emit(_ended_early(work, error=(str(error.kind), error.message)))
            return
        visit = Opened(work, crossing)
        self._open.append(visit)
        self._go_through(visit, self._scan.scan)
        if len(self._asking) >= TOGETHER or sum(map(_held, self._asking)) >= TOGETHER_ITEMS:
            self.look_at_changes()

    def look_at_changes(self) -> None:
        """Ask for the rows of what changed in the containers of several visits, and look at that."""
        asking, self._asking = self._asking, []
        if not asking:
            return
        found = self._several([(visit.work, visit.names) for visit in asking])
        for visit, rows in zip(asking, found, strict=True):
            self._go_through(visit, partial(self._look_at_changes, rows))

    def _look_at_changes(self, rows: Sequence[Row], visit: Opened) -> bool:
        if self._halted is not None:
            raise Halt(self._halted)
        self._scan.scan_changes(visit, rows)
        return True

    def _go_through(self, visit: Opened, scan: Callable[[Opened], bool]) -> None:
        """Scan a container, or what of it is scanned now; end its visit where nothing is waited for."""
        try:
            if not scan(visit):
                self._asking.append(visit)
                return
        except Halt as halt:
            visit.halted = str(halt)
            self._halted = visit.halted
        except TallyportError as error:
            self._give_up(visit, error)
        visit.scanned = True
        if not visit.waiting and not visit.wrote:
            self._open.remove(visit)
            self._end([visit])
        elif self._passage.full or len(self._open) >= OPEN or monotonic() > self._due:
            self.settle()

    def close(self) -> None:
        """Let go of the containers that an error of ours left open."""
        for visit in self._open:
            visit.crossing.close()

    def settle(self) -> None:
        """Make what was carried count, and end the visits that wait for nothing more."""
        self._take_outcomes()
        self._due = monotonic() + PATIENCE
        ended = [visit for visit in self._open if visit.scanned]
        if ended:
            self._open = [visit for visit in self._open if not visit.scanned]
            self._end(ended)
        for visit in self._open:
            if len(visit.items) + len(visit.deferred) >= REPORT or len(visit.slices) >= SLICES:
                self._report(visit)

    def _is_due(self, visit: Opened) -> bool:
        """Tell whether what was carried, or what is to be reported, should wait no longer."""
        return (
            self._passage.full
            or visit.waiting >= WAITING
            or len(visit.items) + len(visit.deferred) >= REPORT
            or len(visit.slices) >= SLICES
            or (visit.waiting > 0 and monotonic() > self._due)
        )

    def _settle_midway(self) -> None:
        """Settle in the middle of a scan, which ends where a connection halted."""
        self.settle()
        if self._halted is not None:
            raise Halt(self._halted)

    def _take_outcomes(self) -> TallyportError | None:
        """Sync what waits and note what came of each item, of whichever visit; gives why that could not be done."""
        level = self._passage.level
        while True:
            try:
                outcomes = self._passage.settle()
            except TallyportError as error:  # what was carried may be there, but nobody can say that it stays
                self._passage.discard()
                for visit in self._open:
                    visit.waiting = 0
                    self._give_up(visit, error)
                return error
            if not outcomes:
                return None
            for ticket, outcome in outcomes:
                if type(ticket) is Opened:
                    self._filled(ticket, outcome)
                    continue
                ticket.visit.waiting -= 1
                if outcome is UNBEGUN:
                    ticket.visit.halted = self._halted = self._halted or "stopped"
                elif isinstance(outcome, TallyportError):
                    self._hand.missed(ticket, outcome, may_retry=self._halted is None)
                    self._halted = ticket.visit.halted or self._halted
                else:
                    self._notes.landed(ticket, outcome, level)

    def _filled(self, visit: Opened, outcome: list[Row] | TallyportError) -> None:
        """Write down what a container was filled with, now that it is seen."""
        visit.waiting -= 1
        visit.wrote = True
        if isinstance(outcome, TallyportError):
            self._give_up(visit, outcome)
        else:
            visit.filled = outcome

    def _give_up(self, visit: Opened, error: TallyportError) -> None:
        """End a scan at an error of the container itself, or of a connection."""
        if REMEDIES[error.kind][0] is Scope.CONNECTION:
            visit.halted = self._halted = str(error.kind)
            visit.why = halt(error.kind, error)
        else:
            visit.error = (str(error.kind), error.message)

    def _end(self, ended: list[Opened]) -> None:
        """Seal the containers of visits that settled, together, then say what came of them."""
        sealed: list[tuple[Opened, Entry | None, Sequence[Loss]]] = []
        carrier = self._passage.carrier
        wrote = False
        for visit in ended:
            container = None
            if visit.error is None and visit.halted is None and visit.signature is None and not self._notes.is_dry:
                try:
                    self._passage.guard()
                    if self._keeps_times(visit):
                        container = visit.crossing.container(Side.DESTINATION)
                    else:
                        container, has_changed = visit.crossing.seal()
                        visit.wrote = visit.wrote or has_changed
                except TallyportError as error:
                    self._give_up(visit, error)
            if visit.halted is not None and is_over(self._passage.guard):
                with suppress(TallyportError):  # at the latest the next visit sets them
                    visit.crossing.put_back()
            wrote = wrote or visit.wrote
            sealed.append((visit, container, () if carrier is None else carrier.take()))
        if wrote:
            # This syncs what was sealed, and may land what other visits wait for.
            unsynced = self._take_outcomes()
            if unsynced is not None:
                for visit in ended:
                    self._give_up(visit, unsynced)
        for visit, container, losses in sealed:
            self._report(visit, container, losses, last=True)
            visit.crossing.close()

    def _keeps_times(self, visit: Opened) -> bool:
        """Tell whether the source's times are the traces of our own deletes there, which are not to be carried."""
        work = visit.work
        return self._orders.rules.removes_source and not (visit.wrote or work.blank or work.resumed or work.d_fresh)

    def _report(
        self, visit: Opened, container: Entry | None = None, losses: Sequence[Loss] = (), *, last: bool = False
    ) -> None:
        """Say what is known by now; with ``last`` also what became of the container itself."""
        row, signature = None, None if visit.signature is None else AS_IT_WAS
        if last and visit.error is None and visit.halted is None and signature is None and not visit.work.slice:
            row = self._notes.container_row(visit, container, losses)
            if container is not None and self._may_sign(visit):
                signature = sign(visit, self._orders.salt)
        self._emit(
            VisitReport(
                visit.work.visit_id,
                tuple(visit.items),
                tuple(visit.children),
                tuple(visit.deferred),
                visit.unchanged,
                visit.unchanged_bytes,
                last,
                signature,
                visit.error if last else None,
                visit.halted if last else None,
                visit.s_bytes,
                visit.s_files,
                row,
                tuple(visit.filled),
                self._passage.level,
                tuple(visit.losses),
                () if self._passage.carrier is None else self._passage.carrier.uses(),
                tuple(visit.left_out.items()),
                tuple(visit.slices),
                () if self._passage.carrier is None else self._passage.carrier.locks(),
                visit.keeps,
                visit.why if last else "",
            )
        )
        if not last:
            visit.items = []
            visit.filled = []
            visit.children = []
            visit.deferred = []
            visit.losses = []
            visit.left_out = {}
            visit.slices = []
            visit.unchanged = visit.unchanged_bytes = visit.s_bytes = visit.s_files = 0

    def _may_sign(self, visit: Opened) -> bool:
        work = visit.work
        return (
            visit.is_clean
            and visit.listing is not None
            and visit.too_many is None
            and self._orders.rules.trusts_baseline
            and not (self._notes.is_dry or work.s_only or work.gone or work.only is not None)
        )


def _held(visit: Opened) -> int:
    return 0 if visit.listing is None else visit.listing.count


def _ended_early(work: VisitWork, *, halted: str | None = None, error: tuple[str, str] | None = None) -> VisitReport:
    return VisitReport(work.visit_id, (), (), (), 0, 0, True, None, error, halted)
