"""When a job runs by itself."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallyport.domain.documents import BlockErrors
from tallyport.domain.schedules import EVERY_DAY, Mode, Schedule, begins, deadline, next_due, period, read_schedule

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def at(text: str) -> int:
    """Read ``2026-11-23 10:00`` as microseconds. That day is a Monday."""
    return int(datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=UTC).timestamp()) * 1_000_000


NOON = at("2026-11-23 12:00")


def problems(document, status=None):
    with pytest.raises(BlockErrors) as caught:
        read_schedule(document, status)
    return [(problem.path, problem.code) for problem in caught.value.problems]


def test_without_a_schedule_a_person_starts_the_job():
    assert read_schedule(None).mode is Mode.MANUAL
    assert read_schedule({}).mode is Mode.MANUAL
    assert next_due(read_schedule({"mode": "manual"}), None, NOON) is None
    assert next_due(read_schedule({"mode": "ad-hoc"}, "start"), NOON, NOON) is None


def test_paused_needs_a_schedule_and_the_message_names_both_fields():
    with pytest.raises(BlockErrors) as caught:
        read_schedule({"mode": "manual"}, "paused")
    (problem,) = caught.value.problems
    assert problem.path == "/status"
    assert problem.code == "not_together"
    assert "status" in problem.message
    assert "schedule.mode" in problem.message
    assert problem.allowed == ("start",)
    assert read_schedule({"mode": "auto"}, "paused").mode is Mode.AUTO
    assert read_schedule({"mode": "manual"}, "start").mode is Mode.MANUAL
    assert read_schedule({"mode": "auto"}, "start").mode is Mode.AUTO


def test_the_shorthand_of_a_sample_is_not_a_value():
    assert problems({"mode": "auto/manual"}, "paused/start") == [
        ("/schedule/mode", "unknown_value"),
        ("/status", "unknown_value"),
    ]


def test_auto_is_due_at_once_and_then_a_quarter_of_an_hour_after_each_end():
    schedule = read_schedule({"mode": "auto"})
    assert next_due(schedule, None, NOON) == NOON
    assert next_due(schedule, NOON, NOON) == NOON + 15 * MINUTE
    assert next_due(schedule, NOON - DAY, NOON) == NOON - DAY + 15 * MINUTE  # overdue


def test_the_interval_can_be_chosen():
    schedule = read_schedule({"mode": "auto", "repeat_interval": {"value": 2, "unit": "h"}})
    assert next_due(schedule, NOON, NOON) == NOON + 2 * HOUR


def test_a_time_of_day():
    schedule = read_schedule({"mode": "auto", "run_at": {"hr": 3}})
    assert next_due(schedule, None, NOON) == at("2026-11-24 03:00")
    assert next_due(schedule, at("2026-11-24 03:00") + MINUTE, NOON) == at("2026-11-25 03:00")


def test_days_of_the_week():
    schedule = read_schedule({"mode": "auto", "days": "weekends", "run_at": {"hr": 3}})
    assert next_due(schedule, None, NOON) == at("2026-11-28 03:00")
    schedule = read_schedule({"mode": "auto", "days": ["monday", "friday"]})
    assert schedule.days == (0, 4)
    assert next_due(schedule, at("2026-11-23 23:50"), NOON) == at("2026-11-27 00:00")


def test_a_window_and_one_that_passes_midnight():
    office = read_schedule({"mode": "auto", "start_window": {"hr": 9}, "end_window": {"hr": 17}})
    assert next_due(office, None, NOON) == NOON
    assert next_due(office, at("2026-11-23 16:50"), NOON) == at("2026-11-24 09:00")
    night = read_schedule({"mode": "auto", "days": ["monday"], "start_window": {"hr": 22}, "end_window": {"hr": 6}})
    assert next_due(night, None, NOON) == at("2026-11-23 22:00")
    assert next_due(night, at("2026-11-24 05:00"), NOON) == at("2026-11-24 05:15")
    assert next_due(night, at("2026-11-24 05:50"), NOON) == at("2026-11-30 22:00")


def test_dates_bound_a_schedule():
    start, end = at("2026-12-01 00:00"), at("2026-12-02 00:00")
    schedule = read_schedule({"mode": "auto", "start_date": start // 1_000_000, "end": end // 1_000_000})
    assert next_due(schedule, None, NOON) == start
    assert next_due(schedule, end - MINUTE, NOON) is None


def test_runs_of_a_day_can_be_counted():
    schedule = read_schedule({"mode": "auto", "repeat_count": 2})
    assert next_due(schedule, NOON, NOON, runs_today=1) == NOON + 15 * MINUTE
    assert next_due(schedule, NOON, NOON, runs_today=2) == at("2026-11-24 00:00")


def test_problems_name_their_place():
    assert problems(
        {
            "mode": "auto",
            "days": ["funday"],
            "run_at": {"hr": 25},
            "repeat_interval": {"value": "x", "unit": "y"},
            "max_execution": {"value": 1},
            "repeat_count": 0,
            "start_date": 5,
            "end_date": 4,
        }
    ) == [
        ("/schedule/days/0", "unknown_value"),
        ("/schedule/run_at/hr", "out_of_range"),
        ("/schedule/repeat_interval/value", "wrong_type"),
        ("/schedule/repeat_interval/unit", "unknown_value"),
        ("/schedule/repeat_count", "out_of_range"),
        ("/schedule/max_execution/unit", "missing"),
        ("/schedule/end_date", "out_of_range"),
    ]
    assert problems({"days": []}) == [("/schedule/days", "out_of_range")]
    assert problems([]) == [("/schedule", "wrong_type")]


def test_timing_means_auto_and_is_said_where_it_is_not_used():
    assert read_schedule({"repeat_interval": {"value": 1, "unit": "m"}}).mode is Mode.AUTO
    assert read_schedule({"mode": "manual", "run_at": {"hr": 1}}).warnings == (
        "schedule.run_at: not used in mode manual",
    )


@settings(max_examples=60)
@given(
    st.builds(
        Schedule,
        mode=st.just(Mode.AUTO),
        days=st.sets(st.sampled_from(EVERY_DAY), min_size=1).map(lambda days: tuple(sorted(days))),
        start_window=st.none() | st.sampled_from([0.0, 3600.0, 80000.0]),
        end_window=st.none() | st.sampled_from([7200.0, 86399.0]),
        run_at=st.none() | st.sampled_from([0.0, 43200.0]),
        repeat_interval=st.none() | st.sampled_from([1.0, 900.0, 90_000.0]),
    ),
    st.integers(0, 10**15),
)
def test_a_schedule_is_due_within_the_days_it_names_and_never_before_it_may(schedule, moment):
    first = next_due(schedule, None, moment)
    assert first is not None
    assert moment <= first <= moment + 8 * DAY
    following = next_due(schedule, first, first)
    assert following is not None
    assert following > first


# -- cron, time zones, clocks that jump ---------------------------------------------------------------------------


def zoned(**more):
    return read_schedule({"mode": "auto", **more})


def test_a_cron_expression_says_when_and_waits_even_the_first_time():
    schedule = zoned(cron="30 2 * * mon-fri")
    assert next_due(schedule, None, NOON) == at("2026-11-24 02:30")
    assert next_due(schedule, at("2026-11-24 02:30"), at("2026-11-24 02:31")) == at("2026-11-25 02:30")
    assert next_due(schedule, at("2026-11-27 05:00"), NOON) == at("2026-11-30 02:30")
    assert next_due(zoned(cron="@hourly"), NOON, NOON) == NOON + HOUR


def test_a_long_run_skips_the_times_that_pass_meanwhile():
    assert next_due(zoned(cron="0 * * * *"), at("2026-11-23 14:20"), at("2026-11-23 14:20")) == at("2026-11-23 15:00")


def test_cron_stands_with_days_and_windows_but_not_with_other_times():
    schedule = zoned(cron="0 * * * *", start_window={"hr": 22}, end_window={"hr": 6}, days="weekdays")
    assert next_due(schedule, None, NOON) == at("2026-11-23 22:00")
    assert next_due(schedule, at("2026-11-28 05:30"), NOON) == at("2026-11-30 22:00")  # Saturday is no weekday
    assert problems({"mode": "auto", "cron": "0 * * * *", "run_at": {"hr": 1}}) == [("/schedule/cron", "not_together")]
    both = {"mode": "auto", "cron": "0 * * * *", "repeat_interval": {"value": 1, "unit": "h"}}
    assert problems(both) == [("/schedule/cron", "not_together")]


@pytest.mark.parametrize(
    "text", ["", "* * * *", "* * * * * *", "61 * * * *", "0 0 30 2 *", "x y z a b", 7, "0 0 * * 9"]
)
def test_a_cron_expression_that_cannot_be_is_refused_where_it_stands(text):
    assert [path for path, _ in problems({"mode": "auto", "cron": text})] == ["/schedule/cron"]


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "", 7, "Europe/Nowhere"])
def test_an_unknown_time_zone_is_refused(name):
    assert [path for path, _ in problems({"mode": "auto", "time_zone": name})] == ["/schedule/time_zone"]


def test_times_of_day_are_those_of_the_time_zone():
    schedule = zoned(run_at={"hr": 3}, time_zone="America/New_York")
    assert next_due(schedule, None, NOON) == at("2026-11-24 08:00")
    assert next_due(zoned(cron="0 3 * * *", time_zone="Asia/Kolkata"), None, NOON) == at("2026-11-23 21:30")
    days = zoned(days=["tuesday"], time_zone="Pacific/Auckland")
    assert next_due(days, None, NOON) == NOON  # it is Tuesday there


SPRING, AUTUMN = "2026-03-29", "2026-10-25"  # Europe: 02:00 becomes 03:00; 03:00 becomes 02:00


@pytest.mark.parametrize("schedule", [{"run_at": {"hr": 2, "min": 30}}, {"cron": "30 2 * * *"}], ids=["run_at", "cron"])
def test_a_time_that_the_clock_skips_is_the_moment_it_jumps(schedule):
    berlin = zoned(time_zone="Europe/Berlin", **schedule)
    before = at("2026-03-28 12:00")
    first = next_due(berlin, before, before)
    assert first == at(f"{SPRING} 01:00")  # 03:00 there: 02:30 does not exist
    assert next_due(berlin, first, first) == at("2026-03-30 00:30")


@pytest.mark.parametrize("schedule", [{"run_at": {"hr": 2, "min": 30}}, {"cron": "30 2 * * *"}], ids=["run_at", "cron"])
def test_a_time_that_the_clock_shows_twice_runs_once(schedule):
    berlin = zoned(time_zone="Europe/Berlin", **schedule)
    before = at("2026-10-24 12:00")
    first = next_due(berlin, before, before)
    assert first == at(f"{AUTUMN} 00:30")  # the first 02:30, in summer time
    assert next_due(berlin, first, first) == at("2026-10-26 01:30")


def test_every_hour_is_an_hour_when_the_clock_jumps():
    hourly = zoned(cron="0 * * * *", time_zone="Europe/Berlin")
    seen = [at(f"{SPRING} 00:30")]
    for _ in range(3):
        due = next_due(hourly, seen[-1], seen[-1])
        assert due is not None
        seen.append(due)
    assert seen[1:] == [at(f"{SPRING} 01:00"), at(f"{SPRING} 02:00"), at(f"{SPRING} 03:00")]


def test_a_window_keeps_its_times_of_day_when_the_clock_jumps():
    night = zoned(time_zone="Europe/Berlin", start_window={"hr": 1}, end_window={"hr": 4})
    assert period(night, at(f"{SPRING} 01:30")) == (at(f"{SPRING} 00:00"), at(f"{SPRING} 02:00"))  # two hours long
    assert period(night, at(f"{AUTUMN} 01:30")) == (at("2026-10-24 23:00"), at(f"{AUTUMN} 03:00"))  # four


def test_runs_are_counted_by_the_day_of_the_time_zone():
    schedule = zoned(repeat_count=2, time_zone="Asia/Tokyo")
    assert next_due(schedule, NOON, NOON, runs_today=2) == at("2026-11-23 15:00")  # midnight there


def test_a_missed_run_is_made_up_once_or_not_at_all_and_within_its_window():
    due, late = at("2026-11-23 03:00"), at("2026-11-23 09:00")
    assert begins(zoned(run_at={"hr": 3}), due, due + MINUTE // 2) == due + MINUTE // 2
    assert begins(zoned(run_at={"hr": 3}), due, late) == late
    assert begins(zoned(run_at={"hr": 3}, missed_runs="skip"), due, late) == at("2026-11-24 03:00")
    assert begins(zoned(cron="0 3 * * *", missed_runs="skip"), due, late) == at("2026-11-24 03:00")
    night = zoned(start_window={"hr": 22}, end_window={"hr": 6})
    assert begins(night, due, late) == at("2026-11-23 22:00")
    assert begins(zoned(days=["sunday"]), at("2026-11-22 23:50"), at("2026-11-23 00:10")) == at("2026-11-29 00:00")
    over = zoned(end_date=at("2026-11-23 04:00") // 1_000_000)
    assert begins(over, due, late) is None
    assert problems({"mode": "auto", "missed_runs": "twice"}) == [("/schedule/missed_runs", "unknown_value")]


def test_a_run_may_last_as_long_as_the_schedule_says():
    assert deadline(read_schedule({"mode": "manual"}), NOON) is None
    limited = read_schedule({"mode": "manual", "max_execution": {"value": 90, "unit": "m"}})
    assert deadline(limited, NOON) == NOON + 90 * MINUTE
    assert problems({"max_execution": {"value": 0, "unit": "s"}}) == [("/schedule/max_execution/value", "out_of_range")]


def test_a_schedule_at_the_end_of_the_calendar_never_comes():
    assert next_due(zoned(start_date=253_402_300_799), None, NOON) is None
    assert next_due(zoned(start_date=253_402_300_799, cron="@daily"), None, NOON) is None


@pytest.mark.parametrize("key", ["repeat_interval", "max_execution"])
@pytest.mark.parametrize(("value", "unit"), [(101 * 366, "d"), (1e18, "h"), (2**62, "d")])
def test_an_interval_longer_than_anybody_waits_is_refused(key, value, unit):
    assert problems({"mode": "auto", key: {"value": value, "unit": unit}}) == [(f"/schedule/{key}", "out_of_range")]
