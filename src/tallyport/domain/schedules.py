"""When a job runs by itself.

Moments are microseconds since 1970 UTC. Times of day and days are those of the schedule's time zone. A time of day
that the clock skips (it is put forward) means the moment it jumps; one that it shows twice means the first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from tallyport.domain.documents import Reader, pointer
from tallyport.domain.transfer_block import read_time_of_day

DAY = 86_400
_MICRO = 1_000_000
EVERY_DAY = (0, 1, 2, 3, 4, 5, 6)  # Monday is 0
DEFAULT_INTERVAL = 900.0  # seconds between the end of one execution and the next
LATE = 60 * _MICRO  # a run that begins later than this after its time was missed
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 253_370_000_000 * _MICRO  # in the year 9998: calendars end soon after
_MOST_TIMES = 10_000  # of a cron expression, looked at for one that the other members let through


class Mode(StrEnum):
    """Who starts executions."""

    MANUAL = "manual"  # a person
    AUTO = "auto"  # the schedule
    AD_HOC = "ad-hoc"  # a person, once: the job is completed afterwards


class MissedRuns(StrEnum):
    """What is done about runs whose time passed while nobody could begin them."""

    ONCE = "once"  # one run makes up for all of them, as soon as the window lets it
    SKIP = "skip"  # the next time counts


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
    cron: str | None = None
    time_zone: str = "UTC"
    repeat_interval: float | None = None  # seconds
    repeat_count: int | None = None  # most runs within one day's window
    max_execution: float | None = None  # seconds a run may last
    missed_runs: MissedRuns = MissedRuns.ONCE
    warnings: tuple[str, ...] = ()


_TIMING = (
    "days",
    "start_date",
    "end_date",
    "end",  # one published sample says so for end_date
    "start_window",
    "end_window",
    "run_at",
    "cron",
    "time_zone",
    "repeat_interval",
    "repeat_count",
    "missed_runs",
)
UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAYS: Mapping[str, tuple[int, ...]] = {
    "everyday": EVERY_DAY,
    "weekdays": EVERY_DAY[:5],
    "weekends": EVERY_DAY[5:],
    **{name: (number,) for number, name in enumerate(_WEEK)},
}
STATUS_COMMANDS = ("start", "paused")
STOP_LIMITS = ("on_success", "on_failure", "on_execute")  # of a stop policy


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
        cron=_cron(reader, members["cron"], pointer(path, "cron")) if "cron" in members else None,
        time_zone=_zone(reader, members["time_zone"], pointer(path, "time_zone")) if "time_zone" in members else "UTC",
        repeat_interval=_interval(reader, members, path, "repeat_interval"),
        repeat_count=reader.whole(members["repeat_count"], pointer(path, "repeat_count"), least=1)
        if "repeat_count" in members
        else None,
        max_execution=_interval(reader, members, path, "max_execution"),
        missed_runs=(
            reader.word(members["missed_runs"], pointer(path, "missed_runs"), MissedRuns) or MissedRuns.ONCE
            if "missed_runs" in members
            else MissedRuns.ONCE
        ),
        warnings=tuple(f"schedule.{name}: not used in mode {mode}" for name in timing if mode is not Mode.AUTO),
    )
    if schedule.start_date is not None and schedule.end_date is not None and schedule.start_date > schedule.end_date:
        reader.wrong(pointer(path, "end_date"), "out_of_range", "lies before start_date")
    for other in ("repeat_interval", "run_at"):
        if "cron" in members and other in members:
            reader.wrong(pointer(path, "cron"), "not_together", f"cannot stand with schedule.{other}: leave one out")
    reader.finish()
    return schedule


def next_due(schedule: Schedule, last_end: int | None, now: int, *, runs_today: int = 0) -> int | None:
    """Say when the next execution is due, or None when none will be by itself.

    ``last_end``: end of the last execution, None before the first, which is due as soon as its window, time of day
    or cron expression lets it. The answer may lie in the past: it is overdue. ``runs_today``: executions begun
    within the present :func:`period`.
    """
    if schedule.mode is not Mode.AUTO:
        return None
    if last_end is None:
        earliest = now
    elif schedule.cron is not None or (schedule.run_at is not None and schedule.repeat_interval is None):
        earliest = last_end + 1
    else:
        earliest = last_end + int((schedule.repeat_interval or DEFAULT_INTERVAL) * _MICRO)
    if schedule.start_date is not None:
        earliest = max(earliest, schedule.start_date)
    if schedule.repeat_count is not None and runs_today >= schedule.repeat_count:
        spent = period(schedule, max(earliest, now))
        if spent is not None:
            earliest = max(earliest, spent[1])
    due = _first_within(schedule, earliest) if schedule.cron is None else _first_time(schedule, earliest)
    if due is None or (schedule.end_date is not None and due > schedule.end_date):
        return None
    return due


def begins(schedule: Schedule, due: int, now: int) -> int | None:
    """Say when a run that is due begins: now, at a later moment, or never (None).

    It was missed when nobody began it in time; then the schedule says whether one run makes up for it, and that one
    begins within its window only.
    """
    if schedule.end_date is not None and now > schedule.end_date:
        return None
    if now - due > LATE and schedule.missed_runs is MissedRuns.SKIP:
        return next_due(schedule, now, now)
    if is_open(schedule, now):
        return now
    return next_due(schedule, now, now)


def deadline(schedule: Schedule, begun: int) -> int | None:
    """Say when a run that began has lasted as long as it may; None when it may last for ever."""
    return None if schedule.max_execution is None else begun + int(schedule.max_execution * _MICRO)


def is_open(schedule: Schedule, moment: int) -> bool:
    """Tell whether a run may begin at a moment, its time of day aside."""
    return _period(schedule, moment, by_time=False) is not None


def period(schedule: Schedule, moment: int) -> tuple[int, int] | None:
    """Give begin and end (exclusive) of the window that a moment lies in, or None. ``repeat_count`` counts in one."""
    return _period(schedule, moment, by_time=schedule.run_at is not None and schedule.repeat_interval is not None)


def _period(schedule: Schedule, moment: int, *, by_time: bool) -> tuple[int, int] | None:
    zone = ZoneInfo(schedule.time_zone)
    for day in _days_around(moment, zone, 1):
        begin, end = _window(schedule, day, zone, by_time=by_time)
        if begin <= moment < end and day.weekday() in schedule.days:
            return begin, end
    return None


def _window(schedule: Schedule, day: date, zone: ZoneInfo, *, by_time: bool) -> tuple[int, int]:
    """Give begin and end (exclusive) of the window that belongs to a day."""
    begin = schedule.start_window or 0.0
    end = DAY if schedule.end_window is None else schedule.end_window
    if by_time and schedule.run_at is not None:
        begin = schedule.run_at
        if schedule.repeat_interval is None:
            at = _moment(day, begin, zone)
            return at, at + 1  # once, at that time
    if end <= begin:
        end += DAY
    return _moment(day, begin, zone), _moment(day, end, zone)


def _first_within(schedule: Schedule, earliest: int) -> int | None:
    zone = ZoneInfo(schedule.time_zone)
    for day in _days_around(earliest, zone, 9):
        if day.weekday() in schedule.days:
            begin, end = _window(schedule, day, zone, by_time=True)
            if earliest < end:
                return max(earliest, begin)
    return None


def _first_time(schedule: Schedule, earliest: int) -> int | None:
    """Give the first time of the cron expression that days and windows let through."""
    assert schedule.cron is not None
    zone = ZoneInfo(schedule.time_zone)
    if earliest > _LAST:
        return None
    after = (_EPOCH + timedelta(microseconds=earliest - 1)).astimezone(zone)
    times: Iterator[datetime] = CronSim(schedule.cron, after)
    for moment in islice(times, _MOST_TIMES):
        due = (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)
        if due >= earliest and is_open(schedule, due):
            return due
    return None


def _days_around(moment: int, zone: ZoneInfo, ahead: int) -> Iterator[date]:
    """Give the day before a moment's, its own, and some that follow, in a time zone."""
    if moment <= _LAST:
        today = (_EPOCH + timedelta(microseconds=moment)).astimezone(zone).date()
        for number in range(-1, ahead):
            if today.toordinal() + number > 0:
                yield today + timedelta(days=number)


def _moment(day: date, seconds: float, zone: ZoneInfo) -> int:
    """Give the moment at which clocks show a time of a day; hours above 24 are the next day's."""
    shown = datetime.combine(day, time()) + timedelta(seconds=seconds)
    late = shown.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if late.astimezone(zone).replace(tzinfo=None) != shown:
        early = shown.replace(tzinfo=zone, fold=1).astimezone(UTC)  # before the jump, `late` after it
        before = early.astimezone(zone).utcoffset()
        while late - early > timedelta(seconds=1):
            middle = early + (late - early) // 2
            if middle.astimezone(zone).utcoffset() == before:
                early = middle
            else:
                late = middle
        late = late.replace(microsecond=0)
    return (late - _EPOCH) // timedelta(microseconds=1)


def _days(reader: Reader, value: object, path: str) -> tuple[int, ...]:
    texts = reader.texts(value, path) or ()
    days: set[int] = set()
    for index, text in enumerate(texts):
        here = pointer(path, index) if isinstance(value, list) else path
        word = reader.choice(text, here, list(DAYS))
        days.update(() if word is None else DAYS[word])
    if isinstance(value, list) and not value:
        reader.wrong(path, "out_of_range", "names no day", DAYS)
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
        reader.wrong(pointer(here, missing), "missing", "is needed", UNITS if missing == "unit" else ())
    if len(parts) < 2:
        return None
    value = reader.number(parts["value"], pointer(here, "value"), least=0)
    if value == 0:
        reader.wrong(pointer(here, "value"), "out_of_range", "must be more than 0")
    unit = reader.choice(parts["unit"], pointer(here, "unit"), list(UNITS))
    seconds = None if value is None or unit is None else value * UNITS[unit]
    if seconds is not None and seconds > _LONGEST:
        reader.wrong(here, "out_of_range", "must be a hundred years at most")
    return seconds


_LONGEST = 100 * 366 * 86_400.0  # seconds
_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}


def _cron(reader: Reader, value: object, path: str) -> str | None:
    text = reader.text(value, path)
    if text is None:
        return None
    expression = _NAMED.get(text.strip().lower(), text.strip())
    if len(expression) > 200 or len(expression.split()) != 5:
        reader.wrong(path, "unknown_value", "needs five fields: minute hour day-of-month month day-of-week", _NAMED)
        return None
    try:
        next(iter(CronSim(expression, _EPOCH)))
    except CronSimError as error:
        reader.wrong(path, "unknown_value", f"{text!r} is not a cron expression: {error}", _NAMED)
        return None
    except StopIteration:
        reader.wrong(path, "out_of_range", f"{text!r} never comes")
        return None
    return expression


def _zone(reader: Reader, value: object, path: str) -> str:
    text = reader.text(value, path)
    if text is not None:
        try:
            return ZoneInfo(text).key
        except (KeyError, ValueError, OSError):
            reader.wrong(path, "unknown_value", f"{text[:80]!r} is no time zone; Europe/Paris is one", ("UTC",))
    return "UTC"
