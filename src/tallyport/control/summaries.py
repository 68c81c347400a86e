"""Reports over several jobs, from the totals that every execution keeps: no item is read."""

from collections.abc import Sequence
from dataclasses import dataclass

from tallyport.control.desk import Desk
from tallyport.control.pictures import Picture, find_job, look_below, look_many
from tallyport.control.refusals import invalid
from tallyport.domain.jobs import Job
from tallyport.store import below, executions, failures, jobs, rows, unresolved
from tallyport.store.executions import Day

MOST_COUNTED = 100_000  # failed items that are read to be told apart by reason
MOST_JOBS = 1_000
_DAY = 86_400 * 1_000_000  # microseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which jobs: named, or of a category, or all; simulations or real ones."""

    jobs: Sequence[str] = ()
    category: int | None = None
    simulation: bool | None = None
    days: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Some jobs as of now, and what they did of late."""

    pictures: Sequence[Picture]
    is_cut: bool  # there are more jobs than one report holds
    days: Sequence[Day]
    failed_by_reason: Sequence[tuple[str, int]] | None  # absent when there are too many to read

    def total(self, name: str) -> int:
        """Add up one total over the newest executions."""
        return sum(one.total(name) for one in self._each_once())

    @property
    def unresolved(self) -> int:
        return sum(one.failed_now for one in self._each_once())

    def _each_once(self) -> list[Picture]:
        """Leave out the folder mappings whose children are in the report themselves."""
        parents = {one.job.parent_id for one in self.pictures}
        return [one for one in self.pictures if one.children is None or one.job.id not in parents]


def summary(desk: Desk, wanted: Wanted) -> Summary:
    """Look at the jobs of a report."""
    if not 1 <= wanted.days <= 3_650:
        raise invalid("days", "must be between 1 and 3650", code="out_of_range")
    with desk.database.read() as tx:
        if wanted.jobs:
            chosen = [find_job(tx, one) for one in wanted.jobs]
        else:
            category = wanted.category if wanted.category != -1 else None
            chosen, _ = jobs.page(tx, category=category, limit=MOST_JOBS + 1)
            if wanted.category == -1:
                chosen = [one for one in chosen if one.category_id is None]
        chosen = [one for one in chosen if wanted.simulation in (None, is_simulation(one))]
        is_cut = len(chosen) > MOST_JOBS
        chosen = chosen[:MOST_JOBS]
        days = executions.carried_per_day(tx, rows.now() - wanted.days * _DAY, [one.id for one in chosen])
        pictures = look_below(tx, look_many(tx, chosen))
        failing = unresolved.count_each(tx, sorted(below.numbers_of(tx, [one.id for one in chosen])))
        is_little = sum(failing.values()) <= MOST_COUNTED
        found = [(one.reason, one.number) for one in failures.count_by_reason(tx, *failing)] if is_little else None
    return Summary(pictures=pictures, is_cut=is_cut, days=days, failed_by_reason=found)


def is_simulation(job: Job) -> bool:
    """Tell whether a job decides and writes nothing."""
    return bool(job.transfer.get("simulation_mode"))
