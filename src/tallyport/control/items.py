"""Items: pages of them, what became of one, and a person's word on those that failed."""

import heapq
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import NamedTuple

import sqlalchemy as sa

from tallyport.control.desk import Caller, Desk
from tallyport.control.pictures import find_job
from tallyport.control.refusals import NotFound, invalid
from tallyport.domain.actions import Reason
from tallyport.domain.items import FAILED, Status
from tallyport.domain.jobs import Job
from tallyport.domain.losses import BITS, WORDS, Fact, fact_of, facts_of
from tallyport.store import audit, carried_parts, executions, failures, items, jobs, losses
from tallyport.store.audit import AuditRow
from tallyport.store.carried_parts import PartRow, Share
from tallyport.store.failures import FailedItem
from tallyport.store.items import ItemRow
from tallyport.store.losses import LossRow

COUNTABLE = 50_000  # items: a job up to this size is counted for a page
LOOKED_AT = 20_000  # items of each status that one page of a search looks at
MOST_SKIPPED = 100_000  # rows an offset may skip
ANY = sum(BITS.values())  # an item that lost anything
OPEN = FAILED  # what a person may ask to try again or to ignore


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which items; absent means any."""

    jobs: Sequence[str] = ()
    statuses: Sequence[Status] = tuple(Status)
    kinds: Sequence[int] = ()
    parent: int | None = None
    reasons: Sequence[str] = ()
    text: str | None = None
    execution: int | None = None
    processing: Sequence[str] = ()  # changed on the way in one of these manners
    lost: int | None = None  # lacks one of these: bits of domain.losses.Fact
    after: int = 0
    offset: int = 0
    limit: int = field(default=100)

    @property
    def is_narrow(self) -> bool:
        """Tell whether anything but the status narrows the choice."""
        named = self.kinds or self.reasons or self.text or self.processing or self.lost
        return bool(named) or self.parent is not None or self.execution is not None


class Page(NamedTuple):
    """One page of items with the job each belongs to."""

    rows: list[tuple[Job, ItemRow]]
    has_more: bool
    total: int | None  # absent when counting would read too much
    cursor: int | None  # go on after this id; absent at the end


class Window(NamedTuple):
    """One page of one job's items."""

    job: Job
    rows: list[ItemRow]
    cursor: int | None  # go on after this id; absent at the end
    is_partial: bool  # the part that was looked at is exhausted, the job is not


class Lacking(NamedTuple):
    """One thing that an item lacks at the destination, and how that came."""

    fact: Fact
    detail: str


class LossPage(NamedTuple):
    """What the items of a job lack, by what it is, and a page of the items."""

    totals: Mapping[Fact, int]
    rows: list[tuple[ItemRow, list[Lacking]]]
    has_more: bool
    cursor: int | None


class Explanation(NamedTuple):
    """Everything known of one item."""

    job: Job
    item: ItemRow
    failures: list[FailedItem]  # one per execution in which it failed
    lines: list[AuditRow]
    losses: list[LossRow]  # of every execution that carried it and lost something
    attempts: Mapping[int, int]  # execution: the how-manieth of the job it was
    shares: Sequence[Share]  # of a file that goes in parts: which worker has how much of it


def page(desk: Desk, wanted: Wanted, *, count: bool = False) -> Page:
    """Give one page by id, over one job or several."""
    if wanted.offset > MOST_SKIPPED:
        raise invalid("offset", f"may skip at most {MOST_SKIPPED} items; go on from meta.links.next instead")
    with desk.database.read() as tx:
        chosen = _jobs(tx, wanted.jobs)
        if len(chosen) == 1:
            return _page_of(tx, chosen[0], wanted, count=count)
        found = _merged(tx, chosen, wanted)
        rows = list(islice(found, wanted.offset, wanted.offset + wanted.limit + 1))
        total = _total(tx, chosen, wanted, always=count)
    has_more = len(rows) > wanted.limit
    rows = rows[: wanted.limit]
    return Page(rows, has_more, total, rows[-1][1].id if has_more else None)


def _page_of(tx: sa.Connection, job: Job, wanted: Wanted, *, count: bool) -> Page:
    """Give one page of one job. A search looks at a bounded part of it, so a page may hold fewer than asked for."""
    statuses = [int(one) for one in wanted.statuses]
    ahead = None
    if wanted.is_narrow and not wanted.offset:
        ahead = items.horizon(tx, job.number, statuses=statuses, after=wanted.after, rows_ahead=LOOKED_AT)
    found = _read(tx, job, wanted, until=ahead, offset=wanted.offset)
    rows = [(job, row) for row in found[: wanted.limit]]
    total = _total(tx, [job], wanted, always=count)
    if len(found) > wanted.limit:
        return Page(rows, True, total, rows[-1][1].id)
    return Page(rows, ahead is not None, total, ahead)


def _read(
    tx: sa.Connection,
    job: Job,
    wanted: Wanted,
    *,
    after: int | None = None,
    until: int | None = None,
    offset: int = 0,
    limit: int | None = None,
) -> list[ItemRow]:
    """Read rows of one job: without a limit one more than a page has, so that it is known whether it goes on."""
    return items.page(
        tx,
        job.number,
        statuses=[int(one) for one in wanted.statuses],
        kinds=wanted.kinds,
        parent=wanted.parent,
        reasons=wanted.reasons,
        text=wanted.text,
        execution_id=wanted.execution,
        processing=wanted.processing,
        lost=wanted.lost,
        after=wanted.after if after is None else after,
        until=until,
        offset=offset,
        limit=wanted.limit + 1 if limit is None else limit,
    )


def window(desk: Desk, job_id: str, wanted: Wanted, *, look_at: int = LOOKED_AT) -> Window:
    """Give a page of one job that never reads more than a bounded part of it, however rare the matches are."""
    with desk.database.read() as tx:
        job = find_job(tx, job_id)
        statuses = [int(one) for one in wanted.statuses]
        ahead = items.horizon(tx, job.number, statuses=statuses, after=wanted.after, rows_ahead=look_at)
        found = _read(tx, job, wanted, until=ahead if wanted.is_narrow else None)
    if len(found) > wanted.limit:
        return Window(job, found[: wanted.limit], found[wanted.limit - 1].id, False)
    return Window(job, found, ahead if wanted.is_narrow else None, ahead is not None and wanted.is_narrow)


def every(desk: Desk, wanted: Wanted) -> Iterator[tuple[Job, ItemRow]]:
    """Give all, read in chunks: memory stays flat. One consistent picture."""
    with desk.database.read() as tx:
        yield from _merged(tx, _jobs(tx, wanted.jobs), wanted, chunk=1_000)


def every_with_losses(desk: Desk, wanted: Wanted) -> Iterator[tuple[Job, ItemRow, list[LossRow]]]:
    """Give all, each with what it lost when it was settled last; read in chunks."""
    with desk.database.read() as tx:
        found = _merged(tx, _jobs(tx, wanted.jobs), wanted, chunk=1_000)
        while chunk := list(itertools.islice(found, 1_000)):
            lost = losses.of_items(tx, [row.id for _, row in chunk])
            for job, row in chunk:
                yield job, row, [one for one in lost.get(row.id, ()) if one.execution_id == row.execution_id]


def lost(desk: Desk, wanted: Wanted) -> LossPage:
    """Give what was lost of one job: how many items lack what, and a page of those items."""
    found = page(desk, replace(wanted, lost=wanted.lost or ANY))
    with desk.database.read() as tx:
        totals = _lost(tx, _jobs(tx, wanted.jobs))
        told = losses.of_items(tx, [row.id for _, row in found.rows])
    rows = [(row, lacking(row, told.get(row.id, ()))) for _, row in found.rows]
    return LossPage(totals, rows, found.has_more, found.cursor)


def lost_totals(desk: Desk, job_id: str) -> dict[Fact, int]:
    """Give how many items of a job lack what at the destination."""
    with desk.database.read() as tx:
        return _lost(tx, _jobs(tx, (job_id,)))


def _lost(tx: sa.Connection, chosen: Sequence[Job]) -> dict[Fact, int]:
    sums: Counter[Fact] = Counter()
    for job in chosen:
        for bits, number in items.lost(tx, job.number).items():
            sums.update(dict.fromkeys(facts_of(bits), number))
    return {fact: sums[fact] for fact in Fact if fact in sums}


def lacking(row: ItemRow, told: Sequence[LossRow]) -> list[Lacking]:
    """Say of each thing that an item lacks how that came, as exactly as is written down."""
    found: dict[Fact, list[str]] = {fact: [] for fact in facts_of(row.lost)}
    latest = max((one.execution_id for one in told), default=0)
    for one in told:
        fact = fact_of(one.what, one.detail)
        if one.execution_id == latest and fact in found:
            found[fact].append(one.detail)
    return [Lacking(fact, "; ".join(details) or WORDS[fact]) for fact, details in found.items()]


def explain(desk: Desk, item_id: int) -> Explanation:
    """Give what happened to one item: its failure in each execution, its audit lines."""
    with desk.database.read() as tx:
        row = items.find(tx, item_id) if item_id < 1 << 63 else None
        number = items.job_of(tx, item_id) if row else None
        if row is None or number is None:
            raise NotFound(f"there is no item {item_id}")
        job = _numbered(tx, number)
        runs = executions.page(tx, job_id=job.id, limit=1_000)[0]
        history = failures.of_item(tx, item_id, [run.id for run in runs])
        lines = audit.page(tx, item_id=item_id, limit=1_000)
        attempts = {run.id: run.attempt for run in runs}
        shares = carried_parts.shares(tx, desk.database, item_id)
        return Explanation(job, row, history, lines, losses.of_item(tx, item_id), attempts, shares)


def parts(desk: Desk, item_id: int, *, after: int = -1, limit: int) -> list[PartRow]:
    """Give the parts of a huge file by their ranges, those to be carried too; a file that goes whole has none."""
    find_job_of(desk, item_id)
    with desk.database.read() as tx:
        return list(carried_parts.page(tx, desk.database, item_id, after=after, limit=limit))


def find_job_of(desk: Desk, item_id: int) -> Job:
    """Give the job an item belongs to."""
    with desk.database.read() as tx:
        number = items.job_of(tx, item_id) if item_id < 1 << 63 else None
        if number is None:
            raise NotFound(f"there is no item {item_id}")
        return _numbered(tx, number)


def try_again(desk: Desk, wanted: Wanted, by: Caller, *, ids: Sequence[int] | None = None) -> int:
    """Mark failed items to be tried in the next execution, their tries counted anew; gives how many."""
    return _mark(desk, wanted, by, ids, Status.RETRY, Reason.RETRIED, None)


def ignore(desk: Desk, wanted: Wanted, by: Caller, *, ids: Sequence[int] | None = None, note: str | None = None) -> int:
    """Accept failed items as they are; gives how many."""
    return _mark(desk, wanted, by, ids, Status.IGNORED, Reason.IGNORED_BY_USER, note)


def _mark(
    desk: Desk,
    wanted: Wanted,
    by: Caller,
    ids: Sequence[int] | None,
    to: Status,
    reason: Reason,
    note: str | None,
) -> int:
    statuses = [int(one) for one in wanted.statuses if one in OPEN or (one is Status.IGNORED and to is Status.RETRY)]
    done = 0
    with desk.database.begin() as tx:
        for job in _jobs(tx, wanted.jobs):
            changed = items.set_status(
                tx,
                job.number,
                int(to),
                reason.value,
                statuses=statuses,
                ids=ids,
                parent=wanted.parent,
                reasons=wanted.reasons,
                text=wanted.text,
                message=note,
            )
            if changed:
                told = f"{changed} items: {reason.value}, by {by.name}" + (f": {note}" if note else "")
                named = ids if ids is not None and len(ids) <= 100 else (None,)
                desk.note(tx, job.id, f"item.{to.name.lower()}", told, item_ids=named)
            done += changed
    desk.nudge()
    return done


def _jobs(tx: sa.Connection, ids: Sequence[str]) -> list[Job]:
    """Give the jobs of some items, each once, with the parts that work for them; without a name all."""
    if ids:
        named = [find_job(tx, one) for one in ids]
        return list({job.id: job for one in named for job in (one, *jobs.parts(tx, one.id))}.values())
    found: list[Job] = []
    while block := jobs.page(tx, offset=len(found), limit=1_000)[0]:
        found += block
    return found


def _numbered(tx: sa.Connection, number: int) -> Job:
    job = jobs.numbered(tx, number)
    if job is None:
        raise NotFound("the job of this item is deleted")
    return job


def _merged(
    tx: sa.Connection, chosen: Sequence[Job], wanted: Wanted, *, chunk: int | None = None
) -> Iterator[tuple[Job, ItemRow]]:
    def of(job: Job) -> Iterator[tuple[Job, ItemRow]]:
        after = wanted.after
        size = chunk or min(max(wanted.limit + 1, 100) + wanted.offset, 2_000)
        while block := _read(tx, job, wanted, after=after, limit=size):
            yield from ((job, row) for row in block)
            after = block[-1].id

    if len(chosen) == 1:
        return of(chosen[0])
    return heapq.merge(*(of(job) for job in chosen), key=lambda pair: pair[1].id)


def _total(tx: sa.Connection, chosen: Sequence[Job], wanted: Wanted, *, always: bool) -> int | None:
    if wanted.is_narrow:
        return None
    counted = 0
    for job in chosen:
        if not always and not _is_countable(tx, job):
            return None
        totals = items.totals(tx, job.number)
        counted += sum(totals[int(one)].count for one in wanted.statuses if int(one) in totals)
    return counted


def _is_countable(tx: sa.Connection, job: Job) -> bool:
    """Tell by its latest executions whether a job is small; a retry alone sees few items of a large job."""
    return executions.largest(tx, job.id) <= COUNTABLE
