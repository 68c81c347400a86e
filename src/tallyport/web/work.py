"""What a page shows of a job: its picture, how far it is, what may be asked of it now."""

from dataclasses import dataclass

from tallyport.control.desk import Right
from tallyport.control.failed import location
from tallyport.control.pictures import Picture
from tallyport.control.progress import Outlook, outlook
from tallyport.domain import paths
from tallyport.domain.connections import Connection
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


def look(page: Page, picture: Picture) -> Look:
    """Look at a job."""
    run = picture.execution
    far = None
    if run is not None:
        percent = page.request.app.state.gauge.percent(run, picture.previous)
        rate = None if run.has_ended else page.request.app.state.meter.rate(run.id)
        far = outlook(run, picture.previous, rows.now(), percent=percent, rate=rate)
    return Look(picture=picture, outlook=far, may=_may(page, picture))


def place(connection: Connection | None, path: str) -> str:
    """Say where an end of a job is."""
    root = location(connection) if connection is not None else "?"
    below = paths.display(path)
    return f"{root.rstrip('/')}/{below}" if below else root or "/"


def _may(page: Page, picture: Picture) -> frozenset[str]:
    job = picture.job
    found = set()
    calls = {Call.START: Right.RUN, Call.PAUSE: Right.RUN, Call.RESUME: Right.RUN, Call.CANCEL: Right.RUN}
    calls |= {Call.RETRY: Right.RUN, Call.EDIT: Right.MANAGE, Call.DELETE: Right.MANAGE}
    for call, right in calls.items():
        verdict = allowed(call, State(job.state), managed=job.managed, unresolved=picture.unresolved > 0)
        if verdict is Verdict.YES and page.caller.may(right):
            found.add(call.value)
    if job.held and job.state == State.SCHEDULED:
        found.discard(Call.PAUSE.value)
    if job.closed:
        found.discard(Call.START.value)
    if picture.unresolved == 0:
        found.discard(Call.RETRY.value)
    return frozenset(found)
