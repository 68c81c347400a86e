"""How many calls at once suit a platform."""

from __future__ import annotations

from tallyport.domain.width import DAY, MOST, Width, begun, done, found, start_of, throttled, widened


def driven(width: Width, seconds: int, capacity: float, at: float = 0.0, cost: float = 0.0) -> tuple[Width, float]:
    """Let a platform of some capacity (calls a second; each place does 10) work at full width for a time."""
    for _ in range(seconds * 10):
        at += 0.1
        calls = min(width.places * 10, capacity - cost * max(0, width.places * 10 - capacity)) / 10
        each = 0.1 * width.places / calls
        for _ in range(max(1, round(calls))):
            width = done(width, 0, at, seconds=each, was_full=True)
    return width, at


def test_it_widens_until_the_platform_gives_no_more() -> None:
    width, _ = driven(Width(most=64), 60, capacity=200)
    assert 16 <= width.places <= 40


def test_it_never_passes_what_is_allowed() -> None:
    width, _ = driven(Width(most=8), 60, capacity=10_000)
    assert width.places == 8


def test_it_narrows_where_more_at_once_gives_less() -> None:
    width, _ = driven(Width(most=64), 120, capacity=80, cost=0.5)
    assert width.places <= 24


def test_a_platform_that_asks_for_a_slower_pace_gets_half() -> None:
    width = throttled(Width(most=64, now=32.0), 100.0)
    assert width.places == 16
    assert throttled(width, 100.5).places == 16  # answers to calls of before count once
    assert throttled(width, 102.0).places == 8


def test_there_is_always_one_place() -> None:
    width = Width(most=4)
    for second in range(100):
        width = throttled(width, float(10 * second))
    assert width.places == 1


def test_flow_says_nothing_while_places_are_free() -> None:
    width, at = Width(most=64), 0.0
    for _ in range(1000):
        at += 0.1
        width = done(width, 0, at, seconds=0.1, was_full=False)
    assert width.places == 4


def test_a_window_in_which_places_were_free_is_no_measure_for_the_next_one() -> None:
    width, at = Width(most=16), 0.0
    for wave in range(200):
        at += 1.2
        for _ in range(2 * width.places):
            width = done(width, 0, at, seconds=0.6, was_full=wave % 3 != 1)
    assert width.places == 16


def test_fewer_places_are_not_made_fewer_still_because_less_flows_through_them() -> None:
    """A platform that was slow for a while."""
    width, at = Width(most=16), 0.0
    for wave in range(300):
        at += 1.2
        for _ in range(2 * width.places):
            width = done(width, 0, at, seconds=1.2 if 50 <= wave < 53 else 0.6, was_full=True)
        assert wave < 20 or width.places >= 11
    assert width.places == 16


def test_calls_that_end_together_and_pauses_between_them_are_no_loss() -> None:
    """As small files of one folder do: sixteen begin at once, each takes 0.6 s, and then a while nothing is asked."""
    width, at = Width(most=16), 0.0
    for wave in range(200):
        at += 0.6 + (3.0 if wave % 4 == 3 else 0.0)
        for left in range(width.places):
            width = done(width, 0, at, seconds=0.6, was_full=left == 0 or wave % 4 != 3)
        assert wave < 20 or width.places == 16


def test_it_begins_with_what_was_found_before_and_need_not_double() -> None:
    width, at = driven(begun(0.0, most=64, found=20), 5, capacity=200)
    assert 18 <= width.places <= 24
    width, _ = driven(width, 120, capacity=800, at=at)
    assert width.places > 24, "a platform that gives more now is found to"


def test_what_was_found_never_passes_what_is_allowed_here() -> None:
    assert begun(0.0, most=8, found=500).places == 8
    assert widened(begun(0.0, most=8, found=500), 16, 500).places == 16


def test_what_was_found_leaves_out_one_more_that_is_just_tried() -> None:
    assert found(begun(0.0, most=64)) is None
    assert found(begun(0.0, most=64, found=20)) == 20
    assert found(Width(most=64, now=21.0, last=20.0, is_starting=False)) == 20
    assert found(throttled(Width(most=64, now=32.0), 100.0)) == 16


def test_a_job_that_asks_for_more_begins_with_half_unless_it_is_known_better() -> None:
    assert widened(Width(most=16), 64, None).places == 32
    assert widened(Width(most=16), 64, 5).places == 5
    assert widened(begun(0.0, most=16, found=40), 64, 40).places == 40
    assert widened(Width(most=16), 8, None) == Width(most=16)


def test_what_is_old_or_makes_no_sense_is_as_if_nobody_had_found_it() -> None:
    assert start_of(7, 60.0) == 7
    assert start_of(7, -60.0) == 7, "the clock of the database was set back a little"
    for places, age in ((0, 1.0), (-3, 1.0), (MOST + 1, 1.0), (7, DAY + 1), (7, -DAY - 1)):
        assert start_of(places, age) is None
