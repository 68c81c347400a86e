"""T2: clocks put forward and back, by an hour or half of one, on the 29th of February, at midnight, in every zone.

What is expected is found by going through the minutes of a day and reading the wall clock of the zone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from tallyport.domain.schedules import MissedRuns, Schedule, begins, next_due, read_schedule

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
# Time zones with the days on which their clocks jump, and days on which they do not.
DAYS = {
    "UTC": ("2028-02-28", "2028-02-29", "2027-02-28", "2028-12-31", "2016-12-31"),  # the last with a leap second
    "Europe/Berlin": ("2026-03-29", "2026-10-25", "2028-02-29"),
    "America/New_York": ("2026-03-08", "2026-11-01", "2028-02-29"),
    "America/St_Johns": ("2026-03-08", "2026-11-01", "2028-02-29"),  # half an hour beside the hour
    "Australia/Lord_Howe": ("2026-04-05", "2026-10-04", "2028-02-29"),  # jumps by half an hour
    "Asia/Kolkata": ("2026-03-29", "2028-02-29"),
    "Asia/Kathmandu": ("2026-03-29", "2028-02-29"),  # 45 minutes
    "Pacific/Chatham": ("2026-04-05", "2026-09-27", "2028-02-29"),  # 45 minutes, and jumps
    "America/Santiago": ("2026-04-04", "2026-09-06", "2028-02-29"),  # skips midnight
    "Africa/Cairo": ("2026-04-24", "2026-10-29", "2028-02-29"),  # skips midnight
    "Pacific/Apia": ("2028-02-29", "2028-12-31"),
}
TIMES = (time(0, 0), time(0, 30), time(1, 45), time(2, 0), time(2, 15), time(2, 45), time(23, 59))
CASES = [(zone, day, at) for zone, days in DAYS.items() for day, at in product(days, TIMES)]


def shown(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)


def expected(day: date, at: time, zone: ZoneInfo) -> int:
    """Give the first minute of a day at which its clock shows a time, or is past it because it jumped over it."""
    moment = datetime.combine(day, time(), UTC) - timedelta(hours=15)
    while shown(moment, zone).date() < day or shown(moment, zone) < datetime.combine(day, at):
        moment += MINUTE
    return (moment - EPOCH) // timedelta(microseconds=1)


def schedules(zone: str, at: time) -> dict[str, Schedule]:
    return {
        "run_at": read_schedule({"mode": "auto", "time_zone": zone, "run_at": {"hr": at.hour, "min": at.minute}}),
        "cron": read_schedule({"mode": "auto", "time_zone": zone, "cron": f"{at.minute} {at.hour} * * *"}),
    }


def test_there_are_two_hundred_cases() -> None:
    assert len(CASES) >= 200


@pytest.mark.parametrize("zone", DAYS)
def test_a_daily_run_begins_once_on_the_day_when_its_clock_first_shows_or_passes_the_time(zone: str) -> None:
    there = ZoneInfo(zone)
    wrong = []
    for _, text, at in (case for case in CASES if case[0] == zone):
        day = date.fromisoformat(text)
        days = [expected(day + timedelta(days=number), at, there) for number in (-1, 0, 1)]
        for name, schedule in schedules(zone, at).items():
            found = [next_due(schedule, ended, ended) for ended in days[:2]]
            if found != days[1:]:
                wrong.append((text, at, name, found, days[1:]))
    assert wrong == []


@pytest.mark.parametrize("zone", DAYS)
def test_a_run_missed_over_a_jump_is_made_up_once_or_left_to_the_next_day(zone: str) -> None:
    there = ZoneInfo(zone)
    for _, text, at in (case for case in CASES if case[0] == zone):
        day = date.fromisoformat(text)
        due, following = (expected(day + timedelta(days=number), at, there) for number in (0, 1))
        late = due + 2 * 3_600_000_000
        for schedule in schedules(zone, at).values():
            assert begins(schedule, due, late) == late
            assert next_due(schedule, late, late) == following, (text, at)
        skipping = read_schedule(
            {
                "mode": "auto",
                "time_zone": zone,
                "run_at": {"hr": at.hour, "min": at.minute},
                "missed_runs": MissedRuns.SKIP,
            }
        )
        assert begins(skipping, due, late) == following, (text, at)


@pytest.mark.parametrize("hours", [-48, 48])
def test_a_clock_put_back_or_forward_after_a_run_repeats_none(hours: int) -> None:
    """T1: when the next run is due follows from the end of the last one, not from what the clock says now."""
    ended = expected(date(2028, 2, 28), time(2, 0), ZoneInfo("UTC")) + 60_000_000
    now = ended + hours * 3_600_000_000
    for schedule in (*schedules("UTC", time(2, 0)).values(), read_schedule({"mode": "auto"})):
        due = next_due(schedule, ended, now)
        assert due == next_due(schedule, ended, ended)
        assert due is not None
        assert due > ended
