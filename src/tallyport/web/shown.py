"""How values are written for people: numbers, sizes, times, states."""

from datetime import UTC, datetime

from markupsafe import Markup, escape

from tallyport.domain import paths, transfer_block
from tallyport.domain.actions import EQUAL, Reason
from tallyport.domain.executions import Execution
from tallyport.domain.items import DONE, Status
from tallyport.domain.jobs import Job
from tallyport.domain.states import State, Wait

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
MICRO = 1_000_000

# State or result: the words, and a colour of the style sheet.
STATES: dict[str, tuple[str, str]] = {
    "created": ("new", "secondary"),
    "planning": ("planning", "azure"),
    "scheduled": ("scheduled", "cyan"),
    "ready": ("queued", "azure"),
    "waiting": ("waiting", "purple"),
    "executing": ("running", "blue"),
    "pausing": ("pausing", "yellow"),
    "paused": ("paused", "yellow"),
    "canceling": ("canceling", "orange"),
    "canceled": ("canceled", "secondary"),
    "complete": ("done", "green"),
    "failed": ("failed", "red"),
    "failed_to_start": ("did not start", "red"),
}
RESULTS: dict[str, tuple[str, str]] = {
    "clean": ("done", "green"),
    "no_changes": ("nothing to do", "green"),
    "warnings": ("done, warnings", "yellow"),
    "errors": ("done, some failed", "orange"),
}
ITEMS: dict[int, tuple[str, str, str]] = {  # word of the API, words for people, colour
    Status.PENDING: ("pending", "pending", "azure"),
    Status.SUCCESS: ("success", "carried", "green"),
    Status.PROCESSED: ("processed", "carried, changed", "teal"),
    Status.RETRY: ("retry", "failed, retries", "orange"),
    Status.FLAGGED: ("remediation", "failed, flagged", "red"),
    Status.SKIPPED: ("skipped", "left out", "secondary"),
    Status.IGNORED: ("ignored", "ignored", "secondary"),
}
LEVELS = {1: ("trace", "secondary"), 2: ("debug", "secondary"), 3: ("info", "azure"), 4: ("warn", "orange")}
LEVELS[5] = ("error", "red")


GONE_FROM: dict[str, tuple[str, str]] = {  # word for people, colour
    Reason.PURGED: ("deleted", "orange"),
    Reason.NOT_AT_SOURCE: ("deleted", "orange"),
    Reason.DELETED_AT_SOURCE: ("deleted", "orange"),
    Reason.DELETED_AT_DESTINATION: ("deleted there", "secondary"),
    Reason.MOVED: ("moved", "green"),
}


def item(status: int, reason: str) -> tuple[str, str]:
    """Give the words and the colour for what became of an item."""
    if status in DONE and reason in GONE_FROM:
        return GONE_FROM[reason]
    if status == Status.SUCCESS and reason in EQUAL:
        return "equal", "teal"
    _, words, colour = ITEMS[status]
    return words, colour


def many(count: int, one: str, several: str = "") -> str:
    """Write a count with its noun: ``1 run``, ``2 runs``."""
    return f"{number(count)} {one if count == 1 else several or one + 's'}"


def code(text: str) -> Markup:
    """Write words in which names stand in backticks."""
    parts = str(text).split("`")
    last = len(parts) - 1  # what follows a backtick that is never closed is no name
    drawn = [
        Markup("<code>{}</code>").format(one) if at % 2 and at < last else escape(one) for at, one in enumerate(parts)
    ]
    return Markup("").join(drawn)


def size(count: int | None) -> str:
    """Write bytes with three digits: ``1.23 GiB``."""
    if count is None:
        return "–"
    value, unit = float(count), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    if unit == 0:
        return f"{count} B"
    return f"{value:.2f} {_UNITS[unit]}" if value < 10 else f"{value:.1f} {_UNITS[unit]}"


def number(count: int | None) -> str:
    """Write a count with thin groups: ``1 234 567``."""
    return "–" if count is None else f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def rate(per_second: float | None) -> str:
    """Write bytes a second."""
    return "–" if per_second is None else f"{size(int(per_second))}/s"


def duration(microseconds: int | float | None) -> str:
    """Write a length of time: ``3 h 05 min``."""
    if microseconds is None:
        return "–"
    seconds = microseconds / MICRO
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def when(at: int | None, absent: str = "–") -> Markup:
    """Write a moment: the browser shows it in its own zone, UTC stands in the hover text."""
    if at is None:
        return escape(absent)
    moment = datetime.fromtimestamp(at / MICRO, UTC)
    iso = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    text = moment.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(iso, text, text)


def when_file(at: int | None) -> Markup:
    """Write a file's time, which is in nanoseconds."""
    try:
        return when(None if at is None else at // 1000)
    except (ValueError, OverflowError, OSError):
        return escape(f"{at} ns")


def path(text: str | None) -> str:
    """Write a path from the root of its endpoint."""
    return "–" if text is None else "/" + paths.display(text)


def kept_by(run: Execution) -> str | None:
    """Give the folder that keeps what a run replaced and deleted, or None when it kept nothing."""
    if not run.has_ended or run.simulation or run.trigger in ("undo", "purge"):
        return None
    return transfer_block.policies_from_json(run.policies).quarantine


def state(job: Job, run: Execution | None = None) -> tuple[str, str]:
    """Give the words and the colour for a job, or for one run of it."""
    name = job.state if run is None else run.state
    result = job.result if run is None else run.result
    if name == "waiting" and run is not None and run.wait_reason == Wait.BRAKE:
        return "needs approval", "purple"
    if run is None and name == State.SCHEDULED and job.held:
        return "held", "yellow"
    if name == "complete" and result in RESULTS:
        return RESULTS[result]
    return STATES.get(name, (name, "secondary"))
