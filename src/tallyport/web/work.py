"""What a page shows of a job: its picture, how far it is, what may be asked of it now."""

from dataclasses import dataclass
from typing import NamedTuple

from tallyport.control.desk import Right
from tallyport.control.failed import location
from tallyport.control.pictures import Picture
from tallyport.control.progress import Gauge, Outlook, outlook
from tallyport.domain import paths
from tallyport.domain.connections import Connection
from tallyport.domain.executions import Execution
from tallyport.domain.jobs import Job
from tallyport.domain.states import Call, State, Verdict, Wait, allowed
from tallyport.store import rows
from tallyport.web.doorway import PREFIX
from tallyport.web.page import Page


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One job, ready to be drawn."""

    picture: Picture
    outlook: Outlook | None
    may: frozenset[str]  # calls that the state and the caller's rights allow

    @property
    def href(self) -> str:
        return f"{PREFIX}/jobs/{self.picture.job.id}"

    @property
    def needs_approval(self) -> bool:
        run = self.picture.active
        return run is not None and run.state == State.WAITING and run.wait_reason == Wait.BRAKE

    @property
    def source(self) -> str:
        return place(self.picture.source, self.picture.job.source_path)

    @property
    def destination(self) -> str:
        return place(self.picture.destination, self.picture.job.destination_path)


class Part(NamedTuple):
    """One part of a job, ready to be drawn."""

    job: Job
    run: Execution | None
    outlook: Outlook | None
    paths: list[str]  # below the source; none: everything

    @property
    def href(self) -> str:
        return f"{PREFIX}/jobs/{self.job.id}"


def look(page: Page, picture: Picture) -> Look:
    """Look at a job."""
    run = picture.execution
    far = None
    if run is not None:
        gauge = page.request.app.state.gauge
        percent = gauge.of(picture)
        rate = None if run.has_ended else page.request.app.state.meter.rate(run.id)
        ahead = 0 if picture.parts else gauge.ahead(run)
        far = outlook(run, picture.previous, rows.now(), percent=percent, rate=rate, ahead=ahead)
    return Look(picture=picture, outlook=far, may=_may(page, picture))


def parts_of(page: Page, picture: Picture) -> list[Part]:
    """Look at the parts that do the work of a job's newest run."""
    gauge = page.request.app.state.gauge
    found = []
    for job, run in picture.parts:
        far = None if run is None else _part_outlook(gauge, run)
        named = job.extra.get("part_paths")
        paths_of = [f"/{paths.display(str(one))}" for one in named] if isinstance(named, list) else []
        found.append(Part(job, run, far, paths_of))
    return found


def _part_outlook(gauge: Gauge, run: Execution) -> Outlook:
    return outlook(run, None, rows.now(), percent=gauge.percent(run, None), ahead=gauge.ahead(run))


def place(connection: Connection | None, path: str) -> str:
    """Say where an end of a job is."""
    root = location(connection) if connection is not None else "?"
    below = paths.display(path)
    return f"{root.rstrip('/')}/{below}" if below else root or "/"


def _may(page: Page, picture: Picture) -> frozenset[str]:
    job = picture.job
    found = set()
    calls = {Call.START: Right.RUN, Call.PAUSE: Right.RUN, Call.RESUME: Right.RUN, Call.CANCEL: Right.RUN}
    calls |= {Call.RETRY: Right.RUN, Call.EDIT: Right.MANAGE, Call.DELETE: Right.MANAGE, Call.SPLIT: Right.MANAGE}
    was_split = bool(job.extra.get("split_pending")) or (picture.active is not None and picture.active.is_split)
    unresolved = picture.unresolved > 0
    for call, right in calls.items():
        verdict = allowed(call, State(job.state), managed=job.managed, unresolved=unresolved, was_split=was_split)
        if verdict is Verdict.YES and page.caller.may(right):
            found.add(call.value)
    if job.held and job.state == State.SCHEDULED:
        found.discard(Call.PAUSE.value)
    if job.closed:
        found.discard(Call.START.value)
    if job.part is not None or not job.managed:
        found.discard(Call.SPLIT.value)
    if picture.unresolved == 0:
        found.discard(Call.RETRY.value)
    return frozenset(found)
