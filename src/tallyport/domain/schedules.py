"""When a job runs by itself. Times are microseconds since 1970 UTC, times of day are seconds in UTC."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from tallyport.domain.documents import Reader, pointer
from tallyport.domain.transfer_block import read_time_of_day

DAY = 86_400
_MICRO = 1_000_000
EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)  # Monday is 0
DEFAULT_INTERVAL = 900.0  # seconds between the end of one execution and the next


class Mode(StrEnum):
    """Who starts executions."""

    MANUAL = "manual"  # a person
    AUTO = "auto"  # the schedule
    AD_HOC = "ad-hoc"  # a person, once: the job is completed afterwards


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule, checked."""

    mode: Mode = Mode.MANUAL
    days: tuple[int, ...] = EVERY_DAY
    start_date: int | None = None  # microseconds
    end_date: int | None = None
    start_window: float | None = None  # seconds of the day; a window whose end comes first passes midnight
    end_window: float | None = None
    run_at: float | None = None  # seconds of the day
    repeat_interval: float | None = None  # seconds
    repeat_count: int | None = None  # most runs within one day's window
    max_execution: float | None = None  # seconds a run may last
    warnings: tuple[str, ...] = ()


_TIMING = (
    "days",
    "start_date",
    "end_date",
    "end",  # one published sample says so for end_date
    "start_window",
    "end_window",
    "run_at",
    "repeat_interval",
    "repeat_count",
)
_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAYS: Mapping[str, tuple[int, ...]] = {
    "everyday": EVERY_DAY,
    "weekdays": EVERY_DAY[:5],
    "weekends": EVERY_DAY[5:],
    **{name: (number,) for number, name in enumerate(_WEEK)},
}
STATUS_COMMANDS = ("start", "paused")


def read_schedule(
    document: object, status: object = None, *, path: str = "/schedule", status_path: str = "/status"
) -> Schedule:
    """Read ``schedule``, and check ``status`` with it: ``start`` or ``paused``. Raises ``BlockErrors``.

    For a change of a job both are judged as they will be: merged with what the job has.
    """
    reader = Reader()
    members = reader.members({} if document is None else document, path, ("mode", *_TIMING, "max_execution"))
    timing = [name for name in _TIMING if name in members]
    given = members.get("mode", Mode.AUTO if timing else Mode.MANUAL)
    mode = reader.word(given, pointer(path, "mode"), Mode)
    command = None if status is None else reader.choice(status, status_path, list(STATUS_COMMANDS))
    if command == "paused" and mode in (Mode.MANUAL, Mode.AD_HOC):
        reader.wrong(
            status_path,
            "not_together",
            f'status "paused" cannot stand with schedule.mode "{mode}", which starts nothing by itself:'
            ' leave status out, or set schedule.mode to "auto"',
            ["start"],
        )
    schedule = Schedule(
        mode=mode or Mode.MANUAL,
        days=_days(reader, members["days"], pointer(path, "days")) if "days" in members else EVERY_DAY,
        start_date=_date(reader, members, path, "start_date"),
        end_date=_date(reader, members, path, "end_date") or _date(reader, members, path, "end"),
        start_window=_time(reader, members, path, "start_window"),
        end_window=_time(reader, members, path, "end_window"),
        run_at=_time(reader, members, path, "run_at"),
        repeat_interval=_interval(reader, members, path, "repeat_interval"),
        repeat_count=reader.whole(members["repeat_count"], pointer(path, "repeat_count"), least=1)
        if "repeat_count" in members
        else None,
        max_execution=_interval(reader, members, path, "max_execution"),
        warnings=tuple(f"schedule.{name}: not used in mode {mode}" for name in timing if mode is not Mode.AUTO),
    )
    if schedule.start_date is not None and schedule.end_date is not None and schedule.start_date > schedule.end_date:
        reader.wrong(pointer(path, "end_date"), "out_of_range", "lies before start_date")
    reader.finish()
    return schedule


def next_due(schedule: Schedule, last_end: int | None, now: int, *, runs_today: int = 0) -> int | None:
    """Say when the next execution is due, or None when none will be by itself.

    ``last_end``: end of the last execution, None before the first, which is due at once. The answer may lie in
    the past: it is overdue. ``runs_today``: executions begun within the present day's window.
    """
    if schedule.mode is not Mode.AUTO:
        return None
    if last_end is None:
        earliest = now
    elif schedule.run_at is not None and schedule.repeat_interval is None:
        earliest = last_end + 1
    else:
        earliest = last_end + int((schedule.repeat_interval or DEFAULT_INTERVAL) * _MICRO)
    if schedule.start_date is not None:
        earliest = max(earliest, schedule.start_date)
    if schedule.repeat_count is not None and runs_today >= schedule.repeat_count:
        earliest = max(earliest, _window_end(schedule, max(earliest, now)))
    due = _first_within(schedule, earliest)
    if due is None or (schedule.end_date is not None and due > schedule.end_date):
        return None
    return due


def _windows(schedule: Schedule, day: int) -> tuple[int, int]:
    """Give begin and end (exclusive) of the window that belongs to a day since 1970."""
    begin = schedule.start_window or 0.0
    end = DAY if schedule.end_window is None else schedule.end_window
    if schedule.run_at is not None:
        begin = schedule.run_at
        if schedule.repeat_interval is None:
            end = begin + 1e-6  # once, at that time
    if end <= begin:
        end += DAY
    return int((day * DAY + begin) * _MICRO), int((day * DAY + end) * _MICRO)


def _first_within(schedule: Schedule, earliest: int) -> int | None:
    today = earliest // (DAY * _MICRO)
    for day in range(today - 1, today + 9):
        if (day + 3) % 7 not in schedule.days:  # 1 January 1970 was a Thursday
            continue
        begin, end = _windows(schedule, day)
        if earliest < end:
            return max(earliest, begin)
    return None


def _window_end(schedule: Schedule, moment: int) -> int:
    """Give the end of the window that a moment lies in, or the moment itself."""
    today = moment // (DAY * _MICRO)
    for day in (today - 1, today):
        begin, end = _windows(schedule, day)
        if begin <= moment < end:
            return end
    return moment


def _days(reader: Reader, value: object, path: str) -> tuple[int, ...]:
    texts = reader.texts(value, path) or ()
    days: set[int] = set()
    for index, text in enumerate(texts):
        here = pointer(path, index) if isinstance(value, list) else path
        word = reader.choice(text, here, list(_DAYS))
        days.update(() if word is None else _DAYS[word])
    if isinstance(value, list) and not value:
        reader.wrong(path, "out_of_range", "names no day", _DAYS)
    return tuple(sorted(days)) or EVERY_DAY


def _date(reader: Reader, members: Mapping[str, object], path: str, name: str) -> int | None:
    if name not in members:
        return None
    seconds = reader.number(members[name], pointer(path, name), least=0, most=253_402_300_799)
    return None if seconds is None else round(seconds * _MICRO)


def _time(reader: Reader, members: Mapping[str, object], path: str, name: str) -> float | None:
    return read_time_of_day(reader, members[name], pointer(path, name)) if name in members else None


def _interval(reader: Reader, members: Mapping[str, object], path: str, name: str) -> float | None:
    if name not in members:
        return None
    here = pointer(path, name)
    parts = reader.members(members[name], here, ("value", "unit"))
    for missing in [key for key in ("value", "unit") if key not in parts]:
        reader.wrong(pointer(here, missing), "missing", "is needed", _UNITS if missing == "unit" else ())
    if len(parts) < 2:
        return None
    value = reader.number(parts["value"], pointer(here, "value"), least=0)
    unit = reader.choice(parts["unit"], pointer(here, "unit"), list(_UNITS))
    return None if value is None or unit is None else value * _UNITS[unit]
