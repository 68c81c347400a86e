"""How far an execution is, in parts that add up, from what is stored alone."""

from __future__ import annotations

from dataclasses import replace

from tallyport.control.progress import Gauge, outlook
from tallyport.domain.executions import Execution

SECOND = 1_000_000
RUN = Execution(
    id=2,
    job_id="j",
    attempt=2,
    state="executing",
    policies="{}",
    token="t",
    files=100,
    bytes=1_000,
    folders=10,
    transferred=40,
    transferred_bytes=400,
    unchanged=10,
    unchanged_bytes=100,
    skipped=5,
    failed=5,
    created_at=0,
    started_at=0,
)


def test_the_parts_add_up_to_what_was_seen() -> None:
    far = outlook(RUN, None, 10 * SECOND, percent=50)
    assert (far.done, far.failed, far.skipped, far.remaining) == (50, 5, 5, 40)
    assert far.expected == RUN.files
    assert sum(far.share(part) for part in (far.done, far.failed, far.skipped, far.remaining)) == 100


def test_a_run_before_that_saw_more_says_how_much_is_to_come() -> None:
    before = replace(RUN, id=1, state="complete", result="clean", files=200, ended_at=1)
    assert outlook(RUN, before, 10 * SECOND, percent=30).remaining == 140
    retry = replace(RUN, scope='{"unresolved": true}')
    assert outlook(retry, before, 10 * SECOND, percent=30).remaining == 40


def test_the_estimate_follows_the_rate_of_late_else_the_mean() -> None:
    mean = outlook(RUN, None, 10 * SECOND, percent=50)
    assert mean.bytes_per_second == 40
    assert mean.ends_in == 500 / 40 * SECOND
    assert outlook(RUN, None, 10 * SECOND, percent=50, rate=(1_000, 80)).ends_in == 0.5 * SECOND
    assert outlook(RUN, None, 10 * SECOND, percent=50, rate=(0, 0)).ends_in is None


def test_what_has_ended_has_nothing_left() -> None:
    far = outlook(replace(RUN, state="canceled", ended_at=20 * SECOND), None, 99 * SECOND, percent=50)
    assert (far.remaining, far.ends_in, far.elapsed) == (0, None, 20 * SECOND)


def test_a_run_that_saw_nothing_yet_divides_by_nothing() -> None:
    empty = Execution(id=3, job_id="j", attempt=1, state="executing", policies="{}", token="t", created_at=0)
    far = outlook(empty, None, 1, percent=0)
    assert (far.expected, far.share(0), far.ends_in) == (0, 0.0, None)
    assert Gauge().percent(empty, None) == 0


def test_progress_is_the_lesser_of_bytes_and_items() -> None:
    assert Gauge().percent(RUN, None) == 50
    assert Gauge().percent(replace(RUN, bytes=500), None) == 60
    assert Gauge().percent(replace(RUN, files=300), None) == 20


def test_progress_never_falls_and_a_restart_forgets_nothing_that_is_stored() -> None:
    gauge = Gauge()
    assert gauge.percent(RUN, None) == 50
    assert gauge.percent(replace(RUN, files=1_000), None) == 50
    assert Gauge().percent(RUN, None) == 50
    assert gauge.percent(replace(RUN, state="complete", result="clean"), None) == 100


def test_containers_that_are_not_gone_through_are_thought_to_hold_as_much_as_the_others() -> None:
    """A first run has settled nearly all that it has seen; that is not nearly all there is."""
    seen = replace(RUN, transferred=80, transferred_bytes=900)  # all 100 items of 10 folders
    assert Gauge().percent(seen, None) == 99
    assert Gauge(lambda run: 30).percent(seen, None) == 25
    far = outlook(seen, None, 10 * SECOND, percent=25, rate=(1_000, 10), ahead=30)
    assert (far.remaining, far.unseen, far.share(far.done)) == (0, 300, 22.5)
    assert far.ends_in == 30 * SECOND


def test_what_is_ahead_is_counted_once_a_moment_and_not_of_what_has_ended() -> None:
    now, asked = [0.0], []

    def count(run: Execution) -> int:
        asked.append(run.id)
        return 10

    gauge = Gauge(count, clock=lambda: now[0])
    assert [gauge.ahead(RUN), gauge.ahead(RUN), asked] == [10, 10, [2]]
    now[0] = 1.5
    assert [gauge.ahead(RUN), asked] == [10, [2, 2]]
    assert gauge.ahead(replace(RUN, state="complete", result="clean", ended_at=1)) == 0
